package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// newStar has a fact table that is believed to be large, and two small tables.
func newStar(t *testing.T, facts, d, e []string) *world {
	w := newWorld(t)
	w.ddl("CREATE TABLE f (id INT PRIMARY KEY, a INT, b INT)")
	w.ddl("CREATE TABLE d (x INT, y INT)")
	w.ddl("CREATE TABLE e (x INT NOT NULL, y INT)")
	w.insert("f", facts...)
	w.insert("d", d...)
	w.insert("e", e...)
	w.rows["f"], w.rows["d"], w.rows["e"] = 1e6, 1000, 500
	return w
}

func drawRows(t *rapid.T, name string, columns, max int, nulls bool) []string {
	low := 0
	if nulls {
		low = -1
	}
	cell := rapid.Custom(func(t *rapid.T) string {
		if v := rapid.IntRange(low, 5).Draw(t, "v"); v >= 0 {
			return strconv.Itoa(v)
		}
		return "NULL"
	})
	rows := rapid.SliceOfN(rapid.SliceOfN(cell, columns, columns), 0, max).Draw(t, name)
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = strings.Join(r, "|")
	}
	return out
}

// drawStarQuery draws joins of the fact table with the small ones, and what stands above them.
func drawStarQuery(t *rapid.T) string {
	from := "f"
	last, outputs := "f.b", []string{"f.id", "f.a", "f.b"}
	for _, table := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"d", "e"}), 0, 2, rapid.ID[string]).Draw(t, "tables") {
		kind := rapid.SampledFrom([]string{"JOIN", "JOIN", "LEFT JOIN"}).Draw(t, "kind")
		on := rapid.SampledFrom([]string{"f.a = T.x", "f.b = T.y AND f.a = T.x", "f.a + 1 = T.x AND f.b > T.y",
			"f.a <=> T.y", "LAST = T.x AND T.y < 4", "f.b < T.x AND T.y = 1"}).Draw(t, "on")
		from += " " + kind + " " + table + " ON " + strings.NewReplacer("T.", table+".", "LAST", last).Replace(on)
		last = table + ".y"
		outputs = append(outputs, table+".x", table+".y")
	}
	where := rapid.SampledFrom([]string{"TRUE", "f.b IN (SELECT y FROM d)", "f.b NOT IN (SELECT y FROM d)", "f.a NOT IN (SELECT x FROM e)",
		"EXISTS (SELECT 1 FROM d d2 WHERE d2.x = f.a AND d2.y > f.b)", "NOT EXISTS (SELECT 1 FROM d d2 WHERE d2.x = f.a AND d2.y > f.b)",
		"f.a NOT IN (SELECT x FROM d d2 WHERE d2.y = f.b)", "f.a > 2 OR f.b IN (SELECT y FROM d)", last + " > 1", "f.b < 4 AND " + last + " IS NULL",
	}).Draw(t, "where")
	switch out := strings.Join(outputs, ", "); rapid.IntRange(0, 5).Draw(t, "above") {
	case 0:
		return "SELECT COUNT(*), SUM(" + last + "), MIN(f.a), AVG(f.id) FROM " + from + " WHERE " + where
	case 1:
		return "SELECT f.a, COUNT(" + last + "), MAX(f.id) FROM " + from + " WHERE " + where + " GROUP BY f.a"
	case 2:
		return "SELECT " + last + ", COUNT(DISTINCT f.a) FROM " + from + " WHERE " + where + " GROUP BY " + last
	case 3:
		return "SELECT " + out + " FROM " + from + " WHERE " + where + " ORDER BY " + out + " LIMIT 3"
	case 4:
		return "SELECT f.a, " + last + ", SUM(f.b) FROM " + from + " WHERE " + where + " GROUP BY f.a, " + last + " WITH ROLLUP"
	default:
		return "SELECT " + out + " FROM " + from + " WHERE " + where
	}
}

// A query gives the same rows with its joins at the root, on the stores, and planned for the stores but at the root because a
// build side is too large.
func TestBroadcastJoins(t *testing.T) {
	pushed := 0
	rapid.Check(t, func(rt *rapid.T) {
		facts := drawRows(rt, "f", 2, 20, true)
		for i, r := range facts {
			facts[i] = fmt.Sprintf("%d|%s", i, r)
		}
		w := newStar(t, facts, drawRows(rt, "d", 2, 8, true), drawRows(rt, "e", 2, 8, false))
		sql := drawStarQuery(rt)
		results := map[string][]string{}
		for _, v := range []string{"", varBroadcastRows, varBroadcastBytes} {
			w.vars[v] = "0"
			rows, err := w.query(sql)
			require.NoError(rt, err, sql)
			slices.Sort(rows)
			results[v] = rows
			delete(w.vars, v)
			if v == "" {
				pushed += w.given
			}
		}
		require.Equal(rt, results[varBroadcastRows], results[""], sql)
		require.Equal(rt, results[varBroadcastRows], results[varBroadcastBytes], sql)
	})
	require.Positive(t, pushed, "some joins ran on the stores")
}

// The limits at run time hold for rows as well: the first build side goes to the stores, the second does not fit, and what is
// above its join runs at the root.
func TestBroadcastTooLarge(t *testing.T) {
	w := newStar(t, []string{"1|1|1", "2|2|1", "3|3|2"}, []string{"1|10", "2|20", "3|30"}, []string{"1|100", "2|200"})
	w.rows["d"], w.rows["e"] = 2, 1
	w.vars[varBroadcastRows] = "2"
	const sql = "SELECT e.y, COUNT(*), SUM(d.y) FROM f JOIN e ON f.b = e.x LEFT JOIN d ON f.a = d.x GROUP BY e.y"
	rows, err := w.query(sql)
	require.NoError(t, err)
	slices.Sort(rows)
	require.Equal(t, []string{"100\t2\t30", "200\t1\t30"}, rows)
	require.Equal(t, 1, w.given, "e alone")
}

// What a variable says about joins on the stores.
func TestBroadcastVariables(t *testing.T) {
	w := newStar(t, nil, nil, nil)
	task := func(name, value string) string {
		if name != "" {
			w.vars[name] = value
			defer delete(w.vars, name)
		}
		q, err := w.plan("SELECT COUNT(*) FROM f JOIN d ON f.a = d.x")
		require.NoError(t, err)
		_, lines := q.ExplainRows(nil)
		for _, l := range lines {
			if strings.Contains(l[0], "HashJoin") {
				return l[2]
			}
		}
		return "no join"
	}
	require.Equal(t, "cop[scree]", task("", ""))
	require.Equal(t, "root", task(varBroadcast, "OFF"))
	require.Equal(t, "root", task(varBroadcastRows, "999"))
	require.Equal(t, "cop[scree]", task(varBroadcastRows, "1000"))
	require.Equal(t, "cop[scree]", task(varBroadcastBytes, "1"), "bytes are known at run time")
}

// EXPLAIN FORMAT='dag' has the joins, without rows in their receivers, and a document of its own for each build side.
func TestBroadcastDocuments(t *testing.T) {
	w := newStar(t, nil, nil, nil)
	q, err := w.plan("SELECT COUNT(*) FROM f JOIN d ON f.a = d.x JOIN e ON f.b = e.x")
	require.NoError(t, err)
	docs, err := q.ExplainDAG()
	require.NoError(t, err)
	require.Len(t, docs, 3)
	require.Equal(t, 2, strings.Count(docs[0], `"exchangeReceiver"`), docs[0])
	require.Contains(t, docs[0], `"flags": "4294967330"`)
}
