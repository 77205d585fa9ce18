package listappend

import (
	"bytes"
	"fmt"
	"strconv"
)

// Appended is the value of a key whose list was val, with one more element: decimal numbers, each with a comma behind it.
func Appended(val []byte, element int) []byte {
	return fmt.Appendf(bytes.Clone(val), "%d,", element)
}

// Decode reads such a value; nil is the empty list.
func Decode(val []byte) (list []int, err error) {
	for part := range bytes.SplitSeq(bytes.TrimSuffix(val, []byte(",")), []byte(",")) {
		if len(part) == 0 {
			continue
		}
		n, err := strconv.Atoi(string(part))
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}
