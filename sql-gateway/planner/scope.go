package planner

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// name is one column that names can refer to.
type name struct {
	col             *Column
	db, table, attr string // lower case; table is the alias
	// What the client is told of the column.
	label, tableLabel, origTable, origName, origDB string
	// merged: the column of a USING or NATURAL join that its twin stands for; found only when qualified.
	merged bool
	// hidden columns (the row id) are found by no name and not in stars.
	hidden bool
}

// scope is the list of names of a FROM clause; parent is the enclosing query's, for correlated subqueries.
type scope struct {
	names  []*name
	parent *scope
	// clause is the enclosing query's expression context: it must learn of the columns that inner queries use.
	owner *clause
	ctes  *cteScope
	// tables by alias in this FROM, for qualified stars and 1066.
	sources []*source
}

// source is one table of a FROM clause.
type source struct {
	db, alias string // lower case
	table     *catalog.Table
	names     []*name
	scan      *scanNode
}

func (s *scope) columns() []*Column {
	cols := make([]*Column, len(s.names))
	for i, n := range s.names {
		cols[i] = n.col
	}
	return cols
}

// matches reports whether a (qualified) column name means n.
func (n *name) matches(c *ast.ColumnName) bool {
	if n.hidden || n.attr != c.Name.L {
		return false
	}
	if c.Table.L == "" {
		return !n.merged
	}
	return n.table == c.Table.L && (c.Schema.L == "" || n.db == "" || n.db == c.Schema.L)
}

// find looks for a column in this scope alone; nil if it is not there.
func (s *scope) find(c *ast.ColumnName, in string) (*name, error) {
	var hit *name
	for _, n := range s.names {
		if !n.matches(c) || hit != nil && hit.col == n.col {
			continue
		}
		if hit != nil {
			return nil, errCode(mysql.ErrNonUniq, columnText(c), in)
		}
		hit = n
	}
	return hit, nil
}

func columnText(c *ast.ColumnName) string {
	parts := make([]string, 0, 3)
	for _, p := range []string{c.Schema.O, c.Table.O, c.Name.O} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ".")
}

// addSource enters a table; two with the same name in one FROM are error 1066.
func (s *scope) addSource(src *source) error {
	for _, o := range s.sources {
		if o.alias == src.alias && o.db == src.db {
			return errCode(mysql.ErrNonuniqTable, src.alias)
		}
	}
	s.sources = append(s.sources, src)
	s.names = append(s.names, src.names...)
	return nil
}

// cteScope holds the common table expressions in sight, innermost first.
type cteScope struct {
	name   string
	cte    *ast.CommonTableExpression
	parent *cteScope
}

func (s *cteScope) find(name string) *cteScope {
	for ; s != nil; s = s.parent {
		if s.name == name {
			return s
		}
	}
	return nil
}
