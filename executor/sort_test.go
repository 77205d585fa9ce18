package executor

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

func by(desc bool, e *tipb.Expr) *tipb.ByItem { return &tipb.ByItem{Expr: e, Desc: desc} }

func sortOf(child *tipb.Executor, items ...*tipb.ByItem) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeSort, Sort: &tipb.Sort{ByItems: items, Child: child}}
}

func topNOf(child *tipb.Executor, n uint64, items ...*tipb.ByItem) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeTopN, TopN: &tipb.TopN{OrderBy: items, Limit: n, Child: child}}
}

// NULLs come first ascending and last descending; strings follow their collation; ties keep the order of arrival.
func TestSort(t *testing.T) {
	wide := decimalType(40, 3)
	in := tbl(types(bigint, folded, wide, double),
		"3,b,1.5,-0",
		"NULL,A,-1e30,1",
		"3,a,NULL,0",
		"-9223372036854775808,longer than eight,1e30,-2",
		"NULL,longer than Eight bytes,2,NULL",
		"3,B,1.499,3",
	)
	for _, c := range []struct {
		items []*tipb.ByItem
		want  []int
	}{
		{[]*tipb.ByItem{by(false, col(0, bigint))}, []int{1, 4, 3, 0, 2, 5}},
		{[]*tipb.ByItem{by(true, col(0, bigint))}, []int{0, 2, 5, 3, 1, 4}},
		{[]*tipb.ByItem{by(false, col(1, folded))}, []int{1, 2, 0, 5, 3, 4}},
		{[]*tipb.ByItem{by(false, col(0, bigint)), by(true, col(1, folded))}, []int{4, 1, 3, 0, 5, 2}},
		{[]*tipb.ByItem{by(false, col(2, wide))}, []int{2, 1, 5, 0, 4, 3}},
		{[]*tipb.ByItem{by(true, col(3, double)), by(false, col(1, folded))}, []int{5, 1, 2, 0, 3, 4}},
	} {
		var want []string
		for _, i := range c.want {
			want = append(want, formatInput(t, in, i))
		}
		run(t, sortOf(leaf(0), c.items...), testEnv, false, want, in)
		run(t, topNOf(leaf(0), 4, c.items...), testEnv, false, want[:4], in)
		run(t, topNOf(leaf(0), 100, c.items...), testEnv, false, want, in)
	}
	run(t, topNOf(leaf(0), 0, by(false, col(0, bigint))), testEnv, false, nil, in)
}

// formatInput is row i as results show it.
func formatInput(t *testing.T, in table, i int) string {
	src := newSource(t, tbl(in.fields, in.rows[i]), shape{1, false})
	rows, err := drain(t, src)
	require.NoError(t, err)
	return rows[0]
}

// Large inputs, which take the radix path and cut TopN's buffer, against the standard library.
func TestSortLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fields := types(bigint, varchar)
	type pair struct {
		n int64
		s string
	}
	pairs := make([]pair, 6000)
	rows := make([]string, len(pairs))
	for i := range pairs {
		pairs[i] = pair{rng.Int64N(300) - 150, fmt.Sprintf("prefixed%04d", rng.IntN(500))}
		rows[i] = fmt.Sprintf("%d,%s", pairs[i].n, pairs[i].s)
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.s, b.s))
	})
	want := make([]string, len(pairs))
	for i, p := range pairs {
		want[i] = fmt.Sprintf("%d,%s", p.n, p.s)
	}
	items := []*tipb.ByItem{by(true, col(0, bigint)), by(false, col(1, varchar))}
	run(t, sortOf(leaf(0), items...), testEnv, false, want, tbl(fields, rows...))
	run(t, topNOf(leaf(0), 10, items...), testEnv, false, want[:10], tbl(fields, rows...))
	run(t, topNOf(leaf(0), 2000, items...), testEnv, false, want[:2000], tbl(fields, rows...))
}

func TestSortMemory(t *testing.T) {
	rows := slices.Repeat([]string{"1"}, 5000)
	env := testEnv()
	env.Memory = NewMemory(100_000)
	op, err := Build(sortOf(leaf(0), by(false, col(0, bigint))), sourceLeaf(t, tbl(types(bigint), rows...)), env)
	require.NoError(t, err)
	_, err = drain(t, op)
	var quota *value.Error
	require.ErrorAs(t, err, &quota)
	require.EqualValues(t, value.CodeMemoryQuota, quota.Code)
	require.NoError(t, op.Close())
	require.Zero(t, env.Memory.Used())
}

func TestSortUnsupported(t *testing.T) {
	odd := &tipb.FieldType{Tp: column.TypeVarchar, Collate: -9999}
	_, err := Build(sortOf(leaf(0), by(false, col(0, odd))), sourceLeaf(t, tbl(types(odd))), testEnv())
	require.Error(t, err)
	_, err = Build(sortOf(leaf(0), &tipb.ByItem{}), sourceLeaf(t, tbl(types(odd))), testEnv())
	require.ErrorContains(t, err, "not supported")
}

// JSON values sort as MySQL compares them: numbers as numbers, before strings.
func TestSortJSON(t *testing.T) {
	json := &tipb.FieldType{Tp: column.TypeJSON}
	b := column.NewBuilder(json, 0)
	for _, text := range []string{`"a"`, `10`, `9.5`, `[1]`, `"B"`} {
		v, err := value.ParseJSON([]byte(text))
		require.NoError(t, err)
		b.AppendBytes(v)
	}
	b.AppendNull()
	op, err := Build(sortOf(leaf(0), by(false, col(0, json))), func(*tipb.Executor) (Operator, error) {
		return NewValues(types(json), Batch{Cols: []arrow.Array{b.Detach()}, Rows: 6}), nil
	}, testEnv())
	require.NoError(t, err)
	rows, err := drain(t, op)
	require.NoError(t, err)
	require.Equal(t, []string{"NULL", "9.5", "10", `"B"`, `"a"`, "[1]"}, rows)
}

// The first rows of each partition: of the order with TopN, of arrival with Limit.
func TestPartitions(t *testing.T) {
	in := tbl(types(bigint, varchar), "1,c", "1,a", "1,b", "NULL,z", "NULL,y", "2,x", "3,q", "3,p", "3,r")
	byKey := []*tipb.ByItem{by(false, col(0, bigint))}
	top := topNOf(leaf(0), 2, by(true, col(1, varchar)))
	top.TopN.PartitionBy = byKey
	run(t, top, testEnv, false, []string{"NULL,z", "NULL,y", "1,c", "1,b", "2,x", "3,r", "3,q"}, in)
	first := limitOf(leaf(0), 2)
	first.Limit.PartitionBy = byKey
	run(t, first, testEnv, false, []string{"1,c", "1,a", "NULL,z", "NULL,y", "2,x", "3,q", "3,p"}, in)
	first.Limit.Limit = 0
	run(t, first, testEnv, false, nil, in)
}
