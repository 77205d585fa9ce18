package clientsuite

import (
	"database/sql"
	"encoding/binary"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver
	"github.com/stretchr/testify/require"
)

// open connects to the playground's gateway.
func (s *suite) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "root@tcp("+s.cluster.MySQL+")/test")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// rows finds the record keys of the one table that has a row with this handle: t, the table's id, _r, the handle.
func (s *suite) rows(t *testing.T, handle int64) (prefix []byte, pairs map[int64][]byte) {
	t.Helper()
	const idEnd, recordEnd, keyEnd = 9, 11, 19
	pairs = make(map[int64][]byte)
	tables := make(map[string]map[int64][]byte)
	it, err := s.begin(t).Iter([]byte("t"), []byte("u"))
	require.NoError(t, err)
	defer it.Close()
	for it.Valid() {
		if k := it.Key(); len(k) == keyEnd && string(k[idEnd:recordEnd]) == "_r" {
			h := int64(binary.BigEndian.Uint64(k[recordEnd:]) ^ 1<<63)
			if tables[string(k[:recordEnd])] == nil {
				tables[string(k[:recordEnd])] = make(map[int64][]byte)
			}
			tables[string(k[:recordEnd])][h] = append([]byte(nil), it.Value()...)
		}
		require.NoError(t, it.Next())
	}
	for p, table := range tables {
		if table[handle] != nil {
			require.Nil(t, prefix, "the handle tells the table")
			prefix, pairs = []byte(p), table
		}
	}
	require.NotNil(t, prefix)
	return prefix, pairs
}

func recordKey(prefix []byte, handle int64) string {
	return string(binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), uint64(handle)^1<<63))
}

// rowsOfTables: what is written through SQL is there for the client, in TiDB's encoding.
func (s *suite) rowsOfTables(t *testing.T) {
	db := s.open(t)
	mustExec(t, db, "CREATE TABLE client_rows (id BIGINT PRIMARY KEY, name VARCHAR(20))",
		"INSERT INTO client_rows VALUES (7000001, 'one'), (7000002, 'two'), (7000003, NULL)",
		"UPDATE client_rows SET name = 'deux' WHERE id = 7000002", "DELETE FROM client_rows WHERE id = 7000003")
	_, rows := s.rows(t, 7000001)
	require.Len(t, rows, 2)
	for handle, text := range map[int64]string{7000001: "one", 7000002: "deux"} {
		const rowVersion2 = 0x80
		require.EqualValues(t, rowVersion2, rows[handle][0])
		require.Contains(t, string(rows[handle]), text)
	}
}

// deadClientOnATable: SQL statements meet the locks of a client that died on a table's rows, and the client those of an
// open SQL transaction.
func (s *suite) deadClientOnATable(t *testing.T) {
	db := s.open(t)
	mustExec(t, db, "CREATE TABLE client_locks (id BIGINT PRIMARY KEY, name VARCHAR(20))",
		"INSERT INTO client_locks VALUES (8000001, 'one'), (8000002, 'two'), (8000003, 'three'), (8000004, 'four')")
	prefix, rows := s.rows(t, 8000001)
	names := func() (out []string) {
		r, err := db.Query("SELECT name FROM client_locks ORDER BY id")
		require.NoError(t, err)
		defer r.Close()
		for r.Next() {
			var name string
			require.NoError(t, r.Scan(&name))
			out = append(out, name)
		}
		require.NoError(t, r.Err())
		return out
	}
	two := string(rows[8000002])
	s.die(t, beforeCommit, commitModes["two phases"], []string{recordKey(prefix, 8000001), recordKey(prefix, 8000003)}, two, false)
	require.Equal(t, []string{"one", "two", "three", "four"}, names())
	s.die(t, afterAsyncCommit, commitModes["async commit"], []string{recordKey(prefix, 8000001), recordKey(prefix, 8000003)}, two, true)
	require.Equal(t, []string{"two", "two", "two", "four"}, names())
	s.die(t, beforeCommit, commitModes["two phases"], []string{recordKey(prefix, 8000004)}, two, false)
	mustExec(t, db, "UPDATE client_locks SET name = 'quatre' WHERE id = 8000004")
	require.Equal(t, []string{"two", "two", "two", "quatre"}, names())

	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec("DELETE FROM client_locks WHERE id = 8000002")
	require.NoError(t, err)
	require.NotEmpty(t, s.get(t, recordKey(prefix, 8000002)), "not committed")
	require.NoError(t, tx.Commit())
	require.Empty(t, s.get(t, recordKey(prefix, 8000002)))
}

func mustExec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}
