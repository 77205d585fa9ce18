package pd

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"
)

// gcState says which versions may be dropped and which may still be read.
//
//	gc safe point   <=  txn safe point  <=  every barrier
//
// Versions below the gc safe point may be gone; transactions that start below the txn safe point are refused by their
// clients; a barrier of a backup or a change feed keeps the txn safe point from passing it. The older calls know one
// safe point and barriers named after services; they work on the same state.
type gcState struct {
	safePoint    uint64
	txnSafePoint uint64
	barriers     map[string]gcBarrier
}

type gcBarrier struct {
	TS      uint64 `json:"ts"`
	Expires int64  `json:"expires"` // unix seconds; 0 = never
	// Service marks barriers set with UpdateServiceGCSafePoint.
	Service bool `json:"service,omitempty"`
}

const (
	keyGCSafePoint    = keyGC + "safe_point"
	keyGCTxnSafePoint = keyGC + "txn_safe_point"
	keyGCBarriers     = keyGC + "barrier/" // + id: JSON
	// keyClientSafePoint is where clients that know no txn safe point look for it, in decimal: TiDB keeps it there.
	keyClientSafePoint = "/tidb/store/gcworker/saved_safe_point"
	// gcWorker is the service whose safe point is the garbage collector's own: it never expires.
	gcWorker = "gc_worker"
	// barriersMax bounds what clients can make the placement driver remember.
	barriersMax = 10_000
)

func (c *Core) loadGC(ctx context.Context) error {
	var err error
	c.gc.barriers = make(map[string]gcBarrier)
	if c.gc.safePoint, err = loadInt(ctx, c.state, keyGCSafePoint); err != nil {
		return err
	}
	if c.gc.txnSafePoint, err = loadInt(ctx, c.state, keyGCTxnSafePoint); err != nil {
		return err
	}
	pairs, err := c.state.Load(ctx, keyGCBarriers)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		var b gcBarrier
		if err := json.Unmarshal(p.Value, &b); err != nil {
			return fmt.Errorf("stored %s: %w", p.Key, err)
		}
		c.gc.barriers[strings.TrimPrefix(p.Key, keyGCBarriers)] = b
	}
	return nil
}

// GCSafePoint is the timestamp below which versions may be dropped.
func (c *Core) GCSafePoint() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gc.safePoint
}

// UpdateGCSafePoint raises the safe point and returns the effective one. It never goes down.
func (c *Core) UpdateGCSafePoint(ctx context.Context, ts uint64) (old, effective uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old = c.gc.safePoint
	if ts <= old {
		return old, old, nil
	}
	txn := max(ts, c.gc.txnSafePoint)
	if err := c.saveInts(ctx, keyGCSafePoint, ts, keyGCTxnSafePoint, txn, keyClientSafePoint, txn); err != nil {
		return old, old, err
	}
	c.gc.safePoint, c.gc.txnSafePoint = ts, txn
	return old, ts, nil
}

// AdvanceGCSafePoint is UpdateGCSafePoint of the newer interface, which refuses to pass the txn safe point.
func (c *Core) AdvanceGCSafePoint(ctx context.Context, ts uint64) (old, effective uint64, err error) {
	c.mu.Lock()
	limit := c.gc.txnSafePoint
	c.mu.Unlock()
	if ts > limit {
		return 0, 0, refuse(pdpb.ErrorType_INVALID_VALUE, "gc safe point %d would pass the txn safe point %d", ts, limit)
	}
	return c.UpdateGCSafePoint(ctx, ts)
}

// AdvanceTxnSafePoint raises the txn safe point as far as the barriers allow; blocker says what held it.
func (c *Core) AdvanceTxnSafePoint(ctx context.Context, target uint64) (old, effective uint64, blocker string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old = c.gc.txnSafePoint
	if target < old {
		return old, old, "", refuse(pdpb.ErrorType_INVALID_VALUE, "txn safe point %d would go back to %d", old, target)
	}
	name, least := c.leastBarrier()
	if least < target {
		target, blocker = max(least, old), fmt.Sprintf("barrier %q at %d", name, least)
	}
	if target > old {
		if err := c.saveInts(ctx, keyGCTxnSafePoint, target, keyClientSafePoint, target); err != nil {
			return old, old, "", err
		}
		c.gc.txnSafePoint = target
	}
	return old, target, blocker, nil
}

// leastBarrier is the lowest barrier that has not expired; MaxUint64 if there is none.
func (c *Core) leastBarrier() (name string, ts uint64) {
	ts = math.MaxUint64
	now := c.now()
	for id, b := range c.gc.barriers {
		if !b.expired(now) && (b.TS < ts || b.TS == ts && id < name) {
			name, ts = id, b.TS
		}
	}
	return name, ts
}

func (b gcBarrier) expired(now time.Time) bool { return b.Expires != 0 && now.Unix() >= b.Expires }

func (b gcBarrier) info(id string, now time.Time) *pdpb.GCBarrierInfo {
	ttl := int64(math.MaxInt64)
	if b.Expires != 0 {
		ttl = max(b.Expires-now.Unix(), 0)
	}
	return &pdpb.GCBarrierInfo{BarrierId: id, BarrierTs: b.TS, TtlSeconds: ttl}
}

// expiry converts a time to live in seconds; a very long one means never. The end of the second that has begun counts as
// now: a barrier may live longer than was asked, never shorter.
func (c *Core) expiry(ttl int64) int64 {
	now := c.now().Add(time.Second - 1).Unix()
	if ttl > math.MaxInt64-now {
		return 0
	}
	return now + ttl
}

// SetGCBarrier sets or moves a barrier, which must not lie below the txn safe point.
func (c *Core) SetGCBarrier(ctx context.Context, id string, ts uint64, ttl int64) (*pdpb.GCBarrierInfo, error) {
	if id == "" || ttl <= 0 {
		return nil, refuse(pdpb.ErrorType_INVALID_VALUE, "a barrier needs an id and a positive time to live")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ts < c.gc.txnSafePoint {
		return nil, refuse(pdpb.ErrorType_INVALID_VALUE, "barrier %d lies below the txn safe point %d", ts, c.gc.txnSafePoint)
	}
	b := gcBarrier{TS: ts, Expires: c.expiry(ttl)}
	if err := c.saveBarrier(ctx, id, b); err != nil {
		return nil, err
	}
	return b.info(id, c.now()), nil
}

// DeleteGCBarrier removes a barrier and returns what it was, nil if there was none.
func (c *Core) DeleteGCBarrier(ctx context.Context, id string) (*pdpb.GCBarrierInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.gc.barriers[id]
	if !ok {
		return nil, nil
	}
	if err := c.dropBarrier(ctx, id); err != nil {
		return nil, err
	}
	return b.info(id, c.now()), nil
}

// UpdateServiceGCSafePoint keeps versions from ts on for a service; ttl <= 0 releases them. It returns the service with
// the least safe point of all and that safe point.
func (c *Core) UpdateServiceGCSafePoint(ctx context.Context, service string, ts uint64, ttl int64) (string, int64, uint64, error) {
	if service == "" {
		return "", 0, 0, refuse(pdpb.ErrorType_INVALID_VALUE, "service id is empty")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name, least := c.leastBarrier()
	var err error
	switch {
	case ttl <= 0 && service != gcWorker:
		err = c.dropBarrier(ctx, service)
	case name == "" || ts >= least || service == name && ts >= c.gc.txnSafePoint:
		b := gcBarrier{TS: ts, Expires: c.expiry(ttl), Service: true}
		if service == gcWorker {
			b.Expires = 0
		}
		err = c.saveBarrier(ctx, service, b)
	}
	if err != nil {
		return "", 0, 0, err
	}
	name, least = c.leastBarrier()
	if name == "" {
		return gcWorker, math.MaxInt64, 0, nil
	}
	return name, c.gc.barriers[name].info(name, c.now()).TtlSeconds, least, nil
}

func (c *Core) saveBarrier(ctx context.Context, id string, b gcBarrier) error {
	if err := c.dropExpired(ctx); err != nil {
		return err
	}
	if _, known := c.gc.barriers[id]; !known && len(c.gc.barriers) >= barriersMax {
		return refuse(pdpb.ErrorType_INVALID_VALUE, "too many barriers")
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if err := c.state.Save(ctx, Pair{keyGCBarriers + id, text}); err != nil {
		return err
	}
	c.gc.barriers[id] = b
	return nil
}

func (c *Core) dropExpired(ctx context.Context) error {
	now := c.now()
	for id, b := range c.gc.barriers {
		if b.expired(now) {
			if err := c.dropBarrier(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Core) dropBarrier(ctx context.Context, id string) error {
	if _, ok := c.gc.barriers[id]; !ok {
		return nil
	}
	if err := c.state.Save(ctx, Pair{Key: keyGCBarriers + id}); err != nil {
		return err
	}
	delete(c.gc.barriers, id)
	return nil
}

// GCState describes safe points and barriers.
func (c *Core) GCState(withBarriers bool) *pdpb.GCState {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &pdpb.GCState{TxnSafePoint: c.gc.txnSafePoint, GcSafePoint: c.gc.safePoint}
	now := c.now()
	for id, b := range c.gc.barriers {
		if withBarriers && !b.expired(now) {
			out.GcBarriers = append(out.GcBarriers, b.info(id, now))
		}
	}
	sort.Slice(out.GcBarriers, func(i, j int) bool { return out.GcBarriers[i].BarrierId < out.GcBarriers[j].BarrierId })
	return out
}

// saveInts writes keys and decimals in turn.
func (c *Core) saveInts(ctx context.Context, keysAndValues ...any) error {
	var pairs []Pair
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		v := strconv.AppendUint(nil, keysAndValues[i+1].(uint64), 10)
		pairs = append(pairs, Pair{keysAndValues[i].(string), v})
	}
	return c.state.Save(ctx, pairs...)
}
