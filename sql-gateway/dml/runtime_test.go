package dml

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// memRuntime runs pushed DAGs here, over the transaction's view.
type memRuntime struct{ env *Env }

func (r memRuntime) Env() *executor.Env { return &executor.Env{Expr: r.env.Plan.Expr} }

func (r memRuntime) Virtual(context.Context, *catalog.Table) (executor.Operator, error) {
	return nil, notSupported("virtual tables")
}

func (r memRuntime) Read(ctx context.Context, req *planner.ReadRequest) (executor.Operator, error) {
	root := req.DAG.RootExecutor
	if root == nil {
		var err error
		if root, err = executor.Tree(req.DAG.Executors); err != nil {
			return nil, err
		}
	}
	env := r.Env()
	env.Partial = true
	op, err := executor.Build(root, executor.WithGiven(req.Given, func(scan *tipb.Executor) (executor.Operator, error) {
		kv := &ranges{ctx: ctx, txn: r.env.Txn, left: req.Ranges}
		if scan.TblScan != nil {
			return executor.NewTableScan(scan.TblScan, kv, env.Expr)
		}
		return executor.NewIndexScan(scan.IdxScan, kv, env.Expr)
	}), env)
	return &output{op, req}, err
}

// ranges iterates over several ranges.
type ranges struct {
	ctx  context.Context
	txn  *kvclient.Txn
	left []kvclient.KeyRange
	cur  kvclient.Iterator
}

func (r *ranges) Next() (key, val []byte, ok bool, err error) {
	for {
		if r.cur == nil {
			if len(r.left) == 0 {
				return nil, nil, false, nil
			}
			r.cur, r.left = r.txn.Scan(r.ctx, r.left[0], false), r.left[1:]
		}
		if key, val, ok, err = r.cur.Next(); ok || err != nil {
			return key, val, ok, err
		}
		r.cur.Close()
		r.cur = nil
	}
}

// output applies the output offsets of a DAG.
type output struct {
	executor.Operator
	req *planner.ReadRequest
}

func (o *output) Fields() []*tipb.FieldType { return o.req.Fields }

func (o *output) Next(ctx context.Context) (executor.Batch, error) {
	b, err := o.Operator.Next(ctx)
	if err != nil {
		return b, err
	}
	cols := make([]arrow.Array, len(o.req.DAG.OutputOffsets))
	for i, off := range o.req.DAG.OutputOffsets {
		cols[i] = b.Cols[off]
	}
	b.Cols = cols
	return b, nil
}
