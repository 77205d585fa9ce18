package session

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// show answers a SHOW statement: it makes the whole result, then filters it by LIKE and WHERE.
func (r *run) show(stmt *ast.ShowStmt, w *wire.Writer) error {
	producer := showSchema[stmt.Tp]
	if producer == nil {
		producer = showServer[stmt.Tp]
	}
	if producer == nil {
		return errNotSupported("%s", firstWords(r.text))
	}
	t, err := producer(r, stmt)
	if err != nil {
		return err
	}
	return r.reply(t, w, t.conditions(stmt, 0)...)
}

type producer func(r *run, stmt *ast.ShowStmt) (*table, error)

// showServer are the SHOW statements about the server and the session.
var showServer map[ast.ShowStmtType]producer

func init() {
	showServer = map[ast.ShowStmtType]producer{
		ast.ShowVariables:     showVariables,
		ast.ShowStatus:        showStatus,
		ast.ShowWarnings:      showWarnings,
		ast.ShowErrors:        showWarnings,
		ast.ShowEngines:       showEngines,
		ast.ShowCharset:       showCharset,
		ast.ShowCollation:     showCollation,
		ast.ShowProcessList:   showProcessList,
		ast.ShowGrants:        showGrants,
		ast.ShowPlugins:       showPlugins,
		ast.ShowPrivileges:    showPrivileges,
		ast.ShowMasterStatus:  none("File", "#Position", "Binlog_Do_DB", "Binlog_Ignore_DB", "Executed_Gtid_Set"),
		ast.ShowBinlogStatus:  none("File", "#Position", "Binlog_Do_DB", "Binlog_Ignore_DB", "Executed_Gtid_Set"),
		ast.ShowReplicaStatus: none("Replica_IO_State", "Source_Host", "Source_User", "#Source_Port"),
		ast.ShowProfiles:      none("#Query_ID", "Duration", "Query"),
		ast.ShowProfile:       none("Status", "Duration"),
		ast.ShowTriggers: none("Trigger", "Event", "Table", "Statement", "Timing", "@Created", "sql_mode", "Definer",
			"character_set_client", "collation_connection", "Database Collation"),
		ast.ShowEvents: none("Db", "Name", "Definer", "Time zone", "Type", "@Execute At", "Interval Value", "Interval Field",
			"@Starts", "@Ends", "Status", "#Originator", "character_set_client", "collation_connection", "Database Collation"),
		ast.ShowProcedureStatus: routineStatus,
		ast.ShowFunctionStatus:  routineStatus,
		ast.ShowOpenTables:      none("Database", "Table", "#In_use", "#Name_locked"),
		ast.ShowRegions:         showRegions,
		ast.ShowBuiltins:        none("Supported_builtin_functions"),
	}
}

// none answers with an empty result: there are no such things here.
func none(names ...string) producer {
	return func(*run, *ast.ShowStmt) (*table, error) { return newTable(names...), nil }
}

var routineStatus = none("Db", "Name", "Type", "Definer", "@Modified", "@Created", "Security_type", "Comment",
	"character_set_client", "collation_connection", "Database Collation")

func showVariables(r *run, stmt *ast.ShowStmt) (*table, error) {
	t := newTable("Variable_name", "Value")
	for _, v := range r.s.variables(stmt.GlobalScope) {
		val := v[1]
		if live, ok := r.s.sysVar(v[0], stmt.GlobalScope); ok {
			val = live
		}
		t.add(v[0], val)
	}
	return t, nil
}

func showStatus(r *run, _ *ast.ShowStmt) (*table, error) {
	t := newTable("Variable_name", "Value")
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	connected, running := r.s.srv.load()
	for _, v := range [][2]string{
		{"Compression", "OFF"},
		{"Memory_used", strconv.FormatUint(mem.HeapInuse, 10)},
		{"Queries", strconv.FormatUint(r.s.srv.queries.Load(), 10)},
		{"Questions", strconv.FormatUint(r.s.srv.queries.Load(), 10)},
		{"Slow_queries", strconv.FormatUint(r.s.srv.insight.SlowCount(), 10)},
		{"Ssl_cipher", ""},
		{"Ssl_cipher_list", ""},
		{"Ssl_version", ""},
		{"Threads_connected", strconv.Itoa(connected)},
		{"Threads_running", strconv.Itoa(running)},
		{"Uptime", strconv.Itoa(int(time.Since(r.s.srv.started).Seconds()))},
	} {
		t.add(v[0], v[1])
	}
	return t, nil
}

func showWarnings(r *run, stmt *ast.ShowStmt) (*table, error) {
	onlyErrors := stmt.Tp == ast.ShowErrors
	if stmt.CountWarningsOrErrors {
		if onlyErrors {
			return count("@@session.error_count", r.s.errorCount()), nil
		}
		return count("@@session.warning_count", len(r.s.warnings)), nil
	}
	t := newTable("Level", "#Code", "Message")
	for _, w := range r.s.warnings {
		if !onlyErrors || w.level == "Error" {
			t.add(w.level, int64(w.code), w.message)
		}
	}
	return t, nil
}

func count(name string, n int) *table {
	t := newTable("#" + name)
	t.add(int64(n))
	return t
}

func showEngines(r *run, _ *ast.ShowStmt) (*table, error) {
	return r.fromInfoschema("ENGINES", "Engine", "Support", "Comment", "Transactions", "XA", "Savepoints")
}

// fromInfoschema shows the first columns of a table of information_schema under other names.
func (r *run) fromInfoschema(name string, columns ...string) (*table, error) {
	def, err := r.Schema().Table(infoschema.Name, name)
	if err != nil {
		return nil, err
	}
	rows, err := infoschema.Rows(r.ctx, def, r)
	if err != nil {
		return nil, err
	}
	t := newTable(columns...)
	for _, row := range rows {
		t.rows = append(t.rows, row[:len(columns)])
	}
	return t, nil
}

func showCharset(*run, *ast.ShowStmt) (*table, error) {
	t := newTable("Charset", "Description", "Default collation", "#Maxlen")
	for _, c := range charset.GetSupportedCharsets() {
		t.add(c.Name, c.Desc, c.DefaultCollation, int64(c.Maxlen))
	}
	return t, nil
}

func showCollation(r *run, _ *ast.ShowStmt) (*table, error) {
	return r.fromInfoschema("COLLATIONS", "Collation", "Charset", "#Id", "Default", "Compiled", "#Sortlen", "Pad_attribute")
}

// shownInfo is how much of a statement the process list shows without FULL, in bytes.
const shownInfo = 100

func showProcessList(r *run, stmt *ast.ShowStmt) (*table, error) {
	t := newTable("#Id", "User", "Host", "db", "Command", "#Time", "State", "Info")
	for _, p := range r.Processes() {
		info := p.Info
		if !stmt.Full && len(info) > shownInfo {
			info = strings.ToValidUTF8(info[:shownInfo], "")
		}
		t.add(p.ID, p.User, p.Host, orNull(p.DB), p.Command, int64(time.Since(p.Since)/time.Second), p.State, orNull(info))
	}
	return t, nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// showGrants: there is one kind of user, and it may do everything.
func showGrants(r *run, stmt *ast.ShowStmt) (*table, error) {
	user := r.s.user()
	if stmt.User != nil && !stmt.User.CurrentUser {
		user = stmt.User.Username
		if _, known := r.s.srv.Account(user, ""); !known {
			return nil, errCode(mysql.ErrNonexistingGrant, user, stmt.User.Hostname)
		}
	}
	t := newTable(fmt.Sprintf("Grants for %s@%%", user))
	t.add(fmt.Sprintf("GRANT ALL PRIVILEGES ON *.* TO '%s'@'%%' WITH GRANT OPTION", user))
	return t, nil
}

func showPlugins(*run, *ast.ShowStmt) (*table, error) {
	t := newTable("Name", "Status", "Type", "Library", "License")
	t.add(mysql.AuthNativePassword, "ACTIVE", "AUTHENTICATION", nil, "Apache-2.0")
	t.add(mysql.AuthCachingSha2Password, "ACTIVE", "AUTHENTICATION", nil, "Apache-2.0")
	return t, nil
}

func showPrivileges(*run, *ast.ShowStmt) (*table, error) {
	t := newTable("Privilege", "Context", "Comment")
	for _, p := range [][3]string{
		{"Alter", "Tables", "To alter the table"},
		{"Create", "Databases,Tables,Indexes", "To create new databases and tables"},
		{"Delete", "Tables", "To delete existing rows"},
		{"Drop", "Databases,Tables", "To drop databases, tables, and views"},
		{"Index", "Tables", "To create or drop indexes"},
		{"Insert", "Tables", "To insert data into tables"},
		{"Select", "Tables", "To retrieve rows from table"},
		{"Update", "Tables", "To update existing rows"},
	} {
		t.add(p[0], p[1], p[2])
	}
	return t, nil
}

// tableOf finds the table that a SHOW statement names.
func (r *run) tableOf(stmt *ast.ShowStmt) (*catalog.Table, error) {
	db := stmt.DBName
	if stmt.Table.Schema.O != "" {
		db = stmt.Table.Schema.O
	}
	if db == "" {
		db = r.s.db
	}
	if db == "" {
		return nil, errCode(mysql.ErrNoDB)
	}
	return r.Schema().Table(db, stmt.Table.Name.O)
}
