package txn

import (
	"bytes"
	"slices"
	"sort"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// naivePrewrite is the state of one Prewrite.
type naivePrewrite struct {
	*naive
	req         *kvrpcpb.PrewriteRequest
	generation  uint64 // of a flush
	pessimistic bool
	committed   uint64
	locked      []*kvrpcpb.KeyError
	assertion   *kvrpcpb.KeyError
	floor       uint64
	heldMin     uint64
	plain       bool // a key is held by a lock that is not for async commit
	async       bool
	held        map[string]bool
}

func (n *naive) Prewrite(req *kvrpcpb.PrewriteRequest) *kvrpcpb.PrewriteResponse {
	return n.prewrite(req, 0)
}

func (n *naive) prewrite(req *kvrpcpb.PrewriteRequest, generation uint64) *kvrpcpb.PrewriteResponse {
	p := &naivePrewrite{naive: n, req: req, generation: generation, pessimistic: req.ForUpdateTs > 0, held: make(map[string]bool)}
	order := make([]int, len(req.Mutations))
	for i := range order {
		order[i] = i
		if p.pessimistic && req.Mutations[i].Op == kvrpcpb.Op_CheckNotExists {
			return &kvrpcpb.PrewriteResponse{Errors: []*kvrpcpb.KeyError{abort()}}
		}
	}
	for _, mu := range req.Mutations {
		if mu.Op == kvrpcpb.Op_Insert || mu.Op == kvrpcpb.Op_CheckNotExists {
			n.read(req.StartVersion)
		}
	}
	sort.Slice(order, func(i, j int) bool {
		return bytes.Compare(req.Mutations[order[i]].Key, req.Mutations[order[j]].Key) < 0
	})
	for _, i := range order {
		e := p.check(i)
		if p.committed > 0 {
			return p.answerCommitted()
		}
		if e != nil {
			return &kvrpcpb.PrewriteResponse{Errors: []*kvrpcpb.KeyError{e}}
		}
	}
	switch {
	case len(p.locked) > 0:
		return &kvrpcpb.PrewriteResponse{Errors: p.locked}
	case p.assertion != nil:
		return &kvrpcpb.PrewriteResponse{Errors: []*kvrpcpb.KeyError{p.assertion}}
	}
	return p.write()
}

func (p *naivePrewrite) answerCommitted() *kvrpcpb.PrewriteResponse {
	switch {
	case p.req.TryOnePc:
		return &kvrpcpb.PrewriteResponse{OnePcCommitTs: p.committed}
	case p.req.UseAsyncCommit:
		return &kvrpcpb.PrewriteResponse{MinCommitTs: p.committed}
	}
	return &kvrpcpb.PrewriteResponse{}
}

func (p *naivePrewrite) action(i int) kvrpcpb.PrewriteRequest_PessimisticAction {
	if len(p.req.PessimisticActions) > 0 {
		return p.req.PessimisticActions[i]
	}
	return kvrpcpb.PrewriteRequest_SKIP_PESSIMISTIC_CHECK
}

func (p *naivePrewrite) check(i int) *kvrpcpb.KeyError {
	mu := p.req.Mutations[i]
	k := p.at(mu.Key)
	must := p.pessimistic && p.action(i) == kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK
	commit, _ := k.fate(p.req.StartVersion)
	repeated := func(e *kvrpcpb.KeyError) *kvrpcpb.KeyError {
		if p.committed = commit; commit > 0 {
			return nil
		}
		return e
	}
	switch l := k.lock; {
	case l == nil && must:
		if at, _, ok := k.newest(mvcc.TSMax, anyVersion); ok && at >= p.req.StartVersion {
			return repeated(abort())
		}
		return p.assert(k, mu, i)
	case l == nil:
		return p.checkVersions(k, mu, i)
	case l.StartTS != p.req.StartVersion && must:
		return repeated(abort())
	case l.StartTS != p.req.StartVersion:
		if repeated(nil); commit == 0 {
			p.locked = append(p.locked, locked(mu.Key, l))
		}
		return nil
	case l.Type != mvcc.LockPessimistic && p.generation > 0:
		return p.checkFlushed(k, mu)
	case l.Type != mvcc.LockPessimistic:
		p.held[string(mu.Key)] = true
		p.heldMin = max(p.heldMin, l.MinCommitTS)
		p.async, p.plain = p.async || l.AsyncCommit, p.plain || !l.AsyncCommit
		return nil
	case !p.pessimistic:
		return abort()
	default:
		for _, c := range p.req.ForUpdateTsConstraints {
			if int(c.Index) == i && c.ExpectedForUpdateTs != l.ForUpdateTS {
				return repeated(abort())
			}
		}
		p.floor = max(p.floor, l.ForUpdateTS, l.MinCommitTS-min(l.MinCommitTS, 1))
		if !must {
			return p.checkVersions(k, mu, i)
		}
		if p.req.AssertionLevel == kvrpcpb.AssertionLevel_Strict {
			return p.assert(k, mu, i)
		}
		return nil
	}
}

func anyVersion(naiveVersion) bool { return true }

func (p *naivePrewrite) checkVersions(k *naiveKey, mu *kvrpcpb.Mutation, i int) *kvrpcpb.KeyError {
	if p.req.SkipConstraintCheck && !p.pessimistic {
		return nil
	}
	if e := p.conflicts(k, mu, i); e != nil || p.committed > 0 {
		return e
	}
	_, v, ok := k.newest(mvcc.TSMax, naiveVersion.data)
	exists := ok && v.kind == mvcc.WritePut
	if exists && (mu.Op == kvrpcpb.Op_Insert || mu.Op == kvrpcpb.Op_CheckNotExists) {
		return &kvrpcpb.KeyError{AlreadyExist: &kvrpcpb.AlreadyExist{Key: mu.Key}}
	}
	return p.assert(k, mu, i)
}

func (p *naivePrewrite) conflicts(k *naiveKey, mu *kvrpcpb.Mutation, i int) *kvrpcpb.KeyError {
	start := p.req.StartVersion
	if commit, _ := k.fate(start); commit > 0 {
		p.committed = commit
		return nil
	}
	for _, at := range k.order() {
		v := k.versions[at]
		rollback := v.kind == mvcc.WriteRollback
		switch {
		case at < start:
			return nil
		case at == start && (rollback || v.overlapped):
			return conflict(start, mu.Key, p.req.PrimaryLock, at, v, kvrpcpb.WriteConflict_SelfRolledBack)
		case at == start:
		case !p.pessimistic:
			return conflict(start, mu.Key, p.req.PrimaryLock, at, v, kvrpcpb.WriteConflict_Optimistic)
		case p.action(i) == kvrpcpb.PrewriteRequest_DO_CONSTRAINT_CHECK:
			return conflict(start, mu.Key, p.req.PrimaryLock, at, v, kvrpcpb.WriteConflict_LazyUniquenessCheck)
		case at > p.req.ForUpdateTs && !rollback:
			return abort()
		case rollback:
			p.floor = max(p.floor, at)
		}
	}
	return nil
}

func (p *naivePrewrite) assert(k *naiveKey, mu *kvrpcpb.Mutation, i int) *kvrpcpb.KeyError {
	if mu.Assertion == kvrpcpb.Assertion_None || p.req.AssertionLevel == kvrpcpb.AssertionLevel_Off || p.assertion != nil {
		return nil
	}
	at, v, ok := k.newest(mvcc.TSMax, naiveVersion.data)
	if exists := ok && v.kind == mvcc.WritePut; exists == (mu.Assertion == kvrpcpb.Assertion_Exist) {
		return nil
	}
	if e := p.conflicts(k, mu, i); e != nil || p.committed > 0 {
		return e
	}
	p.assertion = &kvrpcpb.KeyError{AssertionFailed: &kvrpcpb.AssertionFailed{
		StartTs: p.req.StartVersion, Key: mu.Key, Assertion: mu.Assertion, ExistingStartTs: v.start, ExistingCommitTs: at,
	}}
	return nil
}

func (p *naivePrewrite) write() *kvrpcpb.PrewriteResponse {
	req := p.req
	onePC := req.TryOnePc && !p.async && !p.plain
	async := req.UseAsyncCommit && !p.plain
	pending := slices.ContainsFunc(req.Mutations, func(mu *kvrpcpb.Mutation) bool {
		return !p.held[string(mu.Key)] && mu.Op != kvrpcpb.Op_CheckNotExists
	})
	if async && !onePC && !pending {
		return &kvrpcpb.PrewriteResponse{MinCommitTs: p.heldMin}
	}
	ts := max(p.maxTS, req.StartVersion, req.ForUpdateTs, p.floor, max(req.MinCommitTs, p.heldMin, 1)-1) + 1
	if req.MaxCommitTs != 0 && ts > req.MaxCommitTs {
		onePC, async = false, false
	}
	for _, mu := range req.Mutations {
		if p.held[string(mu.Key)] || mu.Op == kvrpcpb.Op_CheckNotExists {
			continue
		}
		k := p.at(mu.Key)
		if onePC {
			kind, _ := lockType(mu.Op).WriteType()
			v := naiveVersion{kind: kind, start: req.StartVersion}
			if kind == mvcc.WritePut {
				v.value = append([]byte{}, mu.Value...)
			}
			k.lock, k.versions[ts] = nil, v
			continue
		}
		k.lock = p.newLock(mu, k.lock, async, ts)
	}
	switch {
	case onePC:
		return &kvrpcpb.PrewriteResponse{OnePcCommitTs: ts}
	case async:
		return &kvrpcpb.PrewriteResponse{MinCommitTs: ts}
	}
	return &kvrpcpb.PrewriteResponse{}
}

func (p *naivePrewrite) newLock(mu *kvrpcpb.Mutation, own *mvcc.Lock, async bool, ts uint64) *mvcc.Lock {
	l := &mvcc.Lock{
		Type: lockType(mu.Op), Primary: p.req.PrimaryLock, StartTS: p.req.StartVersion, TTL: p.req.LockTtl,
		ForUpdateTS: p.req.ForUpdateTs, TxnSize: p.req.TxnSize, MinCommitTS: p.req.MinCommitTs,
		Generation: p.generation,
	}
	if own != nil {
		l.TTL, l.ForUpdateTS = max(l.TTL, own.TTL), max(l.ForUpdateTS, own.ForUpdateTS)
		l.MinCommitTS = max(l.MinCommitTS, own.MinCommitTS)
	}
	if async {
		l.AsyncCommit, l.MinCommitTS = true, ts
		if bytes.Equal(mu.Key, p.req.PrimaryLock) {
			l.Secondaries = p.req.Secondaries
		}
	}
	if l.Type == mvcc.LockPut {
		l.ShortValue = append([]byte{}, mu.Value...)
	}
	return l
}
