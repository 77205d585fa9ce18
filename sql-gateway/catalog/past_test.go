package catalog

import (
	"context"
	"fmt"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

// run executes DDL and returns a timestamp from which on it is seen.
func (f *fixture) run(t *testing.T, statements ...string) uint64 {
	for _, s := range statements {
		_, err := f.exec(s)
		require.NoError(t, err, s)
	}
	ts, err := f.store.TS(context.Background())
	require.NoError(t, err)
	return ts
}

func TestSchemaAt(t *testing.T) {
	ctx, f := context.Background(), newFixture(t)
	first := f.run(t)
	second := f.run(t, "create table a (id int primary key, x int, key k (x))", "create table b (id int)")
	third := f.run(t, "alter table a add column y int", "alter table a drop index k, add index l (y)", "drop table b")

	names := func(ts uint64) (out []string) {
		s, err := f.At(ctx, ts)
		require.NoError(t, err)
		for _, tbl := range s.Tables("test") {
			out = append(out, fmt.Sprintf("%s%d/%d", tbl.Name, len(tbl.Columns), len(tbl.Indexes)))
		}
		return out
	}
	require.Empty(t, names(first))
	require.Equal(t, []string{"a2/2", "b1/0"}, names(second))
	require.Equal(t, []string{"a3/2"}, names(third))
	now, err := f.At(ctx, third)
	require.NoError(t, err)
	require.Same(t, f.Current(), now)
	once, err := f.At(ctx, second)
	require.NoError(t, err)
	twice, err := f.At(ctx, second)
	require.NoError(t, err)
	require.Same(t, once, twice, "schemas of the past are remembered")
	before, err := f.At(ctx, 0)
	require.NoError(t, err)
	_, err = before.Database("test")
	require.Error(t, err, "nothing was there")

	// What can be read of it is without what was dropped since.
	old, err := once.Table("test", "a")
	require.NoError(t, err)
	kept, err := f.Kept(old)
	require.NoError(t, err)
	require.Len(t, kept.Columns, 2)
	require.Len(t, kept.Indexes, 1)
	require.True(t, kept.Indexes[0].Primary)
	require.Len(t, old.Indexes, 2, "the schema stays as it was")
	gone, err := once.Table("test", "b")
	require.NoError(t, err)
	_, err = f.Kept(gone)
	var e *mysql.SQLError
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, mysql.ErrNoSuchTable, e.Code)

	var times []uint64
	for range 2 * pastSchemasMax {
		times = append(times, f.run(t, "create table c (id int)"), f.run(t, "drop table c"))
	}
	for i, ts := range times {
		require.Len(t, names(ts), 2-i%2)
		require.LessOrEqual(t, len(f.past.byVersion), pastSchemasMax)
	}
	require.Equal(t, []string{"a2/2", "b1/0"}, names(second))
}
