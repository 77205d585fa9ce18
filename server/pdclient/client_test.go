package pdclient_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/zaplog"
)

func TestMain(m *testing.M) {
	zaplog.ReplaceGlobals(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func startPD(t *testing.T, dir, addr string) *pd.Server {
	t.Helper()
	s, err := pd.Start(context.Background(), pd.Options{Dir: dir, ClientAddr: addr, PeerAddr: "127.0.0.1:0"})
	require.NoError(t, err)
	return s
}

// freeAddr is an address that can be listened on again and again.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// A node's first minutes: identity, bootstrap (once), registration, heartbeats, a split, and orders back; then the
// placement driver restarts, and the heartbeat stream comes back by itself.
func TestNodeLife(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir, addr := t.TempDir(), freeAddr(t)
	server := startPD(t, dir, addr)
	c, err := pdclient.Connect(ctx, []string{addr}, pdclient.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()

	first, err := c.AllocID(ctx, 3)
	require.NoError(t, err)
	store := &metapb.Store{Id: first, Address: "127.0.0.1:1", Version: "8.5.0"}
	region := &metapb.Region{Id: first + 1, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1},
		Peers: []*metapb.Peer{{Id: first + 2, StoreId: first}}}
	known, err := c.IsBootstrapped(ctx)
	require.NoError(t, err)
	require.False(t, known)
	_, err = c.StoreHeartbeat(ctx, &pdpb.StoreStats{StoreId: first})
	require.ErrorContains(t, err, "not bootstrapped")
	require.NoError(t, c.Bootstrap(ctx, store, region))
	require.True(t, pdclient.IsAlreadyBootstrapped(c.Bootstrap(ctx, store, region)))
	require.NoError(t, c.PutStore(ctx, store))
	_, err = c.StoreHeartbeat(ctx, &pdpb.StoreStats{StoreId: first})
	require.NoError(t, err)
	got, err := c.Store(ctx, first)
	require.NoError(t, err)
	require.Equal(t, store.Address, got.Address)

	before, err := c.TS(ctx)
	require.NoError(t, err)
	after, err := c.TS(ctx)
	require.NoError(t, err)
	require.Greater(t, after, before)

	orders := make(chan *pdpb.RegionHeartbeatResponse, 1)
	beats := c.Heartbeats(func(o *pdpb.RegionHeartbeatResponse) {
		select {
		case orders <- o:
		default: // orders are repeated; the first is enough
		}
	})
	defer beats.Close()
	leaderIs := func(term uint64) {
		t.Helper()
		require.Eventually(t, func() bool {
			beats.Send(&pdpb.RegionHeartbeatRequest{Region: region, Leader: region.Peers[0], Term: term})
			_, leader, err := c.Region(ctx, []byte("k"))
			return err == nil && leader.GetId() == first+2
		}, 15*time.Second, 10*time.Millisecond)
	}
	leaderIs(5)
	ids, err := c.AskBatchSplit(ctx, region, 2)
	require.NoError(t, err)
	require.Len(t, ids, 2)
	other := &metapb.Store{Id: first + 100, Address: "127.0.0.1:2", Version: "8.5.0"}
	require.NoError(t, c.PutStore(ctx, other))
	third := &metapb.Store{Id: first + 101, Address: "127.0.0.1:3", Version: "8.5.0"}
	require.NoError(t, c.PutStore(ctx, third))
	leaderIs(6)
	select { // three stores: the region shall have three replicas
	case o := <-orders:
		require.Equal(t, other.Id, o.ChangePeer.Peer.StoreId)
	case <-ctx.Done():
		t.Fatal("no order")
	}

	require.NoError(t, server.Close())
	server = startPD(t, dir, addr)
	defer func() { require.NoError(t, server.Close()) }()
	leaderIs(7)
}
