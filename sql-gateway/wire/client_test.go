package wire

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	driver "github.com/go-sql-driver/mysql"
	"github.com/pingcap/tidb/pkg/parser/auth"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

func open(t *testing.T, f *fakeServer, dsn string) *sql.DB {
	db, err := sql.Open("mysql", fmt.Sprintf(dsn, f.addr))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func number(n int64) datum.Datum { return datum.NewInt64(n) }

// allTypes has a value of every column type, and the text that clients must see.
func allTypes() (cols []Column, row []datum.Datum, text []string) {
	add := func(ft *tipb.FieldType, d datum.Datum, s string) {
		cols = append(cols, Column{Name: fmt.Sprintf("c%d", len(cols)), Type: ft})
		row, text = append(row, d), append(text, s)
	}
	unsigned := typeOf(column.TypeLongLong)
	unsigned.Flag |= column.FlagUnsigned
	dec := func(flen, scale int32) *tipb.FieldType {
		ft := typeOf(column.TypeDecimal)
		ft.Flen, ft.Decimal = flen, scale
		return ft
	}
	parse := func(s string) datum.Datum {
		d, whole, err := value.ParseDecimal([]byte(s))
		if err != nil || !whole {
			panic(s)
		}
		return datum.NewDecimal(d)
	}
	enum, set := typeOf(column.TypeEnum), typeOf(column.TypeSet)
	enum.Elems, set.Elems = []string{"x", "y"}, []string{"x", "y", "z"}
	bit := typeOf(column.TypeBit)
	bit.Flen, bit.Flag = 12, column.FlagUnsigned
	js, err := value.ParseJSON([]byte(`{"a": [1, 2]}`))
	if err != nil {
		panic(err)
	}
	add(typeOf(column.TypeTiny), number(-5), "-5")
	add(typeOf(column.TypeShort), number(-300), "-300")
	add(typeOf(column.TypeLong), number(1<<30), "1073741824")
	add(typeOf(column.TypeLongLong), number(-1<<63), "-9223372036854775808")
	add(unsigned, datum.NewUint64(1<<64-1), "18446744073709551615")
	add(typeOf(column.TypeYear), number(2024), "2024")
	add(typeOf(column.TypeFloat), datum.NewFloat64(1.5), "1.5")
	add(typeOf(column.TypeDouble), datum.NewFloat64(-12.625), "-12.625")
	add(dec(10, 2), parse("-1.05"), "-1.05")
	add(dec(30, 4), parse("12345678901234567890.1234"), "12345678901234567890.1234")
	add(dec(60, 3), parse("123456789012345678901234567890123456789012345.678"), "123456789012345678901234567890123456789012345.678")
	add(typeOf(column.TypeDate), datum.NewTime(value.MakeTime(2024, 2, 29, 0, 0, 0, 0)), "2024-02-29")
	add(typeOf(column.TypeDatetime), datum.NewTime(value.MakeTime(2024, 2, 29, 13, 14, 15, 16)), "2024-02-29 13:14:15.000016")
	add(typeOf(column.TypeDuration), datum.NewDuration(-(25*3600+61)*1e9), "-25:01:01.000000")
	add(typeOf(column.TypeVarchar), datum.NewString("häß"), "häß")
	add(typeOf(column.TypeBlob), datum.NewString(strings.Repeat("long ", 100)), strings.Repeat("long ", 100))
	add(enum, datum.NewUint64(2), "y")
	add(set, datum.NewUint64(5), "x,z")
	add(bit, datum.NewUint64(0x123), "\x01\x23")
	add(typeOf(column.TypeJSON), datum.NewJSON(js), `{"a": [1, 2]}`)
	return cols, row, text
}

// TestTypes reads a value of every type, and NULLs, in the text form and in the binary form of prepared statements.
func TestTypes(t *testing.T) {
	f := startFake(t)
	cols, row, want := allTypes()
	nulls := make([]datum.Datum, len(cols))
	f.results["types"] = fakeResult{cols: cols, rows: [][]datum.Datum{row, nulls, row}}
	f.results["types of ?"] = fakeResult{cols: cols, rows: [][]datum.Datum{row, nulls, row}, params: 1}
	for _, dsn := range []string{"root@tcp(%s)/", "root@tcp(%s)/?compress=true"} {
		db := open(t, f, dsn)
		for _, args := range [][]any{nil, {1}} {
			query := "types"
			if args != nil {
				query = "types of ?"
			}
			rows, err := db.Query(query, args...)
			require.NoError(t, err)
			require.Equal(t, [][]string{want, nil, want}, readAll(t, rows))
		}
	}
}

// readAll reads rows as text; a row of NULLs is nil.
func readAll(t *testing.T, rows *sql.Rows) (out [][]string) {
	defer rows.Close()
	cols, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		vals, dest := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range vals {
			dest[i] = &vals[i]
		}
		require.NoError(t, rows.Scan(dest...))
		var row []string
		for _, v := range vals {
			if v.Valid {
				row = append(row, v.String)
			}
		}
		out = append(out, row)
	}
	require.NoError(t, rows.Err())
	return out
}

// TestParams sends parameters of many types; the server echoes them.
func TestParams(t *testing.T) {
	f := startFake(t)
	f.results["echo"] = fakeResult{params: 5, echo: true}
	db := open(t, f, "root@tcp(%s)/")
	st, err := db.Prepare("echo")
	require.NoError(t, err)
	defer st.Close()
	long := strings.Repeat("x", 1<<20) // goes as long data
	for range 3 {
		rows, err := st.Query(int64(-7), 2.25, "text", nil, long)
		require.NoError(t, err)
		require.Equal(t, [][]string{{"-7", "2.25", "text", long}}, readAll(t, rows))
	}
}

// TestTypesSentOnce executes as C clients do: types come with the first execution only.
func TestTypesSentOnce(t *testing.T) {
	st := &statement{sql: &fakeStatement{res: fakeResult{params: 2}}}
	first := []byte{0, 1, column.TypeTiny, 0, column.TypeVarString, 0, 5, 1, 'a'}
	args, err := st.decodeParams(&cursor{b: first})
	require.NoError(t, err)
	require.Equal(t, int64(5), args[0].Value.Int64())
	args, err = st.decodeParams(&cursor{b: []byte{2, 0, 6}})
	require.NoError(t, err)
	require.Equal(t, int64(6), args[0].Value.Int64())
	require.True(t, args[1].Value.IsNull())
}

func TestErrors(t *testing.T) {
	f := startFake(t)
	f.results["plain"] = fakeResult{err: errors.New("it broke")}
	db := open(t, f, "root@tcp(%s)/")
	var e *driver.MySQLError
	_, err := db.Exec("no such")
	require.ErrorAs(t, err, &e)
	require.Equal(t, uint16(mysql.ErrParse), e.Number)
	require.Equal(t, "42000", string(e.SQLState[:]))
	_, err = db.Exec("plain")
	require.ErrorAs(t, err, &e)
	require.Equal(t, uint16(mysql.ErrUnknown), e.Number)
	require.Equal(t, "it broke", e.Message)
}

// TestPanic: a statement that panics costs its client the connection, and nobody else anything.
func TestPanic(t *testing.T) {
	f := startFake(t)
	f.results["bug"] = fakeResult{bug: true}
	db := open(t, f, "root@tcp(%s)/")
	other := open(t, f, "root@tcp(%s)/")
	require.NoError(t, other.Ping())
	_, err := db.Exec("bug")
	require.ErrorContains(t, err, "internal error: a bug")
	require.NoError(t, other.Ping())
	require.NoError(t, db.Ping()) // on a new connection
}

func TestMultiResults(t *testing.T) {
	f := startFake(t)
	one := fakeResult{cols: []Column{{Name: "a", Type: typeOf(column.TypeLong)}}, rows: [][]datum.Datum{{number(1)}}}
	two := one
	two.more = &one
	f.results["a; b"] = two
	rows, err := open(t, f, "root@tcp(%s)/?multiStatements=true").Query("a; b")
	require.NoError(t, err)
	defer rows.Close()
	n := 0
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			n++
		}
	}
	require.NoError(t, rows.Err())
	require.Equal(t, 2, n)
}

// TestLocalInfile sends a file of many packets, and then none at all.
func TestLocalInfile(t *testing.T) {
	f := startFake(t)
	f.results["load"] = fakeResult{infile: true}
	content := strings.Repeat("a line\n", 100_000)
	driver.RegisterReaderHandler("file", func() io.Reader { return strings.NewReader(content) })
	db := open(t, f, "root@tcp(%s)/")
	res, err := db.Exec("load")
	require.NoError(t, err)
	n, err := res.RowsAffected()
	require.NoError(t, err)
	require.Equal(t, int64(100_000), n)
	driver.DeregisterReaderHandler("file")
	_, err = db.Exec("load")
	require.Error(t, err)
	require.NoError(t, db.Ping())
}

// TestAuthentication logs in with both plugins, right and wrong; caching_sha2 the first time in full and then fast.
func TestAuthentication(t *testing.T) {
	f := startFake(t)
	f.accounts["sha2"] = NewAccount("secret")
	f.accounts["native"] = Account{Plugin: mysql.AuthNativePassword, Hash: auth.EncodePassword("secret")}
	for _, user := range []string{"sha2", "sha2", "native"} {
		require.NoError(t, open(t, f, user+":secret@tcp(%s)/").Ping())
		requireDenied(t, open(t, f, user+":wrong@tcp(%s)/").Ping())
		requireDenied(t, open(t, f, user+"@tcp(%s)/").Ping())
	}
	requireDenied(t, open(t, f, "root:needless@tcp(%s)/").Ping())
	requireDenied(t, open(t, f, "nobody@tcp(%s)/").Ping())
	requireDenied(t, open(t, f, "nobody:secret@tcp(%s)/").Ping())
}

func requireDenied(t *testing.T, err error) {
	t.Helper()
	var e *driver.MySQLError
	require.ErrorAs(t, err, &e)
	require.Equal(t, uint16(mysql.ErrAccessDenied), e.Number)
}

// TestCommands uses go-mysql's client for the commands that database/sql does not send.
func TestCommands(t *testing.T) {
	f := startFake(t)
	c, err := client.Connect(f.addr, "root", "", "db1")
	require.NoError(t, err)
	defer c.Close()
	s := <-f.opened
	require.Equal(t, "db1", s.db)
	require.NoError(t, c.Ping())
	require.NoError(t, c.UseDB("db2"))
	require.Equal(t, "db2", s.db)
	require.Error(t, c.UseDB("missing"))
	fields, err := c.FieldList("t", "")
	require.NoError(t, err)
	require.Len(t, fields, 2)
	require.Equal(t, "b", string(fields[1].Name))
	require.Equal(t, "8.0.11-Scree-test", c.GetServerVersion())
}

// TestBigPackets moves values of more than 16 MiB, which take several packets, both ways.
func TestBigPackets(t *testing.T) {
	f := startFake(t)
	f.results["echo"] = fakeResult{params: 1, echo: true}
	c, err := client.Connect(f.addr, "root", "", "", func(c *client.Conn) error { return nil })
	require.NoError(t, err)
	defer c.Close()
	st, err := c.Prepare("echo")
	require.NoError(t, err)
	for _, size := range []int{maxPayload - 12, maxPayload, maxPayload + 5} {
		big := bytes.Repeat([]byte("m"), size)
		res, err := st.Execute(big)
		require.NoError(t, err)
		got, err := res.GetString(0, 0)
		require.NoError(t, err)
		require.True(t, string(big) == got, "a value of %d bytes", size)
	}
}

// TestKillContext: a client that goes away in the middle of its work ends its connection and nothing else.
func TestKillContext(t *testing.T) {
	f := startFake(t)
	db := open(t, f, "root@tcp(%s)/")
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := db.Conn(ctx)
	require.NoError(t, err)
	require.NoError(t, conn.PingContext(ctx))
	cancel()
	require.Error(t, conn.PingContext(ctx))
	require.NoError(t, conn.Close())
}
