package executor

import (
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
)

func expandOf(child *tipb.Executor, levels ...[]*tipb.Expr) *tipb.Executor {
	x := &tipb.Expand2{Child: child}
	for _, l := range levels {
		x.ProjExprs = append(x.ProjExprs, &tipb.ExprSlice{Exprs: l})
	}
	return &tipb.Executor{Tp: tipb.ExecType_TypeExpand2, Expand2: x}
}

func nullOf(ft *tipb.FieldType) *tipb.Expr { return &tipb.Expr{Tp: tipb.ExprType_Null, FieldType: ft} }

// Each row comes once a level; a grouping of that is a rollup.
func TestExpand(t *testing.T) {
	in := tbl(types(varchar, bigint), "a,1", "a,2", "b,NULL")
	k, v := col(0, varchar), col(1, bigint)
	root := aggOf(expandOf(leaf(0), exprs(k, v, intConst(0)), exprs(nullOf(varchar), v, intConst(1))),
		exprs(col(0, varchar), col(2, bigint)), fn(tipb.ExprType_Sum, decimalType(41, 0), col(1, bigint)))
	run(t, root, testEnv, true, []string{"3,a,0", "NULL,b,0", "3,NULL,1"}, in)
}

func TestExpandUnsupported(t *testing.T) {
	in := tbl(types(varchar, bigint))
	for name, root := range map[string]*tipb.Executor{
		"no levels":     expandOf(leaf(0)),
		"many levels":   expandOf(leaf(0), make([][]*tipb.Expr, levelsMax+1)...),
		"other columns": expandOf(leaf(0), exprs(col(0, varchar)), nil),
		"other types":   expandOf(leaf(0), exprs(col(0, varchar)), exprs(col(1, bigint))),
		"nothing":       {Tp: tipb.ExecType_TypeExpand2, Expand2: &tipb.Expand2{Child: leaf(0), ProjExprs: []*tipb.ExprSlice{nil}}},
	} {
		op, err := Build(root, sourceLeaf(t, in), testEnv())
		if name == "nothing" { // rows without columns
			require.NoError(t, err)
			require.Empty(t, op.Fields())
			continue
		}
		require.Error(t, err, name)
	}
}
