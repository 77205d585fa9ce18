package executor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/executor/spill"
)

// Random plans over random tables, beside an evaluator that takes rows one by one. All columns are BIGINTs.

// cell is a value; nil is NULL.
type cell *int64

type cells []cell

func compareCells(a, b cell) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(boolInt(a != nil), boolInt(b != nil))
	default:
		return cmp.Compare(*a, *b)
	}
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func compareRows(a, b cells) int { return slices.CompareFunc(a, b, compareCells) }

func cellText(c cell) string {
	if c == nil {
		return "NULL"
	}
	return strconv.FormatInt(*c, 10)
}

func (r cells) String() string {
	parts := make([]string, len(r))
	for i, c := range r {
		parts[i] = cellText(c)
	}
	return strings.Join(parts, ",")
}

// drawnPlan is a plan and what it means.
type drawnPlan struct {
	root  *tipb.Executor
	width int
	// rows evaluates the plan; ordered tells whether their order is part of the result.
	rows    func(tables [][]cells) []cells
	ordered bool
}

// drawnExpr is an expression and what it means.
type drawnExpr struct {
	pb   *tipb.Expr
	eval func(r cells) cell
}

func intCell(v int64) cell { return &v }

// drawExpr draws an operand: a column, a constant, or a sum.
func drawExpr(t *rapid.T, width int) drawnExpr {
	i, v := rapid.IntRange(0, width-1).Draw(t, "column"), rapid.Int64Range(-3, 6).Draw(t, "constant")
	column := drawnExpr{col(i, bigint), func(r cells) cell { return r[i] }}
	switch rapid.IntRange(0, 3).Draw(t, "operand") {
	case 0:
		return drawnExpr{intConst(v), func(cells) cell { return intCell(v) }}
	case 1:
		return drawnExpr{call(tipb.ScalarFuncSig_PlusInt, column.pb, intConst(v)), func(r cells) cell {
			if r[i] == nil {
				return nil
			}
			return intCell(*r[i] + v)
		}}
	}
	return column
}

// drawCondition draws a comparison or a test for NULL.
func drawCondition(t *rapid.T, width int) drawnExpr {
	a, b := drawExpr(t, width), drawExpr(t, width)
	if rapid.IntRange(0, 3).Draw(t, "condition") == 0 {
		return drawnExpr{call(tipb.ScalarFuncSig_IntIsNull, a.pb), func(r cells) cell { return intCell(boolInt(a.eval(r) == nil)) }}
	}
	return drawnExpr{call(tipb.ScalarFuncSig_LTInt, a.pb, b.pb), func(r cells) cell {
		x, y := a.eval(r), b.eval(r)
		if x == nil || y == nil {
			return nil
		}
		return intCell(boolInt(*x < *y))
	}}
}

func holds(c cell) bool { return c != nil && *c != 0 }

// drawRelation draws a plan of at most depth operators one over another.
func drawRelation(t *rapid.T, depth int) drawnPlan {
	if depth == 0 {
		i := rapid.IntRange(0, 2).Draw(t, "table")
		return drawnPlan{root: leaf(int64(i)), width: 3, ordered: true, rows: func(tables [][]cells) []cells { return tables[i] }}
	}
	in := drawRelation(t, depth-1)
	switch rapid.SampledFrom([]string{"select", "project", "group", "top", "number", "join", "expand"}).Draw(t, "operator") {
	case "select":
		return drawSelected(t, in)
	case "project":
		return drawProjection(t, in)
	case "group":
		return drawGrouping(t, in)
	case "top":
		return drawTop(t, in)
	case "number":
		return numberedRows(in)
	case "expand":
		return drawExpand(in)
	}
	return drawJoined(t, in, drawRelation(t, rapid.IntRange(0, depth-1).Draw(t, "right")))
}

func drawSelected(t *rapid.T, in drawnPlan) drawnPlan {
	where := drawCondition(t, in.width)
	return drawnPlan{selectionOf(in.root, where.pb), in.width, func(tables [][]cells) (out []cells) {
		for _, r := range in.rows(tables) {
			if holds(where.eval(r)) {
				out = append(out, r)
			}
		}
		return out
	}, in.ordered}
}

func drawProjection(t *rapid.T, in drawnPlan) drawnPlan {
	var pb []*tipb.Expr
	var list []drawnExpr
	for range rapid.IntRange(1, 4).Draw(t, "columns") {
		e := drawExpr(t, in.width)
		list, pb = append(list, e), append(pb, e.pb)
	}
	return drawnPlan{projectionOf(in.root, pb...), len(list), func(tables [][]cells) (out []cells) {
		for _, r := range in.rows(tables) {
			row := make(cells, len(list))
			for i, e := range list {
				row[i] = e.eval(r)
			}
			out = append(out, row)
		}
		return out
	}, in.ordered}
}

// drawGrouping counts, and takes the least and the greatest of a column, by up to two keys.
func drawGrouping(t *rapid.T, in drawnPlan) drawnPlan {
	arg := drawExpr(t, in.width)
	keys := make([]drawnExpr, rapid.IntRange(0, 2).Draw(t, "keys"))
	var pb []*tipb.Expr
	for i := range keys {
		keys[i] = drawExpr(t, in.width)
		pb = append(pb, keys[i].pb)
	}
	root := aggOf(in.root, pb, fn(tipb.ExprType_Count, bigint, arg.pb), fn(tipb.ExprType_Min, bigint, arg.pb), fn(tipb.ExprType_Max, bigint, arg.pb))
	return drawnPlan{root, 3 + len(keys), func(tables [][]cells) (out []cells) {
		at := map[string]int{}
		if len(keys) == 0 {
			at[""], out = 0, []cells{{intCell(0), nil, nil}}
		}
		for _, r := range in.rows(tables) {
			group := cells{}
			for _, k := range keys {
				group = append(group, k.eval(r))
			}
			i, known := at[group.String()]
			if !known {
				i = len(out)
				at[group.String()], out = i, append(out, append(cells{intCell(0), nil, nil}, group...))
			}
			aggregateCell(out[i], arg.eval(r))
		}
		return out
	}, false}
}

func aggregateCell(g cells, v cell) {
	if v == nil {
		return
	}
	*g[0]++
	if g[1] == nil || *v < *g[1] {
		g[1] = v
	}
	if g[2] == nil || *v > *g[2] {
		g[2] = v
	}
}

// everyColumn is an order that leaves no choice.
func everyColumn(width int, desc bool) (items []*tipb.ByItem) {
	for i := range width {
		items = append(items, by(desc, col(i, bigint)))
	}
	return items
}

func sortedRows(rows []cells, desc bool) []cells {
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b cells) int {
		if desc {
			return compareRows(b, a)
		}
		return compareRows(a, b)
	})
	return out
}

func drawTop(t *rapid.T, in drawnPlan) drawnPlan {
	n, desc := rapid.IntRange(0, 60).Draw(t, "rows"), rapid.Bool().Draw(t, "desc")
	root := topNOf(in.root, uint64(n), everyColumn(in.width, desc)...)
	if rapid.Bool().Draw(t, "sort and limit") {
		root = limitOf(sortOf(in.root, everyColumn(in.width, desc)...), uint64(n))
	}
	return drawnPlan{root, in.width, func(tables [][]cells) []cells {
		rows := sortedRows(in.rows(tables), desc)
		return rows[:min(n, len(rows))]
	}, true}
}

// numberedRows numbers the rows of each value of the first column and adds up how many there are up to each.
func numberedRows(in drawnPlan) drawnPlan {
	items := everyColumn(in.width, false)
	root := windowOf(sortOf(in.root, items...), items[:1], items[1:], nil, fn(tipb.ExprType_RowNumber, bigint), fn(tipb.ExprType_Count, bigint, intConst(1)))
	return drawnPlan{root, in.width + 2, func(tables [][]cells) (out []cells) {
		rows := sortedRows(in.rows(tables), false)
		for i, r := range rows {
			number, peers := int64(0), int64(0)
			for j, o := range rows {
				same := compareCells(o[0], r[0]) == 0
				number += boolInt(same && j <= i)
				peers += boolInt(same && compareRows(o, r) <= 0)
			}
			out = append(out, append(slices.Clone(r), intCell(number), intCell(peers)))
		}
		return out
	}, true}
}

// drawExpand gives each row twice, the second time with NULL in its first column.
func drawExpand(in drawnPlan) drawnPlan {
	var first, second []*tipb.Expr
	for i := range in.width {
		first, second = append(first, col(i, bigint)), append(second, col(i, bigint))
	}
	second[0] = nullOf(bigint)
	return drawnPlan{expandOf(in.root, first, second), in.width, func(tables [][]cells) (out []cells) {
		for _, r := range in.rows(tables) {
			second := slices.Clone(r)
			second[0] = nil
			out = append(out, r, second)
		}
		return out
	}, false}
}

func drawJoined(t *rapid.T, left, right drawnPlan) drawnPlan {
	l, r := rapid.IntRange(0, left.width-1).Draw(t, "left key"), rapid.IntRange(0, right.width-1).Draw(t, "right key")
	tp := rapid.SampledFrom([]tipb.JoinType{tipb.JoinType_TypeInnerJoin, tipb.JoinType_TypeLeftOuterJoin, tipb.JoinType_TypeRightOuterJoin,
		tipb.JoinType_TypeSemiJoin, tipb.JoinType_TypeAntiSemiJoin}).Draw(t, "join")
	root := &tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: &tipb.Join{JoinType: tp, InnerIdx: rapid.Int64Range(0, 1).Draw(t, "build"),
		LeftJoinKeys: exprs(col(l, bigint)), RightJoinKeys: exprs(col(r, bigint)), Children: []*tipb.Executor{left.root, right.root}}}
	width := left.width
	if tp <= tipb.JoinType_TypeRightOuterJoin {
		width += right.width
	}
	return drawnPlan{root, width, func(tables [][]cells) []cells {
		return nestedLoop(tp, left.rows(tables), right.rows(tables), l, r, left.width, right.width)
	}, false}
}

func nestedLoop(tp tipb.JoinType, left, right []cells, l, r, leftWidth, rightWidth int) (out []cells) {
	met := make([]bool, len(right))
	for _, a := range left {
		matched := false
		for j, b := range right {
			if a[l] == nil || b[r] == nil || *a[l] != *b[r] {
				continue
			}
			matched, met[j] = true, true
			if tp <= tipb.JoinType_TypeRightOuterJoin {
				out = append(out, slices.Concat(a, b))
			}
		}
		switch {
		case tp == tipb.JoinType_TypeLeftOuterJoin && !matched:
			out = append(out, append(slices.Clone(a), make(cells, rightWidth)...))
		case tp == tipb.JoinType_TypeSemiJoin && matched, tp == tipb.JoinType_TypeAntiSemiJoin && !matched:
			out = append(out, a)
		}
	}
	for j, b := range right {
		if tp == tipb.JoinType_TypeRightOuterJoin && !met[j] {
			out = append(out, append(make(cells, leftWidth), b...))
		}
	}
	return out
}

// drawTables draws three tables of three columns with few distinct values and NULLs among them.
func drawTables(t *rapid.T) (naive [][]cells, in []table) {
	value := rapid.Custom(func(t *rapid.T) cell {
		if v := rapid.Int64Range(-1, 8).Draw(t, "value"); v >= 0 {
			return intCell(v)
		}
		return nil
	})
	for range 3 {
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) cells {
			return cells{value.Draw(t, "a"), value.Draw(t, "b"), value.Draw(t, "c")}
		}), 0, 20).Draw(t, "rows")
		tb := tbl(types(bigint, bigint, bigint))
		for _, r := range rows {
			tb.rows = append(tb.rows, r.String())
		}
		naive, in = append(naive, rows), append(in, tb)
	}
	return naive, in
}

// Whatever the shape of batches, with little memory and files or without, with scans that decode late or not, whichever
// columns are looked at, once and again, plans give what the evaluator gives.
func TestPlansNaive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		naive, in := drawTables(rt)
		plan := drawRelation(rt, rapid.IntRange(1, 4).Draw(rt, "depth"))
		rows := plan.rows(naive)
		if len(rows) > 20_000 {
			rt.Skip("too many rows")
		}
		outputs := rapid.SliceOfNDistinct(rapid.Uint32Range(0, uint32(plan.width-1)), 1, plan.width, rapid.ID).Draw(rt, "outputs")
		want := make([]string, len(rows))
		for i, r := range rows {
			want[i] = picked(outputs, r.String())
		}
		late := rapid.Bool().Draw(rt, "late")
		env := testEnv()
		if rapid.Bool().Draw(rt, "files") {
			env.Memory, env.Spill = NewMemory(1<<20), spill.NewDir(&spill.MemFS{}, "/spill", 0)
		}
		s := rapid.SampledFrom(shapes).Draw(rt, "shape")
		for range 2 {
			op, err := BuildOutput(plan.root, outputs, func(scan *tipb.Executor) (Operator, error) {
				src := newSource(t, in[scan.TblScan.TableId], s)
				if late {
					return &lateSource{source: src}, nil
				}
				return src, nil
			}, env)
			require.NoError(rt, err)
			got, err := drain(t, op)
			require.NoError(rt, err)
			for i, r := range got {
				got[i] = picked(outputs, r)
			}
			require.NoError(rt, op.Close())
			if !plan.ordered {
				slices.Sort(got)
				slices.Sort(want)
			}
			require.Equal(rt, len(want), len(got), fmt.Sprint(plan.root))
			for i := range want {
				require.Equal(rt, want[i], got[i], fmt.Sprint(plan.root))
			}
		}
		require.Zero(rt, env.Memory.Used())
	})
}

// picked are the cells of a row at offsets.
func picked(offsets []uint32, row string) string {
	all := strings.Split(row, ",")
	out := make([]string, len(offsets))
	for i, at := range offsets {
		out[i] = all[at]
	}
	return strings.Join(out, ",")
}
