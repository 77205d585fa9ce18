package planner

import (
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// SessionFuncs may be implemented by a Context's Vars: functions with an effect on the session or the server, called
// once while the statement is planned (GET_LOCK, RELEASE_LOCK, RELEASE_ALL_LOCKS, IS_FREE_LOCK, IS_USED_LOCK, SLEEP, and TIDB_BOUNDED_STALENESS of two
// DATETIMEs to one).
type SessionFuncs interface {
	Call(name string, args []datum.Datum) (datum.Datum, error)
}

var sessionInfo = map[string]string{
	"database": "DATABASE", "schema": "DATABASE", "user": "USER", "session_user": "USER", "system_user": "USER",
	"current_user": "CURRENT_USER", "connection_id": "CONNECTION_ID", "version": "VERSION", "last_insert_id": "LAST_INSERT_ID",
	"row_count": "ROW_COUNT", "found_rows": "FOUND_ROWS", "current_role": "CURRENT_ROLE", "tidb_version": "TIDB_VERSION",
}

var sessionCalls = map[string]int{
	"get_lock": 2, "release_lock": 1, "release_all_locks": 0, "is_free_lock": 1, "is_used_lock": 1, "sleep": 1,
}

// session answers functions of the session and the clock with constants.
func (b *builder) session(name string, args []*Expr) (_ *Expr, ok bool, err error) {
	if info, ok := sessionInfo[name]; ok && len(args) == 0 {
		d, known := b.ctx.Vars.Info(info)
		if !known {
			return nil, true, errNotSupported("%s()", info)
		}
		return b.constOf(d, nil), true, nil
	}
	if n, ok := sessionCalls[name]; ok {
		e, err := b.sessionCall(name, args, n, nil)
		return e, true, err
	}
	if name == ast.TiDBBoundedStaleness {
		e, err := b.boundedStaleness(name, args)
		return e, true, err
	}
	return b.clock(name, args)
}

// boundedStaleness is TIDB_BOUNDED_STALENESS(from, to): the newest time between the two that replicas can tell of.
func (b *builder) boundedStaleness(name string, args []*Expr) (_ *Expr, err error) {
	ft := timeType(column.TypeDatetime, maxFsp)
	times := make([]*Expr, len(args))
	for i, a := range args {
		if times[i], err = b.castTo(a, ft); err != nil {
			return nil, err
		}
	}
	return b.sessionCall(name, times, 2, ft)
}

// sessionCall has the session compute a function of constants; ft nil is the natural type of what comes back.
func (b *builder) sessionCall(name string, args []*Expr, want int, ft *tipb.FieldType) (*Expr, error) {
	if len(args) != want {
		return nil, errCode(mysql.ErrWrongParamcountToNativeFct, name)
	}
	fns, ok := b.ctx.Vars.(SessionFuncs)
	if !ok {
		return nil, errNotSupported("%s()", strings.ToUpper(name))
	}
	vals := make([]datum.Datum, len(args))
	for i, a := range args {
		if !a.isConst() {
			return nil, errNotSupported("%s() of a column", strings.ToUpper(name))
		}
		vals[i] = a.val
	}
	d, err := fns.Call(name, vals)
	if err != nil {
		return nil, err
	}
	return b.constOf(d, ft), nil
}

// clock answers NOW() and its kin with the statement's time.
func (b *builder) clock(name string, args []*Expr) (*Expr, bool, error) {
	make := func(tp int32, t time.Time) (*Expr, bool, error) {
		fsp, err := fspArg(name, args)
		if err != nil {
			return nil, true, err
		}
		t = t.Truncate(time.Duration(pow10(9 - fsp)))
		if tp == column.TypeDuration {
			y, m, d := t.Date()
			since := t.Sub(time.Date(y, m, d, 0, 0, 0, 0, t.Location()))
			return withNotNull(constExpr(datum.NewDuration(value.Duration(since)), durationType(fsp))), true, nil
		}
		if tp == column.TypeDate {
			y, m, d := t.Date()
			return withNotNull(constExpr(datum.NewTime(value.MakeTime(y, int(m), d, 0, 0, 0, 0)), timeType(tp, 0))), true, nil
		}
		return withNotNull(constExpr(datum.NewTime(value.FromGoTime(t, fsp)), timeType(tp, fsp))), true, nil
	}
	switch name {
	case ast.Now, ast.CurrentTimestamp, ast.LocalTime, ast.LocalTimestamp, ast.Sysdate:
		return make(column.TypeDatetime, b.ctx.Vars.Now())
	case ast.Curdate, ast.CurrentDate:
		return make(column.TypeDate, b.ctx.Vars.Now())
	case ast.Curtime, ast.CurrentTime:
		return make(column.TypeDuration, b.ctx.Vars.Now())
	case ast.UTCTimestamp:
		return make(column.TypeDatetime, b.ctx.Vars.Now().UTC())
	case ast.UTCDate:
		return make(column.TypeDate, b.ctx.Vars.Now().UTC())
	case ast.UTCTime:
		return make(column.TypeDuration, b.ctx.Vars.Now().UTC())
	case ast.UnixTimestamp:
		if len(args) == 0 {
			return withNotNull(intConst(b.ctx.Vars.Now().Unix())), true, nil
		}
	}
	return nil, false, nil
}

func pow10(n int) int64 {
	p := int64(1)
	for ; n > 0; n-- {
		p *= 10
	}
	return p
}

func fspArg(name string, args []*Expr) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	if len(args) > 1 {
		return 0, errCode(mysql.ErrWrongParamcountToNativeFct, name)
	}
	if !args[0].isConst() || args[0].val.Kind() != datum.Int64 || args[0].val.Int64() < 0 {
		return 0, errCode(mysql.ErrWrongArguments, name)
	}
	if n := args[0].val.Int64(); n <= maxFsp {
		return int(n), nil
	}
	return 0, errCode(mysql.ErrTooBigPrecision, args[0].val.Int64(), name, maxFsp)
}

// textualSwitches are system variables that say ON or OFF also in SELECT @@name.
var textualSwitches = map[string]bool{"gtid_mode": true, "session_track_gtids": true, "enforce_gtid_consistency": true, "have_ssl": true, "have_openssl": true}

func (c *clause) variable(n *ast.VariableExpr) (*Expr, error) {
	if n.Value != nil {
		return nil, errNotSupported("assignment of variables in expressions")
	}
	if !n.IsSystem {
		d, ft := c.b.ctx.Vars.UserVar(strings.ToLower(n.Name))
		return c.b.constOf(d, ft), nil
	}
	name := strings.ToLower(n.Name)
	text, ok := c.b.ctx.Vars.SysVar(name, n.IsGlobal)
	if !ok {
		return nil, errCode(mysql.ErrUnknownSystemVariable, n.Name)
	}
	switch {
	case textualSwitches[name]:
	case strings.EqualFold(text, "ON"):
		return withNotNull(intConst(1)), nil
	case strings.EqualFold(text, "OFF"):
		return withNotNull(intConst(0)), nil
	}
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return withNotNull(intConst(v)), nil
	}
	if v, err := strconv.ParseUint(text, 10, 64); err == nil {
		return withNotNull(constExpr(datum.NewUint64(v), uintType())), nil
	}
	e := c.b.textConst(text)
	e.coercion = 3
	return e, nil
}
