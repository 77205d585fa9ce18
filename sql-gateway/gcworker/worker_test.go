package gcworker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/zaplog"
	"github.com/scree-db/scree/sql-gateway/gcworker"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// gateways are workers on one cluster, with a clock of their own: the cluster's timestamps plus what they are told.
type gateways struct {
	t       *testing.T
	cluster *node.Cluster
	client  *kvclient.Client
	running []uint64 // start timestamps of all transactions
	applied gcworker.Settings
}

// skewed is a placement driver whose timestamps can be moved ahead.
type skewed struct {
	kvclient.Placement
	ahead time.Duration
}

func (s *skewed) TS(ctx context.Context) (uint64, error) {
	ts, err := s.Placement.TS(ctx)
	return ts + uint64(s.ahead.Milliseconds())<<18, err
}

func start(t *testing.T) (g *gateways, clock *skewed) {
	ctx := context.Background()
	cluster, err := node.StartCluster(ctx, node.ClusterOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, cluster.WaitReady(ctx))
	clock = &skewed{Placement: cluster.Placement()}
	g = &gateways{t: t, cluster: cluster, client: kvclient.New(clock, cluster.Dialer(), kvclient.Options{})}
	t.Cleanup(func() {
		require.NoError(t, g.client.Close())
		require.NoError(t, cluster.Close())
	})
	return g, clock
}

func (g *gateways) worker(id string) *gcworker.Worker {
	return gcworker.New(gcworker.Options{
		ID: id, Client: g.client, SafePoints: g.cluster.PD(),
		OldestTS: g.oldest, Apply: func(s gcworker.Settings) { g.applied = s },
	})
}

func (g *gateways) oldest(from uint64) uint64 {
	young := slices.DeleteFunc(slices.Clone(g.running), func(ts uint64) bool { return ts < from })
	if len(young) == 0 {
		return 0
	}
	return slices.Min(young)
}

func (g *gateways) safePoint() uint64 {
	ts, err := g.cluster.PD().GCSafePoint(context.Background())
	require.NoError(g.t, err)
	return ts
}

func (g *gateways) now() uint64 {
	ts, err := g.client.TS(context.Background())
	require.NoError(g.t, err)
	return ts
}

// stop ends a worker as the gateway's end does.
func stop(w *gcworker.Worker) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Run(ctx)
}

func TestSafePointFollowsTheClock(t *testing.T) {
	g, clock := start(t)
	ctx := context.Background()
	first, second := g.worker("first"), g.worker("second")
	begin := g.now()
	require.NoError(t, first.Step(ctx))
	moved := g.safePoint()
	require.InDelta(t, 600_000, float64(begin>>18)-float64(moved>>18), 20_000, "ten minutes ago")

	clock.ahead = 9 * time.Minute
	require.NoError(t, first.Step(ctx))
	require.Equal(t, moved, g.safePoint(), "the next run is due after ten minutes")
	clock.ahead = 10*time.Minute + 30*time.Second
	require.NoError(t, second.Step(ctx))
	require.Equal(t, moved, g.safePoint(), "the first gateway holds the lease")
	require.NoError(t, first.Step(ctx))
	require.Greater(t, g.safePoint(), moved)

	moved = g.safePoint()
	clock.ahead = 20 * time.Minute
	require.NoError(t, first.Step(ctx))
	clock.ahead = 21 * time.Minute
	stop(first)
	require.NoError(t, second.Step(ctx))
	require.Greater(t, g.safePoint(), moved, "the first has given the lease up")
	clock.ahead = 40 * time.Minute
	moved = g.safePoint()
	require.NoError(t, first.Step(ctx))
	require.Greater(t, g.safePoint(), moved, "the second was not heard of for long")
}

func TestTransactionsHoldTheSafePoint(t *testing.T) {
	g, clock := start(t)
	ctx := context.Background()
	holder, leader := g.worker("holder"), g.worker("leader")
	require.NoError(t, leader.Step(ctx))
	first := g.now()
	g.running = []uint64{first}
	clock.ahead = time.Hour
	require.NoError(t, holder.Step(ctx)) // sets its barrier; the lease has run out, so that it leads, too
	require.Equal(t, first, g.safePoint())
	clock.ahead = 2 * time.Hour
	second := g.now()
	g.running = append(g.running, second)
	require.NoError(t, holder.Step(ctx))
	require.Equal(t, first, g.safePoint())
	// A transaction that is a day old holds nothing any more: the next one does.
	clock.ahead = 25 * time.Hour
	require.NoError(t, holder.Step(ctx))
	require.Equal(t, second, g.safePoint())
	clock.ahead = 27 * time.Hour
	require.NoError(t, holder.Step(ctx))
	require.Greater(t, g.safePoint(), second)
}

func TestServicesHoldTheSafePoint(t *testing.T) {
	g, clock := start(t)
	ctx := context.Background()
	w := g.worker("w")
	ts := g.now()
	require.NoError(t, g.cluster.PD().SetGCBarrier(ctx, "backup", ts, time.Hour))
	clock.ahead = time.Hour
	require.NoError(t, w.Step(ctx))
	require.Equal(t, ts, g.safePoint())
	require.NoError(t, g.cluster.PD().DeleteGCBarrier(ctx, "backup"))
	clock.ahead = 2 * time.Hour
	require.NoError(t, w.Step(ctx))
	require.Greater(t, g.safePoint(), ts)
}

func TestSettingsAreTheClusters(t *testing.T) {
	g, clock := start(t)
	ctx := context.Background()
	w := g.worker("w")
	require.NoError(t, w.Step(ctx))
	require.Equal(t, gcworker.DefaultSettings(), g.applied)
	moved := g.safePoint()
	set := func(change func(*gcworker.Settings)) {
		t.Helper()
		_, err := gcworker.ChangeSettings(ctx, g.client, change)
		require.NoError(t, err)
	}
	set(func(s *gcworker.Settings) { s.Enable = false })
	clock.ahead = time.Hour
	require.NoError(t, w.Step(ctx))
	require.False(t, g.applied.Enable)
	require.Equal(t, moved, g.safePoint())
	set(func(s *gcworker.Settings) { s.Enable, s.LifeTime = true, 20*time.Minute })
	require.NoError(t, w.Step(ctx))
	moved = g.safePoint()
	require.InDelta(t, 20*60_000, float64(g.now()>>18)-float64(moved>>18), 20_000)
	// A longer life time brings nothing back.
	set(func(s *gcworker.Settings) { s.LifeTime = 2 * time.Hour })
	clock.ahead = 75 * time.Minute
	require.NoError(t, w.Step(ctx))
	require.Equal(t, moved, g.safePoint())
}

// A transaction that the safe point has passed already is past help and holds nothing; others do.
func TestTransactionBelowTheSafePoint(t *testing.T) {
	g, clock := start(t)
	ctx := context.Background()
	w := g.worker("w")
	old := g.now()
	clock.ahead = time.Hour
	require.NoError(t, w.Step(ctx))
	require.Greater(t, g.safePoint(), old)
	young := g.now()
	g.running = []uint64{old, young}
	clock.ahead = 2 * time.Hour
	require.NoError(t, w.Step(ctx))
	require.Equal(t, young, g.safePoint())
	g.running = []uint64{old}
	clock.ahead = 3 * time.Hour
	require.NoError(t, w.Step(ctx))
	require.Greater(t, g.safePoint(), young)
}

// A run that ended between the two safe points is finished by the next one.
func TestInterruptedRun(t *testing.T) {
	g, clock := start(t)
	ctx := context.Background()
	ts := g.now()
	clock.ahead = time.Minute
	_, _, err := g.cluster.PD().AdvanceTxnSafePoint(ctx, ts)
	require.NoError(t, err)
	require.NoError(t, g.worker("w").Step(ctx))
	require.Equal(t, ts, g.safePoint())
}

// TestLocksBelowAreResolved: of two transactions whose client died long ago one had committed its primary key, the other
// had not. More locks than one request takes, in two regions.
func TestLocksBelowAreResolved(t *testing.T) {
	g, clock := start(t)
	ctx := context.Background()
	require.NoError(t, g.client.Split(ctx, [][]byte{[]byte("l0700")}))
	_, err := g.client.Snapshot(g.now()).BatchGet(ctx, [][]byte{[]byte("a"), []byte("z")}) // both regions have leaders
	require.NoError(t, err)
	committed, open := g.now(), g.now()
	const keys = 1500
	var k, l []string
	for i := range keys {
		k, l = append(k, fmt.Sprintf("k%04d", i)), append(l, fmt.Sprintf("l%04d", i))
	}
	g.prewrite(committed, "k0000", k)
	g.prewrite(open, "l0000", l[:700])
	g.prewrite(open, "l0000", l[700:])
	commitTS := g.now()
	g.commit(committed, commitTS, "k0000")

	clock.ahead = time.Hour
	require.NoError(t, g.worker("w").Step(ctx))
	require.Greater(t, g.safePoint(), commitTS)
	n, err := g.client.ResolveBelow(ctx, g.safePoint())
	require.NoError(t, err)
	require.Zero(t, n, "none is left")
	snap := g.client.Snapshot(g.now())
	found := map[byte]int{}
	it := snap.Scan(ctx, kvclient.KeyRange{Start: []byte("k"), End: []byte("m")}, false)
	for {
		k, _, ok, err := it.Next()
		require.NoError(t, err)
		if !ok {
			break
		}
		found[k[0]]++
	}
	require.Equal(t, map[byte]int{'k': keys}, found)
}

// regionOf addresses the region of a key in the cluster's one store.
func (g *gateways) regionOf(k string) *kvrpcpb.Context {
	r, leader, err := g.cluster.PD().Region(context.Background(), memcmp.AppendBytes(nil, []byte(k)))
	require.NoError(g.t, err)
	return &kvrpcpb.Context{RegionId: r.Id, RegionEpoch: r.RegionEpoch, Peer: leader}
}

// prewrite locks keys of one region.
func (g *gateways) prewrite(startTS uint64, primary string, keys []string) {
	var puts []*kvrpcpb.Mutation
	for _, k := range keys {
		puts = append(puts, &kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: []byte(k), Value: []byte("v")})
	}
	resp, err := g.cluster.Stores()[0].Service().KvPrewrite(context.Background(), &kvrpcpb.PrewriteRequest{
		Context: g.regionOf(keys[0]), PrimaryLock: []byte(primary), StartVersion: startTS, LockTtl: 3000, Mutations: puts,
	})
	require.NoError(g.t, err)
	require.Nil(g.t, resp.RegionError)
	require.Empty(g.t, resp.Errors)
}

func (g *gateways) commit(startTS, commitTS uint64, k string) {
	resp, err := g.cluster.Stores()[0].Service().KvCommit(context.Background(), &kvrpcpb.CommitRequest{
		Context: g.regionOf(k), StartVersion: startTS, CommitVersion: commitTS, Keys: [][]byte{[]byte(k)},
	})
	require.NoError(g.t, err)
	require.Nil(g.t, resp.RegionError)
	require.Nil(g.t, resp.Error)
}

func TestMain(m *testing.M) {
	zaplog.ReplaceGlobals(slog.New(slog.DiscardHandler)) // the placement driver's client logs through it
	os.Exit(m.Run())
}
