package catalog

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Gateways of one cluster keep their transactions out of each other's DDL by records in the meta key space:
//
//	member     of each gateway: the schema version that it plans with, for which tables it has made way, and until when both
//	           hold. It looks around every membersTick, and renews the record when half of its lease is over
//	exclusion  of a table that somebody changes: by whom, since when
//
// A change of a table takes it from the own transactions first, writes an exclusion, and goes on when every other member has
// made way: its transactions on the table have ended, and new ones wait. The change done, the exclusion goes, and the others
// read the new schema before they let anyone use the table again. A statement returns when all plan with what it has made.
//
// Who does not renew is not waited for. So a transaction commits only below the end of its gateway's lease (Fence), and not at
// all if that had lapsed since it began: the stores see to it, by the commit timestamp. A gateway that comes late, or
// back, writes its record first and looks around then; the one that changes a table writes the exclusion first and then
// counts members. So one of the two sees the other. Timestamps of the cluster are the only clock.
type membership struct {
	id string

	// own are the exclusions of changes under way here.
	own ownExclusions

	mu    sync.Mutex
	lease lease
	// ways are made, or being made, for the exclusions of others.
	ways    map[int64]*way
	written member // the record as it is in the cluster

	attend chan struct{} // look around now
}

// lease is what transactions may commit under. epoch counts from 1 how often it had lapsed.
type lease struct {
	epoch int64
	until uint64 // timestamp
}

const (
	membersTick = 200 * time.Millisecond
	membersPoll = 20 * time.Millisecond
	leaseTime   = 20 * time.Second
	// physicalShift makes a timestamp of milliseconds.
	physicalShift = 18
)

// member is the record of a gateway.
type member struct {
	Expires uint64           `json:"expires"` // timestamp
	Version int64            `json:"version"`
	Given   map[int64]uint64 `json:"given,omitempty"` // the timestamps of the exclusions that it has made way for, by table
}

// exclusion is the record of a table under change.
type exclusion struct {
	Owner string `json:"owner"`
	TS    uint64 `json:"ts"`
}

// ownExclusions are timestamps of exclusions by table.
type ownExclusions struct {
	mu     sync.Mutex
	tables map[int64]uint64
}

func (o *ownExclusions) add(x map[int64]exclusion) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range x {
		o.tables[id] = x[id].TS
	}
}

func (o *ownExclusions) remove(x map[int64]exclusion) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range x {
		if o.tables[id] == x[id].TS {
			delete(o.tables, id)
		}
	}
}

func (o *ownExclusions) has(id int64, ts uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tables[id] == ts
}

func (o *ownExclusions) all() map[int64]uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.tables)
}

// way is a table that this gateway's transactions leave to another's change.
type way struct {
	ts   uint64
	made bool
	stop context.CancelFunc
	done chan struct{} // closed when the lock was taken or the attempt has ended
}

func newMembership(id string) *membership {
	if id == "" {
		return nil
	}
	m := &membership{id: id, ways: make(map[int64]*way), attend: make(chan struct{}, 1)}
	m.own.tables = make(map[int64]uint64)
	return m
}

func (m *membership) current() lease {
	if m == nil {
		return lease{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease
}

// errSchemaChanged is TiDB's error of a transaction whose tables may have changed unseen.
var errSchemaChanged = &mysql.SQLError{Code: 8028, State: mysql.DefaultMySQLState,
	Message: "Information schema is out of date: this gateway had lost its lease. [try again later]"}

// Fence is for a transaction that uses tables under h, see kvclient.Fence; nil if there is no other gateway.
func (c *Catalog) Fence(h *LockHolder) kvclient.Fence {
	if c.members == nil {
		return nil
	}
	return func() (uint64, error) {
		l := c.members.current()
		if epoch := h.epoch.Load(); epoch != 0 && epoch != l.epoch {
			return 0, errSchemaChanged
		}
		return l.until, nil
	}
}

// attendAlways keeps the lease until ctx ends, then gives it up.
func (c *Catalog) attendAlways(ctx context.Context) {
	m := c.members
	tick := time.NewTicker(membersTick)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := c.attend(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("the lease of the schema was not renewed; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-m.attend:
		}
	}
	m.end() // before a change elsewhere goes on that has waited for this gateway
	m.giveBack(func(int64, *way) bool { return true }, c.locks)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveMax)
	defer cancel()
	err := c.inTxn(ctx, func(txn Txn) error { return txn.Delete(memberKey(m.id)) })
	if err != nil {
		c.log.Debug("the lease of the schema runs out by itself", "err", err)
	}
}

// end lets nothing commit any more.
func (m *membership) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lease = lease{epoch: m.lease.epoch + 1}
}

// leaveMax bounds the time for giving up the lease.
const leaveMax = 2 * time.Second

// attend looks around once: it reads a schema that has changed, makes way for others' changes, and renews the lease. Called
// by one goroutine at a time.
func (c *Catalog) attend(ctx context.Context) error {
	m := c.members
	now, err := c.store.TS(ctx)
	if err != nil {
		return err
	}
	lease := m.current()
	lapsed := now >= lease.until
	if lapsed { // be seen before looking
		m.giveBack(func(int64, *way) bool { return true }, c.locks)
		lease = leaseAt(lease.epoch+1, now)
		if err := c.writeMember(ctx, m.record(lease, c.Current().Version), lease.until); err != nil {
			return err
		}
	}
	if err := c.lookAround(ctx, now); err != nil {
		return err
	}
	due := before(lease.until, leaseTime/2) <= now
	if rec := m.record(lease, c.Current().Version); due || !rec.equal(m.written) {
		bound := lease.until
		lease = leaseAt(lease.epoch, now)
		rec.Expires = lease.until
		if err := c.writeMember(ctx, rec, bound); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.lease = lease
	m.mu.Unlock()
	return nil
}

func leaseAt(epoch int64, now uint64) lease {
	return lease{epoch, now + uint64(leaseTime.Milliseconds())<<physicalShift}
}

// before is the timestamp that lies d before ts.
func before(ts uint64, d time.Duration) uint64 {
	return ts - min(ts, uint64(d.Milliseconds())<<physicalShift)
}

// record is what this gateway has to tell.
func (m *membership) record(l lease, version int64) member {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec := member{Expires: l.until, Version: version}
	for id, w := range m.ways {
		if w.made {
			if rec.Given == nil {
				rec.Given = make(map[int64]uint64)
			}
			rec.Given[id] = w.ts
		}
	}
	return rec
}

func (r member) equal(o member) bool { return r.Version == o.Version && maps.Equal(r.Given, o.Given) }

// writeMember writes this gateway's record, with a commit ts of at most bound.
func (c *Catalog) writeMember(ctx context.Context, rec member, bound uint64) error {
	err := c.inTxn(ctx, func(txn Txn) error {
		txn.SetFence(func() (uint64, error) { return bound, nil })
		return setJSON(txn, memberKey(c.members.id), rec)
	})
	if err == nil {
		c.members.written = rec
	}
	return err
}

// lookAround reads what has changed in one snapshot: the schema first, then who may use which table.
func (c *Catalog) lookAround(ctx context.Context, now uint64) error {
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	version, err := getInt(ctx, txn, versionKey)
	if err != nil {
		return err
	}
	excluded, err := exclusions(ctx, txn)
	if err != nil {
		return err
	}
	if version != c.Current().Version {
		if err := c.reload(ctx); err != nil {
			return err
		}
	}
	c.members.giveBack(func(id int64, w *way) bool { return excluded[id].TS != w.ts }, c.locks)
	for id, x := range excluded {
		if x.Owner != c.members.id {
			c.makeWay(id, x.TS)
		}
	}
	return c.sweep(ctx, txn, excluded, now)
}

// reload reads the schema unless a change of this gateway has done it meanwhile.
func (c *Catalog) reload(ctx context.Context) error {
	c.ddl.Lock()
	defer c.ddl.Unlock()
	return c.load(ctx)
}

// makeWay keeps new transactions from a table at once, and notes when those that use it have ended.
func (c *Catalog) makeWay(id int64, ts uint64) {
	m := c.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ways[id] != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &way{ts: ts, stop: stop, done: make(chan struct{})}
	m.ways[id] = w
	taken := c.locks.queue(id)
	go func() {
		defer close(w.done)
		if taken(ctx) != nil {
			return // given back before
		}
		m.mu.Lock()
		w.made = true
		m.mu.Unlock()
		m.hurry()
	}()
}

// hurry has attendAlways look around at once.
func (m *membership) hurry() {
	select {
	case m.attend <- struct{}{}:
	default: // it is going to
	}
}

// giveBack lets transactions use the tables again that which chooses.
func (m *membership) giveBack(which func(id int64, w *way) bool, locks *Locks) {
	m.mu.Lock()
	var over []int64
	for id, w := range m.ways {
		if which(id, w) {
			over = append(over, id)
		}
	}
	m.mu.Unlock()
	for _, id := range over {
		w := m.ways[id]
		w.stop()
		<-w.done
		if w.made {
			locks.releaseExclusive([]int64{id})
		}
		m.mu.Lock()
		delete(m.ways, id)
		m.mu.Unlock()
	}
}

// sweep removes exclusions whose owners are gone, and those that this gateway could not remove when it was done.
func (c *Catalog) sweep(ctx context.Context, txn Txn, excluded map[int64]exclusion, now uint64) error {
	if len(excluded) == 0 {
		return nil
	}
	members, err := membersOf(ctx, txn)
	if err != nil {
		return err
	}
	for id, x := range excluded {
		stale := members[x.Owner].Expires <= now
		if x.Owner == c.members.id {
			stale = !c.members.own.has(id, x.TS)
		}
		if stale {
			if err := c.removeExclusion(ctx, id, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// inTxn runs do in a transaction; of two that write the same, the other one counts.
func (c *Catalog) inTxn(ctx context.Context, do func(Txn) error) error {
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	if err := do(txn); err != nil {
		return err
	}
	return txn.Commit(ctx)
}

func setJSON(txn Txn, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return txn.Set(key, b)
}
