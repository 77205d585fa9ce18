package planner

import (
	"context"
	"io"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// lookupBatch is the number of rows that an index look-up fetches at a time: small at first, so that a LIMIT above costs
// little.
const (
	lookupBatchMin = 256
	lookupBatchMax = 20000
)

// lookupOp reads handles from an index and rows by their handles, a batch of handles at a time. Rows come in the order of
// the record keys within a batch.
type lookupOp struct {
	o      *opener
	p      *physLookup
	index  executor.Operator
	fields []*tipb.FieldType
	places []int // of the handle in the index reader's columns
	rows   executor.Operator
	batch  int
	done   bool
	pend   executor.Batch // index rows not yet taken
	at     int
}

// lookup opens an index look-up; ranges nil means those of the index's path.
func (o *opener) lookup(p *physLookup, ranges []kvclient.KeyRange) (executor.Operator, error) {
	index, err := o.read(p.index, ranges)
	if err != nil {
		return nil, err
	}
	l := &lookupOp{o: o, p: p, index: index, fields: p.Types(), batch: lookupBatchMin}
	offsets := offsetsOf(p.index.cols)
	for _, c := range p.handle {
		l.places = append(l.places, offsets[c])
	}
	return l, nil
}

func (l *lookupOp) Fields() []*tipb.FieldType { return l.fields }

func (l *lookupOp) Close() error {
	err := l.index.Close()
	if l.rows != nil {
		if rerr := l.rows.Close(); err == nil {
			err = rerr
		}
	}
	return err
}

func (l *lookupOp) Next(ctx context.Context) (executor.Batch, error) {
	for {
		if l.rows != nil {
			b, err := l.rows.Next(ctx)
			if err != io.EOF {
				return b, err
			}
			rows := l.rows
			l.rows = nil
			if err := rows.Close(); err != nil {
				return executor.Batch{}, err
			}
		}
		handles, err := l.handles(ctx)
		if err != nil {
			return executor.Batch{}, err
		}
		if len(handles) == 0 {
			return executor.Batch{}, io.EOF
		}
		if l.rows, err = l.o.read(l.p.table, handleRanges(l.p.table.scan.path.table, handles)); err != nil {
			return executor.Batch{}, err
		}
	}
}

// handles takes the next batch of handles from the index.
func (l *lookupOp) handles(ctx context.Context) ([][]byte, error) {
	var out [][]byte
	for len(out) < l.batch {
		if l.at >= l.pend.Len() {
			if l.done {
				break
			}
			b, err := l.index.Next(ctx)
			if err == io.EOF {
				l.done, l.pend, l.at = true, executor.Batch{}, 0
				break
			}
			if err != nil {
				return nil, err
			}
			l.pend, l.at = b, 0
			continue
		}
		h, err := l.handle(l.pend.Row(l.at))
		if err != nil {
			return nil, err
		}
		out = append(out, h)
		l.at++
	}
	l.batch = min(l.batch*4, lookupBatchMax)
	return out, nil
}

func (l *lookupOp) handle(row int) ([]byte, error) {
	var h []byte
	t := l.p.table.scan.path.table
	for i, place := range l.places {
		ft := l.p.handle[i].Type
		d := datum.FromColumn(l.pend.Cols[place], row, ft)
		if !t.CommonHandle {
			return tablekey.IntHandle(int64(d.Uint64())), nil
		}
		var err error
		if h, err = datum.AppendKey(h, d, t.Columns[t.HandleColumns()[i]].Type); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// gatherer is the part that joins have in common which look at one side's rows before they read the other side.
type gatherer struct {
	o       *opener
	outer   executor.Operator
	join    executor.Operator // nil before the outer side was looked at
	fields  []*tipb.FieldType
	batches []executor.Batch // of the outer side
	rows    int
	held    int64 // bytes of gathered rows, charged to the query
	padding int64 // bytes that a row has more where it goes, which count for gather's limit alone
	yields  bool  // gather ends where memory is short
}

func (g *gatherer) Fields() []*tipb.FieldType { return g.fields }

func (g *gatherer) Close() error {
	g.o.env.Memory.Shrink(g.held)
	g.held = 0
	if g.join != nil {
		return g.join.Close() // closes the outer side, too
	}
	return g.outer.Close()
}

// onceOp may be closed again: by the join that failed to be built and by its owner.
type onceOp struct {
	executor.Operator
	closed bool
}

func (o *onceOp) Close() error {
	if o.closed {
		return nil
	}
	o.closed = true
	return o.Operator.Close()
}

// gather reads outer rows up to limits of rows and bytes; all tells whether there are no more.
func (g *gatherer) gather(ctx context.Context, limit int, bytes int64) (all bool, err error) {
	for g.rows <= limit && g.size() <= bytes && !(g.yields && g.o.env.Memory.Tight(g.held)) {
		b, err := g.outer.Next(ctx)
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		kept := column.Compact(b)
		if err := g.charge(kept); err != nil {
			return false, err
		}
		g.batches = append(g.batches, kept)
		g.rows += kept.Rows
	}
	return false, nil
}

func (g *gatherer) size() int64 { return g.held + int64(g.rows)*g.padding }

func (g *gatherer) charge(b executor.Batch) error {
	n := int64(0)
	for _, c := range b.Cols {
		n += int64(c.Data().SizeInBytes())
	}
	if err := g.o.env.Memory.Grow(n); err != nil {
		return err
	}
	g.held += n
	return nil
}

// sub is an opener for the join, with leaves of its own.
func (g *gatherer) sub() *opener {
	sub := *g.o
	sub.leaves = map[*tipb.Executor]func() (executor.Operator, error){}
	return &sub
}

// open builds the join of the outer side, gathered rows first, and the inner one.
func (g *gatherer) open(sub *opener, p *physJoin, outerSide physical, inner *tipb.Executor) error {
	outer := sub.leaf(nil, func() (executor.Operator, error) { return &gatheredOp{Operator: g.outer, batches: g.batches}, nil })
	left, right := outer, inner
	if outerSide == p.right {
		left, right = inner, outer
	}
	e, err := sub.joinOf(p, left, right)
	if err != nil {
		return err
	}
	sub.stats.noteInner(p)
	join, err := executor.Build(e, func(e *tipb.Executor) (executor.Operator, error) { return sub.leaves[e]() }, g.o.env)
	g.join = join
	return err
}

// lookupJoinOp is an index join: the outer side is gathered, its keys become ranges of the inner side, and an ordinary hash
// join joins the gathered rows with what the ranges give. If the outer side has more rows than was thought, the inner
// side is read as a whole instead.
type lookupJoinOp struct {
	gatherer
	p *physJoin
}

func (o *opener) lookupJoin(p *physJoin) (executor.Operator, error) {
	op, err := o.open(p.outer())
	if err != nil {
		return nil, err
	}
	return &lookupJoinOp{gatherer{o: o, outer: &onceOp{Operator: op}, fields: p.Types()}, p}, nil
}

// outer is the side of an index join that is read first.
func (p *physJoin) outer() physical {
	if p.lookup.inner == p.left {
		return p.right
	}
	return p.left
}

func (l *lookupJoinOp) Next(ctx context.Context) (executor.Batch, error) {
	if l.join == nil {
		if err := l.start(ctx); err != nil {
			return executor.Batch{}, err
		}
	}
	return l.join.Next(ctx)
}

// start gathers the outer rows and opens the join.
func (l *lookupJoinOp) start(ctx context.Context) error {
	all, err := l.gather(ctx, max(int(l.p.lookup.path.limit), 1), math.MaxInt64)
	if err != nil {
		return err
	}
	var ranges []kvclient.KeyRange
	if all {
		if ranges, err = l.ranges(); err != nil {
			return err
		}
	} else {
		path := *l.p.lookup.path
		path.parts = nil
		ranges, _ = path.ranges()
	}
	sub := l.sub()
	inner := sub.leaf(l.p.lookup.inner, func() (executor.Operator, error) {
		if len(ranges) == 0 {
			return executor.NewValues(l.p.lookup.inner.Types()), nil
		}
		if lk, ok := l.p.lookup.inner.(*physLookup); ok {
			return sub.lookup(lk, ranges)
		}
		return sub.read(l.p.lookup.inner.(*physReader), ranges)
	})
	return l.open(sub, l.p, l.p.outer(), inner)
}

// gatheredOp gives gathered batches and then the rest of what they were gathered from.
type gatheredOp struct {
	executor.Operator
	batches []executor.Batch
}

func (g *gatheredOp) Next(ctx context.Context) (executor.Batch, error) {
	if len(g.batches) > 0 {
		b := g.batches[0]
		g.batches = g.batches[1:]
		return b, nil
	}
	return g.Operator.Next(ctx)
}

// ranges turns the keys of the outer rows to ranges of the inner side.
func (l *lookupJoinOp) ranges() ([]kvclient.KeyRange, error) {
	path := l.o.bindPath(l.p.lookup.path)
	keys, err := l.newKeyMaker(path)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var list []kvclient.KeyRange
	for _, b := range l.batches {
		if err := keys.eval(b); err != nil {
			return nil, err
		}
		for i := range b.Rows {
			key, f := keys.key(i)
			switch {
			case f == unknown:
				path.parts = nil
				all, _ := path.ranges()
				return all, nil
			case f == fits && !seen[string(key)]:
				seen[string(key)] = true
				list = append(list, kvclient.KeyRange{Start: key, End: tablekey.PrefixNext(key)})
			}
		}
	}
	return sortRanges(list), nil
}

// keyMaker makes key prefixes of rows: constants and outer expressions in the key's order.
type keyMaker struct {
	path  *accessPath
	exprs []expr.Expr // nil for a constant
	cols  []arrow.Array
	buf   []byte
}

func (l *lookupJoinOp) newKeyMaker(path *accessPath) (*keyMaker, error) {
	input := l.p.outer().base().cols
	k := &keyMaker{path: path, exprs: make([]expr.Expr, len(path.parts)), cols: make([]arrow.Array, len(path.parts))}
	for i, part := range path.parts {
		if part.outer == nil {
			continue
		}
		pb, err := l.o.exprs([]*Expr{part.outer}, input)
		if err != nil {
			return nil, err
		}
		if k.exprs[i], err = expr.Compile(pb[0], l.outer.Fields(), l.o.env.Expr); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *keyMaker) eval(b executor.Batch) error {
	for i, e := range k.exprs {
		if e == nil {
			continue
		}
		var err error
		if k.cols[i], err = e.Eval(b); err != nil {
			return err
		}
	}
	return nil
}

// key is the key prefix of row i; NULL matches nothing.
func (k *keyMaker) key(i int) ([]byte, fit) {
	key := k.path.keyPrefix()
	for n, part := range k.path.parts {
		var f fit
		ft := k.path.partType(part)
		if k.exprs[n] == nil {
			if key, f = k.path.appendPoint(key, part.points[0], ft); f != fits {
				return nil, f
			}
			continue
		}
		d := datum.FromColumn(k.cols[n], i, k.exprs[n].Type())
		if d.IsNull() {
			return nil, never
		}
		if k.path.intHandle() && d.Kind() == datum.Int64 && !isUnsigned(ft) {
			key = memcmp.AppendInt64(key, d.Int64())
			continue
		}
		if key, f = k.path.appendDatum(key, d, ft); f != fits {
			return nil, f
		}
	}
	return key, fits
}
