package planner

import (
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
)

var fuzzSeeds = []string{
	"SELECT a, count(*) FROM t GROUP BY a HAVING count(*) > (SELECT min(k) FROM u WHERE u.k = t.a) ORDER BY 2 LIMIT 3",
	"SELECT * FROM t LEFT JOIN u USING (id) WHERE EXISTS (SELECT 1 FROM h WHERE h.x = t.id OR h.y > u.v)",
	"SELECT (SELECT (SELECT t.a + u.k FROM h LIMIT 1) FROM u WHERE u.k = t.id) FROM t",
	"SELECT sum(a) OVER (PARTITION BY b) FROM t", "SELECT ? + 1", "SELECT a FROM t GROUP BY 1, 2", "SELECT 1 IN (NULL, 'a', 2.5, now())",
	"SELECT t.a FROM t NATURAL JOIN u NATURAL JOIN h", "SELECT CASE a WHEN 1 THEN 'x' ELSE d END FROM t", "VALUES ROW(1), ROW('a'), ROW(NULL)",
	"SELECT max(DISTINCT a), group_concat(DISTINCT b, c ORDER BY d) FROM t", "UPDATE t SET a = (SELECT max(k) FROM u), b = DEFAULT WHERE id IN (SELECT k FROM u)",
	"DELETE t, u FROM t JOIN u ON t.id = u.k WHERE t.a NOT IN (SELECT x FROM h)", "SELECT a FROM t UNION SELECT b FROM t INTERSECT SELECT d FROM t ORDER BY a",
	"SELECT date_add(a, interval b day), b + d, c DIV d, a LIKE d, d BETWEEN 1 AND 'x' FROM t", "SELECT json_object('a', a, 'd', d)->'$.a' FROM t",
	"WITH c AS (SELECT * FROM t), c2 AS (SELECT * FROM c, c x) SELECT count(*) FROM c2 a, c2 b", "SELECT a FROM t WHERE a = ALL (SELECT x FROM h)",
	"SELECT * FROM t WHERE (id, a) NOT IN (SELECT x, y FROM h WHERE h.x = t.id)", "SELECT convert(b USING latin1), cast(d AS json), b COLLATE binary FROM t",
	"SELECT 1 FROM t JOIN t t2 JOIN t t3 JOIN t t4 JOIN t t5 JOIN t t6 JOIN t t7 JOIN t t8 JOIN t t9 JOIN t t10 JOIN t t11 JOIN t t12",
	"SELECT " + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300), "SELECT 1" + strings.Repeat("+1", 3000), "SELECT a FROM t WHERE a=1" + strings.Repeat(" OR a=2", 1500),
}

// Whatever a statement says, it is planned and explained, or refused; never a panic.
func FuzzPlan(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add(s)
	}
	w := newWorld(f)
	w.ddl("CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(20), c DECIMAL(10,2), d DATE, e ENUM('x','y'), j JSON, KEY ia (a), KEY ib (b(3)))")
	w.ddl("CREATE TABLE u (k INT NOT NULL, v INT UNSIGNED, name VARCHAR(20), PRIMARY KEY (k, name))")
	w.ddl("CREATE TABLE h (x INT, y DOUBLE, z TIMESTAMP)")
	f.Fuzz(func(t *testing.T, sql string) {
		stmts, _, err := parser.New().ParseSQL(sql)
		if err != nil {
			return
		}
		for _, stmt := range stmts {
			planAny(w, stmt)
		}
	})
}

func planAny(w *world, stmt ast.StmtNode) {
	var q *Query
	var err error
	switch s := stmt.(type) {
	case *ast.UpdateStmt:
		var p *DMLPlan
		if p, err = PlanUpdate(w.context(), s); err == nil {
			q = p.Query
		}
	case *ast.DeleteStmt:
		var p *DMLPlan
		if p, err = PlanDelete(w.context(), s); err == nil {
			q = p.Query
		}
	case ast.ResultSetNode:
		q, err = PlanQuery(w.context(), s)
	}
	if q != nil && err == nil {
		q.ExplainRows(nil)
		_, _ = q.ExplainDAG() // an error is fine here, a panic is not
	}
}
