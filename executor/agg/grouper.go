package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// Grouper numbers the distinct combinations of key columns 0, 1, 2 ... in order of first appearance, and keeps the first
// seen values of each. Strings are the same if their collation says so; NULL is the same as NULL.
//
// A key has one of four forms, and an open-addressing hash table that suits it:
//
//   - a word: one column of numbers of up to 64 bits, as they are, or of strings that compare bytewise and have at most 7
//     bytes, with their length in the top byte. NULL has a number outside of the table.
//   - lanes: up to maxWords columns that share a word, see lane: strings of 3 bytes and fewer, small integers.
//   - a tuple: up to maxWords columns of a word each, and a word of NULL marks.
//   - bytes: everything else, serialized.
//
// A grouper begins with the first form that the types allow and goes on to the next for good when it meets a value that is
// too large for it. The numbers given stay.
type Grouper struct {
	cols  []keyColumn
	keys  []*column.Builder
	count int

	form  form
	lanes []lane // of the columns in formLanes
	table table
	index finder  // instead of the table, after Index; nil: there is none
	null  int32   // the number of the NULL key of formWord, -1 if there is none yet
	fresh []int32 // rows of the batch that gave new groups
	words []uint64
	bytes byteKeys
}

type form uint8

const (
	formWord form = iota
	formLanes
	formTuple
	formBytes
)

// finder knows the numbers of keys.
type finder interface {
	// find appends to out the numbers of the keys of a batch, or -1.
	find(keys *batchKeys, out []int32) []int32
	// finder has the same keys, and memory of its own for what find writes down.
	finder() finder
	size() int64
}

// table maps keys to numbers.
type table interface {
	finder
	// insert appends to out the numbers of keys, giving the next ones to new keys, whose rows it appends to fresh.
	insert(keys *batchKeys, next int, out []uint32, fresh []int32) ([]uint32, []int32)
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

const maxWords = 4

// NewGrouper makes a grouper for keys of the given types, at least one.
func NewGrouper(types []*tipb.FieldType) (*Grouper, error) {
	g := &Grouper{null: -1}
	inWords := len(types) <= maxWords
	inLanes := inWords
	for _, ft := range types {
		c, err := newKeyColumn(ft)
		if err != nil {
			return nil, err
		}
		inWords, inLanes = inWords && c.fitsWord(), inLanes && c.fitsLane()
		g.cols = append(g.cols, c)
		g.keys = append(g.keys, column.NewBuilder(ft, 0))
	}
	switch {
	case !inWords:
		g.become(formBytes)
	case len(types) == 1:
		g.become(formWord)
	case inLanes:
		g.become(formLanes)
	default:
		g.become(formTuple)
	}
	return g, nil
}

// become begins a form with an empty table.
func (g *Grouper) become(f form) {
	g.form, g.lanes, g.words = f, nil, nil
	switch f {
	case formWord:
		g.table = newWordTable()
	case formLanes:
		g.table, g.lanes = newWordTable(), lanesOf(len(g.cols))
	case formTuple:
		g.table = newTupleTable(len(g.cols) + 1)
	case formBytes:
		g.table = newByteTable()
	}
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

// keyed is what has the keys.
func (g *Grouper) keyed() finder {
	if g.index != nil {
		return g.index
	}
	return g.table
}

// Len is the number of groups.
func (g *Grouper) Len() int { return g.count }

// Bytes is the memory held.
func (g *Grouper) Bytes() int64 {
	n := g.keyed().size()
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
	for !ok {
		g.promote()
		keys, ok = g.encode(cols, rows)
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
	out = g.keyed().find(&keys, out[:0])
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

// encode brings keys into the form of the table; ok is false if it cannot hold them.
func (g *Grouper) encode(cols []arrow.Array, rows int) (keys batchKeys, ok bool) {
	keys.rows = rows
	switch g.form {
	case formBytes:
		g.bytes.encode(g.cols, cols, rows)
		keys.bytes, ok = &g.bytes, true
	case formLanes:
		ok = g.packWords(cols, rows, false)
	case formWord:
		keys.valid, keys.null = column.NullBits(cols[0]), &g.null
		fallthrough
	case formTuple:
		ok = g.encodeWords(cols, rows, false)
	}
	keys.words = g.words
	return keys, ok
}

// truncated encodes keys with a mark that no key has in the place of values that the form cannot hold.
func (g *Grouper) truncated(cols []arrow.Array, rows int) batchKeys {
	if g.form == formLanes {
		g.packWords(cols, rows, true)
	} else {
		g.encodeWords(cols, rows, true)
	}
	return batchKeys{rows: rows, words: g.words}
}

// promote goes over to the next form that can hold the keys so far.
func (g *Grouper) promote() {
	if g.form == formLanes {
		g.become(formTuple)
	} else {
		g.become(formBytes)
	}
	if g.count == 0 {
		return
	}
	cols := make([]arrow.Array, len(g.keys))
	for c, k := range g.keys {
		cols[c] = k.Array()
	}
	keys, _ := g.encode(cols, g.count) // what fits a lane fits a word, and bytes hold everything
	g.table.insert(&keys, 0, nil, nil)
}

// Finder returns a grouper for another goroutine that will only be asked to Find: it shares the keys of g, to which none
// may be added from now on.
func (g *Grouper) Finder() *Grouper {
	return &Grouper{cols: g.cols, keys: g.keys, count: g.count, form: g.form, lanes: g.lanes, index: g.keyed().finder(), null: g.null}
}
