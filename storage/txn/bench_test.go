package txn

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage/storagetest"
)

// benchMutations are n inserts behind all that were made before.
func benchMutations(n int, next *uint64) []*kvrpcpb.Mutation {
	muts := make([]*kvrpcpb.Mutation, n)
	for i := range muts {
		*next++
		key := append([]byte("t\x80\x00\x00\x00\x00\x00\x00\x2a_r"), binary.BigEndian.AppendUint64(nil, *next|1<<63)...)
		muts[i] = &kvrpcpb.Mutation{Op: kvrpcpb.Op_Insert, Key: key, Value: make([]byte, 120)}
	}
	return muts
}

// BenchmarkPrewrite inserts 1,000 rows a transaction, in one phase and in two.
func BenchmarkPrewrite(b *testing.B) {
	for _, onePC := range []bool{true, false} {
		b.Run(map[bool]string{true: "1pc", false: "2pc"}[onePC], func(b *testing.B) {
			_, m := newManager(b)
			var next uint64
			b.ReportAllocs()
			for i := range b.N {
				b.StopTimer()
				muts := benchMutations(1000, &next)
				b.StartTimer()
				start := uint64(10 * (i + 1))
				resp, err := m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
					Context: storagetest.Context(), Mutations: muts, PrimaryLock: muts[0].Key, StartVersion: start, LockTtl: 3000, TryOnePc: onePC,
				})
				if err != nil || len(resp.Errors) > 0 {
					b.Fatal(err, resp)
				}
				if onePC {
					continue
				}
				keys := make([][]byte, len(muts))
				for j, mu := range muts {
					keys[j] = mu.Key
				}
				commit, err := m.Commit(context.Background(), &kvrpcpb.CommitRequest{Context: storagetest.Context(), StartVersion: start, CommitVersion: start + 5, Keys: keys})
				require.NoError(b, err)
				require.Nil(b, commit.Error)
			}
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds()/1e3, "Krows/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	_, m := newManager(b)
	var next uint64
	muts := benchMutations(10_000, &next)
	_, err := m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), Mutations: muts, PrimaryLock: muts[0].Key, StartVersion: 10, TryOnePc: true,
	})
	require.NoError(b, err)
	b.ReportAllocs()
	for i := range b.N {
		resp, err := m.Get(context.Background(), &kvrpcpb.GetRequest{Context: storagetest.Context(), Key: muts[i*7919%len(muts)].Key, Version: 1000})
		if err != nil || resp.Value == nil {
			b.Fatal(err, resp)
		}
	}
}
