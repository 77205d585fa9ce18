package txn

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// prewrite is the state of one Prewrite. First all keys are checked, then, if nothing is in the way, all are written.
//
// What is written depends on how the transaction commits:
//
//   - two-phase: locks;
//   - async commit: locks that say so, with the minimal commit timestamp chosen here, the primary's with the list of
//     secondaries;
//   - one-phase: write records right away, at the commit timestamp chosen here.
//
// The latter two need in-memory locks while the write is under way; see Concurrency. Where they cannot be had, because the
// timestamp would pass the client's limit or an earlier try left other locks, two-phase locks are written
// and the zero timestamps in the response tell the client.
type prewrite struct {
	req        *kvrpcpb.PrewriteRequest
	generation uint64        // of a flush; 0: a prewrite
	keys       []prewriteKey // ascending

	locked    []*kvrpcpb.KeyError // by other transactions
	assertion error               // of the first failed assertion: reported if nothing else is

	committedTS uint64 // the request is a repetition, the transaction is committed already
	heldMinTS   uint64 // highest min_commit_ts of locks that an earlier request wrote
	heldAsync   bool   // one of them is for async commit
	heldPlain   bool   // one of them is not

	minCommitTS, onePCTS uint64 // of the response

	userKeys [][]byte // those of keys
	// Room for a single key.
	keyRoom  [1]prewriteKey
	userRoom [1][]byte
}

// prewriteKey is one mutation and what was found on its key.
type prewriteKey struct {
	*kvrpcpb.Mutation
	encoded       []byte
	action        kvrpcpb.PrewriteRequest_PessimisticAction
	wantForUpdate uint64 // constraint on the pessimistic lock's for_update_ts; 0: none

	held       bool       // prewritten by an earlier request
	own        *mvcc.Lock // the transaction's lock that is to be replaced: a pessimistic one, or one of an earlier flush
	flushed    bool       // own is the latter
	rolledBack uint64     // start_ts of the newest rollback above this transaction; a commit must not take its place
}

// pending tells whether the key is still to be written.
func (k prewriteKey) pending() bool { return !k.held && k.Op != kvrpcpb.Op_CheckNotExists }

// passed tells whether readers pass the key's lock.
func (k prewriteKey) passed() bool {
	return k.Op == kvrpcpb.Op_Lock || k.Op == kvrpcpb.Op_CheckNotExists
}

// inserts tells whether the key must not exist.
func (k prewriteKey) inserts() bool {
	return k.Op == kvrpcpb.Op_Insert || k.Op == kvrpcpb.Op_CheckNotExists
}

// Prewrite serves KvPrewrite.
func (m *Manager) Prewrite(ctx context.Context, req *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	return m.prewrite(ctx, req, 0)
}

// prewrite serves a prewrite, or a flush of a generation.
func (m *Manager) prewrite(ctx context.Context, req *kvrpcpb.PrewriteRequest, generation uint64) (*kvrpcpb.PrewriteResponse, error) {
	if len(req.Mutations) == 0 {
		return &kvrpcpb.PrewriteResponse{}, nil
	}
	p, err := newPrewrite(req)
	p.generation = generation
	if err == nil {
		if p.reads() {
			m.conc.UpdateMaxTS(req.StartVersion)
		}
		err = m.write(ctx, req.Context, p.userKeys, p.run)
	}
	failed, err := keyError(err)
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.PrewriteResponse{Errors: p.locked}
	if failed != nil {
		resp.Errors = []*kvrpcpb.KeyError{failed}
	}
	if len(resp.Errors) == 0 {
		resp.MinCommitTs, resp.OnePcCommitTs = p.minCommitTS, p.onePCTS
		p.tellWaiting(m)
	}
	return resp, nil
}

// reads tells whether the request learns that a key does not exist, which is a read at the start timestamp: nothing may
// commit below it any more.
func (p *prewrite) reads() bool { return slices.ContainsFunc(p.keys, prewriteKey.inserts) }

// tellWaiting tells the requests that wait for pessimistic locks what became of them.
func (p *prewrite) tellWaiting(m *Manager) {
	switch {
	case p.committedTS > 0:
	case p.onePCTS > 0 && p.pessimistic():
		m.wake(p.userKeys)
	case p.onePCTS == 0 && m.waits.waiting.Load() > 0:
		for i := range p.keys {
			if k := &p.keys[i]; k.pending() {
				m.hold(k.Key, &mvcc.Lock{
					Type: lockType(k.Op), Primary: p.req.PrimaryLock, StartTS: p.req.StartVersion, TTL: p.req.LockTtl,
					ForUpdateTS: p.req.ForUpdateTs, TxnSize: p.req.TxnSize, AsyncCommit: p.minCommitTS > 0, MinCommitTS: p.minCommitTS,
				})
			}
		}
	}
}

func newPrewrite(req *kvrpcpb.PrewriteRequest) (*prewrite, error) {
	n := len(req.Mutations)
	p := &prewrite{req: req}
	p.keys, p.userKeys = slices.Grow(p.keyRoom[:0], n)[:n], slices.Grow(p.userRoom[:0], n)[:n]
	if n := len(req.PessimisticActions); n > 0 && n != len(p.keys) {
		return p, &mvcc.AbortError{Reason: "prewrite: as many pessimistic actions as mutations are needed"}
	}
	size := 0
	for _, mu := range req.Mutations {
		size += memcmp.EncodedLen(len(mu.GetKey()))
	}
	encoded := make([]byte, 0, size)
	for i, mu := range req.Mutations {
		k := &p.keys[i]
		k.Mutation = mu
		start := len(encoded)
		encoded = mvcc.AppendKey(encoded, mu.Key)
		k.encoded = encoded[start:len(encoded):len(encoded)]
		if len(req.PessimisticActions) > 0 {
			k.action = req.PessimisticActions[i]
		}
		if err := p.supports(mu.Op); err != nil {
			return p, err
		}
	}
	for _, c := range req.ForUpdateTsConstraints {
		if int(c.Index) >= len(p.keys) {
			return p, &mvcc.AbortError{Reason: "prewrite: constraint on a mutation that is not there"}
		}
		p.keys[c.Index].wantForUpdate = c.ExpectedForUpdateTs
	}
	slices.SortStableFunc(p.keys, func(a, b prewriteKey) int { return bytes.Compare(a.Key, b.Key) })
	for i := range p.keys {
		p.userKeys[i] = p.keys[i].Key
	}
	return p, nil
}

func (p *prewrite) supports(op kvrpcpb.Op) error {
	switch op {
	case kvrpcpb.Op_Put, kvrpcpb.Op_Del, kvrpcpb.Op_Lock, kvrpcpb.Op_Insert:
		return nil
	case kvrpcpb.Op_CheckNotExists:
		if !p.pessimistic() {
			return nil
		}
	}
	return &mvcc.AbortError{Reason: fmt.Sprintf("prewrite: mutation %s is not supported", op)}
}

func (p *prewrite) pessimistic() bool { return p.req.ForUpdateTs > 0 }

// run checks and writes.
func (p *prewrite) run(c *command) error {
	if err := c.m.conc.CheckSafePoint(p.req.StartVersion); err != nil {
		return err
	}
	if p.choosesTS() && !c.synced {
		return &storage.RegionError{Pb: &errorpb.Error{
			Message:               "max_ts is not known yet",
			MaxTimestampNotSynced: &errorpb.MaxTimestampNotSynced{},
		}}
	}
	for i := range p.keys {
		if err := p.check(c, &p.keys[i]); err != nil {
			return err
		}
		if p.committedTS > 0 {
			p.answerCommitted()
			return nil
		}
	}
	if len(p.locked) > 0 {
		return nil
	}
	if p.assertion != nil {
		return p.assertion
	}
	p.write(c)
	return nil
}

func (p *prewrite) choosesTS() bool { return p.req.UseAsyncCommit || p.req.TryOnePc }

func (p *prewrite) answerCommitted() {
	p.locked = nil
	switch {
	case p.req.TryOnePc:
		p.onePCTS = p.committedTS
	case p.req.UseAsyncCommit:
		p.minCommitTS = p.committedTS
	}
}

// write collects the changes, with the locks of the kind that can be had.
func (p *prewrite) write(c *command) {
	onePC := p.req.TryOnePc && !p.heldAsync && !p.heldPlain
	async := p.req.UseAsyncCommit && !p.heldPlain
	if async && !onePC && !slices.ContainsFunc(p.keys, prewriteKey.pending) {
		p.minCommitTS = p.heldMinTS // what the locks say and nothing else, or resolvers come to another timestamp
		return
	}
	if onePC || async {
		if !p.publish(c, onePC) {
			onePC, async = false, false
		}
	}
	p.reserve(c, onePC)
	for i := range p.keys {
		k := &p.keys[i]
		switch {
		case !k.pending():
		case onePC:
			p.commitAtOnce(c, k)
		default:
			p.lock(c, k, async)
		}
	}
	switch {
	case onePC:
		p.onePCTS = c.guard.lock.MinCommitTS
	case async:
		p.minCommitTS = c.guard.lock.MinCommitTS
	}
}

// reserve makes room for the records: a lock names the primary, a write record is small and has a key of its own. So has a
// long value.
func (p *prewrite) reserve(c *command, onePC bool) {
	const record = 32
	each := record
	if !onePC {
		each += record + len(p.req.PrimaryLock)
	}
	size := 0
	for i := range p.keys {
		size += each + len(p.keys[i].encoded) + len(p.keys[i].Value)
	}
	c.reserve(len(p.keys), size)
}

// publish enters the in-memory locks and so chooses the timestamp. It returns false if that passes the client's limit.
func (p *prewrite) publish(c *command, onePC bool) bool {
	floor := max(p.req.StartVersion, p.req.ForUpdateTs, max(p.req.MinCommitTs, p.heldMinTS, 1)-1)
	lock := mvcc.Lock{
		Type: mvcc.LockPut, Primary: p.req.PrimaryLock, StartTS: p.req.StartVersion, TTL: p.req.LockTtl,
		TxnSize: p.req.TxnSize, AsyncCommit: !onePC, OnePC: onePC,
	}
	for i := range p.keys {
		k := &p.keys[i]
		if k.own != nil {
			floor = max(floor, k.own.ForUpdateTS, max(k.own.MinCommitTS, 1)-1)
		}
		floor = max(floor, k.rolledBack)
	}
	g := c.m.conc.publish(p.changedKeys(), lock, floor)
	if p.req.MaxCommitTs != 0 && g.lock.MinCommitTS > p.req.MaxCommitTs {
		c.m.conc.withdraw(g)
		return false
	}
	c.guard = g
	return true
}

// changedKeys are the user keys whose locks readers do not pass.
func (p *prewrite) changedKeys() [][]byte {
	if !slices.ContainsFunc(p.keys, prewriteKey.passed) {
		return p.userKeys
	}
	var keys [][]byte
	for i := range p.keys {
		if !p.keys[i].passed() {
			keys = append(keys, p.keys[i].Key)
		}
	}
	return keys
}

// lock writes the lock of one key.
func (p *prewrite) lock(c *command, k *prewriteKey, async bool) {
	l := mvcc.Lock{
		Type: lockType(k.Op), Primary: p.req.PrimaryLock, StartTS: p.req.StartVersion, TTL: p.req.LockTtl,
		ForUpdateTS: p.req.ForUpdateTs, TxnSize: p.req.TxnSize, MinCommitTS: p.req.MinCommitTs,
		TxnSource: p.req.Context.GetTxnSource(), Generation: p.generation,
	}
	if k.own != nil { // neither goes down
		l.TTL = max(l.TTL, k.own.TTL)
		l.ForUpdateTS = max(l.ForUpdateTS, k.own.ForUpdateTS)
		l.MinCommitTS = max(l.MinCommitTS, k.own.MinCommitTS)
	}
	if async {
		l.AsyncCommit = true
		l.MinCommitTS = c.guard.lock.MinCommitTS
		if bytes.Equal(k.Key, p.req.PrimaryLock) {
			l.Secondaries = p.req.Secondaries
		}
	}
	p.replace(c, k)
	if l.Type == mvcc.LockPut {
		l.ShortValue = p.value(c, k)
	}
	c.putLock(k.encoded, &l)
}

// commitAtOnce writes the record of one key.
func (p *prewrite) commitAtOnce(c *command, k *prewriteKey) {
	t, _ := lockType(k.Op).WriteType()
	w := mvcc.Write{Type: t, StartTS: p.req.StartVersion, TxnSource: p.req.Context.GetTxnSource()}
	ts := c.guard.lock.MinCommitTS
	if t == mvcc.WritePut {
		w.ShortValue = p.value(c, k)
	}
	if k.own != nil {
		c.deleteLock(k.encoded)
	}
	c.putWrite(k.encoded, ts, &w)
}

// value returns a short value, not nil, or writes a long one and returns nil.
func (p *prewrite) value(c *command, k *prewriteKey) []byte {
	if len(k.Value) > mvcc.ShortValueMax {
		c.putValue(k.encoded, p.req.StartVersion, k.Value)
		return nil
	}
	if k.Value == nil {
		return []byte{}
	}
	return k.Value
}

func lockType(op kvrpcpb.Op) mvcc.LockType {
	switch op {
	case kvrpcpb.Op_Del:
		return mvcc.LockDelete
	case kvrpcpb.Op_Lock:
		return mvcc.LockLock
	default:
		return mvcc.LockPut
	}
}
