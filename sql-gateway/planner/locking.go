package planner

import (
	"math"
	"slices"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// errUnresolvedTableLock is MySQL's code for a locking clause that names a table that is not there.
const errUnresolvedTableLock = 3568

// LockedTable is a table whose rows a SELECT ... FOR UPDATE locks: where the query's output has what identifies a row.
type LockedTable struct {
	Table *catalog.Table
	// First is the position of the table's handle columns, in the order of Table.HandleColumns, or of the hidden row id. An
	// outer join without a row of this table leaves NULL there.
	First int
}

// LockingQuery is a planned SELECT ... FOR UPDATE or FOR SHARE.
type LockingQuery struct {
	// Query gives the result, with the columns that Tables refers to behind the Fields; see Separate.
	*Query
	Tables []LockedTable
	// Separate: a row of the result comes of several rows of the tables (GROUP BY, DISTINCT). Query gives these, and the result
	// itself is to be had from PlanQuery.
	Separate bool
	// Offset and Count are the LIMIT, which Query leaves to the caller under SKIP LOCKED: rows that are skipped do not count.
	Offset, Count uint64
}

// SkipsLocked reports whether a locking clause says SKIP LOCKED.
func SkipsLocked(lock *ast.SelectLockInfo) bool {
	return lock != nil && (lock.LockType == ast.SelectLockForUpdateSkipLocked || lock.LockType == ast.SelectLockForShareSkipLocked)
}

// PlanLocking plans a SELECT whose rows are to be locked. Rows of subqueries, views and derived tables are not.
func PlanLocking(ctx *Context, stmt *ast.SelectStmt) (*LockingQuery, error) {
	b := newBuilder(ctx)
	b.sharing = true
	out := &LockingQuery{Count: math.MaxUint64}
	skips := SkipsLocked(stmt.LockInfo)
	if skips && stmt.Limit != nil {
		offset, count, err := b.limits(stmt.Limit)
		if err != nil {
			return nil, err
		}
		unlimited := *stmt
		unlimited.Limit = nil
		stmt, out.Offset, out.Count = &unlimited, offset, count
	}
	b.locking = &locking{stmt: stmt}
	r, err := b.query(stmt, nil, nil)
	switch {
	case err != nil:
		return nil, err
	case b.locking.grouped && skips:
		return nil, errNotSupported("SKIP LOCKED with GROUP BY, aggregates or DISTINCT")
	case b.locking.grouped:
		return planSources(ctx, stmt)
	}
	out.Query, err = b.finish(r)
	out.Tables = b.locking.tables
	return out, err
}

// planSources plans what is below the grouping of a SELECT: the rows of its tables that pass its WHERE.
func planSources(ctx *Context, stmt *ast.SelectStmt) (*LockingQuery, error) {
	d, err := newDML(ctx, stmt.With, stmt.From, stmt.Where)
	if err != nil {
		return nil, err
	}
	sources, err := lockedSources(d.scope, stmt.LockInfo)
	if err != nil {
		return nil, err
	}
	q := &LockingQuery{Separate: true}
	for _, s := range sources {
		q.Tables = append(q.Tables, LockedTable{s.table, len(d.out)})
		d.out = append(d.out, s.handle()...)
	}
	plan, err := d.finish()
	if err != nil {
		return nil, err
	}
	q.Query = plan.Query
	return q, nil
}

// locking is a builder's task to put out the handles of one SELECT's rows.
type locking struct {
	stmt    *ast.SelectStmt
	grouped bool // that cannot be done
	tables  []LockedTable
}

// handles are the expressions that a SELECT puts out behind its own, if its rows are to be locked; first is the position of
// the first.
func (q *selectBuilder) handles(first int) ([]*Expr, error) {
	l := q.b.locking
	if l == nil || l.stmt != q.s {
		return nil, nil
	}
	if q.group != nil || q.s.Distinct {
		l.grouped = true
		return nil, nil
	}
	sources, err := lockedSources(q.scope, q.s.LockInfo)
	if err != nil {
		return nil, err
	}
	var out []*Expr
	for _, s := range sources {
		l.tables = append(l.tables, LockedTable{s.table, first + len(out)})
		for _, c := range s.handle() {
			out = append(out, colExpr(c))
		}
	}
	return out, nil
}

// innerLocks refuses the locking clause of a query block inside of another statement, where nothing would be locked though
// the transaction counts on it.
func (b *builder) innerLocks(s *ast.SelectStmt) error {
	if s.LockInfo == nil || s.LockInfo.LockType == ast.SelectLockNone || !b.ctx.InTransaction || b.locking != nil && b.locking.stmt == s {
		return nil
	}
	return errNotSupported("%s inside of another statement", s.LockInfo.LockType)
}

// lockedSources are the tables of a FROM clause that a locking clause means.
func lockedSources(sc *scope, lock *ast.SelectLockInfo) ([]*source, error) {
	base := slices.DeleteFunc(slices.Clone(sc.sources), func(s *source) bool { return s.scan == nil || s.table.Virtual })
	if len(lock.Tables) == 0 {
		return base, nil
	}
	var out []*source
	for _, t := range lock.Tables {
		i := slices.IndexFunc(base, func(s *source) bool { return s.alias == t.Name.L })
		if i < 0 {
			return nil, &Error{Code: errUnresolvedTableLock, Message: "Unresolved table name `" + t.Name.O + "` in locking clause."}
		}
		out = append(out, base[i])
	}
	return out, nil
}

// handle are the columns of a base table that identify its rows.
func (s *source) handle() []*Column {
	cols := s.table.HandleColumns()
	if len(cols) == 0 {
		return s.scan.cols[len(s.scan.cols)-1:] // the hidden row id
	}
	out := make([]*Column, len(cols))
	for i, off := range cols {
		out[i] = s.scan.cols[slices.Index(s.scan.offsets, off)]
	}
	return out
}
