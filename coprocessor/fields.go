package coprocessor

import (
	"errors"
	"fmt"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
)

// Fields are the types of the columns that a DAG gives, what a client needs to decode them. The plan says them itself:
// its operators are built over nothing and asked.
func Fields(dag *tipb.DAGRequest) (fields []*tipb.FieldType, err error) {
	defer func() {
		if r := recover(); r != nil { // as for a request
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	root, err := executor.Tree(dag.Executors)
	if err != nil {
		return nil, err
	}
	env := &executor.Env{Partial: true, Expr: &expr.Context{
		Flags: dag.Flags, SQLMode: dag.GetSqlMode(), Location: time.UTC,
		DivPrecisionIncrement: divPrecisionIncrement(dag), Warnings: &expr.Warnings{},
	}}
	op, err := executor.Build(root, func(scan *tipb.Executor) (executor.Operator, error) {
		switch scan.GetTp() {
		case tipb.ExecType_TypeIndexLookUp:
			scan = executor.Children(scan)[1]
		case tipb.ExecType_TypeExchangeReceiver:
			types := scan.GetExchangeReceiver().GetFieldTypes()
			b, err := executor.ReadBroadcast(&tipb.ExchangeReceiver{FieldTypes: types}, nil)
			if err != nil {
				return nil, err
			}
			return b.Source(), nil
		}
		return newScan(scan, nothing{}, env.Expr)
	}, env)
	if err != nil {
		return nil, err
	}
	all := op.Fields()
	if err := op.Close(); err != nil {
		return nil, err
	}
	if err := checkOffsets(dag.OutputOffsets, len(all)); err != nil {
		return nil, err
	}
	fields = make([]*tipb.FieldType, len(dag.OutputOffsets))
	for i, at := range dag.OutputOffsets {
		fields[i] = all[at]
	}
	return fields, nil
}

// nothing is an executor.KVIterator without pairs.
type nothing struct{}

func (nothing) Next() (key, val []byte, ok bool, err error) { return nil, nil, false, nil }

// newScan makes the operator of a leaf.
func newScan(scan *tipb.Executor, kv executor.KVIterator, ctx *expr.Context) (executor.Scan, error) {
	switch {
	case scan.GetTp() == tipb.ExecType_TypeTableScan && scan.TblScan != nil:
		return executor.NewTableScan(scan.TblScan, kv, ctx)
	case scan.GetTp() == tipb.ExecType_TypeIndexScan && scan.IdxScan != nil:
		return executor.NewIndexScan(scan.IdxScan, kv, ctx)
	case scan == nil:
		return nil, errors.New("no executor")
	}
	return nil, fmt.Errorf("executor %s is not supported by the store", scan.GetTp())
}

// checkOffsets refuses output columns that are not there.
func checkOffsets(offsets []uint32, columns int) error {
	for _, at := range offsets {
		if int64(at) >= int64(columns) {
			return fmt.Errorf("output offset %d, but the plan gives %d columns", at, columns)
		}
	}
	return nil
}

// divPrecisionIncrement is the digits that a division adds; an absent field means MySQL's default.
func divPrecisionIncrement(dag *tipb.DAGRequest) int {
	if dag.DivPrecisionIncrement == nil {
		return 4
	}
	return int(min(*dag.DivPrecisionIncrement, 30))
}

// DecodeDAG reads an encoded request, within the bounds that an endpoint keeps.
func DecodeDAG(data []byte) (*tipb.DAGRequest, error) {
	if err := checkMessage(data, dagType); err != nil {
		return nil, err
	}
	dag := new(tipb.DAGRequest)
	if err := dag.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("decode DAG request: %w", err)
	}
	return dag, nil
}
