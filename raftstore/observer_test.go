package raftstore_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// witness is an observer that remembers.
type witness struct {
	mu      sync.Mutex
	leaders map[leadership]int // calls of OnLeader
	hold    chan struct{}      // not nil: what BeforeTransfer waits for
	asked   chan uint64        // gets the term when it begins to wait
	before  []uint64           // terms of BeforeTransfer
	splits  []raftstore.Split
	onSplit func(raftstore.Split)
	onErase func([]storage.Modify) func()
	onLoss  func(region uint64, left *metapb.Region)
}

type leadership struct{ region, term uint64 }

func newWitness() *witness {
	return &witness{
		leaders: map[leadership]int{}, asked: make(chan uint64, 1), onSplit: func(raftstore.Split) {},
		onErase: func([]storage.Modify) func() { return nil }, onLoss: func(uint64, *metapb.Region) {},
	}
}

func (w *witness) OnLeader(region *metapb.Region, term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaders[leadership{region.Id, term}]++
}

func (w *witness) BeforeTransfer(_ *metapb.Region, term uint64) {
	w.mu.Lock()
	hold := w.hold
	w.before = append(w.before, term)
	w.mu.Unlock()
	if hold != nil {
		w.asked <- term
		<-hold
	}
}

func (w *witness) OnSplit(s raftstore.Split) {
	w.mu.Lock()
	w.splits = append(w.splits, s)
	w.mu.Unlock()
	w.onSplit(s)
}

func (w *witness) OnErase(removals []storage.Modify) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.onErase(removals)
}

func (w *witness) OnLoss(region uint64, left *metapb.Region) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onLoss(region, left)
}

// heardTwice tells whether OnLeader was called twice for a leadership of the region.
func (w *witness) heardTwice(region uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l, n := range w.leaders {
		if l.region == region && n > 1 {
			return true
		}
	}
	return false
}

// offer orders the leader of region 1, if there is one, to give its leadership to another peer, and returns both.
func (c *cluster) offer() (from *machine, to *metapb.Peer) {
	if from = c.leader(1); from == nil {
		return nil, nil
	}
	r, _ := from.store.Region(1)
	for _, p := range r.Region.Peers {
		if p.Id != r.PeerID {
			to = p
		}
	}
	from.store.Operator(&pdpb.RegionHeartbeatResponse{
		RegionId: 1, RegionEpoch: r.Region.RegionEpoch, TransferLeader: &pdpb.TransferLeader{Peer: to},
	})
	return from, to
}

// A leader goes on serving until the observer has done what it has to do before a transfer.
func TestTransferWaitsForObserver(t *testing.T) {
	c := replicated(t, raftstore.Config{ElectionTicks: 1000})
	c.awaitLeader(1)
	c.watch.hold = make(chan struct{})
	from, to := c.offer()
	term := <-c.watch.asked
	c.offer() // meanwhile changes nothing
	require.NoError(t, from.store.Write(context.Background(), storage.Region{ID: 1, Term: term}, []storage.Modify{put("a", "1")}))
	close(c.watch.hold)
	c.eventually("transferred", func() bool {
		l := c.leader(1)
		return l != nil && l.id() == to.StoreId
	})
	require.Equal(t, "1", c.read(1, "a"))
	require.Empty(t, c.watch.asked)
}

// Whoever has prepared for the end of a leadership hears that it lasts.
func TestObserverHearsOfFailedOffer(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.awaitLeader(1)
	c.eventually("the offer failed", func() bool {
		if from, to := c.offer(); from != nil {
			c.net.isolate(to.StoreId, true)
			defer c.net.isolate(to.StoreId, false)
		}
		return c.watch.heardTwice(1)
	})
}

// A split is told before the regions that it makes are there to be asked.
func TestSplitIsToldFirst(t *testing.T) {
	w := newWitness()
	m := boot(t, vfs.NewMem(), raftstore.Config{StoreID: 1}, raftstore.Deps{
		Placement: &driver{nextID: 1000, regions: map[uint64]*pdpb.RegionHeartbeatRequest{}}, Observer: w,
	})
	defer m.stop()
	var seen bool
	w.onSplit = func(s raftstore.Split) {
		for _, r := range s.Regions {
			at, here := m.store.Region(r.Id)
			seen = seen || here && at.Region.RegionEpoch.Version == r.RegionEpoch.Version
		}
	}
	var left *metapb.Region
	w.onLoss = func(region uint64, l *metapb.Region) {
		if at, _ := m.store.Region(region); at.Region == l { // it is told after the split
			left = l
		}
	}
	require.NoError(t, m.store.Bootstrap(firstRegion()))
	require.NoError(t, m.store.Start())
	awaitLeader(t, m.store, 1)
	parent, _ := m.store.Region(1)
	regions, err := m.store.SplitRegion(context.Background(), storage.Region{ID: 1}, [][]byte{mce("m")})
	require.NoError(t, err)
	require.False(t, seen)
	require.Len(t, w.splits, 1)
	require.Equal(t, regions, w.splits[0].Regions)
	require.Same(t, regions[1], left)
	require.EqualValues(t, 1, w.splits[0].RegionID)
	require.Equal(t, parent.Term, w.splits[0].Term)
	require.Equal(t, []uint64{parent.Term}, w.before)
	require.Eventually(t, func() bool { return w.heardTwice(1) }, time.Minute, time.Millisecond)
	awaitLeader(t, m.store, regions[0].Id)
	child, _ := m.store.Region(regions[0].Id)
	require.Equal(t, w.splits[0].FirstTerm, child.Term)
}

// Removals are told before any snapshot lacks the records, and once all do.
func TestErasureIsToldFirst(t *testing.T) {
	w := newWitness()
	m := boot(t, vfs.NewMem(), raftstore.Config{StoreID: 1}, raftstore.Deps{Observer: w})
	defer m.stop()
	require.NoError(t, m.store.Bootstrap(firstRegion()))
	require.NoError(t, m.store.Start())
	awaitLeader(t, m.store, 1)
	ctx, at := context.Background(), storage.Region{ID: 1}
	require.NoError(t, m.store.Write(ctx, at, []storage.Modify{put("a", "1"), put("b", "1")}))

	removals := []storage.Modify{
		{Op: storage.OpDelete, CF: storage.CFWrite, Key: []byte("a")},
		{Op: storage.OpDeleteRange, CF: storage.CFWrite, Key: []byte("b")},
	}
	var told []storage.Modify
	var before, after string
	stored := func() string { // as Get of a snapshot might wait for the very loop that calls
		a, _ := m.data.Get(storage.CFWrite, []byte("a"))
		b, _ := m.data.Get(storage.CFWrite, []byte("b"))
		return string(a) + string(b)
	}
	w.onErase = func(removals []storage.Modify) func() {
		told, before = slices.Clone(removals), stored()
		return func() { after = stored() }
	}
	require.NoError(t, m.store.Write(ctx, at, append(removals, storage.Modify{Op: storage.OpDelete, CF: storage.CFLock, Key: []byte("a")})))
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Equal(t, "11", before)
	require.Empty(t, after)
	require.Len(t, told, 2)
	require.Equal(t, removals[0].Key, told[0].Key)
	require.Equal(t, removals[1].Key, told[1].Key)
}

// The data of a peer that is removed goes by one range, and so does what a snapshot replaces.
func TestErasureOfRegions(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	ranges := make(chan storage.Modify, 100)
	c.watch.onErase = func(removals []storage.Modify) func() {
		for _, m := range removals {
			select {
			case ranges <- m:
			default:
			}
		}
		return nil
	}
	leader := c.awaitLeader(1)
	c.write(1, put("a", "1"))
	r, _ := leader.store.Region(1)
	for _, p := range r.Region.Peers {
		if p.Id != r.PeerID {
			c.removePeer(1, p)
			break
		}
	}
	m := <-ranges
	require.Equal(t, storage.OpDeleteRange, m.Op)
	require.Equal(t, storage.CFWrite, m.CF)
	require.Equal(t, r.Region.StartKey, m.Key)
}
