package judge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// queryTables differ in their keys: a row's key is an integer, several columns, a text, or hidden; columns are the same.
var queryTables = []struct{ name, ddl string }{
	{"t1", "PRIMARY KEY (id), KEY (a), KEY (s, a)"},
	{"t2", "PRIMARY KEY (g, id), KEY (b), KEY (e)"},
	{"t3", "PRIMARY KEY (k), UNIQUE KEY (id)"},
	{"t4", "KEY (d), KEY (a, b)"},
}

const queryColumns = "id INT NOT NULL, g INT NOT NULL, k VARCHAR(20) NOT NULL, a INT, b BIGINT, d DECIMAL(10,2), s VARCHAR(20), e DATE"

// typed columns of every table, by the class of their values: integer, decimal, string, date.
var typedColumns = map[byte][]string{'i': {"id", "g", "a", "b"}, 'd': {"d"}, 's': {"k", "s"}, 't': {"e"}}

const classes = "idst"

var someWords = []string{"", "a", "b", "ab", "abc", "B", "Z%", "x_y", "ä", "zebra", "apple", "10", "-3"}

// queryTableStatements make the tables with rows drawn from few values, so that joins and groups find partners.
func queryTableStatements(r *rand.Rand, rows int) (statements []string) {
	for _, t := range queryTables {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s (%s, %s)", t.name, queryColumns, t.ddl))
		var values []string
		for id := range rows {
			values = append(values, fmt.Sprintf("(%d, %d, '%s%d', %s, %s, %s, %s, %s)", id, r.IntN(4), someWords[r.IntN(4)], id,
				orNull(r, strconv.Itoa(r.IntN(12)-3)), orNull(r, strconv.Itoa(r.IntN(1000)*1_000_003)),
				orNull(r, fmt.Sprintf("%d.%02d", r.IntN(20)-5, 25*r.IntN(4))), orNull(r, sqlText(someWords[r.IntN(len(someWords))])),
				orNull(r, fmt.Sprintf("'2024-%02d-%02d'", 1+r.IntN(3), 1+r.IntN(28)))))
		}
		statements = append(statements, "INSERT INTO "+t.name+" VALUES "+strings.Join(values, ", "))
	}
	return statements
}

func orNull(r *rand.Rand, text string) string {
	if r.IntN(6) == 0 {
		return "NULL"
	}
	return text
}

func sqlText(s string) string { return "'" + s + "'" }

// queryGenerator writes statements whose answers do not depend on the order of rows, nor on what a server may choose.
//
// It avoids where MariaDB 10.11 is wrong: a <=> b between columns that are compared by = as well (rows of NULLs join), and
// x NOT IN (subquery) where the subquery gives NULLs, which it overlooks at times, as it does with expressions over derived
// tables in outer joins; several windows in one query.
type queryGenerator struct {
	r       *rand.Rand
	aliases int
	depth   int // of subqueries still allowed
}

// relation is what a FROM clause offers: columns by their class.
type relation struct{ columns map[byte][]string }

func (rel relation) and(other relation) relation {
	out := relation{map[byte][]string{}}
	for _, c := range []byte(classes) {
		out.columns[c] = slices.Concat(rel.columns[c], other.columns[c])
	}
	return out
}

// all are the columns of every class.
func (rel relation) all() (columns []string) {
	for _, c := range []byte(classes) {
		columns = append(columns, rel.columns[c]...)
	}
	return columns
}

func (g *queryGenerator) chance(oneOf int) bool { return g.r.IntN(oneOf) == 0 }

func pick[T any](g *queryGenerator, from []T) T { return from[g.r.IntN(len(from))] }

func (g *queryGenerator) alias() string {
	g.aliases++
	return fmt.Sprintf("x%d", g.aliases)
}

func (g *queryGenerator) class() byte { return pick(g, []byte(classes)) }

// table is one table, or a derived one, under an alias.
func (g *queryGenerator) table() (string, relation) {
	name := g.alias()
	if g.depth > 0 && g.chance(5) {
		return g.derived(name)
	}
	rel := relation{map[byte][]string{}}
	for class, columns := range typedColumns {
		for _, c := range columns {
			rel.columns[class] = append(rel.columns[class], name+"."+c)
		}
	}
	return pick(g, queryTables).name + " " + name, rel
}

func (g *queryGenerator) derived(name string) (string, relation) {
	g.depth--
	defer func() { g.depth++ }()
	shape := []byte{'i', g.class(), g.class()}
	query := g.block(shape, relation{}, false)
	rel := relation{map[byte][]string{}}
	for i, c := range shape {
		rel.columns[c] = append(rel.columns[c], fmt.Sprintf("%s.c%d", name, i))
	}
	return "(" + query + ") " + name, rel
}

// from joins one to three tables.
func (g *queryGenerator) from() (string, relation) {
	text, rel := g.table()
	for range g.r.IntN(3) {
		right, other := g.table()
		both := rel.and(other)
		class := g.class()
		if len(rel.columns[class]) == 0 || len(other.columns[class]) == 0 {
			class = 'i'
		}
		on := pick(g, rel.columns[class]) + " = " + pick(g, other.columns[class])
		if g.chance(3) {
			on += " AND " + g.predicate(both, 1)
		}
		kind := " JOIN "
		if !strings.Contains(text+right, "(SELECT") {
			kind = pick(g, []string{" JOIN ", " LEFT JOIN ", " RIGHT JOIN "})
		}
		text += kind + right + " ON " + on
		rel = both
	}
	return text, rel
}

// value is an expression of a class over the columns of rel.
func (g *queryGenerator) value(class byte, rel relation, depth int) string {
	if depth == 0 || g.chance(3) {
		if len(rel.columns[class]) > 0 && !g.chance(5) {
			return pick(g, rel.columns[class])
		}
		return g.literal(class)
	}
	v := func(c byte) string { return g.value(c, rel, depth-1) }
	switch g.r.IntN(4) {
	case 0:
		return fmt.Sprintf("COALESCE(%s, %s)", v(class), v(class))
	case 1:
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.predicate(rel, depth-1), v(class), v(class))
	}
	switch class {
	case 'i':
		return fmt.Sprintf(pick(g, []string{"(%s + %s)", "(%s - %s)", "(%s %% 7 + %s)", "GREATEST(%s, %s)"}), v('i'), v('i'))
	case 'd':
		return fmt.Sprintf(pick(g, []string{"(%s + %s)", "(%s - %s)", "ROUND(%s, 1) + %s"}), v('d'), v('i'))
	case 's':
		return fmt.Sprintf(pick(g, []string{"CONCAT(%s, %s)", "NULLIF(%s, %s)", "REPLACE(%s, 'a', COALESCE(%s, 'q'))"}), v('s'), v('s'))
	default:
		return fmt.Sprintf("DATE_ADD(%s, INTERVAL %d DAY)", v('t'), g.r.IntN(40)-20)
	}
}

func (g *queryGenerator) literal(class byte) string {
	switch class {
	case 'i':
		return strconv.Itoa(g.r.IntN(12) - 3)
	case 'd':
		return fmt.Sprintf("%d.%02d", g.r.IntN(12)-2, 25*g.r.IntN(4))
	case 's':
		return sqlText(pick(g, someWords))
	default:
		return fmt.Sprintf("DATE '2024-%02d-%02d'", 1+g.r.IntN(3), 1+g.r.IntN(28))
	}
}

// predicate is a condition over the columns of rel.
func (g *queryGenerator) predicate(rel relation, depth int) string {
	if depth > 0 {
		p := func() string { return g.predicate(rel, depth-1) }
		switch g.r.IntN(6) {
		case 0:
			return "(" + p() + " AND " + p() + ")"
		case 1:
			return "(" + p() + " OR " + p() + ")"
		case 2:
			return "NOT (" + p() + ")"
		case 3:
			if g.depth > 0 {
				return g.subqueryPredicate(rel)
			}
		}
	}
	class := g.class()
	v := func() string { return g.value(class, rel, max(depth-1, 0)) }
	switch g.r.IntN(6) {
	case 0:
		return v() + " IS " + pick(g, []string{"", "NOT "}) + "NULL"
	case 1:
		return v() + " BETWEEN " + v() + " AND " + v()
	case 2:
		return v() + pick(g, []string{" IN (", " NOT IN ("}) + g.literal(class) + ", " + v() + ")"
	case 3:
		if class == 's' {
			return v() + " LIKE " + pick(g, []string{"'a%'", "'%b%'", "'_'", "'x\\\\_%'"})
		}
	}
	if g.chance(7) {
		return v() + " <=> " + g.literal(class)
	}
	return v() + pick(g, []string{" = ", " < ", " <= ", " > ", " >= ", " <> "}) + v()
}

// subqueryPredicate compares with another query, which may look at the columns of rel.
func (g *queryGenerator) subqueryPredicate(rel relation) string {
	g.depth--
	defer func() { g.depth++ }()
	class := g.class()
	outer := relation{}
	if g.chance(2) {
		outer = rel
	}
	v := g.value(class, rel, 1)
	switch g.r.IntN(4) {
	case 0:
		return pick(g, []string{"EXISTS (", "NOT EXISTS ("}) + g.block([]byte{class}, outer, false) + ")"
	case 1:
		return v + pick(g, []string{" IN (", " = ANY (", " <= ANY ("}) + g.block([]byte{class}, outer, false) + ")"
	case 2:
		name, rel := pick(g, queryTables).name, relation{typedColumns}
		column := pick(g, rel.columns[class])
		return v + pick(g, []string{" NOT IN (", " > ALL (", " <> ALL ("}) + "SELECT " + column + " FROM " + name +
			" WHERE " + column + " IS NOT NULL AND " + g.predicate(rel, 1) + ")"
	default:
		from, inner := g.from()
		return v + pick(g, []string{" = (", " < (", " >= ("}) + "SELECT " + pick(g, []string{"MAX(", "MIN("}) + g.value(class, inner, 1) +
			") FROM " + from + " WHERE " + g.predicate(inner.and(outer), 1) + ")"
	}
}

// block is a SELECT with columns c0, c1 ... of the classes of shape. top says that nothing stands around it.
func (g *queryGenerator) block(shape []byte, outer relation, top bool) string {
	from, rel := g.from()
	all := rel
	if outer.columns != nil {
		all = rel.and(outer)
	}
	where := ""
	if !g.chance(4) {
		where = " WHERE " + g.predicate(all, 2)
	}
	switch g.r.IntN(5) {
	case 0:
		return g.grouped(shape, rel, from+where, top)
	case 1:
		return "SELECT DISTINCT " + g.list(shape, rel) + " FROM " + from + where
	case 2:
		if top {
			return g.windowed(shape, rel, from+where)
		}
	}
	return "SELECT " + g.list(shape, rel) + " FROM " + from + where
}

func (g *queryGenerator) list(shape []byte, rel relation) string {
	return g.named(shape, func(class byte) string { return g.value(class, rel, 2) })
}

// named is a list of expressions, c0, c1 ...
func (g *queryGenerator) named(shape []byte, expr func(class byte) string) string {
	var list []string
	for i, class := range shape {
		list = append(list, fmt.Sprintf("%s AS c%d", expr(class), i))
	}
	return strings.Join(list, ", ")
}

// grouped is an aggregation: each output is a group key or an aggregate. whole allows one without keys.
func (g *queryGenerator) grouped(shape []byte, rel relation, from string, whole bool) string {
	keys := map[byte]string{}
	for n := g.r.IntN(3); n > 0 || len(keys) == 0 && !whole; n-- {
		class := g.class()
		if len(rel.columns[class]) > 0 {
			keys[class] = pick(g, rel.columns[class])
		}
	}
	text := "SELECT " + g.named(shape, func(class byte) string {
		if key := keys[class]; key != "" && g.chance(2) {
			return key
		}
		return g.aggregate(class, rel)
	}) + " FROM " + from
	if len(keys) > 0 {
		text += " GROUP BY "
		first := true
		for _, class := range []byte(classes) {
			if key := keys[class]; key != "" {
				if !first {
					text += ", "
				}
				text, first = text+key, false
			}
		}
	}
	if g.chance(3) {
		text += fmt.Sprintf(" HAVING COUNT(*) > %d", g.r.IntN(3))
	}
	return text
}

func (g *queryGenerator) aggregate(class byte, rel relation) string {
	v := func(c byte) string { return g.value(c, rel, 1) }
	switch {
	case class == 'i':
		return fmt.Sprintf(pick(g, []string{"COUNT(%s)", "COUNT(DISTINCT %s)", "MAX(%s)", "SUM(%s)", "MIN(%s)"}), v('i'))
	case class == 'd':
		return fmt.Sprintf(pick(g, []string{"SUM(%s)", "AVG(%s)", "SUM(DISTINCT %s)", "MAX(%s)"}), v('d'))
	default:
		return fmt.Sprintf(pick(g, []string{"MIN(%s)", "MAX(%s)"}), v(class))
	}
}

// windowed has functions over one window, ordered or in partitions.
func (g *queryGenerator) windowed(shape []byte, rel relation, from string) string {
	integers, over := []string{"SUM(", "MAX(", "COUNT("}, " OVER (PARTITION BY "
	if g.chance(2) {
		integers, over = append(integers, "RANK(", "DENSE_RANK("), " OVER (ORDER BY "
	}
	over += pick(g, rel.all()) + ")"
	return "SELECT " + g.named(shape, func(class byte) string {
		functions := []string{"MIN(", "MAX("}
		if class == 'i' || class == 'd' {
			functions = integers
		}
		function := pick(g, functions)
		if strings.HasSuffix(function, "RANK(") {
			return function + ")" + over
		}
		return function + g.value(class, rel, 1) + ")" + over
	}) + " FROM " + from
}

// statement is a whole query, and whether its rows come in an order that it asks for.
func (g *queryGenerator) statement() (text string, ordered bool) {
	g.aliases, g.depth = 0, 2
	shape := []byte{g.class(), g.class(), g.class()}[:1+g.r.IntN(3)]
	switch {
	case g.chance(6):
		text = g.block(shape, relation{}, false) + pick(g, []string{" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT "}) + g.block(shape, relation{}, false)
	case g.chance(6):
		with := g.block(shape, relation{}, false)
		text = "WITH w AS (" + with + ") SELECT x.* FROM w x JOIN w y ON x.c0 = y.c0"
	default:
		text = g.block(shape, relation{}, true)
	}
	if !g.chance(2) {
		return text, false
	}
	var by []string
	for i := range shape {
		by = append(by, strconv.Itoa(i+1)+pick(g, []string{"", " DESC"}))
	}
	text = "SELECT * FROM (" + text + ") q ORDER BY " + strings.Join(by, ", ")
	if g.chance(2) {
		text += fmt.Sprintf(" LIMIT %d", 1+g.r.IntN(30))
		if g.chance(3) {
			text += fmt.Sprintf(" OFFSET %d", g.r.IntN(10))
		}
	}
	return text, true
}
