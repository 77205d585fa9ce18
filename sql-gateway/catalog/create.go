package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

const (
	maxNameLength  = 64
	maxColumns     = 1017
	maxIndexes     = 64
	maxKeyParts    = 16
	maxIndexBytes  = 3072
	primaryKeyName = "PRIMARY"
)

// tableBuilder makes a Table from a CREATE TABLE or edits one for ALTER TABLE.
type tableBuilder struct {
	t        *Table
	warnings []Warning
}

// buildTable makes the table that stmt describes, without an id.
func buildTable(db *Database, stmt *ast.CreateTableStmt) (*Table, []Warning, error) {
	if err := refuseTable(stmt); err != nil {
		return nil, nil, err
	}
	b := &tableBuilder{t: &Table{DBID: db.ID, DB: db.Name, Name: stmt.Table.Name.O, IntHandle: -1, AutoIncStart: 1}}
	if err := checkName(b.t.Name); err != nil {
		return nil, nil, err
	}
	b.t.Charset, b.t.Collate = db.Charset, db.Collate
	if err := b.options(stmt.Options); err != nil {
		return nil, nil, err
	}
	for _, def := range stmt.Cols {
		if err := b.addColumn(def, len(b.t.Columns)); err != nil {
			return nil, nil, err
		}
	}
	constraints := append(columnConstraints(stmt.Cols), stmt.Constraints...)
	if err := b.addConstraints(constraints); err != nil {
		return nil, nil, err
	}
	return b.t, b.warnings, b.finish()
}

func refuseTable(stmt *ast.CreateTableStmt) error {
	switch {
	case stmt.TemporaryKeyword != ast.TemporaryNone:
		return errNotSupported("temporary tables")
	case stmt.Partition != nil:
		return errNotSupported("partitioned tables")
	case stmt.Select != nil:
		return errNotSupported("CREATE TABLE ... SELECT")
	case len(stmt.Cols) == 0:
		return errCode(mysql.ErrTableMustHaveColumns)
	case len(stmt.Cols) > maxColumns:
		return errCode(mysql.ErrTooManyFields)
	}
	return nil
}

func checkName(name string) error { return checkNameOr(name, mysql.ErrWrongTableName) }

// checkNameOr checks a name; wrong is the code for one that is empty or ends with a space.
func checkNameOr(name string, wrong uint16) error {
	if name == "" || strings.HasSuffix(name, " ") {
		return errCode(wrong, name)
	}
	if len([]rune(name)) > maxNameLength {
		return errCode(mysql.ErrTooLongIdent, name)
	}
	return nil
}

func (b *tableBuilder) options(opts []*ast.TableOption) error {
	var cs, collate string
	for _, o := range opts {
		switch o.Tp {
		case ast.TableOptionCharset:
			cs = o.StrValue
		case ast.TableOptionCollate:
			collate = o.StrValue
		case ast.TableOptionComment:
			b.t.Comment = o.StrValue
		case ast.TableOptionAutoIncrement:
			b.t.AutoIncStart = max(o.UintValue, 1)
		}
	}
	var err error
	b.t.Charset, b.t.Collate, err = ResolveCharset(cs, collate, b.t.Charset, b.t.Collate)
	return err
}

// addColumn puts a column at a position. Its key options are left to addConstraints.
func (b *tableBuilder) addColumn(def *ast.ColumnDef, at int) error {
	col, err := b.column(def)
	if err != nil {
		return err
	}
	if b.t.Column(col.Name) != nil {
		return errCode(mysql.ErrDupFieldName, col.Name)
	}
	if len(b.t.Columns) >= maxColumns {
		return errCode(mysql.ErrTooManyFields)
	}
	b.t.MaxColumnID++
	col.ID = b.t.MaxColumnID
	b.t.Columns = slices.Insert(b.t.Columns, at, col)
	for i, c := range b.t.Columns {
		c.Offset = i
	}
	for _, ix := range b.t.Indexes {
		for i := range ix.Columns {
			if ix.Columns[i].Offset >= at {
				ix.Columns[i].Offset++
			}
		}
	}
	if b.t.IntHandle >= at {
		b.t.IntHandle++
	}
	return nil
}

// column makes a column from its definition.
func (b *tableBuilder) column(def *ast.ColumnDef) (*Column, error) {
	name := def.Name.Name.O
	if err := checkNameOr(name, mysql.ErrWrongColumnName); err != nil {
		return nil, err
	}
	ft := def.Tp.Clone()
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionCollate {
			ft.SetCollate(o.StrValue)
		}
	}
	typ, err := FieldTypeOf(name, ft, b.t.Charset, b.t.Collate)
	if err != nil {
		return nil, err
	}
	col := &Column{Name: name, Type: typ}
	return col, b.columnOptions(col, def.Options)
}

// columnOptions applies the options; DEFAULT last, as it depends on NOT NULL.
func (b *tableBuilder) columnOptions(col *Column, opts []*ast.ColumnOption) error {
	var def ast.ExprNode
	for _, o := range opts {
		switch o.Tp {
		case ast.ColumnOptionNotNull:
			col.Type.Flag |= column.FlagNotNull
		case ast.ColumnOptionNull:
			col.Type.Flag &^= column.FlagNotNull
		case ast.ColumnOptionAutoIncrement:
			col.Type.Flag |= column.FlagAutoIncr | column.FlagNotNull
		case ast.ColumnOptionDefaultValue:
			def = o.Expr
		case ast.ColumnOptionComment:
			text, _, err := literalText(o.Expr)
			if err != nil {
				return err
			}
			col.Comment = text
		case ast.ColumnOptionOnUpdate:
			if err := setOnUpdate(col, o.Expr); err != nil {
				return err
			}
		default:
			if err := b.rareOption(o); err != nil {
				return err
			}
		}
	}
	if def == nil {
		return nil
	}
	if col.Type.Flag&column.FlagAutoIncr != 0 {
		return errCode(mysql.ErrInvalidDefault, col.Name)
	}
	return setDefault(col, def)
}

func (b *tableBuilder) rareOption(o *ast.ColumnOption) error {
	switch o.Tp {
	case ast.ColumnOptionGenerated:
		return errNotSupported("generated columns")
	case ast.ColumnOptionFulltext:
		return errNotSupported("FULLTEXT indexes")
	case ast.ColumnOptionAutoRandom:
		return errNotSupported("AUTO_RANDOM")
	case ast.ColumnOptionReference:
		b.ignored("FOREIGN KEY")
	case ast.ColumnOptionCheck:
		b.ignored("CHECK")
	}
	return nil
}

func (b *tableBuilder) ignored(what string) {
	b.warnings = append(b.warnings, warning(mysql.ErrNotSupportedYet, "%s constraints are accepted and not enforced", what))
}

func setOnUpdate(col *Column, expr ast.ExprNode) error {
	fn, ok := expr.(*ast.FuncCallExpr)
	if !ok {
		return errCode(mysql.ErrInvalidOnUpdate, col.Name)
	}
	fsp, ok := nowFsp(fn)
	if !ok || fsp != int(col.Type.Decimal) || col.Type.Tp != column.TypeTimestamp && col.Type.Tp != column.TypeDatetime {
		return errCode(mysql.ErrInvalidOnUpdate, col.Name)
	}
	col.OnUpdateNow = true
	col.Type.Flag |= uint32(mysql.OnUpdateNowFlag)
	return nil
}

// columnConstraints turns PRIMARY KEY and UNIQUE behind columns into constraints of the table.
func columnConstraints(defs []*ast.ColumnDef) []*ast.Constraint {
	var out []*ast.Constraint
	for _, def := range defs {
		keys := []*ast.IndexPartSpecification{{Column: def.Name, Length: wholeColumn}}
		for _, o := range def.Options {
			switch o.Tp {
			case ast.ColumnOptionPrimaryKey:
				opt := &ast.IndexOption{PrimaryKeyTp: o.PrimaryKeyTp}
				out = append(out, &ast.Constraint{Tp: ast.ConstraintPrimaryKey, Keys: keys, Option: opt})
			case ast.ColumnOptionUniqKey:
				out = append(out, &ast.Constraint{Tp: ast.ConstraintUniq, Keys: keys})
			}
		}
	}
	return out
}

// wholeColumn is the prefix length that says there is none.
const wholeColumn = -1

// addConstraints adds the primary key first, whatever its place, because it decides about the handle.
func (b *tableBuilder) addConstraints(list []*ast.Constraint) error {
	for _, c := range list {
		if c.Tp == ast.ConstraintPrimaryKey {
			if err := b.addPrimaryKey(c); err != nil {
				return err
			}
		}
	}
	for _, c := range list {
		if c.Tp == ast.ConstraintPrimaryKey {
			continue
		}
		if _, err := b.addConstraint(c); err != nil {
			return err
		}
	}
	return nil
}

// addConstraint adds an index, or accepts what is not enforced. It returns the new index if there is one.
func (b *tableBuilder) addConstraint(c *ast.Constraint) (*Index, error) {
	switch c.Tp {
	case ast.ConstraintKey, ast.ConstraintIndex:
		return b.addIndex(c.Name, c.Keys, c.Option, false)
	case ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
		return b.addIndex(c.Name, c.Keys, c.Option, true)
	case ast.ConstraintForeignKey:
		b.ignored("FOREIGN KEY")
		return nil, nil
	case ast.ConstraintCheck:
		b.ignored("CHECK")
		return nil, nil
	case ast.ConstraintFulltext:
		return nil, errNotSupported("FULLTEXT indexes")
	default:
		return nil, errNotSupported("this kind of constraint")
	}
}

func (b *tableBuilder) addPrimaryKey(c *ast.Constraint) error {
	if b.t.Index(primaryKeyName) != nil {
		return errCode(mysql.ErrMultiplePriKey)
	}
	for _, k := range c.Keys {
		if k.Column == nil {
			continue
		}
		if col := b.t.Column(k.Column.Name.L); col != nil {
			if col.HasDefault && col.DefaultNull {
				return errCode(mysql.ErrPrimaryCantHaveNull)
			}
			col.Type.Flag |= column.FlagNotNull
		}
	}
	ix, err := b.addIndex(primaryKeyName, c.Keys, c.Option, true)
	if err != nil {
		return err
	}
	ix.Primary = true
	b.chooseHandle(ix, c.Option)
	return nil
}

// chooseHandle makes the primary key the handle of rows: an integer by itself, other columns in their key form. Not
// where the statement says NONCLUSTERED or where only a prefix of a column is in the key.
func (b *tableBuilder) chooseHandle(ix *Index, opt *ast.IndexOption) {
	if opt != nil && opt.PrimaryKeyTp == ast.PrimaryKeyTypeNonClustered {
		return
	}
	for _, c := range ix.Columns {
		if c.Length != wholeColumn {
			return
		}
	}
	ix.Clustered = true
	if len(ix.Columns) == 1 && mysql.IsIntegerType(byte(b.t.Columns[ix.Columns[0].Offset].Type.Tp)) {
		b.t.IntHandle = ix.Columns[0].Offset
		return
	}
	b.t.CommonHandle = true
}

func (b *tableBuilder) addIndex(name string, keys []*ast.IndexPartSpecification, opt *ast.IndexOption, unique bool) (*Index, error) {
	if opt != nil && opt.Condition != nil {
		return nil, errNotSupported("partial indexes")
	}
	if len(b.t.Indexes) >= maxIndexes {
		return nil, errCode(mysql.ErrTooManyKeys, maxIndexes)
	}
	parts, err := b.keyParts(keys)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = b.freeIndexName(b.t.Columns[parts[0].Offset].Name)
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if b.t.Index(name) != nil {
		return nil, errCode(mysql.ErrDupKeyName, name)
	}
	b.t.MaxIndexID++
	ix := &Index{ID: b.t.MaxIndexID, Name: name, Unique: unique, Columns: parts}
	if opt != nil {
		ix.Comment = opt.Comment
	}
	b.t.Indexes = append(b.t.Indexes, ix)
	return ix, nil
}

func (b *tableBuilder) freeIndexName(base string) string {
	name := base
	if strings.EqualFold(name, primaryKeyName) {
		name = base + "_2"
	}
	for i := 2; b.t.Index(name) != nil; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	return name
}

func (b *tableBuilder) keyParts(keys []*ast.IndexPartSpecification) ([]IndexColumn, error) {
	if len(keys) > maxKeyParts {
		return nil, errCode(mysql.ErrTooManyKeyParts, maxKeyParts)
	}
	parts, total := make([]IndexColumn, 0, len(keys)), 0
	for _, k := range keys {
		if k.Expr != nil || k.Column == nil {
			return nil, errNotSupported("expression indexes")
		}
		col := b.t.Column(k.Column.Name.L)
		if col == nil {
			return nil, errCode(mysql.ErrKeyColumnDoesNotExits, k.Column.Name.O)
		}
		part, size, err := keyPart(col, k.Length)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(parts, func(p IndexColumn) bool { return p.Offset == part.Offset }) {
			return nil, errCode(mysql.ErrDupFieldName, col.Name)
		}
		if total += size; total > maxIndexBytes {
			return nil, errCode(mysql.ErrTooLongKey, total, maxIndexBytes)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// keyPart checks one column of an index and sizes it in bytes.
func keyPart(col *Column, length int) (IndexColumn, int, error) {
	ft := col.Type
	part := IndexColumn{Offset: col.Offset, Length: wholeColumn}
	if ft.Tp == column.TypeJSON {
		return part, 0, errCode(mysql.ErrJSONUsedAsKey, col.Name)
	}
	blob := ft.Tp >= column.TypeTinyBlob && ft.Tp <= column.TypeBlob
	text := blob || ft.Tp == column.TypeVarchar || ft.Tp == column.TypeString || ft.Tp == column.TypeVarString
	switch {
	case length == 0:
		return part, 0, errCode(mysql.ErrKeyPart0, col.Name)
	case length > 0 && (!text || !blob && length > int(ft.Flen)):
		return part, 0, errCode(mysql.ErrWrongSubKey)
	case length < 0 && blob:
		return part, 0, errCode(mysql.ErrBlobKeyWithoutLength, col.Name)
	case !text:
		return part, 8, nil
	}
	if length > 0 && length != int(ft.Flen) {
		part.Length = length
	} else {
		length = int(ft.Flen)
	}
	return part, length * charBytes(ft), nil
}

func charBytes(ft *tipb.FieldType) int {
	switch ft.Charset {
	case "binary", "ascii", "latin1":
		return 1
	case "utf8":
		return 3
	default:
		return 4
	}
}

// finish checks what only shows in the whole table, and sets the key flags of columns.
func (b *tableBuilder) finish() error {
	markKeys(b.t)
	auto := 0
	for _, c := range b.t.Columns {
		if c.Type.Flag&column.FlagAutoIncr == 0 {
			continue
		}
		auto++
		if !mysql.IsIntegerType(byte(c.Type.Tp)) && column.KindOf(c.Type) != column.Float64 {
			return errCode(mysql.ErrWrongFieldSpec, c.Name)
		}
		if auto > 1 || !leadsIndex(b.t, c.Offset) {
			return errCode(mysql.ErrWrongAutoKey)
		}
	}
	return nil
}

func leadsIndex(t *Table, offset int) bool {
	return slices.ContainsFunc(t.Indexes, func(ix *Index) bool { return ix.Columns[0].Offset == offset })
}

// markKeys sets the primary, unique and multiple key flags that clients see.
func markKeys(t *Table) {
	for _, c := range t.Columns {
		c.Type.Flag &^= column.FlagPrimaryKey | column.FlagUniqueKey | uint32(mysql.MultipleKeyFlag)
	}
	for _, ix := range t.Indexes {
		for i, part := range ix.Columns {
			ft := t.Columns[part.Offset].Type
			switch {
			case ix.Primary:
				ft.Flag |= column.FlagPrimaryKey
			case ix.Unique && len(ix.Columns) == 1:
				ft.Flag |= column.FlagUniqueKey
			case i == 0:
				ft.Flag |= uint32(mysql.MultipleKeyFlag)
			}
		}
	}
}
