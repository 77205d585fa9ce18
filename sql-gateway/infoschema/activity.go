package infoschema

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/scree-db/scree/sql-gateway/insight"
)

// Activity is what a gateway does and has done.
type Activity interface {
	Processes() []Process
	Statements() []insight.Summary
	// Slow reads the slow log.
	Slow() ([]insight.SlowQuery, error)
	Gateway() Gateway
	// Location is the zone that times are shown in.
	Location() *time.Location
}

// Gateway describes the gateway itself.
type Gateway struct {
	Addr, StatusAddr, Version, Revision string
	Started                             time.Time
	// MemoryUsed is what operators hold, MemoryMax the most that they held at one time, and MemoryLimit what they may; bytes.
	MemoryUsed, MemoryMax, MemoryLimit int64
}

// Process is a line of the process list.
type Process struct {
	ID                   uint64
	User, Host           string
	DB                   string
	Command, State, Info string
	Since                time.Time // the command began
	StartTS              uint64    // of the transaction; 0: there is none
	Digest               *insight.Digest
	Memory               int64 // bytes that the statement's operators hold
}

// activityProducers make the rows of tables about the gateway. Each has a twin for the whole cluster, whose rows begin with the
// gateway's address.
var activityProducers = map[string]func(Source) ([]Row, error){
	"PROCESSLIST":        processList,
	"STATEMENTS_SUMMARY": statements,
	"SLOW_QUERY":         slowQueries,
	"TIDB_TRX":           transactions,
	"MEMORY_USAGE":       memoryUsage,
}

// clusterPrefix begins the name of such a twin.
const clusterPrefix = "CLUSTER_"

// withInstance puts the gateway's address before each row.
func withInstance(src Source, rows []Row) []Row {
	for i, row := range rows {
		rows[i] = append(Row{src.Gateway().Addr}, row...)
	}
	return rows
}

func processList(src Source) ([]Row, error) {
	var rows []Row
	for _, p := range src.Processes() {
		var digest any
		if p.Digest != nil {
			digest = p.Digest.Hash
		}
		rows = append(rows, Row{p.ID, p.User, p.Host, textOrNull(p.DB), p.Command, int64(time.Since(p.Since) / time.Second), p.State, textOrNull(p.Info),
			digest, p.Memory, int64(0), textOrNull(txnStart(src, p.StartTS))})
	}
	return rows, nil
}

// txnStart is the time of a timestamp, and the timestamp.
func txnStart(src Source, ts uint64) string {
	if ts == 0 {
		return ""
	}
	return fmt.Sprintf("%s(%d)", timeOf(ts).In(src.Location()).Format("01-02 15:04:05.000"), ts)
}

func timeOf(ts uint64) time.Time { return time.UnixMilli(int64(ts >> 18)) }

func transactions(src Source) ([]Row, error) {
	var rows []Row
	for _, p := range src.Processes() {
		if p.StartTS == 0 {
			continue
		}
		state, digest, text := "Idle", any(nil), any(nil)
		if p.Digest != nil {
			state, digest, text = "Running", p.Digest.Hash, p.Digest.Text
		}
		if p.State == LockingState {
			state = "LockWaiting"
		}
		rows = append(rows, Row{p.StartTS, timeOf(p.StartTS).In(src.Location()), digest, text, state, p.Memory, p.ID, p.User, textOrNull(p.DB)})
	}
	return rows, nil
}

// LockingState is Process.State of a statement that takes locks.
const LockingState = "locking rows"

func statements(src Source) ([]Row, error) {
	var rows []Row
	for _, s := range src.Statements() {
		rows = append(rows, statementRow(src, &s))
	}
	return rows, nil
}

func statementRow(src Source, s *insight.Summary) Row {
	in := func(t time.Time) any { return t.In(src.Location()) }
	mean := func(sum uint64) int64 { return clamp(sum / max(s.Count, 1)) }
	ns := func(d time.Duration) int64 { return int64(d) }
	avg := func(p insight.Spread) int64 { return int64(p.Sum) / int64(max(s.Count, 1)) }
	return Row{in(s.Since), in(time.Now()), s.Type, textOrNull(s.DB), s.Digest.Hash, s.Digest.Text, s.User,
		clamp(s.Count), clamp(s.Errors), clamp(s.Warnings), ns(s.Latency.Sum), ns(s.Latency.Max), ns(s.Latency.Min), avg(s.Latency),
		avg(s.Parse), ns(s.Parse.Max), avg(s.Compile), ns(s.Compile.Max), clamp(s.Tasks.Sum), avg(s.Process), ns(s.Process.Max),
		avg(s.Wait), ns(s.Wait.Max), mean(s.TotalKeys.Sum), clamp(s.TotalKeys.Max), mean(s.ProcessedKeys.Sum), clamp(s.ProcessedKeys.Max),
		mean(s.Memory.Sum), clamp(s.Memory.Max), float64(s.Affected.Sum) / float64(max(s.Count, 1)), mean(s.Rows.Sum), clamp(s.Rows.Max),
		truth(s.Prepared), in(s.First), in(s.Last), s.Sample, textOrNull(s.Plan)}
}

func slowQueries(src Source) ([]Row, error) {
	list, err := src.Slow()
	if err != nil {
		return nil, err
	}
	var rows []Row
	for i := range list {
		q := &list[i]
		rows = append(rows, Row{q.Time.In(src.Location()), q.StartTS, q.User, q.Host, q.Connection, q.QueryTime, q.ParseTime, q.CompileTime,
			q.ProcessTime, q.WaitTime, q.Requests, q.TotalKeys, q.ProcessKeys, textOrNull(q.DB), truth(q.Internal), q.Digest, q.CopTasks,
			q.MemoryMax, q.Rows, q.Affected, truth(q.Prepared), truth(q.Succeeded), textOrNull(q.Plan), q.Query})
	}
	return rows, nil
}

// dataLockWaits has a row for each lock request that waits, with what its transaction runs, if that is this gateway's.
func dataLockWaits(ctx context.Context, src Source) ([]Row, error) {
	waits, err := src.LockWaits(ctx)
	if err != nil {
		return nil, err
	}
	runs := make(map[uint64]*insight.Digest)
	for _, p := range src.Processes() {
		runs[p.StartTS] = p.Digest
	}
	var rows []Row
	for _, w := range waits {
		var digest, text any
		if d := runs[w.Txn]; d != nil {
			digest, text = d.Hash, d.Text
		}
		rows = append(rows, Row{strings.ToUpper(hex.EncodeToString(w.Key)), formatKey(w.Key), w.Txn, w.WaitForTxn, digest, text})
	}
	return rows, nil
}

func memoryUsage(src Source) ([]Row, error) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	var limit any
	if n := debug.SetMemoryLimit(-1); n != math.MaxInt64 {
		limit = n
	}
	g := src.Gateway()
	return []Row{{clamp(mem.Sys - mem.HeapReleased), limit, clamp(mem.HeapInuse), g.MemoryLimit, g.MemoryUsed, g.MemoryMax}}, nil
}
