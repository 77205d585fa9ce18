package expr

import (
	"bytes"

	"github.com/scree-db/scree/codec/value"
)

// compareJSON orders two documents; damaged ones, which have no value, compare as bytes.
func compareJSON(a, b []byte) int {
	order, err := value.CompareJSON(a, b)
	if err != nil {
		return bytes.Compare(a, b)
	}
	return order
}

var jsonZero = value.JSONFromInt64(0)

// jsonIsZero reports whether a document equals the number 0, MySQL's false.
func jsonIsZero(doc []byte) bool { return compareJSON(doc, jsonZero) == 0 }
