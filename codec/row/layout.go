package row

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// layout is what the head of a v2 row says: version, flags, counts and id lists. Rows that begin with the same bytes have
// their columns at the same places.
type layout struct {
	head      []byte
	big       bool
	offsetsAt int
	dataAt    int
	places    []int32 // of each output among the values that are not NULL, or below
}

const (
	placeNull    = -1
	placeMissing = -2
)

func (l *layout) describes(val []byte) bool {
	return len(val) >= l.dataAt && string(val[:len(l.head)]) == string(l.head)
}

// cell cuts the value at a place out of a row that l describes.
func (l *layout) cell(val []byte, place int) ([]byte, error) {
	from, to := span(val[l.offsetsAt:l.dataAt], place, l.big)
	data := val[l.dataAt:]
	if from > to || to > uint32(len(data)) {
		return nil, errSpan(from, to, len(data))
	}
	return data[from:to], nil
}

// span reads where the i-th value begins and ends.
func span(offsets []byte, i int, big bool) (from, to uint32) {
	if big {
		if i > 0 {
			from = binary.LittleEndian.Uint32(offsets[4*i-4:])
		}
		return from, binary.LittleEndian.Uint32(offsets[4*i:])
	}
	if i > 0 {
		from = uint32(binary.LittleEndian.Uint16(offsets[2*i-2:]))
	}
	return from, uint32(binary.LittleEndian.Uint16(offsets[2*i:]))
}

func errSpan(from, to uint32, size int) error {
	return fmt.Errorf("%w: a value lies at [%d, %d) of %d bytes", ErrInvalid, from, to, size)
}

// layouts are the layouts that a decoder has met. Rows of one table nearly always list the same columns, or, where columns
// are NULL now and then, a few combinations of them, so a row costs a comparison of its head with that of the row before,
// sometimes a look into a map, and only a new head a walk over the sorted lists of ids.
type layouts struct {
	ids    []wantedID // ascending
	width  int        // outputs
	byHead map[string]*layout
	last   *layout
}

type wantedID struct {
	id  int64
	out int
}

// layoutsMax is how many layouts are kept from one batch to the next.
const layoutsMax = 256

func newLayouts(cols []wanted) layouts {
	ls := layouts{width: len(cols), byHead: map[string]*layout{}}
	for out, w := range cols {
		if w.source == fromValue {
			ls.ids = append(ls.ids, wantedID{w.id, out})
		}
	}
	slices.SortStableFunc(ls.ids, func(a, b wantedID) int { return cmp.Compare(a.id, b.id) })
	return ls
}

// forget makes room if there are too many layouts.
func (ls *layouts) forget() {
	if len(ls.byHead) > layoutsMax {
		clear(ls.byHead)
	}
}

// of returns the layout of a row; nil if that is of version 1.
func (ls *layouts) of(val []byte) (*layout, error) {
	if ls.last != nil && ls.last.describes(val) {
		return ls.last, nil
	}
	if len(val) == 0 || val[0] != version2 {
		return nil, nil
	}
	if len(val) < headerLen {
		return nil, fmt.Errorf("%w: %d bytes", ErrInvalid, len(val))
	}
	n, m, idLen, offLen := int(binary.LittleEndian.Uint16(val[2:])), int(binary.LittleEndian.Uint16(val[4:])), 1, 2
	big := val[1]&flagBig != 0
	if big {
		idLen, offLen = 4, 4
	}
	offsetsAt := headerLen + (n+m)*idLen
	dataAt := offsetsAt + n*offLen
	if len(val) < dataAt {
		return nil, fmt.Errorf("%w: %d bytes where the lists of %d+%d columns take %d", ErrInvalid, len(val), n, m, dataAt)
	}
	head := val[:offsetsAt]
	if ls.last = ls.byHead[string(head)]; ls.last == nil {
		ls.last = &layout{head: slices.Clone(head), big: big, offsetsAt: offsetsAt, dataAt: dataAt}
		ls.last.places = ls.place(idList{val[headerLen:], idLen, n}, idList{val[headerLen+n*idLen:], idLen, m})
		ls.byHead[string(head)] = ls.last
	}
	return ls.last, nil
}

// place walks the wanted ids and both lists of a row, all ascending.
func (ls *layouts) place(present, null idList) []int32 {
	places := make([]int32, ls.width)
	i, j := 0, 0
	for _, w := range ls.ids {
		for i < present.n && present.at(i) < w.id {
			i++
		}
		for j < null.n && null.at(j) < w.id {
			j++
		}
		switch {
		case i < present.n && present.at(i) == w.id:
			places[w.out] = int32(i)
		case j < null.n && null.at(j) == w.id:
			places[w.out] = placeNull
		default:
			places[w.out] = placeMissing
		}
	}
	return places
}

// idList is a list of ids inside a row.
type idList struct {
	b        []byte
	width, n int
}

func (l idList) at(i int) int64 {
	if l.width == 1 {
		return int64(l.b[i])
	}
	return int64(binary.LittleEndian.Uint32(l.b[4*i:]))
}
