package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/raftstore/raftsim"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/tests/listappend"
)

const (
	lists, accounts = 5, 5
	balance         = 100 // of each account
	writers         = 4
	livesMax        = 60 // requests until a client dies
)

func list(i int) string    { return fmt.Sprintf("list%02d", i) }
func account(i int) string { return fmt.Sprintf("account%02d", i) }

func encoded(key string) []byte { return memcmp.AppendBytes(nil, []byte(key)) }

func anyKey(rng *rand.Rand) string {
	if i := rng.IntN(lists + accounts); i >= lists {
		return account(i - lists)
	} else {
		return list(i)
	}
}

// workload is writers, each with one client after the other, and what they have seen.
type workload struct {
	c       *cluster
	tasks   *raftsim.Tasks
	clock   int
	values  int
	running int
	stop    bool
	history []listappend.Txn
	clients []*client
}

func newWorkload(c *cluster) *workload {
	wl := &workload{c: c, tasks: c.w.NewTasks("clients")}
	return wl
}

func (wl *workload) now() int {
	wl.clock++
	return wl.clock
}

// task runs f, which Running counts.
func (wl *workload) task(f func()) {
	wl.running++
	wl.tasks.Go(func() {
		f()
		wl.running--
	})
}

func (wl *workload) done() bool { return wl.running == 0 }

// client makes one that dies after some requests.
func (wl *workload) client(name string, rng *rand.Rand, left int) *client {
	cl := newClient(wl.c, name, wl.tasks, rng, left)
	wl.clients = append(wl.clients, cl)
	return cl
}

// fill gives all accounts their balance.
func (wl *workload) fill() {
	wl.task(func() {
		cl := wl.client("bank", nil, -1)
		txn, err := cl.Begin(context.Background())
		for i := range accounts {
			if err == nil {
				err = txn.Set([]byte(account(i)), []byte(strconv.Itoa(balance)))
			}
		}
		if err == nil {
			err = txn.Commit(context.Background())
		}
		wl.c.w.Fail(err)
	})
}

// write lets the writers loose.
func (wl *workload) write() {
	for id := range writers {
		rng := wl.c.w.Fork()
		wl.task(func() { wl.writer(id, rng) })
	}
}

func (wl *workload) writer(id int, rng *rand.Rand) {
	var cl *client
	for life := 0; !wl.stop; {
		if cl == nil || cl.dead {
			life++
			cl = wl.client(fmt.Sprintf("%d.%d", id, life), rng, rng.IntN(livesMax))
		}
		wl.tasks.Sleep(context.Background(), time.Duration(rng.Int64N(int64(100*time.Millisecond))))
		if rng.IntN(3) == 0 {
			wl.transfer(cl, rng)
		} else {
			wl.append(cl, rng)
		}
	}
}

// begin starts a transaction of any kind.
func begin(ctx context.Context, cl *client, rng *rand.Rand) (txn *kvclient.Txn, pessimistic bool, err error) {
	switch rng.IntN(4) {
	case 0:
		txn, err = cl.BeginPessimistic(ctx)
		return txn, true, err
	case 1:
		txn, err = cl.BeginBulk(ctx)
		return txn, false, err
	}
	txn, err = cl.Begin(ctx)
	return txn, false, err
}

const patience = 20 * time.Second

// append runs a transaction that reads lists and appends to them.
func (wl *workload) append(cl *client, rng *rand.Rand) {
	out := listappend.Txn{Begin: wl.now(), Status: listappend.Aborted}
	defer func() {
		out.End = wl.now()
		wl.history = append(wl.history, out)
		wl.c.w.Note("%s: %v", cl.name, out)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	txn, pessimistic, err := begin(ctx, cl, rng)
	if err != nil {
		return
	}
	for range 1 + rng.IntN(4) {
		op := listappend.Op{Key: list(rng.IntN(lists))}
		if rng.IntN(2) == 0 {
			wl.values++
			op.Append = wl.values
		}
		if op.Read, err = step(ctx, txn, op, pessimistic); err != nil {
			txn.Rollback()
			return
		}
		out.Ops = append(out.Ops, op)
		if rng.IntN(2) == 0 && txn.Flush(ctx) != nil {
			txn.Rollback()
			return
		}
	}
	out.Status = status(txn.Commit(ctx))
}

// step reads a list, or appends to it.
func step(ctx context.Context, txn *kvclient.Txn, op listappend.Op, pessimistic bool) ([]int, error) {
	val, err := get(ctx, txn, op.Key, pessimistic)
	if err != nil {
		return nil, err
	}
	if op.Append == 0 {
		return listappend.Decode(val)
	}
	return nil, txn.Set([]byte(op.Key), listappend.Appended(val, op.Append))
}

// get reads a key. A pessimistic transaction locks it first, and reads what is newest then.
func get(ctx context.Context, txn *kvclient.Txn, key string, pessimistic bool) ([]byte, error) {
	for pessimistic {
		if err := txn.ReadNewest(ctx); err != nil {
			return nil, err
		}
		err := txn.Lock(ctx, [][]byte{[]byte(key)}, time.Second)
		if err == nil {
			break
		}
		if conflict := (*kvclient.WriteConflictError)(nil); !errors.As(err, &conflict) {
			return nil, err
		}
	}
	return txn.Get(ctx, []byte(key))
}

func status(err error) listappend.Status {
	var open *kvclient.UndeterminedError
	switch {
	case err == nil:
		return listappend.Committed
	case errors.As(err, &open):
		return listappend.Unknown
	}
	return listappend.Aborted
}

// transfer moves money from one account to another, and counts it all at times.
func (wl *workload) transfer(cl *client, rng *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	txn, pessimistic, err := begin(ctx, cl, rng)
	if err != nil {
		return
	}
	if rng.IntN(3) == 0 {
		if err := count(ctx, txn); err != nil {
			wl.c.w.Note("%s: count: %v", cl.name, err)
			wl.failIfWrong(err)
		}
		txn.Rollback()
		return
	}
	from, to := rng.IntN(accounts), rng.IntN(accounts)
	if from == to || move(ctx, txn, from, to, 1+rng.IntN(20), pessimistic) != nil {
		txn.Rollback()
		return
	}
	wl.c.w.Note("%s: transfer from %d to %d: %v", cl.name, from, to, txn.Commit(ctx))
}

// wrongSumError says that money came or went.
type wrongSumError struct{ balances []int }

func (e *wrongSumError) Error() string { return fmt.Sprintf("the accounts have %v", e.balances) }

func (wl *workload) failIfWrong(err error) {
	if wrong := (*wrongSumError)(nil); errors.As(err, &wrong) {
		wl.c.w.Fail(err)
	}
}

func count(ctx context.Context, txn *kvclient.Txn) error {
	var balances []int
	sum := 0
	for i := range accounts {
		n, err := read(ctx, txn, i, false)
		if err != nil {
			return err
		}
		balances = append(balances, n)
		sum += n
	}
	if sum != accounts*balance {
		return &wrongSumError{balances}
	}
	return nil
}

func read(ctx context.Context, txn *kvclient.Txn, i int, pessimistic bool) (int, error) {
	val, err := get(ctx, txn, account(i), pessimistic)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(val))
}

func move(ctx context.Context, txn *kvclient.Txn, from, to, n int, pessimistic bool) error {
	a, err := read(ctx, txn, from, pessimistic)
	if err != nil {
		return err
	}
	b, err := read(ctx, txn, to, pessimistic)
	if err != nil {
		return err
	}
	return errors.Join(txn.Set([]byte(account(from)), []byte(strconv.Itoa(a-n))), txn.Set([]byte(account(to)), []byte(strconv.Itoa(b+n))))
}

// look reads everything once, at the end.
func (wl *workload) look() {
	wl.task(func() {
		ctx := context.Background()
		cl := wl.client("last", nil, -1)
		out := listappend.Txn{Begin: wl.now()}
		txn, err := cl.Begin(ctx)
		for i := 0; i < lists && err == nil; i++ {
			op := listappend.Op{Key: list(i)}
			op.Read, err = step(ctx, txn, op, false)
			out.Ops = append(out.Ops, op)
		}
		if err == nil {
			err = count(ctx, txn)
		}
		wl.c.w.Fail(err)
		out.End = wl.now()
		wl.history = append(wl.history, out)
	})
}

// quit ends all clients, after their cluster is closed.
func (wl *workload) quit() (err error) {
	wl.stop = true
	for _, cl := range wl.clients {
		cl.dead = true
	}
	wl.tasks.Drain()
	for _, cl := range wl.clients {
		err = errors.Join(err, cl.Close())
	}
	return err
}
