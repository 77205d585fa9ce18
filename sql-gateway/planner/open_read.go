package planner

import (
	"slices"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

const columnHandle = -1

// read asks the session for a reader's rows; ranges nil means those of its path.
func (o *opener) read(p *physReader, ranges []kvclient.KeyRange) (executor.Operator, error) {
	return o.readPlan(p, p.child, p.cols, ranges)
}

// readPlan asks for columns cols of a part of the reader's pushed plan, all of it or from the scan up to some operator.
func (o *opener) readPlan(p *physReader, plan physical, cols []*Column, ranges []kvclient.KeyRange) (executor.Operator, error) {
	req, err := o.request(p, plan, cols, ranges)
	if err != nil {
		return nil, err
	}
	if _, aggregates := plan.(*physAgg); len(req.Ranges) == 0 && !aggregates {
		return executor.NewValues(req.Fields), nil
	}
	return o.rt.Read(o.ctx, req)
}

// request describes what readPlan asks for.
func (o *opener) request(p *physReader, plan physical, cols []*Column, ranges []kvclient.KeyRange) (*ReadRequest, error) {
	list, err := o.pushed(plan)
	if err != nil {
		return nil, err
	}
	path, exact := p.scan.path, false
	if ranges == nil {
		ranges, exact = o.bindPath(path).ranges()
	}
	req := &ReadRequest{
		Table: path.table, Index: path.index, DAG: o.dagRequest(list, placesOf(cols, plan)), Fields: typesOf(cols), Ranges: ranges,
		Stats: o.stats.reader(p), Alone: o.alone,
	}
	for _, j := range slices.Backward(joinsOf(plan)) {
		req.DAG.Flags |= executor.FlagWholePlans
		if b := o.received[j]; b != nil {
			req.Given = append(req.Given, b)
		}
	}
	if exact && len(ranges) == 1 && path.isRecord() {
		req.Point = ranges[0].Start
	}
	if p.order != nil {
		req.KeepOrder, req.Desc = true, p.order.desc
	}
	return req, nil
}

// isRecord reports whether a path of constants, cut to one range, is that of a single record key.
func (p *accessPath) isRecord() bool {
	if p.index != nil || !p.unique {
		return false
	}
	for _, part := range p.parts {
		if !part.isPoint() || len(part.points) != 1 {
			return false
		}
	}
	return true
}

// isAlone reports whether a plan reads from tables once only.
func (q *Query) isAlone() bool {
	p := q.root
	for {
		if r, ok := p.(*physReader); ok {
			return len(r.joins()) == 0 && len(q.scalars) == 0 && len(q.shared) == 0
		}
		inputs := p.inputs()
		if len(inputs) != 1 {
			return false
		}
		p = inputs[0]
	}
}

// placesOf are the places of columns among those of a plan.
func placesOf(cols []*Column, plan physical) []uint32 {
	at := offsetsOf(plan.base().cols)
	out := make([]uint32, len(cols))
	for i, c := range cols {
		out[i] = uint32(at[c])
	}
	return out
}

// pushed lists the executors of a pushed plan, the scan first.
func (o *opener) pushed(p physical) ([]*tipb.Executor, error) {
	switch p := p.(type) {
	case *physScan:
		return []*tipb.Executor{o.scan(p)}, nil
	case *physJoin:
		return o.pushedJoin(p)
	}
	list, err := o.pushed(p.inputs()[0])
	if err != nil {
		return nil, err
	}
	e, err := o.describe(p, nil)
	return append(list, e), err
}

func (o *opener) scan(p *physScan) *tipb.Executor {
	t := p.path.table
	cols := make([]*tipb.ColumnInfo, len(p.scan.cols))
	for i, off := range p.scan.offsets {
		cols[i] = columnInfo(t, off)
	}
	desc := p.order != nil && p.order.desc
	if ix := p.path.index; ix != nil {
		e := o.executor(p, tipb.ExecType_TypeIndexScan)
		e.IdxScan = &tipb.IndexScan{TableId: t.ID, IndexId: ix.ID, Columns: cols, Desc: desc, PrimaryColumnIds: primaryIDs(t)}
		if ix.Unique {
			e.IdxScan.Unique = &ix.Unique
		}
		return e
	}
	e := o.executor(p, tipb.ExecType_TypeTableScan)
	e.TblScan = &tipb.TableScan{TableId: t.ID, Columns: cols, Desc: desc, PrimaryColumnIds: primaryIDs(t)}
	return e
}

func primaryIDs(t *catalog.Table) []int64 {
	if !t.CommonHandle {
		return nil
	}
	var ids []int64
	for _, off := range t.HandleColumns() {
		ids = append(ids, t.Columns[off].ID)
	}
	return ids
}

func columnInfo(t *catalog.Table, off int) *tipb.ColumnInfo {
	if off < 0 {
		return &tipb.ColumnInfo{ColumnId: columnHandle, Tp: column.TypeLongLong, ColumnLen: intLen, Flag: column.FlagNotNull, Collation: -collateBinary, PkHandle: true}
	}
	c := t.Columns[off]
	return &tipb.ColumnInfo{
		ColumnId: c.ID, Tp: c.Type.Tp, Collation: c.Type.Collate, ColumnLen: c.Type.Flen, Decimal: c.Type.Decimal,
		Flag: int32(c.Type.Flag), Elems: c.Type.Elems, DefaultVal: c.OrigDefault, PkHandle: off == t.IntHandle,
	}
}

// bindPath fills outer references into a path's values.
func (o *opener) bindPath(p *accessPath) *accessPath {
	if len(o.binds) == 0 {
		return p
	}
	out := *p
	out.parts = make([]keyPart, len(p.parts))
	for i, part := range p.parts {
		points := part.points
		part.points = make([]*Expr, len(points))
		for k, pt := range points {
			if pt != nil {
				pt = o.bind(pt)
			}
			part.points[k] = pt
		}
		if part.bounds != nil {
			part.bounds = o.bindAll(part.bounds)
		}
		out.parts[i] = part
	}
	return &out
}

// constant evaluates an expression without columns.
func (o *opener) constant(e *Expr) (datum.Datum, error) {
	e = o.bind(e)
	if e.isConst() {
		return e.val, nil
	}
	pb, err := e.pb(nil)
	if err != nil {
		return datum.Datum{}, err
	}
	arr, err := expr.EvalConst(pb, o.env.Expr)
	if err != nil {
		return datum.Datum{}, err
	}
	return cloneDatum(datum.FromColumn(arr, 0, e.Type)), nil
}
