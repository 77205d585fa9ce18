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
	n.choice, n.open, n.taken = resize(n.choice, in.n), resize(n.open, in.len()), resize(n.taken, in.len())
	for j := range in.len() {
		n.open[j] = int32(in.at(j))
		n.choice[n.open[j]] = -1
	}
	open := n.open
	for k := range n.branches {
		if len(open) == 0 {
			break
		}
		var err error
		if open, err = n.take(in, k, open); err != nil {
			return nil, err
		}
	}
	return n.assemble(in)
}

// take gives rows of open to branch k and returns those that remain, in open's memory.
func (n *choiceNode) take(in *input, k int, open []int32) ([]int32, error) {
	b := &n.branches[k]
	taken := open
	if b.when != nil {
		var err error
		if taken, err = b.when.rows(in.on(open), n.taken[:len(open)]); err != nil || len(taken) == 0 {
			return open, err
		}
	}
	v, err := b.value.eval(in.on(taken))
	if err != nil {
		return nil, err
	}
	b.got = v
	if b.notNull && v.valid != nil {
		taken = n.taken[:len(open)]
		m := 0
		for _, i := range open {
			taken[m] = i
			m += int(b2i(!v.null(int(i))))
		}
		taken = taken[:m]
	}
	for _, i := range taken {
		n.choice[i] = int32(k)
	}
	return appendOthers(open[:0], rowset{sel: open, n: in.n}, taken), nil
}

// assemble copies every row from its branch.
func (n *choiceNode) assemble(in *input) (*vec, error) {
	n.out.reset(column.KindOf(n.ft), in.n)
	for j := range in.len() {
		i := in.at(j)
		if k := n.choice[i]; k < 0 {
			n.out.setNull(i)
		} else if got := n.branches[k].got; !n.out.copyRow(i, got) {
			return nil, outOfRange("DECIMAL", "%s", got.dec(i))
		}
		if len(n.out.data) > maxBatchBytes {
			return nil, tooLarge()
		}
	}
	n.out.finish(in.n)
	return &n.out, nil
}
