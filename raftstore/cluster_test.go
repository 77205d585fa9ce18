package raftstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// network carries messages between the stores of a test, as bytes, and can be cut.
type network struct {
	mu     sync.Mutex
	stores map[uint64]raftstore.Receiver
	ports  map[uint64]*port
	cut    map[[2]uint64]bool
	drop   func(msg *raft_serverpb.RaftMessage) bool
	wg     sync.WaitGroup
}

func newNetwork() *network {
	return &network{stores: map[uint64]raftstore.Receiver{}, ports: map[uint64]*port{}, cut: map[[2]uint64]bool{}}
}

// port is one store's end of the network. A goroutine delivers in order.
type port struct {
	n     *network
	id    uint64
	queue chan *raft_serverpb.RaftMessage
}

// port gives a store its end of the network; an earlier one of the same store is dead.
func (n *network) port(id uint64) *port {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[id] = &port{n: n, id: id, queue: make(chan *raft_serverpb.RaftMessage, 1<<14)}
	return n.ports[id]
}

func (p *port) Bind(r raftstore.Receiver) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.n.stores[p.id] = r
	go func() {
		for msg := range p.queue {
			if to := p.n.to(p, msg); to != nil {
				to.Receive(msg)
			}
		}
	}()
}

// to is the receiver of a message, nil if it does not get through.
func (n *network) to(from *port, msg *raft_serverpb.RaftMessage) raftstore.Receiver {
	n.mu.Lock()
	defer n.mu.Unlock()
	to := msg.ToPeer.StoreId
	if n.ports[from.id] != from || n.cut[[2]uint64{from.id, to}] || (n.drop != nil && n.drop(msg)) {
		return nil
	}
	return n.stores[to]
}

func (p *port) Send(msg *raft_serverpb.RaftMessage) {
	raw, err := msg.Marshal()
	if err != nil {
		panic(err)
	}
	var wire raft_serverpb.RaftMessage
	if err := wire.Unmarshal(raw); err != nil {
		panic(err)
	}
	select {
	case p.queue <- &wire:
	default:
	}
}

func (p *port) SendSnapshot(msg *raft_serverpb.RaftMessage, src raftstore.SnapshotSource, done func(error)) {
	go func() {
		to := p.n.to(p, msg)
		if to == nil {
			done(errors.Join(io.ErrClosedPipe, src.Close()))
			return
		}
		done(errors.Join(to.ReceiveSnapshot(msg, src.Next), src.Close()))
	}()
}

// isolate cuts a store off, or heals it.
func (n *network) isolate(id uint64, off bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := uint64(1); other <= 9; other++ {
		n.cut[[2]uint64{id, other}], n.cut[[2]uint64{other, id}] = off, off
	}
}

// driver is the placement driver of a test: it hands out ids and remembers the last heartbeats.
type driver struct {
	mu      sync.Mutex
	nextID  uint64
	regions map[uint64]*pdpb.RegionHeartbeatRequest
}

func (d *driver) RegionHeartbeat(req *pdpb.RegionHeartbeatRequest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.regions[req.Region.Id] = req
}

func (d *driver) id() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nextID++
	return d.nextID
}

func (d *driver) AskBatchSplit(_ context.Context, region *metapb.Region, n int) ([]*pdpb.SplitID, error) {
	ids := make([]*pdpb.SplitID, n)
	for i := range ids {
		ids[i] = &pdpb.SplitID{NewRegionId: d.id()}
		for range region.Peers {
			ids[i].NewPeerIds = append(ids[i].NewPeerIds, d.id())
		}
	}
	return ids, nil
}

func (d *driver) ReportSplit(context.Context, []*metapb.Region) {}

// cluster is stores on a network.
type cluster struct {
	t    testing.TB
	net  *network
	pd   *driver
	cfg  raftstore.Config
	fs   map[uint64]vfs.FS
	live map[uint64]*machine

	guards       map[uint64]*guard
	watch        *witness
	bootstrapped bool
}

func newCluster(t testing.TB, stores int, cfg raftstore.Config) *cluster {
	cfg.TickInterval = 10 * time.Millisecond
	cfg.HousekeepInterval = 20 * time.Millisecond
	c := &cluster{
		t: t, net: newNetwork(), pd: &driver{nextID: 1000, regions: map[uint64]*pdpb.RegionHeartbeatRequest{}}, cfg: cfg,
		fs: map[uint64]vfs.FS{}, live: map[uint64]*machine{}, guards: map[uint64]*guard{},
		watch: newWitness(),
	}
	for id := uint64(1); id <= uint64(stores); id++ {
		c.fs[id] = vfs.NewCrashableMem()
		c.guards[id] = &guard{}
		c.start(id)
	}
	t.Cleanup(func() {
		for _, m := range c.live {
			m.stop()
		}
	})
	return c
}

func (c *cluster) start(id uint64) {
	cfg := c.cfg
	cfg.StoreID = id
	m := boot(c.t, c.fs[id], cfg, raftstore.Deps{Transport: c.net.port(id), Placement: c.pd, Guard: c.guards[id], Observer: c.watch})
	if id == 1 && !c.bootstrapped {
		c.bootstrapped = true
		require.NoError(c.t, m.store.Bootstrap(firstRegion()))
	}
	require.NoError(c.t, m.store.Start())
	c.live[id] = m
}

// crash cuts the power of a store and boots it from what was synced.
func (c *cluster) crash(id uint64) {
	c.net.isolate(id, true) // what it says after the cut would be based on what it forgets
	c.fs[id] = c.fs[id].(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	c.live[id].stop()
	c.net.isolate(id, false)
	c.start(id)
}

// halt stops a store.
func (c *cluster) halt(id uint64) {
	c.net.isolate(id, true)
	c.live[id].stop()
	delete(c.live, id)
}

func (c *cluster) eventually(what string, f func() bool) {
	c.t.Helper()
	require.Eventually(c.t, f, 15*time.Second, 2*time.Millisecond, what)
}

// leader is the store that leads a region with the highest term, nil if none does.
func (c *cluster) leader(region uint64) *machine {
	var best *machine
	var term uint64
	for _, m := range c.live {
		if r, ok := m.store.Region(region); ok && r.IsLeader && r.Term > term {
			best, term = m, r.Term
		}
	}
	return best
}

func (c *cluster) awaitLeader(region uint64) *machine {
	c.t.Helper()
	c.eventually(fmt.Sprintf("region %d has a leader", region), func() bool { return c.leader(region) != nil })
	return c.leader(region)
}

// write retries as a client does until the write is acknowledged.
func (c *cluster) write(region uint64, mods ...storage.Modify) {
	c.t.Helper()
	c.eventually("write", func() bool {
		m := c.leader(region)
		if m == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return m.store.Write(ctx, storage.Region{ID: region}, mods) == nil
	})
}

// read retries as a client does until it gets an answer.
func (c *cluster) read(region uint64, key string) (value string) {
	c.t.Helper()
	c.eventually("read", func() bool {
		m := c.leader(region)
		return m != nil && readOn(m, storage.Region{ID: region}, key, &value) == nil
	})
	return value
}

func readOn(m *machine, at storage.Region, key string, value *string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	snap, err := m.store.Snapshot(ctx, at)
	if err != nil {
		return err
	}
	defer snap.Close()
	v, err := snap.Get(storage.CFWrite, []byte(key))
	*value = string(v)
	return err
}

// change orders a membership change as the placement driver does: again until it is seen done.
func (c *cluster) change(region uint64, kind eraftpb.ConfChangeType, peer *metapb.Peer, done func(*metapb.Region) bool) {
	c.t.Helper()
	last := time.Time{}
	c.eventually(fmt.Sprintf("%v of %v", kind, peer), func() bool {
		m := c.leader(region)
		if m == nil {
			return false
		}
		r, _ := m.store.Region(region)
		if done(r.Region) {
			return true
		}
		if time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			m.store.Operator(&pdpb.RegionHeartbeatResponse{
				RegionId: region, RegionEpoch: r.Region.RegionEpoch,
				ChangePeer: &pdpb.ChangePeer{Peer: peer, ChangeType: kind},
			})
		}
		return false
	})
}

// addVoter gives a region a peer on a store and waits until it votes.
func (c *cluster) addVoter(region, store uint64) uint64 {
	c.t.Helper()
	peer := &metapb.Peer{Id: c.pd.id(), StoreId: store}
	c.change(region, eraftpb.ConfChangeType_AddNode, peer, func(r *metapb.Region) bool {
		for _, p := range r.Peers {
			if p.Id == peer.Id {
				return p.Role == metapb.PeerRole_Voter
			}
		}
		return false
	})
	return peer.Id
}

func (c *cluster) removePeer(region uint64, peer *metapb.Peer) {
	c.t.Helper()
	c.change(region, eraftpb.ConfChangeType_RemoveNode, peer, func(r *metapb.Region) bool {
		for _, p := range r.Peers {
			if p.Id == peer.Id {
				return false
			}
		}
		return true
	})
}

// replicated brings region 1 to stores 1, 2 and 3.
func replicated(t testing.TB, cfg raftstore.Config) *cluster {
	c := newCluster(t, 3, cfg)
	c.awaitLeader(1)
	c.addVoter(1, 2)
	c.addVoter(1, 3)
	return c
}

// peersAgree waits until all live peers of a region have the same data as its leader.
func (c *cluster) peersAgree(region uint64, key, value string) {
	c.t.Helper()
	for id, m := range c.live {
		c.eventually(fmt.Sprintf("store %d has %s", id, key), func() bool {
			v, err := m.data.Get(storage.CFWrite, []byte(key))
			return err == nil && string(v) == value
		})
	}
}

func TestReplication(t *testing.T) {
	c := newCluster(t, 3, raftstore.Config{})
	c.awaitLeader(1)
	for i := range 200 { // what comes before the peers reaches them by snapshot
		c.write(1, put(fmt.Sprintf("before-%03d", i), "x"))
	}
	c.addVoter(1, 2)
	c.addVoter(1, 3)
	c.write(1, put("after", "y"))
	c.peersAgree(1, "before-123", "x")
	c.peersAgree(1, "after", "y")
	require.Equal(t, "y", c.read(1, "after"))
	for id, m := range c.live {
		var v string
		c.eventually("replica read", func() bool {
			return readOn(m, storage.Region{ID: 1, ReplicaRead: true}, "after", &v) == nil
		})
		require.Equal(t, "y", v, "store %d", id)
	}
}

func TestLeaderDies(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	c.halt(c.awaitLeader(1).id())
	c.write(1, put("b", "2"))
	require.Equal(t, "1", c.read(1, "a"))
	require.Equal(t, "2", c.read(1, "b"))
}

func (m *machine) id() uint64 {
	r, _ := m.store.Region(1)
	for _, p := range r.Region.GetPeers() {
		if p.Id == r.PeerID {
			return p.StoreId
		}
	}
	return 0
}

// A leader that is cut off gives no more answers, once another may have been elected.
func TestIsolatedLeaderStopsReads(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	old := c.awaitLeader(1)
	c.net.isolate(old.id(), true)
	c.eventually("another leader", func() bool { l := c.leader(1); return l != nil && l != old })
	c.write(1, put("a", "2"))
	var v string
	if err := readOn(old, storage.Region{ID: 1}, "a", &v); err == nil {
		require.Equal(t, "2", v)
	}
	c.net.isolate(old.id(), false)
	c.peersAgree(1, "a", "2")
}

func TestTransferLeader(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	from := c.awaitLeader(1)
	r, _ := from.store.Region(1)
	var target *metapb.Peer
	for _, p := range r.Region.Peers {
		if p.Id != r.PeerID {
			target = p
		}
	}
	c.eventually("transferred", func() bool {
		from.store.Operator(&pdpb.RegionHeartbeatResponse{
			RegionId: 1, RegionEpoch: r.Region.RegionEpoch, TransferLeader: &pdpb.TransferLeader{Peer: target},
		})
		l := c.leader(1)
		return l != nil && l.id() == target.StoreId
	})
	c.write(1, put("a", "1"))
	require.Equal(t, "1", c.read(1, "a"))
}

func TestRemovedPeerIsCleared(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	c.peersAgree(1, "a", "1")
	var gone *metapb.Peer
	r, _ := c.awaitLeader(1).store.Region(1)
	for _, p := range r.Region.Peers {
		if p.Id != r.PeerID {
			gone = p
		}
	}
	c.removePeer(1, gone)
	m := c.live[gone.StoreId]
	c.eventually("cleared", func() bool {
		_, here := m.store.Region(1)
		v, err := m.data.Get(storage.CFWrite, []byte("a"))
		return !here && err == nil && v == nil
	})
	c.addVoter(1, gone.StoreId) // it may come back as another peer
	c.peersAgree(1, "a", "1")
}

// A follower that was away while the log was cut gets a snapshot.
func TestSnapshotToLaggingFollower(t *testing.T) {
	c := replicated(t, raftstore.Config{LogKeepBytes: 64 << 10, LogBytesMax: 64 << 10})
	leader := c.awaitLeader(1)
	behind := leader.id()%3 + 1
	c.net.isolate(behind, true)
	value := string(make([]byte, 1<<10))
	for i := range 300 {
		c.write(1, put(fmt.Sprintf("k%03d", i), value))
	}
	away, _ := c.live[behind].store.Region(1)
	c.eventually("the log is cut", func() bool {
		r, _ := c.awaitLeader(1).store.Region(1)
		return r.FirstIndex > away.LastIndex+1
	})
	c.net.isolate(behind, false)
	c.write(1, put("last", "1"))
	c.peersAgree(1, "last", "1")
	c.peersAgree(1, "k123", value)
}

// Power cuts of the stores in turn, under load, lose nothing that was acknowledged.
func TestClusterCrashes(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	for round := range 6 {
		for i := range 50 {
			c.write(1, put(fmt.Sprintf("r%d-%d", round, i), "x"))
		}
		c.crash(uint64(round%3) + 1)
	}
	for round := range 6 {
		for i := range 50 {
			require.Equal(t, "x", c.read(1, fmt.Sprintf("r%d-%d", round, i)))
		}
	}
}
