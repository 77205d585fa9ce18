package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// hashJoin joins its children on equal keys. The build side (tipb.Join.inner_idx) is read whole and put into a hash table;
// then each batch of the other, the probe side, meets it. Rows with a NULL key match nothing. Without keys every row of
// one side meets every row of the other.
//
//	inner                       pairs
//	left, right outer           pairs, and the rows of that side that are in no pair, the other side NULL
//	semi, anti                  rows of the left side that are in some pair, or none
//	left outer semi             every row of the left side with a column that tells whether it is in some pair
//	anti left outer semi        the same, negated
//
// Either side may be the build side. Candidates are pairs with equal keys; other conditions, which see the columns of both
// sides, decide which candidates are pairs. Conditions over one side drop its rows before the join where an unmatched row
// is of no use, and else make the row one that matches nothing.
//
// "x IN (subquery)" is NULL, not false, where nothing is equal but something is unknown. Two ways lead there: a null-aware
// join, whose one key is NULL on one side; and equality conditions from an IN that evaluate to NULL for a candidate.
//
// A build side that does not fit in memory sends both sides to files, see joinSplit.
type hashJoin struct {
	kind      joinKind
	left      Operator
	right     Operator
	fields    []*tipb.FieldType
	buildLeft bool
	nullAware bool

	build *buildSide
	probe *probeSide
	cond  *pairConditions

	split *joinSplit // what is in files; nil: none can be
	built bool
	// state of the left side's rows for the kinds that put out left rows: of the probe side's batch, or of the whole build
	// side; for outer joins that of the rows of the side that is put out whole.
	state  []rowState
	tail   int // the next build row to look at, once the probe side is done
	done   bool
	output joinOutput
	account
}

// joinKind is what a join puts out.
type joinKind struct {
	pairs     bool // pairs, else left rows
	keepLeft  bool // left rows without a pair too (outer)
	keepRight bool
	anti      bool // left rows without a pair instead of those with one
	mark      bool // all left rows, with a column that tells
}

// rowState is what is known about a row.
type rowState uint8

const (
	rowMatched rowState = 1 << iota
	rowUnknown          // some comparison was NULL
)

func joinKindOf(tp tipb.JoinType) (joinKind, error) {
	switch tp {
	case tipb.JoinType_TypeInnerJoin:
		return joinKind{pairs: true}, nil
	case tipb.JoinType_TypeLeftOuterJoin:
		return joinKind{pairs: true, keepLeft: true}, nil
	case tipb.JoinType_TypeRightOuterJoin:
		return joinKind{pairs: true, keepRight: true}, nil
	case tipb.JoinType_TypeSemiJoin:
		return joinKind{}, nil
	case tipb.JoinType_TypeAntiSemiJoin:
		return joinKind{anti: true}, nil
	case tipb.JoinType_TypeLeftOuterSemiJoin:
		return joinKind{mark: true}, nil
	case tipb.JoinType_TypeAntiLeftOuterSemiJoin:
		return joinKind{mark: true, anti: true}, nil
	}
	return joinKind{}, &UnsupportedError{What: "join " + tp.String()}
}

func newJoin(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	return newHashJoin(e.Join, inputs, env)
}

func newHashJoin(d *tipb.Join, inputs []Operator, env *Env) (*hashJoin, error) {
	kind, err := joinKindOf(d.JoinType)
	if err != nil {
		return nil, err
	}
	j := &hashJoin{kind: kind, left: inputs[0], right: inputs[1], buildLeft: d.InnerIdx == 0,
		nullAware: d.GetIsNullAwareSemiJoin() && (kind.anti || kind.mark), account: newAccount(env)}
	if len(d.LeftJoinKeys) != len(d.RightJoinKeys) {
		return nil, fmt.Errorf("executor: join of %d keys with %d", len(d.LeftJoinKeys), len(d.RightJoinKeys))
	}
	if j.nullAware && (j.buildLeft || len(d.LeftJoinKeys) != 1) {
		return nil, &UnsupportedError{What: "null-aware join with the left side as build side or not one key"}
	}
	j.fields = j.outputFields()
	j.output = newJoinOutput(j.fields)
	if err := j.compile(d, env); err != nil {
		return nil, err
	}
	if j.build.shared = broadcastOf(j.build.in); j.build.shared != nil && j.build.filter == nil {
		return j, nil
	}
	j.build.shared = nil
	if j.dir != nil && j.build.grouper != nil && !(j.nullAware && j.cond != nil) && len(j.left.Fields()) > 0 && len(j.right.Fields()) > 0 {
		j.split = &joinSplit{desc: d, env: env, join: j, keyTypes: j.build.keyTypes}
		j.build.split = j.split
	}
	return j, nil
}

func (j *hashJoin) outputFields() []*tipb.FieldType {
	fields := nullable(j.left.Fields(), j.kind.keepRight)
	if j.kind.pairs {
		fields = append(fields, nullable(j.right.Fields(), j.kind.keepLeft)...)
	}
	if j.kind.mark {
		fields = append(fields, &tipb.FieldType{Tp: column.TypeLongLong, Flen: 1, Flag: column.FlagBinary, Collate: -63})
	}
	return fields
}

// nullable copies types, without their NOT NULL flags where the side can be filled with NULLs.
func nullable(types []*tipb.FieldType, filled bool) []*tipb.FieldType {
	out := slices.Clone(types)
	if filled {
		for i, ft := range out {
			c := *ft
			c.Flag &^= column.FlagNotNull
			out[i] = &c
		}
	}
	return out
}

func (j *hashJoin) compile(d *tipb.Join, env *Env) error {
	sides := [2]*joinSide{{in: j.left}, {in: j.right}}
	keys := [2][]*tipb.Expr{d.LeftJoinKeys, d.RightJoinKeys}
	conds := [2][]*tipb.Expr{d.LeftConditions, d.RightConditions}
	for i, s := range sides {
		if err := s.compile(keys[i], conds[i], env); err != nil {
			return err
		}
	}
	sides[0].keep = j.kind.keepLeft || j.kind.anti || j.kind.mark
	sides[1].keep = j.kind.keepRight
	keyTypes, err := unifyKeys(sides[0], sides[1])
	if err != nil {
		return err
	}
	if j.cond, err = newPairConditions(d, j, env); err != nil {
		return err
	}
	b, p := sides[1], sides[0]
	if j.buildLeft {
		b, p = p, b
	}
	j.probe = &probeSide{joinSide: p, dense: newCompactor(keyTypes)}
	j.probe.readLate(j, keys, conds)
	j.build, err = newBuildSide(b, keyTypes, &j.account)
	return err
}

func (j *hashJoin) Fields() []*tipb.FieldType { return j.fields }

func (j *hashJoin) Close() error {
	j.account.close()
	return errors.Join(closeAll([]Operator{j.left, j.right}), j.split.close())
}

func (j *hashJoin) Next(ctx context.Context) (Batch, error) {
	if !j.built {
		if err := j.prepare(ctx); err != nil {
			return Batch{}, err
		}
	}
	if j.split.active() {
		return j.split.nextBatch(ctx)
	}
	for !j.done {
		if err := ctx.Err(); err != nil { // candidates without a pair can go on for long
			return Batch{}, err
		}
		if !j.probe.active {
			if err := j.nextProbe(ctx); err != nil {
				return Batch{}, err
			}
			continue
		}
		out, err := j.step()
		if err != nil {
			return Batch{}, err
		}
		if out.Len() > 0 {
			return out, nil
		}
	}
	return j.nextTail()
}

// prepare reads the build side.
func (j *hashJoin) prepare(ctx context.Context) error {
	if err := j.build.load(ctx); err != nil {
		return err
	}
	j.built = true
	if j.split.active() {
		return j.split.splitProbe(ctx)
	}
	if j.buildKept() {
		j.state = make([]rowState, j.build.size)
	}
	// Nothing can come of an empty build side where only matches are put out.
	j.done = len(j.build.order) == 0 && !j.kind.mark && !j.kind.anti && !j.probeKept()
	return nil
}

// buildKept reports whether rows of the build side are put out depending on what they met, after all of the probe side.
func (j *hashJoin) buildKept() bool {
	if j.buildLeft {
		return j.kind.keepLeft || !j.kind.pairs
	}
	return j.kind.keepRight
}

// probeDropped reports whether rows of the probe side that have no candidates are of no use.
func (j *hashJoin) probeDropped() bool {
	return !j.probeKept() && !j.nullAware && (j.buildLeft || !j.kind.anti && !j.kind.mark)
}

func (j *hashJoin) probeKept() bool {
	if j.buildLeft {
		return j.kind.keepRight
	}
	return j.kind.keepLeft
}

// nextProbe takes the next batch of the probe side and looks its keys up.
func (j *hashJoin) nextProbe(ctx context.Context) error {
	b, err := j.probe.next(ctx)
	if err == io.EOF {
		j.done = true
		return nil
	}
	if err != nil {
		return err
	}
	if err := j.probe.start(b, j.build); err != nil || !j.probe.active {
		return err
	}
	if !j.buildKept() && (j.probeKept() || !j.kind.pairs) {
		j.state = slices.Grow(j.state[:0], b.Rows)[:b.Rows]
		clear(j.state)
	}
	return nil
}

// step makes some output, or none, of the batch at hand: first of its pairs, then of what is known of its rows.
func (j *hashJoin) step() (Batch, error) {
	if j.needsPairs() {
		more := j.probe.fill(j.build, column.BatchSize)
		if len(j.probe.pairs.probe) > 0 {
			return j.usePairs()
		}
		if more {
			return Batch{}, nil
		}
	} else {
		j.noteGroups()
	}
	if j.nullAware && j.cond != nil && j.probe.startUnknown(j.build, j.state) {
		return Batch{}, nil
	}
	j.probe.active = false
	if j.buildKept() || (j.kind.pairs && !j.probeKept()) {
		return Batch{}, nil
	}
	return j.probeRows(), nil
}

// needsPairs is false where it is enough to know whether a row has candidates.
func (j *hashJoin) needsPairs() bool { return j.kind.pairs || j.buildKept() || j.cond != nil }

// usePairs evaluates the conditions on the candidates at hand and uses those that hold.
func (j *hashJoin) usePairs() (Batch, error) {
	p := &j.probe.pairs
	if j.cond != nil {
		verdicts, err := j.cond.judge(j, p)
		if err != nil {
			return Batch{}, err
		}
		j.noteUnknown(p, verdicts)
		p.keepTrue(verdicts)
	}
	j.noteMatched(p)
	if !j.kind.pairs {
		return Batch{}, nil
	}
	cols := make([]arrow.Array, 0, len(j.fields))
	left, right := j.sideRows(p)
	cols = j.pairColumns(cols, true, left)
	cols = j.pairColumns(cols, false, right)
	return Batch{Cols: cols, Rows: len(left)}, nil
}

// sideRows tells which rows of the pairs are the left side's.
func (j *hashJoin) sideRows(p *pairs) (left, right []int32) {
	if j.buildLeft {
		return p.build, p.probe
	}
	return p.probe, p.build
}

func (j *hashJoin) columnsOf(left bool) []arrow.Array {
	if left == j.buildLeft {
		return j.build.cols
	}
	return j.probe.batch.Cols
}

// keptRows are the rows of the pairs on the side whose state is kept; nil if none is.
func (j *hashJoin) keptRows(p *pairs) []int32 {
	switch {
	case j.buildKept():
		return p.build
	case j.probeKept() || !j.kind.pairs:
		return p.probe
	}
	return nil
}

func (j *hashJoin) noteMatched(p *pairs) {
	seen := rowMatched
	if j.probe.unknown {
		seen = rowUnknown
	}
	for _, r := range j.keptRows(p) {
		j.state[r] |= seen
	}
}

func (j *hashJoin) noteUnknown(p *pairs, verdicts []verdict) {
	rows := j.keptRows(p)
	for i, v := range verdicts {
		if v == verdictUnknown && rows != nil {
			j.state[rows[i]] |= rowUnknown
		}
	}
}

// noteGroups marks the probe rows that have candidates, all of which are pairs.
func (j *hashJoin) noteGroups() {
	p := j.probe
	for i, g := range p.groups {
		r := p.batch.Row(i)
		switch {
		case g >= 0:
			j.state[r] |= rowMatched
		case j.nullAware && g != groupRefused && j.build.unknownWith(p.keyIsNull(i)):
			j.state[r] |= rowUnknown
		}
	}
}

// wanted reports whether a row is put out at the end.
func (j *hashJoin) wanted(s rowState) bool {
	switch {
	case j.kind.mark:
		return true
	case j.kind.pairs || j.kind.anti:
		return s == 0
	}
	return s&rowMatched != 0
}
