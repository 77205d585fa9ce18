package executor

import (
	"context"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/agg"
	"github.com/scree-db/scree/executor/expr"
)

// joinSide is what both sides of a join have.
type joinSide struct {
	in     Operator
	keys   []expr.Expr
	refs   []int // keys that are columns, see columnRefs
	filter *expr.Filter
	// keep: a row that the conditions refuse is not dropped, it matches nothing.
	keep bool
	// convert brings keys to the common type of both sides where it is another than the key's own.
	convert []*tipb.FieldType
}

func (s *joinSide) compile(keys, conds []*tipb.Expr, env *Env) (err error) {
	if s.keys, err = compileAll(keys, s.in.Fields(), env); err != nil {
		return err
	}
	s.refs = columnRefs(keys, len(s.in.Fields()))
	s.convert = make([]*tipb.FieldType, len(keys))
	if len(conds) > 0 {
		s.filter, err = expr.NewFilter(conds, s.in.Fields(), env.Expr)
	}
	return err
}

// unifyKeys finds the types in which the keys of both sides are compared.
func unifyKeys(left, right *joinSide) ([]*tipb.FieldType, error) {
	out := make([]*tipb.FieldType, len(left.keys))
	for i := range out {
		l, r := left.keys[i].Type(), right.keys[i].Type()
		common, err := commonType(l, r)
		if err != nil {
			return nil, err
		}
		if !samePhysical(l, common) {
			left.convert[i] = common
		}
		if !samePhysical(r, common) {
			right.convert[i] = common
		}
		out[i] = common
	}
	return out, nil
}

func samePhysical(a, b *tipb.FieldType) bool {
	if column.KindOf(a) != column.KindOf(b) {
		return false
	}
	return a.Tp != column.TypeDecimal || column.Scale(a) == column.Scale(b)
}

// commonType is the type in which values of two types are equal as bytes if they are equal as numbers.
func commonType(l, r *tipb.FieldType) (*tipb.FieldType, error) {
	lk, rk := column.KindOf(l), column.KindOf(r)
	switch {
	case lk == column.Bytes && rk == column.Bytes:
		if r.Collate >= 0 || r.Collate == -63 { // binary wins
			return r, nil
		}
		return l, nil
	case lk == column.Bytes || rk == column.Bytes:
		return nil, &UnsupportedError{What: "join of a string with a number"}
	case samePhysical(l, r):
		return l, nil
	case lk == column.Float64 || rk == column.Float64:
		return &tipb.FieldType{Tp: column.TypeDouble, Flen: 23, Decimal: -1}, nil
	}
	scale := 0
	for _, ft := range []*tipb.FieldType{l, r} {
		if ft.Tp == column.TypeDecimal {
			scale = max(scale, column.Scale(ft))
		}
	}
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: column.MaxPrecision, Decimal: int32(scale)}, nil
}

// converted returns the keys in their common types.
func (s *joinSide) converted(keys []arrow.Array) ([]arrow.Array, error) {
	for i, ft := range s.convert {
		if ft == nil {
			continue
		}
		in := s.keys[i].Type()
		b := column.NewBuilder(ft, keys[i].Len())
		for r := range keys[i].Len() {
			d := datum.FromColumn(keys[i], r, in)
			if b.Kind == column.Float64 {
				d = asFloat(d)
			}
			if err := d.AppendTo(b); err != nil {
				return nil, err
			}
		}
		keys[i] = b.Detach()
	}
	return keys, nil
}

func asFloat(d datum.Datum) datum.Datum {
	switch d.Kind() {
	case datum.Int64:
		return datum.NewFloat64(float64(d.Int64()))
	case datum.Uint64:
		return datum.NewFloat64(float64(d.Uint64()))
	case datum.Decimal:
		return datum.NewFloat64(d.Decimal().Float64())
	}
	return d
}

// buildSide is the side of a join that is in memory: its rows, and a table from keys to rows.
//
// The grouper numbers the distinct keys; the rows of key number g are order[starts[g]:starts[g+1]], or order[g] alone where
// starts is nil because no key comes twice. Without keys all rows are those of key number 0.
type buildSide struct {
	*joinSide
	rows    *collector
	cols    []arrow.Array
	grouper *agg.Grouper
	starts  []int32
	order   []int32
	nulls   []int32 // rows that would be in order but for a NULL key
	refused []bool  // rows that the conditions refused; nil: none
	account *account
}

func newBuildSide(s *joinSide, keyTypes []*tipb.FieldType, to *account) (*buildSide, error) {
	b := &buildSide{joinSide: s, account: to, rows: newCollector(s.in.Fields(), s.keys, s.refs, to)}
	if len(keyTypes) == 0 {
		return b, nil
	}
	var err error
	b.grouper, err = agg.NewGrouper(keyTypes)
	return b, err
}

// load reads the side and makes the table.
func (b *buildSide) load(ctx context.Context) error {
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
	b.cols = b.rows.columns()
	keys, err := b.converted(b.rows.values())
	if err != nil {
		return err
	}
	b.index(keys)
	size := b.rows.bytes() + int64(4*(len(b.order)+len(b.starts)))
	if b.grouper != nil {
		size += b.grouper.Bytes()
	}
	return b.account.set(size)
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
	return b.rows.add(batch, batch.Sel)
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
func (b *buildSide) index(keys []arrow.Array) {
	b.chooseRows(keys)
	rows := b.order
	if b.grouper == nil {
		b.starts = []int32{0, int32(len(rows))}
		return
	}
	if len(rows) < b.rows.rows {
		keys = gatherAll(nil, keys, rows)
	}
	ids := b.grouper.Index(keys, len(rows))
	if b.grouper.Len() == len(rows) {
		return // key number i is that of rows[i]
	}
	b.starts = make([]int32, b.grouper.Len()+1)
	for _, id := range ids {
		b.starts[id+1]++
	}
	for g := range b.grouper.Len() {
		b.starts[g+1] += b.starts[g]
	}
	at := append([]int32(nil), b.starts...)
	b.order = make([]int32, len(rows))
	for i, id := range ids {
		b.order[at[id]] = rows[i]
		at[id]++
	}
}

// chooseRows puts the rows that can match into order, and those that a NULL keeps from it into nulls.
func (b *buildSide) chooseRows(keys []arrow.Array) {
	hasNulls := slices.ContainsFunc(keys, func(a arrow.Array) bool { return a.NullN() > 0 })
	if len(b.refused) == 0 && !hasNulls {
		b.order = rowNumbers(b.rows.rows)
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
	return len(b.nulls) > 0 || (probeIsNull && len(b.order) > 0)
}

// probeSide walks the other side batch by batch.
type probeSide struct {
	*joinSide
	dense  *compactor
	batch  Batch
	active bool // batch is being worked on
	values []arrow.Array
	groups []int32 // of each selected row: key number, -1 or groupRefused
	at     int     // the selected row whose candidates come next
	within int     // how many of them are done
	pairs  pairs
	// unknown: the candidates are those that compare as unknown, of a null-aware join.
	unknown bool
	lists   [][]int32 // candidates of each selected row in that case
	sel     []int32
}

// pairs are candidates or pairs: physical rows of the probe side's batch and rows of the build side.
type pairs struct{ probe, build []int32 }

// start takes a batch.
func (p *probeSide) start(b Batch, build *buildSide) error {
	passed := b.Sel
	if p.filter != nil {
		var err error
		if passed, err = p.filter.Apply(b); err != nil {
			return err
		}
		if !p.keep {
			b.Sel = passed
		}
	}
	p.batch, p.active, p.unknown, p.at, p.within = b, true, false, 0, 0
	if err := p.lookUp(build); err != nil {
		return err
	}
	if p.filter != nil && p.keep {
		p.refuse(passed)
	}
	return nil
}

func (p *probeSide) lookUp(build *buildSide) error {
	b := p.batch
	if build.grouper == nil {
		p.groups = append(p.groups[:0], make([]int32, b.Len())...)
		if len(build.order) == 0 {
			p.refuse([]int32{})
		}
		return nil
	}
	p.values = append(p.values[:0], make([]arrow.Array, len(p.keys))...)
	if err := evalAll(p.keys, b, p.values); err != nil {
		return err
	}
	var err error
	if p.values, err = p.converted(p.values); err != nil {
		return err
	}
	p.dense.compact(p.values, b.Sel)
	p.groups = build.grouper.Find(p.values, b.Len(), p.groups)
	return nil
}

// refuse makes the rows that are not in passed match nothing.
func (p *probeSide) refuse(passed []int32) {
	if passed == nil {
		return
	}
	for i := range p.groups {
		if len(passed) > 0 && int(passed[0]) == p.batch.Row(i) {
			passed = passed[1:]
		} else {
			p.groups[i] = groupRefused
		}
	}
}

// groupRefused stands in the place of a key number for rows that the conditions refused: unlike keys that are not in the
// table (-1), they do not compare as unknown either.
const groupRefused = -2

// keyIsNull reports whether the single key of the i-th selected row is NULL.
func (p *probeSide) keyIsNull(i int) bool { return len(p.values) > 0 && p.values[0].IsNull(i) }

// candidates are the build rows that the i-th selected row is to meet.
func (p *probeSide) candidates(i int, build *buildSide) []int32 {
	switch {
	case p.unknown:
		return p.lists[i]
	case p.groups[i] < 0:
		return nil
	}
	return build.matches(p.groups[i])
}

// fill makes the next candidates, at most max of them, and reports whether there are more.
func (p *probeSide) fill(build *buildSide, max int) (more bool) {
	p.pairs.probe, p.pairs.build = p.pairs.probe[:0], p.pairs.build[:0]
	if build.starts == nil && !p.unknown {
		p.fillUnique(build, max)
		return p.at < len(p.groups)
	}
	for ; p.at < len(p.groups); p.at++ {
		list := p.candidates(p.at, build)[p.within:]
		room := max - len(p.pairs.probe)
		take := min(len(list), room)
		row := int32(p.batch.Row(p.at))
		for range take {
			p.pairs.probe = append(p.pairs.probe, row)
		}
		p.pairs.build = append(p.pairs.build, list[:take]...)
		if take < len(list) {
			p.within += take
			return true
		}
		p.within = 0
	}
	return false
}

// fillUnique is fill where no key comes twice: a row has one candidate or none.
func (p *probeSide) fillUnique(build *buildSide, max int) {
	probe, matched := p.pairs.probe, p.pairs.build
	sel, order := p.batch.Sel, build.order
	at := p.at
	for ; at < len(p.groups) && len(probe) < max; at++ {
		g := p.groups[at]
		if g < 0 {
			continue
		}
		row := int32(at)
		if sel != nil {
			row = sel[at]
		}
		probe = append(probe, row)
		matched = append(matched, order[g])
	}
	p.at, p.pairs.probe, p.pairs.build = at, probe, matched
}

// startUnknown begins the second walk of a null-aware join with conditions: rows without a pair meet the build rows that
// compare as unknown with them. It reports false if that walk is done, or there is nothing to walk.
func (p *probeSide) startUnknown(build *buildSide, state []rowState) bool {
	if p.unknown {
		return false
	}
	p.unknown, p.at, p.within = true, 0, 0
	p.lists = append(p.lists[:0], make([][]int32, len(p.groups))...)
	found := false
	all := append(append([]int32(nil), build.order...), build.nulls...)
	for i := range p.groups {
		switch {
		case p.groups[i] == groupRefused || state[p.batch.Row(i)]&rowMatched != 0:
		case p.keyIsNull(i):
			p.lists[i] = all
		default:
			p.lists[i] = build.nulls
		}
		found = found || len(p.lists[i]) > 0
	}
	return found
}

// keepTrue drops the candidates that are no pairs.
func (p *pairs) keepTrue(verdicts []verdict) {
	n := 0
	for i, v := range verdicts {
		if v == verdictTrue {
			p.probe[n], p.build[n] = p.probe[i], p.build[i]
			n++
		}
	}
	p.probe, p.build = p.probe[:n], p.build[:n]
}
