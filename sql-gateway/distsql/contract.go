// Package distsql runs a pushed DAG over the regions of its key ranges and gives the stream of batches as an operator.
package distsql

import (
	"context"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Request is one pushed DAG over key ranges.
type Request struct {
	// DAG is sent as it is, with only per-request fields set. Executors are in list form.
	DAG *tipb.DAGRequest
	// Fields are the types of the DAG's output columns.
	Fields []*tipb.FieldType
	Ranges []kvclient.KeyRange
	TS     uint64
	// KeepOrder delivers region after region in key order; else as they come.
	KeepOrder, Desc bool
	// Concurrency is the number of region requests in flight; 0 means a default by the number of cores.
	Concurrency int
	// Stats, when not nil, is filled for EXPLAIN ANALYZE.
	Stats *Stats
	// Memory accounts for batches that wait to be read.
	Memory *executor.Memory
	// Warnings receives the stores' warnings.
	Warn func([]*tipb.Error)
}

// Stats of a request: what EXPLAIN ANALYZE shows at the reader and, per pushed executor, in the coprocessor.
type Stats struct {
	Tasks     int
	Executors []executor.Summary // in DAG order, summed over tasks
	// (owner adds what EXPLAIN needs: max/min/avg task time, rpc count, back-offs, processed keys)
}

// Select starts the request. Region errors re-cut the task, locks are resolved and the task repeated from the last
// delivered key on. The operator's Close cancels what is under way.
func Select(ctx context.Context, c *kvclient.Client, req *Request) (executor.Operator, error) {
	panic("contract")
}
