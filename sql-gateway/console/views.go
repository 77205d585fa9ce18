package console

import "net/http"

// views are the queries that the page is made of. They show the costliest or the newest first, as many as people look at.
var views = map[string]string{
	"cluster": `SELECT TYPE, INSTANCE, STATUS_ADDRESS, VERSION, GIT_HASH, START_TIME, UPTIME FROM information_schema.CLUSTER_INFO`,
	"stores": `SELECT STORE_ID, ADDRESS, STORE_STATE_NAME, CAPACITY, AVAILABLE, LEADER_COUNT, REGION_COUNT, REGION_SIZE, UPTIME
		FROM information_schema.TIKV_STORE_STATUS ORDER BY STORE_ID`,
	"memory":    `SELECT * FROM information_schema.MEMORY_USAGE`,
	"databases": `SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME`,
	"statements": `SELECT STMT_TYPE, SCHEMA_NAME, DIGEST, DIGEST_TEXT, EXEC_COUNT, SUM_ERRORS, SUM_LATENCY, AVG_LATENCY, MAX_LATENCY,
		SUM_COP_TASK_NUM, AVG_PROCESSED_KEYS, AVG_TOTAL_KEYS, MAX_MEM, AVG_RESULT_ROWS, AVG_AFFECTED_ROWS, PREPARED, FIRST_SEEN, LAST_SEEN,
		QUERY_SAMPLE_TEXT, PLAN FROM information_schema.STATEMENTS_SUMMARY ORDER BY SUM_LATENCY DESC LIMIT 300`,
	"slow": `SELECT TIME, USER, HOST, CONN_ID, QUERY_TIME, PARSE_TIME, COMPILE_TIME, PROCESS_TIME, COP_TASKS, TOTAL_KEYS, PROCESS_KEYS, DB, MEM_MAX,
		ROWS_SENT, ROWS_AFFECTED, SUCC, PLAN, QUERY FROM information_schema.SLOW_QUERY ORDER BY TIME DESC LIMIT 300`,
	"running": `SELECT ID, USER, HOST, DB, COMMAND, TIME, STATE, INFO, MEM, TXNSTART FROM information_schema.PROCESSLIST
		WHERE ID <> CONNECTION_ID() ORDER BY COMMAND = 'Sleep', TIME DESC LIMIT 1000`,
	"regions": `SELECT REGION_ID, DB_NAME, TABLE_NAME, INDEX_NAME, LEADER_STORE_ID, APPROXIMATE_SIZE, APPROXIMATE_KEYS, START_KEY, END_KEY
		FROM information_schema.TIKV_REGION_STATUS ORDER BY DB_NAME, TABLE_NAME, START_KEY LIMIT 10000`,
}

// view answers with what one of the queries returns.
func (c *Console) view(w http.ResponseWriter, r *http.Request) {
	text, known := views[r.PathValue("view")]
	if !known {
		http.NotFound(w, r)
		return
	}
	c.run(w, r, question{SQL: text, Limit: rowsMax}, true)
}
