package raftstore

import (
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
)

// ErrStopped is in the chain of errors of calls on a store that is stopped, or not started.
var ErrStopped = errors.New("the store is stopped")

func regionError(e *errorpb.Error) error { return &storage.RegionError{Pb: e} }

func errRegionNotFound(id uint64) error {
	return regionError(&errorpb.Error{
		Message:        fmt.Sprintf("region %d is not on this store", id),
		RegionNotFound: &errorpb.RegionNotFound{RegionId: id},
	})
}

func errNotLeader(id uint64, leader *metapb.Peer) error {
	return regionError(&errorpb.Error{
		Message:   fmt.Sprintf("the peer of region %d is not its leader", id),
		NotLeader: &errorpb.NotLeader{RegionId: id, Leader: leader},
	})
}

func errEpochNotMatch(id uint64, current []*metapb.Region) error {
	return regionError(&errorpb.Error{
		Message:       fmt.Sprintf("the epoch of region %d has changed", id),
		EpochNotMatch: &errorpb.EpochNotMatch{CurrentRegions: current},
	})
}

func errStoreNotMatch(asked, actual uint64) error {
	return regionError(&errorpb.Error{
		Message:       fmt.Sprintf("this is store %d, not %d", actual, asked),
		StoreNotMatch: &errorpb.StoreNotMatch{RequestStoreId: asked, ActualStoreId: actual},
	})
}

func errMismatchPeerID(asked, actual uint64) error {
	return regionError(&errorpb.Error{
		Message:        fmt.Sprintf("the peer here is %d, not %d", actual, asked),
		MismatchPeerId: &errorpb.MismatchPeerId{RequestPeerId: asked, StorePeerId: actual},
	})
}

func errStaleCommand() error {
	return regionError(&errorpb.Error{Message: "the term has changed", StaleCommand: &errorpb.StaleCommand{}})
}

func errServerIsBusy(reason string) error {
	return regionError(&errorpb.Error{
		Message:      "the server is busy: " + reason,
		ServerIsBusy: &errorpb.ServerIsBusy{Reason: reason, BackoffMs: uint64(busyFor.Milliseconds())},
	})
}

func errDiskFull(store uint64) error {
	reason := fmt.Sprintf("the disk of store %d is full", store)
	return regionError(&errorpb.Error{
		Message:  reason,
		DiskFull: &errorpb.DiskFull{StoreId: []uint64{store}, Reason: reason},
	})
}

func errEntryTooLarge(id uint64, size int) error {
	return regionError(&errorpb.Error{
		Message:           fmt.Sprintf("a write of %d bytes is too large", size),
		RaftEntryTooLarge: &errorpb.RaftEntryTooLarge{RegionId: id, EntrySize: uint64(size)},
	})
}

func errKeyNotInRegion(key []byte, r *metapb.Region) error {
	return regionError(&errorpb.Error{
		Message: fmt.Sprintf("key %x is not in region %d", key, r.Id),
		KeyNotInRegion: &errorpb.KeyNotInRegion{
			Key: key, RegionId: r.Id, StartKey: r.StartKey, EndKey: r.EndKey,
		},
	})
}

func errRegionNotInitialized(id uint64) error {
	return regionError(&errorpb.Error{
		Message:              fmt.Sprintf("region %d has no data here yet", id),
		RegionNotInitialized: &errorpb.RegionNotInitialized{RegionId: id},
	})
}

func errFlashbackInProgress(r *metapb.Region) error {
	return regionError(&errorpb.Error{
		Message:             fmt.Sprintf("region %d is in flashback, which began at %d", r.Id, r.FlashbackStartTs),
		FlashbackInProgress: &errorpb.FlashbackInProgress{RegionId: r.Id, FlashbackStartTs: r.FlashbackStartTs},
	})
}

func errFlashbackNotPrepared(region uint64) error {
	return regionError(&errorpb.Error{
		Message:              fmt.Sprintf("region %d is not in flashback", region),
		FlashbackNotPrepared: &errorpb.FlashbackNotPrepared{RegionId: region},
	})
}

func errDataIsNotReady(region, peer, safeTS uint64) error {
	return regionError(&errorpb.Error{
		Message:        fmt.Sprintf("data is not ready: region %d can be read here up to %d", region, safeTS),
		DataIsNotReady: &errorpb.DataIsNotReady{RegionId: region, PeerId: peer, SafeTs: safeTS},
	})
}

func errReadIndexNotReady(region uint64, reason string) error {
	return regionError(&errorpb.Error{
		Message:           reason,
		ReadIndexNotReady: &errorpb.ReadIndexNotReady{RegionId: region, Reason: reason},
	})
}
