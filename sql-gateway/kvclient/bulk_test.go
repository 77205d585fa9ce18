package kvclient

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
)

// sink is a cluster that takes all flushes and forgets them.
type sink struct {
	*stubCluster
	flushes, bytes atomic.Int64
	generation     atomic.Uint64
}

func (s *sink) Dial(context.Context, string) (Store, error) { return s, nil }

func (s *sink) KvFlush(_ context.Context, req *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error) {
	for _, m := range req.Mutations {
		s.bytes.Add(int64(len(m.Key) + len(m.Value)))
	}
	s.flushes.Add(1)
	s.generation.Store(req.Generation)
	return &kvrpcpb.FlushResponse{}, nil
}

func (s *sink) KvCommit(_ context.Context, req *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error) {
	return &kvrpcpb.CommitResponse{CommitVersion: req.CommitVersion}, nil
}

func (s *sink) KvResolveLock(context.Context, *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error) {
	return &kvrpcpb.ResolveLockResponse{}, nil
}

func (s *sink) KvTxnHeartBeat(context.Context, *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error) {
	return &kvrpcpb.TxnHeartBeatResponse{}, nil
}

// TestBulkMemory writes a hundred times what it may keep: all of it arrives, and little is there at any time.
func TestBulkMemory(t *testing.T) {
	const flushBytes, total, valueBytes = 1 << 20, 100 << 20, 200
	s, ctx := &sink{stubCluster: newStub(10)}, context.Background()
	c := New(stubPlacement{s.stubCluster}, s, Options{FlushBytes: flushBytes})
	defer func() { require.NoError(t, c.Close()) }()
	txn, err := c.BeginBulk(ctx)
	require.NoError(t, err)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	written, most := 0, uint64(0)
	for i := 0; written < total; i++ {
		key := fmt.Appendf(nil, "k%05d/%d", i%10, i)
		require.NoError(t, txn.Set(key, bytes.Repeat([]byte("v"), valueBytes)))
		require.NoError(t, txn.Relieve(ctx))
		written += len(key) + valueBytes
		if i%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
	}
	require.NoError(t, txn.Commit(ctx))
	require.EqualValues(t, written, s.bytes.Load(), "all of it arrives")
	require.Greater(t, s.generation.Load(), uint64(total/flushBytes/2))
	require.Less(t, most, uint64(10*flushBytes), "of what there was at a time")
}

// TestBulkThatIsSmall commits like any other.
func TestBulkThatIsSmall(t *testing.T) {
	s, ctx := &sink{stubCluster: newStub(1)}, context.Background()
	c := New(stubPlacement{s.stubCluster}, s, Options{})
	defer func() { require.NoError(t, c.Close()) }()
	txn, err := c.BeginBulk(ctx)
	require.NoError(t, err)
	require.NoError(t, txn.Commit(ctx), "there is nothing to commit")
	txn, err = c.BeginBulk(ctx)
	require.NoError(t, err)
	require.NoError(t, txn.Set([]byte("a"), []byte("1")))
	require.NoError(t, txn.Relieve(ctx))
	require.Zero(t, s.flushes.Load())
	require.Equal(t, 1, txn.Len())
	txn.Rollback()
}
