package session

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/datum"
)

// userLocks are the locks of GET_LOCK, in this gateway's memory.
type userLocks struct {
	mu   sync.Mutex
	held map[string]*userLock
}

type userLock struct {
	owner uint64 // connection
	count int    // GET_LOCK may be repeated
	freed chan struct{}
}

// maxLockName is MySQL's bound of a lock's name in characters.
const maxLockName = 64

// get takes a lock, waiting as long as ctx lasts; ok is false if that was not enough.
func (u *userLocks) get(ctx context.Context, name string, owner uint64) (ok bool) {
	for {
		u.mu.Lock()
		if u.held == nil {
			u.held = make(map[string]*userLock)
		}
		l := u.held[name]
		if l == nil {
			u.held[name] = &userLock{owner: owner, count: 1, freed: make(chan struct{})}
			u.mu.Unlock()
			return true
		}
		if l.owner == owner {
			l.count++
			u.mu.Unlock()
			return true
		}
		u.mu.Unlock()
		select {
		case <-l.freed:
		case <-ctx.Done():
			return false
		}
	}
}

// release gives a lock back: released is false if another has it, known false if nobody has.
func (u *userLocks) release(name string, owner uint64) (released, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.held[name]
	if l == nil || l.owner != owner {
		return false, l != nil
	}
	if l.count--; l.count == 0 {
		delete(u.held, name)
		close(l.freed)
	}
	return true, true
}

// releaseAll gives back all that a connection holds and returns how many that were.
func (u *userLocks) releaseAll(owner uint64) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	var n int64
	for name, l := range u.held {
		if l.owner == owner {
			n += int64(l.count)
			delete(u.held, name)
			close(l.freed)
		}
	}
	return n
}

// owner is the connection that holds a lock; ok is false if none does.
func (u *userLocks) owner(name string) (id uint64, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.held[name]; l != nil {
		return l.owner, true
	}
	return 0, false
}

// Call implements planner.SessionFuncs.
func (r *run) Call(name string, args []datum.Datum) (datum.Datum, error) {
	locks, id := &r.s.srv.locks, r.s.id
	switch name {
	case "release_all_locks":
		return datum.NewInt64(locks.releaseAll(id)), nil
	case "sleep":
		return r.sleep(args[0])
	case "tidb_bounded_staleness":
		return r.boundedStaleness(args[0], args[1])
	}
	lock := strings.ToLower(textOf(args[0]))
	if lock == "" || len([]rune(lock)) > maxLockName {
		return datum.Datum{}, sqlError(codeLockName, "Incorrect user-level lock name '%s'.", lock)
	}
	switch name {
	case "get_lock":
		return r.getLock(lock, args[1])
	case "release_lock":
		released, known := locks.release(lock, id)
		if !known {
			return datum.Datum{}, nil
		}
		return truth(released), nil
	case "is_free_lock":
		_, held := locks.owner(lock)
		return truth(!held), nil
	case "is_used_lock":
		if owner, held := locks.owner(lock); held {
			return datum.NewUint64(owner), nil
		}
		return datum.Datum{}, nil
	default:
		return datum.Datum{}, errNotSupported("%s()", strings.ToUpper(name))
	}
}

func truth(b bool) datum.Datum {
	if b {
		return datum.NewInt64(1)
	}
	return datum.NewInt64(0)
}

func (r *run) getLock(name string, timeout datum.Datum) (datum.Datum, error) {
	ctx := r.ctx
	if secs := secondsOf(timeout); secs >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(secs*float64(time.Second)))
		defer cancel()
	}
	ok := r.s.srv.locks.get(ctx, name, r.s.id)
	if !ok && r.ctx.Err() != nil {
		return datum.Datum{}, context.Cause(r.ctx)
	}
	return truth(ok), nil
}

// maxSleep keeps the nanoseconds of a duration from overflowing.
const maxSleep = 1e9

// secondsOf reads a timeout; what is no number is 0, and less than 0 means for ever.
func secondsOf(d datum.Datum) float64 {
	var f float64
	switch d.Kind() {
	case datum.Int64:
		f = float64(d.Int64())
	case datum.Uint64:
		f = float64(d.Uint64())
	case datum.Float64:
		f = d.Float64()
	case datum.Decimal:
		f = d.Decimal().Float64()
	}
	return min(f, maxSleep)
}

func (r *run) sleep(d datum.Datum) (datum.Datum, error) {
	secs := secondsOf(d)
	if d.IsNull() || secs < 0 {
		return datum.Datum{}, errCode(mysql.ErrWrongArguments, "sleep")
	}
	timer := time.NewTimer(time.Duration(secs * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return datum.NewInt64(0), nil
	case <-r.ctx.Done():
		return datum.Datum{}, context.Cause(r.ctx)
	}
}
