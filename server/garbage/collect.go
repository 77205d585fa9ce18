package garbage

import (
	"context"
	"errors"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/txn"
)

const (
	// worthPercent of a region's records may be garbage before it is collected.
	worthPercent = 10
	// worthRow versions of one row are worth a collection whatever the region's size: readers of the row pass them all.
	worthRow = 1000
)

// collectAll collects the regions led here that are worth it.
func (c *Collector) collectAll(ctx context.Context, regions []raftstore.RegionStatus, safePoint uint64) error {
	for i := range regions {
		r := &regions[i]
		if !r.IsLeader || r.Region == nil {
			continue
		}
		worth, err := c.worth(r, safePoint)
		if err != nil {
			return err
		}
		if !worth {
			continue
		}
		err = c.collect(ctx, r, safePoint)
		var changed *storage.RegionError
		if err != nil && !errors.As(err, &changed) { // who leads a changed region collects it
			return err
		}
	}
	return nil
}

// worth tells whether to collect a region.
func (c *Collector) worth(r *raftstore.RegionStatus, safePoint uint64) (bool, error) {
	if l, ok := c.looked[r.Region.Id]; ok && l.applied == r.AppliedIndex && l.epoch == r.Region.RegionEpoch.GetVersion() {
		return safePoint >= l.nextTS, nil
	}
	v, err := c.d.Data.Versions(r.Region.StartKey, r.Region.EndKey, safePoint)
	return err == nil && worthCollecting(v), err
}

func worthCollecting(v engine.Versions) bool {
	if v.Hidden >= worthRow && v.MostOfRow >= worthRow {
		return true
	}
	garbage := v.Hidden + v.Layered
	return garbage > 0 && garbage*100 >= v.Records*worthPercent
}

func (c *Collector) collect(ctx context.Context, r *raftstore.RegionStatus, safePoint uint64) error {
	begin := c.opts.Now()
	stepped := begin
	stats, err := c.d.Collect(ctx, contextOf(r), txn.GCOptions{SafePoint: safePoint, Pause: func(ctx context.Context, _ int) error {
		worked := c.opts.Now().Sub(stepped)
		err := c.opts.Sleep(ctx, time.Duration(float64(worked)*(1/c.opts.Share-1)))
		stepped = c.opts.Now()
		return err
	}})
	c.versions.Add(int64(stats.Versions))
	if err != nil {
		return err
	}
	c.regions.Add(1)
	c.looked[r.Region.Id] = look{epoch: r.Region.RegionEpoch.GetVersion(), applied: r.AppliedIndex, nextTS: stats.NextTS}
	c.d.Logger.Debug("region collected", "region", r.Region.Id, "safe_point", safePoint, "records", stats.Records,
		"deleted", stats.Versions, "took", c.opts.Now().Sub(begin))
	return nil
}

// contextOf addresses a region as it was listed.
func contextOf(r *raftstore.RegionStatus) *kvrpcpb.Context {
	return &kvrpcpb.Context{RegionId: r.Region.Id, RegionEpoch: r.Region.RegionEpoch, Term: r.Term}
}
