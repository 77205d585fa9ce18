package txn

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

func beginPessimistic(t require.TestingT, c *kvclient.Client) *kvclient.Txn {
	txn, err := c.BeginPessimistic(context.Background())
	require.NoError(t, err)
	return txn
}

func keys(list ...string) (out [][]byte) {
	for _, k := range list {
		out = append(out, []byte(k))
	}
	return out
}

// TestPessimisticLocks follows one lock from hand to hand, with keys in three regions.
func TestPessimisticLocks(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	put(t, c, "a", "1", "b", "1", "c", "1")
	require.NoError(t, c.Split(ctx, keys("b", "c")))
	holder, other := beginPessimistic(t, c), beginPessimistic(t, c)
	require.NoError(t, holder.Lock(ctx, keys("a", "c"), kvclient.NoWait))

	require.ErrorIs(t, other.Lock(ctx, keys("a"), kvclient.NoWait), kvclient.ErrLockNoWait)
	var timeout *kvclient.LockTimeoutError
	require.ErrorAs(t, other.Lock(ctx, keys("b", "c"), 10*time.Millisecond), &timeout)
	require.NoError(t, holder.Lock(ctx, keys("b"), kvclient.NoWait), "a call that fails keeps none of its locks")
	require.Equal(t, "1", get(t, c, "a"), "locks do not hold up reads")

	waited := make(chan error)
	go func() { waited <- other.Lock(ctx, keys("a"), time.Minute) }()
	require.NoError(t, holder.Set([]byte("a"), []byte("2")))
	require.NoError(t, holder.Set([]byte("free"), []byte("2")))
	require.NoError(t, holder.Commit(ctx))
	var conflict *kvclient.WriteConflictError
	require.ErrorAs(t, <-waited, &conflict, "what the waiter has read is old")
	require.NoError(t, other.ReadNewest(ctx))
	require.NoError(t, other.Lock(ctx, keys("a", "b"), time.Minute))
	v, err := other.Get(ctx, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, "2", string(v))
	other.ReadSnapshot()
	v, err = other.Get(ctx, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, "1", string(v), "the snapshot stays")
	other.Rollback()

	third := beginPessimistic(t, c)
	require.NoError(t, third.Lock(ctx, keys("a", "b", "c", "free"), kvclient.NoWait))
	require.NoError(t, third.Commit(ctx))
	fourth := beginPessimistic(t, c)
	require.NoError(t, fourth.Lock(ctx, keys("a", "b", "c"), kvclient.NoWait), "a commit without writes leaves no locks")
	fourth.Rollback()
}

// TestInsertUnderLock: that a key is free is checked with its lock, after its holder is gone, and also where the lock is
// held already.
func TestInsertUnderLock(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	put(t, c, "k", "1", "l", "1")
	holder := beginPessimistic(t, c)
	require.NoError(t, holder.Lock(ctx, keys("k"), kvclient.NoWait))
	require.NoError(t, holder.Delete([]byte("k")))

	insert := func(txn *kvclient.Txn, key string) error {
		require.NoError(t, txn.Insert([]byte(key), []byte("2")))
		return txn.Lock(ctx, keys(key), time.Minute)
	}
	var exists *kvclient.KeyExistsError
	first := beginPessimistic(t, c)
	require.ErrorAs(t, insert(first, "l"), &exists)
	first.Rollback()

	second, waited := beginPessimistic(t, c), make(chan error)
	go func() { waited <- insert(second, "k") }()
	require.NoError(t, holder.Commit(ctx))
	err := <-waited
	var conflict *kvclient.WriteConflictError
	require.ErrorAs(t, err, &conflict)
	require.NoError(t, second.ReadNewest(ctx))
	require.NoError(t, second.Lock(ctx, keys("k", "l"), time.Minute))
	second.RollbackTo(0)
	require.ErrorAs(t, insert(second, "l"), &exists)
	second.RollbackTo(0)
	require.NoError(t, insert(second, "k"))
	require.NoError(t, second.Commit(ctx))
	require.Equal(t, []string{"k=2", "l=1"}, scan(t, begin(t, c), "k", "m", false))
}

// TestDeadlock: of two transactions that wait for each other one is told, and the other goes on when that one gives way.
func TestDeadlock(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	txns := []*kvclient.Txn{beginPessimistic(t, c), beginPessimistic(t, c)}
	names := []string{"a", "b"}
	outcomes := []chan error{make(chan error, 1), make(chan error, 1)}
	for i, txn := range txns {
		require.NoError(t, txn.Lock(ctx, keys(names[i]), kvclient.NoWait))
	}
	for i, txn := range txns {
		go func() { outcomes[i] <- txn.Lock(ctx, keys(names[1-i]), time.Minute) }()
	}
	var told int
	var err error
	select {
	case err = <-outcomes[0]:
	case err = <-outcomes[1]:
		told = 1
	}
	var deadlock *kvclient.DeadlockError
	require.ErrorAs(t, err, &deadlock)
	txns[told].Rollback()
	require.NoError(t, <-outcomes[1-told])
	txns[1-told].Rollback()
}

// TestOptimisticLock: a key that was only locked conflicts with its writer at Commit.
func TestOptimisticLock(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	put(t, c, "guard", "1")
	txn := begin(t, c)
	require.NoError(t, txn.Lock(ctx, keys("guard"), 0))
	require.NoError(t, txn.Set([]byte("k"), []byte("1")))
	put(t, c, "guard", "2")
	var conflict *kvclient.WriteConflictError
	require.ErrorAs(t, txn.Commit(ctx), &conflict)
	require.Empty(t, get(t, c, "k"))
}
