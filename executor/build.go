package executor

import (
	"errors"
	"fmt"

	"github.com/pingcap/tipb/go-tipb"
)

// maxExecutors bounds the executors of a plan, and so its depth.
const maxExecutors = 100

// FlagWholePlans, in the flags of a DAG, tells a store that its client plans with all operators of Build, also with those that
// TiKV does not have: joins, sorts, windows and expansions. Without it a store refuses these, as TiKV does.
const FlagWholePlans uint64 = 1 << 32

// Build assembles the operator tree of root, whose children hang on the executors' Child and Children fields. leaf makes
// the operator of a scan (or of any executor Build does not know a constructor for: exchange receivers and such). The
// operator closes what leaf gave. What no operator can do is an *UnsupportedError or *expr.UnsupportedError.
func Build(root *tipb.Executor, leaf func(scan *tipb.Executor) (Operator, error), env *Env) (Operator, error) {
	b := builder{leaf: leaf, env: env}
	return b.build(root, neededColumns{})
}

// BuildOutput is Build for a caller that looks at the columns offsets of the root's batches only: others may have anything
// in them.
func BuildOutput(root *tipb.Executor, offsets []uint32, leaf func(scan *tipb.Executor) (Operator, error), env *Env) (Operator, error) {
	b := builder{leaf: leaf, env: env}
	return b.build(root, neededOutputs(offsets))
}

type builder struct {
	leaf  func(scan *tipb.Executor) (Operator, error)
	env   *Env
	count int
}

func (b *builder) build(e *tipb.Executor, need neededColumns) (Operator, error) {
	if e == nil {
		return nil, errors.New("executor: a plan with a missing child")
	}
	if b.count++; b.count > maxExecutors {
		return nil, fmt.Errorf("executor: a plan of more than %d executors", maxExecutors)
	}
	make := constructors[e.Tp]
	if make == nil {
		op, err := b.leaf(e)
		if err != nil {
			return nil, err
		}
		return b.env.Stats.observe(e, op), nil
	}
	inputs, err := b.buildInputs(e, need)
	if err != nil {
		return nil, err
	}
	op, err := make(e, inputs, b.env)
	if err != nil {
		return nil, errors.Join(err, closeAll(inputs))
	}
	if j, ok := op.(*hashJoin); ok {
		j.output.need = need
	}
	return b.env.Stats.observe(e, op), nil
}

func (b *builder) buildInputs(e *tipb.Executor, need neededColumns) ([]Operator, error) {
	kids := Children(e)
	if e.Tp == tipb.ExecType_TypeJoin {
		return b.buildSides(e.GetJoin(), kids[0], kids[1], need)
	}
	op, err := b.build(kids[0], need.below(e))
	return []Operator{op}, err
}

// buildSides builds the inputs of a join.
func (b *builder) buildSides(d *tipb.Join, left, right *tipb.Executor, need neededColumns) ([]Operator, error) {
	need = need.with(d.GetOtherConditions(), d.GetOtherEqConditionsFromIn())
	l, err := b.build(left, need.with(d.GetLeftJoinKeys(), d.GetLeftConditions()))
	if err != nil {
		return nil, err
	}
	r, err := b.build(right, need.from(len(l.Fields())).with(d.GetRightJoinKeys(), d.GetRightConditions()))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return []Operator{l, r}, nil
}

func closeAll(ops []Operator) error {
	var errs []error
	for _, op := range ops {
		errs = append(errs, op.Close())
	}
	return errors.Join(errs...)
}

// constructors make the operators that Build knows; inputs are as many as Children gives.
var constructors = map[tipb.ExecType]func(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error){
	tipb.ExecType_TypeSelection:   newSelection,
	tipb.ExecType_TypeProjection:  newProjection,
	tipb.ExecType_TypeAggregation: newAggregation,
	tipb.ExecType_TypeStreamAgg:   newStreamAggregation,
	tipb.ExecType_TypeTopN:        newTopN,
	tipb.ExecType_TypeSort:        newSort,
	tipb.ExecType_TypeLimit:       newLimit,
	tipb.ExecType_TypeJoin:        newJoin,
	tipb.ExecType_TypeWindow:      newWindow,
	tipb.ExecType_TypeExpand2:     newExpand,
}

// Children are the executors that e reads from: one, or, of a join, two, or, of an IndexLookUp, the index and the table.
func Children(e *tipb.Executor) []*tipb.Executor {
	switch e.Tp {
	case tipb.ExecType_TypeSelection:
		return []*tipb.Executor{e.GetSelection().GetChild()}
	case tipb.ExecType_TypeProjection:
		return []*tipb.Executor{e.GetProjection().GetChild()}
	case tipb.ExecType_TypeAggregation, tipb.ExecType_TypeStreamAgg:
		return []*tipb.Executor{e.GetAggregation().GetChild()}
	case tipb.ExecType_TypeTopN:
		return []*tipb.Executor{e.GetTopN().GetChild()}
	case tipb.ExecType_TypeSort:
		return []*tipb.Executor{e.GetSort().GetChild()}
	case tipb.ExecType_TypeLimit:
		return []*tipb.Executor{e.GetLimit().GetChild()}
	case tipb.ExecType_TypeWindow:
		return []*tipb.Executor{e.GetWindow().GetChild()}
	case tipb.ExecType_TypeExpand2:
		return []*tipb.Executor{e.GetExpand2().GetChild()}
	case tipb.ExecType_TypeJoin:
		if kids := e.GetJoin().GetChildren(); len(kids) == 2 {
			return kids
		}
		return []*tipb.Executor{nil, nil}
	case tipb.ExecType_TypeIndexLookUp:
		if kids := e.GetIndexLookup().GetChildren(); len(kids) == 2 {
			return kids
		}
		return []*tipb.Executor{nil, nil}
	default:
		return nil
	}
}

// PostOrder lists the executors of a tree, children before parents: the order of a DAG's list, and of its execution
// summaries.
func PostOrder(root *tipb.Executor) []*tipb.Executor {
	var list []*tipb.Executor
	for _, kid := range Children(root) {
		if kid != nil {
			list = append(list, PostOrder(kid)...)
		}
	}
	return append(list, root)
}

// Tree turns the list form of a DAG (leaf first, root last, or post order with parent_idx) into the tree that Build
// wants. The list is bounded to 100 executors; the result shares the executors, with Child set on shallow copies, which
// PostOrder gives back in the order of the list.
func Tree(list []*tipb.Executor) (*tipb.Executor, error) {
	if len(list) == 0 || len(list) > maxExecutors {
		return nil, fmt.Errorf("executor: a list of %d executors", len(list))
	}
	kids := make([][]*tipb.Executor, len(list))
	for i, e := range list {
		if e == nil {
			return nil, fmt.Errorf("executor: executor %d is missing", i)
		}
		tree, err := adopt(e, kids[i])
		if err != nil {
			return nil, fmt.Errorf("executor %d: %w", i, err)
		}
		parent := i + 1
		if e.ParentIdx != nil {
			parent = int(*e.ParentIdx)
		}
		switch {
		case i == len(list)-1:
			return tree, nil
		case parent <= i || parent >= len(list):
			return nil, fmt.Errorf("executor: executor %d of %d with parent %d", i, len(list), parent)
		}
		kids[parent] = append(kids[parent], tree)
	}
	return nil, errors.New("executor: a list without a root") // not reached: the last one returns
}

// adopt returns a copy of e with the given children. An executor that has its own already keeps them.
func adopt(e *tipb.Executor, kids []*tipb.Executor) (*tipb.Executor, error) {
	want := Children(e)
	if len(kids) == 0 && (len(want) == 0 || want[0] != nil) {
		return e, nil
	}
	if len(kids) != len(want) {
		return nil, fmt.Errorf("executor: %s with %d children", e.Tp, len(kids))
	}
	c := *e
	var missing bool
	switch e.Tp {
	case tipb.ExecType_TypeSelection:
		missing = !setChild(&c.Selection, func(x *tipb.Selection) { x.Child = kids[0] })
	case tipb.ExecType_TypeProjection:
		missing = !setChild(&c.Projection, func(x *tipb.Projection) { x.Child = kids[0] })
	case tipb.ExecType_TypeAggregation, tipb.ExecType_TypeStreamAgg:
		missing = !setChild(&c.Aggregation, func(x *tipb.Aggregation) { x.Child = kids[0] })
	case tipb.ExecType_TypeTopN:
		missing = !setChild(&c.TopN, func(x *tipb.TopN) { x.Child = kids[0] })
	case tipb.ExecType_TypeSort:
		missing = !setChild(&c.Sort, func(x *tipb.Sort) { x.Child = kids[0] })
	case tipb.ExecType_TypeLimit:
		missing = !setChild(&c.Limit, func(x *tipb.Limit) { x.Child = kids[0] })
	case tipb.ExecType_TypeWindow:
		missing = !setChild(&c.Window, func(x *tipb.Window) { x.Child = kids[0] })
	case tipb.ExecType_TypeExpand2:
		missing = !setChild(&c.Expand2, func(x *tipb.Expand2) { x.Child = kids[0] })
	case tipb.ExecType_TypeIndexLookUp:
		missing = !setChild(&c.IndexLookup, func(x *tipb.IndexLookUp) { x.Children = kids })
	case tipb.ExecType_TypeJoin:
		missing = !setChild(&c.Join, func(x *tipb.Join) { x.Children = kids })
	}
	if missing {
		return nil, fmt.Errorf("executor: %s without its description", e.Tp)
	}
	return &c, nil
}

// setChild replaces *p by a shallow copy that set has changed.
func setChild[T any](p **T, set func(*T)) bool {
	if *p == nil {
		return false
	}
	c := **p
	set(&c)
	*p = &c
	return true
}
