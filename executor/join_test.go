package executor

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// joinSpec is a join of two tables (k BIGINT, v BIGINT) in the notation of the reference implementation below.
type joinSpec struct {
	tp        tipb.JoinType
	innerIdx  int64
	keyless   bool
	leftCond  bool // l.v > 1
	rightCond bool // r.v > 1
	other     bool // l.v < r.v
	inEq      bool // l.v = r.v, from an IN
	nullAware bool
}

func (s joinSpec) plan() *tipb.Executor {
	j := &tipb.Join{JoinType: s.tp, InnerIdx: s.innerIdx, Children: []*tipb.Executor{leaf(0), leaf(1)}}
	if !s.keyless {
		j.LeftJoinKeys, j.RightJoinKeys = exprs(col(0, bigint)), exprs(col(0, bigint))
	}
	above1 := call(tipb.ScalarFuncSig_GTInt, col(1, bigint), intConst(1))
	if s.leftCond {
		j.LeftConditions = exprs(above1)
	}
	if s.rightCond {
		j.RightConditions = exprs(above1)
	}
	if s.other {
		j.OtherConditions = exprs(call(tipb.ScalarFuncSig_LTInt, col(1, bigint), col(3, bigint)))
	}
	if s.inEq {
		j.OtherEqConditionsFromIn = exprs(call(tipb.ScalarFuncSig_EQInt, col(1, bigint), col(3, bigint)))
	}
	if s.nullAware {
		j.IsNullAwareSemiJoin = &s.nullAware
	}
	return &tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: j}
}

// ref is a nullable number; tri a truth value: 0 false, 1 true, -1 unknown.
type (
	ref  *int64
	pair struct{ k, v ref }
	tri  int
)

func triOf(b bool) tri {
	if b {
		return 1
	}
	return 0
}

func compareRef(a, b ref, hold func(a, b int64) bool) tri {
	if a == nil || b == nil {
		return -1
	}
	return triOf(hold(*a, *b))
}

func and(ts ...tri) tri {
	out := tri(1)
	for _, t := range ts {
		if t == 0 {
			return 0
		}
		if t < 0 {
			out = -1
		}
	}
	return out
}

func equal(a, b int64) bool   { return a == b }
func less(a, b int64) bool    { return a < b }
func greater(a, b int64) bool { return a > b }

// matches is the truth of the whole join condition for a pair. What is unknown counts as false unless it came from an IN.
func (s joinSpec) matches(l, r pair) tri {
	one := int64(1)
	sure := func(t tri) tri { return triOf(t == 1) }
	cond := tri(1)
	if !s.keyless {
		key := compareRef(l.k, r.k, equal)
		if !s.nullAware {
			key = sure(key)
		}
		cond = and(cond, key)
	}
	if s.leftCond {
		cond = and(cond, sure(compareRef(l.v, &one, greater)))
	}
	if s.rightCond {
		cond = and(cond, sure(compareRef(r.v, &one, greater)))
	}
	if s.other {
		cond = and(cond, sure(compareRef(l.v, r.v, less)))
	}
	if s.inEq {
		cond = and(cond, compareRef(l.v, r.v, equal))
	}
	return cond
}

func (p pair) String() string { return show(p.k) + "," + show(p.v) }

func show(r ref) string {
	if r == nil {
		return "NULL"
	}
	return strconv.FormatInt(*r, 10)
}

// nestedLoops is the join by definition.
func (s joinSpec) nestedLoops(left, right []pair) []string {
	var out []string
	null := pair{}
	matchedRight := make([]bool, len(right))
	for _, l := range left {
		any := tri(0)
		for i, r := range right {
			switch m := s.matches(l, r); {
			case m == 1:
				any = 1
				matchedRight[i] = true
				if s.isPairs() {
					out = append(out, l.String()+","+r.String())
				}
			case m < 0 && any == 0:
				any = -1
			}
		}
		switch s.tp {
		case tipb.JoinType_TypeLeftOuterJoin:
			if any != 1 {
				out = append(out, l.String()+","+null.String())
			}
		case tipb.JoinType_TypeSemiJoin:
			if any == 1 {
				out = append(out, l.String())
			}
		case tipb.JoinType_TypeAntiSemiJoin:
			if any == 0 {
				out = append(out, l.String())
			}
		case tipb.JoinType_TypeLeftOuterSemiJoin:
			out = append(out, l.String()+","+map[tri]string{0: "0", 1: "1", -1: "NULL"}[any])
		case tipb.JoinType_TypeAntiLeftOuterSemiJoin:
			out = append(out, l.String()+","+map[tri]string{0: "1", 1: "0", -1: "NULL"}[any])
		}
	}
	if s.tp == tipb.JoinType_TypeRightOuterJoin {
		for i, r := range right {
			if !matchedRight[i] {
				out = append(out, null.String()+","+r.String())
			}
		}
	}
	return out
}

func (s joinSpec) isPairs() bool {
	return s.tp == tipb.JoinType_TypeInnerJoin || s.tp == tipb.JoinType_TypeLeftOuterJoin || s.tp == tipb.JoinType_TypeRightOuterJoin
}

// valid reports whether the operator takes the mix: null-aware joins decide on left rows as they come.
func (s joinSpec) valid() bool {
	quantified := s.tp != tipb.JoinType_TypeSemiJoin && !s.isPairs()
	return !s.nullAware || (quantified && s.innerIdx == 1 && !s.keyless)
}

func genPairs(name string) *rapid.Generator[[]pair] {
	num := rapid.Custom(func(t *rapid.T) ref {
		if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
			return nil
		}
		v := rapid.Int64Range(0, 4).Draw(t, name)
		return &v
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pair { return pair{num.Draw(t, "k"), num.Draw(t, "v")} }), 0, 8)
}

func text(ps []pair) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return out
}

// Every kind, build side and mix of conditions gives what nested loops give.
func TestJoinAgainstNestedLoops(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bit := rapid.Bool()
		s := joinSpec{
			tp:       tipb.JoinType(rapid.IntRange(0, 6).Draw(rt, "type")),
			innerIdx: rapid.Int64Range(0, 1).Draw(rt, "inner"),
			keyless:  rapid.IntRange(0, 4).Draw(rt, "keyless") == 0,
			leftCond: bit.Draw(rt, "left"), rightCond: bit.Draw(rt, "right"), other: bit.Draw(rt, "other"), inEq: bit.Draw(rt, "in"),
			nullAware: bit.Draw(rt, "null aware"),
		}
		if !s.valid() {
			s.nullAware = false
		}
		left, right := genPairs("l").Draw(rt, "left"), genPairs("r").Draw(rt, "right")
		want := s.nestedLoops(left, right)
		slices.Sort(want)
		sh := rapid.SampledFrom(shapes).Draw(rt, "shape")
		in := []table{tbl(types(bigint, bigint), text(left)...), tbl(types(bigint, bigint), text(right)...)}
		op, err := Build(s.plan(), func(scan *tipb.Executor) (Operator, error) {
			return newSource(t, in[scan.TblScan.TableId], sh), nil
		}, testEnv())
		require.NoError(rt, err)
		got, err := drain(t, op)
		require.NoError(rt, err)
		slices.Sort(got)
		require.Equal(rt, want, got, "%+v", s)
		require.NoError(rt, op.Close())
	})
}

func joinOf(tp tipb.JoinType, left, right []*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: &tipb.Join{JoinType: tp, InnerIdx: 1, LeftJoinKeys: left,
		RightJoinKeys: right, Children: []*tipb.Executor{leaf(0), leaf(1)}}}
}

// Keys of unlike types meet in a common one; strings by their collation; several keys together.
func TestJoinKeyTypes(t *testing.T) {
	wide := decimalType(30, 4)
	for _, c := range []struct {
		name        string
		left, right table
		keys        int
		want        []string
	}{
		{"int with decimal", tbl(types(bigint), "1", "2", "NULL"), tbl(types(decimal2), "2.00", "1.50"), 1, []string{"2,2.00"}},
		{"decimals", tbl(types(decimal2), "1.50", "-2.25"), tbl(types(wide), "-2.2500", "1.5001"), 1, []string{"-2.25,-2.2500"}},
		{"int with unsigned", tbl(types(bigint), "-1", "7"), tbl(types(ubigint), "18446744073709551615", "7"), 1, []string{"7,7"}},
		{"int with double", tbl(types(bigint), "3"), tbl(types(double), "3"), 1, []string{"3,3"}},
		{"padded strings", tbl(types(varchar), "a ", "b"), tbl(types(varchar), "a", "B"), 1, []string{"a ,a"}},
		{"folded strings", tbl(types(folded), "Abc"), tbl(types(folded), "aBC"), 1, []string{"Abc,aBC"}},
		{"long strings", tbl(types(varchar), "short", "longer than eight"), tbl(types(varchar), "longer than eight"), 1,
			[]string{"longer than eight,longer than eight"}},
		{"short build side", tbl(types(varchar), "longer than eight", "x"), tbl(types(varchar), "x"), 1, []string{"x,x"}},
		{"two keys", tbl(types(bigint, varchar), "1,a", "1,b", "2,a", "NULL,a"), tbl(types(bigint, varchar), "1,b", "2,b", "2,a"), 2,
			[]string{"1,b,1,b", "2,a,2,a"}},
		{"sparse keys", tbl(types(bigint), "1000000000000", "-1000000000000"), tbl(types(bigint), "5", "-1000000000000"), 1,
			[]string{"-1000000000000,-1000000000000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var left, right []*tipb.Expr
			for i := range c.keys {
				left, right = append(left, col(i, c.left.fields[i])), append(right, col(i, c.right.fields[i]))
			}
			run(t, joinOf(tipb.JoinType_TypeInnerJoin, left, right), testEnv, true, c.want, c.left, c.right)
		})
	}
}

// A row with more matches than a batch has room for is put out in several.
func TestJoinManyMatches(t *testing.T) {
	var right, want []string
	for i := range 9000 {
		right = append(right, fmt.Sprintf("1,%d", i))
		want = append(want, fmt.Sprintf("1,1,%d", i))
	}
	op, err := Build(joinOf(tipb.JoinType_TypeInnerJoin, exprs(col(0, bigint)), exprs(col(0, bigint))),
		func(scan *tipb.Executor) (Operator, error) {
			in := []table{tbl(types(bigint), "1"), tbl(types(bigint, bigint), right...)}
			return newSource(t, in[scan.TblScan.TableId], shape{1024, false}), nil
		}, testEnv())
	require.NoError(t, err)
	got, err := drain(t, op)
	require.NoError(t, err)
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}

func TestJoinUnsupported(t *testing.T) {
	str, num := exprs(col(0, varchar)), exprs(col(0, bigint))
	for _, root := range []*tipb.Executor{
		joinOf(tipb.JoinType_TypeInnerJoin, str, num),
		joinOf(tipb.JoinType(99), num, num),
	} {
		_, err := Build(root, func(scan *tipb.Executor) (Operator, error) {
			in := []table{tbl(types(root.Join.LeftJoinKeys[0].FieldType)), tbl(types(bigint))}
			return newSource(t, in[scan.TblScan.TableId], shape{1, false}), nil
		}, testEnv())
		require.ErrorContains(t, err, "not supported")
	}
	_, err := Build(joinOf(tipb.JoinType_TypeInnerJoin, num, nil), sourceLeaf(t, tbl(types(bigint))), testEnv())
	require.Error(t, err)
}
