package distsql

import (
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/insight"
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

// addBelow counts requests for the first executors of a DAG of n, of which the others ran elsewhere.
func (s *Stats) addBelow(below *Stats, n int) {
	if s.Executors == nil {
		s.Executors = make([]executor.Summary, n)
	}
	for i, x := range below.Executors {
		s.Executors[i].Rows += x.Rows
		s.Executors[i].Batches += x.Batches
		s.Executors[i].Time += x.Time
	}
	if s.Tasks == 0 || below.TaskMin < s.TaskMin {
		s.TaskMin = below.TaskMin
	}
	s.Tasks += below.Tasks
	s.TaskMax = max(s.TaskMax, below.TaskMax)
	s.TaskTotal += below.TaskTotal
	s.ProcessedKeys += below.ProcessedKeys
	s.TotalKeys += below.TotalKeys
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
		columns := e.GetTiflashScanContext()
		s.Executors[i].Add(executor.Summary{
			Rows: e.GetNumProducedRows(), Batches: e.GetNumIterations(), Time: time.Duration(e.GetTimeProcessedNs()),
			FromColumns: columns.GetDmfileDataScannedRows(), Skipped: columns.GetDmfileDataSkippedRows(),
		})
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

// Tally sums up what stores do for a statement, whatever the number of its requests. A nil Tally counts nothing. Safe for
// concurrent use.
type Tally struct {
	tasks, processNs, waitNs, totalKeys, processedKeys atomic.Uint64
}

func (t *Tally) add(d *kvrpcpb.ExecDetailsV2) {
	if t == nil {
		return
	}
	t.tasks.Add(1)
	if times := d.GetTimeDetailV2(); times != nil {
		t.processNs.Add(times.ProcessWallTimeNs)
		t.waitNs.Add(times.WaitWallTimeNs)
	}
	if scan := d.GetScanDetailV2(); scan != nil {
		t.totalKeys.Add(scan.TotalVersions)
		t.processedKeys.Add(scan.ProcessedVersions)
	}
}

// Stores is what was counted so far.
func (t *Tally) Stores() insight.Stores {
	return insight.Stores{
		Tasks: int(t.tasks.Load()), Process: time.Duration(t.processNs.Load()), Wait: time.Duration(t.waitNs.Load()),
		TotalKeys: t.totalKeys.Load(), ProcessedKeys: t.processedKeys.Load(),
	}
}
