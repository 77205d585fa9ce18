package clientsuite

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	tikverr "github.com/tikv/client-go/v2/error"
	"github.com/tikv/client-go/v2/kv"
	"github.com/tikv/client-go/v2/tikv"
	"github.com/tikv/client-go/v2/tikvrpc"
)

// lock takes pessimistic locks at a fresh timestamp and returns what is read under them.
func (s *suite) lock(t require.TestingT, txn *Txn, wait int64, keys ...string) (map[string]kv.ReturnedValue, error) {
	c := kv.NewLockCtx(s.now(t), wait, time.Now())
	c.InitReturnValues(len(keys))
	var list [][]byte
	for _, k := range keys {
		list = append(list, []byte(k))
	}
	err := txn.LockKeys(ctx, c, list...)
	return c.Values, err
}

func (s *suite) beginPessimistic(t require.TestingT) *Txn {
	txn := s.begin(t)
	txn.SetPessimistic(true)
	return txn
}

// pessimisticLocks: no wait, wait until time is up, wait until the holder commits, and what is read under a lock.
func (s *suite) pessimisticLocks(t *testing.T) {
	s.put(t, "lock/a", "1")
	holder := s.beginPessimistic(t)
	values, err := s.lock(t, holder, kv.LockNoWait, "lock/a", "lock/none")
	require.NoError(t, err)
	require.Equal(t, "1", string(values["lock/a"].Value))
	require.False(t, values["lock/none"].Exists)

	waiter := s.beginPessimistic(t)
	_, err = s.lock(t, waiter, kv.LockNoWait, "lock/a")
	require.ErrorIs(t, err, tikverr.ErrLockAcquireFailAndNoWaitSet)
	_, err = s.lock(t, waiter, 50, "lock/a")
	require.ErrorIs(t, err, tikverr.ErrLockWaitTimeout)
	require.Equal(t, "1", s.get(t, "lock/a"), "a pessimistic lock does not hold up reads")

	got := make(chan error, 1)
	go func() {
		_, err := s.lock(t, waiter, kv.LockAlwaysWait, "lock/a")
		for tikverr.IsErrWriteConflict(err) {
			values, err = s.lock(t, waiter, kv.LockAlwaysWait, "lock/a")
		}
		got <- err
	}()
	require.NoError(t, holder.Set([]byte("lock/a"), []byte("2")))
	require.NoError(t, holder.Commit(ctx))
	require.NoError(t, <-got)
	values, err = s.lock(t, waiter, kv.LockNoWait, "lock/b")
	require.NoError(t, err)
	require.Contains(t, values, "lock/b")
	require.NoError(t, waiter.Set([]byte("lock/a"), []byte("3")))
	require.NoError(t, waiter.Commit(ctx))
	require.Equal(t, "3", s.get(t, "lock/a"))

	free := s.beginPessimistic(t)
	_, err = s.lock(t, free, kv.LockNoWait, "lock/a", "lock/b", "lock/none")
	require.NoError(t, err, "a commit leaves no lock behind")
	require.NoError(t, free.Rollback())
}

// deadlock: transactions that wait for each other in a circle, on one store and across stores; one of them is told, and
// the others go on when it gives way.
func (s *suite) deadlock(t *testing.T) {
	s.circle(t, "deadlock/a", "deadlock/b")
	s.circle(t, "deadlock/a", "deadlock/b", "deadlock/c", "deadlock/d")
	far := s.onEachStore(t, "deadlock/far")
	s.circle(t, far[0], far[1])
	s.circle(t, far[1], far[2], far[0])
	s.circle(t, far[2], far[1])
}

// circle has each of some transactions hold one key and ask for the next one's.
func (s *suite) circle(t *testing.T, keys ...string) {
	type outcome struct {
		i   int
		err error
	}
	outcomes := make(chan outcome, len(keys))
	txns := make([]*Txn, len(keys))
	for i := range keys {
		txns[i] = s.beginPessimistic(t)
		_, err := s.lock(t, txns[i], kv.LockNoWait, keys[i])
		require.NoError(t, err)
	}
	for i := range txns {
		go func() {
			_, err := s.lock(t, txns[i], kv.LockAlwaysWait, keys[(i+1)%len(keys)])
			outcomes <- outcome{i, err}
		}()
	}
	told := <-outcomes
	var deadlock *tikverr.ErrDeadlock
	require.ErrorAs(t, told.err, &deadlock)
	require.Len(t, deadlock.WaitChain, len(keys))
	for i, wait := range deadlock.WaitChain {
		require.Equal(t, wait.WaitForTxn, deadlock.WaitChain[(i+1)%len(keys)].Txn)
	}
	require.NoError(t, txns[told.i].Rollback())
	for range len(keys) - 1 {
		next := <-outcomes
		require.NoError(t, next.err)
		require.NoError(t, txns[next.i].Rollback())
	}
}

// onEachStore returns three keys in regions that three stores lead. It splits off regions until there are such: new regions
// give the placement driver reason to balance leaders.
func (s *suite) onEachStore(t *testing.T, prefix string) (keys []string) {
	for n := 1; n <= 100 && len(keys) < 3; n++ {
		s.cut(t, fmt.Sprintf("%s/%02d", prefix, n))
		keys = nil
		led := make(map[uint64]bool)
		for i := range n {
			k := fmt.Sprintf("%s/%02d", prefix, i+1)
			region, err := s.txn.GetPDClient().GetRegion(ctx, []byte(k))
			require.NoError(t, err)
			if store := region.Leader.GetStoreId(); store != 0 && !led[store] {
				led[store], keys = true, append(keys, k)
			}
		}
	}
	require.Len(t, keys, 3)
	return keys
}

// Failpoints that make of a committing client one that dies at some step: its locks stay, and live a millisecond.
var (
	beforeCommit = map[string]string{
		"beforeCommit": `return("fail")`, "commitFailedSkipCleanup": "return", "twoPCShortLockTTL": "return", "doNotKeepAlive": "return",
	}
	beforeSecondaries = map[string]string{"beforeCommitSecondaries": `return("skip")`}
	afterAsyncCommit  = map[string]string{"asyncCommitDoNothing": "return", "twoPCShortLockTTL": "return", "doNotKeepAlive": "return"}
)

// deadClients leaves the locks of clients that died, and meets them by reads of every kind and by writes: what was
// committed is seen as a whole, what was not is undone.
func (s *suite) deadClients(t *testing.T) {
	meet := map[string]func(t *testing.T, keys []string) map[string]string{
		"get": func(t *testing.T, keys []string) map[string]string {
			got := make(map[string]string)
			for _, k := range keys {
				got[k] = s.get(t, k)
			}
			return got
		},
		"batch get": func(t *testing.T, keys []string) map[string]string {
			got := make(map[string]string)
			found, err := s.begin(t).BatchGet(ctx, [][]byte{[]byte(keys[0]), []byte(keys[1]), []byte(keys[2])})
			require.NoError(t, err)
			for k, v := range found {
				got[k] = string(v)
			}
			return got
		},
		"scan": func(t *testing.T, keys []string) map[string]string {
			got := make(map[string]string)
			it, err := s.begin(t).Iter([]byte(keys[0]), []byte(keys[2]+"\x00"))
			require.NoError(t, err)
			defer it.Close()
			for it.Valid() {
				got[string(it.Key())] = string(it.Value())
				require.NoError(t, it.Next())
			}
			return got
		},
		"write": func(t *testing.T, keys []string) map[string]string {
			s.put(t, keys[1]+"/other", "x") // not in the way
			txn := s.begin(t)
			got := make(map[string]string)
			for _, k := range keys {
				require.NoError(t, txn.Set([]byte(k), []byte("over")))
			}
			require.NoError(t, txn.Commit(ctx))
			for _, k := range keys {
				require.Equal(t, "over", s.get(t, k))
				v, err := s.txn.GetSnapshot(txn.StartTS()).Get(ctx, []byte(k))
				require.NoError(t, err)
				got[k] = string(v)
			}
			return got
		},
	}
	deaths := []struct {
		name   string
		points map[string]string
		set    func(*Txn)
		want   string // of every key
	}{
		{"before commit", beforeCommit, commitModes["two phases"], "old"},
		{"before secondaries", beforeSecondaries, commitModes["two phases"], "new"},
		{"after async commit", afterAsyncCommit, commitModes["async commit"], "new"},
	}
	for _, death := range deaths {
		for how, read := range meet {
			t.Run(death.name+"/"+how, func(t *testing.T) {
				prefix := "dead/" + death.name + "/" + how + "/"
				keys := []string{prefix + "a", prefix + "b", prefix + "c"}
				s.put(t, keys[0], "old", keys[1], "old", keys[2], "old")
				s.cut(t, keys[1:]...) // a region each, as one region commits at once
				s.die(t, death.points, death.set, keys, "new", death.want == "new")
				want := map[string]string{keys[0]: death.want, keys[1]: death.want, keys[2]: death.want}
				require.Equal(t, want, read(t, keys))
			})
		}
	}
}

// die sets keys to a value by a client that dies under way.
func (s *suite) die(t *testing.T, points map[string]string, set func(*Txn), keys []string, value string, commits bool) {
	t.Helper()
	undo := enable(t, points)
	defer undo()
	txn := s.begin(t)
	set(txn)
	for _, k := range keys {
		require.NoError(t, txn.Set([]byte(k), []byte(value)))
	}
	err := txn.Commit(ctx)
	if commits {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, "injected failure")
	}
	require.NotZero(t, s.countLocks(t, keys), "the test is for nothing if no lock is left")
}

// countLocks asks the stores which of the keys are locked.
func (s *suite) countLocks(t *testing.T, keys []string) (n int) {
	t.Helper()
	bo := tikv.NewBackofferWithVars(ctx, int(patience.Milliseconds()), nil)
	for _, k := range keys {
		region, err := s.txn.GetRegionCache().LocateKey(bo, []byte(k))
		require.NoError(t, err)
		req := tikvrpc.NewRequest(tikvrpc.CmdScanLock, &kvrpcpb.ScanLockRequest{
			MaxVersion: s.now(t), StartKey: []byte(k), EndKey: []byte(k + "\x00"), Limit: 10,
		})
		resp, err := s.txn.SendReq(bo, req, region.Region, patience)
		require.NoError(t, err)
		n += len(resp.Resp.(*kvrpcpb.ScanLockResponse).Locks)
	}
	return n
}

// deadPessimisticClient: locks whose holder is gone expire, for those who wait and for those who write.
func (s *suite) deadPessimisticClient(t *testing.T) {
	s.put(t, "gone/a", "1", "gone/b", "1", "gone/c", "1")
	undo := enable(t, map[string]string{"shortPessimisticLockTTL": "return", "doNotKeepAlive": "return"})
	dead := s.beginPessimistic(t)
	_, err := s.lock(t, dead, kv.LockNoWait, "gone/a", "gone/b", "gone/c")
	require.NoError(t, err)
	undo()

	waiter := s.beginPessimistic(t)
	values, err := s.lock(t, waiter, kv.LockAlwaysWait, "gone/a")
	require.NoError(t, err)
	require.Equal(t, "1", string(values["gone/a"].Value))
	require.NoError(t, waiter.Set([]byte("gone/a"), []byte("2")))
	require.NoError(t, waiter.Commit(ctx))
	s.put(t, "gone/b", "2")
	require.Equal(t, "2", s.get(t, "gone/a"))
	require.Equal(t, "2", s.get(t, "gone/b"))
	require.Equal(t, "1", s.get(t, "gone/c"))

	require.NoError(t, dead.Set([]byte("gone/a"), []byte("3")))
	err = dead.Commit(ctx)
	require.Error(t, err, "a lost lock is no lock")
	require.False(t, errors.Is(err, tikverr.ErrResultUndetermined))
	require.Equal(t, "2", s.get(t, "gone/a"))
}
