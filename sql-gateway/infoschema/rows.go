package infoschema

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// Source is what the tables tell about.
type Source interface {
	Schema() *catalog.Snapshot
	Stats(table int64) (catalog.TableStats, bool)
	Activity
	// LockWaits are the lock requests that wait.
	LockWaits(ctx context.Context) ([]*deadlock.WaitForEntry, error)
	// Cluster is nil where nobody knows of stores and regions: their tables are empty then.
	Cluster() Cluster
	// Variables lists the system variables, by name.
	Variables(global bool) [][2]string
	// Grantee is the current user as 'user'@'host'.
	Grantee() string
}

// Row is one row: nil, string, int64, uint64, float64 or time.Time by the column's type.
type Row []any

// catalogName is the name that all things have in *_CATALOG columns.
const catalogName = "def"

// Rows makes the rows of a table of this package.
func Rows(ctx context.Context, t *catalog.Table, src Source) ([]Row, error) {
	if producer := producers[t.Name]; producer != nil {
		return producer(src), nil
	}
	if producer := clusterProducers[t.Name]; producer != nil {
		c := src.Cluster()
		if c == nil {
			return nil, nil
		}
		return producer(ctx, src, c)
	}
	if t.Name == "DATA_LOCK_WAITS" {
		return dataLockWaits(ctx, src)
	}
	name, everywhere := strings.CutPrefix(t.Name, clusterPrefix)
	producer := activityProducers[name]
	if producer == nil {
		return nil, nil
	}
	rows, err := producer(src)
	if everywhere {
		rows = withInstance(src, rows)
	}
	return rows, err
}

var producers = map[string]func(Source) []Row{
	"SCHEMATA":          schemata,
	"TABLES":            tables,
	"COLUMNS":           columns,
	"STATISTICS":        statistics,
	"KEY_COLUMN_USAGE":  keyColumnUsage,
	"TABLE_CONSTRAINTS": tableConstraints,
	"VIEWS":             views,
	"ENGINES":           engines,
	"PLUGINS":           plugins,
	"CHARACTER_SETS":    characterSets,
	"COLLATIONS":        collations,
	"COLLATION_CHARACTER_SET_APPLICABILITY": func(Source) []Row {
		var rows []Row
		for _, c := range charset.GetSupportedCollations() {
			rows = append(rows, Row{c.Name, c.CharsetName})
		}
		return rows
	},
	"USER_PRIVILEGES": userPrivileges,
	"KEYWORDS":        keywords,
	"SESSION_VARIABLES": func(src Source) []Row {
		return variables(src.Variables(false))
	},
	"GLOBAL_VARIABLES": func(src Source) []Row {
		return variables(src.Variables(true))
	},
}

// Batch puts rows into columns of the given types.
func Batch(types []*tipb.FieldType, rows []Row) (column.Batch, error) {
	b := column.Batch{Cols: make([]arrow.Array, len(types)), Rows: len(rows)}
	for i, ft := range types {
		builder := column.NewBuilder(ft, len(rows))
		for _, row := range rows {
			if err := appendValue(builder, row[i]); err != nil {
				return b, fmt.Errorf("column %d: %w", i+1, err)
			}
		}
		b.Cols[i] = builder.Array()
	}
	return b, nil
}

func appendValue(b *column.Builder, v any) error {
	switch v := v.(type) {
	case nil:
		b.AppendNull()
	case string:
		b.AppendBytes([]byte(v))
	case int64:
		if b.Kind == column.Uint64 {
			b.AppendUint64(uint64(v))
		} else {
			b.AppendInt64(v)
		}
	case uint64:
		if b.Kind == column.Int64 {
			b.AppendInt64(int64(v))
		} else {
			b.AppendUint64(v)
		}
	case time.Time:
		b.AppendUint64(uint64(value.FromGoTime(v, max(int(b.Type.Decimal), 0))))
	case float64:
		b.AppendFloat64(v)
	default:
		return fmt.Errorf("no column form for %T", v)
	}
	return nil
}

func schemata(src Source) []Row {
	var rows []Row
	for _, db := range src.Schema().Databases() {
		rows = append(rows, Row{catalogName, db.Name, db.Charset, db.Collate, nil, "NO"})
	}
	return rows
}

// eachTable calls f for all tables and views, and for virtual ones if they are wanted too.
func eachTable(src Source, virtual bool, f func(*catalog.Table)) {
	for _, db := range src.Schema().Databases() {
		for _, t := range src.Schema().Tables(db.Name) {
			if virtual || !t.Virtual {
				f(t)
			}
		}
	}
}

// TableType is a table's type as clients know it.
func TableType(t *catalog.Table) string {
	switch {
	case t.Virtual:
		return "SYSTEM VIEW"
	case t.View != nil:
		return "VIEW"
	default:
		return "BASE TABLE"
	}
}

func tables(src Source) []Row {
	var rows []Row
	eachTable(src, true, func(t *catalog.Table) {
		if t.View != nil {
			rows = append(rows, Row{catalogName, t.DB, t.Name, "VIEW", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
				time.Unix(t.Created, 0).UTC(), nil, nil, nil, nil, nil, "VIEW", t.ID})
			return
		}
		rows = append(rows, tableRow(src, t))
	})
	return rows
}

func tableRow(src Source, t *catalog.Table) Row {
	var engine, created any
	if !t.Virtual {
		engine, created = "InnoDB", time.Unix(t.Created, 0).UTC()
	}
	var count, width uint64
	if st, ok := src.Stats(t.ID); ok {
		count = uint64(st.Rows)
	}
	for _, c := range t.Columns {
		width += averageWidth(c.Type)
	}
	var auto any
	for _, c := range t.Columns {
		if c.Type.Flag&column.FlagAutoIncr != 0 {
			auto = t.AutoIncStart
		}
	}
	return Row{catalogName, t.DB, t.Name, TableType(t), engine, uint64(10), "Compact", count, width, count * width,
		uint64(0), count * 16 * uint64(len(t.Indexes)), uint64(0), auto, created, nil, nil, t.Collate, nil, "", t.Comment, t.ID}
}

// averageWidth guesses the bytes of a value from its type alone.
func averageWidth(ft *tipb.FieldType) uint64 {
	if column.KindOf(ft) != column.Bytes {
		return 8
	}
	return uint64(min(max(ft.Flen/2, 8), 64))
}

func columns(src Source) []Row {
	var rows []Row
	eachTable(src, true, func(t *catalog.Table) {
		for _, c := range t.Columns {
			rows = append(rows, columnRow(t, c))
		}
	})
	return rows
}

func columnRow(t *catalog.Table, c *catalog.Column) Row {
	chars, octets := textLengths(c.Type)
	precision, scale := numericPrecision(c.Type)
	var fsp, cs, collation any
	switch c.Type.Tp {
	case column.TypeDatetime, column.TypeTimestamp, column.TypeDuration:
		fsp = int64(max(c.Type.Decimal, 0))
	}
	if catalog.HasCollation(c.Type) {
		cs, collation = c.Type.Charset, catalog.CollationName(c.Type)
	}
	return Row{catalogName, t.DB, t.Name, c.Name, int64(c.Offset + 1), DefaultOf(c), YesNo(c.Type.Flag&column.FlagNotNull == 0),
		catalog.TypeName(c.Type), chars, octets, precision, scale, fsp, cs, collation, catalog.TypeString(c.Type),
		KeyOf(c), ExtraOf(c), "select,insert,update,references", c.Comment, "", nil}
}

// YesNo spells a truth value.
func YesNo(yes bool) string {
	if yes {
		return "YES"
	}
	return "NO"
}

// DefaultOf is a column's default as DESCRIBE shows it: nil or text.
func DefaultOf(c *catalog.Column) any {
	switch {
	case c.DefaultExpr != "":
		return c.DefaultExpr
	case c.HasDefault && !c.DefaultNull:
		return c.Default
	default:
		return nil
	}
}

// KeyOf is PRI, UNI, MUL or nothing.
func KeyOf(c *catalog.Column) string {
	switch flag := c.Type.Flag; {
	case flag&column.FlagPrimaryKey != 0:
		return "PRI"
	case flag&column.FlagUniqueKey != 0:
		return "UNI"
	case flag&multipleKeyFlag != 0:
		return "MUL"
	default:
		return ""
	}
}

const multipleKeyFlag = 1 << 3

// ExtraOf is what DESCRIBE shows as Extra.
func ExtraOf(c *catalog.Column) string {
	var parts []string
	if c.Type.Flag&column.FlagAutoIncr != 0 {
		parts = append(parts, "auto_increment")
	}
	if c.DefaultExpr != "" {
		parts = append(parts, "DEFAULT_GENERATED")
	}
	if c.OnUpdateNow {
		on := "on update CURRENT_TIMESTAMP"
		if c.Type.Decimal > 0 {
			on += fmt.Sprintf("(%d)", c.Type.Decimal)
		}
		parts = append(parts, on)
	}
	return strings.Join(parts, " ")
}

func textLengths(ft *tipb.FieldType) (chars, octets any) {
	if ft.Tp == column.TypeJSON || column.KindOf(ft) != column.Bytes && ft.Tp != column.TypeEnum && ft.Tp != column.TypeSet {
		return nil, nil
	}
	n, width := int64(ft.Flen), int64(1)
	blob := ft.Tp >= column.TypeTinyBlob && ft.Tp <= column.TypeBlob
	if info, err := charset.GetCharsetInfo(ft.Charset); err == nil && !blob {
		width = int64(info.Maxlen)
	}
	return n, n * width
}

func numericPrecision(ft *tipb.FieldType) (precision, scale any) {
	unsigned := column.IsUnsigned(ft)
	switch ft.Tp {
	case column.TypeTiny:
		return int64(3), int64(0)
	case column.TypeShort:
		return int64(5), int64(0)
	case column.TypeInt24:
		return int64(7), int64(0)
	case column.TypeLong:
		return int64(10), int64(0)
	case column.TypeLongLong:
		if unsigned {
			return int64(20), int64(0)
		}
		return int64(19), int64(0)
	case column.TypeBit:
		return int64(ft.Flen), nil
	case column.TypeDecimal:
		return int64(ft.Flen), int64(ft.Decimal)
	case column.TypeFloat, column.TypeDouble:
		if ft.Decimal >= 0 {
			return int64(ft.Flen), int64(ft.Decimal)
		}
		return int64(ft.Flen), nil
	default:
		return nil, nil
	}
}

// eachKeyPart calls f for every column of every index, with its place from 1.
func eachKeyPart(src Source, f func(t *catalog.Table, ix *catalog.Index, seq int, c *catalog.Column)) {
	eachTable(src, false, func(t *catalog.Table) {
		for _, ix := range t.Indexes {
			for i, p := range ix.Columns {
				f(t, ix, i+1, t.Columns[p.Offset])
			}
		}
	})
}

func statistics(src Source) []Row {
	var rows []Row
	eachKeyPart(src, func(t *catalog.Table, ix *catalog.Index, seq int, c *catalog.Column) {
		rows = append(rows, Row{catalogName, t.DB, t.Name, NonUnique(ix), t.DB, ix.Name, int64(seq), c.Name, "A",
			Cardinality(src, t, ix, seq), SubPart(ix, seq), nil, Nullable(c), "BTREE", "", ix.Comment, "YES", nil})
	})
	return rows
}

// NonUnique is 0 or 1.
func NonUnique(ix *catalog.Index) int64 {
	if ix.Unique {
		return 0
	}
	return 1
}

// SubPart is the prefix length of part seq (from 1), or nil.
func SubPart(ix *catalog.Index, seq int) any {
	if n := ix.Columns[seq-1].Length; n >= 0 {
		return int64(n)
	}
	return nil
}

// Nullable is "YES" or nothing.
func Nullable(c *catalog.Column) string {
	if c.Type.Flag&column.FlagNotNull == 0 {
		return "YES"
	}
	return ""
}

// Cardinality estimates the distinct values of the first seq columns of an index.
func Cardinality(src Source, t *catalog.Table, ix *catalog.Index, seq int) int64 {
	st, ok := src.Stats(t.ID)
	if !ok {
		return 0
	}
	if ix.Unique && seq == len(ix.Columns) {
		return st.Rows
	}
	n := 1.0
	for _, p := range ix.Columns[:seq] {
		n *= max(st.Distinct[t.Columns[p.Offset].ID], 1)
	}
	return int64(min(n, float64(st.Rows)))
}

func keyColumnUsage(src Source) []Row {
	var rows []Row
	eachKeyPart(src, func(t *catalog.Table, ix *catalog.Index, seq int, c *catalog.Column) {
		if ix.Unique {
			rows = append(rows, Row{catalogName, t.DB, ix.Name, catalogName, t.DB, t.Name, c.Name, int64(seq), nil, nil, nil, nil})
		}
	})
	return rows
}

func tableConstraints(src Source) []Row {
	var rows []Row
	eachTable(src, false, func(t *catalog.Table) {
		for _, ix := range t.Indexes {
			switch {
			case ix.Primary:
				rows = append(rows, Row{catalogName, t.DB, ix.Name, t.DB, t.Name, "PRIMARY KEY", "YES"})
			case ix.Unique:
				rows = append(rows, Row{catalogName, t.DB, ix.Name, t.DB, t.Name, "UNIQUE", "YES"})
			}
		}
	})
	return rows
}

func views(src Source) []Row {
	var rows []Row
	eachTable(src, false, func(t *catalog.Table) {
		if v := t.View; v != nil {
			rows = append(rows, Row{catalogName, t.DB, t.Name, v.Select, "NONE", "NO", v.Definer, "DEFINER", v.Charset, v.Collate})
		}
	})
	return rows
}

func engines(Source) []Row {
	return []Row{{"InnoDB", "DEFAULT", "Rows in raft-replicated regions, transactions, savepoints", "YES", "NO", "YES"}}
}

func plugins(Source) []Row {
	var rows []Row
	for _, name := range []string{"mysql_native_password", "caching_sha2_password"} {
		rows = append(rows, Row{name, "1.0", "ACTIVE", "AUTHENTICATION", "2.0", nil, nil, "Scree", name, "Apache-2.0", "FORCE"})
	}
	return rows
}

func characterSets(Source) []Row {
	var rows []Row
	for _, c := range charset.GetSupportedCharsets() {
		rows = append(rows, Row{c.Name, c.DefaultCollation, c.Desc, int64(c.Maxlen)})
	}
	return rows
}

func collations(Source) []Row {
	var rows []Row
	for _, c := range charset.GetSupportedCollations() {
		if _, err := catalog.CollationID(c.Name); err != nil {
			continue
		}
		isDefault := ""
		if c.IsDefault {
			isDefault = "Yes"
		}
		rows = append(rows, Row{c.Name, c.CharsetName, int64(c.ID), isDefault, "Yes", int64(c.Sortlen), c.PadAttribute})
	}
	return rows
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

var allPrivileges = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "PROCESS", "REFERENCES", "INDEX", "ALTER",
	"SHOW DATABASES", "SUPER", "CREATE VIEW", "SHOW VIEW", "CREATE USER"}

func userPrivileges(src Source) []Row {
	var rows []Row
	for _, p := range allPrivileges {
		rows = append(rows, Row{src.Grantee(), catalogName, p, "YES"})
	}
	return rows
}

func keywords(Source) []Row {
	var rows []Row
	for _, k := range parser.Keywords {
		reserved := int64(0)
		if k.Reserved {
			reserved = 1
		}
		rows = append(rows, Row{k.Word, reserved})
	}
	return rows
}

func variables(list [][2]string) []Row {
	rows := make([]Row, len(list))
	for i, v := range list {
		rows[i] = Row{v[0], v[1]}
	}
	return rows
}
