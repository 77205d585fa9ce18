package distsql

import (
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
)

// Stats are what EXPLAIN ANALYZE shows of a request: the tasks at the reader, and the pushed executors in the
// coprocessor.
type Stats struct {
	Tasks         int
	TaskMin       time.Duration
	TaskMax       time.Duration
	TaskTotal     time.Duration
	ProcessedKeys uint64             // versions that made rows
	TotalKeys     uint64             // versions walked over
	Executors     []executor.Summary // in DAG order, summed over tasks
}

func (s *Stats) add(resp *tipb.SelectResponse, details *kvrpcpb.ExecDetailsV2) {
	if s.Executors == nil {
		s.Executors = make([]executor.Summary, len(resp.ExecutionSummaries))
	}
	var task time.Duration
	for i, e := range resp.ExecutionSummaries {
		if i >= len(s.Executors) {
			break
		}
		x := &s.Executors[i]
		x.Rows += e.GetNumProducedRows()
		x.Batches += e.GetNumIterations()
		x.Time += time.Duration(e.GetTimeProcessedNs())
		task = max(task, time.Duration(e.GetTimeProcessedNs()))
	}
	if s.Tasks == 0 || task < s.TaskMin {
		s.TaskMin = task
	}
	s.Tasks++
	s.TaskMax = max(s.TaskMax, task)
	s.TaskTotal += task
	if d := details.GetScanDetailV2(); d != nil {
		s.ProcessedKeys += d.ProcessedVersions
		s.TotalKeys += d.TotalVersions
	}
}
