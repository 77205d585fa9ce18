package raftstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// mce is the memory-comparable form of a short key.
func mce(key string) []byte {
	var out []byte
	for ; len(key) >= 8; key = key[8:] {
		out = append(append(out, key[:8]...), 0xFF)
	}
	out = append(out, key...)
	for range 8 - len(key) {
		out = append(out, 0)
	}
	return append(out, byte(0xFF-(8-len(key))))
}

func mceKey(i int) string { return string(mce(fmt.Sprintf("key%06d", i))) }

func regionError(t testing.TB, err error) *storage.RegionError {
	var re *storage.RegionError
	require.ErrorAs(t, err, &re)
	return re
}

// bootDriven is a single store with a placement driver.
func bootDriven(t testing.TB, fs vfs.FS, cfg raftstore.Config) (*machine, *driver) {
	d := &driver{nextID: 1000, regions: map[uint64]*pdpb.RegionHeartbeatRequest{}}
	cfg.StoreID = 1
	cfg.HousekeepInterval = 5 * time.Millisecond
	m := boot(t, fs, cfg, raftstore.Deps{Placement: d})
	if len(m.store.Regions()) == 0 {
		require.NoError(t, m.store.Bootstrap(firstRegion()))
	}
	require.NoError(t, m.store.Start())
	awaitLeader(t, m.store, 1)
	return m, d
}

func TestSplit(t *testing.T) {
	fs := vfs.NewCrashableMem()
	m, _ := bootDriven(t, fs, raftstore.Config{})
	ctx, whole := context.Background(), storage.Region{ID: 1, Epoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}}
	for i := range 100 {
		require.NoError(t, m.store.Write(ctx, whole, []storage.Modify{put(mceKey(i), fmt.Sprint(i))}))
	}
	regions, err := m.store.SplitRegion(ctx, whole, [][]byte{mce("key000060"), mce("key000030"), append(mce("key000030"), "version"...)})
	require.NoError(t, err)
	require.Len(t, regions, 3)
	require.Equal(t, mce("key000030"), regions[0].EndKey)
	require.Equal(t, mce("key000060"), regions[2].StartKey)
	require.EqualValues(t, 1, regions[2].Id, "the rightmost part keeps the id")
	require.EqualValues(t, 3, regions[1].RegionEpoch.Version)

	// Callers that know the region of before learn of all its parts.
	_, err = m.store.Snapshot(ctx, whole)
	re := regionError(t, err)
	require.Len(t, re.Pb.GetEpochNotMatch().GetCurrentRegions(), 3)
	err = m.store.Write(ctx, whole, []storage.Modify{put(mceKey(99), "x")})
	require.NotNil(t, regionError(t, err).Pb.EpochNotMatch)

	check := func(m *machine) {
		for _, r := range regions {
			awaitLeader(t, m.store, r.Id)
		}
		require.Equal(t, "29", get(t, m.store, regions[0].Id, mceKey(29)))
		require.Equal(t, "59", get(t, m.store, regions[1].Id, mceKey(59)))
		require.Equal(t, "99", get(t, m.store, 1, mceKey(99)))
		_, err = m.store.Snapshot(ctx, storage.Region{ID: 4242})
		require.NotNil(t, regionError(t, err).Pb.RegionNotFound)
		err = m.store.Write(ctx, storage.Region{ID: regions[0].Id}, []storage.Modify{put(mceKey(30), "x")})
		require.NotNil(t, regionError(t, err).Pb.KeyNotInRegion)
	}
	check(m)
	require.NoError(t, m.store.Write(ctx, storage.Region{ID: regions[0].Id}, []storage.Modify{put(mceKey(0), "new")}))
	fs = fs.CrashClone(vfs.CrashCloneCfg{}) // the split and what came after are only in the log
	m.stop()
	m, _ = bootDriven(t, fs, raftstore.Config{})
	defer m.stop()
	check(m)
	require.Equal(t, "new", get(t, m.store, regions[0].Id, mceKey(0)))
}

// A region that grows is split by itself, at boundaries between user keys, while it is written.
func TestSplitBySize(t *testing.T) {
	m, d := bootDriven(t, vfs.NewMem(), raftstore.Config{SplitBytes: 256 << 10})
	defer m.stop()
	value := string(make([]byte, 1000))
	for i := range 3000 {
		writeAnywhere(t, m.store, mceKey(i)+"12345678", value)
	}
	require.Eventually(t, func() bool { return len(m.store.Regions()) > 3 }, 10*time.Second, time.Millisecond)
	for _, r := range m.store.Regions() {
		if k := r.Region.StartKey; len(k) > 0 {
			require.Len(t, k, len(mceKey(0)), "without the version")
		}
	}
	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.regions) == len(m.store.Regions())
	}, 10*time.Second, time.Millisecond, "the driver knows all")
}

// writeAnywhere finds the region of a key and writes it, as a client would.
func writeAnywhere(t testing.TB, s *raftstore.Store, key, value string) {
	require.Eventually(t, func() bool {
		for _, r := range s.Regions() {
			if r.Region == nil || key < string(r.Region.StartKey) || (len(r.Region.EndKey) > 0 && key >= string(r.Region.EndKey)) {
				continue
			}
			at := storage.Region{ID: r.Region.Id, Epoch: r.Region.RegionEpoch}
			return s.Write(context.Background(), at, []storage.Modify{put(key, value)}) == nil
		}
		return false
	}, 10*time.Second, 100*time.Microsecond)
}

// Splits of a replicated region under load: nothing is lost, the new regions are led soon, and all peers agree.
func TestReplicatedSplitUnderLoad(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var acked [4][]int
	for w := range acked {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; ; i += len(acked) {
				select {
				case <-stop:
					return
				default:
				}
				if c.tryAnywhere(mceKey(i%1000), fmt.Sprint(i)) {
					acked[w] = append(acked[w], i)
				}
			}
		}()
	}
	for _, at := range []int{500, 250, 750, 125} {
		c.eventually("split", func() bool {
			m, r := c.regionOf(mceKey(at))
			if m == nil {
				return false
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := m.store.SplitRegion(ctx, storage.Region{ID: r.Id, Epoch: r.RegionEpoch}, [][]byte{[]byte(mceKey(at))})
			return err == nil
		})
	}
	c.eventually("five regions led everywhere", func() bool {
		for _, m := range c.live {
			if len(m.store.Regions()) != 5 {
				return false
			}
		}
		return c.led() == 5
	})
	close(stop)
	wg.Wait()
	last := map[string]int{}
	for _, list := range acked {
		for _, i := range list {
			last[mceKey(i%1000)] = max(last[mceKey(i%1000)], i)
		}
	}
	require.NotEmpty(t, last)
	for key, i := range last {
		_, r := c.regionOf(key)
		require.NotNil(t, r)
		got := c.read(r.Id, key)
		var n int
		_, err := fmt.Sscan(got, &n)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, i, key) // a later write may have been applied without being acknowledged
	}
	c.crash(2)
	c.write(1, put(mceKey(999), "end"))
	c.peersAgree(1, mceKey(999), "end")
}

// regionOf finds the leader of the region of a key.
func (c *cluster) regionOf(key string) (*machine, *metapb.Region) {
	for _, m := range c.live {
		for _, r := range m.store.Regions() {
			if r.IsLeader && key >= string(r.Region.StartKey) && (len(r.Region.EndKey) == 0 || key < string(r.Region.EndKey)) {
				return m, r.Region
			}
		}
	}
	return nil, nil
}

func (c *cluster) tryAnywhere(key, value string) bool {
	m, r := c.regionOf(key)
	if m == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return m.store.Write(ctx, storage.Region{ID: r.Id, Epoch: r.RegionEpoch}, []storage.Modify{put(key, value)}) == nil
}

// led counts the regions with a leader.
func (c *cluster) led() int {
	ids := map[uint64]bool{}
	for _, m := range c.live {
		for _, r := range m.store.Regions() {
			if r.IsLeader {
				ids[r.Region.Id] = true
			}
		}
	}
	return len(ids)
}

func TestRegionErrors(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	leader := c.awaitLeader(1)
	ctx := context.Background()
	r, _ := leader.store.Region(1)
	for _, m := range c.live {
		if m == leader {
			continue
		}
		c.eventually("the follower knows its leader", func() bool {
			_, err := m.store.Snapshot(ctx, storage.Region{ID: 1})
			var re *storage.RegionError
			return errors.As(err, &re) && re.Pb.GetNotLeader().GetLeader().GetId() == r.PeerID
		})
		_, err := m.store.Snapshot(ctx, storage.Region{ID: 1, StaleReadTS: 7})
		require.NotNil(t, regionError(t, err).Pb.DataIsNotReady)
	}
	err := leader.store.Write(ctx, storage.Region{ID: 1, Term: r.Term - 1}, []storage.Modify{put("a", "2")})
	require.NotNil(t, regionError(t, err).Pb.StaleCommand)
	err = leader.store.Write(ctx, storage.Region{ID: 1, Peer: &metapb.Peer{Id: 9, StoreId: 99}}, nil)
	require.NotNil(t, regionError(t, err).Pb.StoreNotMatch)
	err = leader.store.Write(ctx, storage.Region{ID: 1, Peer: &metapb.Peer{Id: 9999, StoreId: leader.id()}}, nil)
	require.NotNil(t, regionError(t, err).Pb.MismatchPeerId)
}

func TestWriteTooLarge(t *testing.T) {
	fs := vfs.NewMem()
	m := boot(t, fs, raftstore.Config{StoreID: 1, EntryBytesMax: 1 << 10}, raftstore.Deps{})
	require.NoError(t, m.store.Bootstrap(firstRegion()))
	require.NoError(t, m.store.Start())
	defer m.stop()
	awaitLeader(t, m.store, 1)
	err := m.store.Write(context.Background(), storage.Region{ID: 1}, []storage.Modify{put("a", string(make([]byte, 2<<10)))})
	require.NotNil(t, regionError(t, err).Pb.RaftEntryTooLarge)
}
