package planner

import (
	"context"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

func benchmarkPlan(b *testing.B, w *world, sql string) {
	stmt := w.parse(sql).(ast.ResultSetNode)
	b.ReportAllocs()
	for b.Loop() {
		_, err := PlanQuery(w.context(), stmt)
		require.NoError(b, err)
	}
}

func BenchmarkPlanPoint(b *testing.B) {
	w := newWorld(b)
	w.ddl("CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(20), c VARCHAR(120), KEY ia (a))")
	benchmarkPlan(b, w, "SELECT c FROM t WHERE id = 42")
}

func BenchmarkOpenPoint(b *testing.B) {
	w := newWorld(b)
	w.ddl("CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(20), c VARCHAR(120), KEY ia (a))")
	w.insert("t", "42|1|b|c")
	q, err := w.plan("SELECT c FROM t WHERE id = 42")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		op, err := q.Open(context.Background(), w)
		require.NoError(b, err)
		_, err = op.Next(context.Background())
		require.NoError(b, err)
		require.NoError(b, op.Close())
	}
}

func BenchmarkPlanTPCH(b *testing.B) {
	w := newTPCH(b)
	for _, q := range tpch.Queries() {
		b.Run(q.Name, func(b *testing.B) { benchmarkPlan(b, w, q.Text) })
	}
}
