package raftsim

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bubble is what a World needs of the bubble of testing/synctest that it runs in.
type Bubble struct {
	Wait  func()                // returns when all other goroutines of the bubble are blocked: synctest.Wait
	Sleep func(d time.Duration) // time.Sleep
	Now   func() time.Time      // time.Now
}

// World is time and chance: the queue of what is going to happen, and the trace of what did. All of it belongs to the
// goroutine that calls Run, but for Tasks.
type World struct {
	bubble Bubble
	rng    *rand.Rand
	began  time.Time
	events events
	seq    uint64
	step   uint64
	looks  []looker
	trace  strings.Builder
	err    error
}

// NewWorld makes a world whose chances are those of seed.
func NewWorld(seed uint64, b Bubble) *World {
	return &World{bubble: b, rng: rand.New(rand.NewPCG(seed, 0x5eed)), began: b.Now()}
}

// event is something that will happen.
type event struct {
	at  time.Duration // since the beginning
	seq uint64        // in the order of planning, among those of the same time
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}

// Now is the time since the beginning.
func (w *World) Now() time.Duration { return w.bubble.Now().Sub(w.began) }

// Step counts what has happened. It orders events better than time, which stands still during a step.
func (w *World) Step() uint64 { return w.step }

// Rand is the world's chance.
func (w *World) Rand() *rand.Rand { return w.rng }

// Fork is a chance of its own, for a task.
func (w *World) Fork() *rand.Rand { return rand.New(rand.NewPCG(w.rng.Uint64(), 0)) }

// After plans f.
func (w *World) After(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.events, event{w.Now() + d, w.seq, f})
}

// Every plans f for each d, for ever.
func (w *World) Every(d func() time.Duration, f func()) {
	w.After(d(), func() { f(); w.Every(d, f) })
}

// looker is asked after each step, when everything is quiet, to find what there is to do next.
type looker interface{ look() }

func (w *World) watch(l looker) { w.looks = append(w.looks, l) }

func (w *World) unwatch(l looker) {
	w.looks = slices.DeleteFunc(slices.Clone(w.looks), func(other looker) bool { return other == l })
}

// Fail ends Run with the first error told.
func (w *World) Fail(err error) {
	if err != nil && w.err == nil {
		w.err = err
		w.Note("failed: %v", err)
	}
}

// stepsMax is when a world has gone astray: a run takes some ten thousand steps.
const stepsMax = 500_000

// Run lets things happen until done, which is asked after each step, or limit has passed, which is an error that says what
// was waited for.
func (w *World) Run(what string, limit time.Duration, done func() bool) error {
	end := w.Now() + limit
	for w.err == nil && !done() {
		if w.events.Len() == 0 || w.events[0].at > end {
			return fmt.Errorf("waited %v for %s", limit, what)
		}
		e := heap.Pop(&w.events).(event)
		if d := e.at - w.Now(); d > 0 {
			w.bubble.Sleep(d)
		}
		if w.step++; w.step > stepsMax {
			return fmt.Errorf("no end after %d steps, at %v, of waiting for %s", stepsMax, w.Now(), what)
		}
		e.do()
		w.settle()
	}
	return w.err
}

// settle waits until everything that the step set off has come to rest, and looks at the result.
func (w *World) settle() {
	w.bubble.Wait()
	for _, look := range w.looks {
		look.look()
	}
}

// Delay is how long something takes that is mostly quick.
func (w *World) Delay() time.Duration {
	d := time.Duration(w.rng.ExpFloat64() * float64(300*time.Microsecond))
	if w.rng.IntN(100) == 0 {
		d += time.Duration(w.rng.Int64N(int64(30 * time.Millisecond)))
	}
	return d
}

// Note adds a line to the trace.
func (w *World) Note(format string, args ...any) {
	fmt.Fprintf(&w.trace, "%d %v ", w.step, w.Now())
	fmt.Fprintf(&w.trace, format+"\n", args...)
}

// Trace is what has happened, as lines.
func (w *World) Trace() string { return w.trace.String() }

// Tasks are what runs beside the steps: code that waits. Each is a goroutine, and the world lets them go on one at a time.
// It implements raftstore.Tasks.
type Tasks struct {
	w    *World
	name string

	mu      sync.Mutex
	arrived []*task // since the last step, in no order
	waiting []*task
	closed  bool
}

// task is a goroutine that waits.
type task struct {
	name  string
	ctx   context.Context
	ready func() bool
	wake  chan struct{}
	then  func() // instead of waking somebody
	due   bool   // to be woken
}

func (k *task) goOn() {
	if k.then == nil {
		close(k.wake)
	} else if k.ready() {
		k.then()
	}
}

// NewTasks makes a group of tasks.
func (w *World) NewTasks(name string) *Tasks {
	t := &Tasks{w: w, name: name}
	w.watch(t)
	return t
}

type nameKey struct{}

// WithName names what is done under ctx. Of tasks that come to wait in the same step, which have run side by side, the order
// is that of their names.
func WithName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}

// Name is what WithName has given, or "".
func Name(ctx context.Context) string {
	name, _ := ctx.Value(nameKey{}).(string)
	return name
}

// Go implements raftstore.Tasks.
func (t *Tasks) Go(f func()) {
	k := t.arrive(context.Background(), func() bool { return true })
	go func() {
		<-k.wake
		f()
	}()
}

// Await implements raftstore.Tasks.
func (t *Tasks) Await(ctx context.Context, ready func() bool) { <-t.arrive(ctx, ready).wake }

// Then has f called by the world, in a step of its own, when ready says so; when the group is drained, only if it does so
// then. f must not wait.
func (t *Tasks) Then(name string, ready func() bool, f func()) {
	t.arrive(WithName(context.Background(), name), ready).then = f
}

// Sleep has the calling task wait.
func (t *Tasks) Sleep(ctx context.Context, d time.Duration) {
	until := t.w.Now() + d
	k := t.arrive(ctx, func() bool { return t.w.Now() >= until })
	<-k.wake
}

func (t *Tasks) arrive(ctx context.Context, ready func() bool) *task {
	k := &task{name: Name(ctx), ctx: ctx, ready: ready, wake: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arrived = append(t.arrived, k)
	return k
}

// look plans the waking of those that are ready.
func (t *Tasks) look() {
	if t.closed {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sort()
	for _, k := range t.waiting {
		if !k.due && (k.ready() || k.ctx.Err() != nil) {
			k.due = true
			t.w.After(t.w.Delay(), func() { t.resume(k) })
		}
	}
}

// sort puts those that have arrived behind the others, in order.
func (t *Tasks) sort() {
	slices.SortStableFunc(t.arrived, func(a, b *task) int { return cmp.Compare(a.name, b.name) })
	t.waiting = append(t.waiting, t.arrived...)
	t.arrived = nil
}

func (t *Tasks) resume(k *task) {
	t.mu.Lock()
	i := slices.Index(t.waiting, k)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 {
		return // woken by Drain
	}
	t.w.Note("%s: task %s", t.name, k.name)
	k.goOn()
}

// Drain wakes all tasks, whether they are ready or not, one after the other until none waits any more. The group has no
// use after that.
func (t *Tasks) Drain() {
	for {
		t.mu.Lock()
		t.sort()
		var k *task
		if len(t.waiting) > 0 {
			k, t.waiting = t.waiting[0], t.waiting[1:]
		}
		t.mu.Unlock()
		if k == nil {
			break
		}
		k.goOn()
		t.w.bubble.Wait()
	}
	t.closed = true
	t.w.unwatch(t)
}
