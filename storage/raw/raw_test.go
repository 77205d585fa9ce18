package raw

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

var ctx = context.Background()

// client has the calls without their wrapping.
type client struct {
	*testing.T
	s *Service
}

func newClient(t *testing.T) client { return client{t, New(storagetest.New(t), Options{})} }

func (c client) put(kv ...string) {
	req := &kvrpcpb.RawBatchPutRequest{Context: storagetest.Context()}
	for i := 0; i < len(kv); i += 2 {
		req.Pairs = append(req.Pairs, &kvrpcpb.KvPair{Key: []byte(kv[i]), Value: []byte(kv[i+1])})
	}
	resp, err := c.s.BatchPut(ctx, req)
	require.NoError(c, err)
	require.Empty(c, resp.Error)
}

func (c client) scan(start, end string, limit uint32, reverse bool) (got []string) {
	resp, err := c.s.Scan(ctx, &kvrpcpb.RawScanRequest{Context: storagetest.Context(), StartKey: []byte(start), EndKey: []byte(end), Limit: limit, Reverse: reverse})
	require.NoError(c, err)
	for _, p := range resp.Kvs {
		got = append(got, string(p.Key)+"="+string(p.Value))
	}
	return got
}

func TestReadsAndWrites(t *testing.T) {
	c := newClient(t)
	c.put("a", "1", "b", "2", "c", "3", "d", "4")
	get, err := c.s.Get(ctx, &kvrpcpb.RawGetRequest{Context: storagetest.Context(), Key: []byte("b")})
	require.NoError(t, err)
	require.Equal(t, "2", string(get.Value))
	get, err = c.s.Get(ctx, &kvrpcpb.RawGetRequest{Context: storagetest.Context(), Key: []byte("x")})
	require.NoError(t, err)
	require.True(t, get.NotFound)
	batch, err := c.s.BatchGet(ctx, &kvrpcpb.RawBatchGetRequest{Context: storagetest.Context(), Keys: [][]byte{[]byte("d"), []byte("x"), []byte("a")}})
	require.NoError(t, err)
	require.Len(t, batch.Pairs, 2)

	require.Equal(t, []string{"b=2", "c=3"}, c.scan("b", "d", 10, false))
	require.Equal(t, []string{"a=1"}, c.scan("", "", 1, false))
	require.Equal(t, []string{"c=3", "b=2"}, c.scan("d", "b", 10, true))
	require.Empty(t, c.scan("", "", 0, false))
	sum, err := c.s.Checksum(ctx, &kvrpcpb.RawChecksumRequest{Context: storagetest.Context(), Ranges: []*kvrpcpb.KeyRange{{}}})
	require.NoError(t, err)
	require.Equal(t, []uint64{4, 8}, []uint64{sum.TotalKvs, sum.TotalBytes})

	_, err = c.s.Delete(ctx, &kvrpcpb.RawDeleteRequest{Context: storagetest.Context(), Key: []byte("a")})
	require.NoError(t, err)
	_, err = c.s.DeleteRange(ctx, &kvrpcpb.RawDeleteRangeRequest{Context: storagetest.Context(), StartKey: []byte("c")})
	require.NoError(t, err)
	require.Equal(t, []string{"b=2"}, c.scan("", "", 10, false))
	ttl, err := c.s.GetKeyTTL(ctx, &kvrpcpb.RawGetKeyTTLRequest{Context: storagetest.Context(), Key: []byte("b")})
	require.NoError(t, err)
	require.False(t, ttl.NotFound)
}

func TestRegionIsChecked(t *testing.T) {
	c := newClient(t)
	pb := storagetest.Context()
	pb.RegionId = 9
	_, err := c.s.Put(ctx, &kvrpcpb.RawPutRequest{Context: pb, Key: []byte("a")})
	var region *storage.RegionError
	require.ErrorAs(t, err, &region)
	require.Empty(t, c.scan("", "", 10, false))
}

// Counting by compare-and-swap loses no step.
func TestCompareAndSwapIsAtomic(t *testing.T) {
	c := newClient(t)
	const workers, steps = 4, 50
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < steps; {
				get, err := c.s.Get(ctx, &kvrpcpb.RawGetRequest{Context: storagetest.Context(), Key: []byte("n")})
				require.NoError(t, err)
				n, _ := strconv.Atoi(string(get.Value))
				cas, err := c.s.CompareAndSwap(ctx, &kvrpcpb.RawCASRequest{
					Context: storagetest.Context(), Key: []byte("n"), Value: []byte(strconv.Itoa(n + 1)),
					PreviousValue: get.Value, PreviousNotExist: get.NotFound,
				})
				require.NoError(t, err)
				if cas.Succeed {
					done++
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, []string{"n=" + strconv.Itoa(workers*steps)}, c.scan("", "", 10, false))
	cas, err := c.s.CompareAndSwap(ctx, &kvrpcpb.RawCASRequest{Context: storagetest.Context(), Key: []byte("n"), PreviousNotExist: true})
	require.NoError(t, err)
	require.False(t, cas.Succeed)
	require.Equal(t, "200", string(cas.PreviousValue))
}

// A sweep never takes away what came after it had looked: writers bring keys back while one sweep follows another.
func TestSweepSparesNewValues(t *testing.T) {
	var clock atomic.Int64
	s := New(storagetest.New(t), Options{API: kvrpcpb.APIVersion_V1TTL, Now: func() time.Time { return time.Unix(clock.Load(), 0) }})
	key, at := []byte("k"), storage.Region{ID: storagetest.RegionID}
	put := func(value string, ttl uint64) {
		resp, err := s.Put(ctx, &kvrpcpb.RawPutRequest{Context: storagetest.Context(), Key: key, Value: []byte(value), Ttl: ttl})
		require.NoError(t, err)
		require.Empty(t, resp.Error)
	}
	for round := range 200 {
		put("old", 1)
		clock.Add(2)
		swept := make(chan error, 1)
		go func() {
			_, err := s.Sweep(ctx, at)
			swept <- err
		}()
		value := strconv.Itoa(round)
		put(value, 1000)
		require.NoError(t, <-swept)
		get, err := s.Get(ctx, &kvrpcpb.RawGetRequest{Context: storagetest.Context(), Key: key})
		require.NoError(t, err)
		require.Equal(t, value, string(get.Value))
	}
}
