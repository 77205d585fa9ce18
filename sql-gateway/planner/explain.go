package planner

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/dagjson"
)

// RunStats collects what a run of a plan did: Query.Analyze fills it, ExplainRows shows it.
type RunStats struct {
	root    *executor.Stats
	execs   map[physical][]*tipb.Executor
	inner   map[physical][]*tipb.Executor // within what execs has: only their memory counts
	readers map[*physReader]*ReaderStats
}

// ReaderStats is what the stores did for one reader. The session fills it, summing up where it reads more than once.
type ReaderStats struct {
	Tasks     int
	Executors []executor.Summary // in DAG order
	// Detail goes behind "cop_task: {num: …": times, retries, keys.
	Detail string
}

// NewRunStats makes a collector that takes times from now.
func NewRunStats(now func() time.Time) *RunStats {
	return &RunStats{root: executor.NewStats(now), execs: map[physical][]*tipb.Executor{}, inner: map[physical][]*tipb.Executor{}, readers: map[*physReader]*ReaderStats{}}
}

// Analyze is Open with statistics: hand stats to ExplainRows when the operator is drained.
func (q *Query) Analyze(ctx context.Context, rt Runtime, stats *RunStats) (executor.Operator, error) {
	return q.open(ctx, rt, stats)
}

func (s *RunStats) note(p physical, e *tipb.Executor) {
	if s != nil && p != nil {
		s.execs[p] = append(s.execs[p], e)
	}
}

// noteInner tells that an executor of p, just noted, runs within another one of p.
func (s *RunStats) noteInner(p physical) {
	if s != nil {
		last := len(s.execs[p]) - 1
		s.inner[p] = append(s.inner[p], s.execs[p][last])
		s.execs[p] = s.execs[p][:last]
	}
}

func (s *RunStats) reader(p *physReader) *ReaderStats {
	if s == nil {
		return nil
	}
	if s.readers[p] == nil {
		s.readers[p] = &ReaderStats{}
	}
	return s.readers[p]
}

// summary adds up what the executors of a root operator did.
func (s *RunStats) summary(p physical) executor.Summary {
	var sum executor.Summary
	for _, e := range s.execs[p] {
		sum.Add(s.root.Get(e))
	}
	for _, e := range s.inner[p] {
		sum.MemoryMax = max(sum.MemoryMax, s.root.Get(e).MemoryMax)
	}
	return sum
}

func explainID(p physical) string {
	if p == nil {
		return "Gathered"
	}
	return p.base().name + "_" + strconv.Itoa(p.base().id)
}

const copTask = "cop[scree]"

// explainer lays out the rows of EXPLAIN.
type explainer struct {
	q     *Query
	stats *RunStats
	roles map[physical]string
	rows  [][]string
}

// ExplainRows renders EXPLAIN (and, where analyze is not nil, EXPLAIN ANALYZE) in TiDB's shape: header and rows.
func (q *Query) ExplainRows(analyze *RunStats) (header []string, rows [][]string) {
	if analyze != nil && analyze.root == nil && q.measured != nil {
		analyze = q.measured
	}
	x := &explainer{q: q, stats: analyze, roles: roles(q)}
	x.node(q.root, "", "", "root", nil)
	for i, s := range q.scalars {
		x.scalar(i, s)
	}
	for _, s := range q.shared {
		x.line(sharedID(s), Explain{Task: "root", Info: "Non-Recursive CTE", Rows: s.plan.base().rows}, "", nil)
		x.node(s.plan, "", "└─", "root", nil)
	}
	if analyze != nil {
		return []string{"id", "estRows", "actRows", "task", "access object", "execution info", "operator info", "memory", "disk"}, x.rows
	}
	return []string{"id", "estRows", "task", "access object", "operator info"}, x.rows
}

func (x *explainer) scalar(i int, s *scalarSubquery) {
	info := "Output: " + s.out[0].Name
	x.line("ScalarSubQuery_"+itoa(i+1), Explain{Task: "root", Info: info, Rows: 1}, "", nil)
	x.node(s.plan, "", "└─", "root", nil)
}

// site is where a pushed operator runs: its reader and its place in the DAG.
type site struct {
	reader *physReader
	at     int
}

func (x *explainer) node(p physical, indent, branch, task string, where *site) {
	e := p.Explain()
	e.Task = task
	x.line(indent+branch+explainID(p)+x.roles[p], e, x.execution(p, where), x.measured(p, where))
	switch branch {
	case "├─":
		indent += "│ "
	case "└─":
		indent += "  "
	}
	if l, ok := p.(*physLookup); ok {
		x.node(l.index.child, indent, "├─", copTask, &site{l.index, dagPlace(l.index.child)})
		x.node(l.table.child, indent, "└─", copTask, &site{l.table, dagPlace(l.table.child)})
		return
	}
	kids := x.children(p)
	for i, k := range kids {
		b := "├─"
		if i == len(kids)-1 {
			b = "└─"
		}
		if at := pushedSite(p, k, where); at != nil {
			x.node(k, indent, b, copTask, at)
		} else {
			x.node(k, indent, b, "root", nil)
		}
	}
}

// pushedSite is where the input of p runs, if that is on the stores; where is the site of p.
func pushedSite(p, input physical, where *site) *site {
	if r, ok := p.(*physReader); ok {
		return &site{r, dagPlace(input)}
	}
	if j, ok := p.(*physJoin); where == nil || ok && input == j.right {
		return nil
	}
	return &site{where.reader, dagPlace(input)}
}

// dagPlace is the place of p in the list of a pushed plan: the number of executors before it. A join stands behind its
// receiver.
func dagPlace(p physical) int {
	n := 0
	for len(p.inputs()) > 0 {
		if n++; len(p.inputs()) == 2 {
			n++
		}
		p = p.inputs()[0]
	}
	return n
}

// children lists a join's build side first, as TiDB does.
func (x *explainer) children(p physical) []physical {
	if j, ok := p.(*physJoin); ok && !j.buildLeft {
		return []physical{j.right, j.left}
	}
	return p.inputs()
}

// roles marks the sides of joins and look-ups.
func roles(q *Query) map[physical]string {
	m := map[physical]string{}
	var visit func(p physical)
	visit = func(p physical) {
		switch p := p.(type) {
		case *physJoin:
			b, pr := p.right, p.left
			if p.buildLeft {
				b, pr = pr, b
			}
			m[b], m[pr] = "(Build)", "(Probe)"
		case *physLookup:
			m[p.index.child], m[p.table.child] = "(Build)", "(Probe)"
		}
		for _, k := range p.inputs() {
			visit(k)
		}
	}
	visit(q.root)
	for _, s := range q.scalars {
		visit(s.plan)
	}
	for _, s := range q.shared {
		visit(s.plan)
	}
	return m
}

func (x *explainer) line(id string, e Explain, execution string, sum *executor.Summary) {
	est := strconv.FormatFloat(e.Rows, 'f', 2, 64)
	if x.stats == nil {
		x.rows = append(x.rows, []string{id, est, e.Task, e.Access, e.Info})
		return
	}
	act, mem := "0", "N/A"
	if sum != nil {
		act = strconv.FormatUint(sum.Rows, 10)
		if sum.MemoryMax > 0 {
			mem = formatBytes(sum.MemoryMax)
		}
	}
	x.rows = append(x.rows, []string{id, est, act, e.Task, e.Access, execution, e.Info, mem, "N/A"})
}

func (x *explainer) measured(p physical, where *site) *executor.Summary {
	if x.stats == nil {
		return nil
	}
	if where == nil {
		s := x.stats.summary(p)
		return &s
	}
	sum := x.stats.summary(p) // of what ran at the root because a build side was too large
	if r := x.stats.readers[where.reader]; r != nil && where.at < len(r.Executors) {
		sum.Add(r.Executors[where.at])
	} else if sum.Batches == 0 {
		return nil
	}
	return &sum
}

func (x *explainer) execution(p physical, where *site) string {
	sum := x.measured(p, where)
	if sum == nil {
		return ""
	}
	if where != nil {
		tasks := 0
		if r := x.stats.readers[where.reader]; r != nil {
			tasks = r.Tasks
		}
		info := fmt.Sprintf("scree_task:{proc:%s, iters:%d, tasks:%d}", FormatTime(sum.Time), sum.Batches, tasks)
		if sum.FromColumns+sum.Skipped > 0 {
			info += fmt.Sprintf(", columns:{rows:%d, skipped:%d}", sum.FromColumns, sum.Skipped)
		}
		return info
	}
	info := fmt.Sprintf("time:%s, loops:%d", FormatTime(sum.Time), sum.Batches)
	if r, ok := p.(*physReader); ok && x.stats.readers[r] != nil {
		rs := x.stats.readers[r]
		info += fmt.Sprintf(", cop_task: {num: %d", rs.Tasks)
		if rs.Detail != "" {
			info += ", " + rs.Detail
		}
		info += "}"
	}
	return info
}

// FormatTime writes a duration as EXPLAIN ANALYZE does, with as many digits as one reads.
func FormatTime(d time.Duration) string {
	switch {
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "s"
	case d >= time.Millisecond:
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + "ms"
	}
	return strconv.FormatFloat(float64(d)/float64(time.Microsecond), 'f', 1, 64) + "µs"
}

func formatBytes(n int64) string {
	switch {
	case n >= 1<<30:
		return strconv.FormatFloat(float64(n)/(1<<30), 'f', 2, 64) + " GB"
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 2, 64) + " MB"
	case n >= 1<<10:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 2, 64) + " KB"
	}
	return strconv.FormatInt(n, 10) + " Bytes"
}

// ExplainDAG renders EXPLAIN FORMAT='dag': one JSON document (executor/dagjson) per reader. Values of scalar subqueries
// and of index joins are not known yet, nor are the rows of receivers: the documents have NULL, the whole table and no rows
// there.
func (q *Query) ExplainDAG() ([]string, error) {
	o := &opener{plan: q.ctx, binds: map[*Column]*Expr{}, env: &executor.Env{Expr: q.ctx.Expr}}
	for _, s := range q.scalars {
		for _, c := range s.out {
			o.binds[c] = &Expr{kind: kindConst, Type: c.Type, coercion: 6}
		}
	}
	var docs []string
	var visit func(p physical) error
	visit = func(p physical) error {
		if r, ok := p.(*physReader); ok {
			doc, err := o.document(r)
			if err != nil {
				return err
			}
			docs = append(docs, doc)
			for _, j := range r.joins() {
				if err := visit(j.right); err != nil {
					return err
				}
			}
			return nil
		}
		if a, ok := p.(*physApply); ok {
			for c := range freeColumns(a.node.right) {
				o.binds[c] = &Expr{kind: kindConst, Type: c.Type, coercion: 6}
			}
		}
		for _, k := range p.inputs() {
			if err := visit(k); err != nil {
				return err
			}
		}
		return nil
	}
	for _, s := range q.scalars {
		if err := visit(s.plan); err != nil {
			return nil, err
		}
	}
	for _, s := range q.shared {
		if err := visit(s.plan); err != nil {
			return nil, err
		}
	}
	return docs, visit(q.root)
}

func (o *opener) document(r *physReader) (string, error) {
	path := *r.scan.path
	for _, p := range path.parts {
		if p.outer != nil {
			path.parts = nil
			break
		}
	}
	ranges, _ := o.bindPath(&path).ranges()
	req, err := o.request(r, r.child, r.cols, ranges)
	if err != nil {
		return "", err
	}
	doc := &dagjson.Document{Table: req.Table.DB + "." + req.Table.Name, DAG: req.DAG, Fields: req.Fields}
	for _, kr := range req.Ranges {
		doc.Ranges = append(doc.Ranges, dagjson.Range{Start: kr.Start, End: kr.End})
	}
	text, err := dagjson.Marshal(doc)
	return string(text), err
}

func plans(list ...physical) []Plan {
	out := make([]Plan, len(list))
	for i, p := range list {
		out[i] = p
	}
	return out
}

func joinStrings(list []*Expr) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.String()
	}
	return strings.Join(parts, ", ")
}
