package clientsuite

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tikverr "github.com/tikv/client-go/v2/error"
	"github.com/tikv/client-go/v2/kv"
	"github.com/tikv/client-go/v2/txnkv/transaction"
)

// pipelined: transactions that flush what they write before they commit.
func (s *suite) pipelined(t *testing.T) {
	if s.BeginPipelined == nil {
		t.Skip("this version of the client has none")
	}
	s.cut(t, "pipe/2", "pipe/4", "pipe/6", "pipe/8")
	for name, run := range map[string]func(*testing.T){
		"Large": s.pipelinedLarge, "Rollback": s.pipelinedRollback, "Conflict": s.pipelinedConflict, "Insert": s.pipelinedInsert,
		"DeadBetweenFlushes": s.pipelinedDead, "DeadAfterCommit": s.pipelinedDeadAfterCommit,
	} {
		t.Run(name, run)
	}
}

func (s *suite) beginPipelined(t *testing.T) *Txn {
	txn, err := s.BeginPipelined(s.txn)
	require.NoError(t, err)
	return txn
}

// flush sends what the transaction has written since the last one.
func (s *suite) flush(t *testing.T, txn *Txn) {
	require.NoError(t, s.Flush(txn))
	require.NoError(t, s.FlushWait(txn))
}

// spread returns keys over the five regions.
func spread(dir string, n int) (keys []string) {
	for i := range n {
		keys = append(keys, string(key("pipe/%d/%s/%06d", i%10, dir, i)))
	}
	return keys
}

// of leaves the rows of one test, whatever others of the same cluster have written.
func of(dir string, rows []string) []string {
	return slices.DeleteFunc(rows, func(row string) bool { return !strings.Contains(row, "/"+dir+"/") })
}

// pipelinedLarge writes many keys over several regions and generations, some again and some no more, reads its own, and is
// seen by others all at once.
func (s *suite) pipelinedLarge(t *testing.T) {
	const n, each = 100_000, 20_000
	keys := spread("large", n)
	s.put(t, keys[7], "old", keys[9], "old")
	txn := s.beginPipelined(t)
	for i, k := range keys {
		require.NoError(t, txn.Set([]byte(k), key("%d", i)))
		if i%each == each-1 {
			require.NoError(t, s.Flush(txn)) // waits for the one before
		}
	}
	require.NoError(t, txn.Set([]byte(keys[7]), []byte("again")))
	require.NoError(t, txn.Delete([]byte(keys[9])))
	require.NoError(t, txn.Delete([]byte(keys[n-1])))
	s.flush(t, txn)

	v, err := txn.Get(ctx, []byte(keys[7]))
	require.NoError(t, err)
	require.Equal(t, "again", string(v))
	_, err = txn.Get(ctx, []byte(keys[9]))
	require.True(t, tikverr.IsErrNotFound(err), "%v", err)
	own, err := txn.BatchGet(ctx, [][]byte{[]byte(keys[0]), []byte(keys[9]), []byte(keys[n/2]), []byte(keys[n-1])})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{keys[0]: []byte("0"), keys[n/2]: key("%d", n/2)}, own)
	require.Equal(t, []string{"", "old", "old"}, []string{s.get(t, keys[0]), s.get(t, keys[7]), s.get(t, keys[9])}, "nobody else sees it")

	before := s.now(t)
	require.NoError(t, txn.Commit(ctx))
	it, err := s.begin(t).Iter([]byte("pipe/"), []byte("pipe0"))
	require.NoError(t, err)
	require.Len(t, of("large", drain(t, it, "")), n-2)
	require.Equal(t, []string{"0", "again", ""}, []string{s.get(t, keys[0]), s.get(t, keys[7]), s.get(t, keys[9])})
	it, err = s.txn.GetSnapshot(before).Iter([]byte("pipe/"), []byte("pipe0"))
	require.NoError(t, err)
	require.Equal(t, []string{keys[7] + "=old", keys[9] + "=old"}, of("large", drain(t, it, "")), "an older snapshot stays as it is")
	s.unlocked(t, []string{keys[0], keys[n/2], keys[n-2]})
}

// unlocked waits until keys have no locks.
func (s *suite) unlocked(t *testing.T, keys []string) {
	require.Eventually(t, func() bool { return s.countLocks(t, keys) == 0 }, patience, 10*time.Millisecond)
}

// pipelinedRollback undoes what was flushed.
func (s *suite) pipelinedRollback(t *testing.T) {
	keys := spread("rollback", 20)
	s.put(t, keys[3], "old")
	txn := s.beginPipelined(t)
	for _, k := range keys {
		require.NoError(t, txn.Set([]byte(k), []byte("new")))
	}
	s.flush(t, txn)
	require.NoError(t, txn.Set([]byte(keys[0]), []byte("newer")))
	require.Equal(t, len(keys), s.countLocks(t, keys))
	require.NoError(t, txn.Rollback())
	require.Equal(t, []string{"", "old"}, []string{s.get(t, keys[0]), s.get(t, keys[3])})
	s.unlocked(t, keys)
	s.put(t, keys[3], "other")
	require.Equal(t, "other", s.get(t, keys[3]))
}

// pipelinedConflict: who has committed since the transaction began, wins; while it holds its locks, it does.
func (s *suite) pipelinedConflict(t *testing.T) {
	keys := spread("conflict", 4)
	loser := s.beginPipelined(t)
	require.NoError(t, loser.Set([]byte(keys[0]), []byte("loser")))
	s.flush(t, loser)
	require.NoError(t, loser.Set([]byte(keys[1]), []byte("loser")))
	s.put(t, keys[1], "winner")
	require.NoError(t, s.Flush(loser))
	err := s.FlushWait(loser)
	require.True(t, tikverr.IsErrWriteConflict(err), "%v", err)
	require.NoError(t, loser.Rollback())
	require.Equal(t, []string{"", "winner"}, []string{s.get(t, keys[0]), s.get(t, keys[1])})

	old := s.begin(t)
	winner := s.beginPipelined(t)
	require.NoError(t, winner.Set([]byte(keys[2]), []byte("winner")))
	require.NoError(t, winner.Set([]byte(keys[3]), []byte("winner")))
	s.flush(t, winner)
	require.NoError(t, winner.Commit(ctx))
	require.NoError(t, old.Set([]byte(keys[3]), []byte("loser")))
	err = old.Commit(ctx)
	require.True(t, tikverr.IsErrWriteConflict(err), "%v", err)
	require.Equal(t, []string{"winner", "winner"}, []string{s.get(t, keys[2]), s.get(t, keys[3])})
}

// pipelinedInsert: a key that is presumed not to exist, and does, fails the flush.
func (s *suite) pipelinedInsert(t *testing.T) {
	keys := spread("insert", 2)
	s.put(t, keys[0], "old")
	for i, exists := range []bool{true, false} {
		txn := s.beginPipelined(t)
		require.NoError(t, s.presumeFree(txn, keys[i], "new"))
		require.NoError(t, s.Flush(txn))
		err := s.FlushWait(txn)
		require.Equal(t, exists, tikverr.IsErrKeyExist(err), "%v", err)
		if err == nil {
			require.NoError(t, s.presumeFree(txn, keys[i], "newer"))
			require.NoError(t, s.Flush(txn))
			require.True(t, tikverr.IsErrKeyExist(s.FlushWait(txn)), "it has flushed the key itself")
		}
		require.NoError(t, txn.Rollback())
	}
}

// shortLife makes locks that are flushed from now on live as short as the client lets them, and nobody keep them alive.
func shortLife(t *testing.T) (undo func()) {
	long := atomic.SwapUint64(&transaction.ManagedLockTTL, 1)
	restore := func() { atomic.StoreUint64(&transaction.ManagedLockTTL, long) }
	t.Cleanup(restore)
	heart := enable(t, map[string]string{"doNotKeepAlive": "return"})
	return func() { restore(); heart() }
}

// pipelinedDead: a client that dies between two flushes leaves locks all over; whoever meets one, in whatever region, rolls
// the transaction back.
func (s *suite) pipelinedDead(t *testing.T) {
	keys := spread("dead", 50)
	s.put(t, keys[3], "old", keys[5], "old")
	undo := shortLife(t)
	dead := s.beginPipelined(t)
	for generation := range 2 {
		for _, k := range keys[20*generation:] {
			require.NoError(t, dead.Set([]byte(k), []byte("new")))
		}
		s.flush(t, dead)
	}
	undo()
	require.Equal(t, len(keys), s.countLocks(t, keys))
	require.Equal(t, []string{"", "old"}, []string{s.get(t, keys[9]), s.get(t, keys[3])})
	s.put(t, keys[5], "other")
	require.NoError(t, dead.Set([]byte(keys[0]), []byte("late")))
	require.NoError(t, s.Flush(dead))
	require.Error(t, s.FlushWait(dead), "the transaction is no more")
	require.Equal(t, "other", s.get(t, keys[5]))
	require.NoError(t, dead.Rollback())
	s.unlocked(t, keys)
}

// pipelinedDeadAfterCommit: once the primary key is committed, all is, whoever resolves the rest.
func (s *suite) pipelinedDeadAfterCommit(t *testing.T) {
	keys := spread("decided", 50)
	undo := enable(t, map[string]string{"pipelinedSkipResolveLock": "return"})
	txn := s.beginPipelined(t)
	for _, k := range keys {
		require.NoError(t, txn.Set([]byte(k), []byte("new")))
	}
	s.flush(t, txn)
	require.NoError(t, txn.Commit(ctx))
	undo()
	require.Equal(t, len(keys)-1, s.countLocks(t, keys), "all but the primary's")
	for _, k := range keys {
		require.Equal(t, "new", s.get(t, k))
	}
	s.put(t, keys[11], "next")
	require.Equal(t, "next", s.get(t, keys[11]))
}

func (s *suite) presumeFree(txn *Txn, k, v string) error {
	return txn.GetMemBuffer().SetWithFlags([]byte(k), []byte(v), kv.SetPresumeKeyNotExists)
}
