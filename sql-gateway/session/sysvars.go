package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/planner"
)

type scope uint8

const (
	scopeBoth scope = iota
	scopeGlobal
	scopeSession
	scopeReadOnly
)

type kind uint8

const (
	kindText kind = iota
	kindSwitch
	kindInt
	kindOneOf
	kindDuration
)

// sysVar is a system variable that this server knows.
type sysVar struct {
	name     string
	value    string // default
	scope    scope
	kind     kind
	min, max int64
	oneOf    []string
}

func text(name, def string) sysVar     { return sysVar{name: name, value: def} }
func readOnly(name, def string) sysVar { return sysVar{name: name, value: def, scope: scopeReadOnly} }
func onOff(name, def string) sysVar    { return sysVar{name: name, value: def, kind: kindSwitch} }

func number(name string, def, low, high int64) sysVar {
	return sysVar{name: name, value: strconv.FormatInt(def, 10), kind: kindInt, min: low, max: high}
}

func oneOf(name, def string, values ...string) sysVar {
	return sysVar{name: name, value: def, kind: kindOneOf, oneOf: values}
}

func (v sysVar) global() sysVar      { v.scope = scopeGlobal; return v }
func (v sysVar) sessionOnly() sysVar { v.scope = scopeSession; return v }

const (
	defaultSQLMode = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
	isolationSI    = "REPEATABLE-READ"
	maxInt63       = 1<<63 - 1
	yearSeconds    = 31_536_000
	maxStaleness   = 1 << 31 // seconds
)

// knownVars are the variables by lower-case name. Setting one that nothing here reads is accepted: clients set many to
// what they assume anyway.
var knownVars = func() map[string]sysVar {
	m := make(map[string]sysVar)
	for _, list := range [][]sysVar{effectiveVars, clientVars, serverVars, tidbVars, gcVars} {
		for _, v := range list {
			m[v.name] = v
		}
	}
	return m
}()

// effectiveVars change what sessions do.
var effectiveVars = []sysVar{
	onOff("autocommit", "ON"),
	text("sql_mode", defaultSQLMode),
	text("time_zone", "SYSTEM"),
	text("character_set_client", mysql.DefaultCharset),
	text("character_set_connection", mysql.DefaultCharset),
	text("character_set_results", mysql.DefaultCharset),
	text("character_set_server", mysql.DefaultCharset),
	text("character_set_database", mysql.DefaultCharset),
	text("collation_connection", mysql.DefaultCollationName),
	text("collation_server", mysql.DefaultCollationName),
	text("collation_database", mysql.DefaultCollationName),
	oneOf("transaction_isolation", isolationSI, "REPEATABLE-READ", "READ-COMMITTED", "READ-UNCOMMITTED", "SERIALIZABLE"),
	oneOf("tx_isolation", isolationSI, "REPEATABLE-READ", "READ-COMMITTED", "READ-UNCOMMITTED", "SERIALIZABLE"),
	number("max_allowed_packet", 64<<20, 1024, 1<<30),
	number("max_execution_time", 0, 0, 1<<31-1),
	number("wait_timeout", 28_800, 0, yearSeconds),
	number("lock_wait_timeout", 31_536_000, 1, yearSeconds),
	number("innodb_lock_wait_timeout", 50, 1, 3600),
	number("tidb_mem_quota_query", 2<<30, -1, maxInt63),
	number("tidb_distsql_scan_concurrency", 0, 0, 256),
	onOff("tidb_opt_broadcast_join", "ON"),
	number("tidb_broadcast_join_threshold_count", planner.BroadcastRows, 0, 1<<31),
	number("tidb_broadcast_join_threshold_size", planner.BroadcastBytes, 0, planner.BroadcastBytes),
	number("div_precision_increment", 4, 0, 30),
	number("group_concat_max_len", 1024, 4, maxInt63),
	number("auto_increment_increment", 1, 1, 65535),
	number("auto_increment_offset", 1, 1, 65535),
	number("last_insert_id", 0, 0, maxInt63).sessionOnly(),
	number("sql_select_limit", maxInt63, 0, maxInt63),
	number("timestamp", 0, 0, 1<<31-1).sessionOnly(),
	onOff("tidb_enable_auto_analyze", "ON").global(),
	oneOf("tidb_txn_mode", "pessimistic", "", "optimistic", "pessimistic"),
	oneOf("tidb_dml_type", "standard", "standard", "bulk").sessionOnly(),
	oneOf("tidb_replica_read", "leader", "leader", "follower", "leader-and-follower"),
	text("tidb_snapshot", "").sessionOnly(),
	number("tidb_read_staleness", 0, -maxStaleness, 0).sessionOnly(),
	onOff("tidb_enable_shared_lock_promotion", "ON"),
	onOff("tidb_enable_noop_functions", "OFF"),
	text("long_query_time", "0.300000"),
	number("tidb_slow_log_threshold", 300, 0, yearSeconds).global(),
	onOff("slow_query_log", "ON").global(),
	onOff("tidb_enable_slow_log", "ON").global(),
	onOff("tidb_enable_stmt_summary", "ON").global(),
}

// clientVars are those that clients set or read when they connect and that change nothing here.
var clientVars = []sysVar{
	onOff("foreign_key_checks", "ON"), onOff("unique_checks", "ON"), onOff("sql_notes", "ON"),
	onOff("sql_quote_show_create", "ON"), onOff("sql_safe_updates", "OFF"), onOff("sql_auto_is_null", "OFF"),
	onOff("sql_log_bin", "ON"), onOff("sql_big_selects", "ON"), onOff("sql_warnings", "OFF"), onOff("sql_buffer_result", "OFF"),
	onOff("tx_read_only", "OFF"), onOff("transaction_read_only", "OFF"), onOff("big_tables", "OFF"),
	onOff("explicit_defaults_for_timestamp", "ON"), onOff("low_priority_updates", "OFF"), onOff("keep_files_on_create", "OFF"),
	onOff("show_create_table_verbosity", "OFF"), onOff("session_track_schema", "ON"), onOff("innodb_strict_mode", "ON"),
	onOff("old_passwords", "OFF"), onOff("updatable_views_with_limit", "ON"), onOff("new", "OFF"),
	oneOf("session_track_gtids", "OFF", "OFF", "OWN_GTID", "ALL_GTIDS"),
	text("session_track_system_variables", "time_zone,autocommit,character_set_client,character_set_results,character_set_connection"),
	oneOf("completion_type", "NO_CHAIN", "NO_CHAIN", "CHAIN", "RELEASE", "0", "1", "2"),
	text("optimizer_switch", "index_merge=on,semijoin=on,materialization=on,derived_merge=on"),
	text("default_storage_engine", "InnoDB"), text("storage_engine", "InnoDB"), text("default_tmp_storage_engine", "InnoDB"),
	text("lc_messages", "en_US"), text("lc_time_names", "en_US"), text("default_week_format", "0"),
	text("character_set_filesystem", "binary"), text("block_encryption_mode", "aes-128-ecb"),
	oneOf("binlog_format", "ROW", "ROW", "STATEMENT", "MIXED"), text("default_collation_for_utf8mb4", "utf8mb4_bin"),
	number("information_schema_stats_expiry", 86_400, 0, yearSeconds),
	number("interactive_timeout", 28_800, 1, yearSeconds),
	number("net_read_timeout", 30, 1, yearSeconds), number("net_write_timeout", 60, 1, yearSeconds),
	number("net_buffer_length", 16_384, 1024, 1<<20), number("net_retry_count", 10, 1, maxInt63),
	number("query_cache_type", 0, 0, 2), number("query_cache_size", 0, 0, maxInt63),
	number("max_sort_length", 1024, 4, 8<<20), number("sort_buffer_size", 262_144, 32_768, maxInt63),
	number("join_buffer_size", 262_144, 128, maxInt63), number("read_buffer_size", 131_072, 8192, maxInt63),
	number("read_rnd_buffer_size", 262_144, 1, maxInt63), number("tmp_table_size", 16<<20, 1024, maxInt63),
	number("max_heap_table_size", 16<<20, 16_384, maxInt63), number("max_error_count", 1024, 0, 65_535),
	number("max_join_size", maxInt63, 1, maxInt63), number("max_length_for_sort_data", 1024, 4, 8<<20),
	number("max_points_in_geometry", 65_536, 3, 1<<20), number("max_sp_recursion_depth", 0, 0, 255),
	number("bulk_insert_buffer_size", 8<<20, 0, maxInt63), number("eq_range_index_dive_limit", 200, 0, maxInt63),
	number("rand_seed1", 0, 0, maxInt63).sessionOnly(),
	number("rand_seed2", 0, 0, maxInt63).sessionOnly(), number("identity", 0, 0, maxInt63).sessionOnly(),
	number("insert_id", 0, 0, maxInt63).sessionOnly(), number("pseudo_thread_id", 0, 0, maxInt63).sessionOnly(),
	number("optimizer_prune_level", 1, 0, 1), number("optimizer_search_depth", 62, 0, 62),
	number("range_optimizer_max_mem_size", 8<<20, 0, maxInt63), number("cte_max_recursion_depth", 1000, 0, 1<<32-1),
	number("profiling", 0, 0, 1), number("profiling_history_size", 15, 0, 100), number("sql_require_primary_key", 0, 0, 1),
	onOff("gtid_next", "OFF").sessionOnly(), onOff("show_old_temporals", "OFF"), onOff("windowing_use_high_precision", "ON"),
	onOff("print_identified_with_as_hex", "OFF"), onOff("require_secure_transport", "OFF").global(),
}

// serverVars say what this server is. hostname, port, version and paths are filled in by the Server.
var serverVars = []sysVar{
	readOnly("version", ""), readOnly("version_comment", "Scree Server (Apache License 2.0)"),
	readOnly("version_compile_os", ""), readOnly("version_compile_machine", ""), readOnly("version_compile_zlib", "1.2.11"),
	readOnly("hostname", "localhost"), readOnly("port", "4000"), readOnly("socket", ""), readOnly("basedir", ""),
	readOnly("datadir", ""), readOnly("tmpdir", ""), readOnly("pid_file", ""), readOnly("license", "Apache License 2.0"),
	readOnly("protocol_version", "10"), readOnly("lower_case_table_names", "2"), readOnly("lower_case_file_system", "ON"),
	readOnly("system_time_zone", "UTC"), readOnly("have_ssl", "DISABLED"), readOnly("have_openssl", "DISABLED"),
	readOnly("have_compress", "YES"), readOnly("have_profiling", "NO"), readOnly("have_query_cache", "NO"),
	readOnly("have_dynamic_loading", "NO"), readOnly("have_geometry", "NO"), readOnly("have_rtree_keys", "NO"),
	readOnly("have_symlink", "NO"), readOnly("performance_schema", "OFF"), readOnly("character_set_system", "utf8mb4"),
	readOnly("character_sets_dir", ""), readOnly("plugin_dir", ""), readOnly("secure_file_priv", ""), readOnly("skip_networking", "OFF"),
	readOnly("gtid_mode", "OFF"), readOnly("gtid_executed", ""), readOnly("gtid_purged", ""), readOnly("enforce_gtid_consistency", "OFF"),
	readOnly("log_bin", "OFF"), readOnly("server_id", "0"), readOnly("server_uuid", ""), readOnly("innodb_version", "8.0.11"), readOnly("slow_query_log_file", ""),
	readOnly("innodb_file_per_table", "ON"), readOnly("innodb_page_size", "16384"), readOnly("innodb_default_row_format", "dynamic"),
	readOnly("innodb_read_only", "OFF"), readOnly("ssl_ca", ""), readOnly("ssl_cert", ""), readOnly("ssl_key", ""),
	readOnly("thread_handling", "one-thread-per-connection"), readOnly("back_log", "80"), readOnly("large_page_size", "0"),
	readOnly("last_plan_from_cache", "0"), readOnly("warning_count", "0"), readOnly("error_count", "0"),
	readOnly("sql_select_limit_default", "18446744073709551615"), readOnly("default_authentication_plugin", "caching_sha2_password"),
	text("init_connect", "").global(), text("init_file", "").global(), onOff("read_only", "OFF").global(),
	onOff("super_read_only", "OFF").global(), onOff("local_infile", "ON").global(), onOff("general_log", "OFF").global(),
	onOff("event_scheduler", "OFF").global(), onOff("log_bin_trust_function_creators", "ON").global(),
	onOff("offline_mode", "OFF").global(), number("max_connections", 0, 0, 100_000).global(), number("max_user_connections", 0, 0, 100_000).global(),
	number("max_prepared_stmt_count", 16_382, 0, 4<<20).global(), number("connect_timeout", 10, 2, yearSeconds).global(),
	number("table_open_cache", 2000, 1, 524_288).global(), number("thread_cache_size", 9, 0, 16_384).global(),
	number("innodb_buffer_pool_size", 128<<20, 5<<20, maxInt63).global(), number("innodb_flush_log_at_trx_commit", 1, 0, 2).global(),
	number("sync_binlog", 1, 0, 1<<32-1).global(), number("expire_logs_days", 0, 0, 99).global(),
	number("binlog_expire_logs_seconds", 2_592_000, 0, 1<<32-1).global(), number("key_buffer_size", 8<<20, 0, maxInt63).global(),
}

// tidbVars are settings of TiDB that its tools make. Others whose names begin with tidb_ are accepted too.
var tidbVars = []sysVar{
	onOff("tidb_retry_limit", "10"),
	number("tidb_build_stats_concurrency", 2, 1, 256), number("tidb_index_serial_scan_concurrency", 1, 1, 256),
	text("tidb_isolation_read_engines", "tikv"), onOff("tidb_allow_mpp", "OFF"), onOff("tidb_enforce_mpp", "OFF"),
	onOff("tidb_multi_statement_mode", "OFF"), readOnly("tidb_config", ""), readOnly("tidb_current_ts", "0"),
	readOnly("tidb_last_txn_info", ""), readOnly("tidb_last_query_info", ""), number("tidb_opt_join_reorder_threshold", 0, 0, 63),
	text("tidb_default_string_match_selectivity", "0.8"), onOff("tidb_prefer_broadcast_join_by_exchange_data_size", "OFF"),
	number("tidb_analyze_version", 2, 1, 2), onOff("tidb_enable_clustered_index", "ON"), onOff("tidb_skip_utf8_check", "OFF"),
	number("tidb_ddl_reorg_worker_cnt", 4, 1, 256), number("tidb_ddl_reorg_batch_size", 256, 32, 10_240),
	oneOf("tidb_constraint_check_in_place", "OFF", "ON", "OFF"), onOff("tidb_enable_vectorized_expression", "ON"),
}

// lookup finds the definition of a variable by its lower-case name. Unknown names of TiDB's are text.
func lookup(name string) (sysVar, bool) {
	if v, ok := knownVars[name]; ok {
		return v, true
	}
	if strings.HasPrefix(name, "tidb_") {
		return sysVar{name: name}, true
	}
	return sysVar{}, false
}

// check brings a value into the variable's form. Numbers out of range come to the nearest bound, with a warning.
func (v sysVar) check(val string) (out string, clipped bool, err error) {
	switch v.kind {
	case kindSwitch:
		return v.checkSwitch(val)
	case kindInt:
		return v.checkInt(val)
	case kindDuration:
		return v.checkDuration(val)
	case kindOneOf:
		for _, o := range v.oneOf {
			if strings.EqualFold(o, val) {
				return o, false, nil
			}
		}
		return "", false, mysql.NewErr(mysql.ErrWrongValueForVar, v.name, val)
	default:
		return val, false, nil
	}
}

func (v sysVar) checkSwitch(val string) (string, bool, error) {
	switch strings.ToUpper(val) {
	case "ON", "1", "TRUE", "YES":
		return "ON", false, nil
	case "OFF", "0", "FALSE", "NO":
		return "OFF", false, nil
	}
	if v.value != "ON" && v.value != "OFF" {
		return val, false, nil
	}
	return "", false, mysql.NewErr(mysql.ErrWrongValueForVar, v.name, val)
}

func (v sysVar) checkInt(val string) (string, bool, error) {
	switch strings.ToUpper(val) {
	case "ON", "TRUE":
		val = "1"
	case "OFF", "FALSE":
		val = "0"
	case "18446744073709551615":
		return strconv.FormatInt(v.max, 10), false, nil
	}
	n, err := strconv.ParseInt(val, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(val, 64)
		if ferr != nil {
			return "", false, mysql.NewErr(mysql.ErrWrongTypeForVar, v.name)
		}
		n = int64(f)
	}
	in := min(max(n, v.min), v.max)
	return strconv.FormatInt(in, 10), in != n, nil
}

// globals are the values that new sessions begin with. They live in this gateway's memory.
type globals struct {
	mu   sync.RWMutex
	vals map[string]string
}

func newGlobals(fixed map[string]string) *globals {
	g := &globals{vals: make(map[string]string, len(knownVars))}
	for name, v := range knownVars {
		g.vals[name] = v.value
	}
	maps.Copy(g.vals, fixed)
	return g
}

func (g *globals) get(name string) (string, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	v, ok := g.vals[name]
	return v, ok
}

func (g *globals) set(name, val string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.vals[name] = val
}

// all copies the values, for a new session.
func (g *globals) all() map[string]string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return maps.Clone(g.vals)
}

// sorted lists variables by name.
func sorted(vals map[string]string) [][2]string {
	out := make([][2]string, 0, len(vals))
	for name, v := range vals {
		out = append(out, [2]string{name, v})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// parseSQLMode reads sql_mode as text or as the number that old clients set.
func parseSQLMode(val string) (string, mysql.SQLMode, error) {
	if n, err := strconv.ParseUint(val, 10, 64); err == nil {
		val = modeText(mysql.SQLMode(n))
	}
	val = mysql.FormatSQLModeStr(val)
	mode, err := mysql.GetSQLMode(val)
	if err != nil {
		return "", 0, mysql.NewErr(mysql.ErrWrongValueForVar, "sql_mode", val)
	}
	return val, mode, nil
}

func modeText(mode mysql.SQLMode) string {
	var names []string
	for name, bit := range mysql.Str2SQLMode {
		if bit != 0 && mode&bit == bit && bit&(bit-1) == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// errWrongValue is error 1231.
func errWrongValue(name string, val any) error {
	return mysql.NewErr(mysql.ErrWrongValueForVar, name, fmt.Sprint(val))
}
