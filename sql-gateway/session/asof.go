package session

import (
	"context"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
	parsertypes "github.com/pingcap/tidb/pkg/parser/types"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// chooseTime makes a query outside of a transaction one of the past, if the query or the session says so.
func (r *run) chooseTime() error {
	node := r.stmt
	if e, ok := node.(*ast.ExplainStmt); ok {
		node = e.Stmt
	}
	if node == nil || !isQuery(node) || !r.s.wantsPast() && !maySayAsOf(r.text) {
		return nil
	}
	var refs tableRefs
	node.Accept(&refs)
	ts, err := r.queryTS(&refs)
	if err != nil || ts == 0 {
		return err
	}
	if sel, ok := node.(*ast.SelectStmt); ok && sel.LockInfo != nil && sel.LockInfo.LockType != ast.SelectLockNone {
		return errPastLock
	}
	return r.s.goBack(r.ctx, ts)
}

// wantsPast: queries that say nothing themselves may read the past.
func (s *Session) wantsPast() bool {
	return s.nextPast != 0 || s.snapshot != nil || s.vars["tidb_read_staleness"] != "0"
}

// maySayAsOf spares most queries a walk through their tree: AS OF TIMESTAMP contains OF.
func maySayAsOf(text string) bool {
	for i := 1; i < len(text); i++ {
		if text[i]|0x20 == 'f' && text[i-1]|0x20 == 'o' {
			return true
		}
	}
	return false
}

// queryTS is the time that a query reads at, 0 for the present.
func (r *run) queryTS(refs *tableRefs) (uint64, error) {
	s := r.s
	if s.inTransaction() {
		if len(refs.asOf) > 0 {
			return 0, errAsOf("as of timestamp can't be set in transaction.")
		}
		if s.txn != nil || refs.plain == 0 {
			return 0, nil
		}
		return s.nextTS(), nil // the transaction begins with this query
	}
	if len(refs.asOf) > 0 {
		return r.asOfTS(refs)
	}
	if refs.plain == 0 {
		return 0, nil
	}
	if ts := s.nextTS(); ts != 0 {
		return ts, nil
	}
	if n := s.intVar("tidb_read_staleness"); n != 0 {
		now := time.Now()
		return r.safeTS(now.Add(time.Duration(n)*time.Second), now), nil
	}
	return 0, nil
}

// asOfTS is the one time that all tables of a query name.
func (r *run) asOfTS(refs *tableRefs) (ts uint64, err error) {
	if r.s.nextTxnIsPast() {
		return 0, errAsOf("can't use select as of while already set transaction as of")
	}
	if refs.plain > 0 {
		return 0, errAsOf("can not set different time in the as of")
	}
	for i, e := range refs.asOf {
		at, err := r.timestamp(e)
		if err != nil {
			return 0, err
		}
		if i > 0 && at != ts {
			return 0, errAsOf("can not set different time in the as of")
		}
		ts = at
	}
	return ts, nil
}

// nextTxnIsPast takes back what SET TRANSACTION said, and reports whether it had.
func (s *Session) nextTxnIsPast() bool {
	said := s.nextPast != 0
	s.nextPast = 0
	return said
}

// tableRefs collects what a query says of its tables: the times of those with AS OF, and how many others there are.
type tableRefs struct {
	asOf  []ast.ExprNode
	plain int
	ctes  map[string]bool // names that are no tables
}

// Enter implements ast.Visitor.
func (v *tableRefs) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.WithClause:
		for _, cte := range n.CTEs {
			if v.ctes == nil {
				v.ctes = make(map[string]bool)
			}
			v.ctes[cte.Name.L] = true
		}
	case *ast.TableName:
		switch {
		case n.AsOf != nil:
			v.asOf = append(v.asOf, n.AsOf.TsExpr)
		case n.Schema.L != "" || !v.ctes[n.Name.L]:
			v.plain++
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *tableRefs) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// timestamp evaluates the time of an AS OF clause.
func (r *run) timestamp(node ast.ExprNode) (uint64, error) {
	ft := parsertypes.NewFieldType(mysql.TypeDatetime)
	ft.SetDecimal(maxFsp)
	warned := r.env.Expr.Warnings.List
	v, err := r.eval(&ast.FuncCastExpr{Expr: node, Tp: ft, FunctionType: ast.CastFunction})
	if err != nil {
		return 0, err
	}
	if v.val.IsNull() {
		if list := r.env.Expr.Warnings.List; len(list) > len(warned) {
			r.env.Expr.Warnings.List = warned
			return 0, sqlError(uint16(list[len(warned)].Code), "%s", list[len(warned)].Msg)
		}
		return 0, errAsOf("as of timestamp cannot be NULL")
	}
	t, ok := v.val.Time().GoTime(r.s.location)
	if !ok || t.UnixMilli() <= 0 {
		return 0, errAsOf("the time is out of range")
	}
	return timestampAt(t), nil
}

// maxFsp is the precision of the finest DATETIME. Timestamps know milliseconds: what is finer is cut off.
const maxFsp = 6

func timestampAt(t time.Time) uint64 { return uint64(t.UnixMilli()) << physicalShift }

// clockLagMax is how far the cluster's clock may be behind this machine's. It steps forward several times a second, so that
// NOW() is ahead of it for a moment.
const clockLagMax = 500 * time.Millisecond

// reached returns once the cluster's clock has come to ts, so that no more commits can come below. Times that are really in the
// future are refused.
func (s *Session) reached(ctx context.Context, ts uint64) error {
	for {
		now, err := s.srv.client.TS(ctx)
		if err != nil || ts <= now {
			return err
		}
		ahead := time.Duration(int64(ts>>physicalShift)-int64(now>>physicalShift)) * time.Millisecond
		if ahead > clockLagMax {
			return sqlError(codeGCTooEarly, "cannot set read timestamp to a future time, readTS: %d, currentTS: %d", ts, now)
		}
		timer := time.NewTimer(max(ahead, time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// safeTS is the newest timestamp from low to high at which replicas need not ask their leaders; low if there is none.
func (r *run) safeTS(low, high time.Time) uint64 {
	return max(timestampAt(low), min(r.s.srv.client.SafeTS(r.ctx), timestampAt(high)))
}

// boundedStaleness is TIDB_BOUNDED_STALENESS.
func (r *run) boundedStaleness(low, high datum.Datum) (datum.Datum, error) {
	if low.IsNull() || high.IsNull() || low.Time() > high.Time() {
		return datum.Datum{}, nil
	}
	from, ok := low.Time().GoTime(r.s.location)
	to, valid := high.Time().GoTime(r.s.location)
	if !ok || !valid {
		return datum.Datum{}, nil
	}
	safe := time.UnixMilli(int64(r.safeTS(from, to) >> physicalShift)).In(r.s.location)
	return datum.NewTime(value.FromGoTime(safe, maxFsp)), nil
}

// setNextTS is SET TRANSACTION READ ONLY AS OF TIMESTAMP; an empty text takes it back.
func (r *run) setNextTS(a *ast.VariableAssignment) error {
	s := r.s
	if s.begun || s.txn != nil {
		return errCode(mysql.ErrCantChangeTxCharacteristics)
	}
	if v, ok := a.Value.(*driver.ValueExpr); ok && v.GetString() == "" && v.Kind() == driver.KindString {
		s.nextPast = 0
		return nil
	}
	ts, err := r.timestamp(a.Value)
	if err == nil {
		_, err = s.lookBack(r.ctx, ts)
	}
	if err != nil {
		return err
	}
	s.nextPast, s.snapshot, s.vars["tidb_snapshot"] = ts, nil, ""
	return nil
}

// setSnapshot is SET tidb_snapshot: a time, a timestamp as a number, or an empty text for the present.
func (r *run) setSnapshot(val string) error {
	s := r.s
	if s.begun || s.txn != nil {
		return errCode(mysql.ErrCantChangeTxCharacteristics)
	}
	if val == "" {
		s.snapshot = nil
		return nil
	}
	ts, err := parseID(val)
	if err != nil {
		ts, err = r.timestamp(ast.NewValueExpr(val, mysql.DefaultCharset, mysql.DefaultCollationName))
	}
	if err != nil {
		return err
	}
	p, err := s.lookBack(r.ctx, ts)
	if err == nil {
		s.snapshot, s.nextPast = p, 0
	}
	return err
}

// beginAt is START TRANSACTION READ ONLY AS OF TIMESTAMP.
func (r *run) beginAt(node ast.ExprNode) error {
	s := r.s
	if s.nextPast != 0 {
		return sqlError(mysql.ErrUnknown, "start transaction read only as of is forbidden after set transaction read only as of")
	}
	ts, err := r.timestamp(node)
	if err != nil {
		return err
	}
	if err := s.commit(r.ctx); err != nil {
		return err
	}
	if err := s.goBack(r.ctx, ts); err != nil {
		return err
	}
	s.begun, s.snapshot, s.vars["tidb_snapshot"] = true, nil, ""
	return nil
}
