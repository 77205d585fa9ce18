package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// run is one execution of one statement: what the planner sees as schema (planner.Schema), variables (planner.Vars,
// planner.SessionFuncs) and runtime (planner.Runtime, see runtime.go).
type run struct {
	s    *Session
	ctx  context.Context
	stmt ast.StmtNode
	text string
	args []wire.Param
	now  time.Time
	env  *executor.Env
	w    *wire.Writer
	// known is what is left of the statement's executions before; nil for one that is not prepared.
	known *recordRead
}

var (
	_ planner.Schema       = (*run)(nil)
	_ planner.Vars         = (*run)(nil)
	_ planner.SessionFuncs = (*run)(nil)
	_ planner.Runtime      = (*run)(nil)
)

func (s *Session) newRun(ctx context.Context, stmt ast.StmtNode, text string, args []wire.Param) *run {
	r := &run{s: s, ctx: ctx, stmt: stmt, text: text, args: args, now: s.clock()}
	r.env = &executor.Env{
		Expr: &expr.Context{
			Flags: s.exprFlags(stmt), SQLMode: exprMode(s.mode), Location: s.location,
			DivPrecisionIncrement: int(s.intVar("div_precision_increment")),
			MaxAllowedPacket:      uint64(s.intVar("max_allowed_packet")),
			Warnings:              &expr.Warnings{Limit: maxWarnings},
			Now:                   func() time.Time { return r.now },
			Random:                rand.Uint64,
			Err:                   ctx.Err,
		},
		Memory: s.memory(),
		Spill:  s.srv.cfg.Spill,
	}
	if s.trace != nil {
		s.trace.memory.Store(r.env.Memory)
	}
	return r
}

// clock is the statement's time: SET timestamp stops it.
func (s *Session) clock() time.Time {
	if fixed := s.intVar("timestamp"); fixed > 0 {
		return time.Unix(fixed, 0).In(s.location)
	}
	return time.Now().In(s.location)
}

// Bits of tipb.DAGRequest.flags.
const (
	flagTruncateAsWarning     = 1 << 1
	flagInInsert              = 1 << 3
	flagInUpdateOrDelete      = 1 << 4
	flagInSelect              = 1 << 5
	flagOverflowAsWarning     = 1 << 6
	flagDivideByZeroAsWarning = 1 << 8
	flagInLoadData            = 1 << 10
)

// exprFlags says what expressions do about values that do not fit: SELECT warns, strict changes fail.
func (s *Session) exprFlags(stmt ast.StmtNode) uint64 {
	var flags uint64
	ignore := false
	switch n := stmt.(type) {
	case *ast.InsertStmt:
		flags, ignore = flagInInsert, n.IgnoreErr
	case *dml.BulkInsert:
		flags, ignore = flagInInsert, n.IgnoreErr
	case *ast.UpdateStmt:
		flags, ignore = flagInUpdateOrDelete, n.IgnoreErr
	case *ast.DeleteStmt:
		flags, ignore = flagInUpdateOrDelete, n.IgnoreErr
	case *ast.LoadDataStmt:
		return flagInLoadData | flagInInsert | flagTruncateAsWarning | flagOverflowAsWarning | flagDivideByZeroAsWarning
	default:
		return flagInSelect | flagTruncateAsWarning | flagOverflowAsWarning | flagDivideByZeroAsWarning
	}
	if !s.mode.HasStrictMode() || ignore {
		return flags | flagTruncateAsWarning | flagOverflowAsWarning | flagDivideByZeroAsWarning
	}
	if !s.mode.HasErrorForDivisionByZeroMode() {
		flags |= flagDivideByZeroAsWarning
	}
	return flags
}

// wireAllowInvalidDates is ALLOW_INVALID_DATES among the bits of tipb.DAGRequest.sql_mode, where it is not the
// parser's bit. The other bits agree.
const wireAllowInvalidDates = 1 << 25

func exprMode(mode mysql.SQLMode) uint64 {
	bits := uint64(mode) & (1<<32 - 1)
	if mode.HasAllowInvalidDatesMode() {
		bits |= wireAllowInvalidDates
	}
	return bits
}

// planContext is what planning this statement needs.
func (r *run) planContext() *planner.Context {
	c := &planner.Context{Schema: r, DB: r.s.db, Vars: r, Expr: r.env.Expr, InTransaction: r.s.inTransaction(), AsOf: r.s.inPast()}
	c.Params, c.ParamTypes = r.params()
	return c
}

// Table implements planner.Schema. A base table is held against DDL until the transaction ends.
func (r *run) Table(db, name string) (*catalog.Table, error) {
	if db == "" {
		db = r.s.db
	}
	if db == "" {
		return nil, &planner.Error{Code: mysql.ErrNoDB, Message: "No database selected"}
	}
	if p := r.s.reading(); p != nil {
		return r.pastTable(p, db, name)
	}
	for {
		t, err := r.s.srv.catalog.Current().Table(db, name)
		if err != nil {
			return nil, planError(err)
		}
		if t.Virtual || t.View != nil {
			return t, nil
		}
		if err := r.lock(t); err != nil {
			return nil, planError(err)
		}
		if now, err := r.s.srv.catalog.Current().Table(db, name); err == nil && now == t {
			return t, r.checkAge(t)
		}
	}
}

func (r *run) lock(t *catalog.Table) error {
	wait := time.Duration(r.s.intVar("lock_wait_timeout")) * time.Second
	ctx, cancel := context.WithTimeout(r.ctx, wait)
	defer cancel()
	return r.s.srv.catalog.Locks().Share(ctx, r.s.holder, t.ID)
}

// checkAge refuses a table that was changed after the transaction's snapshot was taken in a way that the snapshot does
// not show.
func (r *run) checkAge(t *catalog.Table) error {
	if txn := r.s.txn; txn != nil && txn.kv.StartTS() < t.SchemaTS {
		return &planner.Error{Code: codeTableDefChanged, Message: "Table definition has changed, please retry transaction"}
	}
	return nil
}

// planError gives the catalog's errors the type that the planner promises.
func planError(err error) error {
	var e *mysql.SQLError
	if errors.As(err, &e) {
		return &planner.Error{Code: e.Code, Message: e.Message}
	}
	return err
}

// RowCount implements planner.Schema.
func (r *run) RowCount(t *catalog.Table) float64 { return r.s.srv.catalog.RowCount(t) }

// NDV implements planner.Schema.
func (r *run) NDV(t *catalog.Table, col int) float64 { return r.s.srv.catalog.NDV(t, col) }

// Analyzed implements planner.Schema.
func (r *run) Analyzed(t *catalog.Table) bool { return r.s.srv.catalog.Analyzed(t) }

// SysVar implements planner.Vars.
func (r *run) SysVar(name string, global bool) (string, bool) {
	return r.s.sysVar(strings.ToLower(name), global)
}

// UserVar implements planner.Vars; an unset variable is NULL.
func (r *run) UserVar(name string) (datum.Datum, *tipb.FieldType) {
	v := r.s.userVars[strings.ToLower(name)]
	return v.val, v.ft
}

// Now implements planner.Vars.
func (r *run) Now() time.Time { return r.now }

// Info implements planner.Vars.
func (r *run) Info(name string) (datum.Datum, bool) {
	s := r.s
	switch strings.ToUpper(name) {
	case "DATABASE", "SCHEMA":
		if s.db == "" {
			return datum.Datum{}, true
		}
		return datum.NewString(s.db), true
	case "USER":
		return datum.NewString(s.user() + "@" + s.host()), true
	case "CURRENT_USER":
		return datum.NewString(s.user() + "@%"), true
	case "CURRENT_ROLE":
		return datum.NewString("NONE"), true
	case "CONNECTION_ID":
		return datum.NewUint64(s.id), true
	case "VERSION":
		return datum.NewString(s.srv.Version()), true
	case "TIDB_VERSION":
		return datum.NewString("Release Version: " + s.srv.cfg.Version + "\nEdition: Scree"), true
	case "LAST_INSERT_ID":
		return datum.NewUint64(s.lastInsertID), true
	case "ROW_COUNT":
		return datum.NewInt64(s.rowCount), true
	case "FOUND_ROWS":
		return datum.NewUint64(s.foundRows), true
	default:
		return datum.Datum{}, false
	}
}

// Env implements planner.Runtime.
func (r *run) Env() *executor.Env { return r.env }
