package catalog

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// Definitions go back; the schema's version and the ids given out only go forward.
func TestFlashback(t *testing.T) {
	ctx, f := context.Background(), newFixture(t)
	then := f.run(t, "create table a (id int primary key, x int)")
	f.run(t, "alter table a add column y int, add index k (y)", "create table b (id int)", "create database d")
	b, err := f.Current().Table("test", "b")
	require.NoError(t, err)
	version := f.Current().Version
	schema, err := f.At(ctx, then)
	require.NoError(t, err)
	require.NoError(t, f.Flashback(ctx, then, schema))
	require.Equal(t, version+1, f.Current().Version)
	a, err := f.Current().Table("test", "a")
	require.NoError(t, err)
	require.Len(t, a.Columns, 2)
	_, err = f.Current().Table("test", "b")
	require.Error(t, err)
	_, err = f.Current().Database("d")
	require.Error(t, err)
	f.run(t, "create table c (id int)")
	c, err := f.Current().Table("test", "c")
	require.NoError(t, err)
	require.Greater(t, c.ID, b.ID)
}

// What a DROP has deleted does not come back.
func TestFlashbackOfLostData(t *testing.T) {
	ctx, f := context.Background(), newFixture(t)
	first := f.run(t, "create table b (id int)", "create table a (id int primary key, x int, key k (x))")
	second := f.run(t, "drop table b")
	third := f.run(t, "alter table a drop index k")
	for ts, text := range map[uint64]string{first: "test.b has been dropped", second: "index k of table test.a has been dropped"} {
		schema, err := f.At(ctx, ts)
		require.NoError(t, err)
		version := f.Current().Version
		require.ErrorContains(t, f.Flashback(ctx, ts, schema), text)
		require.Equal(t, version, f.Current().Version)
	}
	schema, err := f.At(ctx, third)
	require.NoError(t, err)
	require.NoError(t, f.Flashback(ctx, third, schema))
}
