package executor

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/value"
)

// A query is bounded by its own limit and by what all have together.
func TestMemoryOfProcess(t *testing.T) {
	process := NewMemory(1000)
	a, b := process.Query(700), process.Query(0)
	require.NoError(t, a.Grow(600))
	require.ErrorContains(t, a.Grow(200), "single SQL query: 700 bytes")
	require.ErrorContains(t, b.Grow(500), "all queries together: 1000 bytes")
	require.EqualValues(t, 600, process.Used())
	require.Zero(t, b.Used())
	require.NoError(t, b.Grow(400))
	b.Overdraw(50)
	require.EqualValues(t, 1050, process.Used())
	require.EqualValues(t, 450, b.Peak())
	var quota *value.Error
	require.ErrorAs(t, a.Grow(1), &quota)
	require.EqualValues(t, value.CodeMemoryQuota, quota.Code)
	a.Shrink(600)
	b.Shrink(450)
	require.Zero(t, process.Used())
	require.Zero(t, process.active.Load())
	require.NoError(t, (*Memory)(nil).Query(0).Grow(1<<40))
}

// Who has to spill depends on how many share the process's memory: with more queries smaller shares are called in.
func TestMemoryTight(t *testing.T) {
	process := NewMemory(64 << 10)
	var queries []*Memory
	for range 20 {
		queries = append(queries, process.Query(0))
	}
	require.NoError(t, queries[0].Grow(40<<10))
	require.True(t, queries[0].Tight(40<<10))
	require.False(t, queries[0].Tight(1<<10))
	for _, q := range queries[1:] {
		require.NoError(t, q.Grow(1<<10))
	}
	require.True(t, queries[1].Tight(1<<10))
	require.False(t, queries[1].Tight(100))
	queries[0].Shrink(40 << 10)
	require.False(t, queries[1].Tight(1<<10), "less than half is used")
}

// The count of queries in use stays right whoever comes and goes at the same time.
func TestMemoryConcurrent(t *testing.T) {
	process := NewMemory(100)
	var wg sync.WaitGroup
	for range 8 {
		q := process.Query(0)
		for range 2 {
			wg.Go(func() {
				for range 2000 {
					if q.Grow(30) == nil {
						q.Shrink(30)
					}
				}
			})
		}
	}
	wg.Wait()
	require.Zero(t, process.Used())
	require.Zero(t, process.active.Load())
}
