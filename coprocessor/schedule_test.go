package coprocessor

import (
	"context"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
)

// A request that does not want to wait for long is refused when others wait already, and told how long it would take.
func TestBusyThreshold(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSlots(1, func() time.Time { return now })
	impatient := &kvrpcpb.Context{BusyThresholdMs: 5}
	ctx, cancel := context.WithCancel(context.Background())
	first, err := s.queue(impatient)
	require.NoError(t, err)
	require.NoError(t, first.take(ctx))
	took := make(chan error, 3)
	slots := make([]*slot, 3)
	for i := range slots {
		slots[i], err = s.queue(impatient)
		require.NoError(t, err, "nobody has held a slot for long")
		go func() { took <- slots[i].take(ctx) }()
	}
	require.Eventually(t, func() bool { return s.waiting.Load() == 3 }, 10*time.Second, time.Millisecond)
	now = now.Add(160 * time.Millisecond)
	first.give()
	require.NoError(t, <-took)
	_, err = s.queue(impatient)
	var busy *storage.RegionError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, &errorpb.ServerIsBusy{Reason: "estimated wait time exceeds threshold", EstimatedWaitMs: 40}, busy.Pb.ServerIsBusy,
		"two wait, for an eighth of the last turn")
	_, err = s.queue(&kvrpcpb.Context{})
	require.NoError(t, err)
	_, err = s.queue(&kvrpcpb.Context{BusyThresholdMs: 100})
	require.NoError(t, err)
	cancel()
	require.Error(t, <-took)
	require.Error(t, <-took)
}
