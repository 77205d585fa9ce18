package kvclient

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/memcmp"
)

// stubCluster is a store that answers at once, and the placement driver of n regions on it.
type stubCluster struct {
	Store
	regions []*metapb.Region
	value   kvrpcpb.GetResponse
	asked   int // questions about regions
}

func newStub(n int) *stubCluster {
	s := &stubCluster{value: kvrpcpb.GetResponse{Value: []byte("value")}}
	bound := func(i int) []byte {
		if i == 0 || i == n {
			return nil
		}
		return memcmp.AppendBytes(nil, stubKey(i))
	}
	for i := range n {
		s.regions = append(s.regions, &metapb.Region{Id: uint64(i + 1), StartKey: bound(i), EndKey: bound(i + 1), RegionEpoch: &metapb.RegionEpoch{}, Peers: []*metapb.Peer{{Id: 1, StoreId: 1}}})
	}
	return s
}

// stubKey is the first key of region i.
func stubKey(i int) []byte { return fmt.Appendf(nil, "k%05d", i) }

func (s *stubCluster) KvGet(context.Context, *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	return &s.value, nil
}

func (s *stubCluster) TS(context.Context) (uint64, error) { return 1 << 18, nil }

func (s *stubCluster) Dial(context.Context, string) (Store, error) { return s, nil }

type stubPlacement struct{ *stubCluster }

func (stubPlacement) Store(context.Context, uint64) (*metapb.Store, error) {
	return &metapb.Store{Id: 1}, nil
}

func (p stubPlacement) ScanRegions(_ context.Context, start, end []byte, limit int) (out []*pdpb.Region, err error) {
	p.asked++
	for _, r := range p.regions {
		if (len(r.EndKey) == 0 || string(r.EndKey) > string(start)) && (len(end) == 0 || string(r.StartKey) < string(end)) && len(out) < limit {
			out = append(out, &pdpb.Region{Region: r, Leader: r.Peers[0]})
		}
	}
	return out, nil
}

func (p stubPlacement) Region(ctx context.Context, key []byte) (*metapb.Region, *metapb.Peer, error) {
	list, err := p.ScanRegions(ctx, key, nil, 1)
	return list[0].Region, list[0].Leader, err
}

func (s *stubCluster) client(t testing.TB) *Client {
	c := New(stubPlacement{s}, s, Options{})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func BenchmarkGet(b *testing.B) {
	c, ctx := newStub(100).client(b), context.Background()
	key := stubKey(50)
	b.ReportAllocs()
	for b.Loop() {
		_, err := c.Snapshot(math.MaxUint64).Get(ctx, key)
		require.NoError(b, err)
	}
}
