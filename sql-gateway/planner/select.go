package planner

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
)

// selectItem is one item of a select list, stars expanded.
type selectItem struct {
	node  ast.ExprNode // nil: a column of a star
	name  *name        // the column, where the item is one
	label string
	alias string // lower case
	expr  *Expr  // built, in terms of what is below the projection
}

// selectList is the select list while and after it is built.
type selectList struct {
	items []*selectItem
	shown int
	// building is the item whose expression GROUP BY is looking through, against circles.
	building int
}

// find resolves an alias; nil if no item has that name.
func (l *selectList) find(cn *ast.ColumnName, c *clause) (*Expr, error) {
	var hit *Expr
	for i, it := range l.items[:l.shown] {
		if it.alias != cn.Name.L || it.expr == nil && !c.aliasLate {
			continue
		}
		e, err := l.at(i, c)
		if err != nil {
			return nil, err
		}
		if hit != nil && !sameExpr(hit, e) {
			return nil, errCode(mysql.ErrNonUniq, cn.Name.O, c.where)
		}
		hit = e
	}
	return hit, nil
}

// at is the i-th item: as built, or, for GROUP BY (which stands below the select list), built in the clause.
func (l *selectList) at(i int, c *clause) (*Expr, error) {
	it := l.items[i]
	if !c.aliasLate {
		return it.expr, nil
	}
	if it.node == nil {
		return colExpr(it.name.col), nil
	}
	inner := *c
	inner.aliases = nil
	return inner.build(it.node)
}

// selectStmt builds SELECT, TABLE and VALUES.
func (b *builder) selectStmt(s *ast.SelectStmt, parent *scope, ctes *cteScope) (*rel, error) {
	ctes, err := b.withClause(s.With, ctes)
	if err != nil {
		return nil, err
	}
	if s.Kind == ast.SelectStmtKindValues {
		return b.valuesStmt(s, parent, ctes)
	}
	if s.SelectIntoOpt != nil {
		return nil, errNotSupported("SELECT ... INTO here")
	}
	if err := b.innerLocks(s); err != nil {
		return nil, err
	}
	sc := &scope{parent: parent, ctes: ctes}
	node, err := b.from(s.From, sc)
	if err != nil {
		return nil, err
	}
	q := &selectBuilder{b: b, s: s, scope: sc, node: node}
	return q.build()
}

// selectBuilder puts one SELECT together, clause by clause, from below:
// FROM, WHERE, GROUP BY, HAVING, windows, select list, DISTINCT, ORDER BY, LIMIT.
type selectBuilder struct {
	b     *builder
	s     *ast.SelectStmt
	scope *scope
	node  logical
	list  *selectList
	group *grouping
	order []orderItem
	// window has the window functions met so far; they stand above HAVING.
	window *windowing
}

func (q *selectBuilder) clause(where string) *clause {
	return &clause{b: q.b, scope: q.scope, where: where, plan: &q.node, group: q.group}
}

func (q *selectBuilder) build() (*rel, error) {
	for _, step := range []func() error{q.where, q.windows, q.expand, q.groupBy, q.fields, q.having, q.orderBy} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if q.group != nil && q.group.err != nil {
		return nil, q.group.err
	}
	return q.finish()
}

func (q *selectBuilder) where() error {
	if q.s.Where == nil {
		return nil
	}
	conds, err := q.clause("where clause").condition(q.s.Where)
	if err != nil {
		return err
	}
	q.node = newSelect(q.node, conds)
	return nil
}

// expand lists the select items, stars replaced by columns.
func (q *selectBuilder) expand() error {
	q.list = &selectList{}
	if q.s.Fields == nil || q.s.Kind == ast.SelectStmtKindTable {
		return q.star(&ast.WildCardField{})
	}
	for _, f := range q.s.Fields.Fields {
		if f.WildCard != nil {
			if err := q.star(f.WildCard); err != nil {
				return err
			}
			continue
		}
		if utf8.RuneCountInString(f.AsName.O) > maxAliasLength {
			return errCode(mysql.ErrTooLongIdent, f.AsName.O)
		}
		it := &selectItem{node: f.Expr, label: fieldLabel(f)}
		it.alias = strings.ToLower(it.label)
		q.list.items = append(q.list.items, it)
	}
	q.list.shown = len(q.list.items)
	if q.list.shown > maxResultColumns {
		return errCode(mysql.ErrTooManyFields)
	}
	return nil
}

// MySQL's limits of a result's columns and of their aliases, in characters.
const (
	maxResultColumns = 4096
	maxAliasLength   = 256
)

// fieldLabel is the name of an unaliased item: a column's own, else the text as it was written.
func fieldLabel(f *ast.SelectField) string {
	if f.AsName.O != "" {
		return f.AsName.O
	}
	inner := unparen(f.Expr)
	if c, ok := inner.(*ast.ColumnNameExpr); ok {
		return c.Name.Name.O
	}
	text := f.Text()
	if text == "" {
		text = f.Expr.Text()
	}
	if v, ok := inner.(ast.ValueExpr); ok && v.GetType().EvalType().IsStringKind() && strings.HasPrefix(text, "'") {
		return v.GetString()
	}
	if v, ok := inner.(*ast.VariableExpr); ok && text == "" {
		return "@@" + v.Name
	}
	return strings.TrimSpace(text)
}

func (q *selectBuilder) star(w *ast.WildCardField) error {
	names := q.scope.names
	if w.Table.L != "" {
		names = nil
		for _, s := range q.scope.sources {
			if s.alias == w.Table.L && (w.Schema.L == "" || s.db == "" || s.db == w.Schema.L) {
				names = s.names
			}
		}
		if names == nil {
			return errCode(mysql.ErrUnknownTable, w.Table.O, "field list")
		}
	}
	count := 0
	for _, n := range names {
		if n.hidden || n.merged {
			continue
		}
		count++
		q.list.items = append(q.list.items, &selectItem{name: n, label: n.label, alias: n.attr})
	}
	if count == 0 && q.s.From == nil {
		return errCode(mysql.ErrNoTablesUsed)
	}
	q.list.shown = len(q.list.items)
	return nil
}

// fields builds the select list.
func (q *selectBuilder) fields() error {
	c := q.clause("field list")
	c.windows = q.window
	for i, it := range q.list.items {
		var err error
		c.item = i + 1
		if it.node == nil {
			it.expr, err = c.finish(colExpr(it.name.col))
		} else {
			it.expr, err = c.build(it.node)
			if err == nil {
				it.expr, err = c.finish(it.expr)
			}
			if cn, ok := unparen(it.node).(*ast.ColumnNameExpr); ok && err == nil {
				it.name, err = q.scope.find(cn.Name, "field list")
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *selectBuilder) having() error {
	if q.s.Having == nil {
		return nil
	}
	c := q.clause("having clause")
	c.aliases = q.list
	conds, err := c.condition(q.s.Having.Expr)
	if err != nil {
		return err
	}
	if err := q.window.checkUse(conds); err != nil {
		return err
	}
	q.node = newSelect(q.node, conds)
	return nil
}

func (q *selectBuilder) orderBy() error {
	if q.s.OrderBy == nil {
		return nil
	}
	c := q.clause("order clause")
	c.aliases, c.windows = q.list, q.window
	for _, it := range q.s.OrderBy.Items {
		e, err := c.build(it.Expr)
		if err != nil {
			return err
		}
		if e, err = c.finish(e); err != nil {
			return err
		}
		if !e.isConst() {
			q.order = append(q.order, orderItem{e, it.Desc})
		}
	}
	return nil
}

// finish projects, removes duplicates, orders and cuts.
func (q *selectBuilder) finish() (*rel, error) {
	exprs := make([]*Expr, q.list.shown)
	places := map[string]int{}
	for i, it := range q.list.items[:q.list.shown] {
		exprs[i] = it.expr
		if k := it.expr.key(); places[k] == 0 {
			places[k] = i + 1
		}
	}
	sortAt := make([]int, len(q.order))
	for i, o := range q.order {
		k := o.expr.key()
		if places[k] == 0 {
			if q.s.Distinct {
				return nil, &Error{Code: errOrderNotSelected, Message: "Expression #" + itoa(i+1) +
					" of ORDER BY clause is not in SELECT list; this is incompatible with DISTINCT"}
			}
			exprs = append(exprs, o.expr)
			places[k] = len(exprs)
		}
		sortAt[i] = places[k] - 1
	}
	handles, err := q.handles(q.list.shown)
	if err != nil {
		return nil, err
	}
	firstHandle := len(exprs)
	p := q.b.newProject(q.window.place(q.node), append(exprs, handles...))
	var node logical = p
	if q.s.Distinct {
		node = distinct(node)
	}
	if len(q.order) > 0 {
		by := make([]orderItem, len(q.order))
		for i, o := range q.order {
			by[i] = orderItem{colExpr(p.out[sortAt[i]]), o.desc}
		}
		node = &sortNode{child: node, by: by}
	}
	node, err = q.b.limit(node, q.s.Limit)
	if err != nil {
		return nil, err
	}
	r := &rel{node: node, cols: slices.Concat(p.out[:q.list.shown], p.out[firstHandle:]), fields: make([]Field, q.list.shown)}
	if firstHandle > q.list.shown {
		r.node = passColumns(node, r.cols)
	}
	for i, it := range q.list.items[:q.list.shown] {
		r.fields[i] = it.field(it.expr)
	}
	return r, nil
}

func (it *selectItem) field(e *Expr) Field {
	f := Field{Name: it.label, Type: e.Type}
	if n := it.name; n != nil {
		f.OrigName, f.Table, f.OrigTable, f.DB = n.origName, n.tableLabel, n.origTable, n.origDB
	}
	return f
}

// distinct groups by all columns.
func distinct(node logical) logical {
	a := &aggNode{child: node}
	seen := colSet{}
	for _, c := range node.columns() {
		if !seen[c] {
			seen[c] = true
			a.keys = append(a.keys, colExpr(c))
			a.keyCols = append(a.keyCols, c)
		}
	}
	return a
}

// passColumns keeps only the given columns of a node.
func passColumns(node logical, cols []*Column) logical {
	p := &projectNode{child: node, out: cols}
	for _, c := range cols {
		p.exprs = append(p.exprs, colExpr(c))
	}
	return p
}

// valuesStmt is VALUES ROW(…), ….
func (b *builder) valuesStmt(s *ast.SelectStmt, parent *scope, ctes *cteScope) (*rel, error) {
	c := &clause{b: b, scope: &scope{parent: parent, ctes: ctes}, where: "field list"}
	v := &valuesNode{}
	for i, row := range s.Lists {
		exprs, err := c.buildAll(row.Values)
		if err != nil {
			return nil, err
		}
		if i > 0 && len(exprs) != len(v.rows[0]) {
			return nil, errCode(mysql.ErrWrongValueCountOnRow, i+1)
		}
		v.rows = append(v.rows, exprs)
	}
	r := &rel{node: v}
	for i := range v.rows[0] {
		ft := v.rows[0][i].Type
		for _, row := range v.rows[1:] {
			ft = mergeTypes(ft, row[i].Type)
		}
		for _, row := range v.rows {
			var err error
			if row[i], err = b.castTo(row[i], ft); err != nil {
				return nil, err
			}
		}
		col := b.newColumn(ft, "")
		v.out = append(v.out, col)
		r.fields = append(r.fields, Field{Name: "column_" + itoa(i), Type: ft})
	}
	r.cols = v.out
	return b.orderedBlock(r, s.OrderBy, s.Limit)
}

// orderedBlock puts ORDER BY and LIMIT over a block whose names are its columns: VALUES and set operations.
func (b *builder) orderedBlock(r *rel, order *ast.OrderByClause, limit *ast.Limit) (*rel, error) {
	if order != nil {
		sc := &scope{}
		list := &selectList{shown: len(r.cols)}
		for i, f := range r.fields {
			n := &name{col: r.cols[i], attr: strings.ToLower(f.Name), label: f.Name}
			sc.names = append(sc.names, n)
			list.items = append(list.items, &selectItem{name: n, alias: n.attr, label: n.label, expr: colExpr(n.col)})
		}
		c := &clause{b: b, scope: sc, where: "order clause", aliases: list}
		sort := &sortNode{child: r.node}
		for _, it := range order.Items {
			e, err := c.build(it.Expr)
			if err != nil {
				return nil, err
			}
			if !e.isConst() {
				sort.by = append(sort.by, orderItem{e, it.Desc})
			}
		}
		if len(sort.by) > 0 {
			r.node = sort
		}
	}
	var err error
	r.node, err = b.limit(r.node, limit)
	return r, err
}

// defaultOf is DEFAULT(col): the column's declared default where that is a constant.
func (c *clause) defaultOf(n *ast.DefaultExpr) (*Expr, error) {
	if n.Name == nil {
		return nil, errNotSupported("DEFAULT here")
	}
	for s := c.scope; s != nil; s = s.parent {
		nm, err := s.find(n.Name, c.where)
		if err != nil {
			return nil, err
		}
		if nm == nil {
			continue
		}
		for _, src := range s.sources {
			if src.scan == nil {
				continue
			}
			for i, col := range src.scan.cols {
				if off := src.scan.offsets[i]; col == nm.col && off >= 0 {
					return c.columnDefault(src, off)
				}
			}
		}
	}
	return nil, errCode(mysql.ErrBadField, columnText(n.Name), c.where)
}

func (c *clause) columnDefault(src *source, off int) (*Expr, error) {
	tc := src.table.Columns[off]
	switch {
	case !tc.HasDefault && notNull(tc.Type):
		return nil, errCode(mysql.ErrNoDefaultForField, tc.Name)
	case !tc.HasDefault || tc.DefaultNull:
		return nullConst(), nil
	case tc.DefaultExpr != "":
		return nil, errNotSupported("DEFAULT(%s) of an expression", tc.Name)
	}
	text := c.b.textConst(tc.Default)
	if evalOf(tc.Type) == evalString || tc.Type.Tp == column.TypeEnum {
		return text, nil
	}
	return c.b.castTo(text, tc.Type)
}
