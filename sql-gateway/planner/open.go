package planner

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
)

// opener makes the operators of a plan. Operators that tipb can describe become one tipb tree, which executor.Build
// assembles; the others are its leaves.
//
// binds holds the constants that outer references stand for: results of scalar subqueries, and in the right side of an
// apply the columns of the left row.
type opener struct {
	ctx   context.Context
	rt    Runtime
	env   *executor.Env
	plan  *Context
	binds map[*Column]*Expr
	// filters are the key lists of the joins above.
	filters map[*keyFilter]*Expr
	shared  map[*sharedQuery]*sharedRows
	// received are the build sides of pushed joins, once they are known.
	received map[*physJoin]*executor.Broadcast
	stats    *RunStats
	leaves   map[*tipb.Executor]func() (executor.Operator, error)
	alone    bool // there is one reader in the plan
}

// Open builds the operators of a plan. Scalar subqueries run here. If the Runtime's Env collects statistics, ExplainRows
// shows those of the last run for a RunStats of nothing.
func (q *Query) Open(ctx context.Context, rt Runtime) (executor.Operator, error) {
	var stats *RunStats
	if root := rt.Env().Stats; root != nil {
		stats = &RunStats{root: root, execs: map[physical][]*tipb.Executor{}, inner: map[physical][]*tipb.Executor{}, readers: map[*physReader]*ReaderStats{}}
		q.measured = stats
	}
	return q.open(ctx, rt, stats)
}

func (q *Query) open(ctx context.Context, rt Runtime, stats *RunStats) (executor.Operator, error) {
	env := *rt.Env()
	if stats != nil {
		env.Stats = stats.root
	}
	o := &opener{ctx: ctx, rt: rt, env: &env, plan: q.ctx, binds: map[*Column]*Expr{}, stats: stats, shared: map[*sharedQuery]*sharedRows{}, alone: q.isAlone()}
	op, err := o.openRoot(q)
	switch {
	case err != nil:
		o.releaseShared()
	case len(q.shared) > 0:
		op = &releaseOp{op, o}
	}
	return op, err
}

func (o *opener) openRoot(q *Query) (executor.Operator, error) {
	for _, s := range q.scalars {
		if err := o.scalar(s); err != nil {
			return nil, err
		}
	}
	return o.open(q.root)
}

// open builds the operators of p.
func (o *opener) open(p physical) (executor.Operator, error) {
	sub := *o
	sub.leaves = map[*tipb.Executor]func() (executor.Operator, error){}
	tree, err := sub.tree(p)
	if err != nil {
		return nil, err
	}
	return executor.Build(tree, func(e *tipb.Executor) (executor.Operator, error) {
		make := sub.leaves[e]
		if make == nil {
			return nil, fmt.Errorf("planner: executor %s without an operator", e.Tp)
		}
		return make()
	}, o.env)
}

// with opens further binds for the right side of an apply.
func (o *opener) with(binds map[*Column]*Expr) *opener {
	sub := *o
	sub.binds = make(map[*Column]*Expr, len(o.binds)+len(binds))
	for c, e := range o.binds {
		sub.binds[c] = e
	}
	for c, e := range binds {
		sub.binds[c] = e
	}
	return &sub
}

// scalar runs a scalar subquery and binds its results.
func (o *opener) scalar(s *scalarSubquery) error {
	rows, err := o.run(s.plan, 2)
	if err != nil {
		return err
	}
	switch {
	case s.exists:
		found := int64(min(len(rows), 1))
		o.binds[s.out[0]] = withNotNull(intConst(found))
		return nil
	case len(rows) > 1:
		return errCode(mysql.ErrSubqueryNo1Row)
	}
	for i, c := range s.out {
		d := datum.Datum{}
		if len(rows) == 1 {
			d = rows[0][i]
		}
		o.binds[c] = constExpr(d, c.Type)
	}
	return nil
}

// run gives the first rows of a plan, at most limit.
func (o *opener) run(p physical, limit int) (rows [][]datum.Datum, err error) {
	op, err := o.open(p)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := op.Close(); err == nil {
			err = cerr
		}
	}()
	fields := op.Fields()
	for len(rows) < limit {
		b, err := op.Next(o.ctx)
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		for i := 0; i < b.Len() && len(rows) < limit; i++ {
			rows = append(rows, rowOf(b, b.Row(i), fields))
		}
	}
	return rows, nil
}

func rowOf(b executor.Batch, i int, fields []*tipb.FieldType) []datum.Datum {
	row := make([]datum.Datum, len(b.Cols))
	for k, c := range b.Cols {
		row[k] = cloneDatum(datum.FromColumn(c, i, fields[k]))
	}
	return row
}

func (o *opener) bind(e *Expr) *Expr { return e.substitute(o.binds) }

func (o *opener) bindAll(list []*Expr) []*Expr {
	out := make([]*Expr, len(list))
	for i, e := range list {
		out[i] = o.bind(e)
	}
	return out
}

// exprs translates expressions over the columns of an operator's input.
func (o *opener) exprs(list []*Expr, input []*Column) ([]*tipb.Expr, error) {
	offsets := offsetsOf(input)
	out := make([]*tipb.Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = o.bind(e).pb(offsets); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tree describes p and what is below it.
func (o *opener) tree(p physical) (*tipb.Executor, error) {
	switch p := p.(type) {
	case *physJoin:
		if len(p.filters) > 0 {
			return o.leaf(p, func() (executor.Operator, error) { return o.filterJoin(p) }), nil
		}
		if p.lookup == nil {
			return o.join(p)
		}
		return o.leaf(p, func() (executor.Operator, error) { return o.lookupJoin(p) }), nil
	case *physSelect:
		if neverHolds(o.bindAll(p.conds)) { // a scalar subquery has decided for all rows
			return o.leaf(p, func() (executor.Operator, error) { return executor.NewValues(p.Types()), nil }), nil
		}
		child, err := o.tree(p.child)
		if err != nil {
			return nil, err
		}
		return o.describe(p, child)
	case *physProject, *physAgg, *physSort, *physWindow, *physExpand:
		child, err := o.tree(p.inputs()[0])
		if err != nil {
			return nil, err
		}
		return o.describe(p, child)
	case *physLimit:
		child, err := o.tree(p.child)
		if err != nil {
			return nil, err
		}
		if p.offset == 0 {
			return o.describe(p, child)
		}
		return o.skip(p, child)
	}
	return o.leaf(p, func() (executor.Operator, error) { return o.root(p) }), nil
}

// leaf enters an operator that Build gets from us.
func (o *opener) leaf(p physical, make func() (executor.Operator, error)) *tipb.Executor {
	e := o.executor(p, tipb.ExecType_TypeExchangeReceiver)
	o.leaves[e] = make
	return e
}

func (o *opener) executor(p physical, tp tipb.ExecType) *tipb.Executor {
	id := explainID(p)
	e := &tipb.Executor{Tp: tp, ExecutorId: &id}
	o.stats.note(p, e)
	return e
}

// skip drops the rows before a LIMIT's offset.
func (o *opener) skip(p *physLimit, child *tipb.Executor) (*tipb.Executor, error) {
	sub := *o
	return o.leaf(p, func() (executor.Operator, error) {
		op, err := executor.Build(child, func(e *tipb.Executor) (executor.Operator, error) { return sub.leaves[e]() }, o.env)
		if err != nil {
			return nil, err
		}
		return &skipOp{Operator: op, skip: p.offset, left: p.count}, nil
	}), nil
}

// describe makes the executor of an operator that runs on either side.
func (o *opener) describe(p physical, child *tipb.Executor) (*tipb.Executor, error) {
	var err error
	switch p := p.(type) {
	case *physSelect:
		e := o.executor(p, tipb.ExecType_TypeSelection)
		e.Selection = &tipb.Selection{Child: child}
		e.Selection.Conditions, err = o.exprs(o.conditions(p), p.child.base().cols)
		return e, err
	case *physProject:
		e := o.executor(p, tipb.ExecType_TypeProjection)
		e.Projection = &tipb.Projection{Child: child}
		e.Projection.Exprs, err = o.exprs(p.exprs, p.child.base().cols)
		return e, err
	case *physAgg:
		return o.aggregation(p, child)
	case *physWindow:
		return o.window(p, child)
	case *physExpand:
		return o.expand(p, child)
	case *physSort:
		by, err := o.byItems(p.by, p.child.base().cols)
		if p.topN {
			e := o.executor(p, tipb.ExecType_TypeTopN)
			e.TopN = &tipb.TopN{Child: child, Limit: p.count}
			if err == nil {
				e.TopN.PartitionBy, e.TopN.OrderBy = by[:p.keys], by[p.keys:]
			}
			return e, err
		}
		e := o.executor(p, tipb.ExecType_TypeSort)
		e.Sort = &tipb.Sort{Child: child, ByItems: by}
		return e, err
	case *physLimit:
		e := o.executor(p, tipb.ExecType_TypeLimit)
		e.Limit = &tipb.Limit{Child: child, Limit: p.count}
		return e, nil
	}
	return nil, errNotSupported("%T in a pushed plan", p)
}

func (o *opener) byItems(by []orderItem, input []*Column) ([]*tipb.ByItem, error) {
	exprs, err := o.exprs(orderExprs(by), input)
	if err != nil {
		return nil, err
	}
	out := make([]*tipb.ByItem, len(by))
	for i, e := range exprs {
		out[i] = &tipb.ByItem{Expr: e, Desc: by[i].desc}
	}
	return out, nil
}

func (o *opener) aggregation(p *physAgg, child *tipb.Executor) (*tipb.Executor, error) {
	e := o.executor(p, tipb.ExecType_TypeAggregation)
	e.Aggregation = &tipb.Aggregation{Child: child}
	input := p.child.base().cols
	var err error
	if e.Aggregation.GroupBy, err = o.exprs(p.keys, input); err != nil {
		return nil, err
	}
	for _, f := range p.aggs {
		mode := p.mode
		fe := &tipb.Expr{Tp: f.tp, FieldType: f.out.Type, HasDistinct: f.distinct && mode == tipb.AggFunctionMode_CompleteMode, AggFuncMode: &mode}
		if fe.Children, err = o.exprs(f.args, input); err != nil {
			return nil, err
		}
		if fe.OrderBy, err = o.byItems(f.orderBy, input); err != nil {
			return nil, err
		}
		e.Aggregation.AggFunc = append(e.Aggregation.AggFunc, fe)
	}
	return e, nil
}

var joinTypes = [...]tipb.JoinType{
	joinInner: tipb.JoinType_TypeInnerJoin, joinLeft: tipb.JoinType_TypeLeftOuterJoin, joinSemi: tipb.JoinType_TypeSemiJoin,
	joinAnti: tipb.JoinType_TypeAntiSemiJoin, joinMark: tipb.JoinType_TypeLeftOuterSemiJoin,
}

func (o *opener) join(p *physJoin) (*tipb.Executor, error) {
	left, err := o.tree(p.left)
	if err != nil {
		return nil, err
	}
	right, err := o.tree(p.right)
	if err != nil {
		return nil, err
	}
	return o.joinOf(p, left, right)
}

func (o *opener) joinOf(p *physJoin, left, right *tipb.Executor) (*tipb.Executor, error) {
	lcols, rcols := p.left.base().cols, p.right.base().cols
	both := append(lcols[:len(lcols):len(lcols)], rcols...)
	j := &tipb.Join{JoinType: joinTypes[p.kind], Children: []*tipb.Executor{left, right}, InnerIdx: 1}
	if p.buildLeft {
		j.InnerIdx = 0
	}
	if p.nullAware {
		j.IsNullAwareSemiJoin = &p.nullAware
	}
	var err error
	if j.LeftJoinKeys, err = o.exprs(p.leftKeys, lcols); err != nil {
		return nil, err
	}
	if j.RightJoinKeys, err = o.exprs(p.rightKeys, rcols); err != nil {
		return nil, err
	}
	if j.OtherConditions, err = o.exprs(p.other, both); err != nil {
		return nil, err
	}
	if j.OtherEqConditionsFromIn, err = o.exprs(p.inEq, both); err != nil {
		return nil, err
	}
	e := o.executor(p, tipb.ExecType_TypeJoin)
	e.Join = j
	return e, nil
}

// root makes the operators that tipb does not know.
func (o *opener) root(p physical) (executor.Operator, error) {
	switch p := p.(type) {
	case *physReader:
		if len(p.joins()) > 0 {
			return o.broadcastRead(p), nil
		}
		return o.read(p, nil)
	case *physLookup:
		return o.lookup(p, nil)
	case *physUnion:
		return o.union(p)
	case *physShared:
		return o.sharedReader(p), nil
	case *physValues:
		return o.values(p)
	case *physVirtual:
		return o.virtual(p)
	case *physSingle:
		op, err := o.open(p.child)
		if err != nil {
			return nil, err
		}
		return &singleOp{Operator: op}, nil
	case *physApply:
		return o.apply(p)
	}
	return nil, errNotSupported("%T", p)
}

func (o *opener) union(p *physUnion) (executor.Operator, error) {
	var kids []executor.Operator
	for _, c := range p.children {
		op, err := o.open(c)
		if err != nil {
			for _, k := range kids {
				_ = k.Close() // the first error is the one to tell
			}
			return nil, err
		}
		kids = append(kids, op)
	}
	if len(kids) == 0 {
		return executor.NewValues(p.Types()), nil
	}
	return executor.NewUnion(kids...), nil
}

// values evaluates constant rows: one row of no columns, projected, per row.
func (o *opener) values(p *physValues) (executor.Operator, error) {
	types := p.Types()
	if len(p.rows) == 0 {
		return executor.NewValues(types), nil
	}
	if len(types) == 0 {
		return executor.NewValues(types, executor.Batch{Rows: len(p.rows)}), nil
	}
	builders := make([]*column.Builder, len(types))
	for i, ft := range types {
		builders[i] = column.NewBuilder(ft, len(p.rows))
	}
	for _, row := range p.rows {
		for i, e := range row {
			d, err := o.constant(e)
			if err != nil {
				return nil, err
			}
			if err := d.AppendTo(builders[i]); err != nil {
				return nil, err
			}
		}
	}
	cols := make([]arrow.Array, len(types))
	for i, b := range builders {
		cols[i] = b.Detach()
	}
	return executor.NewValues(types, executor.Batch{Cols: cols, Rows: len(p.rows)}), nil
}

// virtual reads an information_schema table and keeps the columns that are wanted.
func (o *opener) virtual(p *physVirtual) (executor.Operator, error) {
	op, err := o.rt.Virtual(o.ctx, p.table)
	if err != nil {
		return nil, err
	}
	return &pickOp{Operator: op, offsets: p.offsets, fields: p.Types()}, nil
}

// dagRequest is a DAG with what the statement's context says.
func (o *opener) dagRequest(list []*tipb.Executor, offsets []uint32) *tipb.DAGRequest {
	dag := &tipb.DAGRequest{Executors: list, EncodeType: tipb.EncodeType_TypeChunk, OutputOffsets: offsets}
	c := o.plan.Expr
	if c == nil {
		return dag
	}
	dag.Flags = c.Flags
	mode := c.SQLMode
	dag.SqlMode = &mode
	if c.Location != nil {
		dag.TimeZoneName = c.Location.String()
		if o.plan.Vars != nil {
			_, offset := o.plan.Vars.Now().In(c.Location).Zone()
			dag.TimeZoneOffset = int64(offset)
		}
		if c.Location == time.Local {
			dag.TimeZoneName = ""
		}
	}
	if c.DivPrecisionIncrement > 0 {
		n := uint32(c.DivPrecisionIncrement)
		dag.DivPrecisionIncrement = &n
	}
	if c.MaxAllowedPacket > 0 {
		dag.MaxAllowedPacket = &c.MaxAllowedPacket
	}
	if o.stats != nil {
		yes := true
		dag.CollectExecutionSummaries = &yes
	}
	return dag
}
