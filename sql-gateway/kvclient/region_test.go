package kvclient

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/memcmp"
)

func region(t require.TestingT, id, version uint64, start, end string) *Region {
	meta := &metapb.Region{Id: id, RegionEpoch: &metapb.RegionEpoch{Version: version}, Peers: []*metapb.Peer{{Id: id, StoreId: 1}}}
	if start != "" {
		meta.StartKey = memcmp.AppendBytes(nil, []byte(start))
	}
	if end != "" {
		meta.EndKey = memcmp.AppendBytes(nil, []byte(end))
	}
	r, err := newRegion(meta, nil)
	require.NoError(t, err)
	return r
}

// TestRegionCache inserts random regions and checks that the cache stays ordered without overlaps and finds each key in
// the region that was inserted last over it.
func TestRegionCache(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newRegionCache(nil, time.Now)
		owner := map[byte]*Region{}
		for i := range rapid.IntRange(1, 30).Draw(t, "inserts") {
			a, b := rapid.ByteRange('a', 'y').Draw(t, "a"), rapid.ByteRange('b', 'z').Draw(t, "b")
			if a >= b {
				continue
			}
			r := region(t, uint64(i+1), uint64(i+1), string(a), string(b))
			c.insert(r)
			for k := byte('a'); k <= 'z'; k++ {
				key := []byte{k}
				if owner[k] != nil && owner[k] != r && overlaps(owner[k], r) {
					delete(owner, k)
				}
				if r.Range.contains(key) {
					owner[k] = r
				}
			}
		}
		for i := 1; i < len(c.sorted); i++ {
			require.LessOrEqual(t, bytes.Compare(c.sorted[i-1].Range.End, c.sorted[i].Range.Start), 0)
		}
		for k := byte('a'); k <= 'z'; k++ {
			require.Equal(t, owner[k], c.cached([]byte{k}), "key %c", k)
		}
	})
}

func overlaps(a, b *Region) bool {
	return bytes.Compare(a.Range.Start, b.Range.End) < 0 && bytes.Compare(b.Range.Start, a.Range.End) < 0
}

func TestStaleNewsIsIgnored(t *testing.T) {
	c := newRegionCache(nil, time.Now)
	c.insert(region(t, 1, 5, "b", "d"))
	c.insert(region(t, 1, 4, "a", "z"))
	require.Nil(t, c.cached([]byte("a")))
	require.EqualValues(t, 5, c.cached([]byte("c")).Meta.RegionEpoch.Version)
}

func TestNextPeerGoesRound(t *testing.T) {
	c := newRegionCache(nil, time.Now)
	r := region(t, 1, 1, "", "")
	r.Meta.Peers = append(r.Meta.Peers, &metapb.Peer{Id: 2, StoreId: 2}, &metapb.Peer{Id: 3, StoreId: 3})
	c.insert(r)
	var visited []uint64
	for range 4 {
		r := c.cached([]byte("k"))
		visited = append(visited, r.Leader.StoreId)
		c.nextPeer(r)
	}
	require.Equal(t, []uint64{1, 2, 3, 1}, visited)
}

func TestBelow(t *testing.T) {
	for _, end := range [][]byte{[]byte("b"), {0}, {'a', 0}, {'a', 1}, nil} {
		b := below(end)
		if len(end) > 0 {
			require.Negative(t, bytes.Compare(b, end), fmt.Sprintf("%x", end))
		}
	}
}

// TestRegionsComeTogether: a range of many regions is looked up in few questions, and then not again.
func TestRegionsComeTogether(t *testing.T) {
	s := newStub(regionsMax * 2)
	c := s.client(t)
	for range 2 {
		tasks, err := c.Tasks(context.Background(), c.NewBackoff(), []KeyRange{{Start: stubKey(3)}})
		require.NoError(t, err)
		require.Len(t, tasks, len(s.regions)-3)
		require.Equal(t, 2, s.asked)
	}
}
