package executor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/executor/spill"
)

func windowOf(child *tipb.Executor, partition, order []*tipb.ByItem, frame *tipb.WindowFrame, funcs ...*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeWindow,
		Window: &tipb.Window{PartitionBy: partition, OrderBy: order, Frame: frame, FuncDesc: funcs, Child: child}}
}

func rowsBound(n int64) *tipb.WindowFrameBound {
	b := &tipb.WindowFrameBound{Type: tipb.WindowBoundType_CurrentRow}
	off := uint64(max(n, -n))
	switch {
	case n < 0:
		b.Type, b.Offset = tipb.WindowBoundType_Preceding, &off
	case n > 0:
		b.Type, b.Offset = tipb.WindowBoundType_Following, &off
	}
	return b
}

func unbounded(tp tipb.WindowBoundType) *tipb.WindowFrameBound {
	return &tipb.WindowFrameBound{Type: tp, Unbounded: true}
}

func rowsFrame(start, end *tipb.WindowFrameBound) *tipb.WindowFrame {
	return &tipb.WindowFrame{Type: tipb.WindowFrameType_Rows, Start: start, End: end}
}

func rangeFrame(start, end *tipb.WindowFrameBound) *tipb.WindowFrame {
	return &tipb.WindowFrame{Type: tipb.WindowFrameType_Ranges, Start: start, End: end}
}

// rangeBound is n before or after the current row's key.
func rangeBound(n int64, key *tipb.Expr) *tipb.WindowFrameBound {
	b := rowsBound(n)
	if n != 0 {
		b.Offset, b.FrameRange = nil, fnOf(tipb.ScalarFuncSig_PlusInt, key, intConst(n))
	}
	return b
}

func fnOf(sig tipb.ScalarFuncSig, args ...*tipb.Expr) *tipb.Expr { return call(sig, args...) }

var ranked = tbl(types(bigint, bigint, varchar),
	"1,10,a", "1,10,b", "1,20,c", "1,NULL,d", "2,5,e", "NULL,7,f", "NULL,7,g", "NULL,8,h")

func sortedRanked(child *tipb.Executor) (*tipb.Executor, []*tipb.ByItem, []*tipb.ByItem) {
	p, o := []*tipb.ByItem{by(false, col(0, bigint))}, []*tipb.ByItem{by(false, col(1, bigint))}
	return sortOf(child, p[0], o[0]), p, o
}

// The functions of a row's place.
func TestWindowRank(t *testing.T) {
	child, p, o := sortedRanked(leaf(0))
	run(t, windowOf(child, p, o, nil, fn(tipb.ExprType_RowNumber, bigint), fn(tipb.ExprType_Rank, bigint), fn(tipb.ExprType_DenseRank, bigint),
		fn(tipb.ExprType_PercentRank, double), fn(tipb.ExprType_CumeDist, double), fn(tipb.ExprType_Ntile, bigint, intConst(3))), testEnv, false, []string{
		"NULL,7,f,1,1,1,0,0.6666666666666666,1",
		"NULL,7,g,2,1,1,0,0.6666666666666666,2",
		"NULL,8,h,3,3,2,1,1,3",
		"1,NULL,d,1,1,1,0,0.25,1",
		"1,10,a,2,2,2,0.3333333333333333,0.75,1",
		"1,10,b,3,2,2,0.3333333333333333,0.75,2",
		"1,20,c,4,4,3,1,1,3",
		"2,5,e,1,1,1,0,1,1",
	}, ranked)
	run(t, windowOf(child, p, o, nil, fn(tipb.ExprType_RowNumber, ubigint)), testEnv, false, []string{
		"NULL,7,f,1", "NULL,7,g,2", "NULL,8,h,3", "1,NULL,d,1", "1,10,a,2", "1,10,b,3", "1,20,c,4", "2,5,e,1"}, ranked)
}

// The functions that give another row's value, and what they give where there is no such row.
func TestWindowValues(t *testing.T) {
	child, p, o := sortedRanked(leaf(0))
	text := col(2, varchar)
	run(t, windowOf(child, p, o, nil, fn(tipb.ExprType_Lead, varchar, text), fn(tipb.ExprType_Lag, varchar, text, intConst(2), strConst("-")),
		fn(tipb.ExprType_FirstValue, varchar, text), fn(tipb.ExprType_LastValue, varchar, text), fn(tipb.ExprType_NthValue, varchar, text, intConst(3))),
		testEnv, false, []string{
			"NULL,7,f,g,-,f,g,NULL",
			"NULL,7,g,h,-,f,g,NULL",
			"NULL,8,h,NULL,f,f,h,h",
			"1,NULL,d,a,-,d,d,NULL",
			"1,10,a,b,-,d,b,b",
			"1,10,b,c,d,d,b,b",
			"1,20,c,NULL,a,d,c,b",
			"2,5,e,NULL,-,e,e,NULL",
		}, ranked)
	run(t, windowOf(leaf(0), nil, nil, rowsFrame(rowsBound(-2), rowsBound(-1)), fn(tipb.ExprType_FirstValue, varchar, text),
		fn(tipb.ExprType_LastValue, varchar, text), fn(tipb.ExprType_NthValue, varchar, text, intConst(2))), testEnv, false, []string{
		"1,10,a,NULL,NULL,NULL", "1,10,b,a,a,NULL", "1,20,c,a,b,b", "1,NULL,d,b,c,c",
		"2,5,e,c,d,d", "NULL,7,f,d,e,e", "NULL,7,g,e,f,f", "NULL,8,h,f,g,g",
	}, ranked)
}

// Aggregates, RANGE frames with offsets, and NULL keys, which are their own frames.
func TestWindowAggregates(t *testing.T) {
	child, p, o := sortedRanked(leaf(0))
	key := col(1, bigint)
	count, sum, least := fn(tipb.ExprType_Count, bigint, intConst(1)), fn(tipb.ExprType_Sum, decimalType(41, 0), key), fn(tipb.ExprType_Min, varchar, col(2, varchar))
	run(t, windowOf(child, p, o, nil, count, sum, least), testEnv, false, []string{
		"NULL,7,f,2,14,f", "NULL,7,g,2,14,f", "NULL,8,h,3,22,f",
		"1,NULL,d,1,NULL,d", "1,10,a,3,20,a", "1,10,b,3,20,a", "1,20,c,4,40,a", "2,5,e,1,5,e"}, ranked)
	run(t, windowOf(child, p, o, rangeFrame(rangeBound(-1, key), rangeBound(9, key)), count, sum, least), testEnv, false, []string{
		"NULL,7,f,3,22,f", "NULL,7,g,3,22,f", "NULL,8,h,3,22,f",
		"1,NULL,d,1,NULL,d", "1,10,a,2,20,a", "1,10,b,2,20,a", "1,20,c,1,20,c", "2,5,e,1,5,e"}, ranked)
	run(t, windowOf(child, p, o, rangeFrame(unbounded(tipb.WindowBoundType_Preceding), rangeBound(-10, key)), count), testEnv, false, []string{
		"NULL,7,f,0", "NULL,7,g,0", "NULL,8,h,0",
		"1,NULL,d,1", "1,10,a,1", "1,10,b,1", "1,20,c,3", "2,5,e,0"}, ranked)
	run(t, windowOf(child, p, nil, nil, fn(tipb.ExprType_Avg, decimalType(24, 4), key)), testEnv, false, []string{
		"NULL,7,f,7.3333", "NULL,7,g,7.3333", "NULL,8,h,7.3333",
		"1,NULL,d,13.3333", "1,10,a,13.3333", "1,10,b,13.3333", "1,20,c,13.3333", "2,5,e,5.0000"}, ranked)
}

func TestWindowUnsupported(t *testing.T) {
	for name, w := range map[string]*tipb.Executor{
		"distinct":     windowOf(leaf(0), nil, nil, nil, distinct(fn(tipb.ExprType_Count, bigint, col(0, bigint)))),
		"concat":       windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_GroupConcat, varchar, col(2, varchar))),
		"ntile(0)":     windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_Ntile, bigint, intConst(0))),
		"ntile of":     windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_Ntile, bigint, col(0, bigint))),
		"lead(-1)":     windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_Lead, bigint, col(0, bigint), intConst(-1))),
		"no type":      windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_RowNumber, nil)),
		"rank as text": windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_Rank, varchar)),
		"lead as text": windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_Lead, varchar, col(0, bigint))),
		"no args":      windowOf(leaf(0), nil, nil, nil, fn(tipb.ExprType_FirstValue, varchar)),
		"key":          windowOf(leaf(0), []*tipb.ByItem{{}}, nil, nil, fn(tipb.ExprType_RowNumber, bigint)),
		"groups":       windowOf(leaf(0), nil, nil, &tipb.WindowFrame{Type: tipb.WindowFrameType_Groups}, fn(tipb.ExprType_Count, bigint, intConst(1))),
		"backwards": windowOf(leaf(0), nil, nil, rowsFrame(unbounded(tipb.WindowBoundType_Following), rowsBound(0)),
			fn(tipb.ExprType_Count, bigint, intConst(1))),
		"range":          windowOf(leaf(0), nil, nil, rangeFrame(rangeBound(-1, col(0, bigint)), nil), fn(tipb.ExprType_Count, bigint, intConst(1))),
		"no description": {Tp: tipb.ExecType_TypeWindow},
	} {
		_, err := Build(w, sourceLeaf(t, ranked), testEnv())
		require.Error(t, err, name)
	}
}

// windowCase is a random window over rows of a partition and a key, sorted by both, and a value.
type windowCase struct {
	rows       [][3]int64
	start, end int64 // ROWS or RANGE offsets; far is unbounded
	ranges     bool
}

const far = 1 << 40

func drawWindow(t *rapid.T, rowsMax int) *windowCase {
	c := &windowCase{ranges: rapid.Bool().Draw(t, "ranges")}
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 7))
	parts, keys := rapid.SampledFrom([]int64{1, 3, 500}).Draw(t, "parts"), rapid.SampledFrom([]int64{1, 4, 3000}).Draw(t, "keys")
	for range rapid.IntRange(0, rowsMax).Draw(t, "rows") {
		c.rows = append(c.rows, [3]int64{rng.Int64N(parts), rng.Int64N(keys), rng.Int64N(1000)})
	}
	slices.SortFunc(c.rows, func(a, b [3]int64) int { return slices.Compare(a[:], b[:]) })
	bounds := []int64{-far, -2000, -60, -3, -1, 0, 1, 5, 70, far}
	c.start = rapid.SampledFrom(bounds[:len(bounds)-1]).Draw(t, "start")
	c.end = rapid.SampledFrom(bounds[1:]).Draw(t, "end")
	return c
}

func (c *windowCase) plan(child *tipb.Executor) *tipb.Executor {
	p, o := []*tipb.ByItem{by(false, col(0, bigint))}, []*tipb.ByItem{by(false, col(1, bigint))}
	bound := func(n int64) *tipb.WindowFrameBound {
		switch {
		case n == far:
			return unbounded(tipb.WindowBoundType_Following)
		case n == -far:
			return unbounded(tipb.WindowBoundType_Preceding)
		case c.ranges:
			return rangeBound(n, col(1, bigint))
		}
		return rowsBound(n)
	}
	frame := rowsFrame(bound(c.start), bound(c.end))
	if c.ranges {
		frame.Type = tipb.WindowFrameType_Ranges
	}
	v := col(2, bigint)
	return windowOf(child, p, o, frame, fn(tipb.ExprType_RowNumber, bigint), fn(tipb.ExprType_CumeDist, double), fn(tipb.ExprType_Lag, bigint, v, intConst(9), intConst(-1)),
		fn(tipb.ExprType_Lead, bigint, v, intConst(700)), fn(tipb.ExprType_FirstValue, bigint, v), fn(tipb.ExprType_LastValue, bigint, v), fn(tipb.ExprType_NthValue, bigint, v, intConst(4)),
		fn(tipb.ExprType_Count, bigint, v), fn(tipb.ExprType_Sum, decimalType(41, 0), v), fn(tipb.ExprType_Max, bigint, v))
}

// naive computes the same row by row.
func (c *windowCase) naive() []string {
	var out []string
	for i, r := range c.rows {
		from, to := i, i
		for from > 0 && c.rows[from-1][0] == r[0] {
			from--
		}
		for to < len(c.rows) && c.rows[to][0] == r[0] {
			to++
		}
		out = append(out, c.row(i, from, to))
	}
	return out
}

// row is the result of row i of the partition [from, to).
func (c *windowCase) row(i, from, to int) string {
	r, peers := c.rows[i], 0
	var frame []int64
	for j := from; j < to; j++ {
		if c.rows[j][1] <= r[1] {
			peers++
		}
		at := int64(j - i)
		if c.ranges {
			at = c.rows[j][1] - r[1]
		}
		if at >= c.start && at <= c.end {
			frame = append(frame, c.rows[j][2])
		}
	}
	cell := func(ok bool, v func() int64) string {
		if !ok {
			return "NULL"
		}
		return strconv.FormatInt(v(), 10)
	}
	lag := "-1"
	if i-9 >= from {
		lag = strconv.FormatInt(c.rows[i-9][2], 10)
	}
	sum := func() (s int64) {
		for _, v := range frame {
			s += v
		}
		return s
	}
	n := len(frame)
	return strings.Join([]string{fmt.Sprint(r[0]), fmt.Sprint(r[1]), fmt.Sprint(r[2]), fmt.Sprint(i - from + 1),
		strconv.FormatFloat(float64(peers)/float64(to-from), 'g', -1, 64), lag, cell(i+700 < to, func() int64 { return c.rows[i+700][2] }),
		cell(n > 0, func() int64 { return frame[0] }), cell(n > 0, func() int64 { return frame[n-1] }), cell(n > 3, func() int64 { return frame[3] }),
		fmt.Sprint(n), cell(n > 0, sum), cell(n > 0, func() int64 { return slices.Max(frame) })}, ",")
}

func (c *windowCase) table() table {
	in := tbl(types(bigint, bigint, bigint))
	for _, r := range c.rows {
		in.rows = append(in.rows, fmt.Sprintf("%d,%d,%d", r[0], r[1], r[2]))
	}
	return in
}

// Random windows give what an evaluation row by row gives, in every shape of batches.
func TestWindowNaive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := drawWindow(rt, 100)
		run(t, c.plan(leaf(0)), testEnv, false, c.naive(), c.table())
	})
}

// Large partitions, whose frames have folds, with and without files.
func TestWindowLarge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := drawWindow(rt, 2500)
		want := c.naive()
		env := testEnv()
		if fs := (&spill.MemFS{}); rapid.Bool().Draw(rt, "files") {
			env.Memory, env.Spill = NewMemory(100_000), spill.NewDir(fs, "/spill", 0)
			defer func() { require.Zero(rt, fs.Len(), "files are left") }()
		}
		src := newSource(t, c.table(), shape{rapid.SampledFrom([]int{100, 1024}).Draw(rt, "batch"), false})
		op, err := Build(c.plan(leaf(0)), func(*tipb.Executor) (Operator, error) { return src, nil }, env)
		require.NoError(rt, err)
		got, err := drain(t, op)
		require.NoError(rt, err)
		require.Equal(rt, want, got)
		require.NoError(rt, op.Close())
		require.Zero(rt, env.Memory.Used())
	})
}

// A running total holds little more than a batch of an endless partition.
func TestWindowStreams(t *testing.T) {
	in := randomTable(1, 50_000, 1_000)
	env := testEnv()
	env.Memory = NewMemory(100_000)
	root := windowOf(leaf(0), nil, []*tipb.ByItem{by(false, col(4, bigint))}, nil, fn(tipb.ExprType_RowNumber, bigint),
		fn(tipb.ExprType_Sum, decimalType(41, 0), col(4, bigint)), fn(tipb.ExprType_FirstValue, bigint, col(4, bigint)),
		fn(tipb.ExprType_Lag, bigint, col(4, bigint), intConst(10)))
	rows, err := rowsUnder(t, env, root, in)
	require.NoError(t, err)
	require.Len(t, rows, 50_000)
	require.True(t, strings.HasSuffix(rows[49_999], ",49999,50000,1249975000,0,49989"), rows[49_999])
}
