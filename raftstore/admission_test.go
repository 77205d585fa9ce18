package raftstore

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// RefusalOf is the region error of err, nil if it has none.
func RefusalOf(err error) *errorpb.Error {
	var region *storage.RegionError
	if errors.As(err, &region) {
		return region.Pb
	}
	return nil
}

var (
	putMods    = []storage.Modify{{Op: storage.OpPut}}
	deleteMods = []storage.Modify{{Op: storage.OpPut}, {Op: storage.OpDelete}}
)

// Writes are refused while reads suffer from what was written; those that end transactions are not.
func TestOverload(t *testing.T) {
	s := &Store{cfg: Config{StoreID: 1}.withDefaults(), log: slog.New(slog.DiscardHandler)}
	calm := engine.Pressure{Sublevels: sublevelsMax - 1, DebtBytes: debtBytesMax - 1, MemTables: 0.5}
	s.judge(calm, calm)
	_, err := s.enter(100, putMods, 0)
	require.NoError(t, err)
	for _, p := range []engine.Pressure{{Sublevels: sublevelsMax}, {DebtBytes: debtBytesMax}} {
		s.judge(p, calm)
		_, err = s.enter(100, putMods, 0)
		busy := RefusalOf(err).GetServerIsBusy()
		require.NotEmpty(t, busy.GetReason())
		require.NotZero(t, busy.BackoffMs)
		_, err = s.enter(100, deleteMods, 0)
		require.NoError(t, err)
		s.judge(calm, p)
		_, err = s.enter(100, putMods, 0)
		require.Error(t, err, "the log counts too")
		s.judge(calm, calm)
		_, err = s.enter(100, putMods, 0)
		require.NoError(t, err)
	}
}

// The queue of writes is bounded, and shorter while memtables are nearly full; one write may be larger than it.
func TestQueueIsBounded(t *testing.T) {
	s := &Store{cfg: Config{StoreID: 1, PendingBytesMax: 8 << 20}.withDefaults(), log: slog.New(slog.DiscardHandler)}
	fill := func() (entered []int64) {
		for {
			charged, err := s.enter(100<<10, putMods, 0)
			if err != nil {
				require.NotNil(t, RefusalOf(err).GetServerIsBusy())
				return entered
			}
			entered = append(entered, charged)
		}
	}
	drain := func(entered []int64) {
		for _, n := range entered {
			s.admission.pending.Add(-n)
		}
	}
	all := fill()
	require.InDelta(t, 80, len(all), 2)
	_, err := s.enter(1, deleteMods, 0)
	require.NoError(t, err, "there is room for a little")
	_, err = s.enter(100<<10, deleteMods, 0)
	require.Error(t, err)
	drain(all)
	s.judge(engine.Pressure{MemTables: 0.8}, engine.Pressure{})
	few := fill()
	require.InDelta(t, 10, len(few), 2)
	drain(few)
	s.admission.pending.Store(0)
	_, err = s.enter(50<<20, putMods, 0)
	require.NoError(t, err)
}
