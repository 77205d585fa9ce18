package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

type lockWaitKey struct{}

// WithLockWait bounds how long DDL under ctx waits for the transactions that use a table, and nothing else that it does.
func WithLockWait(ctx context.Context, wait time.Duration) context.Context {
	return context.WithValue(ctx, lockWaitKey{}, wait)
}

// exclude takes tables from all transactions of the cluster, and returns what gives them back. It waits as long as ctx and
// WithLockWait allow; then the error is 1205.
func (c *Catalog) exclude(ctx context.Context, ids ...int64) (release func(), err error) {
	if wait, ok := ctx.Value(lockWaitKey{}).(time.Duration); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	for {
		free, err := c.locks.Exclude(ctx, ids...)
		if err != nil || c.members == nil {
			return free, err
		}
		x, err := c.announce(ctx, ids)
		if err == nil {
			if err = c.untilGiven(ctx, x); err == nil {
				return func() { c.withdraw(ctx, x); free() }, nil
			}
			c.withdraw(ctx, x)
		}
		free()
		if !errors.Is(err, errBusy) {
			return nil, err
		}
		if err := pause(ctx, membersTick); err != nil { // the own transactions make way for the other change meanwhile
			return nil, err
		}
	}
}

// errBusy says that another gateway changes a table.
var errBusy = errors.New("another gateway changes the table")

// announce writes the exclusions of tables, and returns them.
func (c *Catalog) announce(ctx context.Context, ids []int64) (map[int64]exclusion, error) {
	ts, err := c.store.TS(ctx)
	if err != nil {
		return nil, err
	}
	x := make(map[int64]exclusion, len(ids))
	for _, id := range ids {
		x[id] = exclusion{Owner: c.members.id, TS: ts}
	}
	c.members.own.add(x)
	err = c.inTxn(ctx, func(txn Txn) error {
		for id := range x {
			key := metaKey(exclusionPrefix, id)
			if old, err := txn.Get(ctx, key); err != nil || old != nil {
				return errors.Join(err, errBusy)
			}
			if err := setJSON(txn, key, x[id]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return x, nil
	}
	c.withdraw(ctx, x) // where it is not known whether they were written
	var conflict *kvclient.WriteConflictError
	if errors.As(err, &conflict) {
		err = errBusy
	}
	return nil, err
}

// withdraw removes own exclusions. What cannot be removed now is swept later.
func (c *Catalog) withdraw(ctx context.Context, x map[int64]exclusion) {
	c.members.own.remove(x)
	for id := range x {
		if err := c.removeExclusion(context.WithoutCancel(ctx), id, x[id]); err != nil {
			c.log.Warn("a table under change is not given back; trying again", "table", id, "err", err)
		}
	}
}

// removeExclusion removes x unless it has gone.
func (c *Catalog) removeExclusion(ctx context.Context, id int64, x exclusion) error {
	err := c.inTxn(ctx, func(txn Txn) error {
		now, err := exclusionOf(ctx, txn, id)
		if err != nil || now != x {
			return err
		}
		return txn.Delete(metaKey(exclusionPrefix, id))
	})
	var conflict *kvclient.WriteConflictError
	if errors.As(err, &conflict) {
		return nil // somebody else removes it
	}
	return err
}

// guard makes a change fail that has lost its exclusions because its gateway was believed dead: it writes them again.
func (c *Catalog) guard(e *edit) error {
	if c.members == nil {
		return nil
	}
	for id, ts := range c.members.own.all() {
		x, err := exclusionOf(e.ctx, e.txn, id)
		if err != nil {
			return err
		}
		if x.TS != ts {
			return errSchemaChanged
		}
		if err := e.setJSON(metaKey(exclusionPrefix, id), x); err != nil {
			return err
		}
	}
	return nil
}

// untilGiven waits until every other member has made way for x.
func (c *Catalog) untilGiven(ctx context.Context, x map[int64]exclusion) error {
	return c.untilAll(ctx, func(m member) bool {
		for id := range x {
			if m.Given[id] != x[id].TS {
				return false
			}
		}
		return true
	})
}

// untilKnown waits until every other member plans with version.
func (c *Catalog) untilKnown(ctx context.Context, version int64) error {
	if c.members == nil {
		return nil
	}
	return c.untilAll(ctx, func(m member) bool { return m.Version >= version })
}

// untilAll waits until the lease of every other member has run out, or its record says yes.
func (c *Catalog) untilAll(ctx context.Context, yes func(member) bool) error {
	for {
		all, err := c.asked(ctx, yes)
		if err != nil || all {
			return err
		}
		if err := pause(ctx, membersPoll); err != nil {
			return err
		}
	}
}

func (c *Catalog) asked(ctx context.Context, yes func(member) bool) (all bool, err error) {
	now, err := c.store.TS(ctx)
	if err != nil {
		return false, err
	}
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer txn.Rollback()
	members, err := membersOf(ctx, txn)
	if err != nil {
		return false, err
	}
	for id, m := range members {
		if id != c.members.id && m.Expires > now && !yes(m) {
			return false, nil
		}
	}
	return true, nil
}

// pause waits; the error is ctx's, as 1205 when its time is over.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return waitError(ctx)
	}
}

// waitError is why a wait for others' transactions has ended.
func waitError(ctx context.Context) error {
	if context.Cause(ctx) == context.DeadlineExceeded {
		return errCode(mysql.ErrLockWaitTimeout)
	}
	return context.Cause(ctx)
}

func memberKey(id string) []byte { return []byte(memberPrefix + id) }

// membersOf reads the records of all gateways by their ids.
func membersOf(ctx context.Context, txn Txn) (map[string]member, error) {
	members := make(map[string]member)
	err := scanRecords(ctx, txn, memberPrefix, func(key []byte, m *member) error {
		members[strings.TrimPrefix(string(key), memberPrefix)] = *m
		return nil
	})
	return members, err
}

// exclusions reads which tables are under change.
func exclusions(ctx context.Context, txn Txn) (map[int64]exclusion, error) {
	tables := make(map[int64]exclusion)
	err := scanRecords(ctx, txn, exclusionPrefix, func(key []byte, x *exclusion) error {
		id, _, err := memcmp.DecodeInt64(key[len(exclusionPrefix):])
		if err != nil {
			return fmt.Errorf("meta key %q: %w", key, err)
		}
		tables[id] = *x
		return nil
	})
	return tables, err
}

// exclusionOf reads the exclusion of a table; the zero value if there is none.
func exclusionOf(ctx context.Context, txn Txn, id int64) (x exclusion, err error) {
	b, err := txn.Get(ctx, metaKey(exclusionPrefix, id))
	if err == nil && b != nil {
		err = json.Unmarshal(b, &x)
	}
	return x, err
}
