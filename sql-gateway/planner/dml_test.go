package planner

import (
	"context"
	"io"
	"strconv"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/expr"
)

func newDMLWorld(t *testing.T) *world {
	w := newWorld(t)
	w.ddl("CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(20) DEFAULT 'x')")
	w.ddl("CREATE TABLE h (x INT, y INT)")
	w.insert("t", "1|10|one", "2|20|two", "3|30|three")
	w.insert("h", "1|100", "2|200")
	return w
}

// drainRows opens a plan and gives its rows as text, and the values of the assignments for each.
func (w *world) drainRows(p *DMLPlan) (rows []string, assigned [][]string) {
	op, err := p.Query.Open(context.Background(), w)
	require.NoError(w.t, err)
	defer op.Close()
	for {
		b, err := op.Next(context.Background())
		if err == io.EOF {
			return rows, assigned
		}
		require.NoError(w.t, err)
		var vals [][]string
		for _, a := range p.Tables[0].Assign {
			vals = append(vals, w.evalAssign(a, p, b.Len(), func(e expr.Expr) ([]string, error) {
				arr, err := e.Eval(b)
				if err != nil {
					return nil, err
				}
				out := make([]string, b.Len())
				for i := range out {
					d := datum.FromColumn(arr, b.Row(i), e.Type())
					out[i] = "NULL"
					if !d.IsNull() {
						out[i] = string(d.AppendText(nil, e.Type()))
					}
				}
				return out, nil
			}))
		}
		for i := range b.Len() {
			rows = append(rows, lineOf(b, b.Row(i), op.Fields()))
			var r []string
			for _, v := range vals {
				r = append(r, v[i])
			}
			assigned = append(assigned, r)
		}
	}
}

func (w *world) evalAssign(a Assignment, p *DMLPlan, n int, eval func(expr.Expr) ([]string, error)) []string {
	if a.Default {
		out := make([]string, n)
		for i := range out {
			out[i] = "DEFAULT"
		}
		return out
	}
	e, err := expr.Compile(a.Expr, p.Query.Root.Types(), w.expr)
	require.NoError(w.t, err)
	out, err := eval(e)
	require.NoError(w.t, err)
	return out
}

func TestPlanUpdate(t *testing.T) {
	w := newDMLWorld(t)
	update := func(sql string) *DMLPlan {
		p, err := PlanUpdate(w.context(), w.parse(sql).(*ast.UpdateStmt))
		require.NoError(t, err, sql)
		return p
	}
	p := update("UPDATE t SET a = a + 1, b = DEFAULT WHERE id >= 2")
	require.Len(t, p.Tables, 1)
	require.Equal(t, 1, p.Tables[0].Assign[0].Column)
	require.True(t, p.Tables[0].Assign[1].Default)
	rows, vals := w.drainRows(p)
	require.Equal(t, []string{"2\t20\ttwo", "3\t30\tthree"}, rows)
	require.Equal(t, [][]string{{"21", "DEFAULT"}, {"31", "DEFAULT"}}, vals)

	_, vals = w.drainRows(update("UPDATE t SET a = (SELECT max(y) FROM h) WHERE id = 1"))
	require.Equal(t, [][]string{{"200"}}, vals)

	_, vals = w.drainRows(update("UPDATE t SET a = (SELECT y FROM h WHERE h.x = t.id LIMIT 1) ORDER BY id"))
	require.Equal(t, [][]string{{"100"}, {"200"}, {"NULL"}}, vals)

	p = update("UPDATE t JOIN h ON t.id = h.x SET t.a = h.y, h.y = 0")
	require.Equal(t, 0, p.Tables[0].First)
	require.Equal(t, 3, p.Tables[1].First)
	rows, vals = w.drainRows(p)
	require.Len(t, rows, 2)
	require.ElementsMatch(t, [][]string{{"100"}, {"200"}}, vals)

	rows, _ = w.drainRows(update("UPDATE h SET y = 1 ORDER BY y DESC LIMIT 1"))
	require.Equal(t, []string{"2\t200\t2"}, rows, "the hidden row id comes last")
}

func TestPlanDelete(t *testing.T) {
	w := newDMLWorld(t)
	del := func(sql string) *DMLPlan {
		p, err := PlanDelete(w.context(), w.parse(sql).(*ast.DeleteStmt))
		require.NoError(t, err, sql)
		return p
	}
	rows, _ := w.drainRows(del("DELETE FROM t WHERE id IN (SELECT x FROM h)"))
	require.ElementsMatch(t, []string{"1\t10\tone", "2\t20\ttwo"}, rows)
	p := del("DELETE h FROM t JOIN h ON t.id = h.x WHERE t.a = 20")
	require.Equal(t, "h", p.Tables[0].Table.Name)
	rows, _ = w.drainRows(p)
	require.Equal(t, []string{"2\t200\t2"}, rows)
	_, err := PlanDelete(w.context(), w.parse("DELETE nope FROM t JOIN h ON t.id = h.x").(*ast.DeleteStmt))
	require.ErrorContains(t, err, "Unknown table 'nope'")
}

func TestBuildScalar(t *testing.T) {
	w := newDMLWorld(t)
	sel := w.parse("SELECT a * 2 + VALUES(b)").(*ast.SelectStmt)
	cols := []Field{{Name: "a", Table: "t", Type: intType()}, {Name: "b", Table: "t", Type: intType()}, {Name: "new_b", Type: intType()}}
	e, err := BuildScalar(w.context(), sel.Fields.Fields[0].Expr, cols, map[string]int{"b": 2})
	require.NoError(t, err)
	require.Equal(t, "PlusInt", e.Sig.String())
	_, err = BuildScalar(w.context(), sel.Fields.Fields[0].Expr, cols, nil)
	require.ErrorContains(t, err, "Unknown column 'b'")
	sub := w.parse("SELECT 1 + (SELECT 2)").(*ast.SelectStmt)
	_, err = BuildScalar(w.context(), sub.Fields.Fields[0].Expr, nil, nil)
	require.ErrorContains(t, err, "doesn't yet support")
}

// EXPLAIN ANALYZE shows what each operator really gave, on both sides.
func TestExplainAnalyze(t *testing.T) {
	w := newDMLWorld(t)
	q, err := w.plan("SELECT t.a FROM t JOIN h ON t.id = h.x WHERE t.a < 15")
	require.NoError(t, err)
	stats := NewRunStats(w.Now)
	op, err := q.Analyze(context.Background(), w, stats)
	require.NoError(t, err)
	for err == nil {
		_, err = op.Next(context.Background())
	}
	require.Equal(t, io.EOF, err)
	require.NoError(t, op.Close())
	header, rows := q.ExplainRows(stats)
	require.Equal(t, []string{"id", "estRows", "actRows", "task", "access object", "execution info", "operator info", "memory", "disk"}, header)
	require.Equal(t, "1", rows[0][2], "rows of %s", rows[0][0])
	_, rows = q.ExplainRows(&RunStats{})
	require.Equal(t, "0", rows[0][2])
}

// Joins that read one side first run a join inside: its rows count once.
func TestExplainAnalyzeOfGatheringJoins(t *testing.T) {
	for sql, join := range map[string]string{
		"SELECT t.b, h.y FROM t JOIN h ON t.id = h.x":      "IndexHashJoin_",
		"SELECT t.b, h.y FROM t JOIN h ON t.a = h.x * 10":  "HashJoin_",
		"SELECT t.b, h.y FROM t JOIN h ON t.a = h.y - 190": "HashJoin_",
		"SELECT t.b, h.y FROM t JOIN h ON t.a = h.x":       "HashJoin_",
	} {
		w := newDMLWorld(t)
		w.vars["tidb_opt_broadcast_join"] = "OFF"
		w.insert("h", "10|1", "20|2")
		w.rows["t"], w.rows["h"] = 1e6, 1
		q, err := w.plan(sql)
		require.NoError(t, err)
		stats := NewRunStats(w.Now)
		op, err := q.Analyze(context.Background(), w, stats)
		require.NoError(t, err)
		n := 0
		for {
			b, err := op.Next(context.Background())
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			n += b.Len()
		}
		require.NoError(t, op.Close())
		require.Positive(t, n)
		_, lines := q.ExplainRows(stats)
		require.Contains(t, lines[1][0], join, sql)
		require.Equal(t, strconv.Itoa(n), lines[1][2], sql)
	}
}
