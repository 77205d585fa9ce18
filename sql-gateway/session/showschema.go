package session

import (
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/infoschema"
)

// showSchema are the SHOW statements about databases and tables.
var showSchema map[ast.ShowStmtType]producer

func init() {
	showSchema = map[ast.ShowStmtType]producer{
		ast.ShowDatabases:      showDatabases,
		ast.ShowTables:         showTables,
		ast.ShowTableStatus:    showTableStatus,
		ast.ShowColumns:        showColumns,
		ast.ShowIndex:          showIndex,
		ast.ShowCreateTable:    showCreateTable,
		ast.ShowCreateView:     showCreateView,
		ast.ShowCreateDatabase: showCreateDatabase,
		ast.ShowStatsMeta:      showStatsMeta,
	}
}

func showDatabases(r *run, stmt *ast.ShowStmt) (*table, error) {
	name := "Database"
	if stmt.Pattern != nil {
		if text, null, err := r.evalText(stmt.Pattern.Pattern); err == nil && !null {
			name = fmt.Sprintf("Database (%s)", text)
		}
	}
	t := newTable(name)
	for _, db := range r.Schema().Databases() {
		t.add(db.Name)
	}
	return t, nil
}

// dbOf is the database that a SHOW statement is about.
func (r *run) dbOf(stmt *ast.ShowStmt) (*catalog.Database, error) {
	name := stmt.DBName
	if name == "" {
		name = r.s.db
	}
	if name == "" {
		return nil, errCode(mysql.ErrNoDB)
	}
	return r.Schema().Database(name)
}

func showTables(r *run, stmt *ast.ShowStmt) (*table, error) {
	db, err := r.dbOf(stmt)
	if err != nil {
		return nil, err
	}
	name := "Tables_in_" + db.Name
	if stmt.Pattern != nil {
		if text, null, err := r.evalText(stmt.Pattern.Pattern); err == nil && !null {
			name += fmt.Sprintf(" (%s)", text)
		}
	}
	t := newTable(name)
	if stmt.Full {
		t = newTable(name, "Table_type")
	}
	for _, tbl := range r.Schema().Tables(db.Name) {
		if stmt.Full {
			t.add(tbl.Name, infoschema.TableType(tbl))
		} else {
			t.add(tbl.Name)
		}
	}
	return t, nil
}

func showTableStatus(r *run, stmt *ast.ShowStmt) (*table, error) {
	db, err := r.dbOf(stmt)
	if err != nil {
		return nil, err
	}
	t := newTable("Name", "Engine", "#Version", "Row_format", "#Rows", "#Avg_row_length", "#Data_length", "#Max_data_length",
		"#Index_length", "#Data_free", "#Auto_increment", "@Create_time", "@Update_time", "@Check_time", "Collation",
		"#Checksum", "Create_options", "Comment")
	def, err := r.Schema().Table(infoschema.Name, "TABLES")
	if err != nil {
		return nil, err
	}
	rows, err := infoschema.Rows(r.ctx, def, r)
	if err != nil {
		return nil, err
	}
	const schema, name, engine, comment = 1, 2, 4, 20
	for _, row := range rows {
		if row[schema] == db.Name {
			t.rows = append(t.rows, append(infoschema.Row{row[name]}, row[engine:comment+1]...))
		}
	}
	return t, nil
}

// showColumns is SHOW [FULL] COLUMNS and DESCRIBE.
func showColumns(r *run, stmt *ast.ShowStmt) (*table, error) {
	tbl, err := r.tableOf(stmt)
	if err != nil {
		return nil, err
	}
	t := newTable("Field", "Type", "Null", "Key", "Default", "Extra")
	if stmt.Full {
		t = newTable("Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment")
	}
	for _, c := range tbl.Columns {
		if stmt.Column != nil && !strings.EqualFold(stmt.Column.Name.L, c.Name) {
			continue
		}
		typ, null := catalog.TypeString(c.Type), infoschema.YesNo(c.Type.Flag&column.FlagNotNull == 0)
		key, def, extra := infoschema.KeyOf(c), infoschema.DefaultOf(c), infoschema.ExtraOf(c)
		if stmt.Full {
			t.add(c.Name, typ, orNull(catalog.CollationName(c.Type)), null, key, def, extra, "select,insert,update,references", c.Comment)
		} else {
			t.add(c.Name, typ, null, key, def, extra)
		}
	}
	return t, nil
}

func showIndex(r *run, stmt *ast.ShowStmt) (*table, error) {
	tbl, err := r.tableOf(stmt)
	if err != nil {
		return nil, err
	}
	t := newTable("Table", "#Non_unique", "Key_name", "#Seq_in_index", "Column_name", "Collation", "#Cardinality", "#Sub_part",
		"Packed", "Null", "Index_type", "Comment", "Index_comment", "Visible", "Expression", "Clustered")
	for _, ix := range tbl.Indexes {
		for i, p := range ix.Columns {
			c := tbl.Columns[p.Offset]
			t.add(tbl.Name, infoschema.NonUnique(ix), ix.Name, int64(i+1), c.Name, "A", infoschema.Cardinality(r, tbl, ix, i+1),
				infoschema.SubPart(ix, i+1), nil, infoschema.Nullable(c), "BTREE", "", ix.Comment, "YES", nil, infoschema.YesNo(ix.Clustered))
		}
	}
	return t, nil
}

func showCreateTable(r *run, stmt *ast.ShowStmt) (*table, error) {
	tbl, err := r.tableOf(stmt)
	if err != nil {
		return nil, err
	}
	if tbl.View != nil {
		return viewText(tbl), nil
	}
	next, err := r.s.srv.catalog.PeekAutoInc(r.ctx, tbl)
	if err != nil {
		return nil, err
	}
	t := newTable("Table", "Create Table")
	t.add(tbl.Name, catalog.CreateTableText(tbl, next))
	return t, nil
}

func viewText(v *catalog.Table) *table {
	t := newTable("View", "Create View", "character_set_client", "collation_connection")
	t.add(v.Name, catalog.CreateViewText(v), v.View.Charset, v.View.Collate)
	return t
}

func showCreateView(r *run, stmt *ast.ShowStmt) (*table, error) {
	tbl, err := r.tableOf(stmt)
	if err != nil {
		return nil, err
	}
	if tbl.View == nil {
		return nil, errCode(mysql.ErrWrongObject, tbl.DB, tbl.Name, "VIEW")
	}
	return viewText(tbl), nil
}

func showCreateDatabase(r *run, stmt *ast.ShowStmt) (*table, error) {
	db, err := r.dbOf(stmt)
	if err != nil {
		return nil, err
	}
	t := newTable("Database", "Create Database")
	t.add(db.Name, catalog.CreateDatabaseText(db, stmt.IfNotExists))
	return t, nil
}

func showStatsMeta(r *run, _ *ast.ShowStmt) (*table, error) {
	t := newTable("Db_name", "Table_name", "Partition_name", "@Update_time", "#Modify_count", "#Row_count")
	for _, db := range r.Schema().Databases() {
		for _, tbl := range r.Schema().Tables(db.Name) {
			if st, ok := r.Stats(tbl.ID); ok {
				t.add(db.Name, tbl.Name, "", time.Unix(st.Analyzed, 0), st.Changed, st.Rows)
			}
		}
	}
	return t, nil
}
