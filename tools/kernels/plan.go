package main

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/executor"
)

// table is rows in memory.
type table struct {
	fields  []*tipb.FieldType
	batches []executor.Batch
	rows    int
}

// newTable makes rows in batches of the usual size; fill appends row i.
func newTable(rows int, fields []*tipb.FieldType, fill func(i int, out []*column.Builder)) *table {
	t := &table{fields: fields, rows: rows}
	for from := 0; from < rows; from += column.BatchSize {
		size := min(column.BatchSize, rows-from)
		out := make([]*column.Builder, len(fields))
		for c, ft := range fields {
			out[c] = column.NewBuilder(ft, size)
		}
		for i := range size {
			fill(from+i, out)
		}
		b := executor.Batch{Cols: make([]arrow.Array, len(out)), Rows: size}
		for c := range out {
			b.Cols[c] = out[c].Detach()
		}
		t.batches = append(t.batches, b)
	}
	return t
}

var (
	bigint  = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}
	date    = &tipb.FieldType{Tp: column.TypeDate, Flen: 10}
	varchar = &tipb.FieldType{Tp: column.TypeVarchar, Flen: 60, Collate: -46}
	money   = decimal(15, 2)
)

func decimal(precision, scale int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: precision, Decimal: scale}
}

// scan reads a table by its place among those that a plan is run over.
func scan(i int64) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeTableScan, TblScan: &tipb.TableScan{TableId: i}}
}

func col(i int, ft *tipb.FieldType) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, int64(i)), FieldType: ft}
}

func number(v int64) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_Int64, Val: memcmp.AppendInt64(nil, v), FieldType: bigint}
}

func text(s string) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_String, Val: []byte(s), FieldType: varchar}
}

func call(sig tipb.ScalarFuncSig, ft *tipb.FieldType, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: sig, Children: args, FieldType: ft}
}

func aggregate(tp tipb.ExprType, ft *tipb.FieldType, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tp, FieldType: ft, Children: args}
}

func selection(child *tipb.Executor, conds ...*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{Conditions: conds, Child: child}}
}

func projection(child *tipb.Executor, exprs ...*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeProjection, Projection: &tipb.Projection{Exprs: exprs, Child: child}}
}

func aggregation(child *tipb.Executor, by []*tipb.Expr, funcs ...*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeAggregation, Aggregation: &tipb.Aggregation{GroupBy: by, AggFunc: funcs, Child: child}}
}

func join(probe, build *tipb.Executor, probeKey, buildKey *tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: &tipb.Join{
		JoinType: tipb.JoinType_TypeInnerJoin, InnerIdx: 1, Children: []*tipb.Executor{probe, build},
		LeftJoinKeys: []*tipb.Expr{probeKey}, RightJoinKeys: []*tipb.Expr{buildKey},
	}}
}

func list(e ...*tipb.Expr) []*tipb.Expr { return e }
