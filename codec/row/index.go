package row

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
)

// IndexDecoder turns index entries into columns. One goroutine.
//
// The key of an entry has the indexed columns as datums, strings as sort keys; the handle follows in the key where the
// index is not unique (or a NULL makes the entry so), else it is in the value. Where a sort key does not give the string
// back, the value has it as restored data, a small row of its own.
type IndexDecoder struct {
	keys    []indexColumn // the leading columns, which the key's datums fill one by one
	handles []int         // outputs that take an integer handle
	common  []indexColumn // outputs that the parts of a common handle fill one by one
}

type indexColumn struct {
	id  int64
	out int
	cellDecoder
	padded bool // restored data of version 1 has the number of trimmed spaces
}

// NewIndexDecoder compiles a decoder for the columns of an index scan: the index's columns in order, all of them if the
// handle is wanted too, then the handle, which is either one integer column (id ColumnHandle or PKHandle) or as many
// columns as primaryIDs, the columns of the clustered primary key.
func NewIndexDecoder(cols []Column, primaryIDs []int64, loc *time.Location) (*IndexDecoder, error) {
	d := &IndexDecoder{}
	end := len(cols)
	for end > 0 && cols[end-1].Skip {
		end--
	}
	keys := end
	switch {
	case end > 0 && cols[end-1].isHandle():
		keys--
		d.handles = []int{keys}
	case len(primaryIDs) > end:
		return nil, fmt.Errorf("row: %d columns cannot end with a handle of %d", end, len(primaryIDs))
	default:
		keys -= len(primaryIDs)
	}
	for i, c := range cols[:end] {
		if c.Skip || (c.isHandle() && i != end-1) {
			return nil, fmt.Errorf("row: virtual column %d stands before index columns", c.ID)
		}
		ic := indexColumn{id: c.ID, out: i, cellDecoder: newCellDecoder(c.Type, loc), padded: isPaddedBin(c.Type.Collate)}
		switch {
		case i < keys:
			d.keys = append(d.keys, ic)
		case len(d.handles) == 0:
			d.common = append(d.common, ic)
		}
	}
	return d, nil
}

// isPaddedBin tells the collations whose sort keys lack nothing but trailing spaces.
func isPaddedBin(collate int32) bool {
	return slices.Contains([]int32{-46, -83, -65, -47}, collate)
}

// Decode appends one entry to out, a builder for each column of NewIndexDecoder. key is the whole key. After an error
// the builders are to be thrown away.
func (d *IndexDecoder) Decode(key, val []byte, out []*column.Builder) error {
	k, err := tablekey.Decode(key)
	if err != nil {
		return err
	}
	if !k.Index {
		return fmt.Errorf("%w: a record key in an index", ErrInvalid)
	}
	v, err := parseIndexValue(val)
	if err != nil {
		return err
	}
	rest, err := appendParts(d.keys, k.Rest, v, out)
	if err != nil {
		return err
	}
	switch {
	case len(d.handles) > 0:
		return d.decodeIntHandle(rest, v, out)
	case len(d.common) > 0:
		return d.decodeCommonHandle(rest, v, out)
	}
	return nil
}

// appendParts fills columns from datums one by one, or from restored data, and returns what follows the datums.
func appendParts(cols []indexColumn, datums []byte, v indexValue, out []*column.Builder) (rest []byte, err error) {
	for i := range cols {
		c := &cols[i]
		if restored, ok := v.find(c.id); ok {
			datums, err = c.appendRestored(datums, restored, v.version1, out[c.out])
		} else {
			datums, err = c.decodeDatum(datums, out[c.out])
		}
		if err != nil {
			return nil, fmt.Errorf("index column %d: %w", c.id, err)
		}
	}
	return datums, nil
}

// appendRestored appends a value of the restored data; key is where its datum stands.
func (c *indexColumn) appendRestored(key, restored []byte, version1 bool, b *column.Builder) (rest []byte, err error) {
	if rest, err = datum.Skip(key); err != nil {
		return nil, err
	}
	if !version1 || !c.padded {
		return rest, c.decode(restored, b)
	}
	spaces, ok := decodeUint(restored)
	if !ok || spaces > 1<<24 || key[0] != datum.FlagBytes {
		return nil, fmt.Errorf("%w: restored data of a padded string", ErrInvalid)
	}
	if c.scratch, _, err = memcmp.DecodeBytes(key[1:], c.scratch[:0]); err != nil {
		return nil, err
	}
	for range spaces {
		c.scratch = append(c.scratch, ' ')
	}
	b.AppendBytes(c.scratch)
	return rest, nil
}

func (d *IndexDecoder) decodeIntHandle(inKey []byte, v indexValue, out []*column.Builder) error {
	h := v.intHandle
	if h == nil {
		inKey = skipPartition(inKey)
		if len(inKey) != 9 || (inKey[0] != datum.FlagInt && inKey[0] != datum.FlagUint) {
			return fmt.Errorf("%w: %d bytes where an integer handle ends an index key", ErrInvalid, len(inKey))
		}
		u, _, _ := memcmp.DecodeUint64(inKey[1:])
		if inKey[0] == datum.FlagInt {
			u ^= 1 << 63
		}
		appendInteger(out[d.handles[0]], int64(u))
		return nil
	}
	appendInteger(out[d.handles[0]], int64(binary.BigEndian.Uint64(h)))
	return nil
}

func (d *IndexDecoder) decodeCommonHandle(inKey []byte, v indexValue, out []*column.Builder) error {
	handle := v.commonHandle
	if handle == nil {
		handle = skipPartition(inKey)
	}
	_, err := appendParts(d.common, handle, v, out)
	return err
}

// The option bytes of index values.
const (
	optVersion      = 125
	optPartition    = 126
	optCommonHandle = 127
)

// skipPartition skips the partition id that a global index puts before the handle.
func skipPartition(b []byte) []byte {
	if len(b) > 9 && b[0] == optPartition {
		return b[9:]
	}
	return b
}

// indexValue is the value of an index entry taken apart. It aliases the value.
//
//	old        '0' | handle u64be, [untouched]                                        at most 9 bytes, not 3 or 4
//	version 0  tail length | options | padding | [handle u64be] | [untouched]         10 bytes or more
//	version 1  tail length | 125 | 1 | options | [untouched]                          3, 4, or 10 bytes or more
//
// where the tail is what follows options and padding, and the options are, in order and each at will: 127, u16be length,
// common handle; 126, partition id; restored data, which begin with row format v2's version byte.
type indexValue struct {
	intHandle    []byte // 8 bytes, or nil: in the key
	commonHandle []byte // nil: in the key
	restored     []byte
	version1     bool
}

func parseIndexValue(val []byte) (indexValue, error) {
	n := len(val)
	switch {
	case n == 3 || n == 4 || (n >= 10 && val[0] <= 1 && val[1] == optVersion):
		if val[1] != optVersion || int(val[0]) > n-3 {
			return indexValue{}, fmt.Errorf("%w: index value %x", ErrInvalid, val[:3])
		}
		v, err := parseOptions(val[3 : n-int(val[0])])
		v.version1 = true
		return v, err
	case n >= 10:
		tail := int(val[0])
		if tail > n-1 {
			return indexValue{}, fmt.Errorf("%w: a tail of %d bytes in an index value of %d", ErrInvalid, tail, n)
		}
		v, err := parseOptions(val[1 : n-tail])
		if tail >= 8 {
			v.intHandle = val[n-tail : n-tail+8]
		}
		return v, err
	case n >= 8:
		return indexValue{intHandle: val[:8]}, nil
	default:
		return indexValue{}, nil
	}
}

func parseOptions(b []byte) (v indexValue, err error) {
	if len(b) >= 3 && b[0] == optCommonHandle {
		size := int(binary.BigEndian.Uint16(b[1:]))
		if b = b[3:]; size > len(b) {
			return v, fmt.Errorf("%w: a common handle of %d bytes in %d", ErrInvalid, size, len(b))
		}
		v.commonHandle, b = b[:size], b[size:]
	}
	if len(b) > 0 && b[0] == optPartition {
		if len(b) < 9 {
			return v, fmt.Errorf("%w: a partition id of %d bytes", ErrInvalid, len(b)-1)
		}
		b = b[9:]
	}
	if len(b) > 0 && b[0] == version2 {
		v.restored = b
	}
	return v, nil
}

// find looks a column up in the restored data.
func (v indexValue) find(id int64) (val []byte, ok bool) {
	b := v.restored
	if len(b) < headerLen {
		return nil, false
	}
	n, m := int(binary.LittleEndian.Uint16(b[2:])), int(binary.LittleEndian.Uint16(b[4:]))
	big, idLen, offLen := b[1]&flagBig != 0, 1, 2
	if big {
		idLen, offLen = 4, 4
	}
	offsetsAt := headerLen + (n+m)*idLen
	dataAt := offsetsAt + n*offLen
	if len(b) < dataAt {
		return nil, false
	}
	ids := idList{b[headerLen:], idLen, n}
	for i := range n {
		if ids.at(i) != id {
			continue
		}
		from, to := span(b[offsetsAt:dataAt], i, big)
		if from > to || int(to) > len(b)-dataAt {
			return nil, false
		}
		return b[dataAt+int(from) : dataAt+int(to)], true
	}
	return nil, false
}

// AppendIndexValue appends the value of an index entry with an integer handle, in the forms that parseIndexValue lists:
// the old form where nothing is restored, else version 0. unique tells that the handle is not in the key. restored is
// nil or a row with the strings whose sort keys do not give them back.
func AppendIndexValue(dst []byte, unique bool, handle int64, restored []byte) []byte {
	switch {
	case restored == nil && unique:
		return binary.BigEndian.AppendUint64(dst, uint64(handle))
	case restored == nil:
		return append(dst, '0')
	case unique:
		dst = append(append(dst, 8), restored...)
		return binary.BigEndian.AppendUint64(dst, uint64(handle))
	}
	from := len(dst)
	dst = append(append(dst, 0), restored...)
	for len(dst)-from < 10 { // shorter ones are of the old form; the reader takes what follows the row for padding
		dst = append(dst, 0)
	}
	return dst
}

// AppendCommonIndexValue appends the value of an index entry of a table with common handles, in version 1. handle is nil
// where the key has it. Restored strings of padded binary collations are the number of trimmed spaces.
func AppendCommonIndexValue(dst, handle, restored []byte) ([]byte, error) {
	if len(handle) > 1<<16-1 {
		return nil, fmt.Errorf("row: a handle of %d bytes", len(handle))
	}
	from := len(dst)
	dst = append(dst, 0, optVersion, 1)
	if handle != nil {
		dst = binary.BigEndian.AppendUint16(append(dst, optCommonHandle), uint16(len(handle)))
		dst = append(dst, handle...)
	}
	dst = append(dst, restored...)
	for n := len(dst) - from; n > 4 && n < 10; n++ { // not a length that tells version 1
		dst = append(dst, 0)
	}
	return dst, nil
}
