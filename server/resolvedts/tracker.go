// Package resolvedts lets followers serve stale reads. A Tracker looks at the regions that its store leads, every few
// seconds: it takes a fresh timestamp, lowers it below what transactions under way may still commit at, see
// txn.Concurrency.Bound and txn.LockBound, and tells the result to the other stores of the region, with the index of the
// log that has all of it (tikvpb.CheckLeader). A follower that has applied that index may serve reads at or below the
// timestamp without asking anyone.
//
// A store that was leader once, and does not know that it is not any more, must not tell anything: each region's snapshot
// is taken as a read takes it, after the timestamp, which shows that the store led the region after it was handed out.
package resolvedts

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"golang.org/x/sync/errgroup"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/txn"
)

// Regions is the store that a tracker works for: *raftstore.Store.
type Regions interface {
	storage.Store
	SharedRegions() []raftstore.RegionStatus
	LeastSafeTS(start, end []byte) uint64
	AdvanceSafeTS(region, index, ts uint64)
	Follows(region, leader, term uint64, epoch *metapb.RegionEpoch) bool
}

// Deps are what a tracker works with.
type Deps struct {
	StoreID uint64
	Regions Regions
	Locks   *txn.Concurrency
	// TS hands out a timestamp.
	TS func(ctx context.Context) (uint64, error)
	// Tell asks another store to take in what its regions may serve.
	Tell func(ctx context.Context, storeID uint64, req *kvrpcpb.CheckLeaderRequest) error
	// Interval is the time between two looks at all regions, 2 s by default.
	Interval time.Duration
	Logger   *slog.Logger // nil: discard
}

// Tracker is safe for concurrent use.
type Tracker struct {
	d     Deps
	floor atomic.Uint64 // the bound of the last look

	mu    sync.Mutex
	known map[uint64]bound // by region led here, as of the last look
}

// bound is what the locks of a region allow, as of a version of its data. noLocks: anything.
type bound struct{ version, ts uint64 }

const noLocks = math.MaxUint64

// patience is for how long a transaction holds back the regions that it has locks in.
const patience = 10 * time.Second

// before is the timestamp that lies d before ts.
func before(ts uint64, d time.Duration) uint64 {
	const logicalBits = 18
	return ts - min(ts, uint64(d.Milliseconds())<<logicalBits)
}

const (
	// snapshotsMax bounds the regions looked at together: some wait for their followers.
	snapshotsMax = 32
	// snapshotTimeout bounds the look at one region, and the call of one store.
	snapshotTimeout = 2 * time.Second
	// toldMax bounds the regions of one message.
	toldMax = 4096
)

// New returns a tracker. Run has it work.
func New(d Deps) *Tracker {
	d.Interval = cmp.Or(d.Interval, 2*time.Second)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Tracker{d: d, known: map[uint64]bound{}}
}

// Run looks at the regions until ctx ends.
func (t *Tracker) Run(ctx context.Context) {
	ticker := time.NewTicker(t.d.Interval)
	defer ticker.Stop()
	for {
		if err := t.Advance(ctx); err != nil && ctx.Err() == nil {
			t.d.Logger.Warn("resolved timestamps", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Advance looks at the regions once. Its error is that of the timestamp: regions that are not ready, and stores that
// cannot be reached, wait for the next time.
func (t *Tracker) Advance(ctx context.Context) error {
	ts, err := t.d.TS(ctx)
	if err != nil {
		return err
	}
	ts = t.d.Locks.Bound(ts)
	t.floor.Store(ts)
	news := t.look(ctx, ts)
	var calls errgroup.Group
	for store, infos := range news {
		calls.Go(func() error {
			t.tell(ctx, store, ts, infos)
			return nil
		})
	}
	return calls.Wait()
}

// look returns what is new of the regions led here, by the stores to be told.
func (t *Tracker) look(ctx context.Context, ts uint64) map[uint64][]*kvrpcpb.LeaderInfo {
	var mu sync.Mutex
	news, known := map[uint64][]*kvrpcpb.LeaderInfo{}, map[uint64]bound{}
	var looks errgroup.Group
	looks.SetLimit(snapshotsMax)
	for _, r := range t.d.Regions.SharedRegions() {
		looks.Go(func() error {
			info, b, err := t.resolve(ctx, &r, ts)
			if err != nil {
				t.d.Logger.Debug("region has no resolved timestamp now", "region", r.Region.Id, "err", err)
				return nil
			}
			t.d.Regions.AdvanceSafeTS(r.Region.Id, info.ReadState.AppliedIndex, info.ReadState.SafeTs)
			mu.Lock()
			defer mu.Unlock()
			known[r.Region.Id] = b
			for _, p := range r.Region.Peers {
				if p.StoreId != t.d.StoreID {
					news[p.StoreId] = append(news[p.StoreId], info)
				}
			}
			return nil
		})
	}
	_ = looks.Wait() // they return no errors
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = known
	return news
}

// resolve finds the resolved timestamp of one region, at most ts.
func (t *Tracker) resolve(ctx context.Context, r *raftstore.RegionStatus, ts uint64) (*kvrpcpb.LeaderInfo, bound, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	snap, err := t.d.Regions.Snapshot(ctx, storage.Region{ID: r.Region.Id, Epoch: r.Region.RegionEpoch, Term: r.Term})
	if err != nil {
		return nil, bound{}, err
	}
	b, err := t.lockBound(ctx, r.Region.Id, snap, before(ts, patience))
	if closed := snap.Close(); err == nil {
		err = closed
	}
	return &kvrpcpb.LeaderInfo{
		RegionId: r.Region.Id, PeerId: r.PeerID, Term: r.Term, RegionEpoch: r.Region.RegionEpoch,
		ReadState: &kvrpcpb.ReadState{AppliedIndex: b.version, SafeTs: min(ts, b.ts)},
	}, b, err
}

// lockBound looks at the locks in a snapshot, unless it has the same data as the last one, which had none.
func (t *Tracker) lockBound(ctx context.Context, region uint64, snap storage.Snapshot, oldest uint64) (bound, error) {
	version := snap.DataVersion()
	t.mu.Lock()
	b, ok := t.known[region]
	t.mu.Unlock()
	if ok && b == (bound{version, noLocks}) {
		return b, nil
	}
	ts, err := txn.LockBound(ctx, snap, oldest)
	return bound{version, ts}, err
}

func (t *Tracker) tell(ctx context.Context, store, ts uint64, infos []*kvrpcpb.LeaderInfo) {
	for len(infos) > 0 {
		n := min(len(infos), toldMax)
		call, cancel := context.WithTimeout(ctx, snapshotTimeout)
		err := t.d.Tell(call, store, &kvrpcpb.CheckLeaderRequest{Regions: infos[:n], Ts: ts})
		cancel()
		if err != nil {
			t.d.Logger.Debug("resolved timestamps not told", "to", store, "err", err)
			return
		}
		infos = infos[n:]
	}
}

// CheckLeaders takes in what the leaders of regions say, and returns the regions whose leader the peers here agree on.
func (t *Tracker) CheckLeaders(infos []*kvrpcpb.LeaderInfo) (agreed []uint64) {
	for _, info := range infos {
		if s := info.GetReadState(); s.GetSafeTs() > 0 {
			t.d.Regions.AdvanceSafeTS(info.RegionId, s.AppliedIndex, s.SafeTs)
		}
		if t.d.Regions.Follows(info.GetRegionId(), info.GetPeerId(), info.GetTerm(), info.GetRegionEpoch()) {
			agreed = append(agreed, info.RegionId)
		}
	}
	return agreed
}

// StoreSafeTS is the timestamp at which all regions of the store that overlap [start, end), encoded keys, serve stale
// reads; an empty end is no bound. Regions without other peers serve any, and count as of the last look. Those that are
// new and were not told of yet do not count: they refuse, and clients go on to the leader. 0: nothing is known.
func (t *Tracker) StoreSafeTS(start, end []byte) uint64 {
	return min(t.floor.Load(), t.d.Regions.LeastSafeTS(start, end))
}
