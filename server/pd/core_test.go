package pd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/server/pd"
)

// clock is a time that only moves when told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

// newCore makes a bootstrapped core over memory with the given stores; region 1 is on the first of them.
func newCore(t *testing.T, stores int) (*pd.Core, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_700_000_000, 0)}
	core := openCore(t, pd.NewMemoryState(), c)
	ctx := context.Background()
	require.NoError(t, core.Bootstrap(ctx, storeN(1), region(1, 101, 1)))
	for id := 2; id <= stores; id++ {
		require.NoError(t, core.PutStore(ctx, storeN(uint64(id))))
	}
	_, err := core.AllocID(ctx, 1000) // leave the tests' own ids alone
	require.NoError(t, err)
	return core, c
}

func openCore(t require.TestingT, state pd.State, c *clock) *pd.Core {
	core, err := pd.NewCore(context.Background(), pd.Config{}, state, c.now, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	return core
}

func storeN(id uint64) *metapb.Store {
	return &metapb.Store{Id: id, Address: fmt.Sprintf("127.0.0.1:%d", 20160+id), Version: "8.5.0"}
}

// A timestamp is never handed out twice nor before an earlier one, with the clock going back and forth, batches of any
// size, and restarts that remember nothing but the state.
func TestTimestampsIncrease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, c := pd.NewMemoryState(), &clock{time.Unix(1_700_000_000, 0)}
		core := openCore(t, state, c)
		ctx := context.Background()
		var last pd.Timestamp
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				core = openCore(t, state, c)
			case 1:
				require.NoError(t, core.Close(ctx))
				core = openCore(t, state, c)
			case 2:
				require.NoError(t, core.Tick(ctx))
			case 3:
				c.advance(time.Duration(rapid.Int64Range(-5000, 5000).Draw(t, "ms")) * time.Millisecond)
			default:
				count := rapid.Uint32Range(1, 1<<18-1).Draw(t, "count")
				ts, err := core.Oracle().Next(ctx, count)
				require.NoError(t, err)
				first := ts - pd.Timestamp(count) + 1
				require.Greater(t, first, last)
				require.Equal(t, ts.Physical(), first.Physical(), "a batch has one physical part")
				last = ts
			}
		}
	})
}

// Ids are unique over restarts.
func TestIDsAreUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, c := pd.NewMemoryState(), &clock{time.Unix(1_700_000_000, 0)}
		core := openCore(t, state, c)
		last := uint64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "restart") {
				core = openCore(t, state, c)
			}
			count := rapid.Uint32Range(1, 3000).Draw(t, "count")
			id, err := core.AllocID(context.Background(), count)
			require.NoError(t, err)
			require.Greater(t, id-uint64(count)+1, last)
			last = id
		}
	})
}

// Registration: what is refused, and with which error.
func TestPutStore(t *testing.T) {
	core, _ := newCore(t, 2)
	ctx := context.Background()
	errorType := func(s *metapb.Store) pdpb.ErrorType {
		err := core.PutStore(ctx, s)
		var e *pd.Error
		require.ErrorAs(t, err, &e)
		return e.Type
	}
	require.Equal(t, pdpb.ErrorType_INVALID_VALUE, errorType(&metapb.Store{Address: "a"}))
	require.Equal(t, pdpb.ErrorType_INVALID_VALUE, errorType(&metapb.Store{Id: 9, Address: "a", Version: "new"}))
	require.Equal(t, pdpb.ErrorType_INCOMPATIBLE_VERSION, errorType(&metapb.Store{Id: 9, Address: "a", Version: "8.4.9"}))
	require.Equal(t, pdpb.ErrorType_DUPLICATED_ENTRY, errorType(&metapb.Store{Id: 9, Address: storeN(2).Address, Version: "8.5.0"}))
	moved := storeN(2)
	moved.Address = "elsewhere:1"
	require.NoError(t, core.PutStore(ctx, moved))
	got, _, err := core.Store(2)
	require.NoError(t, err)
	require.Equal(t, "elsewhere:1", got.Address)
	_, _, err = core.Store(77)
	require.EqualError(t, err, "invalid store ID 77, not found")
}

// After a restart stores may have changed places with each other; nobody owns an address that has not spoken since.
func TestStoresSwapAddresses(t *testing.T) {
	state, c := pd.NewMemoryState(), &clock{time.Unix(1_700_000_000, 0)}
	ctx := context.Background()
	core := openCore(t, state, c)
	require.NoError(t, core.Bootstrap(ctx, storeN(1), region(1, 101, 1)))
	require.NoError(t, core.PutStore(ctx, storeN(2)))
	core = openCore(t, state, c)
	a, b := storeN(1), storeN(2)
	a.Address, b.Address = b.Address, a.Address
	require.NoError(t, core.PutStore(ctx, a))
	require.NoError(t, core.PutStore(ctx, b))
}

// The way from one replica to three: a learner on the emptiest store, its promotion once it has caught up, the next one;
// an order is repeated while the region does not change, and nothing is ordered when all is well.
func TestReplicasAreAdded(t *testing.T) {
	core, _ := newCore(t, 3)
	beat := func(r *metapb.Region, pending ...*metapb.Peer) *pdpb.RegionHeartbeatResponse {
		resp, err := core.RegionHeartbeat(context.Background(),
			&pdpb.RegionHeartbeatRequest{Region: r, Leader: r.Peers[0], PendingPeers: pending, Term: 5})
		require.NoError(t, err)
		return resp
	}
	r := region(1, 101, 1)
	for _, store := range []uint64{2, 3} {
		order := beat(r)
		require.Equal(t, eraftpb.ConfChangeType_AddLearnerNode, order.ChangePeer.ChangeType)
		require.Equal(t, store, order.ChangePeer.Peer.StoreId)
		require.Equal(t, order.ChangePeer, beat(r).ChangePeer, "the same order again, with the same peer id")
		learner := order.ChangePeer.Peer

		r = changed(r, func(r *metapb.Region) { r.Peers = append(r.Peers, learner) })
		require.Nil(t, beat(r, learner), "a learner without its data is left alone")
		order = beat(r)
		require.Equal(t, eraftpb.ConfChangeType_AddNode, order.ChangePeer.ChangeType)
		require.Equal(t, learner.Id, order.ChangePeer.Peer.Id)
		r = changed(r, func(r *metapb.Region) {
			r.Peers[len(r.Peers)-1] = &metapb.Peer{Id: learner.Id, StoreId: learner.StoreId}
		})
	}
	require.Nil(t, beat(r))
}

// changed is r one membership step on.
func changed(r *metapb.Region, change func(*metapb.Region)) *metapb.Region {
	out := &metapb.Region{Id: r.Id, StartKey: r.StartKey, EndKey: r.EndKey, Peers: append([]*metapb.Peer{}, r.Peers...)}
	out.RegionEpoch = &metapb.RegionEpoch{ConfVer: r.RegionEpoch.ConfVer + 1, Version: r.RegionEpoch.Version}
	change(out)
	return out
}

// One store that does not come back: while it is merely down nothing moves; when it has been down for long and there is
// a fourth store, a replica grows there, and then the lost one goes.
func TestLostReplicaIsReplaced(t *testing.T) {
	core, c := newCore(t, 4)
	r := region(1, 101, 1)
	r.Peers = append(r.Peers, &metapb.Peer{Id: 102, StoreId: 2}, &metapb.Peer{Id: 103, StoreId: 3})
	beat := func() *pdpb.RegionHeartbeatResponse {
		for _, id := range []uint64{1, 3, 4} {
			_, err := core.StoreHeartbeat(&pdpb.StoreStats{StoreId: id})
			require.NoError(t, err)
		}
		resp, err := core.RegionHeartbeat(context.Background(), &pdpb.RegionHeartbeatRequest{Region: r, Leader: r.Peers[0], Term: 5})
		require.NoError(t, err)
		return resp
	}
	c.advance(29 * time.Minute)
	require.Nil(t, beat())
	c.advance(2 * time.Minute)
	order := beat()
	require.Equal(t, eraftpb.ConfChangeType_AddLearnerNode, order.ChangePeer.ChangeType)
	require.EqualValues(t, 4, order.ChangePeer.Peer.StoreId)
	r = changed(r, func(r *metapb.Region) {
		r.Peers = append(r.Peers, &metapb.Peer{Id: order.ChangePeer.Peer.Id, StoreId: 4})
	})
	order = beat()
	require.Equal(t, eraftpb.ConfChangeType_RemoveNode, order.ChangePeer.ChangeType)
	require.EqualValues(t, 102, order.ChangePeer.Peer.Id)
}

// Leaders spread over the stores: from all regions led by one of three to no store leading two more than another.
func TestLeadersSpread(t *testing.T) {
	core, c := newCore(t, 3)
	const regions = 9
	leader := make([]int, regions+1) // by region: the place of its leader
	beat := func(id uint64) {
		r := regionAt(id, regions)
		resp, err := core.RegionHeartbeat(context.Background(),
			&pdpb.RegionHeartbeatRequest{Region: r, Leader: r.Peers[leader[id]], Term: 5})
		require.NoError(t, err)
		if to := resp.GetTransferLeader(); to != nil {
			leader[id] = int(to.Peer.StoreId) - 1
		}
	}
	for range 10 {
		for id := uint64(1); id <= regions; id++ {
			beat(id)
		}
		c.advance(time.Second)
	}
	count := make([]int, 3)
	for _, at := range leader[1:] {
		count[at]++
	}
	require.Less(t, max(count[0], count[1], count[2])-min(count[0], count[1], count[2]), 2)
}

// regionAt is the id-th of n regions in key order, with peers on stores 1 to 3.
func regionAt(id, n uint64) *metapb.Region {
	r := &metapb.Region{Id: id, RegionEpoch: &metapb.RegionEpoch{ConfVer: 3, Version: n}}
	if id > 1 {
		r.StartKey = []byte{byte(id)}
	}
	if id < n {
		r.EndKey = []byte{byte(id + 1)}
	}
	for s := uint64(1); s <= 3; s++ {
		r.Peers = append(r.Peers, &metapb.Peer{Id: id*10 + s, StoreId: s})
	}
	return r
}
