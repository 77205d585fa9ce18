package session

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/terror"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver" // literals and parameter markers of the parser
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// Session is the state of one connection. All of it but mu's part belongs to the connection's goroutine.
type Session struct {
	srv  *Server
	conn *wire.Conn // nil for the server's own work
	id   uint64
	addr string // of the client, without a port
	// quiet: what it executes is not recorded.
	quiet bool

	db       string
	vars     map[string]string // system variables by lower-case name
	mode     mysql.SQLMode     // parsed sql_mode
	location *time.Location    // parsed time_zone
	userVars map[string]userVar
	parser   *parser.Parser
	prepared map[string]*prepared // by PREPARE, lower-case name

	txn     *transaction  // nil outside of one
	startTS atomic.Uint64 // of txn, for others to see; 0 without one
	begun   bool          // BEGIN was executed: txn, once there is one, lives until COMMIT
	// txnMode is what BEGIN said of the transaction: ast.Pessimistic, ast.Optimistic or nothing.
	txnMode string
	// nextIsolation is the level that SET TRANSACTION gave the next transaction, if it did.
	nextIsolation string
	// nextPast is the time that SET TRANSACTION sent the next transaction or query back to, 0 for none.
	nextPast uint64
	snapshot *past // what tidb_snapshot says; nil: the present
	// contended: the statement outside of a transaction that runs has failed for another transaction's writes or locks, and is
	// run again.
	contended bool
	// bulk: the statement outside of a transaction that runs is a bulk write.
	bulk    bool
	holder  *catalog.LockHolder
	coming  arrival       // of the next statement
	trace   *trace        // of the statement that runs; nil: none does
	slow    time.Duration // long_query_time, if slowSet
	slowSet bool

	warnings     []warning // of the last statement that was not SHOW WARNINGS
	lastInsertID uint64
	rowCount     int64
	foundRows    uint64

	mu struct {
		sync.Mutex
		command string // as the process list shows it
		info    string
		db      string
		since   time.Time
		trace   *trace                  // of the running statement
		locking bool                    // the statement takes locks, and may wait for them
		cancel  context.CancelCauseFunc // of the running statement; nil if there is none
	}
}

type userVar struct {
	val datum.Datum
	ft  *tipb.FieldType
}

type warning struct {
	level   string // Note, Warning or Error
	code    uint16
	message string
}

// maxWarnings is how many warnings of a statement are kept.
const maxWarnings = 1024

var _ wire.Session = (*Session)(nil)

// newSession makes a session; c is nil for the server's own work.
func newSession(srv *Server, c *wire.Conn) *Session {
	s := &Session{srv: srv, conn: c, holder: srv.catalog.Locks().NewHolder(), parser: parser.New()}
	s.addr = "localhost"
	if c != nil {
		s.id, s.addr = c.ID(), c.Host()
	}
	s.mu.command, s.mu.since = "Sleep", time.Now()
	s.setDefaults()
	srv.enter(s)
	return s
}

// setDefaults brings everything that a client can set back to the server's values.
func (s *Session) setDefaults() {
	s.vars = s.srv.globals.all()
	s.userVars = make(map[string]userVar)
	s.prepared = make(map[string]*prepared)
	s.applyMode(s.vars["sql_mode"])
	s.location = zoneOf(s.vars["time_zone"])
	s.nextIsolation, s.nextPast, s.snapshot = "", 0, nil
	s.warnings, s.lastInsertID, s.rowCount, s.foundRows = nil, 0, 0, 0
	s.slowSet = false
}

func (s *Session) applyMode(text string) {
	if _, mode, err := parseSQLMode(text); err == nil {
		s.mode = mode
		s.parser.SetSQLMode(mode)
	}
}

// zoneOf reads a time_zone that was checked when it was set.
func zoneOf(name string) *time.Location {
	loc, err := parseZone(name)
	if err != nil {
		return time.Local
	}
	return loc
}

// user is the connection's user, host its address.
func (s *Session) user() string {
	if s.conn == nil {
		return "root"
	}
	return s.conn.User()
}

func (s *Session) host() string { return s.addr }

// Query implements wire.Session.
func (s *Session) Query(ctx context.Context, text string, w *wire.Writer) error {
	begin := time.Now()
	if stmt, ok := s.parseBulk(text); ok {
		s.coming.parse = time.Since(begin)
		return s.execute(ctx, stmt, text, nil, w)
	}
	stmts, err := s.parse(text)
	if err != nil {
		return s.fail(ctx, err)
	}
	if len(stmts) == 0 {
		if strings.TrimSpace(text) == "" {
			return s.fail(ctx, errCode(mysql.ErrEmptyQuery))
		}
		return w.OK(wire.OK{}) // nothing but comments
	}
	if len(stmts) > 1 && !w.Conn().Has(mysql.ClientMultiStatements) {
		return s.fail(ctx, sqlError(codeMultiStatements, "client has multi-statement capability disabled"))
	}
	s.coming.parse = time.Since(begin)
	for i, stmt := range stmts {
		w.More = i < len(stmts)-1
		if err := s.execute(ctx, stmt, stmt.Text(), nil, w); err != nil {
			return err
		}
	}
	return nil
}

// parse turns a text into statements. The parser keeps its own list of them for the next text, hence the copy.
func (s *Session) parse(text string) ([]ast.StmtNode, error) {
	if storageEngines.MatchString(text) {
		text = "SHOW ENGINES" // the longer form is not in the grammar
	}
	stmts, err := s.parseText(text)
	if err == nil {
		return slices.Clone(stmts), nil
	}
	if strings.TrimSpace(text) == "select $$" {
		// mysql's shell asks this to learn whether $$ is a column name, and wants this error.
		return nil, errCode(mysql.ErrBadField, "$$", "field list")
	}
	var refused *mysql.SQLError
	if errors.As(err, &refused) {
		return nil, refused
	}
	var known *terror.Error
	if errors.As(err, &known) && known.Code() != mysql.ErrParse && known.Code() != mysql.ErrUnknown {
		return nil, terror.ToSQLError(known)
	}
	return nil, sqlError(mysql.ErrParse, "You have an error in your SQL syntax; check the manual that corresponds to your Scree version for the right syntax to use %s", err)
}

// parseBulk parses an INSERT of many rows by its first row. Whatever is unusual about a text is left to parseText.
func (s *Session) parseBulk(text string) (*dml.BulkInsert, bool) {
	if !strings.HasPrefix(s.vars["character_set_client"], "utf8") {
		return nil, false
	}
	head, values, width, ok := dml.CutValues(text, s.mode)
	if !ok {
		return nil, false
	}
	stmts, err := s.parseText(head)
	if err != nil || len(stmts) != 1 {
		return nil, false
	}
	stmt, ok := stmts[0].(*ast.InsertStmt)
	if !ok || stmt.Select != nil || len(stmt.Lists) != 1 || len(stmt.Lists[0]) != width {
		return nil, false
	}
	return &dml.BulkInsert{InsertStmt: stmt, Values: values}, true
}

var storageEngines = regexp.MustCompile(`(?i)^\s*show\s+storage\s+engines\s*;?\s*$`)

// fail records an error outside of any statement's run.
func (s *Session) fail(ctx context.Context, err error) error {
	e := toSQLError(ctx, err)
	s.warnings = []warning{{"Error", e.Code, e.Message}}
	return e
}

// Use implements wire.Session.
func (s *Session) Use(_ context.Context, db string) error {
	d, err := s.schema().Database(db)
	if err != nil {
		return err
	}
	s.setDB(d.Name)
	s.vars["character_set_database"], s.vars["collation_database"] = d.Charset, d.Collate
	return nil
}

func (s *Session) setDB(name string) {
	s.db = name
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.db = name
}

// Columns implements wire.Session.
func (s *Session) Columns(_ context.Context, table, _ string) ([]wire.Column, error) {
	if s.db == "" {
		return nil, errCode(mysql.ErrNoDB)
	}
	t, err := s.schema().Table(s.db, table)
	if err != nil {
		return nil, err
	}
	out := make([]wire.Column, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = wire.Column{DB: t.DB, Table: t.Name, OrigTable: t.Name, Name: c.Name, OrigName: c.Name, Type: c.Type}
	}
	return out, nil
}

// Statistics implements wire.Session.
func (s *Session) Statistics() string {
	up := time.Since(s.srv.started)
	n := s.srv.queries.Load()
	return fmt.Sprintf("Uptime: %d  Threads: %d  Questions: %d  Slow queries: %d  Opens: 0  Flush tables: 0  Open tables: 0  Queries per second avg: %.3f",
		int(up.Seconds()), len(s.srv.all()), n, s.srv.insight.SlowCount(), float64(n)/max(up.Seconds(), 1))
}

// Kill implements wire.Session.
func (s *Session) Kill(_ context.Context, id uint64) error { return s.srv.kill(id, false) }

// Reset implements wire.Session.
func (s *Session) Reset(ctx context.Context) error {
	s.rollback()
	s.srv.locks.releaseAll(s.id)
	s.setDefaults()
	return ctx.Err()
}

// Status implements wire.Session.
func (s *Session) Status() uint16 {
	var status uint16
	if s.autocommit() {
		status |= mysql.ServerStatusAutocommit
	}
	if s.begun || s.txn != nil && !s.autocommit() {
		status |= mysql.ServerStatusInTrans
	}
	if s.mode.HasNoBackslashEscapesMode() {
		status |= mysql.ServerStatusNoBackslashEscaped
	}
	return status
}

// Idle implements wire.Session.
func (s *Session) Idle() time.Duration { return time.Duration(s.intVar("wait_timeout")) * time.Second }

// MaxPacket implements wire.Session.
func (s *Session) MaxPacket() int { return int(s.intVar("max_allowed_packet")) }

// intVar is a variable whose value was checked to be a number.
func (s *Session) intVar(name string) int64 {
	n, err := strconv.ParseInt(s.vars[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (s *Session) autocommit() bool { return s.vars["autocommit"] == "ON" }

// Close implements wire.Session.
func (s *Session) Close() {
	s.rollback()
	s.srv.locks.releaseAll(s.id)
	s.srv.leave(s)
}

// interrupt ends the running statement, from another goroutine.
func (s *Session) interrupt(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.cancel != nil {
		s.mu.cancel(cause)
	}
}

func (s *Session) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.cancel != nil
}

// started tells the process list what runs, and returns the statement's context and what ends it. max_execution_time
// bounds queries only, as in MySQL.
func (s *Session) started(ctx context.Context, stmt ast.StmtNode, text string, t *trace) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	s.mu.command, s.mu.info, s.mu.since, s.mu.cancel = "Query", text, t.begin, cancel
	s.mu.trace = t
	s.mu.Unlock()
	s.srv.queries.Add(1)
	stop := func() {}
	if limit := s.intVar("max_execution_time"); limit > 0 && isQuery(stmt) {
		timer := time.AfterFunc(time.Duration(limit)*time.Millisecond, func() { cancel(errTimeout) })
		stop = func() { timer.Stop() }
	}
	return ctx, func() {
		stop()
		cancel(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.command, s.mu.info, s.mu.since, s.mu.cancel = "Sleep", "", time.Now(), nil
		s.mu.trace = nil
	}
}

// locking tells the process list that the statement takes locks, or no longer.
func (s *Session) locking(now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.locking = now
}

func isQuery(stmt ast.StmtNode) bool {
	switch stmt.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt:
		return true
	default:
		return false
	}
}

// process is the session's line in the process list.
func (s *Session) process() infoschema.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := infoschema.Process{ID: s.id, User: s.user(), DB: s.mu.db, Command: s.mu.command, Info: s.mu.info, Since: s.mu.since,
		StartTS: s.startTS.Load()}
	if t := s.mu.trace; t != nil {
		p.Digest, p.Memory = s.srv.insight.Digest(s.mu.info), t.memory.Load().Used()
	}
	if s.conn != nil {
		p.Host = s.conn.RemoteAddr()
	}
	switch {
	case s.mu.locking:
		p.State = infoschema.LockingState
	case s.mu.cancel != nil:
		p.State = "executing"
	}
	return p
}

func (s *Session) warn(level string, code uint16, message string) {
	if len(s.warnings) < maxWarnings {
		s.warnings = append(s.warnings, warning{level, code, message})
	}
}
