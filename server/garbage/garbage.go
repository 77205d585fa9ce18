// Package garbage frees a store of what nobody can read any more. A Collector follows the placement driver's safe point
// and, region by region:
//
//	raises the timestamp below which the store refuses reads,
//	collects old versions, delete marks, rollbacks and locks from the regions that this store leads,
//	has the engine rewrite what has come to consist of deletions, on leaders and followers alike.
//
// Collecting deletes by replicated writes. The alternative, each replica dropping versions while it compacts, as TiKV does,
// saves the deletions' way through the log; but the engine's compactions call nobody for each key, and what a replica drops
// on its own makes replicas differ: a check of their contents would have to know each one's safe point, and a log
// replayed after a crash would bring back records whose long values are gone. Deletions are small (a key each, one for a
// whole row of versions), and the compaction that gives the space back is each store's own.
//
// Regions are chosen by what engine.Versions and engine.Deletions know without reading data, and by what the last look at
// them has told. A region without garbage costs nothing; one that has some gets a share of one processor.
package garbage

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/txn"
)

// Engine is what a Collector asks of the data database: *engine.Engine.
type Engine interface {
	Versions(start, end []byte, safePoint uint64) (engine.Versions, error)
	Deletions(cf storage.CF, start, end []byte) (entries, deletions uint64, err error)
	RangeDeletions() int
	AsyncFlush() error
	Compact(ctx context.Context, cf storage.CF, start, end []byte) error
}

// Deps are what a Collector stands on.
type Deps struct {
	// SafePoint asks the placement driver.
	SafePoint func(ctx context.Context) (uint64, error)
	// Refuse has the store refuse reads below ts.
	Refuse func(ts uint64)
	// Regions lists the regions of the store in key order.
	Regions func() []raftstore.RegionStatus
	// Collect is txn.Manager.GC.
	Collect func(ctx context.Context, pb *kvrpcpb.Context, o txn.GCOptions) (txn.GCStats, error)
	Data    Engine
	Logger  *slog.Logger
}

// Options tune a Collector; zero values stand for the defaults named.
type Options struct {
	// Poll is how often the safe point is asked for, 10 s by default. What lies below a safe point is collected one poll
	// later, when all stores that reach the placement driver refuse reads there.
	Poll time.Duration
	// Share is the part of one processor's time that collecting takes, 0.25 by default. The rest of the time it sleeps.
	Share float64
	// Now and Sleep are time.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

func (o *Options) fill() {
	if o.Poll <= 0 {
		o.Poll = 10 * time.Second
	}
	if o.Share <= 0 || o.Share > 1 {
		o.Share = 0.25
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Collector works for one store.
type Collector struct {
	d    Deps
	opts Options

	known uint64        // the safe point of the last poll
	due   atomic.Uint64 // the one before

	looked map[uint64]look
	seen   map[uint64]uint64 // region id -> applied index when its deletions were counted last

	safePoint atomic.Uint64 // collected up to
	regions   atomic.Int64
	versions  atomic.Int64
	rewritten atomic.Int64
}

// look is what a complete collection of a region has told.
type look struct {
	epoch, applied uint64 // as they were before it
	nextTS         uint64 // see txn.GCStats
}

// New makes a Collector; Run is its life.
func New(d Deps, o Options) *Collector {
	o.fill()
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Collector{d: d, opts: o, looked: make(map[uint64]look), seen: make(map[uint64]uint64)}
}

// Status tells what a Collector has done since it began.
type Status struct {
	SafePoint   uint64 `json:"safe_point"`  // collected up to
	Collections int64  `json:"collections"` // of regions
	Versions    int64  `json:"versions"`    // deleted
	Compactions int64  `json:"compactions"` // of ranges
}

// Status may be called at any time.
func (c *Collector) Status() Status {
	return Status{c.safePoint.Load(), c.regions.Load(), c.versions.Load(), c.rewritten.Load()}
}

// Run works until ctx is done.
func (c *Collector) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { c.repeat(ctx, "safe point", c.Poll) })
	c.repeat(ctx, "garbage collection", c.Round)
	running.Wait()
}

func (c *Collector) repeat(ctx context.Context, what string, do func(context.Context) error) {
	for ctx.Err() == nil {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			c.d.Logger.Warn(what, "err", err)
		}
		if c.opts.Sleep(ctx, c.opts.Poll) != nil {
			return
		}
	}
}

// Poll learns the safe point, has reads below it refused, and lets Round collect up to the one of the poll before. It runs
// beside Round, which may be long.
func (c *Collector) Poll(ctx context.Context) error {
	ts, err := c.d.SafePoint(ctx)
	if err != nil {
		return err
	}
	c.d.Refuse(ts)
	c.due.Store(c.known)
	c.known = max(c.known, ts)
	return nil
}

// Round does what there is to do now.
func (c *Collector) Round(ctx context.Context) error {
	if c.d.Data.RangeDeletions() > 0 { // what they delete goes when they are on disk
		if err := c.d.Data.AsyncFlush(); err != nil {
			return err
		}
	}
	regions := c.d.Regions()
	c.forget(regions)
	// Without a higher safe point there is nothing new: what is written now becomes garbage above it.
	if due := c.due.Load(); due > c.safePoint.Load() {
		if err := c.collectAll(ctx, regions, due); err != nil {
			return err
		}
		c.safePoint.Store(due)
	}
	return c.compactAll(ctx, regions)
}

// forget drops what is known of regions that have left.
func (c *Collector) forget(regions []raftstore.RegionStatus) {
	here := make(map[uint64]bool, len(regions))
	for i := range regions {
		here[regions[i].Region.GetId()] = true
	}
	for id := range c.looked {
		if !here[id] {
			delete(c.looked, id)
		}
	}
	for id := range c.seen {
		if !here[id] {
			delete(c.seen, id)
		}
	}
}
