package deadlock

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	deadlockpb "github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/server/transport"
)

// cluster is three stores, one of which leads the first region.
type cluster struct {
	*testing.T
	leader atomic.Uint64 // store id, 0: none
	term   atomic.Uint64
	addrs  map[uint64]string
	stores map[uint64]*Detector
}

type roles struct {
	*cluster
	self uint64
}

func (r roles) Leading() (region, term uint64, ok bool) {
	return 1, r.term.Load(), r.leader.Load() == r.self
}
func (r roles) Leader(context.Context) (uint64, error) { return r.leader.Load(), nil }

func newCluster(t *testing.T) *cluster {
	c := &cluster{T: t, addrs: make(map[uint64]string), stores: make(map[uint64]*Detector)}
	c.elect(1)
	for id := uint64(1); id <= 3; id++ {
		d := New(Options{StoreID: id, Roles: roles{c, id}, Dial: c.dial, TTL: time.Hour})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		server := grpc.NewServer(transport.ServerOptions()...)
		deadlockpb.RegisterDeadlockServer(server, NewService(d, func() []*deadlockpb.WaitForEntry {
			return []*deadlockpb.WaitForEntry{{Txn: id}}
		}))
		go func() { _ = server.Serve(l) }()
		c.addrs[id], c.stores[id] = l.Addr().String(), d
		t.Cleanup(func() {
			require.NoError(t, d.Close())
			server.Stop()
		})
	}
	return c
}

func (c *cluster) elect(id uint64) {
	c.term.Add(1)
	c.leader.Store(id)
}

func (c *cluster) dial(_ context.Context, id uint64) (*grpc.ClientConn, error) {
	return transport.Dial(c.addrs[id])
}

// wait reports, on a store, that a transaction waits for another, and returns where a circle arrives.
func (c *cluster) wait(store, txn, holder uint64) <-chan []*deadlockpb.WaitForEntry {
	found := make(chan []*deadlockpb.WaitForEntry, 1)
	c.stores[store].Detect(entry(txn, holder), func(chain []*deadlockpb.WaitForEntry) { found <- chain })
	return found
}

func entry(txn, holder uint64) *deadlockpb.WaitForEntry {
	return &deadlockpb.WaitForEntry{Txn: txn, WaitForTxn: holder, KeyHash: txn*100 + holder, Key: []byte("k"), ResourceGroupTag: []byte("tag")}
}

// known waits until the leader's graph has n waiting transactions.
func (c *cluster) known(n int) {
	graph := c.stores[c.leader.Load()].graph
	require.Eventually(c, func() bool { return graph.Len() == n }, 10*time.Second, time.Millisecond)
}

// A circle through all three stores is told to who closes it, wherever that waits.
func TestCircleThroughStores(t *testing.T) {
	for closer := uint64(1); closer <= 3; closer++ {
		c := newCluster(t)
		a, b := closer%3+1, (closer+1)%3+1
		x, y := c.wait(a, 10, 20), c.wait(b, 20, 30)
		c.known(2)
		require.Equal(t, []*deadlockpb.WaitForEntry{entry(10, 20), entry(20, 30)}, <-c.wait(closer, 30, 10))
		require.Empty(t, x)
		require.Empty(t, y)
	}
}

// What does not wait any more closes no circle, and hears of none.
func TestDone(t *testing.T) {
	c := newCluster(t)
	c.wait(2, 10, 20)
	c.known(1)
	c.stores[2].Done(entry(10, 20))
	c.known(0)
	found := c.wait(3, 20, 10)
	c.known(1)
	require.Empty(t, found)

	gone := c.wait(3, 50, 60)
	c.stores[3].Done(entry(50, 60))
	c.stores[3].answer(entry(50, 60), []*deadlockpb.WaitForEntry{entry(60, 50)})
	require.Empty(t, gone)
}

// A new leader begins with an empty graph, reports go there, and the old one's is void.
func TestLeaderMoves(t *testing.T) {
	c := newCluster(t)
	c.wait(2, 10, 20)
	c.wait(1, 1, 2)
	c.known(2)
	c.elect(3)
	require.Eventually(t, func() bool {
		c.wait(2, 20, 10) // lost as long as the old leader has not ended the stream
		return c.stores[3].graph.Len() == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, []*deadlockpb.WaitForEntry{entry(20, 10)}, <-c.wait(1, 10, 20))
	c.elect(1)
	require.True(t, c.stores[1].leading())
	require.Zero(t, c.stores[1].graph.Len())
}

func TestService(t *testing.T) {
	c := newCluster(t)
	conn, err := c.dial(t.Context(), 2)
	require.NoError(t, err)
	defer conn.Close()
	client := deadlockpb.NewDeadlockClient(conn)
	resp, err := client.GetWaitForEntries(t.Context(), &deadlockpb.WaitForEntriesRequest{})
	require.NoError(t, err)
	require.Equal(t, []deadlockpb.WaitForEntry{{Txn: 2}}, resp.Entries)
	stream, err := client.Detect(t.Context())
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
}
