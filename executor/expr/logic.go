package expr

import (
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

func logicFunctions() functions {
	out := functions{
		tipb.ScalarFuncSig_LogicalAnd: {spec: "ii:i", build: buildLogic(logicAnd)},
		tipb.ScalarFuncSig_LogicalOr:  {spec: "ii:i", build: buildLogic(logicOr)},
		tipb.ScalarFuncSig_LogicalXor: {spec: "ii:i", total: true, row: func(f *frame, i int) error {
			f.out.setBool(i, (f.a[0].int(i) != 0) != (f.a[1].int(i) != 0))
			return nil
		}},
		tipb.ScalarFuncSig_UnaryMinusInt:     {spec: "i:i", row: unaryMinusInt},
		tipb.ScalarFuncSig_UnaryMinusReal:    {spec: "r:r", total: true, row: unaryMinusReal},
		tipb.ScalarFuncSig_UnaryMinusDecimal: {spec: "d:d", row: unaryMinusDecimal},
	}
	for letter, sig := range map[string]tipb.ScalarFuncSig{
		"i": tipb.ScalarFuncSig_UnaryNotInt, "r": tipb.ScalarFuncSig_UnaryNotReal,
		"d": tipb.ScalarFuncSig_UnaryNotDecimal, "j": tipb.ScalarFuncSig_UnaryNotJSON,
	} {
		out[sig] = function{spec: letter + ":i", row: truthRow(false), build: buildNot}
	}
	addTruthTests(out)
	for letter, sig := range map[string]tipb.ScalarFuncSig{
		"i": tipb.ScalarFuncSig_IntIsNull, "r": tipb.ScalarFuncSig_RealIsNull, "d": tipb.ScalarFuncSig_DecimalIsNull,
		"s": tipb.ScalarFuncSig_StringIsNull, "t": tipb.ScalarFuncSig_TimeIsNull,
		"u": tipb.ScalarFuncSig_DurationIsNull, "j": tipb.ScalarFuncSig_JsonIsNull,
	} {
		out[sig] = function{spec: letter + ":i", nulls: true, row: func(f *frame, i int) error {
			f.out.setBool(i, f.a[0].null(i))
			return nil
		}}
	}
	return out
}

// buildNot turns the argument into its opposite where it can do that itself, and so stay able to select rows directly.
func buildNot(s *callSite) (node, error) {
	n, ok := s.args[0].(interface{ negate(ft *tipb.FieldType) bool })
	if ok && column.KindOf(s.args[0].typ()) == column.KindOf(s.expr.FieldType) && n.negate(s.expr.FieldType) {
		return s.args[0], nil
	}
	call, fn := *s, *s.fn
	fn.build, call.fn = nil, &fn
	return call.node()
}

// addTruthTests has IS TRUE and IS FALSE, which turn NULL to 0, and the variants that keep it.
func addTruthTests(out functions) {
	for k, letter := range []string{"i", "r", "d"} {
		step := tipb.ScalarFuncSig(k)
		for _, t := range []struct {
			first    tipb.ScalarFuncSig
			want     bool
			withNull bool
		}{
			{tipb.ScalarFuncSig_IntIsTrue, true, false}, {tipb.ScalarFuncSig_IntIsFalse, false, false},
			{tipb.ScalarFuncSig_IntIsTrueWithNull, true, true}, {tipb.ScalarFuncSig_IntIsFalseWithNull, false, true},
		} {
			out[t.first+step] = function{spec: letter + ":i", nulls: !t.withNull, row: truthRow(t.want)}
		}
	}
}

// truthRow tests whether the argument's truth is as wanted; NULL, where it is seen, is neither.
func truthRow(want bool) rowFn {
	return func(f *frame, i int) error {
		v := f.a[0]
		truth := truthAt(v, i)
		if v.kind == column.Bytes {
			truth = !jsonIsZero(v.str(i))
		}
		f.out.setBool(i, truth == want && !v.null(i))
		return nil
	}
}

func unaryMinusInt(f *frame, i int) error {
	x := f.a[0].int(i)
	unsigned := f.a[0].kind == column.Uint64
	if unsigned && uint64(x) > 1<<63 {
		return outOfRange("BIGINT", "-%d", uint64(x))
	}
	if !unsigned && x == math.MinInt64 {
		if f.out.kind == column.Uint64 {
			f.out.i64[i] = x
			return nil
		}
		return outOfRange("BIGINT", "-(%d)", x)
	}
	f.out.i64[i] = -x
	return nil
}

func unaryMinusReal(f *frame, i int) error {
	f.out.f64[i] = -f.a[0].real(i)
	return nil
}

func unaryMinusDecimal(f *frame, i int) error { return f.putDec(i, f.a[0].dec(i).Neg(), true) }

// putDec stores a decimal result, or fails with MySQL's out of range error.
func (f *frame) putDec(i int, d value.Decimal, ok bool) error {
	if !ok || !f.out.setDec(i, d) {
		return outOfRange("DECIMAL", "(%s)", d)
	}
	return nil
}

type logicOp uint8

const (
	logicAnd logicOp = iota
	logicOr
)

// logicNode is AND or OR in three-valued logic. The right side is evaluated only on rows that the left does not decide, so
// that errors there do not arise.
type logicNode struct {
	ft          *tipb.FieldType
	op          logicOp
	left, right node
	out         vec
	rest        []int32

	// for selection
	conds  [2]condition
	chosen [2][]int32
}

func buildLogic(op logicOp) func(s *callSite) (node, error) {
	return func(s *callSite) (node, error) {
		n := &logicNode{ft: s.expr.FieldType, op: op, left: s.args[0], right: s.args[1]}
		n.conds = [2]condition{newCondition(n.left), newCondition(n.right)}
		return n, nil
	}
}

func (n *logicNode) typ() *tipb.FieldType { return n.ft }

func (n *logicNode) eval(in *input) (*vec, error) {
	l, err := n.left.eval(in)
	if err != nil {
		return nil, err
	}
	// decider is the value that decides alone: 0 for AND, 1 for OR.
	decider := b2i(n.op == logicOr)
	n.out.reset(column.KindOf(n.ft), in.n)
	n.rest = resize(n.rest, in.len())
	k := 0
	for j := range in.len() {
		i := in.at(j)
		n.out.i64[i] = decider
		n.rest[k] = int32(i)
		k += int(b2i(l.null(i) || b2i(l.int(i) != 0) != decider))
	}
	if k == 0 {
		return &n.out, nil
	}
	r, err := n.right.eval(in.on(n.rest[:k]))
	if err != nil {
		return nil, err
	}
	for _, row := range n.rest[:k] {
		i := int(row)
		switch {
		case !r.null(i) && b2i(r.int(i) != 0) == decider:
		case l.null(i) || r.null(i):
			n.out.setNull(i)
		default:
			n.out.i64[i] = 1 - decider
		}
	}
	return &n.out, nil
}

// selector selects without a boolean column: AND narrows twice, OR unites two disjoint selections.
func (n *logicNode) selector() selectFn {
	if n.op == logicAnd {
		return func(in *input, dst []int32) ([]int32, error) {
			rows, err := n.conds[0].rows(in, dst)
			if err != nil || len(rows) == 0 {
				return rows, err
			}
			return n.conds[1].rows(in.on(rows), rows)
		}
	}
	return n.selectEither
}

func (n *logicNode) selectEither(in *input, dst []int32) ([]int32, error) {
	n.chosen[0] = resize(n.chosen[0], in.len())
	first, err := n.conds[0].rows(in, n.chosen[0])
	if err != nil {
		return nil, err
	}
	n.rest = appendOthers(n.rest[:0], in.rowset, first)
	if len(n.rest) == 0 {
		return append(dst[:0], first...), nil
	}
	n.chosen[1] = resize(n.chosen[1], len(n.rest))
	second, err := n.conds[1].rows(in.on(n.rest), n.chosen[1])
	if err != nil {
		return nil, err
	}
	return mergeRows(dst[:0], first, second), nil
}

// appendOthers appends the rows of the set that are not in chosen, a subsequence of it.
func appendOthers(dst []int32, rows rowset, chosen []int32) []int32 {
	for j := range rows.len() {
		i := int32(rows.at(j))
		if len(chosen) > 0 && chosen[0] == i {
			chosen = chosen[1:]
			continue
		}
		dst = append(dst, i)
	}
	return dst
}

// mergeRows appends two ascending, disjoint lists in order.
func mergeRows(dst, a, b []int32) []int32 {
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			dst, a = append(dst, a[0]), a[1:]
		} else {
			dst, b = append(dst, b[0]), b[1:]
		}
	}
	return append(append(dst, a...), b...)
}
