package dml

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// tableRows finds the rows of one table in the output of a plan.
type tableRows struct {
	tg    *target
	first int
	// seen are the rows met so far; nil where the plan cannot give one twice.
	seen map[string]struct{}
}

func newTableRows(env *Env, t *planner.DMLTable, several bool) (*tableRows, error) {
	tg, err := newTarget(env, t.Table)
	if err != nil {
		return nil, err
	}
	tr := &tableRows{tg: tg, first: t.First}
	if several {
		tr.seen = map[string]struct{}{}
	}
	return tr, nil
}

// at decodes the table's columns of row i; ok is false where an outer join found no row, and for rows met before.
func (tr *tableRows) at(b rowBatch, i int) (r []datum.Datum, rowID int64, ok bool, err error) {
	idCol := tr.first + len(tr.tg.fields)
	for _, c := range tr.tg.handles {
		if b.Cols[tr.first+c].IsNull(i) {
			return nil, 0, false, nil
		}
	}
	if len(tr.tg.handles) == 0 {
		if b.Cols[idCol].IsNull(i) {
			return nil, 0, false, nil
		}
		rowID = b.datum(i, idCol).Int64()
	}
	r = make([]datum.Datum, len(tr.tg.fields))
	for j := range r {
		r[j] = b.datum(i, tr.first+j)
	}
	if tr.seen == nil {
		return r, rowID, true, nil
	}
	handle, err := tr.tg.handleOf(r, rowID)
	if err != nil {
		return nil, 0, false, err
	}
	if _, dup := tr.seen[string(handle)]; dup {
		return nil, 0, false, nil
	}
	tr.seen[string(handle)] = struct{}{}
	return r, rowID, true, nil
}

// updater changes the rows of one table.
type updater struct {
	*tableRows
	res     *Result
	conv    *converter
	ignore  bool
	assign  []assignment
	touched []bool
}

// assignment is one item of SET.
type assignment struct {
	column int
	expr   expr.Expr // nil: DEFAULT
	build  *column.Builder
}

// Update runs UPDATE.
func Update(ctx context.Context, env *Env, stmt *ast.UpdateStmt) (_ *Result, err error) {
	if stmt.IgnoreErr {
		env.relax()
	}
	plan, err := planner.PlanUpdate(env.Plan, stmt)
	if err != nil {
		return nil, err
	}
	if err := checkTwice(plan.Tables); err != nil {
		return nil, err
	}
	src, err := openPlan(ctx, env, plan.Query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	res := newResult()
	before := env.warnings()
	tables := make([]*updater, len(plan.Tables))
	for i := range tables {
		if tables[i], err = newUpdater(env, &plan.Tables[i], src, res, stmt.IgnoreErr, Joins(stmt)); err != nil {
			return nil, err
		}
	}
	err = src.each(ctx, func(b rowBatch) error {
		for _, u := range tables {
			if err := u.batch(ctx, b); err != nil {
				return err
			}
		}
		return env.Txn.Relieve(ctx)
	})
	if err != nil {
		return nil, err
	}
	res.Affected = res.Changed
	res.Info = fmt.Sprintf("Rows matched: %d  Changed: %d  Warnings: %d", res.Matched, res.Changed, env.warnings()-before)
	return res, nil
}

// Joins reports whether the rows that a change is about may come several times, each of which is to be changed once: those of
// an UPDATE or DELETE with several tables.
func Joins(stmt ast.StmtNode) bool {
	switch stmt := stmt.(type) {
	case *ast.UpdateStmt:
		_, single := stmt.TableRefs.TableRefs.Left.(*ast.TableSource)
		return !single || stmt.TableRefs.TableRefs.Right != nil
	case *ast.DeleteStmt:
		return stmt.IsMultiTable
	default:
		return false
	}
}

// checkTwice refuses to change a table under two names: the second change of a row would be made to what it was before the first.
func checkTwice(tables []planner.DMLTable) error {
	seen := map[int64]bool{}
	for _, t := range tables {
		if seen[t.Table.ID] {
			return notSupported("UPDATE of a table under two names")
		}
		seen[t.Table.ID] = true
	}
	return nil
}

func newUpdater(env *Env, t *planner.DMLTable, src *source, res *Result, ignore, several bool) (*updater, error) {
	rows, err := newTableRows(env, t, several)
	if err != nil {
		return nil, err
	}
	u := &updater{tableRows: rows, res: res, conv: newConverter(env, env.Strict && !ignore), ignore: ignore}
	u.touched = make([]bool, len(rows.tg.fields))
	for _, a := range t.Assign {
		as := assignment{column: a.Column, build: column.NewBuilder(rows.tg.fields[a.Column].ft, 0)}
		if !a.Default {
			if as.expr, err = expr.Compile(a.Expr, src.types, env.Plan.Expr); err != nil {
				return nil, err
			}
		}
		u.assign, u.touched[a.Column] = append(u.assign, as), true
	}
	return u, nil
}

// change is a row before and after.
type change struct {
	was, now []datum.Datum
	old, new encoded
}

// batch evaluates the assignments for a whole batch, then writes its changes.
func (u *updater) batch(ctx context.Context, b rowBatch) error {
	after, err := u.evaluate(b)
	if err != nil {
		return err
	}
	var changes []change
	for i := range b.rows {
		was, rowID, ok, err := u.at(b, i)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		u.res.Matched++
		c := change{was: was, now: make([]datum.Datum, len(was))}
		for j := range c.now {
			c.now[j] = after.datum(i, u.first+j)
		}
		if u.tg.sameRow(c.was, c.now) {
			if err := u.found(was, rowID); err != nil {
				return err
			}
			continue
		}
		u.tg.touch(c.now, u.touched)
		if c.old, err = u.tg.encode(c.was, rowID); err == nil {
			c.new, err = u.tg.encode(c.now, rowID)
		}
		if err != nil {
			return err
		}
		changes = append(changes, c)
	}
	return u.write(ctx, changes)
}

// found reports a row that stays as it is.
func (u *updater) found(r []datum.Datum, rowID int64) error {
	if u.tg.env.Found == nil {
		return nil
	}
	handle, err := u.tg.handleOf(r, rowID)
	if err == nil {
		u.tg.env.found(u.tg.recordKey(handle))
	}
	return err
}

// evaluate returns the batch with the assigned columns changed, each assignment seeing those before it. Rows without a row of this
// table are given no values.
func (u *updater) evaluate(b rowBatch) (rowBatch, error) {
	out := b
	out.Cols = append([]arrow.Array{}, b.Cols...)
	start := u.conv.row
	for k := range u.assign {
		a := &u.assign[k]
		col, err := u.evaluateColumn(a, out, start)
		if err != nil {
			return out, err
		}
		out.Cols[u.first+a.column] = col
	}
	u.conv.row = start + b.rows
	return out, nil
}

func (u *updater) evaluateColumn(a *assignment, b rowBatch, start int) (arrow.Array, error) {
	f := u.tg.fields[a.column]
	var arr arrow.Array
	if a.expr != nil {
		var err error
		if arr, err = a.expr.Eval(b.Batch); err != nil {
			return nil, err
		}
	}
	for i := range b.rows {
		u.conv.row = start + i
		d, err := u.assigned(a, f, arr, b, i)
		if err == nil {
			err = d.AppendTo(a.build)
		}
		if err != nil {
			return nil, err
		}
	}
	return a.build.Detach(), nil
}

func (u *updater) assigned(a *assignment, f *field, arr arrow.Array, b rowBatch, i int) (datum.Datum, error) {
	if u.isMissing(b, i) {
		return datum.Datum{}, nil
	}
	if arr == nil {
		return u.tg.defaultValue(u.conv, f)
	}
	return u.conv.convert(f, datum.FromColumn(arr, i, a.expr.Type()), a.expr.Type())
}

// isMissing reports a row for which an outer join found none of this table.
func (tr *tableRows) isMissing(b rowBatch, i int) bool {
	for _, c := range tr.tg.handles {
		if b.Cols[tr.first+c].IsNull(i) {
			return true
		}
	}
	return len(tr.tg.handles) == 0 && b.Cols[tr.first+len(tr.tg.fields)].IsNull(i)
}

// touch sets the ON UPDATE CURRENT_TIMESTAMP columns that a statement does not name.
func (tg *target) touch(r []datum.Datum, named []bool) {
	for i, f := range tg.fields {
		if f.OnUpdateNow && !named[i] {
			r[i] = tg.now(f)
		}
	}
}

func (u *updater) write(ctx context.Context, changes []change) error {
	known, err := u.lookup(ctx, changes)
	if err != nil {
		return err
	}
	for i := range changes {
		c := &changes[i]
		if known != nil {
			hit, err := known.find(&c.new, c.old.record.key)
			if err != nil {
				return err
			}
			if hit != nil && !u.ignore {
				return u.tg.duplicate(hit.index, c.now)
			}
			if hit != nil {
				u.tg.env.Plan.Expr.Warnings.Add(u.tg.duplicate(hit.index, c.now))
				continue
			}
			known.forget(&c.old)
			known.write(&c.new)
		}
		if err := u.tg.replace(&c.old, &c.new); err != nil {
			return err
		}
		u.res.Changed++
	}
	return nil
}

// lookup reads the keys that rows move to; nil if no distinct key changes.
func (u *updater) lookup(ctx context.Context, changes []change) (*lookup, error) {
	var moved []encoded
	for i := range changes {
		if movesKey(&changes[i]) {
			moved = append(moved, changes[i].new)
		}
	}
	if len(moved) == 0 {
		return nil, nil
	}
	return newLookup(ctx, u.tg, moved)
}

func movesKey(c *change) bool {
	if string(c.old.record.key) != string(c.new.record.key) {
		return true
	}
	for i, x := range c.new.indexes {
		if x.distinct && string(x.key) != string(c.old.indexes[i].key) {
			return true
		}
	}
	return false
}
