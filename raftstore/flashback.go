package raftstore

import (
	"context"
	"encoding/binary"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
)

// While a region's data is put back to a former time the region is in the state of flashback, which is part of its
// descriptor: it is replicated by a command of its own, and so outlives restarts, snapshots and leaders. In this state the
// region takes no writes but those of the flashback, serves no reads but those of the time before it began, and keeps its
// bounds and its peers. What was proposed before and comes behind the command in the log is refused when it is applied.

// PrepareFlashback implements storage.Store. A region that is in the state already goes on with the new startTS.
func (s *Store) PrepareFlashback(ctx context.Context, at storage.Region, startTS uint64) error {
	return s.changeFlashback(ctx, at, kindPrepareFlashback, binary.AppendUvarint(nil, startTS))
}

// FinishFlashback implements storage.Store. A region that is not in the state stays as it is.
func (s *Store) FinishFlashback(ctx context.Context, at storage.Region) error {
	return s.changeFlashback(ctx, at, kindFinishFlashback, nil)
}

func (s *Store) changeFlashback(ctx context.Context, at storage.Region, kind commandKind, body []byte) error {
	p, region, err := s.leaderFor(at)
	if err != nil {
		return err
	}
	epoch := region.RegionEpoch
	if at.Epoch != nil && at.Epoch.ConfVer != epoch.ConfVer {
		return s.epochNotMatch(region, at.Epoch.Version)
	}
	payload := appendHeader(nil, header{kind: kind, version: epoch.Version, confVer: epoch.ConfVer})
	return s.propose(ctx, p, &proposal{payload: append(payload, body...), kind: kind, version: epoch.Version, wanted: at.Term})
}

// applyFlashback changes the state.
func (l *applyLoop) applyFlashback(a *applier, kind commandKind, body []byte) error {
	next := cloneRegion(a.current)
	next.IsInFlashback, next.FlashbackStartTs = false, 0
	if kind == kindPrepareFlashback {
		startTS, _, err := takeUvarint(body)
		if err != nil {
			return err
		}
		next.IsInFlashback, next.FlashbackStartTs = true, startTS
	}
	return l.setRegion(a, next)
}

// flashbackRefuses is the error of a command that does not go with the region's state, nil if it does.
func flashbackRefuses(region *metapb.Region, kind commandKind) error {
	switch kind {
	case kindPrepareFlashback, kindFinishFlashback:
		return nil
	}
	return checkFlashback(region, storage.Region{Flashback: kind == kindFlashbackWrite})
}

// checkFlashback is the error of a request that does not go with the region's state, nil if it does.
func checkFlashback(region *metapb.Region, at storage.Region) error {
	switch {
	case region.IsInFlashback == at.Flashback:
		return nil
	case at.Flashback:
		return errFlashbackNotPrepared(region.Id)
	case at.ReadTS != 0 && at.ReadTS < region.FlashbackStartTs:
		return nil
	}
	return errFlashbackInProgress(region)
}
