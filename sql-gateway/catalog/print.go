package catalog

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
)

// CreateTableText prints a table as SHOW CREATE TABLE does. nextID, when not 0, is the AUTO_INCREMENT value to show.
func CreateTableText(t *Table, nextID uint64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (\n", Quote(t.Name))
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString("  " + columnText(t, c))
	}
	for _, ix := range t.Indexes {
		b.WriteString(",\n  " + indexText(t, ix))
	}
	fmt.Fprintf(&b, "\n) ENGINE=InnoDB")
	if nextID > 1 {
		fmt.Fprintf(&b, " AUTO_INCREMENT=%d", nextID)
	}
	fmt.Fprintf(&b, " DEFAULT CHARSET=%s COLLATE=%s", t.Charset, t.Collate)
	if t.Comment != "" {
		fmt.Fprintf(&b, " COMMENT='%s'", format.OutputFormat(t.Comment))
	}
	return b.String()
}

// Quote puts an identifier in backticks.
func Quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func columnText(t *Table, c *Column) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", Quote(c.Name), TypeString(c.Type))
	if HasCollation(c.Type) {
		if name := CollationName(c.Type); name != t.Collate {
			if c.Type.Charset != t.Charset {
				fmt.Fprintf(&b, " CHARACTER SET %s", c.Type.Charset)
			}
			fmt.Fprintf(&b, " COLLATE %s", name)
		}
	}
	notNull := c.Type.Flag&column.FlagNotNull != 0
	switch {
	case notNull:
		b.WriteString(" NOT NULL")
	case c.Type.Tp == column.TypeTimestamp:
		b.WriteString(" NULL")
	}
	b.WriteString(defaultText(c, notNull))
	if c.OnUpdateNow {
		b.WriteString(" ON UPDATE " + nowText(int(max(c.Type.Decimal, 0))))
	}
	if c.Type.Flag&column.FlagAutoIncr != 0 {
		b.WriteString(" AUTO_INCREMENT")
	}
	if c.Comment != "" {
		fmt.Fprintf(&b, " COMMENT '%s'", format.OutputFormat(c.Comment))
	}
	return b.String()
}

func defaultText(c *Column, notNull bool) string {
	switch {
	case c.DefaultExpr != "":
		return " DEFAULT " + c.DefaultExpr
	case c.HasDefault && !c.DefaultNull:
		if c.Type.Tp == column.TypeBit {
			return " DEFAULT b'" + bitDigits(c.Default) + "'"
		}
		return fmt.Sprintf(" DEFAULT '%s'", format.OutputFormat(c.Default))
	case notNull || c.Type.Flag&column.FlagAutoIncr != 0 || !mayDefault(c):
		return ""
	default:
		return " DEFAULT NULL"
	}
}

func bitDigits(number string) string {
	var v uint64
	if _, err := fmt.Sscan(number, &v); err != nil {
		return number
	}
	return fmt.Sprintf("%b", v)
}

// mayDefault: MySQL prints no DEFAULT NULL for blobs.
func mayDefault(c *Column) bool {
	return c.Type.Tp < column.TypeTinyBlob || c.Type.Tp > column.TypeBlob
}

func indexText(t *Table, ix *Index) string {
	parts := make([]string, len(ix.Columns))
	for i, p := range ix.Columns {
		parts[i] = Quote(t.Columns[p.Offset].Name)
		if p.Length >= 0 {
			parts[i] += fmt.Sprintf("(%d)", p.Length)
		}
	}
	cols := "(" + strings.Join(parts, ",") + ")"
	var text string
	switch {
	case ix.Primary && ix.Clustered:
		text = "PRIMARY KEY " + cols
	case ix.Primary:
		text = "PRIMARY KEY " + cols + " /*T![clustered_index] NONCLUSTERED */"
	case ix.Unique:
		text = "UNIQUE KEY " + Quote(ix.Name) + " " + cols
	default:
		text = "KEY " + Quote(ix.Name) + " " + cols
	}
	if ix.Comment != "" {
		text += fmt.Sprintf(" COMMENT '%s'", format.OutputFormat(ix.Comment))
	}
	return text
}

// CreateViewText prints a view as SHOW CREATE VIEW does.
func CreateViewText(v *Table) string {
	user, host, _ := strings.Cut(v.View.Definer, "@")
	cols := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		cols[i] = Quote(c.Name)
	}
	return fmt.Sprintf("CREATE ALGORITHM=UNDEFINED DEFINER=%s@%s SQL SECURITY DEFINER VIEW %s (%s) AS %s",
		Quote(user), Quote(host), Quote(v.Name), strings.Join(cols, ", "), v.View.Select)
}

// CreateDatabaseText prints a database as SHOW CREATE DATABASE [IF NOT EXISTS] does.
func CreateDatabaseText(db *Database, ifNotExists bool) string {
	mark := ""
	if ifNotExists {
		mark = "/*!32312 IF NOT EXISTS*/ "
	}
	text := fmt.Sprintf("CREATE DATABASE %s%s /*!40100 DEFAULT CHARACTER SET %s ", mark, Quote(db.Name), db.Charset)
	if db.Collate != mysql.DefaultCollationName {
		text += fmt.Sprintf("COLLATE %s ", db.Collate)
	}
	return text + "*/"
}
