package session

import (
	"context"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

func isDDL(stmt ast.StmtNode) bool {
	_, ok := stmt.(ast.DDLNode)
	return ok && !isTableLock(stmt)
}

// isTableLock: the parser counts LOCK TABLES among DDL.
func isTableLock(stmt ast.StmtNode) bool {
	switch stmt.(type) {
	case *ast.LockTablesStmt, *ast.UnlockTablesStmt:
		return true
	default:
		return false
	}
}

// ddl commits the running transaction, then changes the schema.
func (r *run) ddl() (wire.OK, error) {
	if r.s.snapshot != nil {
		return wire.OK{}, errSnapshotWrite
	}
	if err := r.s.commit(r.ctx); err != nil {
		return wire.OK{}, err
	}
	wait := time.Duration(r.s.intVar("lock_wait_timeout")) * time.Second
	ok, warnings, err := r.changeSchema(catalog.WithLockWait(r.ctx, wait))
	for _, w := range warnings {
		level := "Warning"
		if w.Note {
			level = "Note"
		}
		r.s.warn(level, w.Code, w.Message)
	}
	return ok, err
}

func (r *run) changeSchema(ctx context.Context) (ok wire.OK, warnings []catalog.Warning, err error) {
	c, db := r.s.srv.catalog, r.s.db
	switch stmt := r.stmt.(type) {
	case *ast.CreateDatabaseStmt:
		warnings, err = c.CreateDatabase(ctx, stmt)
		return wire.OK{Affected: 1}, warnings, err
	case *ast.AlterDatabaseStmt:
		name := stmt.Name.O
		if name == "" {
			name = db
		}
		return wire.OK{Affected: 1}, nil, c.AlterDatabase(ctx, name, stmt)
	case *ast.DropDatabaseStmt:
		return r.dropDatabase(ctx, stmt)
	case *ast.FlashBackToTimestampStmt:
		return wire.OK{}, nil, r.flashback(ctx, stmt)
	default:
		warnings, err = r.changeTable(ctx)
		return wire.OK{}, warnings, err
	}
}

func (r *run) dropDatabase(ctx context.Context, stmt *ast.DropDatabaseStmt) (wire.OK, []catalog.Warning, error) {
	n, warnings, err := r.s.srv.catalog.DropDatabase(ctx, stmt)
	if err == nil && strings.EqualFold(r.s.db, stmt.Name.O) {
		r.s.setDB("")
	}
	return wire.OK{Affected: uint64(n)}, warnings, err
}

// changeTable runs DDL on tables and views.
func (r *run) changeTable(ctx context.Context) ([]catalog.Warning, error) {
	c, db := r.s.srv.catalog, r.s.db
	if err := r.needDB(); err != nil {
		return nil, err
	}
	switch stmt := r.stmt.(type) {
	case *ast.CreateTableStmt:
		return c.CreateTable(ctx, db, stmt)
	case *ast.DropTableStmt:
		return c.DropTables(ctx, db, stmt)
	case *ast.TruncateTableStmt:
		return c.Truncate(ctx, db, stmt.Table)
	case *ast.RenameTableStmt:
		for _, p := range stmt.TableToTables {
			if err := c.Rename(ctx, db, p.OldTable, p.NewTable); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case *ast.AlterTableStmt:
		return c.AlterTable(ctx, db, stmt)
	case *ast.CreateIndexStmt:
		spec, err := indexSpec(stmt)
		if err != nil {
			return nil, err
		}
		return c.AlterTable(ctx, db, &ast.AlterTableStmt{Table: stmt.Table, Specs: []*ast.AlterTableSpec{spec}})
	case *ast.DropIndexStmt:
		spec := &ast.AlterTableSpec{Tp: ast.AlterTableDropIndex, Name: stmt.IndexName, IfExists: stmt.IfExists}
		return c.AlterTable(ctx, db, &ast.AlterTableStmt{Table: stmt.Table, Specs: []*ast.AlterTableSpec{spec}})
	case *ast.CreateViewStmt:
		return nil, r.createView(ctx, stmt)
	default:
		return nil, errNotSupported("%s", firstWords(r.text))
	}
}

// needDB refuses a statement that names a table without a database where none is selected.
func (r *run) needDB() error {
	if r.s.db != "" {
		return nil
	}
	v := &schemaless{}
	r.stmt.Accept(v)
	if v.found {
		return errCode(mysql.ErrNoDB)
	}
	return nil
}

// schemaless finds table names without a database.
type schemaless struct{ found bool }

func (v *schemaless) Enter(n ast.Node) (ast.Node, bool) {
	if t, ok := n.(*ast.TableName); ok && t.Schema.O == "" {
		v.found = true
	}
	return n, v.found
}

func (v *schemaless) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// indexSpec puts CREATE INDEX as a clause of ALTER TABLE.
func indexSpec(stmt *ast.CreateIndexStmt) (*ast.AlterTableSpec, error) {
	con := &ast.Constraint{
		Name: stmt.IndexName, Keys: stmt.IndexPartSpecifications, Option: stmt.IndexOption, IfNotExists: stmt.IfNotExists,
	}
	switch stmt.KeyType {
	case ast.IndexKeyTypeNone:
		con.Tp = ast.ConstraintIndex
	case ast.IndexKeyTypeUnique:
		con.Tp = ast.ConstraintUniq
	default:
		return nil, errNotSupported("this kind of index")
	}
	return &ast.AlterTableSpec{Tp: ast.AlterTableAddConstraint, Constraint: con}, nil
}

// createView plans the view's SELECT, to check it and to learn its columns, and stores its text with all tables
// qualified, so that it means the same in every database.
func (r *run) createView(ctx context.Context, stmt *ast.CreateViewStmt) error {
	node, ok := stmt.Select.(ast.ResultSetNode)
	if !ok {
		return errNotSupported("this kind of view")
	}
	q, err := planner.PlanQuery(r.planContext(), node)
	r.s.releaseLocks()
	if err != nil {
		return err
	}
	if len(stmt.Cols) > 0 && len(stmt.Cols) != len(q.Fields) {
		return errCode(mysql.ErrViewWrongList)
	}
	cols := make([]*catalog.Column, len(q.Fields))
	for i, f := range q.Fields {
		cols[i] = &catalog.Column{ID: int64(i) + 1, Name: f.Name, Offset: i, Type: f.Type}
		if len(stmt.Cols) > 0 {
			cols[i].Name = stmt.Cols[i].O
		}
	}
	node.Accept(&qualifier{db: r.s.db})
	var b strings.Builder
	if err := node.Restore(format.NewRestoreCtx(format.DefaultRestoreFlags|format.RestoreStringWithoutCharset, &b)); err != nil {
		return err
	}
	return r.s.srv.catalog.CreateView(ctx, r.s.db, stmt, cols, b.String(), r.s.user()+"@%")
}

// qualifier puts the current database before table names that have none and are not of a common table expression.
type qualifier struct {
	db   string
	ctes map[string]bool
}

func (v *qualifier) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.CommonTableExpression:
		if v.ctes == nil {
			v.ctes = make(map[string]bool)
		}
		v.ctes[n.Name.L] = true
	case *ast.TableName:
		if n.Schema.O == "" && !v.ctes[n.Name.L] {
			n.Schema = ast.NewCIStr(v.db)
		}
	}
	return n, false
}

func (v *qualifier) Leave(n ast.Node) (ast.Node, bool) { return n, true }
