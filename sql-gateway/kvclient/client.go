package kvclient

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options tune a Client; the zero value is right for most.
type Options struct {
	// TxnBytesMax bounds the keys and values one transaction buffers (default 1 GiB).
	TxnBytesMax int
	// FlushBytes is how much a bulk write has in its buffer when it is sent with some 100 bytes for each key (default 32 MiB).
	FlushBytes int
	// Concurrency is the number of region requests that one operation has in flight (default: twice the cores, at least 4).
	Concurrency int
	// ReadBudget and WriteBudget bound the time an operation spends in back-off (defaults 20 s and 40 s).
	ReadBudget, WriteBudget time.Duration
	// Sleep, Now and Rand (uniform in [0, 1)) are time and chance; the simulation passes its own.
	Sleep  func(ctx context.Context, d time.Duration) error
	Now    func() time.Time
	Rand   func() float64
	Logger *slog.Logger
}

func (o *Options) fill() {
	setDefault(&o.TxnBytesMax, 1<<30)
	setDefault(&o.FlushBytes, 32<<20)
	setDefault(&o.Concurrency, max(4, 2*runtime.GOMAXPROCS(0)))
	setDefault(&o.ReadBudget, 20*time.Second)
	setDefault(&o.WriteBudget, 40*time.Second)
	if o.Sleep == nil {
		o.Sleep = timerSleep
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Client is shared by all sessions of a gateway. Safe for concurrent use.
type Client struct {
	opts      Options
	placement Placement
	stores    *stores
	regions   *regionCache
	resolver  *resolver
	turn      atomic.Uint64 // of replicas to be read
	metrics   *metrics

	// background runs secondary commits and roll-backs of failed prewrites; Close lets it finish.
	background sync.WaitGroup
	ctx        context.Context
	cancel     context.CancelCauseFunc
	// beats are the heartbeats of transactions under way; Close ends them.
	beats    sync.WaitGroup
	beating  context.Context
	stopBeat context.CancelFunc
}

// New makes a client.
func New(p Placement, d Dialer, opts Options) *Client {
	opts.fill()
	c := &Client{opts: opts, placement: p, stores: newStores(p, d), metrics: newMetrics()}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.beating, c.stopBeat = context.WithCancel(c.ctx)
	c.regions = newRegionCache(p, opts.Now)
	c.resolver = newResolver(c)
	return c
}

// closeGrace is how long Close lets secondary commits finish: locks they leave behind are resolved by later readers.
const closeGrace = 5 * time.Second

// Close waits for commits under way and stops background work.
func (c *Client) Close() error {
	c.stopBeat()
	c.beats.Wait()
	done := make(chan struct{})
	go func() { c.background.Wait(); close(done) }()
	grace, stop := context.WithTimeout(context.Background(), closeGrace)
	defer stop()
	select {
	case <-done:
	case <-grace.Done():
	}
	c.cancel(errClosed)
	<-done
	return nil
}

// spawn runs f in the background, under a context that ends with the client.
func (c *Client) spawn(f func(ctx context.Context)) {
	c.background.Add(1)
	go func() {
		defer c.background.Done()
		f(c.ctx)
	}()
}

// TS returns a new timestamp.
func (c *Client) TS(ctx context.Context) (uint64, error) {
	defer c.took(c.metrics.timestamps, c.opts.Now())
	ts, err := c.placement.TS(ctx)
	if err == nil {
		return ts, nil
	}
	bo := c.newBackoff(c.opts.ReadBudget)
	for err != nil && ctx.Err() == nil {
		if err := bo.wait(ctx, backoffPD, err); err != nil {
			return 0, err
		}
		ts, err = c.placement.TS(ctx)
	}
	return ts, err
}

// Begin starts an optimistic transaction.
func (c *Client) Begin(ctx context.Context) (*Txn, error) {
	ts, err := c.TS(ctx)
	if err != nil {
		return nil, err
	}
	t := &Txn{c: c, startTS: ts, began: c.opts.Now(), first: Snapshot{c: c, ts: ts}}
	t.snap = &t.first
	return t, nil
}

// BeginPessimistic starts a transaction that takes locks when Lock is called, and not at Commit alone.
func (c *Client) BeginPessimistic(ctx context.Context) (*Txn, error) {
	t, err := c.Begin(ctx)
	if err == nil {
		t.pess = &pessimism{forUpdateTS: t.startTS}
	}
	return t, err
}

// Snapshot reads at ts. math.MaxUint64 is "latest" and allowed for single keys only.
func (c *Client) Snapshot(ts uint64) *Snapshot { return &Snapshot{c: c, ts: ts} }

// physicalMillis is the wall-clock part of a timestamp.
func physicalMillis(ts uint64) int64 { return int64(ts >> 18) }
