package clientsuite

import (
	"bytes"
	"math/rand"
	"strconv"
	"sync"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	tikverr "github.com/tikv/client-go/v2/error"
	"github.com/tikv/client-go/v2/kv"
)

// commitModes are the ways to commit.
var commitModes = map[string]func(*Txn){
	"two phases":   func(*Txn) {},
	"async commit": func(txn *Txn) { txn.SetEnableAsyncCommit(true) },
	"one phase":    func(txn *Txn) { txn.SetEnable1PC(true) },
	"pessimistic":  func(txn *Txn) { txn.SetPessimistic(true) },
	"all of them":  func(txn *Txn) { txn.SetPessimistic(true); txn.SetEnable1PC(true); txn.SetEnableAsyncCommit(true) },
}

// transactions writes, reads, deletes and rolls back, committing in every way.
func (s *suite) transactions(t *testing.T) {
	for mode, set := range commitModes {
		t.Run(mode, func(t *testing.T) {
			a, b := "basic/"+mode+"/a", "basic/"+mode+"/b"
			before := s.begin(t)
			txn := s.begin(t)
			set(txn)
			require.NoError(t, txn.Set([]byte(a), []byte("1")))
			require.NoError(t, txn.Set([]byte(b), bytes.Repeat([]byte("long"), 1000)))
			v, err := txn.Get(ctx, []byte(a))
			require.NoError(t, err)
			require.Equal(t, "1", string(v), "a transaction reads its own writes")
			require.Empty(t, s.get(t, a), "and nobody else does")
			require.NoError(t, txn.Commit(ctx))

			require.Equal(t, "1", s.get(t, a))
			require.Len(t, s.get(t, b), 4000)
			_, err = before.Get(ctx, []byte(a))
			require.True(t, tikverr.IsErrNotFound(err), "an older snapshot stays as it is: %v", err)

			txn = s.begin(t)
			set(txn)
			if txn.IsPessimistic() {
				require.NoError(t, txn.LockKeysWithWaitTime(ctx, kv.LockNoWait, []byte(a)))
			}
			require.NoError(t, txn.Delete([]byte(a)))
			require.NoError(t, txn.Commit(ctx))
			require.Empty(t, s.get(t, a))

			txn = s.begin(t)
			set(txn)
			if txn.IsPessimistic() {
				require.NoError(t, txn.LockKeysWithWaitTime(ctx, kv.LockNoWait, []byte(b)))
			}
			require.NoError(t, txn.Set([]byte(b), []byte("undone")))
			require.NoError(t, txn.Rollback())
			require.Len(t, s.get(t, b), 4000)
		})
	}
}

// scans walks both ways over a few hundred keys, more than fit one page, with a transaction's own changes among them.
func (s *suite) scans(t *testing.T) {
	const n = 700
	txn := s.begin(t)
	var want []string
	for i := range n {
		require.NoError(t, txn.Set(key("scan/%04d", i), key("%d", i)))
		want = append(want, string(key("scan/%04d=%d", i, i)))
	}
	require.NoError(t, txn.Commit(ctx))

	txn = s.begin(t)
	it, err := txn.Iter([]byte("scan/"), []byte("scan0"))
	require.NoError(t, err)
	require.Equal(t, want, drain(t, it, ""))
	it, err = txn.Iter([]byte("scan/0100"), []byte("scan/0103"))
	require.NoError(t, err)
	require.Equal(t, want[100:103], drain(t, it, ""))

	down, err := s.Reverse(txn, []byte("scan0"), []byte("scan/"))
	require.NoError(t, err)
	got := drain(t, down, "scan/")
	require.Len(t, got, n)
	for i := range got {
		require.Equal(t, want[n-1-i], got[i])
	}

	require.NoError(t, txn.Delete([]byte("scan/0101")))
	require.NoError(t, txn.Set([]byte("scan/0101a"), []byte("new")))
	it, err = txn.Iter([]byte("scan/0100"), []byte("scan/0103"))
	require.NoError(t, err)
	require.Equal(t, []string{"scan/0100=100", "scan/0101a=new", "scan/0102=102"}, drain(t, it, ""))
	require.NoError(t, txn.Rollback())

	keys := [][]byte{[]byte("scan/none")}
	for i := range n {
		keys = append(keys, key("scan/%04d", i))
	}
	found, err := s.begin(t).BatchGet(ctx, keys)
	require.NoError(t, err)
	require.Len(t, found, n)

	snap := s.txn.GetSnapshot(s.now(t))
	snap.SetKeyOnly(true)
	keysOnly, err := snap.Iter([]byte("scan/0100"), []byte("scan/0102"))
	require.NoError(t, err)
	require.Equal(t, []string{"scan/0100=", "scan/0101="}, drain(t, keysOnly, ""))
}

func (s *suite) now(t require.TestingT) uint64 {
	ts, err := s.txn.GetTimestamp(ctx)
	require.NoError(t, err)
	return ts
}

// conflicts: of two transactions that write one key the later to commit fails, whatever the way to commit.
func (s *suite) conflicts(t *testing.T) {
	for mode, set := range commitModes {
		t.Run(mode, func(t *testing.T) {
			k := []byte("conflict/" + mode)
			loser := s.begin(t)
			set(loser)
			loser.SetPessimistic(false)
			require.NoError(t, loser.Set(k, []byte("loser")))
			s.put(t, string(k), "winner")
			err := loser.Commit(ctx)
			require.True(t, tikverr.IsErrWriteConflict(err), "%v", err)
			require.Equal(t, "winner", s.get(t, string(k)))
		})
	}
}

// insert: a key that is presumed not to exist, and does, fails the commit and is named.
func (s *suite) insert(t *testing.T) {
	insert := func(set func(*Txn)) error {
		txn := s.begin(t)
		set(txn)
		require.NoError(t, txn.GetMemBuffer().SetWithFlags([]byte("insert/k"), []byte("v"), kv.SetPresumeKeyNotExists))
		return txn.Commit(ctx)
	}
	require.NoError(t, insert(commitModes["two phases"]))
	for mode, set := range commitModes {
		if mode == "pessimistic" || mode == "all of them" {
			continue // those check when they lock
		}
		err := insert(set)
		require.True(t, tikverr.IsErrKeyExist(err), "%s: %v", mode, err)
	}

	txn := s.begin(t)
	txn.SetAssertionLevel(kvrpcpb.AssertionLevel_Strict)
	require.NoError(t, txn.GetMemBuffer().SetWithFlags([]byte("insert/k"), []byte("v"), kv.SetAssertNotExist))
	var failed *tikverr.ErrAssertionFailed
	require.ErrorAs(t, txn.Commit(ctx), &failed)
}

// bank moves money between accounts from many sides and in every way to commit; the sum stays.
func (s *suite) bank(t *testing.T) {
	const accounts, clients, transfers, each = 8, 6, 25, 100
	account := func(i int) []byte { return key("bank/%d", i) }
	txn := s.begin(t)
	for i := range accounts {
		require.NoError(t, txn.Set(account(i), []byte(strconv.Itoa(each))))
	}
	require.NoError(t, txn.Commit(ctx))

	modes := []string{"two phases", "async commit", "one phase"}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewSource(int64(c)))
			for done := 0; done < transfers && !t.Failed(); {
				from, to := rng.Intn(accounts), rng.Intn(accounts)
				if from == to || s.transfer(t, account(from), account(to), commitModes[modes[c%len(modes)]]) {
					done++
				}
				if sum := s.sum(t, "bank/", "bank0"); sum != accounts*each {
					t.Errorf("the sum is %d", sum)
				}
			}
		})
	}
	wg.Wait()
}

// transfer moves one unit; false if another transaction was in the way.
func (s *suite) transfer(t *testing.T, from, to []byte, set func(*Txn)) bool {
	txn := s.begin(t)
	set(txn)
	for k, by := range map[string]int{string(from): -1, string(to): 1} {
		v, err := txn.Get(ctx, []byte(k))
		require.NoError(t, err)
		n, err := strconv.Atoi(string(v))
		require.NoError(t, err)
		require.NoError(t, txn.Set([]byte(k), []byte(strconv.Itoa(n+by))))
	}
	err := txn.Commit(ctx)
	if !tikverr.IsErrWriteConflict(err) {
		require.NoError(t, err)
	}
	return err == nil
}

func (s *suite) sum(t *testing.T, start, end string) (sum int) {
	it, err := s.begin(t).Iter([]byte(start), []byte(end))
	require.NoError(t, err)
	defer it.Close()
	for ; it.Valid(); err = it.Next() {
		require.NoError(t, err)
		n, err := strconv.Atoi(string(it.Value()))
		require.NoError(t, err)
		sum += n
	}
	return sum
}

// largeTransaction commits more keys than one request takes, over all phases.
func (s *suite) largeTransaction(t *testing.T) {
	const n = 100_000
	txn := s.begin(t)
	txn.SetEnableAsyncCommit(true) // too large for it: the client falls back
	val := bytes.Repeat([]byte("v"), 64)
	for i := range n {
		require.NoError(t, txn.Set(key("large/%06d", i), val))
	}
	require.NoError(t, txn.Commit(ctx))
	it, err := s.begin(t).Iter([]byte("large/"), []byte("large0"))
	require.NoError(t, err)
	defer it.Close()
	got := 0
	for ; it.Valid(); err = it.Next() {
		require.NoError(t, err)
		got++
	}
	require.Equal(t, n, got)
}
