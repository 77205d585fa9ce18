package raftstore

import (
	"testing"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
)

func testRegion() *metapb.Region {
	return &metapb.Region{Id: 1, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}, Peers: []*metapb.Peer{{Id: 2, StoreId: 1}}}
}

func between(id uint64, start, end string) *metapb.Region {
	return &metapb.Region{Id: id, StartKey: []byte(start), EndKey: []byte(end), RegionEpoch: &metapb.RegionEpoch{Version: 3}}
}

func TestRegistryRanges(t *testing.T) {
	r := newRegistry()
	require.True(t, r.reserve(between(1, "", "d")))
	require.True(t, r.reserve(between(2, "d", "k")))
	require.True(t, r.reserve(between(3, "m", "")))
	require.False(t, r.reserve(between(4, "c", "d")), "taken by 1")
	require.False(t, r.reserve(between(4, "j", "m")), "taken by 2 in part")
	require.False(t, r.reserve(between(4, "a", "")), "spans several")
	require.True(t, r.reserve(between(4, "k", "m")), "the gap")
	require.True(t, r.reserve(between(4, "l", "m")), "its own range may change")
	require.True(t, r.overlaps([]byte("z"), nil, 0))
	require.False(t, r.overlaps([]byte("z"), nil, 3))
	require.Equal(t, uint64(1), r.at(nil).Id)
	require.Equal(t, uint64(2), r.at([]byte("d")).Id)
	require.Equal(t, uint64(3), r.at([]byte("zz")).Id)
	require.False(t, r.overlaps([]byte("k"), []byte("l"), 0))
	r.release(3, nil)
	require.False(t, r.overlaps([]byte("z"), nil, 0))
}

// Siblings are told as far as ranges join.
func TestRegistrySiblings(t *testing.T) {
	r := newRegistry()
	a, b, c := between(1, "", "d"), between(2, "f", "k"), between(3, "k", "m")
	for _, region := range []*metapb.Region{a, b, c} {
		require.True(t, r.reserve(region))
	}
	require.Equal(t, []*metapb.Region{c, b}, r.siblings(c, 5))
	require.Equal(t, []*metapb.Region{c}, r.siblings(c, 0))
	require.Equal(t, []*metapb.Region{a}, r.siblings(a, 5))
}

func TestUserKeyBoundary(t *testing.T) {
	long := append([]byte("12345678\xff"), "9\x00\x00\x00\x00\x00\x00\x00\xf8"...)
	require.Equal(t, long, userKeyBoundary(append(long[:len(long):len(long)], "timestmp"...)))
	require.Equal(t, []byte("12345678\xff\x00\x00\x00\x00\x00\x00\x00\x00\xf7"), userKeyBoundary([]byte("12345678\xff\x00\x00\x00\x00\x00\x00\x00\x00\xf7")))
	require.Nil(t, userKeyBoundary([]byte("short")))
	require.Nil(t, userKeyBoundary([]byte("raw-key-data")))
}
