package txn

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/pingcap/kvproto/pkg/deadlock"

	"github.com/scree-db/scree/storage/mvcc"
)

// lockOrWait tries until the keys are locked, something other than a lock is in the way, or time is up.
func (m *Manager) lockOrWait(ctx context.Context, r *lockRequest) error {
	var timeout <-chan time.Time
	var woken []byte // the key whose wake-up is ours to pass on
	for {
		r.blocked, r.wait = nil, nil
		err := m.tryLock(ctx, r)
		again := r.wait != nil && bytes.Equal(r.wait.key, woken)
		if woken != nil && !again && (err != nil || r.blocked != nil) {
			m.passOn(woken, err)
		}
		if err != nil || r.blocked == nil {
			return err
		}
		if r.wait == nil {
			return r.blocked
		}
		if timeout == nil {
			timeout = m.opts.After(m.waitLimit(r.req.WaitTimeout))
		}
		if err := m.await(ctx, r, timeout); err != nil {
			return err
		}
		woken = r.wait.key
	}
}

// passOn lets the next request try for a key that the one woken did not lock.
func (m *Manager) passOn(key []byte, err error) {
	if conflict := (*mvcc.ConflictError)(nil); errors.As(err, &conflict) {
		m.wakeLater(key)
		return
	}
	m.wake([][]byte{key})
}

// waitLimit returns how long a request waits for locks, 0 for not at all. However long the client asks for, it gets the
// lock back now and then: only it can find out that the holder is dead.
func (m *Manager) waitLimit(ms int64) time.Duration {
	switch {
	case ms == 0 || ms > m.opts.LockWait.Milliseconds():
		return m.opts.LockWait
	case ms < 0:
		return 0
	default:
		return time.Duration(ms) * time.Millisecond
	}
}

// enterWait queues behind another transaction's lock, still under the latch.
func (r *lockRequest) enterWait(c *command, k *lockKey, holder *mvcc.Lock) {
	r.blocked = &mvcc.LockedError{Info: holder.Info(k.user)}
	if r.req.WaitTimeout < 0 {
		return
	}
	r.wait = newLockWait(c.at.ID, r.req.StartVersion, k.user, holder.StartTS, r.req.Context.GetResourceGroupTag())
	c.m.waits.add(r.wait, r.losses)
}

// await returns nil once the request is woken.
func (m *Manager) await(ctx context.Context, r *lockRequest, timeout <-chan time.Time) error {
	wait := m.detect(r)
	err := m.awaitEvents(ctx, r, timeout, &wait)
	if wait != nil {
		m.opts.Detector.Done(wait)
	}
	if err != nil && m.waits.remove(r.wait) {
		m.wake([][]byte{r.wait.key})
	}
	return err
}

// awaitEvents waits. Whenever the lock changes hands, that is another wait to the detector.
func (m *Manager) awaitEvents(ctx context.Context, r *lockRequest, timeout <-chan time.Time, wait **deadlock.WaitForEntry) error {
	for {
		select {
		case <-r.wait.woken:
			return nil
		case circle := <-r.wait.circle:
			if circle.Pb.LockTs == (*wait).WaitForTxn { // else it fell apart when the lock changed hands
				return circle
			}
		case <-r.wait.moved:
			if *wait != nil {
				m.opts.Detector.Done(*wait)
			}
			*wait = m.detect(r)
		case <-timeout:
			return m.timedOut(r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// detect reports the wait and returns what it reported. A transaction that holds nothing yet is in no circle, and not
// reported.
func (m *Manager) detect(r *lockRequest) *deadlock.WaitForEntry {
	if r.req.IsFirstLock {
		return nil
	}
	w, wait := r.wait, m.waits.entry(r.wait)
	m.opts.Detector.Detect(wait, func(chain []*deadlock.WaitForEntry) {
		select {
		case w.circle <- deadlockError(wait, chain):
		default: // one circle is enough
		}
	})
	return wait
}

// timedOut is the lock in the way, and how long its transaction has been the holder if it was not from the beginning: a
// client need not look after one that took the lock a moment ago.
func (m *Manager) timedOut(r *lockRequest) error {
	if info := m.waits.takenOver(r.wait, m.opts.Now()); info != nil {
		return &mvcc.LockedError{Info: info}
	}
	return r.blocked
}
