package session

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/distsql"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// Read implements planner.Runtime. The DAG goes to the stores unless the transaction has written in the ranges: then
// the very same DAG runs here, over the transaction's merged view.
func (r *run) Read(ctx context.Context, req *planner.ReadRequest) (executor.Operator, error) {
	if err := r.checkAge(req.Table); err != nil {
		return nil, err
	}
	if req.Point != nil && req.Stats == nil {
		return r.readPoint(ctx, req)
	}
	txn, err := r.s.transaction(ctx)
	if err != nil {
		return nil, err
	}
	for _, kr := range req.Ranges {
		if txn.kv.HasWrites(kr) {
			return r.readHere(ctx, req, func(desc bool) pairs { return newChain(ctx, txn.kv, req.Ranges, desc) })
		}
	}
	dreq := r.request(txn.kv, req)
	if req.Stats == nil {
		return distsql.Select(ctx, r.s.srv.client, dreq)
	}
	dreq.Stats = new(distsql.Stats)
	op, err := distsql.Select(ctx, r.s.srv.client, dreq)
	if err != nil {
		return nil, err
	}
	return &measured{op, dreq.Stats, req.Stats}, nil
}

// measured hands the statistics of a request to EXPLAIN ANALYZE when the request is over.
type measured struct {
	executor.Operator
	from *distsql.Stats
	to   *planner.ReaderStats
}

func (m *measured) Close() error {
	err := m.Operator.Close()
	m.to.Tasks += m.from.Tasks
	for i, e := range m.from.Executors {
		if i == len(m.to.Executors) {
			m.to.Executors = append(m.to.Executors, executor.Summary{})
		}
		m.to.Executors[i].Add(e)
	}
	if n := m.from.Tasks; n > 0 {
		m.to.Detail = fmt.Sprintf("max: %s, min: %s, avg: %s, tot_proc_keys: %d, tot_keys: %d", planner.FormatTime(m.from.TaskMax),
			planner.FormatTime(m.from.TaskMin), planner.FormatTime(m.from.TaskTotal/time.Duration(n)), m.from.ProcessedKeys, m.from.TotalKeys)
	}
	return err
}

func (r *run) request(txn *kvclient.Txn, req *planner.ReadRequest) *distsql.Request {
	return &distsql.Request{
		DAG: req.DAG, Given: req.Given, Fields: req.Fields, Ranges: req.Ranges, TS: txn.ReadTS(), From: r.replicas(),
		KeepOrder: req.KeepOrder, Desc: req.Desc,
		Concurrency: int(r.s.intVar("tidb_distsql_scan_concurrency")),
		Memory:      r.env.Memory,
		Env:         r.env,
		Warn:        r.addWarnings,
		Tally:       r.s.tally(),
	}
}

func (r *run) addWarnings(list []*tipb.Error) {
	w := r.env.Expr.Warnings
	for _, e := range list {
		w.Count++
		if len(w.List) < maxWarnings {
			w.List = append(w.List, e)
		}
	}
}

// pairs are what a scan in the gateway reads.
type pairs interface {
	executor.KVIterator
	close()
}

// readHere runs a pushed DAG in the gateway.
func (r *run) readHere(ctx context.Context, req *planner.ReadRequest, open func(desc bool) pairs) (executor.Operator, error) {
	root := req.DAG.RootExecutor
	if root == nil {
		var err error
		if root, err = executor.Tree(req.DAG.Executors); err != nil {
			return nil, err
		}
	}
	env := *r.env
	env.Partial = true // what the operators above expect of a store
	leaf := executor.WithGiven(req.Given, func(scan *tipb.Executor) (executor.Operator, error) { return r.leaf(scan, open) })
	op, err := executor.BuildOutput(root, req.DAG.OutputOffsets, leaf, &env)
	if err != nil {
		return nil, err
	}
	return pick(op, req.DAG.OutputOffsets, req.Fields), nil
}

func (r *run) leaf(scan *tipb.Executor, open func(desc bool) pairs) (executor.Operator, error) {
	switch {
	case scan.TblScan != nil:
		kv := open(scan.TblScan.Desc)
		op, err := executor.NewTableScan(scan.TblScan, kv, r.env.Expr)
		return closing(op, kv), err
	case scan.IdxScan != nil:
		kv := open(scan.IdxScan.Desc)
		op, err := executor.NewIndexScan(scan.IdxScan, kv, r.env.Expr)
		return closing(op, kv), err
	default:
		return nil, errNotSupported("pushed executor %s over a transaction's own writes", scan.Tp)
	}
}

// chain iterates over ranges one after another.
type chain struct {
	ctx    context.Context
	txn    *kvclient.Txn
	ranges []kvclient.KeyRange
	desc   bool
	cur    kvclient.Iterator
}

func newChain(ctx context.Context, txn *kvclient.Txn, ranges []kvclient.KeyRange, desc bool) *chain {
	return &chain{ctx: ctx, txn: txn, ranges: ranges, desc: desc}
}

// Next implements executor.KVIterator.
func (c *chain) Next() (key, val []byte, ok bool, err error) {
	for {
		if c.cur == nil {
			if len(c.ranges) == 0 {
				return nil, nil, false, nil
			}
			c.cur = c.txn.Scan(c.ctx, c.pop(), c.desc)
		}
		if key, val, ok, err = c.cur.Next(); ok || err != nil {
			return key, val, ok, err
		}
		c.close()
	}
}

func (c *chain) pop() (r kvclient.KeyRange) {
	if c.desc {
		last := len(c.ranges) - 1
		r, c.ranges = c.ranges[last], c.ranges[:last]
		return r
	}
	r, c.ranges = c.ranges[0], c.ranges[1:]
	return r
}

func (c *chain) close() {
	if c.cur != nil {
		c.cur.Close()
		c.cur = nil
	}
}

// closing has an operator close its source with itself.
func closing(op executor.Operator, kv pairs) executor.Operator {
	if op == nil {
		return nil
	}
	return &scanLeaf{op, kv}
}

type scanLeaf struct {
	executor.Operator
	kv pairs
}

func (s *scanLeaf) Close() error {
	s.kv.close()
	return s.Operator.Close()
}

// pick applies a DAG's output offsets.
func pick(op executor.Operator, offsets []uint32, fields []*tipb.FieldType) executor.Operator {
	return &picker{Operator: op, offsets: offsets, fields: fields}
}

type picker struct {
	executor.Operator
	offsets []uint32
	fields  []*tipb.FieldType
	cols    []arrow.Array
}

func (p *picker) Fields() []*tipb.FieldType { return p.fields }

func (p *picker) Next(ctx context.Context) (executor.Batch, error) {
	b, err := p.Operator.Next(ctx)
	if err != nil {
		return b, err
	}
	p.cols = p.cols[:0]
	for _, o := range p.offsets {
		if int(o) >= len(b.Cols) {
			return b, io.ErrUnexpectedEOF
		}
		p.cols = append(p.cols, b.Cols[o])
	}
	b.Cols = p.cols
	return b, nil
}

// Virtual implements planner.Runtime.
func (r *run) Virtual(ctx context.Context, t *catalog.Table) (executor.Operator, error) {
	rows, err := infoschema.Rows(ctx, t, r)
	if err != nil {
		return nil, err
	}
	types := make([]*tipb.FieldType, len(t.Columns))
	for i, c := range t.Columns {
		types[i] = c.Type
	}
	b, err := infoschema.Batch(types, rows)
	if err != nil || b.Rows == 0 {
		return executor.NewValues(types), err
	}
	return executor.NewValues(types, b), nil
}
