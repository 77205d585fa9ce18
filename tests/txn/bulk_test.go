package txn

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

func beginBulk(t require.TestingT, c *kvclient.Client) *kvclient.Txn {
	txn, err := c.BeginBulk(context.Background())
	require.NoError(t, err)
	return txn
}

// regionsOfTen splits off nine regions of keys that begin with a digit, and bulkKey spreads keys over them.
func regionsOfTen(t *testing.T, c *kvclient.Client) {
	var at [][]byte
	for i := range 9 {
		at = append(at, fmt.Appendf(nil, "%d", i+1))
	}
	require.NoError(t, c.Split(context.Background(), at))
}

func bulkKey(i int) string { return fmt.Sprintf("%d/%05d", i%10, i) }

// unlocked waits until no locks are left.
func unlocked(t *testing.T, c *kvclient.Client) {
	ctx := context.Background()
	require.Eventually(t, func() bool {
		ts, err := c.TS(ctx)
		require.NoError(t, err)
		locks, err := c.Locks(ctx, kvclient.KeyRange{}, ts, 1)
		require.NoError(t, err)
		return len(locks) == 0
	}, time.Minute, 5*time.Millisecond, "locks stay behind")
}

// TestBulk writes over ten regions and several generations, some keys again and some no more; reads its own in each state
// of a flush, and is seen by others all at once.
func TestBulk(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	regionsOfTen(t, c)
	const n = 5000
	put(t, c, bulkKey(3), "old", bulkKey(4), "old")
	before := begin(t, c)
	txn := beginBulk(t, c)
	for i := range n {
		require.NoError(t, txn.Set([]byte(bulkKey(i)), fmt.Appendf(nil, "%d", i)))
		if i%1000 == 999 {
			require.NoError(t, txn.Flush(ctx))
		}
	}
	require.NoError(t, txn.Set([]byte(bulkKey(0)), []byte("again")))
	require.NoError(t, txn.Delete([]byte(bulkKey(3))))
	own := func() {
		found, err := txn.BatchGet(ctx, keys(bulkKey(0), bulkKey(1), bulkKey(3), bulkKey(n-1), bulkKey(n)))
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{bulkKey(0): []byte("again"), bulkKey(1): []byte("1"), bulkKey(n - 1): fmt.Appendf(nil, "%d", n-1)}, found)
		v, err := txn.Get(ctx, []byte(bulkKey(2)))
		require.NoError(t, err)
		require.Equal(t, "2", string(v))
	}
	own() // in the buffer
	require.NoError(t, txn.Flush(ctx))
	own() // under way, perhaps
	require.NoError(t, txn.Set([]byte("x"), []byte("y")))
	require.NoError(t, txn.Flush(ctx))
	own() // in the stores
	require.Equal(t, []string{bulkKey(3) + "=old", bulkKey(4) + "=old"}, scan(t, txn, "0", "a", false), "scans show the snapshot")
	require.Equal(t, []string{bulkKey(3) + "=old", bulkKey(4) + "=old"}, scan(t, begin(t, c), "0", "a", false))

	require.NoError(t, txn.Commit(ctx))
	require.Len(t, scan(t, begin(t, c), "0", "a", false), n-1)
	require.Equal(t, []string{"again", "", "4", "y"}, []string{get(t, c, bulkKey(0)), get(t, c, bulkKey(3)), get(t, c, bulkKey(4)), get(t, c, "x")})
	require.Equal(t, []string{bulkKey(3) + "=old", bulkKey(4) + "=old"}, scan(t, before, "0", "a", false), "a snapshot does not move")
	unlocked(t, c)
}

// TestBulkRollback: nothing stays of what was flushed, nor of what was on its way.
func TestBulkRollback(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	regionsOfTen(t, c)
	put(t, c, bulkKey(3), "old")
	txn := beginBulk(t, c)
	for i := range 300 {
		require.NoError(t, txn.Set([]byte(bulkKey(i)), []byte("new")))
		if i%100 == 99 {
			require.NoError(t, txn.Flush(ctx))
		}
	}
	txn.Rollback()
	require.Equal(t, []string{bulkKey(3) + "=old"}, scan(t, begin(t, c), "", "", false))
	unlocked(t, c)
	put(t, c, bulkKey(3), "other")
}

// TestBulkConflicts: what others have committed since fails a flush, and what was flushed fails others.
func TestBulkConflicts(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	regionsOfTen(t, c)
	loser := beginBulk(t, c)
	require.NoError(t, loser.Set([]byte("1"), []byte("loser")))
	require.NoError(t, loser.Flush(ctx))
	require.NoError(t, loser.Set([]byte("2"), []byte("loser")))
	put(t, c, "2", "winner")
	var conflict *kvclient.WriteConflictError
	require.ErrorAs(t, loser.Commit(ctx), &conflict)
	require.Equal(t, []string{"2=winner"}, scan(t, begin(t, c), "", "", false))

	old, winner := begin(t, c), beginBulk(t, c)
	require.NoError(t, winner.Set([]byte("1"), []byte("winner")))
	require.NoError(t, winner.Flush(ctx))
	require.NoError(t, winner.Commit(ctx))
	require.NoError(t, old.Set([]byte("1"), []byte("loser")))
	require.ErrorAs(t, old.Commit(ctx), &conflict)
	require.Equal(t, "winner", get(t, c, "1"))
}

// TestBulkInserts: keys to insert that are taken, in the store, or by what was flushed before and is under way; not those
// that the transaction has deleted.
func TestBulkInserts(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	regionsOfTen(t, c)
	put(t, c, "1", "old", "2", "old")
	var exists *kvclient.KeyExistsError
	insert := func(before func(txn *kvclient.Txn), key string) error {
		txn := beginBulk(t, c)
		before(txn)
		if err := txn.Insert([]byte(key), []byte("new")); err != nil {
			txn.Rollback()
			return err
		}
		err := txn.Flush(ctx)
		if err == nil {
			err = txn.Commit(ctx)
		}
		txn.Rollback()
		return err
	}
	require.ErrorAs(t, insert(func(*kvclient.Txn) {}, "1"), &exists)
	require.Equal(t, "1", string(exists.Key))
	for _, settled := range []bool{false, true} {
		err := insert(func(txn *kvclient.Txn) {
			require.NoError(t, txn.Set([]byte("3"), []byte("own")))
			require.NoError(t, txn.Flush(ctx))
			if settled {
				require.NoError(t, txn.Set([]byte("4"), []byte("own")))
				require.NoError(t, txn.Flush(ctx)) // waits for the one before
			}
		}, "3")
		require.ErrorAs(t, err, &exists, "settled %v", settled)
	}
	require.NoError(t, insert(func(txn *kvclient.Txn) {
		require.NoError(t, txn.Delete([]byte("2")))
		require.NoError(t, txn.Flush(ctx))
		require.NoError(t, txn.Set([]byte("4"), []byte("own")))
		require.NoError(t, txn.Flush(ctx))
	}, "2"))
	require.Equal(t, []string{"1=old", "2=new", "4=own"}, scan(t, begin(t, c), "", "", false))
	unlocked(t, c)
}

// TestBulkClientDies flushes by hand and goes away, before its commit or after: whoever meets a lock, in whatever region,
// learns from the primary what became of it, and readers do not wait for the rest to be resolved.
func TestBulkClientDies(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("primary committed %v", committed), func(t *testing.T) {
			ctx, c := context.Background(), start(t, 1)
			regionsOfTen(t, c)
			put(t, c, bulkKey(3), "old")
			startTS, err := c.TS(ctx)
			require.NoError(t, err)
			for i := range 10 {
				key := []byte(bulkKey(i))
				require.NoError(t, c.Do(ctx, key, func(st kvclient.Store, rpc *kvrpcpb.Context) (*errorpb.Error, error) {
					resp, err := st.KvFlush(ctx, &kvrpcpb.FlushRequest{Context: rpc, PrimaryKey: []byte(bulkKey(0)), StartTs: startTS, LockTtl: 1,
						Generation: 1, Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key, Value: []byte("new")}}})
					require.Empty(t, resp.GetErrors())
					return resp.GetRegionError(), err
				}))
			}
			want := []string{bulkKey(3) + "=old"}
			if committed {
				want = nil
				for i := range 10 {
					want = append(want, bulkKey(i)+"=new")
				}
				commitTS, err := c.TS(ctx)
				require.NoError(t, err)
				require.NoError(t, c.Do(ctx, []byte(bulkKey(0)), func(st kvclient.Store, rpc *kvrpcpb.Context) (*errorpb.Error, error) {
					resp, err := st.KvCommit(ctx, &kvrpcpb.CommitRequest{Context: rpc, StartVersion: startTS, Keys: keys(bulkKey(0)), CommitVersion: commitTS})
					require.Nil(t, resp.GetError())
					return resp.GetRegionError(), err
				}))
			}
			require.Equal(t, want, scan(t, begin(t, c), "", "", false))
			put(t, c, bulkKey(7), "next") // in the way of nothing
			require.Equal(t, "next", get(t, c, bulkKey(7)))
			ts, err := c.TS(ctx)
			require.NoError(t, err)
			_, err = c.ResolveBelow(ctx, ts)
			require.NoError(t, err)
			unlocked(t, c)
		})
	}
}

// TestBulkSplits has regions split between the flushes, the commit and the resolution of the rest.
func TestBulkSplits(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	for _, commits := range []bool{true, false} {
		txn := beginBulk(t, c)
		for i := range 1000 {
			require.NoError(t, txn.Set([]byte(bulkKey(i)), []byte("new")))
			if i%200 == 199 {
				require.NoError(t, txn.Flush(ctx))
				require.NoError(t, c.Split(ctx, keys(fmt.Sprintf("%d/%v/%d", i/200, commits, i), fmt.Sprintf("%d/%05d/%v", i/100%10, i, commits))))
			}
		}
		if commits {
			require.NoError(t, txn.Commit(ctx))
		} else {
			txn.Rollback()
		}
		require.NoError(t, c.Split(ctx, keys(fmt.Sprintf("5/%v", commits))))
		require.Len(t, scan(t, begin(t, c), "", "", false), 1000)
		unlocked(t, c)
	}
}
