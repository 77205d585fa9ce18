package session

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/distsql"
	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/insight"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// arrival is what is known of a statement before execute is called for it.
type arrival struct {
	parse    time.Duration
	digest   *insight.Digest // nil: not yet known
	prepared bool
	record   *recordRead // of a prepared statement
}

// trace is what is measured of a statement under way, for package insight.
type trace struct {
	arrival
	begin   time.Time
	compile time.Duration
	startTS uint64
	tally   distsql.Tally
	memory  atomic.Pointer[executor.Memory] // of the last attempt; others may look at it
	plan    *planner.Query
	// rows were returned, affected changed.
	rows, affected uint64
	// passed: another statement stands for this one, as that of EXECUTE does.
	passed bool
}

// newTrace begins to measure a statement.
func (s *Session) newTrace() *trace {
	t := &trace{arrival: s.coming, begin: time.Now(), startTS: s.startTS.Load()}
	s.coming = arrival{}
	return t
}

// planned notes the plan of a query.
func (r *run) planned(q *planner.Query) {
	if t := r.s.trace; t != nil {
		t.plan, t.compile = q, time.Since(t.begin)
	}
}

// returned notes the rows of a result.
func (s *Session) returned(rows uint64) {
	if s.trace != nil {
		s.trace.rows += rows
	}
}

// tally is where the stores' work is counted; nil: nobody asks.
func (s *Session) tally() *distsql.Tally {
	if s.trace == nil {
		return nil
	}
	return &s.trace.tally
}

// planAfter: what is quicker is neither slow nor worth the look at its plan.
const planAfter = time.Millisecond

// observe tells insight of a statement that has ended with err.
func (s *Session) observe(ctx context.Context, t *trace, stmt ast.StmtNode, text string, err error) {
	if t.passed || s.quiet {
		return
	}
	st := insight.Statement{
		Type: statementType(stmt), Text: text, Digest: t.digest, DB: s.db, User: s.user(), Host: s.host(), Connection: s.id, StartTS: t.startTS,
		Begin: t.begin.Add(-t.parse), Took: time.Since(t.begin) + t.parse, Parse: t.parse, Compile: t.compile,
		Stores: t.tally.Stores(), MemoryMax: t.memory.Load().Peak(), Rows: t.rows, Affected: t.affected, Warnings: len(s.warnings), Prepared: t.prepared,
	}
	if st.Digest == nil {
		st.Digest = s.srv.insight.Digest(digestible(stmt, text))
	}
	if err != nil {
		st.Code = toSQLError(ctx, err).Code
	}
	if t.plan != nil && st.Took >= planAfter {
		st.Plan = func() string { return planText(t.plan) }
	}
	s.srv.insight.Observe(&st, s.slowAfter())
}

// digestible is the part of a text that its digest is made of: an INSERT of many rows is known by its first.
func digestible(stmt ast.StmtNode, text string) string {
	if bulk, ok := stmt.(*dml.BulkInsert); ok {
		return bulk.Text()
	}
	return text
}

// statementType is TiDB's name for what kind of statement it is.
func statementType(stmt ast.StmtNode) string {
	if bulk, ok := stmt.(*dml.BulkInsert); ok {
		stmt = bulk.InsertStmt
	}
	return ast.GetStmtLabel(stmt)
}

// planText is a plan as EXPLAIN shows it, with tabs between columns.
func planText(q *planner.Query) string {
	header, rows := q.ExplainRows(nil)
	var b strings.Builder
	b.WriteString(strings.Join(header, "\t"))
	for _, row := range rows {
		b.WriteString("\n" + strings.Join(row, "\t"))
	}
	return b.String()
}

// slowAfter is from when on the session's statements are slow: long_query_time if it was set here, else the server's.
func (s *Session) slowAfter() time.Duration {
	if s.slowSet {
		return s.slow
	}
	return s.srv.insight.SlowAfter()
}

// parseSeconds reads a time in seconds, as long_query_time has it.
func parseSeconds(val string) (time.Duration, error) {
	v, err := strconv.ParseFloat(val, 64)
	if err != nil || !(v >= 0) || v > yearSeconds {
		return 0, mysql.NewErr(mysql.ErrWrongValueForVar, "long_query_time", val)
	}
	return time.Duration(v * float64(time.Second)), nil
}

// setInsight lets global variables take effect on what is recorded.
func (s *Server) setInsight(name, val string) {
	switch name {
	case "long_query_time":
		if d, err := parseSeconds(val); err == nil { // was checked
			s.insight.SetSlowAfter(d)
			s.globals.set("tidb_slow_log_threshold", strconv.FormatInt(d.Milliseconds(), 10))
		}
	case "tidb_slow_log_threshold":
		if ms, err := strconv.ParseInt(val, 10, 64); err == nil {
			s.insight.SetSlowAfter(time.Duration(ms) * time.Millisecond)
			s.globals.set("long_query_time", secondsText(s.insight.SlowAfter()))
		}
	case "slow_query_log", "tidb_enable_slow_log":
		s.insight.LogSlow(val == "ON")
		s.globals.set("slow_query_log", val)
		s.globals.set("tidb_enable_slow_log", val)
	case "tidb_enable_stmt_summary":
		s.insight.Summarise(val == "ON")
	}
}

func secondsText(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

// endTxn counts the end of a transaction.
func (s *Session) endTxn(txn *transaction, end insight.TxnEnd) {
	s.srv.insight.TxnEnded(end, time.Since(txn.since).Seconds())
}

// endOf is how a transaction ended whose COMMIT returned err.
func endOf(err error) insight.TxnEnd {
	if err != nil {
		return insight.Abort
	}
	return insight.Commit
}

var (
	connectionsDesc = prometheus.NewDesc("tidb_server_connections", "Clients that are connected.", nil, nil)
	runningDesc     = prometheus.NewDesc("scree_gateway_running_statements", "Statements under way.", nil, nil)
	memoryDesc      = prometheus.NewDesc("scree_query_memory_bytes", "Memory that operators hold, and what they may hold.", []string{"type"}, nil)
	uptimeDesc      = prometheus.NewDesc("scree_gateway_start_time_seconds", "When the gateway started, in seconds since 1970.", nil, nil)
)

var _ prometheus.Collector = (*Server)(nil)

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) {
	s.insight.Describe(ch)
	for _, d := range []*prometheus.Desc{connectionsDesc, runningDesc, memoryDesc, uptimeDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	s.insight.Collect(ch)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	connected, running := s.load()
	gauge(connectionsDesc, float64(connected))
	gauge(runningDesc, float64(running))
	gauge(memoryDesc, float64(s.cfg.Memory.Used()), "used")
	gauge(memoryDesc, float64(s.cfg.Memory.Limit()), "limit")
	gauge(uptimeDesc, float64(s.started.Unix()))
}

// load is the number of connections, and of those that run a statement.
func (s *Server) load() (connected, running int) {
	sessions := s.all()
	for _, ses := range sessions {
		if ses.busy() {
			running++
		}
	}
	return len(sessions), running
}

// Load is what the server has executed so far, and how many clients are connected and run a statement now.
func (s *Server) Load() (done insight.Load, connected, running int) {
	connected, running = s.load()
	return s.insight.Load(), connected, running
}

// openInsight starts to record what is executed.
func openInsight(cfg Config) (*insight.Recorder, error) {
	return insight.New(insight.Options{
		SlowLog: cfg.SlowLog, SlowAfter: cfg.SlowAfter,
		Failed: func(err error) { cfg.Logger.Warn("slow statements are not written down", "err", err) },
	})
}
