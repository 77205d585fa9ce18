package agg

import (
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// Grouper numbers the distinct combinations of key columns 0, 1, 2 ... in order of first appearance, and keeps the first
// seen values of each. Strings are the same if their collation says so; NULL is the same as NULL.
//
// A key becomes one of two forms, each with an open-addressing hash table of its own:
//
//   - words: up to maxWords columns of one 64-bit word each, and, with more than one column, a word of NULL marks. Numbers
//     up to 64 bits are words as they are, and strings are where they have at most 7 bytes and compare bytewise: length
//     in the top byte. A single column needs no NULL mark: NULL has a number outside of the table.
//   - bytes: everything else, serialized.
//
// A grouper begins with words if the types allow it and goes over to bytes for good when it meets a longer string. The
// numbers given stay.
type Grouper struct {
	cols  []keyColumn
	keys  []*column.Builder
	count int

	table  table
	single bool    // one column in words: NULLs are kept out of the table
	null   int32   // the number of the NULL key of a single column, -1 if there is none yet
	fresh  []int32 // rows of the batch that gave new groups
	words  []uint64
	bytes  byteKeys
}

// table maps the keys of a batch to numbers.
type table interface {
	// insert appends to out the numbers of keys, giving the next ones to new keys, whose rows it appends to fresh.
	insert(keys *batchKeys, next int, out []uint32, fresh []int32) ([]uint32, []int32)
	// find appends to out the numbers of keys, or -1.
	find(keys *batchKeys, out []int32) []int32
	size() int64
}

// batchKeys are the keys of a batch in the form of the table at hand.
type batchKeys struct {
	rows  int
	words []uint64 // rows × stride
	valid []byte   // of a single column; nil: no NULLs
	null  *int32   // the number of its NULL, -1 if it has none yet
	bytes *byteKeys
}

// keyColumn tells how a column takes part in keys.
type keyColumn struct {
	ft      *tipb.FieldType
	kind    column.Kind
	coll    value.Collator // nil: bytes as they are
	trimmed bool           // bytes without trailing spaces
}

const (
	maxWords      = 4
	wordStringMax = 7
)

// NewGrouper makes a grouper for keys of the given types, at least one.
func NewGrouper(types []*tipb.FieldType) (*Grouper, error) {
	g := &Grouper{null: -1}
	inWords := len(types) <= maxWords
	for _, ft := range types {
		c, err := newKeyColumn(ft)
		if err != nil {
			return nil, err
		}
		inWords = inWords && c.fitsWord()
		g.cols = append(g.cols, c)
		g.keys = append(g.keys, column.NewBuilder(ft, 0))
	}
	switch {
	case !inWords:
		g.table = newByteTable()
	case len(types) == 1:
		g.table, g.single = newWordTable(), true
	default:
		g.table = newTupleTable(len(types) + 1)
	}
	return g, nil
}

func newKeyColumn(ft *tipb.FieldType) (keyColumn, error) {
	c := keyColumn{ft: ft, kind: column.KindOf(ft)}
	if c.kind != column.Bytes || ft.Tp == column.TypeJSON {
		return c, nil
	}
	coll, err := value.CollatorByID(ft.Collate)
	if err != nil {
		return c, err
	}
	if !coll.KeyIsIdentity() {
		c.coll, c.trimmed = coll, coll.PadSpace() && isBinary(ft.Collate)
	}
	return c, nil
}

// isBinary tells the padded collations that compare bytes once trailing spaces are gone.
func isBinary(collate int32) bool {
	switch collate {
	case -46, -83, -65, -47:
		return true
	}
	return false
}

func (c *keyColumn) fitsWord() bool {
	switch c.kind {
	case column.Int64, column.Uint64, column.Float64, column.Decimal64:
		return true
	case column.Bytes:
		return c.ft.Tp != column.TypeJSON && (c.coll == nil || c.trimmed)
	}
	return false
}

// Len is the number of groups.
func (g *Grouper) Len() int { return g.count }

// Bytes is the memory held.
func (g *Grouper) Bytes() int64 {
	n := g.table.size()
	for _, k := range g.keys {
		n += k.Bytes()
	}
	return n
}

// Keys are the first seen values of groups [from, to), one column for each key column.
func (g *Grouper) Keys(from, to int) []arrow.Array {
	rows := make([]int32, 0, to-from)
	for i := from; i < to; i++ {
		rows = append(rows, int32(i))
	}
	out := make([]arrow.Array, len(g.keys))
	for c, k := range g.keys {
		out[c] = column.Gather(k.Array(), rows)
	}
	return out
}

// Group returns the group numbers of the rows of cols, dense columns, in out's memory. New keys get new numbers in the
// order of rows.
func (g *Grouper) Group(cols []arrow.Array, rows int, out []uint32) []uint32 {
	keys, ok := g.encode(cols, rows)
	if !ok {
		g.promote()
		keys, _ = g.encode(cols, rows)
	}
	if t, ok := g.table.(*wordTable); ok && rows > column.BatchSize {
		t.reserve(rows) // the build side of a join comes at once
	}
	g.fresh = g.fresh[:0]
	out, g.fresh = g.table.insert(&keys, g.count, out[:0], g.fresh)
	if len(g.fresh) > 0 {
		for c, k := range g.keys {
			k.AppendRows(cols[c], g.fresh)
		}
		g.count += len(g.fresh)
	}
	return out
}

// Find returns the group numbers of the rows of cols, -1 for keys that no group has, and for those with a NULL, which
// equals nothing where Find is used.
func (g *Grouper) Find(cols []arrow.Array, rows int, out []int32) []int32 {
	keys, ok := g.encode(cols, rows)
	if !ok { // some string is longer than every key of the table
		keys = g.truncated(cols, rows)
	}
	out = g.table.find(&keys, out[:0])
	for _, a := range cols {
		valid := column.NullBits(a)
		if valid == nil {
			continue
		}
		for i := range out {
			if !column.IsValid(valid, i) {
				out[i] = -1
			}
		}
	}
	return out
}

// encode brings keys into the form of the table; ok is false if words cannot hold them.
func (g *Grouper) encode(cols []arrow.Array, rows int) (keys batchKeys, ok bool) {
	keys.rows = rows
	if _, inBytes := g.table.(*byteTable); inBytes {
		g.bytes.encode(g.cols, cols, rows)
		keys.bytes = &g.bytes
		return keys, true
	}
	if g.single {
		keys.valid, keys.null = column.NullBits(cols[0]), &g.null
	}
	ok = g.encodeWords(cols, rows, false)
	keys.words = g.words
	return keys, ok
}

// truncated encodes words with a mark that no key has in the place of long strings.
func (g *Grouper) truncated(cols []arrow.Array, rows int) batchKeys {
	g.encodeWords(cols, rows, true)
	return batchKeys{rows: rows, words: g.words}
}

// promote goes over to serialized keys.
func (g *Grouper) promote() {
	t := newByteTable()
	if g.count > 0 {
		cols := make([]arrow.Array, len(g.keys))
		for c, k := range g.keys {
			cols[c] = k.Array()
		}
		g.bytes.encode(g.cols, cols, g.count)
		t.insert(&batchKeys{rows: g.count, bytes: &g.bytes}, 0, nil, nil)
	}
	g.table, g.single, g.words = t, false, nil
}

// encodeWords fills g.words. A string of more than 7 bytes ends it, unless mark is set.
func (g *Grouper) encodeWords(cols []arrow.Array, rows int, mark bool) (ok bool) {
	stride := 1
	if !g.single {
		stride = len(g.cols) + 1
	}
	g.words = slices.Grow(g.words[:0], rows*stride)[:rows*stride]
	if rows == 0 {
		return true
	}
	if stride > 1 {
		clearEvery(g.words, stride-1, stride)
	}
	for c := range g.cols {
		if !g.cols[c].putWords(g.words[c:], stride, cols[c], mark) {
			return false
		}
		if valid := column.NullBits(cols[c]); valid != nil && stride > 1 {
			for i := range rows {
				if !column.IsValid(valid, i) {
					g.words[i*stride+c] = 0
					g.words[i*stride+stride-1] |= 1 << c
				}
			}
		}
	}
	return true
}

func clearEvery(words []uint64, from, stride int) {
	for i := from; i < len(words); i += stride {
		words[i] = 0
	}
}

// putWords writes the column's words to every stride-th place of out.
func (c *keyColumn) putWords(out []uint64, stride int, a arrow.Array, mark bool) (ok bool) {
	switch a := a.(type) {
	case *array.Int64:
		if vals := a.Int64Values(); stride == 1 {
			copy(out, arrow.Uint64Traits.CastFromBytes(arrow.Int64Traits.CastToBytes(vals)))
		} else {
			for i, v := range vals {
				out[i*stride] = uint64(v)
			}
		}
	case *array.Uint64:
		for i, v := range a.Uint64Values() {
			out[i*stride] = v
		}
	case *array.Float64:
		for i, v := range a.Float64Values() {
			out[i*stride] = floatWord(v)
		}
	case *array.Binary:
		return c.putStrings(out, stride, a, mark)
	}
	return true
}

// floatWord makes the two zeros equal.
func floatWord(v float64) uint64 { return memcmp.FloatBits(v + 0) }

const longString = ^uint64(0) // its length byte is no length of a short string

func (c *keyColumn) putStrings(out []uint64, stride int, a *array.Binary, mark bool) (ok bool) {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	for i := range a.Len() {
		s := data[offsets[i]:offsets[i+1]]
		if c.trimmed && len(s) > 0 && s[len(s)-1] == ' ' {
			s = value.TrimSpaces(s)
		}
		if len(s) > wordStringMax {
			if !mark && a.IsValid(i) {
				return false
			}
			out[i*stride] = longString
			continue
		}
		if len(s) == 1 {
			out[i*stride] = 1<<56 | uint64(s[0])
			continue
		}
		w := uint64(len(s)) << 56
		for k, b := range s {
			w |= uint64(b) << (8 * k)
		}
		out[i*stride] = w
	}
	return true
}

// hashWord mixes a word so that all bits of the result depend on all of it.
func hashWord(w uint64) uint64 {
	hi, lo := bits.Mul64(w^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo
}
