package planner

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// from builds a FROM clause into sc and returns its rows.
func (b *builder) from(refs *ast.TableRefsClause, sc *scope) (logical, error) {
	if refs == nil || refs.TableRefs == nil {
		return &valuesNode{rows: [][]*Expr{{}}}, nil
	}
	node, names, err := b.tableRef(refs.TableRefs, sc)
	if err != nil {
		return nil, err
	}
	sc.names = names
	return node, nil
}

// tableRef builds one table reference; the names it brings are entered by the caller.
func (b *builder) tableRef(ref ast.ResultSetNode, sc *scope) (logical, []*name, error) {
	if b.depth++; b.depth > maxDepth {
		return nil, nil, errTooDeep()
	}
	defer func() { b.depth-- }()
	switch r := ref.(type) {
	case *ast.Join:
		if r.Right == nil {
			return b.tableRef(r.Left, sc)
		}
		return b.join(r, sc)
	case *ast.TableSource:
		return b.tableSource(r, sc)
	}
	return nil, nil, errNotSupported("%T in FROM", ref)
}

func (b *builder) tableSource(ts *ast.TableSource, sc *scope) (logical, []*name, error) {
	if ts.Lateral {
		return nil, nil, errNotSupported("LATERAL derived tables")
	}
	switch s := ts.Source.(type) {
	case *ast.TableName:
		return b.namedTable(s, ts.AsName.O, sc)
	case *ast.Join:
		return b.tableRef(s, sc)
	case *ast.SelectStmt, *ast.SetOprStmt:
		if ts.AsName.L == "" {
			return nil, nil, errCode(mysql.ErrDerivedMustHaveAlias)
		}
		r, err := b.query(s, nil, sc.ctes)
		if err != nil {
			return nil, nil, err
		}
		if err := renameColumns(r, ciNames(ts.ColumnNames)); err != nil {
			return nil, nil, err
		}
		return b.derived(r, ts.AsName.O, sc)
	}
	return nil, nil, errNotSupported("%T in FROM", ts.Source)
}

func ciNames(list []ast.CIStr) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.O
	}
	return out
}

// renameColumns applies a column list: AS t(a, b), a CTE's or a view's.
func renameColumns(r *rel, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if len(names) != len(r.fields) {
		return errCode(mysql.ErrViewWrongList)
	}
	for i, n := range names {
		r.fields[i].Name = n
	}
	return nil
}

// derived enters a query's columns under an alias.
func (b *builder) derived(r *rel, alias string, sc *scope) (logical, []*name, error) {
	src := &source{alias: strings.ToLower(alias)}
	seen := map[string]bool{}
	for i, f := range r.fields {
		attr := strings.ToLower(f.Name)
		if seen[attr] {
			return nil, nil, errCode(mysql.ErrDupFieldName, f.Name)
		}
		seen[attr] = true
		src.names = append(src.names, &name{
			col: r.cols[i], table: src.alias, attr: attr, label: f.Name, tableLabel: alias,
			origTable: f.OrigTable, origName: f.OrigName, origDB: f.DB,
		})
	}
	return r.node, src.names, sc.addSource(src)
}

// checkClauses refuses what may follow a table's name and would change which rows are read.
func (b *builder) checkClauses(tn *ast.TableName) error {
	switch {
	case tn.AsOf != nil && !b.ctx.AsOf:
		return errNotSupported("AS OF TIMESTAMP here")
	case tn.TableSample != nil:
		return errNotSupported("TABLESAMPLE")
	case len(tn.PartitionNames) > 0:
		return errCode(mysql.ErrPartitionClauseOnNonpartitioned)
	}
	return nil
}

func (b *builder) namedTable(tn *ast.TableName, alias string, sc *scope) (logical, []*name, error) {
	if err := b.checkClauses(tn); err != nil {
		return nil, nil, err
	}
	if tn.Schema.L == "" {
		if s := sc.ctes.find(tn.Name.L); s != nil {
			return b.cte(s, tn, alias, sc)
		}
	}
	t, err := b.lookup(tn)
	if err != nil {
		return nil, nil, err
	}
	db := strings.ToLower(t.DB)
	if alias == "" {
		alias = tn.Name.O
	} else {
		db = ""
	}
	if t.View != nil {
		return b.view(t, alias, sc)
	}
	src := &source{db: db, alias: strings.ToLower(alias), table: t}
	scan := b.newScan(t, alias)
	scan.hints = hintsOf(tn.IndexHints)
	src.scan = scan
	for i, c := range scan.cols {
		n := &name{col: c, db: db, table: src.alias, tableLabel: alias, origTable: t.Name, origDB: t.DB}
		if off := scan.offsets[i]; off >= 0 {
			tc := t.Columns[off]
			n.attr, n.label, n.origName = strings.ToLower(tc.Name), tc.Name, tc.Name
		} else {
			n.hidden = true
		}
		src.names = append(src.names, n)
	}
	return scan, src.names, sc.addSource(src)
}

func (b *builder) lookup(tn *ast.TableName) (*catalog.Table, error) {
	db := tn.Schema.O
	if db == "" {
		db = b.db
	}
	if db == "" {
		return nil, errCode(mysql.ErrNoDB)
	}
	return b.ctx.Schema.Table(db, tn.Name.O)
}

// newScan reads all columns of a table; pruning drops what nobody wants. A table without a key of its own has a hidden
// row id at the end.
func (b *builder) newScan(t *catalog.Table, alias string) *scanNode {
	s := &scanNode{table: t, alias: alias, pseudo: t.Virtual || !b.ctx.Schema.Analyzed(t)}
	for i, c := range t.Columns {
		s.cols = append(s.cols, b.newColumn(c.Type, strings.ToLower(alias+"."+c.Name)))
		s.offsets = append(s.offsets, i)
	}
	if t.IntHandle < 0 && !t.CommonHandle && !t.Virtual {
		ft := withFlag(intType(), column.FlagNotNull, 0)
		s.cols = append(s.cols, b.newColumn(ft, strings.ToLower(alias)+"._tidb_rowid"))
		s.offsets = append(s.offsets, -1)
	}
	return s
}

func hintsOf(list []*ast.IndexHint) indexHints {
	var h indexHints
	for _, hint := range list {
		for _, n := range hint.IndexNames {
			if hint.HintType == ast.HintIgnore {
				h.not = append(h.not, n.L)
			} else {
				h.only = append(h.only, n.L)
			}
		}
	}
	return h
}

func (b *builder) cte(s *cteScope, tn *ast.TableName, alias string, sc *scope) (logical, []*name, error) {
	r, err := b.share(s.cte, s.name, func() (*rel, error) { return b.query(s.cte.Query.Query, nil, s.parent) })
	if err != nil {
		return nil, nil, err
	}
	if err := renameColumns(r, ciNames(s.cte.ColNameList)); err != nil {
		return nil, nil, err
	}
	if alias == "" {
		alias = tn.Name.O
	}
	return b.derived(r, alias, sc)
}

// view plans the stored SELECT as a derived table; names in it that say no database mean the view's.
func (b *builder) view(t *catalog.Table, alias string, sc *scope) (logical, []*name, error) {
	stmt, err := parser.New().ParseOneStmt(t.View.Select, "", "")
	if err != nil {
		return nil, nil, errCode(mysql.ErrViewInvalid, t.DB, t.Name)
	}
	q, ok := stmt.(ast.ResultSetNode)
	if !ok {
		return nil, nil, errCode(mysql.ErrViewInvalid, t.DB, t.Name)
	}
	db := b.db
	b.db = t.DB
	r, err := b.share(t, lower(t.Name), func() (*rel, error) { return b.query(q, nil, nil) })
	b.db = db
	if err != nil {
		return nil, nil, err
	}
	if err := renameColumns(r, t.View.Columns); err != nil {
		return nil, nil, err
	}
	return b.derived(r, alias, sc)
}

func (b *builder) join(j *ast.Join, sc *scope) (logical, []*name, error) {
	left, ln, err := b.tableRef(j.Left, sc)
	if err != nil {
		return nil, nil, err
	}
	right, rn, err := b.tableRef(j.Right, sc)
	if err != nil {
		return nil, nil, err
	}
	n := &joinNode{kind: joinInner, left: left, right: right, straight: j.StraightJoin}
	switch j.Tp {
	case ast.LeftJoin:
		n.kind = joinLeft
	case ast.RightJoin:
		n.kind, n.left, n.right = joinLeft, right, left
	}
	names := append(append([]*name(nil), ln...), rn...)
	using, err := usingPairs(j, ln, rn)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range using {
		eq, err := b.compare(cmpEQ, colExpr(u[0].col), colExpr(u[1].col))
		if err != nil {
			return nil, nil, err
		}
		n.on = append(n.on, eq)
	}
	if len(using) > 0 || j.NaturalJoin {
		names = mergeNames(using, ln, rn, j.Tp == ast.RightJoin)
	}
	node, err := b.onCondition(j, n, names, sc)
	if err != nil {
		return nil, nil, err
	}
	switch j.Tp {
	case ast.LeftJoin:
		makeNullable(rn)
	case ast.RightJoin:
		makeNullable(ln)
	}
	return node, names, nil
}

// onCondition adds ON. Subqueries in it find their place under a filter: of an inner join above it, of an outer join on its
// right side, which then refers to the left one, until decorrelate turns the filter into the join's condition.
func (b *builder) onCondition(j *ast.Join, n *joinNode, names []*name, sc *scope) (logical, error) {
	if j.On == nil {
		return n, nil
	}
	var below logical = n
	if n.kind != joinInner {
		below = n.right
	}
	plan := below
	c := &clause{b: b, scope: &scope{names: names, parent: sc.parent, ctes: sc.ctes}, where: "on clause", plan: &plan}
	conds, err := c.condition(j.On.Expr)
	switch {
	case err != nil:
		return nil, err
	case plan == below:
		n.on = append(n.on, conds...)
		return n, nil
	case n.kind == joinInner:
		return newSelect(plan, conds), nil
	}
	return &applyNode{joinNode: joinNode{kind: n.kind, left: n.left, right: newSelect(plan, append(n.on, conds...))}}, nil
}

// usingPairs finds the columns that USING or NATURAL equate.
func usingPairs(j *ast.Join, ln, rn []*name) ([][2]*name, error) {
	var pairs [][2]*name
	if j.NaturalJoin {
		for _, l := range ln {
			if l.hidden || l.merged {
				continue
			}
			r, err := findAttr(rn, l.attr, l.label)
			if err != nil {
				return nil, err
			}
			if r != nil {
				pairs = append(pairs, [2]*name{l, r})
			}
		}
		return pairs, nil
	}
	for _, u := range j.Using {
		l, err := findAttr(ln, u.Name.L, u.Name.O)
		if err != nil {
			return nil, err
		}
		r, err := findAttr(rn, u.Name.L, u.Name.O)
		if err != nil {
			return nil, err
		}
		if l == nil || r == nil {
			return nil, errCode(mysql.ErrBadField, u.Name.O, "from clause")
		}
		pairs = append(pairs, [2]*name{l, r})
	}
	return pairs, nil
}

func findAttr(names []*name, attr, label string) (*name, error) {
	var hit *name
	for _, n := range names {
		if n.hidden || n.merged || n.attr != attr {
			continue
		}
		if hit != nil {
			return nil, errCode(mysql.ErrNonUniq, label, "from clause")
		}
		hit = n
	}
	return hit, nil
}

// mergeNames orders the columns of a USING or NATURAL join as the standard does: the common ones first, once.
func mergeNames(using [][2]*name, ln, rn []*name, right bool) []*name {
	keep, drop := 0, 1
	if right {
		keep, drop = 1, 0
		ln, rn = rn, ln
	}
	common := map[*name]bool{}
	var out []*name
	for _, u := range using {
		common[u[keep]], common[u[drop]] = true, true
		out = append(out, u[keep])
	}
	for _, list := range [][]*name{ln, rn} {
		for _, n := range list {
			if !common[n] {
				out = append(out, n)
			}
		}
	}
	for _, u := range using {
		twin := *u[drop]
		twin.merged = true
		out = append(out, &twin)
	}
	return out
}

// makeNullable notes that an outer join may give NULL for these columns.
func makeNullable(names []*name) {
	for _, n := range names {
		n.col.Type = nullable(n.col.Type)
	}
}
