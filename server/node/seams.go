package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/deadlock"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/txn"
)

// placement is raftstore's view of the placement driver.
type placement struct {
	pd    *pdclient.Client
	beats *pdclient.Heartbeats
	log   *slog.Logger
}

var _ raftstore.Placement = (*placement)(nil)

func (p *placement) RegionHeartbeat(req *pdpb.RegionHeartbeatRequest) { p.beats.Send(req) }

func (p *placement) AskBatchSplit(ctx context.Context, region *metapb.Region, n int) ([]*pdpb.SplitID, error) {
	return p.pd.AskBatchSplit(ctx, region, n)
}

func (p *placement) ReportSplit(ctx context.Context, regions []*metapb.Region) {
	if err := p.pd.ReportSplit(ctx, regions); err != nil {
		p.log.Warn("split not reported; heartbeats will tell", "err", err)
	}
}

// observer tells the transaction layer what becomes of regions, and the columnar segments what becomes of their rows.
type observer struct {
	ctx     context.Context // done when the store stops
	pd      *pdclient.Client
	locks   *txn.Concurrency
	txn     *txn.Manager // set before replication starts
	columns *columnar.Store
	log     *slog.Logger
}

var _ raftstore.Observer = (*observer)(nil)

const (
	observerRetry = 200 * time.Millisecond
	// handOverLimit is how long a transfer of leadership waits for pessimistic locks to be replicated. A leader that cannot
	// write is better replaced than kept for their sake.
	handOverLimit = 10 * time.Second
)

// OnLeader makes a new leader fit for async commit and one-phase commit: these must not commit below a timestamp that the
// former leader has served a read at, and a fresh timestamp lies above all of those.
func (o *observer) OnLeader(region *metapb.Region, term uint64) {
	o.txn.Resume(region.GetId(), term)
	for !o.locks.Synced(region.GetId(), term) {
		ts, err := o.pd.TS(o.ctx)
		if err == nil {
			o.locks.SetSynced(region.GetId(), term, ts)
			return
		}
		o.log.Warn("no timestamp for a new leader; trying again", "region", region.GetId(), "err", err)
		select {
		case <-o.ctx.Done():
			return
		case <-time.After(observerRetry):
		}
	}
}

func (o *observer) BeforeTransfer(region *metapb.Region, term uint64) {
	ctx, cancel := context.WithTimeout(o.ctx, handOverLimit)
	defer cancel()
	if err := o.txn.HandOver(ctx, region, term); err != nil {
		o.log.Warn("a transfer of leadership may lose pessimistic locks", "region", region.GetId(), "err", err)
	}
}

func (o *observer) OnSplit(s raftstore.Split) {
	o.txn.Split(s.RegionID, s.Term, s.Regions, s.FirstTerm)
}

// OnErase drops the columnar segments that rely on what is removed.
func (o *observer) OnErase(removals []storage.Modify) (erased func()) {
	return o.columns.Erasing(removals)
}

func (o *observer) OnLoss(regionID uint64, left *metapb.Region) {
	o.txn.Lose(regionID, left)
}

// detectorRoles tell the deadlock detector who leads the first region.
type detectorRoles struct {
	raft *raftstore.Store
	pd   *pdclient.Client
}

var _ deadlock.Roles = (*detectorRoles)(nil)

func (r *detectorRoles) Leading() (region, term uint64, ok bool) {
	first, here := r.raft.RegionAt(nil)
	if !here || !first.IsLeader {
		return 0, 0, false
	}
	return first.Region.GetId(), first.Term, true
}

func (r *detectorRoles) Leader(ctx context.Context) (storeID uint64, err error) {
	_, leader, err := r.pd.Region(ctx, nil)
	return leader.GetStoreId(), err
}
