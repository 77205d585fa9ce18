package planner

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// DMLTable is one table that an UPDATE or DELETE changes.
type DMLTable struct {
	Table *catalog.Table
	// First is the position of the table's first column in the query's output; all its columns follow in order, and after
	// them, where the table has a hidden row id, that (BIGINT).
	First int
	// Assign are the SET items of an UPDATE, expressions over the query's whole output, in statement order.
	Assign []Assignment
}

// Assignment sets column Column (offset in the table).
type Assignment struct {
	Column  int
	Expr    *tipb.Expr
	Default bool // SET c = DEFAULT
}

// DMLPlan is the row source of an UPDATE or DELETE.
type DMLPlan struct {
	Query  *Query
	Tables []DMLTable
}

// dmlBuilder plans the row source of UPDATE and DELETE: FROM, WHERE, ORDER BY, LIMIT, and all columns of the tables that
// are changed.
type dmlBuilder struct {
	b     *builder
	scope *scope
	node  logical
	out   []*Column
	plan  *DMLPlan
	first map[*source]int
}

func newDML(ctx *Context, with *ast.WithClause, refs *ast.TableRefsClause, where ast.ExprNode) (*dmlBuilder, error) {
	d := &dmlBuilder{b: newBuilder(ctx), plan: &DMLPlan{}, first: map[*source]int{}}
	ctes, err := d.b.withClause(with, nil)
	if err != nil {
		return nil, err
	}
	d.scope = &scope{ctes: ctes}
	if d.node, err = d.b.from(refs, d.scope); err != nil || where == nil {
		return d, err
	}
	conds, err := d.clause("where clause").condition(where)
	if err != nil {
		return nil, err
	}
	d.node = newSelect(d.node, conds)
	return d, nil
}

func (d *dmlBuilder) clause(where string) *clause {
	return &clause{b: d.b, scope: d.scope, where: where, plan: &d.node}
}

func (d *dmlBuilder) order(by *ast.OrderByClause, limit *ast.Limit) error {
	if by != nil {
		c := d.clause("order clause")
		s := &sortNode{}
		for _, it := range by.Items {
			e, err := c.build(it.Expr)
			if err != nil {
				return err
			}
			s.by = append(s.by, orderItem{e, it.Desc})
		}
		s.child = d.node
		d.node = s
	}
	var err error
	d.node, err = d.b.limit(d.node, limit)
	return err
}

// change enters a table that is changed and puts its columns out.
func (d *dmlBuilder) change(s *source) (*DMLTable, error) {
	if s.scan == nil || s.table.Virtual {
		return nil, errCode(mysql.ErrNonUpdatableTable, s.alias, "UPDATE")
	}
	if at, ok := d.first[s]; ok {
		return &d.plan.Tables[at], nil
	}
	d.first[s] = len(d.plan.Tables)
	d.plan.Tables = append(d.plan.Tables, DMLTable{Table: s.table, First: len(d.out)})
	d.out = append(d.out, s.scan.cols...)
	return &d.plan.Tables[len(d.plan.Tables)-1], nil
}

func (d *dmlBuilder) finish() (*DMLPlan, error) {
	r := &rel{node: passColumns(d.node, d.out), cols: d.out, fields: make([]Field, len(d.out))}
	for i, c := range d.out {
		r.fields[i].Name = c.Name
	}
	var err error
	d.plan.Query, err = d.b.finish(r)
	return d.plan, err
}

// owner finds the source whose column a SET names.
func (d *dmlBuilder) owner(cn *ast.ColumnName) (*source, int, error) {
	n, err := d.scope.find(cn, "field list")
	if err != nil {
		return nil, 0, err
	}
	if n == nil {
		return nil, 0, errCode(mysql.ErrBadField, columnText(cn), "field list")
	}
	for _, s := range d.scope.sources {
		if s.scan == nil {
			continue
		}
		for i, c := range s.scan.cols {
			if c == n.col {
				return s, s.scan.offsets[i], nil
			}
		}
	}
	return nil, 0, errCode(mysql.ErrNonUpdatableTable, n.tableLabel, "UPDATE")
}

// setItem is one item of SET; expr nil is DEFAULT.
type setItem struct {
	table, column int
	expr          *Expr
}

// PlanUpdate plans the single- and multi-table forms of UPDATE.
func PlanUpdate(ctx *Context, stmt *ast.UpdateStmt) (*DMLPlan, error) {
	d, err := newDML(ctx, stmt.With, stmt.TableRefs, stmt.Where)
	if err != nil {
		return nil, err
	}
	items, err := d.setItems(stmt.List)
	if err != nil {
		return nil, err
	}
	if err := d.order(stmt.Order, stmt.Limit); err != nil {
		return nil, err
	}
	d.outputFor(items)
	plan, err := d.finish()
	if err != nil {
		return nil, err
	}
	offsets := offsetsOf(d.out)
	for _, it := range items {
		a := Assignment{Column: it.column, Default: it.expr == nil}
		if it.expr != nil {
			if a.Expr, err = it.expr.pb(offsets); err != nil {
				return nil, err
			}
		}
		t := &plan.Tables[it.table]
		t.Assign = append(t.Assign, a)
	}
	return plan, nil
}

// setItems builds SET and enters the tables it changes.
func (d *dmlBuilder) setItems(list []*ast.Assignment) ([]setItem, error) {
	items := make([]setItem, len(list))
	c := d.clause("field list")
	for i, a := range list {
		s, off, err := d.owner(a.Column)
		if err != nil {
			return nil, err
		}
		if _, err := d.change(s); err != nil {
			return nil, err
		}
		items[i] = setItem{table: d.first[s], column: off}
		if def, ok := unparen(a.Expr).(*ast.DefaultExpr); ok && def.Name == nil {
			continue
		}
		if items[i].expr, err = c.build(a.Expr); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// outputFor puts out what the values of SET are computed from, or, where they use a scalar subquery, the values
// themselves: its result is known to the query only.
func (d *dmlBuilder) outputFor(items []setItem) {
	have := setOf(d.out)
	for i, it := range items {
		switch {
		case it.expr == nil:
		case d.usesScalar(it.expr):
			items[i].expr = d.computed(it.expr)
		default:
			used := colSet{}
			used.addColumns(it.expr)
			for _, col := range sortedColumns(used) {
				if !have[col] {
					have[col] = true
					d.out = append(d.out, col)
				}
			}
		}
	}
}

func (d *dmlBuilder) isScalar(c *Column) bool {
	for _, s := range d.b.scalars {
		for _, o := range s.out {
			if o == c {
				return true
			}
		}
	}
	return false
}

func (d *dmlBuilder) usesScalar(e *Expr) bool {
	used := colSet{}
	used.addColumns(e)
	for c := range used {
		if d.isScalar(c) {
			return true
		}
	}
	return false
}

// computed lets the query compute a value: the results of scalar subqueries are known there only.
func (d *dmlBuilder) computed(e *Expr) *Expr {
	col := d.b.newColumn(e.Type, "")
	p := &projectNode{child: d.node}
	for _, c := range d.node.columns() {
		p.exprs, p.out = append(p.exprs, colExpr(c)), append(p.out, c)
	}
	p.exprs, p.out = append(p.exprs, e), append(p.out, col)
	d.node = p
	d.out = append(d.out, col)
	return colExpr(col)
}

// PlanDelete plans the single- and multi-table forms of DELETE.
func PlanDelete(ctx *Context, stmt *ast.DeleteStmt) (*DMLPlan, error) {
	d, err := newDML(ctx, stmt.With, stmt.TableRefs, stmt.Where)
	if err != nil {
		return nil, err
	}
	targets := d.scope.sources
	if stmt.IsMultiTable && stmt.Tables != nil {
		targets = nil
		for _, t := range stmt.Tables.Tables {
			s := d.target(t)
			if s == nil {
				return nil, errCode(mysql.ErrUnknownTable, t.Name.O, "MULTI DELETE")
			}
			targets = append(targets, s)
		}
	}
	for _, s := range targets {
		if _, err := d.change(s); err != nil {
			return nil, err
		}
	}
	if err := d.order(stmt.Order, stmt.Limit); err != nil {
		return nil, err
	}
	return d.finish()
}

func (d *dmlBuilder) target(t *ast.TableName) *source {
	for _, s := range d.scope.sources {
		if s.alias == t.Name.L && (t.Schema.L == "" || s.db == "" || s.db == t.Schema.L) {
			return s
		}
	}
	return nil
}

// BuildScalar translates an expression over the given columns to tipb (INSERT values, ON DUPLICATE KEY UPDATE, DEFAULT
// expressions, SET). values are the offsets that VALUES(col) refers to by column name; nil forbids VALUES().
func BuildScalar(ctx *Context, node ast.ExprNode, columns []Field, values map[string]int) (*tipb.Expr, error) {
	b := newBuilder(ctx)
	sc := &scope{}
	cols := make([]*Column, len(columns))
	for i, f := range columns {
		cols[i] = b.newColumn(f.Type, lower(f.Name))
		sc.names = append(sc.names, &name{col: cols[i], db: lower(f.DB), table: lower(f.Table), attr: lower(f.Name), label: f.Name})
	}
	c := &clause{b: b, scope: sc, where: "field list"}
	if values != nil {
		c.values = map[string]*Column{}
		for n, off := range values {
			c.values[lower(n)] = cols[off]
		}
	}
	e, err := c.build(node)
	if err != nil {
		return nil, err
	}
	if len(b.scalars) > 0 {
		return nil, errNotSupported("subquery in %s", c.where)
	}
	return e.pb(offsetsOf(cols))
}
