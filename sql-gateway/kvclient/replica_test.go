package kvclient

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
)

// stubReplicas are three stores of one region, led by the first, that note who is asked.
type stubReplicas struct {
	*stubCluster
	dead, behind map[uint64]bool
	asked        []uint64
	now          time.Time
}

type stubReplica struct {
	Store
	of *stubReplicas
	id uint64
}

func newReplicas(t *testing.T) (*stubReplicas, *Client) {
	r := &stubReplicas{stubCluster: newStub(1), dead: map[uint64]bool{}, behind: map[uint64]bool{}, now: time.Unix(1, 0)}
	r.regions[0].Peers = nil
	for id := uint64(1); id <= 3; id++ {
		r.regions[0].Peers = append(r.regions[0].Peers, &metapb.Peer{Id: id, StoreId: id})
	}
	c := New(replicaPlacement{stubPlacement{r.stubCluster}}, r, Options{Now: func() time.Time { return r.now }})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return r, c
}

type replicaPlacement struct{ stubPlacement }

func (replicaPlacement) Store(_ context.Context, id uint64) (*metapb.Store, error) {
	return &metapb.Store{Id: id, Address: fmt.Sprint(id)}, nil
}

func (r *stubReplicas) Dial(_ context.Context, addr string) (Store, error) {
	var id uint64
	_, err := fmt.Sscan(addr, &id)
	return stubReplica{of: r, id: id}, err
}

func (s stubReplica) KvGet(_ context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	s.of.asked = append(s.of.asked, s.id)
	switch {
	case s.of.dead[s.id]:
		return nil, errors.New("connection refused")
	case s.of.behind[s.id] && req.Context.ReplicaRead:
		return &kvrpcpb.GetResponse{RegionError: &errorpb.Error{ReadIndexNotReady: &errorpb.ReadIndexNotReady{}}}, nil
	}
	return &s.of.value, nil
}

// get reads n times and returns who was asked.
func (r *stubReplicas) get(t *testing.T, c *Client, from ReadFrom, n int) []uint64 {
	r.asked = nil
	for range n {
		got, err := c.Snapshot(1<<18).From(from).Get(context.Background(), stubKey(0))
		require.NoError(t, err)
		require.Equal(t, "value", string(got))
	}
	return r.asked
}

// A store that cannot be reached costs one try; the next replica is asked at once, and the store not again for a while.
func TestDeadReplica(t *testing.T) {
	r, c := newReplicas(t)
	require.NotContains(t, r.get(t, c, FromFollower, 6), uint64(1), "the leader is spared")
	require.Subset(t, r.get(t, c, FromAny, 9), []uint64{1, 2, 3})
	r.dead[2] = true
	asked := r.get(t, c, FromFollower, 6)
	require.Len(t, asked, 7)
	require.NotContains(t, asked, uint64(1), "another follower is there")
	require.NotContains(t, r.get(t, c, FromFollower, 6), uint64(2))
	require.NotContains(t, r.get(t, c, FromAny, 6), uint64(2))

	r.dead[3] = true
	asked = r.get(t, c, FromFollower, 3)
	require.Equal(t, []uint64{3, 1, 1, 1}, asked, "only the leader is left")
	delete(r.dead, 2)
	r.now = r.now.Add(shunFor)
	require.Contains(t, r.get(t, c, FromFollower, 6), uint64(2), "it has another chance")
}

// A replica that cannot serve leaves it to the leader, which waits for nobody.
func TestReplicaBehind(t *testing.T) {
	r, c := newReplicas(t)
	r.behind[2], r.behind[3] = true, true
	asked := r.get(t, c, FromFollower, 1)
	require.Len(t, asked, 2)
	require.EqualValues(t, 1, asked[1])
}
