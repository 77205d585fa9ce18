package session

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// varFromColumn takes the only row of a result out of the memory of whoever computed it.
func varFromColumn(arr arrow.Array, ft *tipb.FieldType) userVar {
	d := datum.FromColumn(arr, 0, ft)
	switch d.Kind() {
	case datum.Bytes:
		d = datum.NewBytes(bytes.Clone(d.Bytes()))
	case datum.JSON:
		d = datum.NewJSON(bytes.Clone(d.Bytes()))
	}
	return userVar{d, ft}
}

func textOf(d datum.Datum) string { return string(d.Bytes()) }

func parseID(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) }

// set runs SET: all values are computed and checked in order, each seeing those before it.
func (r *run) set(stmt *ast.SetStmt) error {
	for _, a := range stmt.Variables {
		if err := r.assign(a); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) assign(a *ast.VariableAssignment) error {
	switch {
	case a.Name == ast.SetNames || a.Name == ast.SetCharset:
		return r.setNames(a)
	case !a.IsSystem:
		v, err := r.eval(a.Value)
		if err == nil {
			r.s.userVars[strings.ToLower(a.Name)] = v
		}
		return err
	}
	name := strings.ToLower(a.Name)
	switch name {
	case "tx_isolation_one_shot":
		return r.setNextIsolation(a)
	case "tx_read_ts":
		return r.setNextTS(a)
	}
	v, known := lookup(name)
	if !known {
		return errCode(mysql.ErrUnknownSystemVariable, a.Name)
	}
	val, null, err := r.assigned(v, a)
	if err != nil {
		return err
	}
	if null {
		return r.setNull(v)
	}
	return r.setSystem(v, val, a.IsGlobal)
}

// setNextIsolation is SET TRANSACTION ISOLATION LEVEL: the level of the next transaction alone.
func (r *run) setNextIsolation(a *ast.VariableAssignment) error {
	if r.s.begun || r.s.txn != nil {
		return errCode(mysql.ErrCantChangeTxCharacteristics)
	}
	v, _ := lookup("transaction_isolation")
	val, null, err := r.assigned(v, a)
	if err == nil && null {
		err = errWrongValue(v.name, "NULL")
	}
	if err == nil {
		val, _, err = v.check(val)
	}
	if err == nil {
		r.s.nextIsolation, err = checkMeaning(v.name, val)
	}
	return err
}

// assigned is the value of an assignment: DEFAULT, a bare word such as ON or utf8mb4, or an expression.
func (r *run) assigned(v sysVar, a *ast.VariableAssignment) (val string, null bool, err error) {
	switch e := a.Value.(type) {
	case *ast.DefaultExpr:
		if a.IsGlobal {
			return v.value, false, nil
		}
		val, _ = r.s.srv.globals.get(v.name)
		return val, false, nil
	case *ast.ColumnNameExpr:
		return e.Name.Name.O, false, nil
	default:
		return r.evalText(a.Value)
	}
}

// setNull: only character_set_results may be NULL, which means to convert nothing.
func (r *run) setNull(v sysVar) error {
	if v.name != "character_set_results" {
		return errWrongValue(v.name, "NULL")
	}
	r.s.vars[v.name] = ""
	return nil
}

func (r *run) setSystem(v sysVar, val string, global bool) error {
	if v.scope == scopeReadOnly {
		return errCode(mysql.ErrIncorrectGlobalLocalVar, v.name, "read only")
	}
	if v.scope == scopeGlobal && !global {
		return sqlError(mysql.ErrGlobalVariable, "Variable '%s' is a GLOBAL variable and should be set with SET GLOBAL", v.name)
	}
	if v.scope == scopeSession && global {
		return sqlError(mysql.ErrLocalVariable, "Variable '%s' is a SESSION variable and can't be used with SET GLOBAL", v.name)
	}
	out, clipped, err := v.check(val)
	if err != nil {
		return err
	}
	if out, err = checkMeaning(v.name, out); err != nil {
		return err
	}
	if clipped {
		r.s.warn("Warning", mysql.ErrTruncatedWrongValue, fmt.Sprintf("Truncated incorrect %s value: '%s'", v.name, val))
	}
	if global {
		if ok, err := r.s.srv.setGC(r.ctx, v.name, out); ok {
			return err
		}
		r.s.srv.globals.set(v.name, out)
		r.s.srv.setInsight(v.name, out)
		return nil
	}
	return r.apply(v.name, out)
}

// checkMeaning refuses values that have the right form and cannot be had.
func checkMeaning(name, val string) (string, error) {
	switch name {
	case "sql_mode":
		text, _, err := parseSQLMode(val)
		return text, err
	case "time_zone":
		_, err := parseZone(val)
		return val, err
	case "transaction_isolation", "tx_isolation":
		if val == "SERIALIZABLE" || val == "READ-UNCOMMITTED" {
			return "", sqlError(codeUnsupportedLevel, "The isolation level '%s' is not supported. Transactions read snapshots, as REPEATABLE-READ does", val)
		}
	case "character_set_client", "character_set_connection", "character_set_results", "character_set_server", "character_set_database":
		info, err := charset.GetCharsetInfo(val)
		if err != nil || !usableCharset(info.Name) {
			return "", errCode(mysql.ErrUnknownCharacterSet, val)
		}
		return info.Name, nil
	case "long_query_time":
		d, err := parseSeconds(val)
		return secondsText(d), err
	case "collation_connection", "collation_server", "collation_database":
		if _, err := catalog.CollationID(val); err != nil {
			return "", err
		}
		return strings.ToLower(val), nil
	}
	return val, nil
}

// usableCharset: texts and results go through unchanged, so that only sets that UTF-8 contains can be served.
func usableCharset(name string) bool {
	switch name {
	case "utf8mb4", "utf8", "ascii", "latin1", "binary":
		return true
	default:
		return false
	}
}

// apply gives the session a value, with what hangs on it.
func (r *run) apply(name, val string) error {
	s := r.s
	switch name {
	case "autocommit":
		if val == "ON" && !s.autocommit() {
			if err := s.commit(r.ctx); err != nil {
				return err
			}
		}
	case "sql_mode":
		s.applyMode(val)
	case "long_query_time":
		slow, err := parseSeconds(val)
		if err != nil {
			return err
		}
		s.slow, s.slowSet = slow, true
	case "time_zone":
		s.location = zoneOf(val)
		r.env.Expr.Location = s.location
	case "tidb_snapshot":
		if err := r.setSnapshot(val); err != nil {
			return err
		}
	case "transaction_isolation":
		s.vars["tx_isolation"] = val
	case "tx_isolation":
		s.vars["transaction_isolation"] = val
	case "transaction_read_only":
		s.vars["tx_read_only"] = val
	case "tx_read_only":
		s.vars["transaction_read_only"] = val
	case "last_insert_id", "identity":
		id, err := parseID(val)
		if err != nil {
			return errWrongValue(name, val)
		}
		s.lastInsertID = id
	case "character_set_connection":
		if info, err := charset.GetCharsetInfo(val); err == nil {
			s.vars["collation_connection"] = info.DefaultCollation
		}
	case "collation_connection":
		if co, err := charset.GetCollationByName(val); err == nil {
			s.vars["character_set_connection"] = co.CharsetName
		}
	}
	s.vars[name] = val
	return nil
}

// setNames is SET NAMES and SET CHARACTER SET.
func (r *run) setNames(a *ast.VariableAssignment) error {
	cs, collate := mysql.DefaultCharset, ""
	if _, isDefault := a.Value.(*ast.DefaultExpr); !isDefault {
		text, null, err := r.evalText(a.Value)
		if err != nil || null {
			return errCode(mysql.ErrUnknownCharacterSet, text)
		}
		cs = text
	}
	if a.ExtendValue != nil {
		collate = a.ExtendValue.GetString()
	}
	cs, err := checkMeaning("character_set_client", cs)
	if err != nil {
		return err
	}
	cs, collate, err = catalog.ResolveCharset(cs, collate, cs, "")
	if err != nil {
		return err
	}
	for _, name := range []string{"character_set_client", "character_set_results", "character_set_connection"} {
		r.s.vars[name] = cs
	}
	r.s.vars["collation_connection"] = collate
	return nil
}

// parseZone reads SYSTEM, an offset, or a name of the time zone database.
func parseZone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "SYSTEM") || name == "" {
		return time.Local, nil
	}
	if name[0] == '+' || name[0] == '-' {
		return parseOffset(name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, sqlError(mysql.ErrUnknownTimeZone, "Unknown or incorrect time zone: '%s'", name)
	}
	return loc, nil
}

// Bounds of an offset in minutes: -13:59 to +14:00.
const (
	minOffset = -13*60 - 59
	maxOffset = 14 * 60
)

func parseOffset(name string) (*time.Location, error) {
	hours, minutes, ok := strings.Cut(name[1:], ":")
	h, herr := strconv.Atoi(hours)
	m, merr := strconv.Atoi(minutes)
	total := h*60 + m
	if name[0] == '-' {
		total = -total
	}
	if !ok || herr != nil || merr != nil || h < 0 || m < 0 || m > 59 || total < minOffset || total > maxOffset {
		return nil, sqlError(mysql.ErrUnknownTimeZone, "Unknown or incorrect time zone: '%s'", name)
	}
	return time.FixedZone("", total*60), nil // without a name, plans carry the offset
}

// sysVar reads a system variable; ok is false for an unknown one.
func (s *Session) sysVar(name string, global bool) (string, bool) {
	def, known := lookup(name)
	if global || def.scope == scopeGlobal {
		if v, ok := s.srv.globals.get(name); ok {
			return v, true
		}
		return "", known
	}
	switch name {
	case "last_insert_id", "identity":
		return strconv.FormatUint(s.lastInsertID, 10), true
	case "timestamp":
		if s.vars[name] == "0" {
			return strconv.FormatFloat(float64(time.Now().UnixMicro())/1e6, 'f', 6, 64), true
		}
	case "warning_count":
		return strconv.Itoa(len(s.warnings)), true
	case "error_count":
		return strconv.Itoa(s.errorCount()), true
	case "pseudo_thread_id":
		return strconv.FormatUint(s.id, 10), true
	case "tidb_current_ts":
		return s.currentTS(), true
	}
	if v, ok := s.vars[name]; ok {
		return v, true
	}
	return "", known
}

func (s *Session) errorCount() (n int) {
	for _, w := range s.warnings {
		if w.level == "Error" {
			n++
		}
	}
	return n
}

func (s *Session) currentTS() string {
	if s.txn == nil {
		return "0"
	}
	return strconv.FormatUint(s.txn.kv.StartTS(), 10)
}

// variables lists all variables, by name.
func (s *Session) variables(global bool) [][2]string {
	if global {
		return sorted(s.srv.globals.all())
	}
	return sorted(s.vars)
}
