package session

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// asRoot holds one connection.
func asRoot(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// query runs a statement and returns its rows' values with bars between them.
func query(t *testing.T, conn *sql.Conn, text string) string {
	t.Helper()
	rows, err := conn.QueryContext(context.Background(), text)
	require.NoError(t, err, text)
	defer rows.Close()
	cols, err := rows.Columns()
	require.NoError(t, err)
	out, vals, into := "", make([]sql.NullString, len(cols)), make([]any, len(cols))
	for i := range vals {
		into[i] = &vals[i]
	}
	for rows.Next() {
		require.NoError(t, rows.Scan(into...))
		for i, v := range vals {
			if i > 0 {
				out += "|"
			}
			out += v.String
		}
		out += "\n"
	}
	require.NoError(t, rows.Err())
	return out
}

// Statements that differ in literals count as one kind, with what they returned and what the stores did; prepared ones, too.
func TestStatementsSummary(t *testing.T) {
	db := open(t, "")
	conn := asRoot(t, db)
	for _, text := range []string{
		"CREATE TABLE seen (a INT PRIMARY KEY, b INT)", "INSERT INTO seen VALUES (1, 1), (2, 2), (3, 3)",
		"SELECT b + 1 FROM seen WHERE b > 0", "SELECT b + 2 FROM seen WHERE b > 2",
	} {
		query(t, conn, text)
	}
	_, err := conn.ExecContext(context.Background(), "SELECT nothing FROM seen")
	require.Error(t, err)
	stmt, err := conn.PrepareContext(context.Background(), "SELECT b * ? FROM seen")
	require.NoError(t, err)
	defer stmt.Close()
	for range 2 {
		rows, err := stmt.Query(2)
		require.NoError(t, err)
		require.NoError(t, rows.Close())
	}
	summary := func(digestText string) string {
		return query(t, conn, `SELECT stmt_type, exec_count, sum_errors, max_result_rows, sum_cop_task_num > 0, max_processed_keys, prepared,
			avg_affected_rows, sum_latency >= max_latency AND max_latency >= min_latency AND min_latency > 0
			FROM information_schema.statements_summary WHERE schema_name = database() AND digest_text = '`+digestText+`'`)
	}
	require.Equal(t, "Select|2|0|3|1|3|0|0|1\n", summary("select `b` + ? from `seen` where `b` > ?"))
	require.Equal(t, "Select|2|0|3|1|3|1|0|1\n", summary("select `b` * ? from `seen`"))
	require.Equal(t, "Insert|1|0|0|0|0|0|3|1\n", summary("insert into `seen` values ( ... )"))
	require.Equal(t, "Select|1|1|0|0|0|0|0|1\n", summary("select `nothing` from `seen`"))
	require.Equal(t, query(t, conn, "SELECT @@port")[:4], query(t, conn,
		"SELECT SUBSTRING_INDEX(instance, ':', -1) FROM information_schema.cluster_statements_summary LIMIT 1")[:4])
}

// What is slower than long_query_time comes into the slow log, with its plan.
func TestSlowQuery(t *testing.T) {
	conn := asRoot(t, open(t, ""))
	require.Equal(t, "0.300000\n", query(t, conn, "SELECT @@long_query_time"))
	query(t, conn, "SET long_query_time = 100000")
	query(t, conn, "SELECT 'not slow'")
	query(t, conn, "SET long_query_time = 0.001")
	require.Equal(t, "0.001000\n", query(t, conn, "SELECT @@long_query_time"))
	query(t, conn, "SELECT /* looked for */ SLEEP(0.002)")
	require.Equal(t, "root|1|1|1|1|1\n", query(t, conn, `SELECT user, succ, db = DATABASE(), query_time >= 0.002, conn_id = CONNECTION_ID(),
		plan LIKE '%Projection%root%' FROM information_schema.slow_query WHERE query LIKE 'SELECT /* looked for */%'`))
	require.Empty(t, query(t, conn, "SELECT query FROM information_schema.slow_query WHERE query = 'SELECT ''not slow'';'"))
	_, err := conn.ExecContext(context.Background(), "SET long_query_time = 'never'")
	requireCode(t, 1231, err)
}

// SET GLOBAL of either name moves both, for all sessions.
func TestSlowThreshold(t *testing.T) {
	conn := asRoot(t, open(t, ""))
	defer query(t, conn, "SET GLOBAL tidb_slow_log_threshold = 300")
	query(t, conn, "SET GLOBAL tidb_slow_log_threshold = 12345")
	require.Equal(t, "12.345000\n", query(t, conn, "SELECT @@GLOBAL.long_query_time"))
	require.Equal(t, 12345*time.Millisecond, testServer.insight.SlowAfter())
	query(t, conn, "SET GLOBAL long_query_time = 23.5")
	require.Equal(t, "23500\n", query(t, conn, "SELECT @@GLOBAL.tidb_slow_log_threshold"))
	require.Equal(t, 23500*time.Millisecond, testServer.insight.SlowAfter())
}

// The process list shows what runs and since when; an open transaction is among TIDB_TRX.
func TestProcessesAndTransactions(t *testing.T) {
	db := open(t, "")
	conn := asRoot(t, db)
	require.Equal(t, "root|1|1|executing\n", query(t, conn,
		"SELECT user, info LIKE 'SELECT user, info%', LENGTH(digest) = 64, state FROM information_schema.processlist WHERE id = CONNECTION_ID()"))
	query(t, conn, "CREATE TABLE open_txn (a INT PRIMARY KEY)")
	query(t, conn, "BEGIN")
	query(t, conn, "INSERT INTO open_txn VALUES (1)")
	other := asRoot(t, db)
	trx := fmt.Sprintf("SELECT state, user, db = DATABASE() FROM information_schema.cluster_tidb_trx WHERE session_id = %s", query(t, conn, "SELECT CONNECTION_ID()"))
	require.Equal(t, "Idle|root|1\n", query(t, other, trx))
	query(t, conn, "ROLLBACK")
	require.Empty(t, query(t, other, trx))
}

// Who waits for a row is among DATA_LOCK_WAITS, with whom it waits for and what it runs.
func TestDataLockWaits(t *testing.T) {
	db := open(t, "")
	holder, waiter := asRoot(t, db), asRoot(t, db)
	query(t, holder, "CREATE TABLE held (a INT PRIMARY KEY, b INT)")
	query(t, holder, "INSERT INTO held VALUES (7, 0)")
	query(t, holder, "BEGIN")
	query(t, holder, "UPDATE held SET b = 1 WHERE a = 7")
	query(t, waiter, "BEGIN")
	waited := make(chan error, 1)
	go func() {
		_, err := waiter.ExecContext(context.Background(), "UPDATE held SET b = 2 WHERE a = 7")
		waited <- err
	}()
	const waits = `SELECT key_info LIKE 't%r_7', current_holding_trx_id = (SELECT id FROM information_schema.tidb_trx WHERE session_id = CONNECTION_ID())
		FROM information_schema.data_lock_waits WHERE sql_digest_text LIKE 'update%held%'`
	require.Eventually(t, func() bool { return query(t, holder, waits) == "1|1\n" }, time.Minute, 5*time.Millisecond)
	query(t, holder, "COMMIT")
	require.NoError(t, <-waited)
	query(t, waiter, "ROLLBACK")
}

// A table that was split has regions of its own, which both ways to ask tell of.
func TestRegions(t *testing.T) {
	conn := asRoot(t, open(t, ""))
	query(t, conn, "CREATE TABLE parts (a INT PRIMARY KEY, b INT, KEY ib (b))")
	require.Equal(t, "3|1\n", query(t, conn, "SPLIT TABLE parts BETWEEN (0) AND (4000) REGIONS 4"))
	require.Equal(t, "1|1\n", query(t, conn, "SPLIT TABLE parts BY (10000)"))
	require.Eventually(t, func() bool {
		return query(t, conn, "SHOW TABLE parts REGIONS WHERE start_key LIKE '%_r_2000' AND end_key LIKE '%_r_3000'") != ""
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, "5\n", query(t, conn,
		"SELECT COUNT(*) FROM information_schema.tikv_region_status WHERE db_name = DATABASE() AND table_name = 'parts' AND is_index = 0"))
	require.Equal(t, "1\n", query(t, conn,
		"SELECT COUNT(*) FROM information_schema.tikv_region_status WHERE db_name = DATABASE() AND index_name = 'ib'"))
	require.Equal(t, "Up|1\n", query(t, conn, "SELECT store_state_name, region_count >= 5 FROM information_schema.tikv_store_status"))
	require.Equal(t, "tidb\npd\ntikv\n", query(t, conn, "SELECT type FROM information_schema.cluster_info"))
	require.NotEmpty(t, query(t, conn, "SELECT * FROM information_schema.tikv_region_peers WHERE is_leader = 1 AND status = 'NORMAL'"))
	for text, code := range map[string]uint16{
		"SPLIT TABLE parts BETWEEN (5) AND (6) REGIONS 9":    1105,
		"SPLIT TABLE parts BETWEEN (0) AND (9999) REGIONS 0": 1105,
		"SPLIT TABLE parts BY ('x')":                         1231,
		"SPLIT TABLE nowhere BY (1)":                         1146,
		"SPLIT TABLE parts INDEX ib BY (1)":                  1235,
		"SHOW TABLE parts INDEX nowhere REGIONS":             1176,
		"SPLIT TABLE information_schema.processlist BY (1)":  1347,
	} {
		_, err := conn.ExecContext(context.Background(), text)
		requireCode(t, code, err)
	}
}

// The server's metrics count what it does.
func TestMetrics(t *testing.T) {
	conn := asRoot(t, open(t, ""))
	query(t, conn, "SELECT 1")
	r := prometheus.NewRegistry()
	r.MustRegister(testServer)
	families, err := r.Gather()
	require.NoError(t, err)
	seen := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			seen[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for _, name := range []string{
		"tidb_server_query_total", "tidb_executor_statement_total", "tidb_server_connections", "tidb_server_handle_query_duration_seconds",
		"tidb_session_parse_duration_seconds", "tidb_session_compile_duration_seconds", "tidb_session_transaction_duration_seconds",
	} {
		require.Positive(t, seen[name], name)
	}
}
