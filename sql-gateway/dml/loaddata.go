package dml

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// A transaction of LOAD DATA ends with the chunk that brings it to so many rows or bytes: few enough bytes that one more
// chunk of usual rows leaves it within one request. In two phases the same rows cost about half as much again, and the
// commits, late by then, make the tables that were flushed meanwhile overlap.
const (
	flushRows  = 20_000
	flushBytes = kvclient.PrewriteBytesMax - 1<<20
)

// loader runs one LOAD DATA statement.
type loader struct {
	*inserter
	scan    *loadScanner
	into    []loadColumn // by field
	assign  []*ast.Assignment
	vars    *loadVars
	pending uint64 // rows since the last flush
}

// loadColumn is where a field goes: a column, or a user variable.
type loadColumn struct {
	column int // -1: a variable
	name   string
}

// LoadData reads r by the statement's FIELDS and LINES clauses. LOCAL works as IGNORE does: the sender cannot be asked again, so bad
// values and duplicates are warnings. With env.Flush the rows go in transactions of some 20,000 rows or 4 MiB: after an
// error those before it are committed, all of them up to some batch.
func LoadData(ctx context.Context, env *Env, stmt *ast.LoadDataStmt, r io.Reader) (*Result, error) {
	l, err := newLoader(env, stmt, r)
	if err != nil {
		return nil, err
	}
	before := env.warnings()
	if stmt.IgnoreLines != nil {
		if err := l.scan.skip(*stmt.IgnoreLines); err != nil {
			return nil, err
		}
	}
	if err := l.run(ctx); err != nil {
		return nil, l.abandon(ctx, err)
	}
	skipped := uint64(0)
	if l.dup == dupIgnore {
		skipped = l.copies
	}
	l.res.Info = fmt.Sprintf("Records: %d  Deleted: %d  Skipped: %d  Warnings: %d", l.seen, l.gone, skipped, env.warnings()-before)
	return l.res, nil
}

func newLoader(env *Env, stmt *ast.LoadDataStmt, r io.Reader) (*loader, error) {
	if stmt.Format != nil && !strings.EqualFold(*stmt.Format, "delimited data") {
		return nil, notSupported("LOAD DATA ... FORMAT " + *stmt.Format)
	}
	if len(stmt.Options) > 0 {
		return nil, notSupported("LOAD DATA ... WITH")
	}
	if err := checkLoadCharset(stmt.Charset); err != nil {
		return nil, err
	}
	format, err := loadFormatOf(stmt.FieldsInfo, stmt.LinesInfo)
	if err != nil {
		return nil, err
	}
	t, err := env.table(stmt.Table.Schema.O, stmt.Table.Name.O)
	if err != nil {
		return nil, err
	}
	tg, err := newTarget(env, t)
	if err != nil {
		return nil, err
	}
	dup := loadHandling(stmt)
	lenient := dup == dupIgnore || stmt.FileLocRef == ast.FileLocClient
	if lenient {
		env.relax()
	}
	l := &loader{scan: newLoadScanner(r, format), assign: stmt.ColumnAssignments}
	columns, err := l.columns(tg, stmt.ColumnsAndUserVars)
	if err != nil {
		return nil, err
	}
	maker, err := newRowMaker(tg, newConverter(env, env.Strict && !lenient), columns)
	if err != nil {
		return nil, err
	}
	l.inserter = newInserter(env, tg, maker, dup, 0)
	l.together = dup == dupError // a duplicate of a row whose commit is under way would look like a conflict
	return l, nil
}

func checkLoadCharset(cs *string) error {
	if cs == nil {
		return nil
	}
	switch strings.ToLower(*cs) {
	case "utf8", "utf8mb3", "utf8mb4", "ascii", "binary":
		return nil
	}
	return notSupported("LOAD DATA ... CHARACTER SET " + *cs)
}

func loadHandling(stmt *ast.LoadDataStmt) onDuplicate {
	switch {
	case stmt.OnDuplicate == ast.OnDuplicateKeyHandlingReplace:
		return dupReplace
	case stmt.OnDuplicate == ast.OnDuplicateKeyHandlingIgnore || stmt.FileLocRef == ast.FileLocClient:
		return dupIgnore
	}
	return dupError
}

// columns resolves the list of columns and variables, and those that SET names; it returns all columns that get values.
func (l *loader) columns(tg *target, list []*ast.ColumnNameOrUserVar) (named []int, err error) {
	for _, c := range list {
		if c.ColumnName == nil {
			l.into = append(l.into, loadColumn{-1, strings.ToLower(c.UserVar.Name)})
			continue
		}
		i := tg.columnByName(c.ColumnName.Name.O)
		if i < 0 {
			return nil, errorf(mysql.ErrBadField, c.ColumnName.Name.O, "field list")
		}
		l.into, named = append(l.into, loadColumn{column: i}), append(named, i)
	}
	if len(list) == 0 {
		for i := range tg.fields {
			l.into, named = append(l.into, loadColumn{column: i}), append(named, i)
		}
	}
	for _, a := range l.assign {
		i := tg.columnByName(a.Column.Name.O)
		if i < 0 {
			return nil, errorf(mysql.ErrBadField, a.Column.Name.O, "field list")
		}
		if len(list) > 0 {
			named = appendNew(named, i)
		}
	}
	return named, nil
}

func appendNew(list []int, v int) []int {
	for _, x := range list {
		if x == v {
			return list
		}
	}
	return append(list, v)
}

func (l *loader) run(ctx context.Context) error {
	for {
		fields, err := l.scan.next()
		if errors.Is(err, io.EOF) {
			return l.flush(ctx, true)
		}
		if err != nil {
			return err
		}
		if err := l.record(fields); err != nil {
			return err
		}
		if l.full() {
			if err := l.flush(ctx, false); err != nil {
				return err
			}
		}
	}
}

// abandon waits for the commit under way, so that nothing is written behind the back of the caller. It returns err, or the
// commit's error, which is about rows before those of err.
func (l *loader) abandon(ctx context.Context, err error) error {
	if !l.tg.unsettled {
		return err
	}
	l.tg.unsettled = false
	if earlier := l.env.Settle(ctx); earlier != nil && ctx.Err() == nil {
		return earlier
	}
	return err
}

// flush writes the chunk, and commits if it is time to or at the end.
func (l *loader) flush(ctx context.Context, end bool) error {
	l.pending += uint64(len(l.rows))
	if err := l.write(ctx); err != nil {
		return err
	}
	l.scan.release()
	if l.env.Flush == nil || !end && l.pending < flushRows && l.env.Txn.Bytes() < flushBytes {
		return ctx.Err()
	}
	l.pending = 0
	if err := l.inserter.flush(ctx); err != nil || !end {
		return err
	}
	return l.settle(ctx)
}

// record makes a row of a record.
func (l *loader) record(fields []loadField) error {
	l.maker.conv.row = int(l.seen) + len(l.rows) + 1
	r := l.next()
	for i, to := range l.into {
		if i >= len(fields) {
			if err := l.missing(r, l.into[i:]); err != nil {
				return err
			}
			break
		}
		if to.column >= 0 && !fields[i].null && l.tg.fields[to.column].quick(&r[to.column], fields[i].text) {
			continue
		}
		d := datum.NewBytes(fields[i].text)
		if fields[i].null {
			d = datum.Datum{}
		}
		if to.column < 0 {
			l.setVar(to.name, d)
			continue
		}
		if err := l.maker.assign(r, to.column, d, nil); err != nil {
			return err
		}
	}
	if len(fields) > len(l.into) {
		if err := l.maker.conv.bad(errorf(mysql.ErrWarnTooManyRecords, l.maker.conv.row)); err != nil {
			return err
		}
	}
	return l.runAssignments(r)
}

// missing fills the columns for which a record has no fields.
func (l *loader) missing(r []datum.Datum, rest []loadColumn) (err error) {
	conv := l.maker.conv
	if err := conv.bad(errorf(mysql.ErrWarnTooFewRecords, conv.row)); err != nil {
		return err
	}
	for _, to := range rest {
		if to.column < 0 {
			l.setVar(to.name, datum.Datum{})
			continue
		}
		if r[to.column], err = l.tg.defaultValue(conv, l.tg.fields[to.column]); err != nil {
			return err
		}
	}
	return nil
}

// loadVars puts the variables of a record over those of the session.
type loadVars struct {
	planner.Vars
	set map[string]datum.Datum
}

// UserVar implements planner.Vars.
func (v *loadVars) UserVar(name string) (datum.Datum, *tipb.FieldType) {
	if d, ok := v.set[strings.ToLower(name)]; ok {
		return d, &tipb.FieldType{Tp: 0xfd, Flen: -1, Decimal: -1, Collate: -46, Charset: "utf8mb4"}
	}
	return v.Vars.UserVar(name)
}

func (l *loader) setVar(name string, d datum.Datum) {
	if l.vars == nil {
		l.vars = &loadVars{Vars: l.env.Plan.Vars, set: map[string]datum.Datum{}}
	}
	l.vars.set[name] = d
}

// runAssignments runs the SET clause. Variables are constants to the planner, so expressions are translated for each record.
func (l *loader) runAssignments(r []datum.Datum) error {
	if len(l.assign) == 0 {
		return nil
	}
	plan := *l.env.Plan
	if l.vars != nil {
		plan.Vars = l.vars
	}
	if l.maker.eval == nil {
		l.maker.eval = newEvaluator(l.tg, false)
	}
	ev := l.maker.eval
	for _, a := range l.assign {
		col := l.tg.columnByName(a.Column.Name.O)
		if d, ok := a.Expr.(*ast.DefaultExpr); ok {
			if err := l.maker.setDefault(r, col, d); err != nil {
				return err
			}
			continue
		}
		e, err := planner.BuildScalar(&plan, a.Expr, ev.fields, nil)
		if err != nil {
			return err
		}
		compiled, err := expr.Compile(e, ev.types, plan.Expr)
		if err != nil {
			return err
		}
		d, err := ev.eval(compiled, r)
		if err == nil {
			err = l.maker.assign(r, col, d, compiled.Type())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
