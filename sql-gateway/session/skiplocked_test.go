package session

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

// sessions are connections to one database.
func sessions(t *testing.T, n int) []*sql.Conn {
	t.Helper()
	db := open(t, "")
	out := make([]*sql.Conn, n)
	for i := range out {
		conn, err := db.Conn(context.Background())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		out[i] = conn
	}
	return out
}

// rowsFrom is "(from), (from+step), ..." below to.
func rowsFrom(from, to, step int) string {
	var list []string
	for i := from; i < to; i += step {
		list = append(list, fmt.Sprintf("(%d)", i))
	}
	return strings.Join(list, ", ")
}

func TestSkipLocked(t *testing.T) {
	c := sessions(t, 4)
	do(t, c[0], "create table q (id int primary key)", "insert into q values "+rowsFrom(1, 13, 1))
	for _, conn := range c[:3] {
		do(t, conn, "begin")
	}
	lines(t, c[0], "select * from q where id in (1, 3) for update")
	require.Equal(t, []string{"2", "4"}, lines(t, c[1], "select * from q order by id limit 2 for update skip locked"))
	require.Equal(t, []string{"5", "6"}, lines(t, c[2], "select * from q order by id limit 2 for share skip locked"))
	require.Equal(t, []string{"2", "4", "7"}, lines(t, c[1], "select * from q order by id limit 3 for update skip locked"), "own locks are free")
	require.Equal(t, []string{"9"}, lines(t, c[1], "select * from q where id > 7 order by id limit 1, 1 for update skip locked"))
	require.Empty(t, lines(t, c[1], "select * from q where id in (1, 3, 5, 6) for update skip locked"))
	require.Empty(t, lines(t, c[1], "select * from q limit 0 for update skip locked"))

	// Outside of a transaction, too; and nothing stays locked.
	require.Equal(t, []string{"10", "11", "12"}, lines(t, c[3], "select * from q order by id for update skip locked"))
	require.Equal(t, []string{"10"}, lines(t, c[2], "select * from q where id = 10 for update nowait"))

	do(t, c[0], "delete from q where id = 1", "commit")
	require.Equal(t, []string{"3"}, lines(t, c[2], "select * from q where id < 4 order by id for update skip locked"))
	refused(t, c[2], mysql.ErrNotSupportedYet, "SKIP LOCKED with GROUP BY", "select count(*) from q for update skip locked")
	for _, conn := range c[1:3] {
		do(t, conn, "rollback")
	}
}

func TestSkipLockedOfJoins(t *testing.T) {
	c := sessions(t, 2)
	do(t, c[0], "create table a (id int primary key)", "create table b (id int primary key)",
		"insert into a values "+rowsFrom(0, 2000, 1), "insert into b values "+rowsFrom(0, 2000, 2), "begin")
	lines(t, c[0], "select * from b where id % 3 = 0 for update")
	do(t, c[1], "begin")
	rows := lines(t, c[1], "select a.id, b.id from a left join b using (id) order by a.id for update skip locked")
	var want []string
	for i := range 2000 {
		switch {
		case i%2 == 1:
			want = append(want, fmt.Sprintf("%d|", i)) // no row of b
		case i%3 != 0:
			want = append(want, fmt.Sprintf("%d|%d", i, i))
		}
	}
	require.Equal(t, want, rows)
	rows = lines(t, c[1], "select a.id from a join b using (id) order by a.id limit 2, 2 for update of a skip locked")
	require.Equal(t, []string{"4", "6"}, rows, "b is not looked at")
	do(t, c[0], "rollback")
	do(t, c[1], "rollback")
}

// TestSkipLockedQueue: workers take jobs from a table, and none gets what another has.
func TestSkipLockedQueue(t *testing.T) {
	const workers, jobs = 4, 60
	c := sessions(t, workers)
	do(t, c[0], "create table jobs (id int primary key)", "insert into jobs values "+rowsFrom(0, jobs, 1))
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		done []int
		errs []error
	)
	for _, conn := range c {
		wg.Go(func() {
			for {
				id, err := takeJob(conn)
				mu.Lock()
				if err != nil && !errors.Is(err, sql.ErrNoRows) {
					errs = append(errs, err)
				}
				if err == nil {
					done = append(done, id)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	slices.Sort(done)
	require.Len(t, done, jobs)
	require.Len(t, slices.Compact(done), jobs)
}

// takeJob deletes the first job that nobody else is at.
func takeJob(conn *sql.Conn) (id int, err error) {
	tx, err := conn.BeginTx(context.Background(), nil)
	if err != nil {
		return 0, err
	}
	if err := tx.QueryRow("select id from jobs order by id limit 1 for update skip locked").Scan(&id); err != nil {
		return 0, errors.Join(err, tx.Rollback())
	}
	if _, err := tx.Exec("delete from jobs where id = ?", id); err != nil {
		return 0, errors.Join(err, tx.Rollback())
	}
	return id, tx.Commit()
}
