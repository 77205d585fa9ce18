package raftstore_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

func encodedBound(bound []byte) bool {
	if len(bound) == 0 {
		return true
	}
	_, rest, err := memcmp.DecodeBytes(bound, nil)
	return err == nil && len(rest) == 0
}

// partOf returns the bounds of the part with a key when everything is cut at ascending keys.
func partOf(cuts [][]byte, key []byte) (start, end []byte) {
	i, found := slices.BinarySearchFunc(cuts, key, bytes.Compare)
	if found {
		i++
	}
	if i > 0 {
		start = cuts[i-1]
	}
	if i < len(cuts) {
		end = cuts[i]
	}
	return start, end
}

// However raw and transactional keys lie, a transactional client can read the bounds of all regions with its data, and no
// bound parts what belongs to one of its keys. Regions of raw pairs alone are cut where it was asked for.
func TestFences(t *testing.T) {
	word := rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 'b', 0xff}), 0, 18, -1)
	whole := storage.Region{ID: 1}
	rapid.Check(t, func(rt *rapid.T) {
		m := bootSingle(t, vfs.NewMem())
		defer m.stop()
		raw := rapid.SliceOfN(word, 1, 8).Draw(rt, "raw")
		txn := rapid.SliceOfN(word, 0, 8).Draw(rt, "txn")
		var mods []storage.Modify
		for i, k := range raw {
			if raw[i] = k + "r"; i%3 == 0 {
				raw[i] = string(memcmp.AppendBytes(nil, []byte(k))) + "looks encoded"
			}
			mods = append(mods, storage.Modify{CF: storage.CFRaw, Key: []byte(raw[i])})
		}
		families := []storage.CF{storage.CFWrite, storage.CFLock, storage.CFDefault}
		for i, k := range txn {
			mods = append(mods, storage.Modify{CF: families[i%3], Key: append(memcmp.AppendBytes(nil, []byte(k)), "versions"...)})
		}
		require.NoError(t, m.store.Write(context.Background(), whole, mods))
		cut := []byte(raw[0])
		if len(raw) > 1 {
			cut = []byte(raw[1])
		}
		cuts, err := raftstore.Fence(m.store, &metapb.Region{Id: 1}, storage.CFRaw, [][]byte{cut})
		require.NoError(t, err)
		require.True(t, slices.IsSortedFunc(cuts, bytes.Compare))
		require.Contains(t, cuts, cut)
		if looksEncoded(cut) {
			return // which evenKeys does not ask for
		}
		for _, k := range txn {
			first := memcmp.AppendBytes(nil, []byte(k))
			start, end := partOf(cuts, first)
			require.True(t, encodedBound(start) && encodedBound(end), "%q lies in [%x, %x)", k, start, end)
			lastStart, _ := partOf(cuts, append(first, "\xff\xff\xff\xff\xff\xff\xff\xff"...))
			require.Equal(t, start, lastStart, "%q", k)
		}
	})
}

func looksEncoded(key []byte) bool {
	_, _, err := memcmp.DecodeBytes(key, nil)
	return err == nil
}

// A region of raw pairs is split when it has grown, between like amounts of them; the pairs lie behind fences.
func TestRawRegionIsSplit(t *testing.T) {
	m, _ := bootDriven(t, vfs.NewMem(), raftstore.Config{SplitBytes: 256 << 10})
	defer m.stop()
	rng := rand.New(rand.NewPCG(1, 2))
	const pairs = 4000
	written, find := map[string]bool{}, func(key []byte) (raftstore.RegionStatus, bool) { return m.store.RegionAt(key) }
	for len(written) < pairs {
		key := fmt.Sprintf("usertable:user%08d", rng.IntN(100_000_000))
		value := make([]byte, 250)
		for i := range value {
			value[i] = byte(rng.Uint32()) // does not compress
		}
		require.Eventually(t, func() bool {
			r, ok := find([]byte(key))
			return ok && m.store.Write(context.Background(), storage.Region{ID: r.Region.Id, Epoch: r.Region.RegionEpoch},
				[]storage.Modify{{CF: storage.CFRaw, Key: []byte(key), Value: value}}) == nil
		}, time.Minute, time.Millisecond)
		written[key] = true
	}
	bounds := func() (starts [][]byte) {
		for _, r := range m.store.Regions() {
			starts = append(starts, r.Region.GetStartKey())
		}
		return starts
	}
	require.Eventually(t, func() bool {
		raw := 0
		for _, b := range bounds() {
			if !encodedBound(b) {
				raw++
			}
		}
		return raw >= 2
	}, time.Minute, 10*time.Millisecond)
	for _, k := range []string{"a", "t\x80\x00\x00\x00\x00\x00\x00\x01_r", "userta", "v"} { // a transactional client's
		r, ok := find(memcmp.AppendBytes(nil, []byte(k)))
		require.True(t, ok)
		require.True(t, encodedBound(r.Region.StartKey) && encodedBound(r.Region.EndKey), "%q is in %v", k, r.Region)
	}
	for key := range written {
		r, ok := find([]byte(key))
		require.True(t, ok)
		require.Eventually(t, func() bool {
			snap, err := m.store.Snapshot(context.Background(), storage.Region{ID: r.Region.Id})
			if err != nil {
				r, _ = find([]byte(key))
				return false
			}
			defer snap.Close()
			v, err := snap.Get(storage.CFRaw, []byte(key))
			return err == nil && len(v) == 250
		}, time.Minute, time.Millisecond)
	}
}

// A transactional client that knows the region of before its split is told of those whose bounds it can read.
func TestSplitAmongFencesIsTold(t *testing.T) {
	m, _ := bootDriven(t, vfs.NewMem(), raftstore.Config{})
	defer m.stop()
	ctx, whole := context.Background(), storage.Region{ID: 1, Epoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}}
	regions, err := m.store.SplitRegion(ctx, whole, [][]byte{mce("a"), []byte("raw key 5"), []byte("raw key 7"), mce("s")})
	require.NoError(t, err)
	require.Len(t, regions, 5)
	told := func(at storage.Region) (n int) {
		_, err := m.store.Snapshot(ctx, at)
		return len(regionError(t, err).Pb.GetEpochNotMatch().GetCurrentRegions())
	}
	require.Equal(t, 2, told(whole), "the ends")
	awaitLeader(t, m.store, regions[2].Id)
	require.Equal(t, 3, told(storage.Region{ID: regions[2].Id, Epoch: &metapb.RegionEpoch{ConfVer: 1, Version: 3}}), "to who asks for raw keys")
}
