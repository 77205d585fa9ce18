package catalog

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// newGateways are members of one cluster, whose first one has made the table t. They look around only when they are told,
// or once they attend.
func newGateways(t *testing.T, n int) []*fixture {
	store := newMemStore()
	all := make([]*fixture, n)
	for i := range all {
		all[i] = &fixture{id: fmt.Sprintf("gateway-%d", i), store: store}
		all[i].reopen(t)
		if i == 0 {
			_, err := all[0].exec("create table t (a int)")
			require.NoError(t, err)
		}
	}
	return all
}

// attends keeps a gateway's lease until the test ends.
func attends(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { f.attendAlways(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
}

// pass lets the cluster's clock go on.
func (s *memStore) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ts += uint64(d.Milliseconds()) << physicalShift
}

// write commits a transaction that has used t under h.
func (f *fixture) write(h *LockHolder) error {
	return f.inTxn(context.Background(), func(txn Txn) error {
		txn.SetFence(f.Fence(h))
		return txn.Set([]byte("row"), []byte("1"))
	})
}

func (f *fixture) share(t *testing.T) *LockHolder {
	h := f.Locks().NewHolder()
	require.NoError(t, f.Locks().Share(context.Background(), h, f.table(t).ID))
	return h
}

func (f *fixture) table(t *testing.T) *Table {
	table, err := f.Current().Table("test", "t")
	require.NoError(t, err)
	return table
}

func requireSQLError(t *testing.T, err error, code uint16) {
	t.Helper()
	var e *mysql.SQLError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code)
}

// A change waits for the transactions of another gateway, keeps new ones out, and is known there when it returns.
func TestChangeWaitsForOthers(t *testing.T) {
	gateways := newGateways(t, 2)
	f, other := gateways[0], gateways[1]
	attends(t, f)
	attends(t, other)
	h, id := other.share(t), other.table(t).ID
	done := make(chan error, 1)
	go func() {
		_, err := f.exec("alter table t add index (a)")
		done <- err
	}()
	require.Eventually(t, func() bool {
		other.members.mu.Lock()
		defer other.members.mu.Unlock()
		return other.members.ways[id] != nil
	}, time.Minute, time.Millisecond, "the other gateway hears of the change")
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.Error(t, other.Locks().Share(short, other.Locks().NewHolder(), id), "newcomers wait")
	require.Empty(t, f.backfilled)
	require.Empty(t, done)
	require.NoError(t, other.write(h))
	other.Locks().Release(h)
	require.NoError(t, <-done)
	require.Equal(t, []string{"t.a"}, f.backfilled)
	require.Len(t, other.table(t).Indexes, 1, "known when the statement returns")
	other.share(t)
}

// A gateway that does not renew its lease is not waited for, and its transactions cannot commit any more, not even when it
// has a lease again.
func TestLapsedGateway(t *testing.T) {
	gateways := newGateways(t, 2)
	f, late := gateways[0], gateways[1]
	h := late.share(t)
	require.NoError(t, late.write(h))
	f.store.pass(leaseTime + time.Second)
	_, err := f.exec("alter table t add index (a)")
	require.NoError(t, err)
	require.ErrorIs(t, late.write(h), kvclient.ErrFenced)
	require.NoError(t, late.attend(context.Background()))
	require.Len(t, late.table(t).Indexes, 1)
	requireSQLError(t, late.write(h), 8028)
	late.Locks().Release(h)
	require.NoError(t, late.write(late.share(t)))
}

// A gateway that joins while a table is under change keeps its hands off that.
func TestJoinDuringChange(t *testing.T) {
	f := newGateways(t, 1)[0]
	free, err := f.exclude(context.Background(), f.table(t).ID)
	require.NoError(t, err)
	other := &fixture{id: "late", store: f.store}
	other.reopen(t)
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.Error(t, other.Locks().Share(short, other.Locks().NewHolder(), other.table(t).ID))
	free()
	require.NoError(t, other.attend(context.Background()))
	other.share(t)
}

// A change whose gateway was believed dead fails; others may change the table.
func TestDeadOwner(t *testing.T) {
	gateways := newGateways(t, 2)
	dead, f := gateways[0], gateways[1]
	_, err := dead.announce(context.Background(), []int64{dead.table(t).ID})
	require.NoError(t, err)
	require.NoError(t, f.attend(context.Background()))
	require.NotEmpty(t, f.members.ways)
	f.store.pass(leaseTime + time.Second)
	require.NoError(t, f.attend(context.Background())) // sweeps
	require.NoError(t, f.attend(context.Background())) // sees it
	require.Empty(t, f.members.ways)
	_, err = f.exec("alter table t add column b int")
	require.NoError(t, err)
	_, err = dead.exec("create table u (a int)")
	requireSQLError(t, err, 8028)
}

// What a change could not remove when it was done goes later.
func TestLeftOverExclusion(t *testing.T) {
	f := newGateways(t, 1)[0]
	x, err := f.announce(context.Background(), []int64{f.table(t).ID})
	require.NoError(t, err)
	f.members.own.remove(x)
	require.NoError(t, f.attend(context.Background()))
	_, err = f.exec("alter table t add column b int")
	require.NoError(t, err)
}

// Gateways that change the same table at the same time wait for each other, and none for ever.
func TestChangesFromEverywhere(t *testing.T) {
	gateways := newGateways(t, 3)
	var done sync.WaitGroup
	for i, f := range gateways {
		attends(t, f)
		done.Go(func() {
			for j := range 3 {
				_, err := f.exec(fmt.Sprintf("alter table t add column c%d_%d int", i, j))
				require.NoError(t, err)
			}
		})
	}
	done.Wait()
	require.Len(t, gateways[0].table(t).Columns, 10)
	require.Equal(t, gateways[0].Current().Version, gateways[2].Current().Version)
}

// A gateway that leaves commits nothing any more, for nobody waits for it.
func TestLeavingGateway(t *testing.T) {
	gateways := newGateways(t, 2)
	f, leaving := gateways[0], gateways[1]
	h := leaving.share(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	leaving.attendAlways(ctx)
	_, err := f.exec("alter table t add index (a)")
	require.NoError(t, err)
	requireSQLError(t, leaving.write(h), 8028)
}
