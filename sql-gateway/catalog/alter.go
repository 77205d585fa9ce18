package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// alteration is an ALTER TABLE under way: a draft of the table, the indexes that need entries before the draft may be
// published, and those whose entries are garbage afterwards.
type alteration struct {
	tableBuilder
	added   []*Index
	removed []*Index
	rename  *ast.TableName
}

// AlterTable runs ALTER TABLE, and CREATE INDEX and DROP INDEX put in its form.
//
// The table is held exclusively all the while, so that no transaction of this gateway writes rows without entries in a
// new index. Entries are written before the index is published; if that fails they are removed and nothing has changed.
func (c *Catalog) AlterTable(ctx context.Context, db string, stmt *ast.AlterTableStmt) ([]Warning, error) {
	old, release, err := c.lockTable(ctx, db, stmt.Table)
	if err != nil {
		return nil, err
	}
	defer release()
	a := &alteration{tableBuilder: tableBuilder{t: old.clone()}}
	for _, spec := range stmt.Specs {
		if err := a.apply(spec); err != nil {
			return nil, err
		}
	}
	if err := a.finish(); err != nil {
		return nil, err
	}
	if err := c.backfill(ctx, a); err != nil {
		return nil, err
	}
	if err := c.publish(ctx, db, old, a); err != nil {
		var unknown *kvclient.UndeterminedError
		if errors.As(err, &unknown) {
			return nil, err // the indexes may be public
		}
		return nil, errors.Join(err, c.removeEntries(ctx, a.t, a.added))
	}
	if err := c.removeEntries(ctx, a.t, a.removed); err != nil {
		c.log.Warn("entries of a dropped index were not removed", "table", a.t.Name, "err", err)
		a.warnings = append(a.warnings, warning(mysql.ErrUnknown, "Entries of the dropped index were not removed: %v", err))
	}
	return a.warnings, nil
}

func (c *Catalog) backfill(ctx context.Context, a *alteration) error {
	if len(a.added) == 0 {
		return nil
	}
	if c.opts.Backfill == nil {
		return errNotSupported("adding an index to an existing table")
	}
	// An earlier attempt that a crash cut short may have left entries under the same index id.
	if err := c.removeEntries(ctx, a.t, a.added); err != nil {
		return err
	}
	for _, ix := range a.added {
		if err := c.opts.Backfill(ctx, a.t, ix); err != nil {
			return errors.Join(err, c.removeEntries(context.WithoutCancel(ctx), a.t, a.added))
		}
	}
	return nil
}

func (c *Catalog) removeEntries(ctx context.Context, t *Table, indexes []*Index) error {
	for _, ix := range indexes {
		r := tablekey.IndexRange(t.ID, ix.ID)
		if err := c.store.DeleteRange(ctx, kvclient.KeyRange(r)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) publish(ctx context.Context, db string, old *Table, a *alteration) error {
	if len(a.added) > 0 {
		ts, err := c.store.TS(ctx)
		if err != nil {
			return err
		}
		a.t.SchemaTS = ts
	}
	return c.change(ctx, func(e *edit) error {
		if e.next.ByID(old.ID) == nil {
			return errNoTable(old.DB, old.Name)
		}
		if err := e.putTable(a.t); err != nil || a.rename == nil {
			return err
		}
		return e.rename(old.DB, old.Name, schemaOf(a.rename, db), a.rename.Name.O)
	})
}

// apply edits the draft by one clause.
func (a *alteration) apply(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableAddColumns:
		return a.addColumns(spec)
	case ast.AlterTableDropColumn:
		return a.dropColumn(spec)
	case ast.AlterTableModifyColumn:
		return a.modify(spec.NewColumns[0].Name.Name.L, spec)
	case ast.AlterTableChangeColumn:
		return a.modify(spec.OldColumnName.Name.L, spec)
	case ast.AlterTableRenameColumn:
		return a.renameColumn(spec.OldColumnName.Name.O, spec.NewColumnName.Name.O)
	case ast.AlterTableAlterColumn:
		return a.alterDefault(spec.NewColumns[0])
	case ast.AlterTableRenameTable:
		a.rename = spec.NewTable
		return nil
	case ast.AlterTableOption:
		return a.tableOptions(spec.Options)
	default:
		return a.applyIndex(spec)
	}
}

func (a *alteration) applyIndex(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableAddConstraint:
		return a.addKey(spec.Constraint)
	case ast.AlterTableDropIndex:
		return a.dropIndex(spec.Name, spec.IfExists)
	case ast.AlterTableDropPrimaryKey:
		return a.dropIndex(primaryKeyName, false)
	case ast.AlterTableRenameIndex:
		return a.renameIndex(spec.FromKey.O, spec.ToKey.O)
	case ast.AlterTableDropForeignKey, ast.AlterTableLock, ast.AlterTableAlgorithm, ast.AlterTableForce,
		ast.AlterTableEnableKeys, ast.AlterTableDisableKeys, ast.AlterTableWithValidation, ast.AlterTableWithoutValidation,
		ast.AlterTableOrderByColumns:
		return nil // nothing here depends on them
	default:
		return errNotSupported("this clause of ALTER TABLE")
	}
}

func (a *alteration) tableOptions(opts []*ast.TableOption) error {
	for _, o := range opts {
		if o.Tp == ast.TableOptionCharset && o.UintValue == ast.TableOptionCharsetWithConvertTo {
			return errNotSupported("CONVERT TO CHARACTER SET")
		}
	}
	return a.options(opts)
}

func (a *alteration) addColumns(spec *ast.AlterTableSpec) error {
	for _, def := range spec.NewColumns {
		if spec.IfNotExists && a.t.Column(def.Name.Name.L) != nil {
			a.warnings = append(a.warnings, note(errCode(mysql.ErrDupFieldName, def.Name.Name.O)))
			continue
		}
		at, err := a.position(spec.Position, len(a.t.Columns))
		if err != nil {
			return err
		}
		if err := a.addColumn(def, at); err != nil {
			return err
		}
		if err := fillOrigDefault(a.t.Columns[at]); err != nil {
			return err
		}
	}
	for _, c := range append(columnConstraints(spec.NewColumns), spec.NewConstraints...) {
		if err := a.addKey(c); err != nil {
			return err
		}
	}
	return nil
}

func (a *alteration) position(p *ast.ColumnPosition, none int) (int, error) {
	if p == nil || p.Tp == ast.ColumnPositionNone {
		return none, nil
	}
	if p.Tp == ast.ColumnPositionFirst {
		return 0, nil
	}
	after := a.t.Column(p.RelativeColumn.Name.L)
	if after == nil {
		return 0, errCode(mysql.ErrBadField, p.RelativeColumn.Name.O, a.t.Name)
	}
	return after.Offset + 1, nil
}

// fillOrigDefault computes what rows that are there already read in a new column.
func fillOrigDefault(col *Column) error {
	if col.Type.Flag&column.FlagAutoIncr != 0 {
		return errNotSupported("adding an AUTO_INCREMENT column")
	}
	if col.DefaultExpr != "" {
		return errNotSupported("adding a column with DEFAULT %s", col.DefaultExpr)
	}
	d, err := origDefault(col)
	if err != nil || d.IsNull() {
		return err
	}
	col.OrigDefault, err = datum.AppendValue(nil, d, col.Type)
	return err
}

func origDefault(col *Column) (datum.Datum, error) {
	notNull := col.Type.Flag&column.FlagNotNull != 0
	switch {
	case col.HasDefault && !col.DefaultNull:
		return ParseText(col.Type, col.Default)
	case notNull:
		return zeroValue(col.Type.Tp, col)
	default:
		return datum.Datum{}, nil
	}
}

// zeroValue is MySQL's implicit default of a NOT NULL column.
func zeroValue(tp int32, col *Column) (datum.Datum, error) {
	switch tp {
	case column.TypeDate, column.TypeDatetime, column.TypeTimestamp:
		return datum.NewTime(0), nil
	case column.TypeDuration:
		return datum.NewDuration(0), nil
	case column.TypeEnum:
		return datum.NewUint64(1), nil
	case column.TypeSet:
		return datum.NewUint64(0), nil
	case column.TypeJSON:
		return ParseText(col.Type, "null")
	}
	if column.KindOf(col.Type) == column.Bytes {
		return datum.NewString(""), nil
	}
	return ParseText(col.Type, "0")
}

func (a *alteration) dropColumn(spec *ast.AlterTableSpec) error {
	name := spec.OldColumnName.Name.O
	col := a.t.Column(name)
	if col == nil {
		missing := errCode(mysql.ErrCantDropFieldOrKey, name)
		if spec.IfExists {
			a.warnings = append(a.warnings, note(missing))
			return nil
		}
		return missing
	}
	if len(a.t.Columns) == 1 {
		return errCode(mysql.ErrCantRemoveAllFields)
	}
	at := col.Offset
	for _, ix := range slices.Clone(a.t.Indexes) {
		if !slices.ContainsFunc(ix.Columns, func(p IndexColumn) bool { return p.Offset == at }) {
			continue
		}
		if ix.Primary || len(ix.Columns) > 1 {
			return errNotSupported("dropping column %s, which is in index %s", name, ix.Name)
		}
		if err := a.dropIndex(ix.Name, false); err != nil {
			return err
		}
	}
	a.t.Columns = slices.Delete(a.t.Columns, at, at+1)
	a.renumber(func(offset int) int {
		if offset > at {
			return offset - 1
		}
		return offset
	})
	return nil
}

// renumber follows a change of column positions through the table.
func (a *alteration) renumber(to func(int) int) {
	for i, c := range a.t.Columns {
		c.Offset = i
	}
	for _, ix := range a.t.Indexes {
		for i := range ix.Columns {
			ix.Columns[i].Offset = to(ix.Columns[i].Offset)
		}
	}
	if a.t.IntHandle >= 0 {
		a.t.IntHandle = to(a.t.IntHandle)
	}
}

// modify is MODIFY and CHANGE COLUMN, where rows and index entries stay as they are.
func (a *alteration) modify(old string, spec *ast.AlterTableSpec) error {
	def := spec.NewColumns[0]
	col := a.t.Column(old)
	if col == nil {
		return errCode(mysql.ErrBadField, old, a.t.Name)
	}
	fresh, err := a.column(def)
	if err != nil {
		return err
	}
	if other := a.t.Column(fresh.Name); other != nil && other != col {
		return errCode(mysql.ErrDupFieldName, fresh.Name)
	}
	if slices.ContainsFunc(a.t.Indexes, func(ix *Index) bool { return ix.Primary && uses(ix, col.Offset) }) {
		fresh.Type.Flag |= column.FlagNotNull
	}
	if !sameStored(col, fresh) {
		return errNotSupported("changing the stored form of column %s", col.Name)
	}
	fresh.ID, fresh.Offset, fresh.OrigDefault = col.ID, col.Offset, col.OrigDefault
	a.t.Columns[col.Offset] = fresh
	if err := a.move(fresh, spec.Position); err != nil {
		return err
	}
	for _, c := range columnConstraints(spec.NewColumns) {
		if err := a.addKey(c); err != nil {
			return err
		}
	}
	return nil
}

func uses(ix *Index, offset int) bool {
	return slices.ContainsFunc(ix.Columns, func(p IndexColumn) bool { return p.Offset == offset })
}

// sameStored reports whether all values of old are values of fresh in the same bytes.
func sameStored(old, fresh *Column) bool {
	o, f := old.Type, fresh.Type
	if f.Flag&column.FlagNotNull != 0 && o.Flag&column.FlagNotNull == 0 {
		return false
	}
	if (o.Flag^f.Flag)&column.FlagUnsigned != 0 || o.Collate != f.Collate || o.Decimal != f.Decimal && !wholeNumber(o.Tp) {
		return false
	}
	switch {
	case wholeNumber(o.Tp) && wholeNumber(f.Tp):
		return intBytes(f.Tp) >= intBytes(o.Tp)
	case o.Tp != f.Tp:
		return false
	case o.Tp == column.TypeEnum || o.Tp == column.TypeSet:
		return len(f.Elems) >= len(o.Elems) && slices.Equal(o.Elems, f.Elems[:len(o.Elems)])
	case o.Tp == column.TypeDecimal:
		return o.Flen == f.Flen
	case o.Tp == column.TypeString && o.Charset == "binary":
		return o.Flen == f.Flen
	default:
		return f.Flen >= o.Flen
	}
}

func wholeNumber(tp int32) bool { return mysql.IsIntegerType(byte(tp)) }

func intBytes(tp int32) int {
	switch tp {
	case column.TypeTiny:
		return 1
	case column.TypeShort:
		return 2
	case column.TypeInt24:
		return 3
	case column.TypeLong:
		return 4
	default:
		return 8
	}
}

// move puts a column where FIRST or AFTER says. Rows know columns by their ids, so only the order of names changes.
func (a *alteration) move(col *Column, p *ast.ColumnPosition) error {
	to, err := a.position(p, col.Offset)
	if err != nil || to == col.Offset {
		return err
	}
	before := slices.Clone(a.t.Columns)
	if to > col.Offset {
		to--
	}
	a.t.Columns = slices.Insert(slices.Delete(a.t.Columns, col.Offset, col.Offset+1), to, col)
	newOffset := make(map[*Column]int, len(before))
	for i, c := range a.t.Columns {
		newOffset[c] = i
	}
	a.renumber(func(offset int) int { return newOffset[before[offset]] })
	return nil
}

func (a *alteration) renameColumn(from, to string) error {
	col := a.t.Column(from)
	if col == nil {
		return errCode(mysql.ErrBadField, from, a.t.Name)
	}
	if err := checkNameOr(to, mysql.ErrWrongColumnName); err != nil {
		return err
	}
	if other := a.t.Column(to); other != nil && other != col {
		return errCode(mysql.ErrDupFieldName, to)
	}
	col.Name = to
	return nil
}

// alterDefault is ALTER COLUMN ... SET DEFAULT and DROP DEFAULT.
func (a *alteration) alterDefault(def *ast.ColumnDef) error {
	col := a.t.Column(def.Name.Name.L)
	if col == nil {
		return errCode(mysql.ErrBadField, def.Name.Name.O, a.t.Name)
	}
	if len(def.Options) == 0 {
		col.HasDefault, col.DefaultNull, col.Default, col.DefaultExpr = false, false, "", ""
		return nil
	}
	return setDefault(col, def.Options[0].Expr)
}

func (a *alteration) addKey(c *ast.Constraint) error {
	if c.Tp == ast.ConstraintPrimaryKey {
		if a.t.Index(primaryKeyName) != nil {
			return errCode(mysql.ErrMultiplePriKey)
		}
		return errNotSupported("adding a primary key to an existing table")
	}
	if c.IfNotExists && c.Name != "" && a.t.Index(c.Name) != nil {
		a.warnings = append(a.warnings, note(errCode(mysql.ErrDupKeyName, c.Name)))
		return nil
	}
	ix, err := a.addConstraint(c)
	if err == nil && ix != nil {
		a.added = append(a.added, ix)
	}
	return err
}

func (a *alteration) dropIndex(name string, ifExists bool) error {
	i := slices.IndexFunc(a.t.Indexes, func(ix *Index) bool { return strings.EqualFold(ix.Name, name) })
	if i < 0 {
		missing := errCode(mysql.ErrCantDropFieldOrKey, name)
		if ifExists {
			a.warnings = append(a.warnings, note(missing))
			return nil
		}
		return missing
	}
	ix := a.t.Indexes[i]
	if ix.Clustered {
		return errNotSupported("dropping a clustered primary key")
	}
	a.t.Indexes = slices.Delete(a.t.Indexes, i, i+1)
	if j := slices.Index(a.added, ix); j >= 0 {
		a.added = slices.Delete(a.added, j, j+1)
		return nil
	}
	a.removed = append(a.removed, ix)
	return nil
}

func (a *alteration) renameIndex(from, to string) error {
	ix := a.t.Index(from)
	if ix == nil {
		return errCode(mysql.ErrKeyDoesNotExist, from, a.t.Name)
	}
	if other := a.t.Index(to); other != nil && other != ix {
		return errCode(mysql.ErrDupKeyName, to)
	}
	ix.Name = to
	return checkName(to)
}
