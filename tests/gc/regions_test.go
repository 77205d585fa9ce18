package gc

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/gcworker"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/tests/testcluster"
)

const (
	accounts = 100
	balance  = 1000
)

func account(i int) []byte { return fmt.Appendf(nil, "account%03d", i) }

// TestReadsWhileRegionsChange moves money between accounts on three stores while regions split, leaders spread and old
// versions are collected all the time. Whatever a read at a timestamp has seen, another sees as long as it is not refused; the
// sum stays the same; and in the end the replicas hold the same records, few of them old.
func TestReadsWhileRegionsChange(t *testing.T) {
	dir := t.TempDir()
	c := startIn(t, dir, 3)
	bank := &bank{t: t, c: c, stop: make(chan struct{})}
	bank.open()
	var working sync.WaitGroup
	for i := range uint64(3) {
		working.Go(func() { bank.move(rand.New(rand.NewPCG(1, i))) })
		working.Go(func() { bank.watch() })
	}
	for i := 10; i < accounts; i += 10 {
		require.NoError(t, c.Client.Split(context.Background(), [][]byte{account(i)}))
		enough := bank.moved.Load() + movesPerSplit
		eventually(t, "garbage comes up", func() bool { return bank.moved.Load() >= enough })
	}
	eventually(t, "garbage was collected", func() bool { return collected(c) > 100 })
	close(bank.stop)
	working.Wait()
	require.NotZero(t, bank.again, "reads were repeated")
	set(t, c, func(s *gcworker.Settings) { s.Enable = false })
	var last map[uint64]uint64
	quiet := 0
	eventually(t, "nothing goes on any more", func() bool {
		now := applied(c)
		if quiet++; now == nil || !maps.Equal(now, last) {
			quiet = 0
		}
		last = now
		return quiet == 20
	})
	c.Stop()
	requireSameReplicas(t, dir)
}

// movesPerSplit is how many transfers there are, at least, between two splits.
const movesPerSplit = 100

type bank struct {
	t     *testing.T
	c     *testcluster.Cluster
	stop  chan struct{}
	moved atomic.Int64 // transfers committed or refused

	mu    sync.Mutex
	again int // reads repeated
}

func (b *bank) stopped() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

func (b *bank) open() {
	txn, err := b.c.Client.Begin(context.Background())
	require.NoError(b.t, err)
	for i := range accounts {
		require.NoError(b.t, txn.Set(account(i), strconv.AppendInt(nil, balance, 10)))
	}
	require.NoError(b.t, txn.Commit(context.Background()))
}

// move transfers money; an account without any is deleted.
func (b *bank) move(rng *rand.Rand) {
	for !b.stopped() {
		from, to := rng.IntN(accounts), rng.IntN(accounts)
		if from == to {
			continue
		}
		err := b.transfer(from, to, rng.IntN(balance/2))
		var conflict *kvclient.WriteConflictError
		var early *kvclient.GCTooEarlyError
		if err != nil && !errors.As(err, &conflict) && !errors.As(err, &early) && !errors.Is(err, kvclient.ErrRolledBack) {
			b.t.Errorf("transfer: %v", err)
			return
		}
		b.moved.Add(1)
	}
}

func (b *bank) transfer(from, to, amount int) error {
	ctx := context.Background()
	txn, err := b.c.Client.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	for who, change := range map[int]int{from: -amount, to: amount} {
		val, err := txn.Get(ctx, account(who))
		if err != nil {
			return err
		}
		have, _ := strconv.Atoi(string(val))
		switch have += change; {
		case have < 0:
			return nil
		case have == 0:
			err = txn.Delete(account(who))
		default:
			err = txn.Set(account(who), strconv.AppendInt(nil, int64(have), 10))
		}
		if err != nil {
			return err
		}
	}
	return txn.Commit(ctx)
}

// watch reads all accounts, and again at the same timestamp until that is too old.
func (b *bank) watch() {
	ctx := context.Background()
	for !b.stopped() {
		ts, err := b.c.Client.TS(ctx)
		if err != nil {
			b.t.Errorf("timestamp: %v", err)
			return
		}
		first, err := b.read(ts)
		for now := first; err == nil && !b.stopped(); now, err = b.read(ts) {
			sum := 0
			for _, v := range now {
				sum += v
			}
			if sum != accounts*balance || !maps.Equal(first, now) {
				b.t.Errorf("at %d there was %v, sum %d; first it was %v", ts, now, sum, first)
				return
			}
			b.mu.Lock()
			b.again++
			b.mu.Unlock()
		}
		var early *kvclient.GCTooEarlyError
		if err != nil && !errors.As(err, &early) {
			b.t.Errorf("read: %v", err)
			return
		}
	}
}

func (b *bank) read(ts uint64) (map[string]int, error) {
	out := make(map[string]int)
	it := b.c.Client.Snapshot(ts).Scan(context.Background(), kvclient.KeyRange{Start: []byte("account"), End: []byte("accounu")}, false)
	defer it.Close()
	for {
		key, val, ok, err := it.Next()
		if err != nil || !ok {
			return out, err
		}
		if out[string(key)], err = strconv.Atoi(string(val)); err != nil {
			return nil, err
		}
	}
}

func collected(c *testcluster.Cluster) (versions int64) {
	for _, s := range c.Nodes.Stores() {
		versions += s.Status().GC.Versions
	}
	return versions
}

// applied is how far the regions are; nil if their replicas differ in that.
func applied(c *testcluster.Cluster) map[uint64]uint64 {
	index := make(map[uint64]uint64)
	replicas := 0
	for _, s := range c.Nodes.Stores() {
		for _, r := range s.Status().Regions {
			if at, ok := index[r.Region.GetId()]; ok && at != r.AppliedIndex {
				return nil
			}
			index[r.Region.GetId()] = r.AppliedIndex
			replicas++
		}
	}
	if replicas != len(c.Nodes.Stores())*len(index) {
		return nil
	}
	return index
}

// requireSameReplicas compares what the stores of a stopped cluster hold of the accounts.
func requireSameReplicas(t *testing.T, dir string) {
	type content struct {
		sum     uint64
		records map[storage.CF]int
	}
	var first content
	for i := 1; i <= 3; i++ {
		e, err := engine.Open(filepath.Join(dir, "store-"+strconv.Itoa(i), "data"), engine.Options{})
		require.NoError(t, err)
		got, sum := content{records: map[storage.CF]int{}}, fnv.New64()
		for _, cf := range []storage.CF{storage.CFWrite, storage.CFDefault, storage.CFLock} {
			it, err := e.NewIterator(storage.IterOptions{CF: cf, Lower: mvcc.EncodeKey([]byte("account")), Upper: mvcc.EncodeKey([]byte("accounu"))})
			require.NoError(t, err)
			for ok := it.First(); ok; ok = it.Next() {
				got.records[cf]++
				fmt.Fprintf(sum, "%c %x %x\n", cf, it.Key(), it.Value())
			}
			require.NoError(t, it.Error())
			require.NoError(t, it.Close())
		}
		require.NoError(t, e.Close())
		got.sum = sum.Sum64()
		if i == 1 {
			first = got
		}
		require.Equal(t, first, got, "store %d", i)
	}
}
