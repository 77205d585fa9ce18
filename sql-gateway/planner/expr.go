package planner

import (
	"math"
	"strconv"
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// Column is a column while a statement is planned. Its identity is the pointer (ID is for people and for keys of
// maps); positions exist only in the physical plan. An operator that passes a column through passes the pointer, so
// that predicates move between operators without being rewritten.
type Column struct {
	ID   int
	Type *tipb.FieldType
	Name string // "t.a" or "Column#7", as EXPLAIN shows it
}

type exprKind uint8

const (
	kindConst exprKind = iota
	kindColumn
	kindFunc
)

// Expr is a typed scalar expression. Expressions are immutable and shared freely once built.
//
// A column that the operator's input does not have is an outer reference: of a correlated subquery to the row of an
// enclosing query, or to the result of a scalar subquery that is evaluated before the plan opens. Both become constants
// when the plan is opened (see opener.bind).
type Expr struct {
	kind exprKind
	Type *tipb.FieldType
	val  datum.Datum
	col  *Column
	sig  tipb.ScalarFuncSig
	name string // MySQL's name of the function, for EXPLAIN and errors
	args []*Expr
	// volatile: every evaluation may differ (RAND, UUID, SLEEP); neither folded nor duplicated nor pushed.
	volatile bool
	// hex: a literal like 0x41, a string that is a number where one is wanted.
	hex bool
	// exact: of a quotient of constants, or a sum of quotients, the same with the digits that MySQL computes on with (see
	// exactQuotients).
	exact *Expr
	// param is 1 and the number of the parameter whose value this constant is; 0 where it is none, or computed from some.
	param int
	// coercion is MySQL's coercibility of a string's collation: 0 explicit, 2 column, 4 literal, 5 number, 6 NULL.
	coercion uint8
}

func colExpr(c *Column) *Expr {
	return &Expr{kind: kindColumn, Type: c.Type, col: c, coercion: 2}
}

func constExpr(d datum.Datum, ft *tipb.FieldType) *Expr {
	e := &Expr{kind: kindConst, Type: ft, val: d, coercion: 4}
	switch {
	case d.IsNull():
		e.coercion = 6
	case evalOf(ft) != evalString:
		e.coercion = 5
	}
	return e
}

func intConst(v int64) *Expr {
	return constExpr(datum.NewInt64(v), constIntType(len(strconv.FormatInt(v, 10))))
}

func nullConst() *Expr { return constExpr(datum.Datum{}, nullType()) }

func (e *Expr) isConst() bool { return e.kind == kindConst }
func (e *Expr) isNull() bool  { return e.kind == kindConst && e.val.IsNull() }
func (e *Expr) isCol() bool   { return e.kind == kindColumn }

// walk visits e and what is below it; visit returns false to stay out of a sub-expression.
func (e *Expr) walk(visit func(*Expr) bool) {
	if !visit(e) {
		return
	}
	for _, a := range e.args {
		a.walk(visit)
	}
}

// rewrite replaces sub-expressions top down: what f changes is not entered again.
func (e *Expr) rewrite(f func(*Expr) *Expr) *Expr {
	if r := f(e); r != e {
		return r
	}
	var args []*Expr
	for i, a := range e.args {
		r := a.rewrite(f)
		if r != a && args == nil {
			args = append([]*Expr(nil), e.args...)
		}
		if args != nil {
			args[i] = r
		}
	}
	if args == nil {
		return e
	}
	c := *e
	c.args, c.exact = args, nil
	return &c
}

// substitute replaces columns by expressions.
func (e *Expr) substitute(m map[*Column]*Expr) *Expr {
	if len(m) == 0 {
		return e
	}
	return e.rewrite(func(x *Expr) *Expr {
		if x.kind == kindColumn {
			if r, ok := m[x.col]; ok {
				return r
			}
		}
		return x
	})
}

func (e *Expr) isVolatile() bool {
	v := false
	e.walk(func(x *Expr) bool { v = v || x.volatile; return !v })
	return v
}

// colSet is a set of columns.
type colSet map[*Column]bool

func setOf(cols ...[]*Column) colSet {
	s := colSet{}
	for _, l := range cols {
		s.add(l)
	}
	return s
}

func (s colSet) add(cols []*Column) {
	for _, c := range cols {
		s[c] = true
	}
}

// addColumns collects the columns of e.
func (s colSet) addColumns(es ...*Expr) {
	for _, e := range es {
		e.walk(func(x *Expr) bool {
			if x.kind == kindColumn {
				s[x.col] = true
			}
			return true
		})
	}
}

// touches reports whether e has a column of s. A predicate belongs to one side of a join if it does not touch the
// other: columns of neither side are outer references, constants as far as the join is concerned.
func (e *Expr) touches(s colSet) bool {
	hit := false
	e.walk(func(x *Expr) bool {
		if x.kind == kindColumn && s[x.col] {
			hit = true
		}
		return !hit
	})
	return hit
}

// key is a text that two expressions share exactly if they are the same function of the same columns.
func (e *Expr) key() string {
	var b strings.Builder
	e.appendKey(&b)
	return b.String()
}

func (e *Expr) appendKey(b *strings.Builder) {
	switch e.kind {
	case kindColumn:
		b.WriteByte('#')
		b.WriteString(strconv.Itoa(e.col.ID))
	case kindConst:
		b.WriteByte('\'')
		b.WriteString(strconv.Itoa(int(e.Type.Tp)))
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(int(e.val.Kind())))
		b.WriteString(strconv.Quote(constText(e)))
	default:
		b.WriteString(strconv.Itoa(int(e.sig)))
		b.WriteByte('/')
		b.WriteString(strconv.Itoa(int(e.Type.Tp)))
		b.WriteByte('.')
		b.WriteString(strconv.Itoa(int(e.Type.Flen)))
		b.WriteByte('.')
		b.WriteString(strconv.Itoa(int(e.Type.Decimal)))
		b.WriteByte('.')
		b.WriteString(strconv.Itoa(int(e.Type.Collate)))
		b.WriteByte('(')
		for _, a := range e.args {
			a.appendKey(b)
			b.WriteByte(',')
		}
		b.WriteByte(')')
	}
}

func sameExpr(a, b *Expr) bool { return a == b || a.key() == b.key() }

// constText prints a constant.
func constText(e *Expr) string {
	if e.val.IsNull() {
		return "NULL"
	}
	return string(e.val.AppendText(nil, e.Type))
}

// splitAnd appends the conjuncts of e.
func splitAnd(dst []*Expr, e *Expr) []*Expr {
	if e.kind == kindFunc && e.sig == tipb.ScalarFuncSig_LogicalAnd {
		return splitAnd(splitAnd(dst, e.args[0]), e.args[1])
	}
	return append(dst, e)
}

// splitOr appends the disjuncts of e.
func splitOr(dst []*Expr, e *Expr) []*Expr {
	if e.kind == kindFunc && e.sig == tipb.ScalarFuncSig_LogicalOr {
		return splitOr(splitOr(dst, e.args[0]), e.args[1])
	}
	return append(dst, e)
}

// joinBy folds a list with AND or OR, balanced so that long lists stay shallow.
func joinBy(sig tipb.ScalarFuncSig, name string, list []*Expr) *Expr {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	mid := len(list) / 2
	l, r := joinBy(sig, name, list[:mid]), joinBy(sig, name, list[mid:])
	return &Expr{kind: kindFunc, Type: boolType(), sig: sig, name: name, args: []*Expr{l, r}, coercion: 5}
}

func joinAnd(list []*Expr) *Expr { return joinBy(tipb.ScalarFuncSig_LogicalAnd, "and", list) }
func joinOr(list []*Expr) *Expr  { return joinBy(tipb.ScalarFuncSig_LogicalOr, "or", list) }

// pb translates e to tipb over the given input columns. A column that is not among them is a bug of the planner, found
// by errOuter.
func (e *Expr) pb(offsets map[*Column]int) (*tipb.Expr, error) {
	switch e.kind {
	case kindColumn:
		off, ok := offsets[e.col]
		if !ok {
			return nil, &Error{Code: 1105, Message: "planner: column " + e.col.Name + " is not in its operator's input"}
		}
		return columnRef(off, e.Type), nil
	case kindConst:
		return constPB(e.val, e.Type), nil
	}
	out := &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: e.sig, FieldType: e.Type, Children: make([]*tipb.Expr, len(e.args))}
	for i, a := range e.args {
		c, err := a.pb(offsets)
		if err != nil {
			return nil, err
		}
		out.Children[i] = c
	}
	return out, nil
}

func columnRef(off int, ft *tipb.FieldType) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, int64(off)), FieldType: ft}
}

func offsetsOf(cols []*Column) map[*Column]int {
	m := make(map[*Column]int, len(cols))
	for i, c := range cols {
		if _, dup := m[c]; !dup {
			m[c] = i
		}
	}
	return m
}

// constPB writes a constant as tipb does.
func constPB(d datum.Datum, ft *tipb.FieldType) *tipb.Expr {
	e := &tipb.Expr{FieldType: ft}
	switch d.Kind() {
	case datum.Null:
		e.Tp = tipb.ExprType_Null
	case datum.Int64:
		e.Tp, e.Val = tipb.ExprType_Int64, memcmp.AppendInt64(nil, d.Int64())
	case datum.Uint64:
		e.Tp, e.Val = uintPB(d.Uint64(), ft)
	case datum.Float64:
		e.Tp, e.Val = tipb.ExprType_Float64, memcmp.AppendFloat64(nil, d.Float64())
	case datum.Decimal:
		p, s := decimalSize(d.Decimal())
		e.Tp, e.Val = tipb.ExprType_MysqlDecimal, value.AppendDecimalBinary(nil, d.Decimal(), p, s)
	case datum.Time:
		e.Tp, e.Val = tipb.ExprType_MysqlTime, memcmp.AppendUint64(nil, uint64(d.Time()))
	case datum.Duration:
		e.Tp, e.Val = tipb.ExprType_MysqlDuration, memcmp.AppendInt64(nil, int64(d.Duration()))
	case datum.JSON:
		e.Tp, e.Val = tipb.ExprType_MysqlJson, d.Bytes()
	default:
		e.Tp, e.Val = tipb.ExprType_String, d.Bytes()
	}
	return e
}

func uintPB(v uint64, ft *tipb.FieldType) (tipb.ExprType, []byte) {
	switch ft.Tp {
	case column.TypeEnum:
		return tipb.ExprType_MysqlEnum, memcmp.AppendUint64(nil, v)
	case column.TypeSet:
		return tipb.ExprType_MysqlSet, memcmp.AppendUint64(nil, v)
	}
	return tipb.ExprType_Uint64, memcmp.AppendUint64(nil, v)
}

// decimalSize is the least precision and scale that hold d as it is.
func decimalSize(d value.Decimal) (precision, scale int) {
	digits := len(strings.TrimLeft(strings.ReplaceAll(strings.TrimPrefix(d.String(), "-"), ".", ""), "0"))
	scale = int(d.Scale)
	return min(max(digits, scale, 1), column.MaxPrecision), scale
}

func isFiniteFloat(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }
