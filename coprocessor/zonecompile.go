package coprocessor

import (
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// zoneDepthMax bounds how deep ANDs and ORs are followed, zoneListMax the length of an IN list.
const (
	zoneDepthMax = 16
	zoneListMax  = 64
)

// conjuncts takes ANDs apart, as expr.Filter does.
func conjuncts(list []*tipb.Expr, depth int) (out []*tipb.Expr) {
	for _, e := range list {
		if e.GetTp() == tipb.ExprType_ScalarFunc && e.Sig == tipb.ScalarFuncSig_LogicalAnd && depth > 0 {
			out = append(out, conjuncts(e.Children, depth-1)...)
		} else {
			out = append(out, e)
		}
	}
	return out
}

// isPlain tells conditions that cannot fail, whatever the rows: comparisons of columns and constants.
func isPlain(e *tipb.Expr) bool {
	for _, arg := range e.GetChildren() {
		if arg.GetTp() == tipb.ExprType_ScalarFunc {
			return false
		}
	}
	unequal := e.GetSig() - tipb.ScalarFuncSig_NEInt
	_, ok := comparisons[e.GetSig()]
	return e.GetTp() == tipb.ExprType_ScalarFunc && (ok || unequal >= 0 && int(unequal) < len(zoneLetters))
}

// runsFirst tells whether expr.Filter runs a comparison before all that could fail.
func runsFirst(e *tipb.Expr) bool {
	cmp, ok := comparisons[e.Sig]
	return ok && cmp.letter != 's'
}

// comparison is what a signature compares: how, and values of which type (i, r, d, s, t, u as in package expr).
type comparison struct {
	op     tipb.ScalarFuncSig // of integers
	letter byte
}

// zoneLetters are the types of comparisons in the order of their signatures.
const zoneLetters = "irdstu"

var comparisons = func() map[tipb.ScalarFuncSig]comparison {
	all := map[tipb.ScalarFuncSig]comparison{}
	for _, op := range []tipb.ScalarFuncSig{tipb.ScalarFuncSig_LTInt, tipb.ScalarFuncSig_LEInt, tipb.ScalarFuncSig_GTInt,
		tipb.ScalarFuncSig_GEInt, tipb.ScalarFuncSig_EQInt} {
		for i := range len(zoneLetters) {
			all[op+tipb.ScalarFuncSig(i)] = comparison{op, zoneLetters[i]}
		}
	}
	return all
}()

// memberships are the signatures of IN, with the = that they stand for.
var memberships = map[tipb.ScalarFuncSig]tipb.ScalarFuncSig{
	tipb.ScalarFuncSig_InInt: tipb.ScalarFuncSig_EQInt, tipb.ScalarFuncSig_InReal: tipb.ScalarFuncSig_EQReal,
	tipb.ScalarFuncSig_InDecimal: tipb.ScalarFuncSig_EQDecimal, tipb.ScalarFuncSig_InString: tipb.ScalarFuncSig_EQString,
	tipb.ScalarFuncSig_InTime: tipb.ScalarFuncSig_EQTime, tipb.ScalarFuncSig_InDuration: tipb.ScalarFuncSig_EQDuration,
}

// nullTests are the signatures of IS NULL.
var nullTests = map[tipb.ScalarFuncSig]bool{
	tipb.ScalarFuncSig_IntIsNull: true, tipb.ScalarFuncSig_RealIsNull: true, tipb.ScalarFuncSig_DecimalIsNull: true,
	tipb.ScalarFuncSig_StringIsNull: true, tipb.ScalarFuncSig_TimeIsNull: true, tipb.ScalarFuncSig_DurationIsNull: true,
}

// zoneCompiler turns conditions about rows to conditions about bounds.
type zoneCompiler struct {
	z      *zoneFilter
	fields []*tipb.FieldType // of the scan
}

// test is true of a block's bounds if e may be true of a row in it. nil: it cannot be said.
func (c *zoneCompiler) test(e *tipb.Expr, depth int) *tipb.Expr {
	if e.GetTp() != tipb.ExprType_ScalarFunc || e.FieldType == nil || depth == 0 {
		return nil
	}
	switch {
	case e.Sig == tipb.ScalarFuncSig_LogicalAnd || e.Sig == tipb.ScalarFuncSig_LogicalOr:
		return c.both(e, depth)
	case nullTests[e.Sig]:
		if col, ok := c.column(e.Children, 1); ok {
			return c.bound(zoneInput{col: col, side: zoneNulls}, nullsType)
		}
	case memberships[e.Sig] != 0:
		return c.membership(e)
	}
	if cmp, ok := comparisons[e.Sig]; ok && len(e.Children) == 2 {
		if e.Children[1].GetTp() == tipb.ExprType_ColumnRef {
			return c.comparison(e, flipped[cmp.op], cmp.letter, e.Children[1], e.Children[0])
		}
		return c.comparison(e, cmp.op, cmp.letter, e.Children[0], e.Children[1])
	}
	return nil
}

// both tests the sides of an AND or an OR.
func (c *zoneCompiler) both(e *tipb.Expr, depth int) *tipb.Expr {
	if len(e.Children) != 2 {
		return nil
	}
	left, right := c.test(e.Children[0], depth-1), c.test(e.Children[1], depth-1)
	if left == nil || right == nil {
		return nil
	}
	return call(e, e.Sig, left, right)
}

var flipped = map[tipb.ScalarFuncSig]tipb.ScalarFuncSig{
	tipb.ScalarFuncSig_LTInt: tipb.ScalarFuncSig_GTInt, tipb.ScalarFuncSig_GTInt: tipb.ScalarFuncSig_LTInt,
	tipb.ScalarFuncSig_LEInt: tipb.ScalarFuncSig_GEInt, tipb.ScalarFuncSig_GEInt: tipb.ScalarFuncSig_LEInt,
	tipb.ScalarFuncSig_EQInt: tipb.ScalarFuncSig_EQInt,
}

// comparison tests column op constant, by the signature of that type. e is the condition.
func (c *zoneCompiler) comparison(e *tipb.Expr, op tipb.ScalarFuncSig, letter byte, col, constant *tipb.Expr) *tipb.Expr {
	at, ok := c.column([]*tipb.Expr{col}, 1)
	if !ok || !isLiteral(constant) || !c.ordered(at, letter) {
		return nil
	}
	padded := false
	if letter == 's' {
		if padded, ok = c.bytewise(e, at, constant); !ok {
			return nil
		}
	}
	sig := func(op tipb.ScalarFuncSig) tipb.ScalarFuncSig {
		return op + tipb.ScalarFuncSig(strings.IndexByte(zoneLetters, letter))
	}
	least := c.bound(zoneInput{at, zoneMin, padded}, c.fields[at])
	greatest := c.bound(zoneInput{at, zoneMax, padded}, c.fields[at])
	switch op {
	case tipb.ScalarFuncSig_LTInt, tipb.ScalarFuncSig_LEInt:
		return call(e, sig(op), least, constant)
	case tipb.ScalarFuncSig_GTInt, tipb.ScalarFuncSig_GEInt:
		return call(e, sig(op), greatest, constant)
	}
	return and(call(e, sig(tipb.ScalarFuncSig_LEInt), least, constant), call(e, sig(tipb.ScalarFuncSig_GEInt), greatest, constant))
}

// membership tests column IN (constants).
func (c *zoneCompiler) membership(e *tipb.Expr) (any *tipb.Expr) {
	if len(e.Children) < 2 || len(e.Children) > zoneListMax+1 {
		return nil
	}
	equals := memberships[e.Sig]
	letter := comparisons[equals].letter
	for _, constant := range e.Children[1:] {
		one := c.comparison(e, tipb.ScalarFuncSig_EQInt, letter, e.Children[0], constant)
		switch {
		case one == nil:
			return nil
		case any == nil:
			any = one
		default:
			any = &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: tipb.ScalarFuncSig_LogicalOr, FieldType: nullsType, Children: []*tipb.Expr{any, one}}
		}
	}
	return any
}

// column is the number of the scan's column that the only argument of n is.
func (c *zoneCompiler) column(args []*tipb.Expr, n int) (at int, ok bool) {
	if len(args) != n || args[0].GetTp() != tipb.ExprType_ColumnRef {
		return 0, false
	}
	i, _, err := memcmp.DecodeInt64(args[0].Val)
	return int(i), err == nil && i >= 0 && i < int64(len(c.fields))
}

// ordered tells whether a comparison by letter orders the values of a column as its zones do.
func (c *zoneCompiler) ordered(col int, letter byte) bool {
	switch c.fields[col].Tp {
	case column.TypeEnum, column.TypeSet, column.TypeJSON, column.TypeNull:
		return false
	}
	switch column.KindOf(c.fields[col]) {
	case column.Int64, column.Uint64:
		return letter == 'i' || letter == 't' || letter == 'u'
	case column.Float64:
		return letter == 'r'
	case column.Decimal64:
		return letter == 'd'
	case column.Bytes:
		return letter == 's'
	}
	return false
}

// bytewise tells whether the collation of a comparison is the order of bytes, perhaps without trailing spaces.
func (c *zoneCompiler) bytewise(e *tipb.Expr, col int, constant *tipb.Expr) (padded, ok bool) {
	id := e.FieldType.Collate
	for _, ft := range []*tipb.FieldType{c.fields[col], constant.FieldType} {
		if id == 0 {
			id = ft.GetCollate()
		}
	}
	collator, err := value.CollatorByID(id)
	if err != nil {
		return false, false
	}
	padded = collator == paddedCollator
	return padded, padded || collator.KeyIsIdentity() && !collator.PadSpace()
}

var paddedCollator, _ = value.CollatorByID(-utf8mb4Bin)

// utf8mb4Bin is MySQL's id of the collation.
const utf8mb4Bin = 46

// nullsType is the type of a count of NULLs, and of truth.
var nullsType = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}

// bound is a reference to an input.
func (c *zoneCompiler) bound(in zoneInput, ft *tipb.FieldType) *tipb.Expr {
	at := len(c.z.inputs)
	c.z.inputs, c.z.types = append(c.z.inputs, in), append(c.z.types, ft)
	return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, int64(at)), FieldType: ft}
}

// isLiteral tells constants that need no evaluation, but for NULL.
func isLiteral(e *tipb.Expr) bool {
	return e != nil && e.Tp != tipb.ExprType_ScalarFunc && e.Tp != tipb.ExprType_ColumnRef && e.Tp != tipb.ExprType_Null
}

// call is a function over other arguments, of the type, and so the collation, of e.
func call(e *tipb.Expr, sig tipb.ScalarFuncSig, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: sig, FieldType: e.FieldType, Children: args}
}

func and(a, b *tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: tipb.ScalarFuncSig_LogicalAnd, FieldType: nullsType, Children: []*tipb.Expr{a, b}}
}
