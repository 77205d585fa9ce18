package session

import (
	"context"
	"math"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// readPoint reads one record with a get in place of a scan: the DAG runs here over it.
//
// A statement outside of a transaction that reads nothing else asks for the newest version there is, and so needs no
// timestamp: one value is a snapshot by itself.
func (r *run) readPoint(ctx context.Context, req *planner.ReadRequest) (executor.Operator, error) {
	get, err := r.getter(ctx, req.Alone)
	if err != nil {
		return nil, err
	}
	p := &point{ctx: ctx, key: req.Point, get: get}
	return r.readHere(ctx, req, func(bool) pairs { return p })
}

// getter reads single records; alone says that the statement reads one of them and nothing else.
func (r *run) getter(ctx context.Context, alone bool) (getFunc, error) {
	if alone && r.s.txn == nil && !r.s.inTransaction() {
		return r.s.srv.client.Snapshot(math.MaxUint64).From(r.replicas()).Get, nil
	}
	txn, err := r.s.transaction(ctx)
	if err != nil {
		return nil, err
	}
	return txn.kv.Get, nil
}

// getFunc returns the value of a key, or nil.
type getFunc func(ctx context.Context, key []byte) ([]byte, error)

// replicas says whom a statement reads from, as tidb_replica_read wants it. What changes or locks rows asks leaders.
func (r *run) replicas() kvclient.ReadFrom {
	if r.s.inPast() {
		return kvclient.FromAnyStale
	}
	if stmt, ok := r.stmt.(*ast.SelectStmt); !ok || r.wantsLocks(stmt) {
		return kvclient.FromLeader
	}
	switch r.s.vars["tidb_replica_read"] {
	case "follower":
		return kvclient.FromFollower
	case "leader-and-follower":
		return kvclient.FromAny
	default:
		return kvclient.FromLeader
	}
}

// point gives the pair of a key, if there is one.
type point struct {
	ctx  context.Context
	get  getFunc
	key  []byte
	done bool
}

func (p *point) Next() (key, val []byte, ok bool, err error) {
	if p.done {
		return nil, nil, false, nil
	}
	p.done = true
	val, err = p.get(p.ctx, p.key)
	return p.key, val, val != nil, err
}

func (p *point) close() { p.done = true }
