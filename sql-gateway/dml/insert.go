package dml

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/datum"
)

// onDuplicate is what happens to a row whose key is taken.
type onDuplicate uint8

const (
	dupError onDuplicate = iota
	dupIgnore
	dupReplace
	dupUpdate
)

// chunkRows is the number of rows that are numbered, looked up and written together.
const chunkRows = 1024

// inserter writes rows of a statement chunk by chunk.
type inserter struct {
	env      *Env
	tg       *target
	maker    *rowMaker
	dup      onDuplicate
	update   *dupUpdater // for dupUpdate
	res      *Result
	rows     [][]datum.Datum // of the chunk
	slab     []datum.Datum
	encoded  []encoded // memory for writeChecked
	together bool      // rows have met others of the statement: it goes on without commits under way
	seen     uint64    // rows so far
	copies   uint64    // rows that met a duplicate
	gone     uint64    // rows that REPLACE deleted
}

// newInserter expects about rows rows, 0 if that is not known.
func newInserter(env *Env, tg *target, maker *rowMaker, dup onDuplicate, rows int) *inserter {
	if rows == 0 || rows > chunkRows {
		rows = chunkRows
	}
	slab := make([]datum.Datum, 0, rows*len(tg.fields))
	return &inserter{env: env, tg: tg, maker: maker, dup: dup, res: newResult(), slab: slab}
}

// next starts a row of the chunk, with defaults in it.
func (in *inserter) next() []datum.Datum {
	from := len(in.slab)
	in.slab = in.maker.start(in.slab)
	r := in.slab[from:len(in.slab):len(in.slab)]
	in.rows = append(in.rows, r)
	return r
}

// full reports that the chunk has to be written before the next row.
func (in *inserter) full() bool { return len(in.rows) == chunkRows }

// write numbers, encodes and writes the chunk and empties it.
func (in *inserter) write(ctx context.Context) error {
	if len(in.rows) == 0 {
		return nil
	}
	first, err := in.tg.numberRows(ctx, in.rows)
	if err != nil {
		return err
	}
	if in.res.LastInsertID == 0 {
		in.res.LastInsertID = first
	}
	rowID, err := in.tg.rowIDs(ctx, len(in.rows))
	if err != nil {
		return err
	}
	if in.dup == dupError && !in.env.CheckNow {
		err = in.writePlain(rowID)
	} else {
		err = in.writeChecked(ctx, rowID)
	}
	in.seen += uint64(len(in.rows))
	in.rows, in.slab = in.rows[:0], in.slab[:0]
	if in.env.Progress != nil {
		in.env.Progress(in.seen)
	}
	if err != nil {
		return err
	}
	return in.env.Txn.Relieve(ctx)
}

// writePlain leaves the search for duplicates to the stores.
func (in *inserter) writePlain(rowID int64) error {
	for i, r := range in.rows {
		e, err := in.tg.encode(r, rowID+int64(i))
		if err == nil {
			err = in.tg.insert(&e, r)
		}
		if err != nil {
			return err
		}
	}
	in.count(uint64(len(in.rows)), int64(len(in.rows)))
	return nil
}

func (in *inserter) count(affected uint64, delta int64) {
	in.res.Affected += affected
	in.res.RowDelta[in.tg.table.ID] += delta
}

// writeChecked looks up all keys of the chunk first.
func (in *inserter) writeChecked(ctx context.Context, rowID int64) error {
	rows := slices.Grow(in.encoded[:0], len(in.rows))[:len(in.rows)]
	in.encoded = rows
	for i, r := range in.rows {
		var err error
		if rows[i], err = in.tg.encode(r, rowID+int64(i)); err != nil {
			return err
		}
	}
	known, err := newLookup(ctx, in.tg, rows)
	if err == errUnsettled {
		if err = in.settle(ctx); err == nil {
			known, err = newLookup(ctx, in.tg, rows)
		}
	}
	if err != nil {
		return err
	}
	for i := range rows {
		if err := in.writeRow(ctx, known, &rows[i], in.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// flush commits what is buffered, in the background where that can be done and helps.
func (in *inserter) flush(ctx context.Context) error {
	in.tg.unsettled = in.env.Settle != nil
	if err := in.env.Flush(ctx); err != nil {
		return err
	}
	if in.together {
		return in.settle(ctx)
	}
	return nil
}

// settle makes all rows written so far visible to the transaction.
func (in *inserter) settle(ctx context.Context) error {
	if !in.tg.unsettled {
		return nil
	}
	if in.env.Txn.Len() > 0 {
		if err := in.env.Flush(ctx); err != nil {
			return err
		}
	}
	in.tg.unsettled, in.together = false, true
	return in.env.Settle(ctx)
}

func (in *inserter) writeRow(ctx context.Context, known *lookup, e *encoded, r []datum.Datum) error {
	deleted := uint64(0)
	for {
		c, err := known.find(e, nil)
		if err != nil {
			return err
		}
		if c == nil {
			break
		}
		switch in.dup {
		case dupError:
			return in.tg.duplicate(c.index, r)
		case dupIgnore:
			in.copies++
			in.env.found(in.tg.recordKey(c.handle))
			in.env.Plan.Expr.Warnings.Add(in.tg.duplicate(c.index, r))
			return nil
		case dupUpdate:
			in.copies++
			return in.update.apply(ctx, known, c, r)
		}
		_, old, err := known.row(c)
		if err != nil {
			return err
		}
		if err := in.tg.remove(&old); err != nil {
			return err
		}
		known.forget(&old)
		deleted++
	}
	in.copies += min(deleted, 1)
	in.gone += deleted
	known.write(e)
	in.count(1+deleted, 1-int64(deleted))
	return in.tg.put(e)
}

// Insert runs INSERT and REPLACE in all their forms.
func Insert(ctx context.Context, env *Env, stmt *ast.InsertStmt) (*Result, error) {
	return insert(ctx, env, stmt, nil)
}

// InsertBulk runs an INSERT or REPLACE whose rows were not parsed.
func InsertBulk(ctx context.Context, env *Env, stmt *BulkInsert) (*Result, error) {
	return insert(ctx, env, stmt.InsertStmt, &stmt.Values)
}

// insert takes the rows from values, where that is not nil.
func insert(ctx context.Context, env *Env, stmt *ast.InsertStmt, values *ValueList) (*Result, error) {
	if stmt.IgnoreErr {
		env.relax()
	}
	tg, err := insertTarget(env, stmt)
	if err != nil {
		return nil, err
	}
	columns, err := tg.namedColumns(stmt.Columns)
	if err != nil {
		return nil, err
	}
	maker, err := newRowMaker(tg, newConverter(env, env.Strict && !stmt.IgnoreErr), columns)
	if err != nil {
		return nil, err
	}
	rows := len(stmt.Lists)
	if values != nil {
		rows = values.rows
	}
	in := newInserter(env, tg, maker, handlingOf(stmt), rows)
	if in.dup == dupUpdate {
		if in.update, err = newDupUpdater(in, stmt.OnDuplicate); err != nil {
			return nil, err
		}
	}
	before := env.warnings()
	switch {
	case stmt.Select != nil:
		err = in.fromSelect(ctx, stmt.Select)
	case values != nil:
		err = in.fromText(ctx, *values)
	default:
		err = in.fromValues(ctx, stmt.Lists)
	}
	if err != nil {
		return nil, err
	}
	if stmt.Select != nil || rows > 1 {
		in.res.Info = fmt.Sprintf("Records: %d  Duplicates: %d  Warnings: %d", in.seen, in.copies, env.warnings()-before)
	}
	return in.res, nil
}

func handlingOf(stmt *ast.InsertStmt) onDuplicate {
	switch {
	case stmt.IsReplace:
		return dupReplace
	case len(stmt.OnDuplicate) > 0:
		return dupUpdate
	case stmt.IgnoreErr:
		return dupIgnore
	}
	return dupError
}

func insertTarget(env *Env, stmt *ast.InsertStmt) (*target, error) {
	if len(stmt.PartitionNames) > 0 {
		return nil, notSupported("INSERT into partitions")
	}
	if stmt.Table == nil || stmt.Table.TableRefs == nil {
		return nil, errorf(mysql.ErrNonUpdatableTable, "", "INSERT")
	}
	src, ok := stmt.Table.TableRefs.Left.(*ast.TableSource)
	if !ok {
		return nil, errorf(mysql.ErrNonUpdatableTable, "", "INSERT")
	}
	name, ok := src.Source.(*ast.TableName)
	if !ok {
		return nil, errorf(mysql.ErrNonUpdatableTable, src.AsName.O, "INSERT")
	}
	t, err := env.table(name.Schema.O, name.Name.O)
	if err != nil {
		return nil, err
	}
	return newTarget(env, t)
}

func (in *inserter) fromValues(ctx context.Context, lists [][]ast.ExprNode) error {
	for i, exprs := range lists {
		if err := in.maker.list(in.next(), exprs, i+1); err != nil {
			return err
		}
		if in.full() {
			if err := in.write(ctx); err != nil {
				return err
			}
		}
	}
	return in.write(ctx)
}

// fromSelect inserts the rows of a query, which may read the table.
func (in *inserter) fromSelect(ctx context.Context, sel ast.ResultSetNode) (err error) {
	src, err := openQuery(ctx, in.env, sel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	types := src.types
	if len(types) != len(in.maker.columns) {
		return errorf(mysql.ErrWrongValueCountOnRow, 1)
	}
	in.maker.conv.row = 0
	return src.each(ctx, func(b rowBatch) error {
		for i := range b.rows {
			r := in.next()
			in.maker.conv.row++
			for j, col := range in.maker.columns {
				if err := in.maker.assign(r, col, b.datum(i, j), types[j]); err != nil {
					return err
				}
			}
			if in.full() {
				if err := in.write(ctx); err != nil {
					return err
				}
			}
		}
		return in.write(ctx)
	})
}
