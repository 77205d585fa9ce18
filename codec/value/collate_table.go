package value

import (
	"bytes"
	"compress/flate"
	"embed"
	"encoding/binary"
	"io"
	"slices"
)

// weightFiles are written by collation/generate.go, which describes their format. The Unicode ones are derived from data
// under the licence in collation/LICENSE-UNICODE.
//
//go:embed collation/*.bin collation/LICENSE-UNICODE
var weightFiles embed.FS

// openTable unpacks an embedded table. The files are part of the program, so damage to them is a bug.
func openTable(name string) tableReader {
	packed, err := weightFiles.ReadFile("collation/" + name)
	if err != nil {
		panic("value: " + err.Error())
	}
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		panic("value: collation table " + name + ": " + err.Error())
	}
	return tableReader{data: data}
}

func loadWeights(name string, implicit func(rune, *[2]uint16) []uint16) *weightTable {
	t := &weightTable{implicit: implicit, contractions: map[rune][]contraction{}}
	r := openTable(name)
	for len(r.data) > 0 {
		points, weights := r.entry()
		t.add(points, weights)
	}
	t.finish()
	return t
}

// tableReader decodes the entries of a table; numbers are stored as differences.
type tableReader struct {
	data   []byte
	first  rune
	weight int64
}

func (r *tableReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	r.data = r.data[n:]
	return v
}

func (r *tableReader) entry() (points []rune, weights []uint16) {
	points = make([]rune, r.uvarint())
	r.first += rune(r.uvarint())
	points[0] = r.first
	for i := range points[1:] {
		points[i+1] = rune(r.uvarint())
	}
	weights = make([]uint16, r.uvarint())
	for i := range weights {
		v, n := binary.Varint(r.data)
		r.data = r.data[n:]
		r.weight += v
		weights[i] = uint16(r.weight)
	}
	return points, weights
}

func (t *weightTable) page(r rune) *[256]uint32 {
	p := &t.pages[r>>8]
	if *p == nil {
		*p = new([256]uint32)
		for i := range *p {
			(*p)[i] = cellAbsent
		}
	}
	return *p
}

func (t *weightTable) add(points []rune, weights []uint16) {
	if len(points) > 1 {
		t.contractions[points[0]] = append(t.contractions[points[0]], contraction{points[1:], weights})
		return
	}
	cell := uint32(len(weights)) << 24
	switch len(weights) {
	case 0:
	case 1:
		cell |= uint32(weights[0])
	default:
		cell |= uint32(len(t.multi))
		t.multi = append(t.multi, weights...)
	}
	t.page(points[0])[points[0]&0xff] = cell
}

// addSyllables gives the Hangul syllables the weights of the letters they are made of.
func (t *weightTable) addSyllables() {
	const first, vowels, tails = 0xac00, 21, 28
	var buf [2]uint16
	for s := rune(0); s < 19*vowels*tails; s++ {
		var w []uint16
		w = append(w, t.of(0x1100+s/(vowels*tails), &buf)...)
		w = append(w, t.of(0x1161+s/tails%vowels, &buf)...)
		if tail := s % tails; tail != 0 {
			w = append(w, t.of(0x11a7+tail, &buf)...)
		}
		t.add([]rune{first + s}, w)
	}
}

// finish marks the starters of contractions and fills the ASCII table.
func (t *weightTable) finish() {
	for r, list := range t.contractions {
		slices.SortFunc(list, func(a, b contraction) int { return len(b.rest) - len(a.rest) })
		if p := t.page(r); p[r&0xff] != cellAbsent {
			p[r&0xff] |= cellStarter
		}
	}
	var buf [2]uint16
	for c := range rune(len(t.ascii)) {
		if t.ascii[c] = t.cell(c); t.ascii[c] == cellAbsent {
			t.ascii[c] = 1<<24 | uint32(t.of(c, &buf)[0])
		}
	}
}
