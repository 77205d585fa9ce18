package dml

import (
	"math"
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// target is a table compiled for writing. A row is the datums of all columns in the table's order, TIMESTAMPs in the session's
// time zone; a handle is what follows the record prefix in the row's key. One goroutine.
type target struct {
	env     *Env
	table   *catalog.Table
	fields  []*field
	handles []int // columns of the handle; none: a hidden row id
	indexes []*index
	autoInc int // column, or -1
	mem     arena
	enc     row.Encoder
	scratch row.Encoder // for restored data
	prefix  []byte      // of record keys
	reader  *rowReader
	// alone: the transaction had no writes when the statement began.
	alone bool
	// unsettled: commits of rows of this statement may be under way, and Txn does not see them; see Env.Settle.
	unsettled bool
	// written has the greatest key that the statement may have written among records and, behind it, in each index.
	written [][]byte
}

// field is a column with what conversion and encoding ask for row by row.
type field struct {
	*catalog.Column
	ft      *tipb.FieldType
	coll    value.Collator // of text; nil for others
	notNull bool
	inRow   bool // stored in the row's value and not in its key alone
	toUTC   bool // a TIMESTAMP of a session elsewhere
	lo, hi  int64
	uhi     uint64 // greatest value of an unsigned integer
}

// index is an index that has entries of its own.
type index struct {
	*catalog.Index
	prefix   []byte
	restored bool // some value may not be read back from its sort key
}

func newTarget(env *Env, t *catalog.Table) (*target, error) {
	tg := &target{env: env, table: t, handles: t.HandleColumns(), autoInc: -1, prefix: tablekey.RecordPrefix(t.ID)}
	tg.alone = env.Txn.Len() == 0
	for i, c := range t.Columns {
		f, err := newField(env, c)
		if err != nil {
			return nil, err
		}
		tg.fields = append(tg.fields, f)
		if c.Type.Flag&column.FlagAutoIncr != 0 {
			tg.autoInc = i
		}
	}
	tg.markKeyColumns()
	for _, ix := range t.Indexes {
		if !ix.Clustered && !(ix.Primary && t.IntHandle >= 0) {
			tg.indexes = append(tg.indexes, tg.newIndex(ix))
		}
	}
	tg.written = make([][]byte, 1+len(tg.indexes))
	return tg, nil
}

func newField(env *Env, c *catalog.Column) (*field, error) {
	f := &field{Column: c, ft: c.Type, notNull: c.Type.Flag&column.FlagNotNull != 0, inRow: true}
	f.toUTC = c.Type.Tp == column.TypeTimestamp && env.location().String() != "UTC"
	if column.KindOf(c.Type) == column.Bytes && c.Type.Tp != column.TypeJSON || c.Type.Tp == column.TypeEnum || c.Type.Tp == column.TypeSet {
		coll, err := value.CollatorByID(c.Type.Collate)
		if err != nil {
			return nil, err
		}
		f.coll = coll
	}
	bits := 64
	switch c.Type.Tp {
	case column.TypeTiny:
		bits = 8
	case column.TypeShort:
		bits = 16
	case column.TypeInt24:
		bits = 24
	case column.TypeLong:
		bits = 32
	}
	f.lo, f.hi, f.uhi = -1<<(bits-1), 1<<(bits-1)-1, math.MaxUint64>>(64-bits)
	return f, nil
}

// isBinary reports whether a string column holds bytes and not text.
func (f *field) isBinary() bool {
	return f.ft.Charset == "binary" || f.ft.Collate == -63 || f.ft.Collate == 63
}

// keyIsValue reports whether the value can be read back from its form in a key.
func (f *field) keyIsValue() bool { return f.coll == nil || f.isNumber() || f.coll.KeyIsIdentity() }

func (f *field) isNumber() bool { return column.KindOf(f.ft) != column.Bytes }

// markKeyColumns leaves the columns that the key gives back out of the row's value.
func (tg *target) markKeyColumns() {
	if tg.table.IntHandle >= 0 {
		tg.fields[tg.table.IntHandle].inRow = false
		return
	}
	if !tg.table.CommonHandle {
		return
	}
	for _, part := range tg.primary().Columns {
		f := tg.fields[part.Offset]
		f.inRow = part.Length >= 0 && f.coll != nil || !f.keyIsValue()
	}
}

func (tg *target) primary() *catalog.Index {
	for _, ix := range tg.table.Indexes {
		if ix.Primary {
			return ix
		}
	}
	return nil
}

func (tg *target) newIndex(ix *catalog.Index) *index {
	out := &index{Index: ix, prefix: tablekey.IndexPrefix(tg.table.ID, ix.ID)}
	for _, part := range ix.Columns {
		out.restored = out.restored || part.Length < 0 && !tg.fields[part.Offset].keyIsValue()
	}
	if tg.table.CommonHandle {
		for _, c := range tg.handles {
			out.restored = out.restored || !tg.fields[c].keyIsValue()
		}
	}
	return out
}

// columnByName is the offset of a column, in any case; -1 if there is none.
func (tg *target) columnByName(name string) int {
	for i, f := range tg.fields {
		if strings.EqualFold(f.Name, name) {
			return i
		}
	}
	return -1
}

// stored is the form of a column's value in rows and keys: a TIMESTAMP in UTC.
func (tg *target) stored(f *field, d datum.Datum) (datum.Datum, error) {
	if !f.toUTC || d.IsNull() {
		return d, nil
	}
	utc, err := d.Time().In(tg.env.location(), utcZone)
	return datum.NewTime(utc), err
}

// arena hands out memory for keys and values that a transaction keeps: many small ones in one allocation. Blocks grow, so that
// the statement of one row does not pay for those of thousands.
type arena struct{ block []byte }

const (
	arenaFirst = 1 << 10
	arenaMost  = 256 << 10
)

// take returns an empty slice to append to, with some room. Its result goes to keep before the next take.
func (a *arena) take() []byte {
	if room := cap(a.block) - len(a.block); room < cap(a.block)/16 || room == 0 {
		a.block = make([]byte, 0, min(max(4*cap(a.block), arenaFirst), arenaMost))
	}
	return a.block[len(a.block):len(a.block)]
}

// keep ends a slice that began as take's result; one that grew beyond the block has memory of its own.
func (a *arena) keep(b []byte) []byte {
	if n := len(a.block); len(b) <= cap(a.block)-n && len(b) > 0 && &b[0] == &a.block[:n+1][n] {
		a.block = a.block[:n+len(b)]
	}
	return b[:len(b):len(b)]
}
