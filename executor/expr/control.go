package expr

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// controlFunctions choose one of their arguments row by row. Every argument is evaluated only on the rows that need it.
func controlFunctions() functions {
	out := functions{}
	add := func(letter string, ifNull, ifSig, caseWhen, coalesce tipb.ScalarFuncSig) {
		out[ifNull] = function{spec: letter + letter + ":" + letter, build: buildCoalesce}
		out[ifSig] = function{spec: "i" + letter + letter + ":" + letter, build: buildCase}
		out[coalesce] = function{spec: letter + "*:" + letter, build: buildCoalesce}
		// WHEN and THEN alternate, which a spec cannot say: buildCase looks itself.
		out[caseWhen] = function{spec: "x*:" + letter, build: buildCase}
	}
	add("i", tipb.ScalarFuncSig_IfNullInt, tipb.ScalarFuncSig_IfInt, tipb.ScalarFuncSig_CaseWhenInt, tipb.ScalarFuncSig_CoalesceInt)
	add("r", tipb.ScalarFuncSig_IfNullReal, tipb.ScalarFuncSig_IfReal, tipb.ScalarFuncSig_CaseWhenReal, tipb.ScalarFuncSig_CoalesceReal)
	add("d", tipb.ScalarFuncSig_IfNullDecimal, tipb.ScalarFuncSig_IfDecimal, tipb.ScalarFuncSig_CaseWhenDecimal, tipb.ScalarFuncSig_CoalesceDecimal)
	add("s", tipb.ScalarFuncSig_IfNullString, tipb.ScalarFuncSig_IfString, tipb.ScalarFuncSig_CaseWhenString, tipb.ScalarFuncSig_CoalesceString)
	add("t", tipb.ScalarFuncSig_IfNullTime, tipb.ScalarFuncSig_IfTime, tipb.ScalarFuncSig_CaseWhenTime, tipb.ScalarFuncSig_CoalesceTime)
	add("u", tipb.ScalarFuncSig_IfNullDuration, tipb.ScalarFuncSig_IfDuration, tipb.ScalarFuncSig_CaseWhenDuration, tipb.ScalarFuncSig_CoalesceDuration)
	add("j", tipb.ScalarFuncSig_IfNullJson, tipb.ScalarFuncSig_IfJson, tipb.ScalarFuncSig_CaseWhenJson, tipb.ScalarFuncSig_CoalesceJson)
	return out
}

// choiceNode is CASE, IF, IFNULL and COALESCE: a list of branches, each taken by the rows still open for which its
// condition is true. A branch without condition takes rows by its own value being not NULL (COALESCE) or takes all that
// are left (ELSE). Rows that no branch takes are NULL.
type choiceNode struct {
	ft       *tipb.FieldType
	branches []branch
	out      vec
	choice   []int32 // for each row its branch, or -1
	open     []int32
	taken    []int32
}

type branch struct {
	when    *condition // nil: see otherwise
	value   node
	notNull bool // without condition: take the rows where value is not NULL
	got     *vec
}

// buildCase makes CASE WHEN c1 THEN v1 ... [ELSE v] and IF(c, v, else).
func buildCase(s *callSite) (node, error) {
	n := &choiceNode{ft: s.expr.FieldType}
	want := s.fn.result()
	for k := 0; k < len(s.args); k += 2 {
		b := branch{value: s.args[k]}
		if k+1 < len(s.args) {
			cond, err := coerce(s.args[k], etInt)
			if err != nil {
				return nil, err
			}
			c := newCondition(cond)
			b.when, b.value = &c, s.args[k+1]
		}
		var err error
		if b.value, err = coerce(b.value, want); err != nil {
			return nil, err
		}
		n.branches = append(n.branches, b)
	}
	return n.init(), nil
}

// buildCoalesce makes COALESCE and IFNULL.
func buildCoalesce(s *callSite) (node, error) {
	n := &choiceNode{ft: s.expr.FieldType}
	for _, a := range s.args {
		n.branches = append(n.branches, branch{value: a, notNull: true})
	}
	return n.init(), nil
}

func (n *choiceNode) init() *choiceNode {
	n.out.scale = scaleOf(n.ft)
	return n
}

func (n *choiceNode) typ() *tipb.FieldType { return n.ft }

func (n *choiceNode) eval(in *input) (*vec, error) {
	n.open, n.taken = resize(n.open, in.len()), resize(n.taken, in.len())
	for j := range in.len() {
		n.open[j] = int32(in.at(j))
	}
	n.out.reset(column.KindOf(n.ft), in.n)
	n.choice = n.choice[:0]
	if n.out.kind == column.Bytes {
		n.choice = resize(n.choice, in.n)
	}
	open := n.open
	for k := range n.branches {
		if len(open) == 0 {
			break
		}
		taken, err := n.take(in, k, open)
		if err != nil {
			return nil, err
		}
		if err := n.fill(k, taken); err != nil {
			return nil, err
		}
		open = appendOthers(open[:0], rowset{sel: open, n: in.n}, taken)
	}
	return &n.out, n.settle(in, open)
}

// take evaluates branch k and returns the rows of open that it takes.
func (n *choiceNode) take(in *input, k int, open []int32) (taken []int32, err error) {
	b := &n.branches[k]
	taken = open
	if b.when != nil {
		if taken, err = b.when.rows(in.on(open), n.taken[:len(open)]); err != nil || len(taken) == 0 {
			return taken, err
		}
	}
	if b.got, err = b.value.eval(in.on(taken)); err != nil {
		return nil, err
	}
	if b.notNull && b.got.valid != nil {
		m := 0
		for _, i := range open {
			n.taken[m] = i
			m += int(b2i(!b.got.null(int(i))))
		}
		taken = n.taken[:m]
	}
	return taken, nil
}

// fill copies the rows that branch k has taken. Strings must be written in row order: they only note the branch.
func (n *choiceNode) fill(k int, taken []int32) error {
	if n.out.kind == column.Bytes {
		for _, i := range taken {
			n.choice[i] = int32(k)
		}
		return nil
	}
	if len(taken) == 0 {
		return nil
	}
	return n.out.copyRows(taken, n.branches[k].got)
}

// settle makes the rows left open NULL, and puts the strings in their order.
func (n *choiceNode) settle(in *input, open []int32) error {
	if n.out.kind != column.Bytes {
		for _, i := range open {
			n.out.setNull(int(i))
		}
		return nil
	}
	for _, i := range open {
		n.choice[i] = -1
	}
	for j := range in.len() {
		i := in.at(j)
		if k := n.choice[i]; k < 0 {
			n.out.setNull(i)
		} else {
			n.out.copyRow(i, n.branches[k].got)
		}
		if len(n.out.data) > maxBatchBytes {
			return tooLarge()
		}
	}
	n.out.finish(in.n)
	return nil
}
