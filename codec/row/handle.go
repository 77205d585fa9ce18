package row

import (
	"fmt"
	"slices"

	"github.com/scree-db/scree/codec/datum"
)

// handleDecoder cuts common handles into the datums of the primary key's columns.
type handleDecoder struct {
	ids   []int64
	parts [][]byte // alias the last handle loaded
}

// newHandleDecoder returns nil where no wanted column can come from the handle.
func newHandleDecoder(cols []Column, primaryIDs []int64) *handleDecoder {
	for _, c := range cols {
		if !c.Skip && slices.Contains(primaryIDs, c.ID) {
			return &handleDecoder{ids: primaryIDs, parts: make([][]byte, len(primaryIDs))}
		}
	}
	return nil
}

func (h *handleDecoder) load(handle []byte) error {
	for i := range h.parts {
		rest, err := datum.Skip(handle)
		if err != nil {
			return fmt.Errorf("%w: part %d of a handle: %w", ErrInvalid, i, err)
		}
		h.parts[i], handle = handle[:len(handle)-len(rest)], rest
	}
	return nil
}
