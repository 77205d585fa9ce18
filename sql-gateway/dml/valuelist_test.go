package dml

import (
	"context"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// literals are texts of values: plain ones, and such that have to be left to the parser.
var literals = rapid.OneOf(
	rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,20})?`),
	rapid.StringMatching(`'([a-zé%_ ]|''|\\['"nrt0bZ%_\\x])*'`),
	rapid.SampledFrom([]string{"NULL", "null", "1e3", ".5", "5.", "- 1", "+1", "0x41", "x'41'", "b'01'", "true", "NOW()", "'a' 'b'", "_utf8'a'", "\"d\"",
		"DEFAULT", "1+1", "'2024-02-03'", "'2024-02-30'", "'12:30:01'", "007", "-0", "-0.00", "/**/1", "'\xff'", "'a\\", "NULLIF(1,1)", "''", "99999999999999999999.5"}),
)

const manyTypes = `CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a TINYINT, b BIGINT UNSIGNED, c DECIMAL(5,2), d DOUBLE, e CHAR(3), f VARCHAR(9),
	g VARBINARY(4), h DATE, i TIME(2), j BIT(9), k YEAR, l ENUM('a','b'))`

// Whether an INSERT's rows are parsed or cut out of its text, the table, the answer and the warnings are the same.
func TestCutValuesAgreeWithTheParser(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var mode mysql.SQLMode
		if rapid.Bool().Draw(rt, "raw") {
			mode = mysql.ModeNoBackslashEscapes
		}
		strict := rapid.Bool().Draw(rt, "strict")
		head := rapid.SampledFrom([]string{"INSERT INTO t (a,b) VALUES", "insert ignore into `t`(`c` , d) value ", "REPLACE INTO test.t (e,f) VALUES\n", "INSERT t (g,h) VALUES",
			"INSERT INTO t (i,j) VALUES", "INSERT INTO t (k,l) VALUES", "INSERT INTO t (f,a) VALUES"}).Draw(rt, "head")
		tail := rapid.SampledFrom([]string{"", " ", ";", " ; ", " ON DUPLICATE KEY UPDATE a = 5"}).Draw(rt, "tail")
		rows := rapid.SliceOfN(rapid.Map(rapid.SliceOfN(literals, 2, 2), func(v []string) string { return "(" + strings.Join(v, ", ") + ")" }), 2, 4).Draw(rt, "rows")
		text := head + strings.Join(rows, rapid.SampledFrom([]string{",", " ,\n"}).Draw(rt, "comma")) + tail

		bulk, ok := cutAndParse(rt, text, mode)
		if !ok {
			return
		}
		whole, err := parseMode(text, mode)
		require.NoError(rt, err, "%s", text)
		run := func(insert func(context.Context, *Env) (*Result, error)) string {
			w := newWorld(t)
			w.strict = strict
			w.create(manyTypes)
			return w.run(insert) + w.dumpRows()
		}
		cut := run(func(ctx context.Context, env *Env) (*Result, error) { return InsertBulk(ctx, env, bulk) })
		parsed := run(func(ctx context.Context, env *Env) (*Result, error) { return Insert(ctx, env, whole) })
		require.Equal(rt, parsed, cut, "%s", text)
	})
}

func cutAndParse(t require.TestingT, text string, mode mysql.SQLMode) (*BulkInsert, bool) {
	head, values, width, ok := cutValues(text, mode)
	if !ok {
		return nil, false
	}
	stmt, err := parseMode(head, mode)
	if err != nil { // REPLACE ... ON DUPLICATE KEY, say: then the session has the whole parsed
		return nil, false
	}
	require.Len(t, stmt.Lists, 1)
	require.Len(t, stmt.Lists[0], width)
	return &BulkInsert{stmt, values}, true
}

func parseMode(text string, mode mysql.SQLMode) (*ast.InsertStmt, error) {
	p := parser.New()
	p.SetSQLMode(mode)
	stmt, err := p.ParseOneStmt(text, "utf8mb4", "utf8mb4_bin")
	if err != nil {
		return nil, err
	}
	return stmt.(*ast.InsertStmt), nil
}

// What is not a plain INSERT of plain rows goes to the parser whole.
func TestTextsThatAreNotCut(t *testing.T) {
	for _, text := range []string{
		"INSERT INTO t VALUES (1)", // one row
		"INSERT INTO t VALUES (1),(2,3)",
		"INSERT INTO t VALUES (1),(2); DROP TABLE t",
		"INSERT INTO t VALUES (1),(2) -- ; and more",
		"INSERT INTO t VALUES (1),(?)",
		"INSERT INTO t VALUES (),()",
		"INSERT INTO t VALUES (1), /* two */ (2)",
		"INSERT /* hint */ INTO t VALUES (1),(2)",
		"INSERT INTO t SET a = 1",
		"INSERT INTO t SELECT 1",
		"UPDATE t SET a = VALUES (1),(2)",
		"INSERT INTO t VALUES (1),(2",
		"INSERT INTO t VALUES ('a),('b')",
		"", "INSERT", "VALUES (1),(2)", "INSERT INTO `t VALUES (1),(2)",
	} {
		_, _, _, ok := cutValues(text, 0)
		require.False(t, ok, "%s", text)
	}
}

func FuzzCutValues(f *testing.F) {
	f.Add("INSERT INTO t VALUES (1,'a''\\n'),(-2.50,NULL) ON DUPLICATE KEY UPDATE a = 1;", false)
	f.Add("replace t value('\\", true)
	f.Fuzz(func(t *testing.T, text string, raw bool) {
		var mode mysql.SQLMode
		if raw {
			mode = mysql.ModeNoBackslashEscapes
		}
		_, values, width, ok := cutValues(text, mode)
		if !ok {
			return
		}
		s := literalScanner{text: values.text, raw: raw}
		for range values.rows {
			require.Equal(t, width, s.skipRow())
			s.space()
			s.take(',')
			s.space()
		}
		require.Equal(t, len(values.text), s.pos)
	})
}
