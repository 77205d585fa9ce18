package planner

import (
	"slices"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// PointPlan is what of a Query can be used again for other parameters: one that gives columns of a single record, whose key
// columns equal a parameter each. It holds as long as Table is what the statement's table is. Read only.
type PointPlan struct {
	Table  *catalog.Table
	Fields []Field

	path    *accessPath
	types   []*tipb.FieldType // of the parameters, that the plan was made for
	markers []int             // of the path's parts: the numbers of their parameters
	columns []row.Column
}

// Point is the plan for other parameters, or nil if the query is not of that kind. Every parameter has to be the value of a key
// column: of one that took another part in the plan, nothing would be left to see.
func (q *Query) Point() *PointPlan {
	r, ok := q.root.(*physReader)
	if !ok || r.order != nil || len(q.scalars)+len(q.shared) > 0 {
		return nil
	}
	scan, ok := r.child.(*physScan)
	if !ok || scan.order != nil || !scan.path.isRecord() {
		return nil
	}
	p := &PointPlan{Table: scan.path.table, Fields: q.Fields, path: scan.path, types: q.ctx.ParamTypes}
	for _, part := range scan.path.parts {
		ft := p.path.partType(part)
		if pt := part.points[0]; pt == nil || pt.param == 0 || slices.Contains(p.markers, pt.param-1) || !plainKey(ft) {
			return nil
		}
		p.markers = append(p.markers, part.points[0].param-1)
	}
	if len(p.markers) == 0 || len(p.markers) != len(q.ctx.Params) {
		return nil
	}
	at := offsetsOf(scan.scan.cols)
	for _, c := range r.cols {
		info := columnInfo(p.Table, scan.scan.offsets[at[c]])
		p.columns = append(p.columns, row.Column{ID: info.ColumnId, Type: executor.ColumnType(info), Default: info.DefaultVal, PKHandle: info.PkHandle})
	}
	return p
}

// plainKey are the types whose values a parameter of the same kind equals just when their keys are equal: not YEAR, to which
// 24 is 2024.
func plainKey(ft *tipb.FieldType) bool {
	switch evalOf(ft) {
	case evalInt:
		return ft.Tp != column.TypeYear && ft.Tp != column.TypeBit
	case evalString:
		return !isEnumSet(ft)
	}
	return false
}

// Key is the record's key for other parameters. ok is false where those are of other types, or no key comes of them: the
// statement has to be planned.
func (p *PointPlan) Key(params []datum.Datum, types []*tipb.FieldType) (key []byte, ok bool) {
	if len(params) != len(p.markers) {
		return nil, false
	}
	key = p.path.keyPrefix()
	for i, part := range p.path.parts {
		m := p.markers[i]
		if params[m].IsNull() || !alike(types[m], p.types[m]) {
			return nil, false
		}
		var f fit
		if key, f = p.path.appendDatum(key, params[m], p.path.partType(part)); f != fits {
			return nil, false
		}
	}
	return key, true
}

func alike(a, b *tipb.FieldType) bool {
	return a.Tp == b.Tp && a.Flag == b.Flag && a.Collate == b.Collate && a.Charset == b.Charset
}

// Columns are the result's, and PrimaryIDs the columns of a key that is not an integer: what a row.Decoder is made from.
func (p *PointPlan) Columns() []row.Column { return p.columns }

// PrimaryIDs, see Columns.
func (p *PointPlan) PrimaryIDs() []int64 { return primaryIDs(p.Table) }
