package txn

import (
	"context"
	"fmt"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

func replicaContext() *kvrpcpb.Context {
	pb := storagetest.Context()
	pb.ReplicaRead = true
	return pb
}

// A read at a follower raises max_ts of the leader, and is refused by the locks in memory there that would block it.
func TestQuestions(t *testing.T) {
	c := NewConcurrency()
	guard := NewReplicaGuard(c)
	lock := mvcc.Lock{Type: mvcc.LockPut, Primary: []byte("b"), StartTS: 10, OnePC: true}
	c.publish([][]byte{[]byte("b"), []byte("d")}, lock, 10)
	ask := func(pb *kvrpcpb.Context, ts uint64, span *Span) error {
		at, err := ReadRegion(pb, ts, span)
		require.NoError(t, err)
		require.True(t, at.ReplicaRead)
		answer, err := guard.Ask(at.Question)
		require.NoError(t, err)
		if answer == nil {
			return nil
		}
		return guard.Refusal(answer)
	}
	keys := func(keys ...string) *Span {
		s := &Span{}
		for _, k := range keys {
			s.Keys = append(s.Keys, []byte(k))
		}
		return s
	}
	require.NoError(t, ask(replicaContext(), 20, keys("a", "c", "b\x00")))
	require.EqualValues(t, 20, c.MaxTS())
	var locked *mvcc.LockedError
	require.ErrorAs(t, ask(replicaContext(), 21, keys("a", "d")), &locked)
	require.Equal(t, "d", string(locked.Info.Key))
	require.EqualValues(t, 10, locked.Info.LockVersion)
	require.NoError(t, ask(replicaContext(), 10, keys("d")), "it commits above")
	require.ErrorAs(t, ask(replicaContext(), 22, &Span{Ranges: []*kvrpcpb.KeyRange{{StartKey: []byte("c")}}}), &locked)
	require.NoError(t, ask(replicaContext(), 22, &Span{Ranges: []*kvrpcpb.KeyRange{{StartKey: []byte("c"), EndKey: []byte("d")}}}))
	bypass := replicaContext()
	bypass.ResolvedLocks = []uint64{10}
	require.NoError(t, ask(bypass, 23, keys("d")))
	require.NoError(t, ask(replicaContext(), 24, nil), "reads that ignore locks")
	require.EqualValues(t, 24, c.MaxTS())
	require.NoError(t, ask(replicaContext(), mvcc.TSMax, keys("a")))
	require.EqualValues(t, 24, c.MaxTS())

	_, err := guard.Ask([]byte{0xff})
	require.Error(t, err)
	require.Error(t, guard.Refusal([]byte{0xff}))
}

// The same questions by ReadIndex, whose answer is the index of the region's log.
func TestReadIndex(t *testing.T) {
	c := NewConcurrency()
	m := NewManager(storagetest.New(t), c, ManagerOptions{})
	ask := func(start, end string) *kvrpcpb.ReadIndexResponse {
		resp, err := m.ReadIndex(context.Background(), &kvrpcpb.ReadIndexRequest{
			Context: storagetest.Context(), StartTs: 20, Ranges: []*kvrpcpb.KeyRange{{StartKey: []byte(start), EndKey: []byte(end)}},
		})
		require.NoError(t, err)
		return resp
	}
	before := ask("a", "z").ReadIndex
	require.EqualValues(t, 20, c.MaxTS())
	_, err := m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), PrimaryLock: []byte("k"), StartVersion: 10, Mutations: []*kvrpcpb.Mutation{{Key: []byte("k")}},
	})
	require.NoError(t, err)
	require.Greater(t, ask("a", "z").ReadIndex, before)
	c.publish([][]byte{[]byte("d")}, mvcc.Lock{Type: mvcc.LockPut, Primary: []byte("d"), StartTS: 5, OnePC: true}, 5)
	require.Nil(t, ask("a", "z").Locked, "it commits above")
	g := c.publish([][]byte{[]byte("f")}, mvcc.Lock{Type: mvcc.LockPut, Primary: []byte("f"), StartTS: 6, OnePC: true}, 6)
	g.lock.MinCommitTS = 15
	require.Equal(t, "f", string(ask("e", "z").Locked.GetKey()))
	require.Nil(t, ask("a", "e").Locked)
}

// Many ranges become one that has all of them in it.
func TestManyRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ranges []*kvrpcpb.KeyRange
		for range rapid.IntRange(1, 20).Draw(t, "ranges") {
			start := rapid.StringMatching("[a-c]{0,3}").Draw(t, "start")
			end := rapid.StringMatching("[a-c]{0,3}").Draw(t, "end")
			ranges = append(ranges, &kvrpcpb.KeyRange{StartKey: []byte(start), EndKey: []byte(end)})
		}
		all := hull(ranges)
		for _, r := range ranges {
			require.LessOrEqual(t, string(all.StartKey), string(r.StartKey))
			require.True(t, len(all.EndKey) == 0 || len(r.EndKey) > 0 && string(r.EndKey) <= string(all.EndKey))
		}
	})
	span := &Span{}
	for i := range 2 * questionRangesMax {
		span.Keys = append(span.Keys, fmt.Appendf(nil, "%04d", i))
	}
	q, err := question(replicaContext(), 5, span)
	require.NoError(t, err)
	var req kvrpcpb.ReadIndexRequest
	require.NoError(t, req.Unmarshal(q))
	require.Equal(t, []*kvrpcpb.KeyRange{{StartKey: []byte("0000"), EndKey: []byte("0511\x00")}}, req.Ranges)
}
