package planner

import (
	"context"
	"io"
	"maps"
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
)

// keyFilter keeps rows away from a join that cannot find a partner there: once the smaller side is read, its keys go as an
// IN list into a reader below the other side, under whatever aggregations and joins there are, so that the stores drop
// the rows.
type keyFilter struct {
	join   *physJoin
	key    *Expr   // the smaller side's key, a column
	column *Column // of the reader's scan
}

const (
	maxFilterKeys = 1 << 14 // values of an IN list
	maxFilterRows = 1 << 17 // rows in which they are looked for
	filterHope    = 8       // how far an estimate may be beyond the limits: the run will know better
	filterScan    = 4096    // rows of a scan for which a filter is worth while
	filterShare   = 0.5     // of the values that are expected to pass, at most
)

// filterKeys gives a hash join its key filters. The side whose rows are dropped must be one that only matters where it
// matches.
func (b *builder) filterKeys(j *physJoin, n *joinNode) {
	gathered, filtered, keys, targets := j.right, j.left, j.rightKeys, j.leftKeys
	small := b.estimate(n.right)
	if j.buildLeft {
		gathered, filtered, keys, targets = j.left, j.right, j.leftKeys, j.rightKeys
		small = b.estimate(n.left)
	}
	switch {
	case j.lookup != nil || j.nullAware || small.rows > filterHope*maxFilterRows:
		return
	case j.kind == joinInner || j.kind == joinSemi:
	case (j.kind == joinLeft || j.kind == joinAnti) && j.buildLeft:
	default:
		return
	}
	for i, key := range keys {
		if !key.isCol() || !targets[i].isCol() || !filterable(key.Type, targets[i].Type) {
			continue
		}
		r, col := filterTarget(filtered, targets[i].col)
		if r == nil || j.broadcast && len(keys) == 1 && r == filtered && len(r.joins()) == 0 { // the join itself comes next
			continue
		}
		if !b.worthFilter(r, col, key.col, small) {
			continue
		}
		f := &keyFilter{join: j, key: key, column: col}
		b.addFilter(r, f)
		j.filters = append(j.filters, f)
	}
	j.gathered = gathered
}

func filterable(key, target *tipb.FieldType) bool {
	return evalOf(key) == evalInt && evalOf(target) == evalInt && isUnsigned(key) == isUnsigned(target)
}

// worthFilter reports whether the keys of the small side are few among the values that the two columns draw from.
func (b *builder) worthFilter(r *physReader, col, key *Column, small *estimate) bool {
	if r.scan.rows < filterScan {
		return false
	}
	s := r.scan.scan
	domain := small.ndv[key]
	for i, c := range s.cols {
		if c == col {
			domain = math.Max(domain, b.columnNDV(s.table, s.offsets[i]))
		}
	}
	if domain == 0 { // unknown
		rows, _ := b.tableRows(s.table)
		domain = math.Pow(rows, 0.75)
	}
	keys := small.rows
	if n := small.ndvOf(key); n > 0 {
		keys = n
	}
	return keys <= filterHope*maxFilterKeys && keys < filterShare*domain
}

// filterTarget finds the reader under p that a column comes from, if dropping rows there is the same as dropping them
// from p, and the column's name there.
func filterTarget(p physical, c *Column) (*physReader, *Column) {
	switch p := p.(type) {
	case *physReader:
		return filterInside(p, p.child, c)
	case *physSelect:
		return filterTarget(p.child, c)
	case *physProject:
		for i, out := range p.cols {
			if out == c && p.exprs[i].isCol() {
				return filterTarget(p.child, p.exprs[i].col)
			}
		}
	case *physAgg:
		if k := p.keyOf(c); k != nil {
			return filterTarget(p.child, k)
		}
	case *physJoin:
		if setOf(p.left.base().cols)[c] {
			return filterTarget(p.left, c)
		}
		if p.kind == joinInner {
			return filterTarget(p.right, c)
		}
	}
	return nil, nil
}

// keyOf is the input column that a grouping gives as c; nil if c is something else.
func (p *physAgg) keyOf(c *Column) *Column {
	for i, k := range p.keys {
		if p.cols[len(p.aggs)+i] == c && k.isCol() {
			return k.col
		}
	}
	return nil
}

// filterInside is filterTarget within the pushed plan of r.
func filterInside(r *physReader, p physical, c *Column) (*physReader, *Column) {
	switch p := p.(type) {
	case *physScan:
		if setOf(p.cols)[c] {
			return r, c
		}
	case *physSelect:
		return filterInside(r, p.child, c)
	case *physAgg:
		if k := p.keyOf(c); k != nil {
			return filterInside(r, p.child, k)
		}
	case *physJoin:
		if setOf(p.left.base().cols)[c] {
			return filterInside(r, p.left, c)
		}
		if p.kind == joinInner {
			return filterTarget(p.right, c)
		}
	}
	return nil, nil
}

// addFilter puts a filter next to the conditions on a reader's scan.
func (b *builder) addFilter(r *physReader, f *keyFilter) {
	at := &r.child
	for {
		switch p := (*at).(type) {
		case *physAgg:
			at = &p.child
			continue
		case *physJoin:
			at = &p.left
			continue
		case *physSelect:
			if _, ok := p.child.(*physScan); !ok {
				at = &p.child
				continue
			}
			p.filters = append(p.filters, f)
			return
		}
		scan := (*at).base()
		*at = &physSelect{physBase: b.newBase("Selection", scan.cols, scan.rows), child: *at, filters: []*keyFilter{f}}
		return
	}
}

// conditions are those of a selection with the key lists of its filters, as far as they are known.
func (o *opener) conditions(p *physSelect) []*Expr {
	conds := p.conds[:len(p.conds):len(p.conds)]
	for _, f := range p.filters {
		if e := o.filters[f]; e != nil {
			conds = append(conds, e)
		}
	}
	if len(conds) == 0 {
		conds = append(conds, intConst(1))
	}
	return conds
}

// filterJoinOp gathers one side of a join, hands its keys to the filters, and joins.
type filterJoinOp struct {
	gatherer
	p    *physJoin
	done bool
}

func (o *opener) filterJoin(p *physJoin) (executor.Operator, error) {
	op, err := o.open(p.gathered)
	if err != nil {
		return nil, err
	}
	return &filterJoinOp{gatherer: gatherer{o: o, outer: &onceOp{Operator: op}, fields: p.Types()}, p: p}, nil
}

func (f *filterJoinOp) Next(ctx context.Context) (executor.Batch, error) {
	if f.join == nil && !f.done {
		if err := f.start(ctx); err != nil {
			return executor.Batch{}, err
		}
	}
	if f.done {
		return executor.Batch{}, io.EOF
	}
	return f.join.Next(ctx)
}

func (f *filterJoinOp) start(ctx context.Context) error {
	all, err := f.gather(ctx, maxFilterRows, math.MaxInt64)
	if err != nil {
		return err
	}
	if all && f.rows == 0 { // the joins that have filters give nothing then
		f.done = true
		return nil
	}
	sub := f.sub()
	if all {
		sub.addLists(f.p.filters, f.batches, f.p.gathered.base().cols)
	}
	other := f.p.left
	if f.p.gathered == other {
		other = f.p.right
	}
	filtered, err := sub.tree(other)
	if err != nil {
		return err
	}
	return f.open(sub, f.p, f.p.gathered, filtered)
}

// addLists tells filters the keys that were gathered, in columns cols. Others that know of o's filters do not see it.
func (o *opener) addLists(filters []*keyFilter, batches []executor.Batch, cols []*Column) {
	lists := make(map[*keyFilter]*Expr, len(o.filters)+len(filters))
	maps.Copy(lists, o.filters)
	for _, f := range filters {
		if e := f.list(batches, cols); e != nil {
			lists[f] = e
		}
	}
	o.filters = lists
}

// list is column IN (the keys of the gathered rows); nil if they are too many.
func (f *keyFilter) list(batches []executor.Batch, cols []*Column) *Expr {
	place := offsetsOf(cols)[f.key.col]
	seen := map[uint64]struct{}{}
	args := []*Expr{colExpr(f.column)}
	for _, b := range batches {
		for i := range b.Len() {
			d := datum.FromColumn(b.Cols[place], b.Row(i), f.key.Type)
			if d.IsNull() {
				continue
			}
			if _, ok := seen[d.Uint64()]; ok {
				continue
			}
			if len(seen) == maxFilterKeys {
				return nil
			}
			seen[d.Uint64()] = struct{}{}
			args = append(args, constExpr(d, f.key.Type))
		}
	}
	if len(seen) == 0 {
		return intConst(0)
	}
	return &Expr{kind: kindFunc, name: "in", sig: tipb.ScalarFuncSig_InInt, args: args, Type: boolType()}
}
