package expr

import (
	"testing"
	"time"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

// fuzzTypes are the input columns of fuzzed expressions.
var fuzzTypes = []string{"bigint", "ubigint", "double", "decimal(15,2)", "decimal(30,4)", "decimal(65,10)", "varchar", "date",
	"datetime(3)", "time(6)", "json", "enum(a|b)", "bit", "vector"}

var fuzzCells = []string{"1", "2", "0.5", "1.25", "-3.5", "7", `"a"`, "2024-02-29", "2024-02-29 01:02:03.004", "-01:02:03",
	`"[1, {\"a\": \"b\"}]"`, "1", "5",
	`"[1, 2]"`}

// FuzzCompile compiles and evaluates whatever decodes as an expression: nothing of it may panic, and what comes out is a
// well-formed column of the declared type.
func FuzzCompile(f *testing.F) {
	for sig := range registry() {
		for _, ret := range []string{"bigint", "decimal(20,3)", "varchar", "datetime", "json"} {
			for _, args := range [][]int64{{0}, {6, 6}, {8, 0, 6}, {3, 4}, {10, 6}} {
				e := call(sig, ft(f, ret))
				for _, a := range args {
					e.Children = append(e.Children, colRef(int(a)))
				}
				if b, err := e.Marshal(); err == nil && int(sig)%17 == len(args) {
					f.Add(b)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := &tipb.Expr{}
		if e.Unmarshal(data) == nil {
			evalAnything(t, e)
		}
	})
}

func evalAnything(t testing.TB, e *tipb.Expr) {
	var input []*tipb.FieldType
	b := column.Batch{Rows: 3, Sel: []int32{0, 2}}
	for k, typ := range fuzzTypes {
		input = append(input, ft(t, typ))
		b.Cols = append(b.Cols, buildColumn(t, input[k], []string{fuzzCells[k], "NULL", fuzzCells[k]}))
	}
	ctx := &Context{Flags: FlagIgnoreTruncate | FlagOverflowAsWarning, Warnings: &Warnings{}, MaxAllowedPacket: 1 << 16,
		Now: func() time.Time { return time.Unix(1e9, 0) }, Random: func() uint64 { return 42 }}
	x, err := Compile(e, input, ctx)
	if err != nil {
		return
	}
	a, err := x.Eval(b)
	if err != nil {
		return
	}
	require.Equal(t, b.Rows, a.Len())
	for k := range b.Len() {
		show(a, x.Type(), b.Row(k))
	}
	if f, err := NewFilter([]*tipb.Expr{e}, input, ctx); err == nil {
		_, _ = f.Apply(b) // an evaluation error is as good as rows here
	}
}

// TestEverySignature calls every function with every combination of two column types as arguments, and its own types where
// the spec tells them: nothing may panic.
func TestEverySignature(t *testing.T) {
	returns := []string{"bigint", "ubigint", "double", "float", "decimal(15,2)", "decimal(30,2)", "decimal", "varchar", "varchar(1)", "date",
		"datetime(6)", "time", "json", "vector"}
	byLetter := map[etype][]int{}
	for k, typ := range fuzzTypes {
		l := evalType(ft(t, typ))
		byLetter[l] = append(byLetter[l], k)
		if isEnum(ft(t, typ)) {
			byLetter[etInt] = append(byLetter[etInt], k)
		}
	}
	for sig, fn := range registry() {
		for _, ret := range returns {
			rt := ft(t, ret)
			if !resultFits(fn.result(), rt) {
				continue
			}
			for n := range 6 {
				if !fn.accepts(n) {
					continue
				}
				for variant := range 4 {
					e := call(sig, rt)
					for k := range n {
						l, _ := fn.letter(k, n)
						cols := byLetter[l]
						if l == etAny {
							cols = []int{0, 6, 10, 3}
						}
						e.Children = append(e.Children, colRef(cols[(variant+k)%len(cols)]))
					}
					evalAnything(t, e)
				}
			}
		}
	}
}

// TestFamilies requires that every signature has one function, and that of one form.
func TestFamilies(t *testing.T) {
	count := 0
	for _, family := range families() {
		count += len(family)
		for sig, f := range family {
			require.True(t, f.build != nil || (f.row == nil) != (f.bind == nil), sig.String())
		}
	}
	require.Len(t, registry(), count)
}

// TestLimits refuses what is too deep, and names what is unknown.
func TestLimits(t *testing.T) {
	deep := intConst(1)
	for range MaxDepth {
		deep = call(tipb.ScalarFuncSig_UnaryNotInt, boolType, deep)
	}
	_, err := Compile(deep, nil, &Context{})
	require.ErrorContains(t, err, "deeper")
	_, err = Compile(deep.Children[0], nil, &Context{})
	require.NoError(t, err)

	_, err = Compile(call(tipb.ScalarFuncSig_Sleep, boolType, intConst(1)), nil, &Context{})
	require.True(t, isUnsupported(err))
	require.False(t, Supported(tipb.ScalarFuncSig_Sleep))
	require.True(t, Supported(tipb.ScalarFuncSig_LTInt))

	_, err = Compile(call(tipb.ScalarFuncSig_LTInt, boolType, strConst("a", ft(t, "varchar")), intConst(1)), nil, &Context{})
	require.ErrorContains(t, err, "argument 1")
}
