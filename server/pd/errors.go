package pd

import (
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/pdpb"
)

// Error is an answer of "no" that travels in the response header.
type Error struct {
	Type    pdpb.ErrorType
	Message string
}

func (e *Error) Error() string { return e.Message }

func refuse(t pdpb.ErrorType, format string, args ...any) *Error {
	return &Error{Type: t, Message: fmt.Sprintf(format, args...)}
}

// errNotBootstrapped is what everything about stores and regions answers before Bootstrap.
var errNotBootstrapped = refuse(pdpb.ErrorType_NOT_BOOTSTRAPPED, "cluster is not bootstrapped")

// headerError converts an error of Core to its place in a response header.
func headerError(err error) *pdpb.Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return &pdpb.Error{Type: e.Type, Message: err.Error()}
	}
	return &pdpb.Error{Type: pdpb.ErrorType_UNKNOWN, Message: err.Error()}
}
