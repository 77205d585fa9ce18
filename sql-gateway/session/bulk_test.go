package session

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// flushCounter counts the flushes that the test server's client sends.
type flushCounter struct {
	kvclient.Dialer
	n atomic.Int64
}

var testFlushes flushCounter

func (c *flushCounter) Dial(ctx context.Context, addr string) (kvclient.Store, error) {
	st, err := c.Dialer.Dial(ctx, addr)
	return countedStore{st, c}, err
}

type countedStore struct {
	kvclient.Store
	c *flushCounter
}

// GetLockWaitInfo is beside the interface, see kvclient.Client.LockWaits.
func (s countedStore) GetLockWaitInfo(ctx context.Context, req *kvrpcpb.GetLockWaitInfoRequest) (*kvrpcpb.GetLockWaitInfoResponse, error) {
	return s.Store.(interface {
		GetLockWaitInfo(context.Context, *kvrpcpb.GetLockWaitInfoRequest) (*kvrpcpb.GetLockWaitInfoResponse, error)
	}).GetLockWaitInfo(ctx, req)
}

func (s countedStore) KvFlush(ctx context.Context, req *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error) {
	s.c.n.Add(1)
	return s.Store.KvFlush(ctx, req)
}

// bulkPair is two tables, one of which is changed by bulk writes and one as usual.
type bulkPair struct {
	t    *testing.T
	conn map[string]*sql.Conn // by table
}

var pairTables = []string{"plain", "bulk"}

func newBulkPair(t *testing.T) *bulkPair {
	db := open(t, "")
	p := &bulkPair{t, map[string]*sql.Conn{}}
	for _, name := range pairTables {
		conn, err := db.Conn(context.Background())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		p.conn[name] = conn
		p.must(name, "drop table if exists "+name)
		p.must(name, "create table "+name+" (id int primary key, k int, v varchar(200), unique key k (k), key v (v))")
	}
	p.must("bulk", "set tidb_dml_type = 'bulk'")
	return p
}

func (p *bulkPair) exec(name, text string) (affected int64, err error) {
	res, err := p.conn[name].ExecContext(context.Background(), text)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (p *bulkPair) must(name, text string) {
	p.t.Helper()
	_, err := p.exec(name, text)
	require.NoError(p.t, err)
}

// both runs a statement on either table, named %[1]s in it, and wants the same of both. It returns the error's code, 0 for
// none.
func (p *bulkPair) both(text string) (code uint16) {
	p.t.Helper()
	before := testFlushes.n.Load()
	var affected [2]int64
	var codes [2]uint16
	for i, name := range pairTables {
		var err error
		affected[i], err = p.exec(name, strings.ReplaceAll(text, "%[1]s", name))
		if e, ok := err.(*driver.MySQLError); ok {
			codes[i] = e.Number
		} else {
			require.NoError(p.t, err)
		}
	}
	require.Greater(p.t, testFlushes.n.Load(), before, "the bulk write is not large enough to flush: %s", text)
	require.Equal(p.t, affected[0], affected[1], "rows affected by %s", text)
	require.Equal(p.t, codes[0], codes[1], "error of %s", text)
	require.Equal(p.t, p.content("plain"), p.content("bulk"), "after %s", text)
	return codes[0]
}

// content sums up a table, by its records and by its indexes.
func (p *bulkPair) content(name string) (out []string) {
	for _, q := range []string{
		"select count(*), sum(id), sum(k), sum(crc32(v)), sum(id * crc32(v) mod 1000) from %s",
		"select count(*), sum(k) from %s force index (k) where k > -1000000000",
		"select count(*), sum(crc32(v)) from %s force index (v) where v >= ''",
	} {
		var cols [5]sql.NullString
		rows, err := p.conn[name].QueryContext(context.Background(), fmt.Sprintf(q, name))
		require.NoError(p.t, err)
		require.True(p.t, rows.Next())
		names, err := rows.Columns()
		require.NoError(p.t, err)
		dst := make([]any, len(names))
		for i := range dst {
			dst[i] = &cols[i]
		}
		require.NoError(p.t, rows.Scan(dst...))
		require.NoError(p.t, rows.Close())
		out = append(out, fmt.Sprint(cols))
	}
	return out
}

// TestBulk runs large changes of all kinds as bulk writes and as usual: they do the same, also where they fail half-way, which
// leaves nothing behind.
func TestBulk(t *testing.T) {
	p := newBulkPair(t)
	var values []string
	for i := range 1000 {
		values = append(values, fmt.Sprintf("(%d, %d, repeat('%c', %d))", i, 10*i, 'a'+i%26, i%200))
	}
	require.Zero(t, p.both("insert into %[1]s values "+strings.Join(values, ",")))
	require.Zero(t, p.both("insert into %[1]s select id + 1000, k + 10000, v from %[1]s"), "it reads what it writes to")
	require.Zero(t, p.both("update %[1]s set v = concat(v, 'x') where id < 1500"))
	require.Zero(t, p.both("update %[1]s set k = k + 1 where id >= 250"), "a unique key moves")
	require.Zero(t, p.both("update %[1]s set id = id + 100000"), "the primary key moves")
	require.Zero(t, p.both("update %[1]s set id = id - 100000, k = -k"))
	require.EqualValues(t, mysql.ErrDupEntry, p.both("update %[1]s set k = if(id > 1950, 5, k - 1), v = 'lost'"), "the last rows fail")
	require.EqualValues(t, mysql.ErrDupEntry, p.both("insert into %[1]s select 20000 - id, id * 100 - 500000, v from %[1]s where id < 1999 union all select 7, 7, 'dup'"))
	require.EqualValues(t, mysql.ErrDupEntry, p.both("insert into %[1]s select 100000 + id mod 1750, null, v from %[1]s order by id"), "rows of its own")
	require.Zero(t, p.both("insert ignore into %[1]s select 100000 + id mod 1750, null, v from %[1]s order by id"))
	require.Zero(t, p.both("insert into %[1]s select id div 2, null, v from %[1]s on duplicate key update v = upper(values(v)), k = null"))
	require.Zero(t, p.both("replace into %[1]s select id + 50, id, v from %[1]s where id < 1000"))
	require.Zero(t, p.both("delete from %[1]s where id mod 3 = 0"))
	require.Zero(t, p.both("delete from %[1]s"))
	require.Equal(t, "[{0 true} {<nil> false} {<nil> false} {<nil> false} {<nil> false}]", strings.ReplaceAll(p.content("bulk")[0], "{ false}", "{<nil> false}"))
}

// TestBulkLoad: LOAD DATA as a bulk write is all or nothing.
func TestBulkLoad(t *testing.T) {
	p := newBulkPair(t)
	var file strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&file, "%d\t%d\t%s\n", i, i, strings.Repeat("v", i%150))
	}
	fmt.Fprintf(&file, "7\t7\tseen\n")
	driver.RegisterReaderHandler("bulk", func() io.Reader { return strings.NewReader(file.String()) })
	defer driver.DeregisterReaderHandler("bulk")
	require.Zero(t, p.both("load data local infile 'Reader::bulk' ignore into table %[1]s"))
	require.Zero(t, p.both("load data local infile 'Reader::bulk' replace into table %[1]s set k = k + 100000"))
}

// TestBulkFallsBack: what cannot be a bulk write says so, and is done.
func TestBulkFallsBack(t *testing.T) {
	p := newBulkPair(t)
	warned := func(text string) {
		t.Helper()
		p.must("bulk", text)
		var level, code, message string
		require.NoError(t, p.conn["bulk"].QueryRowContext(context.Background(), "show warnings").Scan(&level, &code, &message))
		require.Contains(t, message, "Fallback to standard mode")
	}
	p.must("bulk", "begin")
	warned("insert into bulk values (1, 1, 'a'), (2, 2, 'b')")
	p.must("bulk", "commit")
	warned("update bulk join plain on bulk.id = plain.id set bulk.v = 'c'")
	warned("delete bulk from bulk join plain on bulk.id = plain.id")
	n, err := p.exec("bulk", "delete from bulk where id = 1")
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	_, err = p.exec("bulk", "set tidb_dml_type = 'fast'")
	requireCode(t, mysql.ErrWrongValueForVar, err)
}

// TestBulkConflict: a row that others change meanwhile fails a bulk write that has sent rows, with the code of a conflict.
func TestBulkConflict(t *testing.T) {
	p := newBulkPair(t)
	var values []string
	for i := range 1000 {
		values = append(values, fmt.Sprintf("(%d, %d, repeat('%c', 190))", i, i, 'a'+i%26))
	}
	p.must("plain", "insert into bulk values "+strings.Join(values, ","))
	p.must("plain", "begin")
	p.must("plain", "update bulk set v = 'theirs' where id = 999")
	before, failed := testFlushes.n.Load(), make(chan error)
	go func() {
		_, err := p.exec("bulk", "update bulk set v = concat(v, 'ours')")
		failed <- err
	}()
	require.Eventually(t, func() bool { return testFlushes.n.Load() > before }, time.Minute, time.Millisecond, "it gets its snapshot")
	p.must("plain", "commit")
	requireCode(t, codeWriteConflict, <-failed)
	var n int
	require.NoError(t, p.conn["plain"].QueryRowContext(context.Background(), "select count(*) from bulk where v like '%ours'").Scan(&n))
	require.Zero(t, n)
}
