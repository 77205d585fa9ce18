package planner

import (
	"context"
	"io"

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

// lookupJoinOp is an index join: the outer side is gathered, its keys become ranges of the inner side, and an ordinary hash
// join joins the gathered rows with what the ranges give. If the outer side has more rows than was thought, the inner
// side is read as a whole instead.
type lookupJoinOp struct {
	o      *opener
	p      *physJoin
	outer  executor.Operator
	join   executor.Operator
	fields []*tipb.FieldType
	held   int64 // bytes of gathered rows, charged to the query
}

func (o *opener) lookupJoin(p *physJoin) (executor.Operator, error) {
	outer := p.left
	if p.lookup.inner == p.left {
		outer = p.right
	}
	op, err := o.open(outer)
	if err != nil {
		return nil, err
	}
	return &lookupJoinOp{o: o, p: p, outer: &onceOp{Operator: op}, fields: p.Types()}, nil
}

func (l *lookupJoinOp) Fields() []*tipb.FieldType { return l.fields }

func (l *lookupJoinOp) Close() error {
	l.o.env.Memory.Shrink(l.held)
	if l.join != nil {
		return l.join.Close() // closes the outer side, too
	}
	return l.outer.Close()
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
	var gathered []executor.Batch
	rows, all := 0, false
	for limit := max(int(l.p.lookup.path.limit), 1); rows <= limit; {
		b, err := l.outer.Next(ctx)
		if err == io.EOF {
			all = true
			break
		}
		if err != nil {
			return err
		}
		kept := column.Compact(b)
		if err := l.charge(kept); err != nil {
			return err
		}
		gathered = append(gathered, kept)
		rows += kept.Rows
	}
	var ranges []kvclient.KeyRange
	if all {
		var err error
		if ranges, err = l.ranges(gathered); err != nil {
			return err
		}
	} else {
		path := *l.p.lookup.path
		path.parts = nil
		ranges, _ = path.ranges()
	}
	return l.open(gathered, ranges)
}

func (l *lookupJoinOp) charge(b executor.Batch) error {
	n := int64(0)
	for _, c := range b.Cols {
		n += int64(c.Data().SizeInBytes())
	}
	if err := l.o.env.Memory.Grow(n); err != nil {
		return err
	}
	l.held += n
	return nil
}

func (l *lookupJoinOp) open(gathered []executor.Batch, ranges []kvclient.KeyRange) error {
	sub := *l.o
	sub.leaves = map[*tipb.Executor]func() (executor.Operator, error){}
	outer := sub.leaf(nil, func() (executor.Operator, error) { return &gatheredOp{Operator: l.outer, batches: gathered}, nil })
	inner := sub.leaf(l.p.lookup.inner, func() (executor.Operator, error) {
		if len(ranges) == 0 {
			return executor.NewValues(l.p.lookup.inner.Types()), nil
		}
		if lk, ok := l.p.lookup.inner.(*physLookup); ok {
			return sub.lookup(lk, ranges)
		}
		return sub.read(l.p.lookup.inner.(*physReader), ranges)
	})
	left, right := outer, inner
	if l.p.lookup.inner == l.p.left {
		left, right = inner, outer
	}
	e, err := sub.joinOf(l.p, left, right)
	if err != nil {
		return err
	}
	join, err := executor.Build(e, func(e *tipb.Executor) (executor.Operator, error) { return sub.leaves[e]() }, l.o.env)
	l.join = join
	return err
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
func (l *lookupJoinOp) ranges(gathered []executor.Batch) ([]kvclient.KeyRange, error) {
	path := l.o.bindPath(l.p.lookup.path)
	keys, err := l.newKeyMaker(path)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var list []kvclient.KeyRange
	for _, b := range gathered {
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
	outer := l.p.left
	if l.p.lookup.inner == l.p.left {
		outer = l.p.right
	}
	input := outer.base().cols
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
