package executor

import (
	"context"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor/agg"
)

// buildSide is the side of a join that is in memory: its rows, and a table from keys to rows.
//
// The table is made of the collected rows, or is that of a Broadcast, which another join may have made.
type buildSide struct {
	*joinSide
	joinTable
	rows    *collector
	refused []bool // rows that the conditions refused; nil: none
	account *account
	shared  *Broadcast // nil: the table is this join's alone

	keyTypes []*tipb.FieldType
	split    *joinSplit // where rows go that do not fit; nil: nowhere
	// of a part of the build side: what other parts have, for null-aware joins.
	elsewhere struct{ rows, nulls bool }
}

// joinTable finds rows by their keys. The grouper numbers the distinct keys; the rows of key number g are
// order[starts[g]:starts[g+1]], or order[g] alone where starts is nil because no key comes twice. Without keys all rows are
// those of key number 0. But for the grouper's scratch memory nothing changes once it is made.
type joinTable struct {
	cols    []arrow.Array
	size    int // rows in cols
	grouper *agg.Grouper
	starts  []int32
	order   []int32
	inOrder bool    // order is 0, 1, 2 ...
	nulls   []int32 // rows that would be in order but for a NULL key
}

// forAnother is the table for a join in another goroutine.
func (t joinTable) forAnother() joinTable {
	if t.grouper != nil {
		t.grouper = t.grouper.Finder()
	}
	return t
}

func newBuildSide(s *joinSide, keyTypes []*tipb.FieldType, to *account) (*buildSide, error) {
	b := &buildSide{joinSide: s, account: to, keyTypes: keyTypes, rows: newCollector(s.in.Fields(), s.keys, s.refs)}
	if len(keyTypes) == 0 {
		return b, nil
	}
	var err error
	b.grouper, err = agg.NewGrouper(keyTypes)
	return b, err
}

// load brings the table.
func (b *buildSide) load(ctx context.Context) (err error) {
	if b.shared == nil {
		return b.make(ctx)
	}
	b.joinTable, err = b.shared.tableFor(ctx, b)
	return err
}

// make reads the side and makes the table.
func (b *buildSide) make(ctx context.Context) error {
	for {
		batch, err := b.in.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := b.add(batch); err != nil {
			return err
		}
	}
	if b.split.active() {
		return b.split.finishBuild()
	}
	b.cols, b.size = b.rows.columns(), b.rows.rows
	keys, err := b.converted(b.rows.values())
	if err != nil {
		return err
	}
	if err := b.index(ctx, keys); err != nil {
		return err
	}
	size := b.rows.bytes() + int64(4*(len(b.order)+len(b.starts)))
	if b.grouper != nil {
		size += b.grouper.Bytes()
	}
	if err := b.account.set(size); err == nil || !b.split.possible() {
		return err
	}
	return b.split.finishBuild()
}

func (b *buildSide) add(batch Batch) error {
	passed := batch.Sel
	if b.filter != nil {
		var err error
		if passed, err = b.filter.Apply(batch); err != nil {
			return err
		}
		if !b.keep {
			if batch.Sel = passed; batch.Len() == 0 {
				return nil
			}
		} else if refused := batch.Len() - (Batch{Sel: passed, Rows: batch.Rows}).Len(); refused > 0 {
			b.refuse(batch, passed)
		}
	}
	if err := b.rows.eval(batch); err != nil {
		return err
	}
	if b.split.possible() && !b.rows.fits(batch) {
		if err := b.split.splitBuild(); err != nil {
			return err
		}
	}
	if err := b.rows.add(batch, batch.Sel); err != nil {
		return err
	}
	return b.charge()
}

// charge accounts for the rows, and for their table where that can be helped.
func (b *buildSide) charge() error {
	if !b.split.possible() {
		return b.account.set(b.rows.bytes())
	}
	const perRow = 32
	tight, err := b.account.resize(b.rows.bytes() + int64(perRow*b.rows.rows) + b.split.parts.bytes())
	if !tight {
		return err
	}
	return b.split.splitBuild()
}

// refuse marks the selected rows of batch that are not in passed; both ascend. They come next in the collector.
func (b *buildSide) refuse(batch Batch, passed []int32) {
	from := b.rows.rows
	b.refused = append(b.refused, make([]bool, from+batch.Len()-len(b.refused))...)
	for i := range batch.Len() {
		if len(passed) > 0 && int(passed[0]) == batch.Row(i) {
			passed = passed[1:]
		} else {
			b.refused[from+i] = true
		}
	}
}

// index fills the table.
func (b *buildSide) index(ctx context.Context, keys []arrow.Array) error {
	b.chooseRows(keys)
	rows := b.order
	if b.grouper == nil {
		b.starts = []int32{0, int32(len(rows))}
		return nil
	}
	if len(rows) < b.rows.rows {
		keys = gatherAll(nil, keys, rows)
	}
	ids, err := b.grouper.Index(keys, len(rows), ctx.Err)
	if err != nil {
		return err
	}
	if b.grouper.Len() == len(rows) {
		return nil // key number i is that of rows[i]
	}
	b.starts = make([]int32, b.grouper.Len()+1)
	for _, id := range ids {
		b.starts[id+1]++
	}
	for g := range b.grouper.Len() {
		b.starts[g+1] += b.starts[g]
	}
	at := append([]int32(nil), b.starts...)
	b.order, b.inOrder = make([]int32, len(rows)), false
	for i, id := range ids {
		b.order[at[id]] = rows[i]
		at[id]++
	}
	return nil
}

// chooseRows puts the rows that can match into order, and those that a NULL keeps from it into nulls.
func (b *buildSide) chooseRows(keys []arrow.Array) {
	hasNulls := slices.ContainsFunc(keys, func(a arrow.Array) bool { return a.NullN() > 0 })
	if len(b.refused) == 0 && !hasNulls {
		b.order, b.inOrder = rowNumbers(b.rows.rows), true
		return
	}
	for r := range int32(b.rows.rows) {
		switch {
		case int(r) < len(b.refused) && b.refused[r]:
		case anyNull(keys, int(r)):
			b.nulls = append(b.nulls, r)
		default:
			b.order = append(b.order, r)
		}
	}
}

func anyNull(cols []arrow.Array, row int) bool {
	for _, c := range cols {
		if c.IsNull(row) {
			return true
		}
	}
	return false
}

// matches are the rows of key number g.
func (b *buildSide) matches(g int32) []int32 {
	if b.starts == nil {
		return b.order[g : g+1]
	}
	return b.order[b.starts[g]:b.starts[g+1]]
}

// unknownWith reports whether a probe key that equals no key compares as unknown with some: a NULL with any, any with NULL.
func (b *buildSide) unknownWith(probeIsNull bool) bool {
	return len(b.nulls) > 0 || b.elsewhere.nulls || (probeIsNull && (len(b.order) > 0 || b.elsewhere.rows))
}
