package kvclient

import (
	"context"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
)

// refuser refuses gets by what refuse returns, until that is nil. It counts them, and what clients sleep instead of sleeping.
type refuser struct {
	*stubCluster
	refuse func(n int) *errorpb.Error
	gets   int
	slept  time.Duration
}

func (r *refuser) KvGet(context.Context, *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	r.gets++
	if e := r.refuse(r.gets); e != nil {
		return &kvrpcpb.GetResponse{RegionError: e}, nil
	}
	return &r.value, nil
}

func (r *refuser) Dial(context.Context, string) (Store, error) { return r, nil }

func (r *refuser) get(t *testing.T) ([]byte, error) {
	sleep := func(_ context.Context, d time.Duration) error { r.slept += d; return nil }
	c := New(stubPlacement{r.stubCluster}, r, Options{Sleep: sleep, Rand: func() float64 { return 0.5 }})
	defer func() { require.NoError(t, c.Close()) }()
	return c.Snapshot(1<<18).Get(context.Background(), stubKey(1))
}

// Each region error once: the client comes to its answer with one more try, waits where the error asks for time, and gives up
// where no try can help.
func TestEachRegionError(t *testing.T) {
	split := newStub(2).regions
	for _, c := range []struct {
		name         string
		e            errorpb.Error
		waits, fatal bool
	}{
		{name: "not leader", e: errorpb.Error{NotLeader: &errorpb.NotLeader{Leader: &metapb.Peer{Id: 1, StoreId: 1}}}},
		{name: "no leader", e: errorpb.Error{NotLeader: &errorpb.NotLeader{}}, waits: true},
		{name: "region not found", e: errorpb.Error{RegionNotFound: &errorpb.RegionNotFound{}}, waits: true},
		{name: "key not in region", e: errorpb.Error{KeyNotInRegion: &errorpb.KeyNotInRegion{}}, waits: true},
		{name: "epoch", e: errorpb.Error{EpochNotMatch: &errorpb.EpochNotMatch{CurrentRegions: split}}, waits: true},
		{name: "epoch of raw keys", e: errorpb.Error{EpochNotMatch: &errorpb.EpochNotMatch{CurrentRegions: []*metapb.Region{
			{Id: 5, StartKey: []byte("a raw key, long"), EndKey: []byte("a raw key, longer")},
		}}}, waits: true},
		{name: "epoch without news", e: errorpb.Error{EpochNotMatch: &errorpb.EpochNotMatch{}}, waits: true},
		{name: "busy", e: errorpb.Error{ServerIsBusy: &errorpb.ServerIsBusy{}}, waits: true},
		{name: "stale command", e: errorpb.Error{StaleCommand: &errorpb.StaleCommand{}}, waits: true},
		{name: "store", e: errorpb.Error{StoreNotMatch: &errorpb.StoreNotMatch{}}, waits: true},
		{name: "max ts", e: errorpb.Error{MaxTimestampNotSynced: &errorpb.MaxTimestampNotSynced{}}, waits: true},
		{name: "read index", e: errorpb.Error{ReadIndexNotReady: &errorpb.ReadIndexNotReady{}}, waits: true},
		{name: "merging", e: errorpb.Error{ProposalInMergingMode: &errorpb.ProposalInMergingMode{}}, waits: true},
		{name: "data not ready", e: errorpb.Error{DataIsNotReady: &errorpb.DataIsNotReady{}}, waits: true},
		{name: "not initialized", e: errorpb.Error{RegionNotInitialized: &errorpb.RegionNotInitialized{}}, waits: true},
		{name: "disk full", e: errorpb.Error{DiskFull: &errorpb.DiskFull{}}, waits: true},
		{name: "recovery", e: errorpb.Error{RecoveryInProgress: &errorpb.RecoveryInProgress{}}, waits: true},
		{name: "witness", e: errorpb.Error{IsWitness: &errorpb.IsWitness{}}, waits: true},
		{name: "peer", e: errorpb.Error{MismatchPeerId: &errorpb.MismatchPeerId{}}, waits: true},
		{name: "buckets", e: errorpb.Error{BucketVersionNotMatch: &errorpb.BucketVersionNotMatch{}}, waits: true},
		{name: "undetermined", e: errorpb.Error{UndeterminedResult: &errorpb.UndeterminedResult{}}, waits: true},
		{name: "text", e: errorpb.Error{Message: "the store stops"}, waits: true},
		{name: "too large", e: errorpb.Error{RaftEntryTooLarge: &errorpb.RaftEntryTooLarge{}}, fatal: true},
		{name: "flashback", e: errorpb.Error{FlashbackInProgress: &errorpb.FlashbackInProgress{}}, fatal: true},
		{name: "no flashback", e: errorpb.Error{FlashbackNotPrepared: &errorpb.FlashbackNotPrepared{}}, fatal: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &refuser{stubCluster: newStub(3), refuse: func(n int) *errorpb.Error {
				if n == 1 {
					return &c.e
				}
				return nil
			}}
			got, err := r.get(t)
			require.Equal(t, c.fatal, err != nil)
			if !c.fatal {
				require.Equal(t, "value", string(got))
				require.Equal(t, 2, r.gets)
			}
			require.Equal(t, c.waits, r.slept > 0)
		})
	}
}

// An error that stays uses up the time that a read has, also one that always knows better.
func TestRegionErrorThatStays(t *testing.T) {
	for name, e := range map[string]*errorpb.Error{
		"busy":    {ServerIsBusy: &errorpb.ServerIsBusy{}},
		"leader":  {NotLeader: &errorpb.NotLeader{Leader: &metapb.Peer{Id: 1, StoreId: 1}}},
		"unknown": {Message: "?"},
	} {
		r := &refuser{stubCluster: newStub(3), refuse: func(int) *errorpb.Error { return e }}
		_, err := r.get(t)
		var unavailable *RegionUnavailableError
		require.ErrorAs(t, err, &unavailable, name)
		require.Less(t, r.gets, 1000, name)
	}
}
