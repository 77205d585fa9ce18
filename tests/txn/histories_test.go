package txn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/tests/listappend"
)

const (
	lists       = 6
	historyTxns = 250 // of each client, and more until leaders have moved
)

func list(i int) string { return fmt.Sprintf("list%02d", i) }

// TestHistories has clients append to lists and read them in transactions of all kinds, on three stores, while regions
// split and leaders move, messages get lost, and clients die at every step of the protocols. What they have seen must be
// possible under snapshot isolation.
func TestHistories(t *testing.T) {
	ctx := context.Background()
	c := startCluster(t, 3)
	h := &historian{cluster: c, steps: map[string]int{}}
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			w := &writer{h: h, rng: rand.New(rand.NewPCG(uint64(i), 7)), seed: uint64(i) << 32}
			w.run(t)
		}()
	}
	splitter := connect(t, c)
	for i := range lists - 1 {
		require.NoError(t, splitter.Split(ctx, keys(list(i+1))))
	}
	require.Eventually(t, func() bool { return len(leaders(t, c)) > 1 }, time.Minute, 100*time.Millisecond, "no leader moves")
	h.moved.Store(true)
	clients.Wait()
	h.history = append(h.history, h.readAll(t, splitter))

	require.NoError(t, listappend.Check(h.history))
	count := map[listappend.Status]int{}
	for _, txn := range h.history {
		count[txn.Status]++
	}
	t.Logf("committed, aborted, unknown: %v; deaths: %v", count, h.steps)
	require.Greater(t, count[listappend.Committed], historyTxns)
	for _, step := range []string{"before prewrite in one phase", "after prewrite in one phase", "before prewrite of an async commit",
		"after prewrite of an async commit", "before prewrite in two phases", "after prewrite in two phases", "before commit", "after commit", "before pessimistic lock", "after pessimistic lock",
		"before flush", "after flush"} {
		require.Positive(t, h.steps[step], "clients died %s", step)
	}
}

// leaders are the stores that lead the regions of the lists. All were one region, and so on one store, at first.
func leaders(t *testing.T, c *node.Cluster) map[uint64]bool {
	out := map[uint64]bool{}
	for i := range lists {
		_, leader, err := c.Placement().Region(context.Background(), memcmp.AppendBytes(nil, []byte(list(i))))
		require.NoError(t, err)
		out[leader.GetStoreId()] = true
	}
	return out
}

// historian collects what clients saw.
type historian struct {
	cluster *node.Cluster
	clock   atomic.Int64
	values  atomic.Int64
	moved   atomic.Bool // leaders have

	mu      sync.Mutex
	history []listappend.Txn
	steps   map[string]int
}

func (h *historian) now() int { return int(h.clock.Add(1)) }

func (h *historian) add(txn listappend.Txn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.history = append(h.history, txn)
}

// writer runs transactions in one client after the other.
type writer struct {
	h    *historian
	rng  *rand.Rand
	seed uint64
	m    *mortal
	mine map[string]int // steps of its clients
}

func (w *writer) run(t *testing.T) {
	w.mine = map[string]int{}
	for i := 0; i < historyTxns || !w.h.moved.Load(); i++ {
		if w.m == nil || w.m.ctx.Err() != nil {
			w.reborn(t)
		}
		w.h.add(w.transaction())
	}
	w.reborn(t)
	w.m.die()
	if err := w.m.Close(); err != nil {
		t.Error(err)
	}
}

// reborn buries the present client and makes the next.
func (w *writer) reborn(t *testing.T) {
	if w.m != nil {
		w.m.die()
		if err := w.m.Close(); err != nil {
			t.Error(err)
		}
		w.h.mu.Lock()
		for step, n := range w.mine {
			w.h.steps[step] += n
		}
		w.h.mu.Unlock()
		clear(w.mine)
	}
	w.seed++
	w.m = newMortal(w.h.cluster, w.seed, w.rng.IntN(30), w.mine)
}

// transaction runs one and tells what it saw.
func (w *writer) transaction() (out listappend.Txn) {
	out.Begin = w.h.now()
	defer func() { out.End = w.h.now() }()
	out.Status = listappend.Aborted
	ctx, cancel := context.WithTimeout(w.m.ctx, 20*time.Second)
	defer cancel()
	begin, pessimistic := w.m.Begin, false
	switch w.rng.IntN(4) {
	case 0:
		begin, pessimistic = w.m.BeginPessimistic, true
	case 1:
		begin = w.m.BeginBulk
	}
	txn, err := begin(ctx)
	if err != nil {
		return out
	}
	if w.rng.IntN(2) == 0 {
		txn.Single() // it is: nobody waits for anything between its begin and its commit
	}
	for range 1 + w.rng.IntN(4) {
		op := listappend.Op{Key: list(w.rng.IntN(lists))}
		if w.rng.IntN(2) == 0 {
			op.Append = int(w.h.values.Add(1))
		}
		if op.Read, err = w.step(ctx, txn, op, pessimistic); err != nil {
			txn.Rollback()
			return out
		}
		out.Ops = append(out.Ops, op)
		if w.rng.IntN(2) == 0 && txn.Flush(ctx) != nil { // in a bulk write; else there is nothing to flush
			txn.Rollback()
			return out
		}
	}
	if w.rng.IntN(4) == 0 && len(out.Ops) > 0 {
		// A key too long for the primary's lock: no async commit.
		long := fmt.Appendf(nil, "%05000d", w.h.values.Add(1))
		if err := txn.Set(long, []byte("x")); err != nil {
			return out
		}
	}
	out.Status = judge(txn.Commit(ctx))
	return out
}

// step reads a list, or appends to it. A pessimistic transaction locks it first, and reads what is newest then.
func (w *writer) step(ctx context.Context, txn *kvclient.Txn, op listappend.Op, pessimistic bool) ([]int, error) {
	key := []byte(op.Key)
	for pessimistic {
		if err := txn.ReadNewest(ctx); err != nil {
			return nil, err
		}
		err := txn.Lock(ctx, [][]byte{key}, time.Second)
		if err == nil {
			break
		}
		if conflict := (*kvclient.WriteConflictError)(nil); !errors.As(err, &conflict) {
			return nil, err
		}
	}
	val, err := txn.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if op.Append == 0 {
		return listappend.Decode(val)
	}
	return nil, txn.Set(key, listappend.Appended(val, op.Append))
}

// judge says what a client knows after Commit.
func judge(err error) listappend.Status {
	var open *kvclient.UndeterminedError
	switch {
	case err == nil:
		return listappend.Committed
	case errors.As(err, &open):
		return listappend.Unknown
	default:
		return listappend.Aborted
	}
}

// readAll reads all lists in the end, when all that was committed is there to be seen.
func (h *historian) readAll(t *testing.T, c *kvclient.Client) listappend.Txn {
	out := listappend.Txn{Begin: h.now()}
	txn := begin(t, c)
	for i := range lists {
		val, err := txn.Get(context.Background(), []byte(list(i)))
		require.NoError(t, err)
		read, err := listappend.Decode(val)
		require.NoError(t, err)
		out.Ops = append(out.Ops, listappend.Op{Key: list(i), Read: read})
	}
	out.End = h.now()
	return out
}
