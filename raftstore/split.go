package raftstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/storage"
)

// askSplitMax is how many ids the placement driver gives at once.
const askSplitMax = 10

// SplitRegion splits a region led here at encoded keys, or raw ones, which must lie in it; those at its start are ignored. The region
// keeps its id and the rightmost part, where a table grows; new regions take the parts to the left. They have their
// peers on the same stores, hold elections at once, and answer a little later. The regions are returned in key order, as of
// the split. Reads and writes go on meanwhile; those that meet the split get EpochNotMatch.
func (s *Store) SplitRegion(ctx context.Context, at storage.Region, encodedKeys [][]byte) ([]*metapb.Region, error) {
	p, region, err := s.leaderFor(at)
	if err != nil {
		return nil, err
	}
	if at.Epoch != nil && at.Epoch.ConfVer != region.RegionEpoch.ConfVer { // what changes a region minds who its peers are
		return nil, s.epochNotMatch(region, at.Epoch.Version)
	}
	if err := checkFlashback(region, at); err != nil {
		return nil, err
	}
	keys, err := splitKeysIn(region, encodedKeys)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return []*metapb.Region{region}, nil
	}
	parts, err := s.askParts(ctx, region, keys)
	if err != nil {
		return nil, err
	}
	pr := &proposal{
		payload: encodeSplit(parts, region.RegionEpoch.Version, region.RegionEpoch.ConfVer),
		kind:    kindSplit, version: region.RegionEpoch.Version, wanted: at.Term,
	}
	if err := s.proposeSplit(ctx, p, region, pr); err != nil {
		return nil, err
	}
	s.placement.ReportSplit(ctx, pr.result)
	return pr.result, nil
}

// proposeSplit tells the observer before, as the new regions may get their first leaders elsewhere, and after.
func (s *Store) proposeSplit(ctx context.Context, p *peer, region *metapb.Region, pr *proposal) error {
	term := p.role.Load().term
	s.observer.BeforeTransfer(region, term)
	defer func() { s.notifyLeader(p.region.Load(), term) }()
	return s.propose(ctx, p, pr)
}

// splitKeysIn sorts the keys and leaves out what would not split region. One between the versions of a user key is moved in
// front of them.
func splitKeysIn(region *metapb.Region, keys [][]byte) ([][]byte, error) {
	keys = slices.Clone(keys)
	for i, k := range keys {
		if b := userKeyBoundary(k); b != nil {
			keys[i] = b
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	keys = slices.CompactFunc(keys, bytes.Equal)
	if len(keys) > splitPartsMax {
		return nil, fmt.Errorf("raftstore: split of region %d at %d keys, at most %d are possible", region.Id, len(keys), splitPartsMax)
	}
	out := keys[:0]
	for _, k := range keys {
		if !contains(region, k) {
			return nil, errKeyNotInRegion(k, region)
		}
		if !bytes.Equal(k, region.StartKey) {
			out = append(out, k)
		}
	}
	return out, nil
}

// askParts gets ids for the new regions.
func (s *Store) askParts(ctx context.Context, region *metapb.Region, keys [][]byte) ([]splitPart, error) {
	var ids []*pdpb.SplitID
	for len(ids) < len(keys) {
		n := min(len(keys)-len(ids), askSplitMax)
		more, err := s.placement.AskBatchSplit(ctx, region, n)
		if err != nil {
			return nil, fmt.Errorf("raftstore: split region %d: %w", region.Id, err)
		}
		if len(more) != n {
			return nil, fmt.Errorf("raftstore: split region %d: asked for %d ids, got %d", region.Id, n, len(more))
		}
		ids = append(ids, more...)
	}
	parts := make([]splitPart, len(keys))
	for i, k := range keys {
		if len(ids[i].NewPeerIds) != len(region.Peers) {
			return nil, fmt.Errorf("raftstore: split region %d of %d peers: got %d peer ids", region.Id, len(region.Peers), len(ids[i].NewPeerIds))
		}
		parts[i] = splitPart{key: k, regionID: ids[i].NewRegionId, peerIDs: ids[i].NewPeerIds}
	}
	return parts, nil
}

// applySplit applies a split command, whose epoch holds: the new descriptors go into the batch, and the new peers are
// made when it is committed. If the command makes no sense, outcome says so and nothing changes.
func (l *applyLoop) applySplit(a *applier, term uint64, body []byte) (regions []*metapb.Region, outcome, err error) {
	parts, err := decodeSplit(body)
	if err != nil {
		return nil, nil, err
	}
	parent := cloneRegion(a.current)
	parent.RegionEpoch.Version += uint64(len(parts))
	for _, part := range parts {
		child := childRegion(parent, part)
		if child == nil {
			return nil, fmt.Errorf("raftstore: region %d cannot be split at %x", a.current.Id, part.key), nil
		}
		regions = append(regions, child)
		parent.StartKey = child.EndKey
	}
	for _, child := range regions {
		if err := l.createChild(a, child); err != nil {
			return nil, nil, err
		}
	}
	if err := l.setRegion(a, parent); err != nil {
		return nil, nil, err
	}
	a.report.split = true
	regions = append(regions, parent)
	l.splits = append(l.splits, Split{RegionID: parent.Id, Term: term, Regions: regions, FirstTerm: initialTerm + 1})
	return regions, nil, nil
}

// childRegion is the new region that takes the left end of parent, nil if the part does not fit.
func childRegion(parent *metapb.Region, part splitPart) *metapb.Region {
	if !contains(parent, part.key) || bytes.Equal(part.key, parent.StartKey) || len(part.peerIDs) != len(parent.Peers) {
		return nil
	}
	epoch := *parent.RegionEpoch
	child := &metapb.Region{
		Id: part.regionID, StartKey: parent.StartKey, EndKey: bytes.Clone(part.key), RegionEpoch: &epoch,
	}
	for i, m := range parent.Peers {
		child.Peers = append(child.Peers, &metapb.Peer{Id: part.peerIDs[i], StoreId: m.StoreId, Role: m.Role})
	}
	return child
}

// createChild puts a new region into the batch and its peer among those to be made.
func (l *applyLoop) createChild(a *applier, child *metapb.Region) error {
	start := applied{initialIndex, initialTerm}
	if err := putRegion(l.batch, child, start); err != nil {
		return err
	}
	p := l.store.newPeer(child.Id, peerOnStore(child, l.store.cfg.StoreID).Id)
	p.at, p.current = start, child
	p.applied.Store(start.index)
	p.safe.ts = a.p.safeTS() // what is committed there at or below it was so in the parent
	l.created = append(l.created, &createdPeer{p: p, region: child, campaign: a.p.role.Load().isLeader || len(child.Peers) == 1})
	return nil
}
