// Package deadlock finds circles of waiting transactions that lead through several stores, as TiKV does: one store of the
// cluster keeps the graph of who waits for whom, the one that leads the first region. The role moves with that
// leadership.
//
//	d := deadlock.New(deadlock.Options{Roles: ..., Dial: ...})
//	manager := txn.NewManager(store, locks, txn.ManagerOptions{Detector: d})       // reports its waits to d
//	deadlockpb.RegisterDeadlockServer(server, deadlock.NewService(d, manager.LockWaits)) // hears of other stores' waits
//
// A Detector reports to the leader over one stream, or to itself where it leads. Nothing waits for an answer: only circles
// are answered, and whose report gets lost, as when the leader changes, waits for its time limit and asks again.
package deadlock

import (
	"context"
	"log/slog"
	"sync"
	"time"

	deadlockpb "github.com/pingcap/kvproto/pkg/deadlock"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/storage/txn"
)

// Roles tell who leads the first region.
type Roles interface {
	// Leading returns the region and the term in which this store leads it.
	Leading() (region, term uint64, ok bool)
	// Leader returns the store that leads it by the placement driver's knowledge, 0 if there is none.
	Leader(ctx context.Context) (storeID uint64, err error)
}

// Options configure a Detector.
type Options struct {
	StoreID uint64 // of this store
	Roles   Roles
	// Dial returns a new connection to a store, which the Detector closes.
	Dial func(ctx context.Context, storeID uint64) (*grpc.ClientConn, error)
	// TTL is the life of a wait that is not reported again; txn.DefaultLockWait by default.
	TTL    time.Duration
	Logger *slog.Logger // nil: slog.Default()
}

// queueMax bounds the reports that wait to be handled. Further ones are dropped.
const queueMax = 4096

// Detector implements txn.Detector for a cluster.
type Detector struct {
	opts   Options
	graph  *txn.WaitGraph // of all stores, while this one leads
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	tasks  chan task

	// Used by run alone.
	leader *leader   // nil: not connected
	failed time.Time // when connecting failed last

	mu           sync.Mutex
	region, term uint64 // of the leadership that graph belongs to
	found        map[waitID]func([]*deadlockpb.WaitForEntry)
}

var _ txn.Detector = (*Detector)(nil)

type task struct {
	kind deadlockpb.DeadlockRequestType
	wait *deadlockpb.WaitForEntry
}

// waitID names a wait in the leader's answers.
type waitID struct{ txn, holder, hash uint64 }

func idOf(w *deadlockpb.WaitForEntry) waitID { return waitID{w.Txn, w.WaitForTxn, w.KeyHash} }

// New starts a detector.
func New(o Options) *Detector {
	if o.TTL == 0 {
		o.TTL = txn.DefaultLockWait
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	d := &Detector{
		opts: o, graph: txn.NewWaitGraph(o.TTL, time.Now), done: make(chan struct{}), tasks: make(chan task, queueMax),
		found: make(map[waitID]func([]*deadlockpb.WaitForEntry)),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	go d.run()
	return d
}

// Close stops the detector.
func (d *Detector) Close() error {
	d.cancel()
	<-d.done
	return nil
}

// Detect implements txn.Detector.
func (d *Detector) Detect(w *deadlockpb.WaitForEntry, found func([]*deadlockpb.WaitForEntry)) {
	d.mu.Lock()
	d.found[idOf(w)] = found
	d.mu.Unlock()
	d.put(task{deadlockpb.DeadlockRequestType_Detect, w})
}

// Done implements txn.Detector.
func (d *Detector) Done(w *deadlockpb.WaitForEntry) {
	d.mu.Lock()
	delete(d.found, idOf(w))
	d.mu.Unlock()
	d.put(task{deadlockpb.DeadlockRequestType_CleanUpWaitFor, w})
}

func (d *Detector) put(t task) {
	select {
	case d.tasks <- t:
	default:
		d.opts.Logger.Warn("deadlock detection is behind, a report is dropped", "txn", t.wait.Txn)
	}
}

// run handles reports in order.
func (d *Detector) run() {
	defer close(d.done)
	for {
		select {
		case <-d.ctx.Done():
			d.disconnect()
			return
		case t := <-d.tasks:
			d.handle(t)
		}
	}
}

func (d *Detector) handle(t task) {
	if d.leading() {
		d.disconnect()
		if chain := d.enter(t.kind, t.wait); chain != nil {
			d.answer(t.wait, chain)
		}
		return
	}
	d.report(t)
}

// leading tells whether this store leads the first region. The graph of an earlier time as the leader is void.
func (d *Detector) leading() bool {
	region, term, ok := d.opts.Roles.Leading()
	if !ok {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if region != d.region || term != d.term {
		d.opts.Logger.Info("this store finds the cluster's deadlocks now", "region", region, "term", term, "void", d.graph.Len())
		d.region, d.term = region, term
		d.graph.Clear()
	}
	return true
}

// enter makes a report part of the graph and returns the circle that it closes.
func (d *Detector) enter(kind deadlockpb.DeadlockRequestType, w *deadlockpb.WaitForEntry) []*deadlockpb.WaitForEntry {
	switch kind {
	case deadlockpb.DeadlockRequestType_Detect:
		return d.graph.Detect(w)
	case deadlockpb.DeadlockRequestType_CleanUpWaitFor:
		d.graph.Done(w)
	case deadlockpb.DeadlockRequestType_CleanUp:
		d.graph.Forget(w.Txn)
	}
	return nil
}

// answer tells a wait of this store, if it still lasts, that it closes a circle.
func (d *Detector) answer(w *deadlockpb.WaitForEntry, chain []*deadlockpb.WaitForEntry) {
	d.mu.Lock()
	found := d.found[idOf(w)]
	d.mu.Unlock()
	if found != nil {
		found(chain)
	}
}
