package clientsuite

import (
	"hash/crc64"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/rawkv"
)

// rawCalls goes through the raw API. Other tests have cut the key space into regions, so ranges span several.
func (s *suite) rawCalls(t *testing.T) {
	const n = 3000
	var keys, values [][]byte
	for i := range n {
		keys, values = append(keys, key("r%04d", i)), append(values, key("v%d", i))
	}
	require.NoError(t, s.raw.BatchPut(ctx, keys, values))
	require.NoError(t, s.raw.Put(ctx, []byte("a first"), []byte("1")))
	require.NoError(t, s.raw.Put(ctx, []byte("z last"), []byte("2")))

	v, err := s.raw.Get(ctx, []byte("r0007"))
	require.NoError(t, err)
	require.Equal(t, "v7", string(v))
	v, err = s.raw.Get(ctx, []byte("none"))
	require.NoError(t, err)
	require.Nil(t, v)
	got, err := s.raw.BatchGet(ctx, append([][]byte{[]byte("none")}, keys...))
	require.NoError(t, err)
	require.Nil(t, got[0])
	require.Equal(t, values, got[1:])

	gotKeys, got, err := s.raw.Scan(ctx, nil, nil, 5000)
	require.NoError(t, err)
	require.Len(t, gotKeys, n+2)
	require.Equal(t, "a first", string(gotKeys[0]))
	require.Equal(t, values, got[1:n+1])
	gotKeys, got, err = s.raw.Scan(ctx, []byte("r0010"), []byte("r0012"), 100, rawkv.ScanKeyOnly())
	require.NoError(t, err)
	require.Equal(t, keys[10:12], gotKeys)
	require.Empty(t, got[0])
	gotKeys, _, err = s.raw.ReverseScan(ctx, []byte("r0012"), []byte("r0010"), 100)
	require.NoError(t, err)
	require.Equal(t, [][]byte{keys[11], keys[10]}, gotKeys)

	sum, err := s.raw.Checksum(ctx, []byte("r0000"), []byte("r0002"))
	require.NoError(t, err)
	table := crc64.MakeTable(crc64.ECMA)
	require.Equal(t, crc64.Checksum([]byte("r0000v0"), table)^crc64.Checksum([]byte("r0001v1"), table), sum.Crc64Xor)
	require.EqualValues(t, 2, sum.TotalKvs)

	require.NoError(t, s.raw.Delete(ctx, keys[0]))
	require.NoError(t, s.raw.BatchDelete(ctx, keys[1:1000]))
	require.NoError(t, s.raw.DeleteRange(ctx, keys[1000], keys[2000]))
	gotKeys, _, err = s.raw.Scan(ctx, []byte("r"), []byte("s"), 5000)
	require.NoError(t, err)
	require.Equal(t, keys[2000:], gotKeys)
	require.NoError(t, s.raw.DeleteRange(ctx, []byte("a"), []byte("zz")))
	gotKeys, _, err = s.raw.Scan(ctx, nil, nil, 10)
	require.NoError(t, err)
	require.Empty(t, gotKeys)
}

// rawApart: raw and transactional data do not touch.
func (s *suite) rawApart(t *testing.T) {
	s.put(t, "apart", "1")
	v, err := s.raw.Get(ctx, []byte("apart"))
	require.NoError(t, err)
	require.Nil(t, v)
	require.NoError(t, s.raw.Put(ctx, []byte("apart"), []byte("2")))
	require.NoError(t, s.raw.DeleteRange(ctx, []byte("a"), []byte("b")))
	require.Equal(t, "1", s.get(t, "apart"))
}

// rawCompareAndSwap counts from many sides and loses no step.
func (s *suite) rawCompareAndSwap(t *testing.T) {
	atomic := s.newRaw(t).SetAtomicForCAS(true)
	k := []byte("counter")
	before, ok, err := atomic.CompareAndSwap(ctx, k, nil, []byte("0"))
	require.NoError(t, err)
	require.True(t, ok)
	require.Nil(t, before)

	const clients, steps = 4, 50
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			seen := []byte("0")
			for done := 0; done < steps && !t.Failed(); {
				n, err := strconv.Atoi(string(seen))
				require.NoError(t, err)
				next := []byte(strconv.Itoa(n + 1))
				before, ok, err := atomic.CompareAndSwap(ctx, k, seen, next)
				require.NoError(t, err)
				if ok {
					done, seen = done+1, next
				} else {
					seen = before
				}
			}
		})
	}
	wg.Wait()
	v, err := atomic.Get(ctx, k)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(clients*steps), string(v))
	require.NoError(t, atomic.Delete(ctx, k))
}

// rawFamilies: the three families of V1 are key spaces of their own.
func (s *suite) rawFamilies(t *testing.T) {
	k := []byte("family")
	for _, cf := range []string{"default", "lock", "write"} {
		require.NoError(t, s.raw.Put(ctx, k, []byte(cf), rawkv.SetColumnFamily(cf)))
	}
	require.NoError(t, s.raw.Delete(ctx, k, rawkv.SetColumnFamily("default")))
	v, err := s.raw.Get(ctx, k)
	require.NoError(t, err)
	require.Nil(t, v)
	for _, cf := range []string{"lock", "write"} {
		v, err = s.raw.Get(ctx, k, rawkv.SetColumnFamily(cf))
		require.NoError(t, err)
		require.Equal(t, cf, string(v))
		keys, _, err := s.raw.Scan(ctx, nil, nil, 10, rawkv.SetColumnFamily(cf))
		require.NoError(t, err)
		require.Equal(t, [][]byte{k}, keys)
		require.NoError(t, s.raw.DeleteRange(ctx, []byte("a"), []byte("z"), rawkv.SetColumnFamily(cf)))
	}
}

// rawRefusals: what this store does not do is said, not ignored.
func (s *suite) rawRefusals(t *testing.T) {
	k := []byte("refused")
	require.ErrorContains(t, s.raw.PutWithTTL(ctx, k, []byte("v"), 10), "ttl is not enabled")
	require.ErrorContains(t, s.raw.Put(ctx, k, []byte("v"), rawkv.SetColumnFamily("raft")), "invalid cf name: raft")
	v, err := s.raw.Get(ctx, k)
	require.NoError(t, err)
	require.Nil(t, v)
	ttl, err := s.raw.GetKeyTTL(ctx, k)
	require.NoError(t, err)
	require.Nil(t, ttl)
	require.NoError(t, s.raw.Put(ctx, k, []byte("v")))
	ttl, err = s.raw.GetKeyTTL(ctx, k)
	require.NoError(t, err)
	require.Zero(t, *ttl, "it does not expire")
	require.NoError(t, s.raw.Delete(ctx, k))
}
