package node

import (
	"context"
	"fmt"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/server/pdclient"
)

// bootstrap makes the first region of a new cluster: durable here first, then known to the placement driver. A crash in
// between leaves a store with one region in a cluster without any, and the next start goes on from there.
func (s *Store) bootstrap(ctx context.Context, meta *metapb.Store) error {
	region, err := s.firstRegion(ctx)
	if err != nil {
		return err
	}
	err = s.opts.PD.Bootstrap(ctx, meta, region)
	if !pdclient.IsAlreadyBootstrapped(err) {
		return err
	}
	known, _, err := s.opts.PD.Region(ctx, nil)
	if err != nil {
		return err
	}
	if known.GetId() != region.Id {
		return fmt.Errorf("another store was first; remove %s and start again", s.opts.Dir)
	}
	return nil
}

// firstRegion is the one that an interrupted bootstrap has left, or a new one.
func (s *Store) firstRegion(ctx context.Context) (*metapb.Region, error) {
	if left := s.raft.Regions(); len(left) > 0 {
		return left[0].Region, nil
	}
	id, err := s.opts.PD.AllocID(ctx, 2)
	if err != nil {
		return nil, err
	}
	region := &metapb.Region{
		Id: id, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1},
		Peers: []*metapb.Peer{{Id: id + 1, StoreId: s.ident.StoreID}},
	}
	return region, s.raft.Bootstrap(region)
}

const (
	heartbeatEvery   = 10 * time.Second
	heartbeatTimeout = 5 * time.Second
)

// heartbeats tells the placement driver how the store is, until it stops.
func (s *Store) heartbeats() {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		if err := s.heartbeat(); err != nil && s.ctx.Err() == nil {
			s.log.Warn("store heartbeat", "err", err)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// term tells the term that a region's group is in; ok is false if the region is not here.
func (s *Store) term(regionID uint64) (term uint64, ok bool) {
	r, ok := s.raft.Region(regionID)
	return r.Term, ok
}

func (s *Store) heartbeat() error {
	s.manager.Retain(s.term)
	ctx, cancel := context.WithTimeout(s.ctx, heartbeatTimeout)
	defer cancel()
	disk, err := diskSpace(s.opts.Dir)
	if err != nil {
		return fmt.Errorf("disk space: %w", err)
	}
	s.columns.Relieve()
	now := uint64(time.Now().Unix())
	_, err = s.opts.PD.StoreHeartbeat(ctx, &pdpb.StoreStats{
		StoreId: s.ident.StoreID, RegionCount: uint32(len(s.raft.Regions())),
		Capacity: disk.total, Available: disk.free,
		UsedSize: s.data.Metrics().DiskBytes + s.logs.Metrics().DiskBytes,
		Interval: &pdpb.TimeInterval{StartTimestamp: now - uint64(heartbeatEvery.Seconds()), EndTimestamp: now},
	})
	return err
}

// onOrder carries out what the placement driver wants of a region.
func (s *Store) onOrder(order *pdpb.RegionHeartbeatResponse) { s.raft.Operator(order) }
