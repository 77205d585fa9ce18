// Package badinput sends whole clusters what no client should, over MySQL and over gRPC: an error comes back, or the right
// answer, and the process and its other clients go on. A test that kills the process kills the test with it.
package badinput

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/tests/testcluster"
)

// client is one connection, which has to last.
type client struct {
	*testing.T
	conn *sql.Conn
	id   int64
}

func connect(t *testing.T, c *testcluster.Cluster) *client {
	conn, err := c.DB.Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	cl := &client{T: t, conn: conn}
	cl.id = cl.connectionID()
	return cl
}

func (c *client) connectionID() (id int64) {
	c.Helper()
	require.NoError(c, c.conn.QueryRowContext(context.Background(), "SELECT CONNECTION_ID()").Scan(&id))
	return id
}

// ask returns the first value of a statement's result, "NULL", or "" without one.
func (c *client) ask(text string) (string, error) {
	rows, err := c.conn.QueryContext(context.Background(), text)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	if !rows.Next() {
		return "", rows.Err()
	}
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	values := make([]any, len(columns))
	first := sql.NullString{String: "NULL"}
	for i := range values {
		values[i] = new(sql.RawBytes)
	}
	values[0] = &first
	if err := rows.Scan(values...); err != nil {
		return "", err
	}
	if !first.Valid {
		return "NULL", nil
	}
	return first.String, nil
}

// want runs a statement that answers with a value, and whose connection is the same afterwards.
func (c *client) want(value, text string) {
	c.Helper()
	got, err := c.ask(text)
	require.NoError(c, err, shorten(text))
	require.Equal(c, value, got, shorten(text))
	require.Equal(c, c.id, c.connectionID(), shorten(text))
}

// fails runs a statement that must fail with one of the codes, and whose connection is the same afterwards.
func (c *client) fails(text string, codes ...uint16) {
	c.Helper()
	_, err := c.ask(text)
	var e *driver.MySQLError
	require.ErrorAs(c, err, &e, shorten(text))
	require.Contains(c, codes, e.Number, "%s: %s", shorten(text), shorten(e.Message))
	require.Equal(c, c.id, c.connectionID(), shorten(text))
}

func shorten(text string) string {
	if len(text) > 120 {
		return text[:80] + " ... " + text[len(text)-30:]
	}
	return text
}

// Streams that are not the protocol end their connection and nothing else.
func TestStreams(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	other := connect(t, c)
	garbage := make([]byte, 1000)
	for i := range garbage {
		garbage[i] = byte(i * 7)
	}
	login := binary.LittleEndian.AppendUint32(nil, mysql.ClientProtocol41|mysql.ClientPluginAuth|mysql.ClientSecureConnection)
	for name, sent := range map[string][]byte{
		"nothing":                     {},
		"half a header":               {1, 0},
		"a length that lies":          {0xff, 0xff, 0xff, 1, 'x'},
		"no payload":                  {0, 0, 0, 1},
		"the wrong sequence":          {4, 0, 0, 9, 1, 2, 3, 4},
		"garbage":                     garbage,
		"garbage in a packet":         append([]byte{0xe8, 3, 0, 1}, garbage...),
		"a login that ends too early": append([]byte{4, 0, 0, 1}, login...),
		"a name without an end":       append([]byte{40, 0, 0, 1}, append(login, []byte("\x00\x00\x00\x01\x21                       rootroot")...)...),
		"HTTP":                        []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	} {
		nc, err := net.Dial("tcp", c.Gateway.Addr().String())
		require.NoError(t, err)
		require.NoError(t, nc.SetDeadline(time.Now().Add(time.Minute)))
		_, err = nc.Write(sent)
		require.NoError(t, err, name)
		require.NoError(t, nc.(*net.TCPConn).CloseWrite())
		if _, err := io.Copy(io.Discard, nc); err != nil { // the server ends it, in order or with a reset
			require.NotErrorIs(t, err, context.DeadlineExceeded, name)
			var slow net.Error
			require.False(t, errors.As(err, &slow) && slow.Timeout(), "%s: the connection does not end", name)
		}
		require.NoError(t, nc.Close())
		other.want("1", "SELECT 1")
	}
}

// Statements that nest, as deep as programs and attackers write them. MySQL's error is 1436, TiDB's and ours for too many
// query blocks 1235.
func TestNesting(t *testing.T) {
	cluster := testcluster.Start(t, testcluster.Options{})
	cluster.Exec("CREATE TABLE t (a INT PRIMARY KEY, b INT)", "INSERT INTO t VALUES (1, 2), (2, 3)")
	c := connect(t, cluster)
	around := func(open, inside, close string, n int) string {
		return strings.Repeat(open, n) + inside + strings.Repeat(close, n)
	}

	c.want("1", "SELECT "+around("(", "1", ")", 1000))
	c.want("1", "SELECT "+around("ABS(", "1", ")", 900))
	c.want("1", "SELECT "+around("CASE 1 WHEN 1 THEN ", "1", " END", 400))
	c.want("1", "SELECT a FROM t WHERE a = 1"+strings.Repeat(" AND b = 2", 50_000))
	c.want("2", "SELECT b FROM t WHERE b < 0"+strings.Repeat(" OR b = 2", 50_000))
	c.want("2", "SELECT COUNT(*) FROM t WHERE NOT (b < 0"+strings.Repeat(" AND a + b < 0", 20_000)+")")
	c.want("1", "SELECT a FROM t WHERE a IN (1"+strings.Repeat(", -1", 50_000)+")")
	c.want("1", "SELECT 1"+strings.Repeat(", 1", 4095))
	c.fails("SELECT 1"+strings.Repeat(", 1", 4096), mysql.ErrTooManyFields)
	c.want("2", "SELECT b FROM "+around("(", "t", ")", 1000))
	c.want("1", strings.Repeat(";", 10_000)+"SELECT 1")

	const tooDeep = mysql.ErrStackOverrunNeedMore
	for _, n := range []int{5_000, 100_000, 2_000_000} {
		if n < 1_000_000 {
			c.fails("SELECT "+around("CASE 1 WHEN 1 THEN ", "1", " END", n), tooDeep)
			c.fails(around("SELECT (", "1", ")", n), tooDeep, mysql.ErrNotSupportedYet)
			c.fails(around("SELECT * FROM (", "SELECT 1", ") x", n), tooDeep, mysql.ErrNotSupportedYet)
			c.fails("SELECT 1 "+around("WHERE EXISTS (SELECT 1 FROM t ", "", ")", n), tooDeep, mysql.ErrNotSupportedYet)
			c.fails(around("WITH x AS (", "SELECT 1", ") SELECT * FROM x", n), tooDeep, mysql.ErrNotSupportedYet)
			c.fails("SELECT 1"+strings.Repeat(" UNION ALL SELECT 1", n), tooDeep, mysql.ErrNotSupportedYet)
		}
		c.fails("SELECT "+around("(", "1", ")", n), tooDeep)
		c.fails("SELECT "+strings.Repeat("(", n), tooDeep, mysql.ErrParse)
		c.fails("SELECT "+strings.Repeat("- ", n)+"1", tooDeep)
		c.fails("SELECT "+strings.Repeat("NOT ", n)+"1", tooDeep)
		c.fails("SELECT 1"+strings.Repeat("+1", n), tooDeep)
		c.fails("EXPLAIN SELECT "+around("(", "1", ")", n), tooDeep)
		c.fails("SET @x = "+around("(", "1", ")", n), tooDeep)
		c.fails("UPDATE t SET b = "+around("(", "1", ")", n), tooDeep)
		c.fails("INSERT INTO t VALUES ("+around("(", "5", ")", n)+", 1)", tooDeep)
		c.fails("CREATE TABLE d (a INT DEFAULT "+around("(", "5", ")", n)+")", tooDeep, mysql.ErrParse, mysql.ErrNotSupportedYet)
		c.fails("SELECT JSON_EXTRACT('"+around("[", "", "]", n)+"', '$')", mysql.ErrJSONDocumentTooDeep)
	}
	c.want("5", "SELECT SUM(b) FROM t")
	c.want("1", "SELECT 'abc' REGEXP '"+around("(", "b", ")", 900)+"'")
}

// Names and literals beyond what types and limits allow.
func TestLimits(t *testing.T) {
	c := connect(t, testcluster.Start(t, testcluster.Options{}))
	name := strings.Repeat("x", 65)
	c.fails("CREATE DATABASE "+name, mysql.ErrTooLongIdent)
	c.fails("CREATE TABLE "+name+" (a INT)", mysql.ErrTooLongIdent)
	c.fails("CREATE TABLE t ("+name+" INT)", mysql.ErrTooLongIdent)
	c.fails("CREATE TABLE t (a INT, KEY "+name+" (a))", mysql.ErrTooLongIdent)
	c.want("", "CREATE TABLE "+name[1:]+" ("+name[1:]+" INT)")
	c.fails("ALTER TABLE "+name[1:]+" RENAME TO "+name, mysql.ErrTooLongIdent)
	c.fails("SELECT * FROM "+name, mysql.ErrNoSuchTable)
	c.fails("SELECT 1 AS "+strings.Repeat("x", 257), mysql.ErrTooLongIdent)

	digits := strings.Repeat("9", 100)
	c.fails("SELECT "+digits, mysql.ErrParse, mysql.ErrDataOutOfRange)
	c.fails("SELECT "+digits+".5", mysql.ErrParse, mysql.ErrDataOutOfRange)
	c.fails("SELECT -"+digits, mysql.ErrParse, mysql.ErrDataOutOfRange)
	c.want(strings.Repeat("9", 65), "SELECT "+strings.Repeat("9", 65))
	c.fails("SELECT 1e400", mysql.ErrParse, mysql.ErrDataOutOfRange, mysql.ErrIllegalValueForType)
	c.fails("SELECT 9223372036854775807 + 1", mysql.ErrDataOutOfRange)
	c.fails("SELECT -9223372036854775808 - 1", mysql.ErrDataOutOfRange)
	c.fails("CREATE TABLE u (a DECIMAL(66, 2))", mysql.ErrTooBigPrecision)
	c.fails("CREATE TABLE u (a DECIMAL(60, 31))", mysql.ErrTooBigScale)
	c.fails("CREATE TABLE u (a CHAR(256))", mysql.ErrTooBigFieldlength)
	c.fails("SELECT '2023-02-30' + INTERVAL 1 DAY FROM", mysql.ErrParse)
	c.want("NULL", "SELECT DATE '2023-02-28' + INTERVAL 99999999999 DAY")
	c.want("NULL", "SELECT REPEAT('x', 1000000000)")
	c.want("NULL", "SELECT SPACE(9223372036854775807)")
	c.want("2", "SELECT LENGTH('\x00\xff')")
	c.fails("SELECT '\\", mysql.ErrParse)
	c.fails("SELECT /* ", mysql.ErrParse)
	c.fails("\x00\x01\x02", mysql.ErrParse)
}

// Division by zero is NULL when reading, with a warning whatever the mode, as in TiDB. What is written is NULL, with a
// warning where the mode asks for errors, and an error where it is strict, too, unless IGNORE makes that a warning.
func TestDivisionByZero(t *testing.T) {
	cluster := testcluster.Start(t, testcluster.Options{})
	cluster.Exec("CREATE TABLE t (a INT PRIMARY KEY, b INT)", "INSERT INTO t VALUES (1, 0)")
	c := connect(t, cluster)
	for _, m := range []struct {
		mode         string
		warns, fails bool
	}{
		{mode: ""},
		{mode: "STRICT_TRANS_TABLES"},
		{mode: "ERROR_FOR_DIVISION_BY_ZERO", warns: true},
		{mode: "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO", warns: true, fails: true},
		{mode: "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO", warns: true, fails: true},
		{mode: "TRADITIONAL", warns: true, fails: true},
	} {
		c.want("", "SET sql_mode = '"+m.mode+"'")
		for _, query := range []string{"1 / b", "1 % b", "1 DIV b", "MOD(1.5, b)", "1e0 / b"} {
			c.wantWarnings("NULL", "SELECT "+query+" FROM t", "1")
			c.wantWarnings("", "SELECT a FROM t WHERE "+query+" > 0", "1")
		}
		c.wantWarnings("NULL", "SELECT 1 / 0", "1")
		for _, write := range []string{
			"INSERT INTO t VALUES (2, 1 / 0)", "INSERT INTO t SELECT 3, 1 / b FROM t WHERE a = 1", "UPDATE t SET b = 5 % b WHERE a = 1",
			"INSERT INTO t VALUES (1, 0) ON DUPLICATE KEY UPDATE b = 1 DIV t.b",
		} {
			if m.fails {
				c.fails(write, mysql.ErrDivisionByZero)
				continue
			}
			warnings := "0"
			if m.warns {
				warnings = "1"
			}
			c.wantWarnings("", write, warnings)
			c.want("1", "SELECT COUNT(*) FROM t WHERE b IS NULL")
			c.want("", "REPLACE INTO t VALUES (1, 0)")
			c.want("", "DELETE FROM t WHERE a > 1")
		}
		c.want("", "INSERT IGNORE INTO t VALUES (4, 1 / 0)")
		c.want("NULL", "SELECT b FROM t WHERE a = 4")
		c.want("", "DELETE FROM t WHERE a = 4")
	}
}

// wantWarnings is want, with the number of warnings that the statement leaves.
func (c *client) wantWarnings(value, text, warnings string) {
	c.Helper()
	got, err := c.ask(text)
	require.NoError(c, err, text)
	require.Equal(c, value, got, text)
	n, err := c.ask("SELECT @@warning_count")
	require.NoError(c, err)
	mode, err := c.ask("SELECT @@sql_mode")
	require.NoError(c, err)
	require.Equal(c, warnings, n, fmt.Sprintf("%s under sql_mode %q", text, mode))
}
