package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/raftstore/raftsim"
	"github.com/scree-db/scree/server/kvservice"
	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/txn"
)

var quiet = slog.New(slog.DiscardHandler)

func always() bool { return true }

// cluster is a placement driver and stores with all that serves transactions.
type cluster struct {
	*raftsim.Cluster
	w     *raftsim.World
	pd    *pd.Core
	nodes map[uint64]*node // those that are up
}

// node is what stands on a machine's store, from boot to crash.
type node struct {
	c       *cluster
	m       *raftsim.Machine
	locks   *txn.Concurrency
	manager *txn.Manager
	service *kvservice.Service
	ctx     context.Context
	cancel  context.CancelFunc
}

const machines = 4

// newCluster starts machines, of which the first has the first region, and the placement driver that gives it replicas.
func newCluster(w *raftsim.World) (*cluster, error) {
	c := &cluster{w: w, nodes: map[uint64]*node{}}
	var err error
	ctx, now := context.Background(), func() time.Time { return epoch.Add(w.Now()) }
	if c.pd, err = pd.NewCore(ctx, pd.Config{}, pd.NewMemoryState(), now, w.Fork()); err != nil {
		return nil, err
	}
	first := &metapb.Region{Id: 1, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}, Peers: []*metapb.Peer{{Id: 2, StoreId: 1}}}
	if err := c.pd.Bootstrap(ctx, meta(1), first); err != nil {
		return nil, err
	}
	for id := range uint64(machines) {
		if err := c.pd.PutStore(ctx, meta(id+1)); err != nil {
			return nil, err
		}
	}
	if _, err := c.pd.AllocID(ctx, 100); err != nil { // among them those above
		return nil, err
	}
	c.Cluster = raftsim.NewCluster(w, raftsim.Options{
		Machines: machines, Raft: raftstore.Config{
			TickInterval: 50 * time.Millisecond, HousekeepInterval: 200 * time.Millisecond, PlacementInterval: time.Second,
			LogKeepBytes: 8 << 10, LogBytesMax: 16 << 10,
		},
		Deps: c.deps, Booted: c.booted, Crashed: c.crashed,
	})
	every := func(d time.Duration) func() time.Duration { return func() time.Duration { return d } }
	w.Every(every(time.Second), c.tick)
	return c, c.Start(first)
}

// epoch is the world's beginning as the placement driver has it.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func meta(id uint64) *metapb.Store {
	return &metapb.Store{Id: id, Address: fmt.Sprint(id), Version: "8.5.0"}
}

// tick is what the placement driver and the stores do once a second.
func (c *cluster) tick() {
	c.w.Fail(c.pd.Tick(context.Background()))
	for _, m := range c.Machines() {
		if m.Up() {
			_, err := c.pd.StoreHeartbeat(&pdpb.StoreStats{StoreId: m.ID})
			c.w.Fail(err)
		}
	}
	orders, err := c.pd.Patrol(context.Background())
	c.w.Fail(err)
	for _, o := range orders {
		c.order(c.nodes[o.Store], o.Message)
	}
}

func (c *cluster) order(n *node, o *pdpb.RegionHeartbeatResponse) {
	if n != nil && o != nil {
		c.w.After(c.w.Delay(), func() {
			if n.ctx.Err() == nil {
				n.m.Raft.Operator(o)
			}
		})
	}
}

// deps are a machine's collaborators.
func (c *cluster) deps(m *raftsim.Machine) raftstore.Deps {
	n := &node{c: c, m: m, locks: txn.NewConcurrency()}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	c.nodes[m.ID] = n
	return raftstore.Deps{Placement: n, Observer: n, Guard: txn.NewReplicaGuard(n.locks)}
}

func (c *cluster) booted(m *raftsim.Machine) {
	n := c.nodes[m.ID]
	n.manager = txn.NewManager(store{n.m.Raft, n.m.Tasks}, n.locks, txn.ManagerOptions{Logger: quiet})
	n.service = kvservice.New(kvservice.Deps{
		ClusterID: c.pd.ClusterID(), StoreID: m.ID, API: kvrpcpb.APIVersion_V1, Txn: n.manager, Splitter: m.Raft, Logger: quiet,
	})
}

func (c *cluster) crashed(m *raftsim.Machine) {
	c.nodes[m.ID].cancel()
	delete(c.nodes, m.ID)
}

// RegionHeartbeat implements raftstore.Placement.
func (n *node) RegionHeartbeat(req *pdpb.RegionHeartbeatRequest) {
	n.m.Tasks.Then(fmt.Sprintf("heartbeat of region %d", req.Region.Id), always, func() {
		resp, err := n.c.pd.RegionHeartbeat(n.ctx, req)
		if err == nil { // else it is stale
			n.c.order(n, resp)
		}
	})
}

// AskBatchSplit implements raftstore.Placement.
func (n *node) AskBatchSplit(ctx context.Context, region *metapb.Region, count int) ([]*pdpb.SplitID, error) {
	n.m.Tasks.Await(raftsim.WithName(ctx, fmt.Sprintf("split of %d", region.Id)), always)
	return n.c.pd.AskBatchSplit(ctx, region, count)
}

// ReportSplit implements raftstore.Placement.
func (n *node) ReportSplit(_ context.Context, regions []*metapb.Region) {
	n.c.w.Fail(n.c.pd.ReportSplit(regions))
}

// OnLeader implements raftstore.Observer, as server/node does.
func (n *node) OnLeader(region *metapb.Region, term uint64) {
	n.manager.Resume(region.Id, term)
	n.m.Tasks.Await(raftsim.WithName(n.ctx, fmt.Sprintf("timestamp for region %d", region.Id)), always)
	if n.locks.Synced(region.Id, term) || n.ctx.Err() != nil {
		return
	}
	ts, err := n.c.pd.Oracle().Next(n.ctx, 1)
	n.c.w.Fail(err)
	n.locks.SetSynced(region.Id, term, uint64(ts))
}

// BeforeTransfer implements raftstore.Observer.
func (n *node) BeforeTransfer(region *metapb.Region, term uint64) {
	ctx, cancel := context.WithTimeout(raftsim.WithName(n.ctx, fmt.Sprintf("hand-over of region %d", region.Id)), 10*time.Second)
	defer cancel()
	_ = n.manager.HandOver(ctx, region, term) // pessimistic locks may be lost
}

// OnSplit implements raftstore.Observer.
func (n *node) OnSplit(s raftstore.Split) {
	n.manager.Split(s.RegionID, s.Term, s.Regions, s.FirstTerm)
}

// OnErase implements raftstore.Observer. There are no columnar segments.
func (n *node) OnErase([]storage.Modify) func() { return nil }

// OnLoss implements raftstore.Observer.
func (n *node) OnLoss(regionID uint64, left *metapb.Region) { n.manager.Lose(regionID, left) }

// store is a machine's store as transactions see it: each call is a step of its own, and so is each answer.
type store struct {
	*raftstore.Store
	tasks *raftsim.Tasks
}

var _ storage.Store = store{}

// Snapshot implements storage.Store.
func (s store) Snapshot(ctx context.Context, at storage.Region) (storage.Snapshot, error) {
	s.tasks.Await(ctx, always)
	return s.Store.Snapshot(ctx, at)
}

// Write implements storage.Store.
func (s store) Write(ctx context.Context, at storage.Region, mods []storage.Modify) error {
	s.tasks.Await(ctx, always)
	return s.Store.Write(ctx, at, mods)
}

// Submit implements storage.Store. The name is what the write says, as it is not told who asks.
func (s store) Submit(at storage.Region, mods []storage.Modify) (<-chan error, error) {
	name := "write"
	for _, m := range mods {
		name += fmt.Sprintf(" %c%c%x", '0'+m.Op, m.CF, m.Key)
	}
	s.tasks.Await(raftsim.WithName(context.Background(), name), always)
	outcome, err := s.Store.Submit(at, mods)
	if err != nil {
		return nil, err
	}
	told := make(chan error, 1)
	s.tasks.Then(name, func() bool { return len(outcome) > 0 }, func() { told <- <-outcome })
	return told, nil
}

// mischief is what the cluster suffers.
func (c *cluster) mischief() raftsim.Mischief {
	return raftsim.Mischief{
		Replicas: 3, RegionsMax: 6, Pause: 1500 * time.Millisecond,
		SplitKey: func(rng *rand.Rand) []byte { return encoded(anyKey(rng)) },
		NewPeer: func() uint64 {
			id, err := c.pd.AllocID(context.Background(), 1)
			c.w.Fail(err)
			return id
		},
	}
}
