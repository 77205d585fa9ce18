package catalog

import (
	"context"
	"errors"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// CreateDatabase runs CREATE DATABASE.
func (c *Catalog) CreateDatabase(ctx context.Context, stmt *ast.CreateDatabaseStmt) ([]Warning, error) {
	if err := checkNameOr(stmt.Name.O, mysql.ErrWrongDBName); err != nil {
		return nil, err
	}
	cs, collate, err := databaseCharset(stmt.Options, defaultCharset, defaultCollate)
	if err != nil {
		return nil, err
	}
	exists := errCode(mysql.ErrDBCreateExists, stmt.Name.O)
	err = c.change(ctx, func(e *edit) error {
		if _, err := e.next.Database(stmt.Name.O); err == nil {
			return exists
		}
		id, err := e.newID()
		if err != nil {
			return err
		}
		return e.putDatabase(&Database{ID: id, Name: stmt.Name.O, Charset: cs, Collate: collate})
	})
	return tolerate(err, stmt.IfNotExists, exists)
}

// tolerate turns an error that IF [NOT] EXISTS allows into a note.
func tolerate(err error, allowed bool, which error) ([]Warning, error) {
	if allowed && err != nil && errors.Is(err, which) {
		return []Warning{note(err)}, nil
	}
	return nil, err
}

func databaseCharset(opts []*ast.DatabaseOption, defCharset, defCollate string) (cs, collate string, err error) {
	for _, o := range opts {
		switch o.Tp {
		case ast.DatabaseOptionCharset:
			cs = o.Value
		case ast.DatabaseOptionCollate:
			collate = o.Value
		}
	}
	return ResolveCharset(cs, collate, defCharset, defCollate)
}

// AlterDatabase changes a database's default character set and collation.
func (c *Catalog) AlterDatabase(ctx context.Context, name string, stmt *ast.AlterDatabaseStmt) error {
	return c.change(ctx, func(e *edit) error {
		old, err := e.realDatabase(name)
		if err != nil {
			return err
		}
		db := *old
		if db.Charset, db.Collate, err = databaseCharset(stmt.Options, old.Charset, old.Collate); err != nil {
			return err
		}
		return e.putDatabase(&db)
	})
}

// realDatabase finds a database that can be changed: not one of virtual tables.
func (e *edit) realDatabase(name string) (*Database, error) {
	db, err := e.next.Database(name)
	if err != nil {
		return nil, err
	}
	if db.ID == 0 {
		return nil, errCode(mysql.ErrDBaccessDenied, "", "", db.Name)
	}
	return db, nil
}

// DropDatabase runs DROP DATABASE and returns how many tables went with it.
func (c *Catalog) DropDatabase(ctx context.Context, stmt *ast.DropDatabaseStmt) (int, []Warning, error) {
	missing := errCode(mysql.ErrDBDropExists, stmt.Name.O)
	tables := c.Current().Tables(stmt.Name.O)
	release, err := c.exclude(ctx, tableIDs(tables)...)
	if err != nil {
		return 0, nil, err
	}
	defer release()
	var dropped []*Table
	err = c.change(ctx, func(e *edit) error {
		if _, err := e.next.Database(stmt.Name.O); err != nil {
			return missing
		}
		db, err := e.realDatabase(stmt.Name.O)
		if err != nil {
			return err
		}
		dropped = e.next.Tables(db.Name)
		for _, t := range dropped {
			if err := e.dropTable(t); err != nil {
				return err
			}
		}
		e.next.dropDatabase(db.Name)
		return e.txn.Delete(metaKey(databasePrefix, db.ID))
	})
	if err != nil {
		w, err := tolerate(err, stmt.IfExists, missing)
		return 0, w, err
	}
	return len(dropped), c.discard(ctx, dropped), nil
}

func tableIDs(tables []*Table) []int64 {
	ids := make([]int64, 0, len(tables))
	for _, t := range tables {
		if !t.Virtual {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// discard removes the data of tables that are no longer in the schema. Failing leaves garbage under ids that nobody
// will use again, which is a warning.
func (c *Catalog) discard(ctx context.Context, tables []*Table) []Warning {
	var warnings []Warning
	for _, t := range tables {
		c.ids.drop(t.ID)
		c.dropStats(t.ID)
		if t.View != nil {
			continue
		}
		r := tablekey.TableRange(t.ID)
		if err := c.store.DeleteRange(ctx, kvclient.KeyRange(r)); err != nil {
			c.log.Warn("rows of a dropped table were not removed", "table", t.DB+"."+t.Name, "id", t.ID, "err", err)
			warnings = append(warnings, warning(mysql.ErrUnknown, "Rows of %s.%s were not removed: %v", t.DB, t.Name, err))
		}
	}
	return warnings
}

// CreateTable runs CREATE TABLE; db is the current database.
func (c *Catalog) CreateTable(ctx context.Context, db string, stmt *ast.CreateTableStmt) ([]Warning, error) {
	dbName := schemaOf(stmt.Table, db)
	exists := errCode(mysql.ErrTableExists, stmt.Table.Name.O)
	var table *Table
	var warnings []Warning
	err := c.change(ctx, func(e *edit) error {
		d, err := e.realDatabase(dbName)
		if err != nil {
			return err
		}
		if _, err := e.next.Table(dbName, stmt.Table.Name.O); err == nil {
			return exists
		}
		if stmt.ReferTable != nil {
			table, err = likeTable(e.next, d, db, stmt)
		} else {
			table, warnings, err = buildTable(d, stmt)
		}
		if err != nil {
			return err
		}
		if table.ID, err = e.newID(); err != nil {
			return err
		}
		table.Created = c.opts.Now().Unix()
		return e.putTable(table)
	})
	if err != nil {
		return tolerate(err, stmt.IfNotExists, exists)
	}
	return append(warnings, c.split(ctx, table)...), nil
}

// schemaOf is the database that a table's name means.
func schemaOf(name *ast.TableName, current string) string {
	if name.Schema.O != "" {
		return name.Schema.O
	}
	return current
}

func likeTable(s *Snapshot, d *Database, current string, stmt *ast.CreateTableStmt) (*Table, error) {
	old, err := s.Table(schemaOf(stmt.ReferTable, current), stmt.ReferTable.Name.O)
	if err != nil {
		return nil, err
	}
	if old.View != nil || old.Virtual {
		return nil, errCode(mysql.ErrWrongObject, old.DB, old.Name, "BASE TABLE")
	}
	t := old.clone()
	t.DBID, t.DB, t.Name, t.AutoIncStart, t.SchemaTS = d.ID, d.Name, stmt.Table.Name.O, 1, 0
	return t, checkName(t.Name)
}

// split gives a new table a region of its own. The table works without, so failing is a warning.
func (c *Catalog) split(ctx context.Context, t *Table) []Warning {
	key := tablekey.AppendTablePrefix(nil, t.ID)
	if err := c.store.Split(ctx, [][]byte{key}); err != nil {
		c.log.Warn("new table got no region of its own", "table", t.DB+"."+t.Name, "id", t.ID, "err", err)
		return []Warning{warning(mysql.ErrUnknown, "%s.%s got no region of its own: %v", t.DB, t.Name, err)}
	}
	return nil
}

// DropTables runs DROP TABLE and DROP VIEW: for all of the names or, if one is not there, for none.
func (c *Catalog) DropTables(ctx context.Context, db string, stmt *ast.DropTableStmt) ([]Warning, error) {
	if stmt.TemporaryKeyword != ast.TemporaryNone {
		return nil, errNotSupported("temporary tables")
	}
	tables, missing := c.find(db, stmt)
	var warnings []Warning
	if len(missing) > 0 {
		unknown := errCode(mysql.ErrBadTable, strings.Join(missing, ","))
		if !stmt.IfExists {
			return nil, unknown
		}
		warnings = append(warnings, note(unknown))
	}
	release, err := c.exclude(ctx, tableIDs(tables)...)
	if err != nil {
		return nil, err
	}
	defer release()
	var dropped []*Table
	err = c.change(ctx, func(e *edit) error {
		dropped = dropped[:0]
		for _, t := range tables {
			now := e.next.ByID(t.ID)
			if now == nil {
				continue
			}
			if now.Virtual {
				return errCode(mysql.ErrDBaccessDenied, "", "", now.DB)
			}
			dropped = append(dropped, now)
			if err := e.dropTable(now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(warnings, c.discard(ctx, dropped)...), nil
}

// find resolves the names of a DROP; missing are those that are not there or not of the kind.
func (c *Catalog) find(db string, stmt *ast.DropTableStmt) (tables []*Table, missing []string) {
	for _, name := range stmt.Tables {
		schema := schemaOf(name, db)
		t, err := c.Current().Table(schema, name.Name.O)
		if err != nil || (t.View != nil) != stmt.IsView {
			missing = append(missing, schema+"."+name.Name.O)
			continue
		}
		tables = append(tables, t)
	}
	return tables, missing
}

// Truncate gives a table a new id and removes the rows of the old one.
func (c *Catalog) Truncate(ctx context.Context, db string, name *ast.TableName) ([]Warning, error) {
	old, release, err := c.lockTable(ctx, db, name)
	if err != nil {
		return nil, err
	}
	defer release()
	var fresh *Table
	err = c.change(ctx, func(e *edit) error {
		fresh = old.clone()
		if err := e.dropTable(old); err != nil {
			return err
		}
		if fresh.ID, err = e.newID(); err != nil {
			return err
		}
		fresh.SchemaTS, fresh.AutoIncStart = 0, 1
		return e.putTable(fresh)
	})
	if err != nil {
		return nil, err
	}
	return append(c.discard(ctx, []*Table{old}), c.split(ctx, fresh)...), nil
}

// lockTable finds a base table and takes it exclusively; what it returns is the table as of then.
func (c *Catalog) lockTable(ctx context.Context, db string, name *ast.TableName) (*Table, func(), error) {
	schema := schemaOf(name, db)
	for {
		t, err := c.Current().Table(schema, name.Name.O)
		if err != nil {
			return nil, nil, err
		}
		if t.View != nil || t.Virtual {
			return nil, nil, errCode(mysql.ErrWrongObject, t.DB, t.Name, "BASE TABLE")
		}
		release, err := c.exclude(ctx, t.ID)
		if err != nil {
			return nil, nil, err
		}
		if now, err := c.Current().Table(schema, name.Name.O); err == nil && now == t {
			return t, release, nil
		}
		release()
	}
}

// Rename runs RENAME TABLE for one pair of names.
func (c *Catalog) Rename(ctx context.Context, db string, from, to *ast.TableName) error {
	schema := schemaOf(from, db)
	t, err := c.Current().Table(schema, from.Name.O)
	if err != nil {
		return err
	}
	release, err := c.exclude(ctx, t.ID)
	if err != nil {
		return err
	}
	defer release()
	return c.change(ctx, func(e *edit) error { return e.rename(schema, from.Name.O, schemaOf(to, db), to.Name.O) })
}

func (e *edit) rename(fromDB, from, toDB, to string) error {
	t, err := e.next.Table(fromDB, from)
	if err != nil {
		return err
	}
	if _, err := e.realDatabase(fromDB); err != nil {
		return err
	}
	d, err := e.realDatabase(toDB)
	if err != nil {
		return err
	}
	if err := checkName(to); err != nil {
		return err
	}
	if other, err := e.next.Table(toDB, to); err == nil && other.ID != t.ID {
		return errCode(mysql.ErrTableExists, to)
	}
	e.next.dropTable(t)
	fresh := t.clone()
	fresh.DBID, fresh.DB, fresh.Name = d.ID, d.Name, to
	return e.putTable(fresh)
}

// CreateView stores a view. columns are those of its SELECT, which the caller has planned; text is the SELECT with
// all names qualified.
func (c *Catalog) CreateView(ctx context.Context, db string, stmt *ast.CreateViewStmt, columns []*Column, text, definer string) error {
	schema := schemaOf(stmt.ViewName, db)
	exists := errCode(mysql.ErrTableExists, stmt.ViewName.Name.O)
	return c.change(ctx, func(e *edit) error {
		d, err := e.realDatabase(schema)
		if err != nil {
			return err
		}
		old, err := e.next.Table(schema, stmt.ViewName.Name.O)
		if err == nil && !stmt.OrReplace {
			return exists
		}
		if err == nil && old.View == nil {
			return errCode(mysql.ErrWrongObject, old.DB, old.Name, "VIEW")
		}
		v := &Table{DBID: d.ID, DB: d.Name, Name: stmt.ViewName.Name.O, IntHandle: -1, Columns: columns,
			Charset: defaultCharset, Collate: defaultCollate, Created: c.opts.Now().Unix(),
			View: &View{Select: text, Charset: defaultCharset, Collate: defaultCollate, Definer: definer}}
		for _, name := range stmt.Cols {
			v.View.Columns = append(v.View.Columns, name.O)
		}
		if old != nil {
			if err := e.dropTable(old); err != nil {
				return err
			}
		}
		if v.ID, err = e.newID(); err != nil {
			return err
		}
		return e.putTable(v)
	})
}
