package expr

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
)

// The twins below compute what the kernels compute one row at a time in exact rational numbers.

// twin is an operation on numbers; ok is false for NULL.
type twin struct {
	name string // of the signature, without the type
	op   func(a, b *big.Rat) (_ *big.Rat, ok bool)
}

var additive = []twin{
	{"Plus", func(a, b *big.Rat) (*big.Rat, bool) { return new(big.Rat).Add(a, b), true }},
	{"Minus", func(a, b *big.Rat) (*big.Rat, bool) { return new(big.Rat).Sub(a, b), true }},
	{"Multiply", func(a, b *big.Rat) (*big.Rat, bool) { return new(big.Rat).Mul(a, b), true }},
}

var quotients = []twin{
	{"IntDivide", func(a, b *big.Rat) (*big.Rat, bool) {
		if b.Sign() == 0 {
			return nil, false
		}
		return new(big.Rat).SetInt(quoRat(a, b)), true
	}},
	{"Mod", func(a, b *big.Rat) (*big.Rat, bool) {
		if b.Sign() == 0 {
			return nil, false
		}
		whole := new(big.Rat).SetInt(quoRat(a, b))
		return whole.Sub(a, whole.Mul(whole, b)), true
	}},
}

// quoRat is trunc(a/b).
func quoRat(a, b *big.Rat) *big.Int {
	q := new(big.Rat).Quo(a, b)
	return new(big.Int).Quo(q.Num(), q.Denom())
}

func comparisons() (out []twin) {
	for name, op := range map[string]compareOp{"LT": opLT, "LE": opLE, "GT": opGT, "GE": opGE, "EQ": opEQ, "NE": opNE} {
		out = append(out, twin{name, func(a, b *big.Rat) (*big.Rat, bool) {
			return new(big.Rat).SetInt64(op.holds(int64(a.Cmp(b)))), true
		}})
	}
	return out
}

// numberColumn draws a column of a numeric type as texts.
func numberColumn(r *rapid.T, typ *tipb.FieldType, label string, rows int) []string {
	digits := 18
	if typ.Tp == column.TypeDecimal {
		digits = int(typ.Flen)
	}
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(r, "null") == 0 {
			return "NULL"
		}
		text := strings.TrimLeft(rapid.StringMatching(fmt.Sprintf("[0-9]{1,%d}", digits)).Draw(r, "digits"), "0")
		n, _ := new(big.Int).SetString("0"+text, 10)
		if !column.IsUnsigned(typ) && rapid.Bool().Draw(r, "minus") {
			n.Neg(n)
		}
		scale := 0
		if typ.Tp == column.TypeDecimal {
			scale = int(typ.Decimal)
		}
		return new(big.Rat).SetFrac(n, pow10Big(scale)).FloatString(scale)
	}), rows, rows).Draw(r, label)
}

// checkTwin evaluates the operation over columns, or a column and a constant, and compares every row.
func checkTwin(t *testing.T, r *rapid.T, w twin, suffix string, types []*tipb.FieldType, ret *tipb.FieldType) {
	rows := rapid.IntRange(1, 50).Draw(r, "rows")
	cells := [2][]string{numberColumn(r, types[0], "a", rows), numberColumn(r, types[1], "b", rows)}
	sig, ok := tipb.ScalarFuncSig_value[w.name+suffix]
	require.True(t, ok, w.name+suffix)
	x, err := Compile(call(tipb.ScalarFuncSig(sig), ret, colRef(0), colRef(1)), types, &Context{})
	require.NoError(t, err)
	b := column.Batch{Rows: rows, Cols: []arrow.Array{buildColumn(t, types[0], cells[0]), buildColumn(t, types[1], cells[1])}}
	a, err := x.Eval(b)
	if err != nil { // out of range: the rows before must be tried one by one
		requireOneOutOfRange(t, w, cells, ret)
		return
	}
	for i := range rows {
		want := "NULL"
		if p, q, ok := parseRats(cells[0][i], cells[1][i]); ok {
			if v, ok := w.op(p, q); ok {
				want = v.FloatString(scaleOf(ret))
			}
		}
		require.Equal(t, want, show(a, ret, i), "%s %s %s", cells[0][i], w.name, cells[1][i])
	}
}

func parseRats(a, b string) (p, q *big.Rat, ok bool) {
	if a == "NULL" || b == "NULL" {
		return nil, nil, false
	}
	p, _ = new(big.Rat).SetString(a)
	q, _ = new(big.Rat).SetString(b)
	return p, q, true
}

// requireOneOutOfRange requires a row whose exact result the type cannot hold.
func requireOneOutOfRange(t *testing.T, w twin, cells [2][]string, ret *tipb.FieldType) {
	for i := range cells[0] {
		p, q, ok := parseRats(cells[0][i], cells[1][i])
		if !ok {
			continue
		}
		v, ok := w.op(p, q)
		if !ok {
			continue
		}
		text := v.FloatString(0)
		_, errS := strconv.ParseInt(text, 10, 64)
		_, errU := strconv.ParseUint(text, 10, 64)
		switch {
		case ret.Tp == column.TypeDecimal && len(strings.TrimLeft(text, "-"))+scaleOf(ret) > 18:
			return
		case ret.Tp != column.TypeDecimal && (column.IsUnsigned(ret) && errU != nil || !column.IsUnsigned(ret) && errS != nil):
			return
		}
	}
	require.Fail(t, "out of range without a reason", "%s", w.name)
}

func TestIntTwins(t *testing.T) {
	for _, signs := range [][2]string{{"bigint", "bigint"}, {"ubigint", "bigint"}, {"bigint", "ubigint"}, {"ubigint", "ubigint"}} {
		types := []*tipb.FieldType{ft(t, signs[0]), ft(t, signs[1])}
		ret := ft(t, "bigint")
		if signs != [2]string{"bigint", "bigint"} {
			ret = ft(t, "ubigint")
		}
		for _, w := range append(append(additive[:3:3], quotients...), comparisons()...) {
			want := ret
			if w.name == "Mod" {
				want = types[0]
			} else if len(w.name) == 2 {
				want = boolType
			}
			t.Run(fmt.Sprint(w.name, signs), func(t *testing.T) {
				rapid.Check(t, func(r *rapid.T) { checkTwin(t, r, w, "Int", types, want) })
			})
		}
	}
}

func TestDecimalTwins(t *testing.T) {
	draw := func(r *rapid.T, label string) *tipb.FieldType {
		p := rapid.SampledFrom([]int{3, 9, 15, 18, 20, 31}).Draw(r, label+"precision")
		return &tipb.FieldType{Tp: column.TypeDecimal, Flen: int32(p), Decimal: int32(rapid.IntRange(0, min(p, 10)).Draw(r, label+"scale"))}
	}
	for _, w := range append(additive[:3:3], comparisons()...) {
		t.Run(w.name, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				a, b := draw(r, "a"), draw(r, "b")
				ret := boolType
				switch {
				case w.name == "Multiply":
					ret = &tipb.FieldType{Tp: column.TypeDecimal, Flen: a.Flen + b.Flen, Decimal: a.Decimal + b.Decimal}
				case len(w.name) > 2:
					scale := max(a.Decimal, b.Decimal)
					ret = &tipb.FieldType{Tp: column.TypeDecimal, Flen: max(a.Flen-a.Decimal, b.Flen-b.Decimal) + scale + 1, Decimal: scale}
				}
				checkTwin(t, r, w, "Decimal", []*tipb.FieldType{a, b}, ret)
			})
		})
	}
}

// TestLogicTwin checks AND, OR and XOR against their truth tables, and that the right side is not evaluated where the left
// decides.
func TestLogicTwin(t *testing.T) {
	value := func(text string) (v, null bool) { return text == "1", text == "NULL" }
	table := map[tipb.ScalarFuncSig]func(a, an, b, bn bool) string{
		tipb.ScalarFuncSig_LogicalAnd: func(a, an, b, bn bool) string {
			switch {
			case !a && !an || !b && !bn:
				return "0"
			case an || bn:
				return "NULL"
			}
			return "1"
		},
		tipb.ScalarFuncSig_LogicalOr: func(a, an, b, bn bool) string {
			switch {
			case a || b:
				return "1"
			case an || bn:
				return "NULL"
			}
			return "0"
		},
	}
	big := ft(t, "bigint")
	rapid.Check(t, func(r *rapid.T) {
		rows := rapid.IntRange(1, 30).Draw(r, "rows")
		cell := rapid.SampledFrom([]string{"0", "1", "NULL"})
		a, b := rapid.SliceOfN(cell, rows, rows).Draw(r, "a"), rapid.SliceOfN(cell, rows, rows).Draw(r, "b")
		batch := column.Batch{Rows: rows, Cols: []arrow.Array{buildColumn(t, big, a), buildColumn(t, big, b)}}
		for sig, want := range table {
			x, err := Compile(call(sig, boolType, colRef(0), colRef(1)), []*tipb.FieldType{big, big}, &Context{})
			require.NoError(t, err)
			got, err := x.Eval(batch)
			require.NoError(t, err)
			for i := range rows {
				av, an := value(a[i])
				bv, bn := value(b[i])
				require.Equal(t, want(av, an, bv, bn), show(got, boolType, i), "%s %s %s", a[i], sig, b[i])
			}
		}
	})
}

// TestShortCircuit divides only where the guard lets it: x <> 0 AND 1 DIV x, CASE WHEN x <> 0 THEN 1 DIV x END.
func TestShortCircuit(t *testing.T) {
	big := ft(t, "bigint")
	guard := call(tipb.ScalarFuncSig_NEInt, boolType, colRef(0), intConst(0))
	divide := call(tipb.ScalarFuncSig_IntDivideInt, big, intConst(7), colRef(0))
	batch := column.Batch{Rows: 4, Cols: []arrow.Array{buildColumn(t, big, []string{"0", "7", "NULL", "0"})}}
	for _, e := range []*tipb.Expr{
		call(tipb.ScalarFuncSig_LogicalAnd, boolType, guard, divide),
		call(tipb.ScalarFuncSig_LogicalOr, boolType, call(tipb.ScalarFuncSig_UnaryNotInt, boolType, guard), divide),
		call(tipb.ScalarFuncSig_CaseWhenInt, big, guard, divide),
		call(tipb.ScalarFuncSig_IfInt, big, guard, divide, intConst(1)),
	} {
		ctx := &Context{Warnings: &Warnings{}}
		x, err := Compile(e, []*tipb.FieldType{big}, ctx)
		require.NoError(t, err)
		_, err = x.Eval(batch)
		require.NoError(t, err)
		f, err := NewFilter([]*tipb.Expr{e}, []*tipb.FieldType{big}, ctx)
		require.NoError(t, err)
		_, err = f.Apply(batch)
		require.NoError(t, err)
		require.Zero(t, ctx.Warnings.Count, "%v", e.Sig)
	}
}
