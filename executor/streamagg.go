package executor

import (
	"context"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// streamAggregation is aggregation of an input that has the rows of each group side by side: a group is complete when the
// next one begins. So there is never more in memory than about a batch of groups: once there are that many, the first row
// of a new group ends all of them, they are put out, and a new table takes the rest.
type streamAggregation struct {
	in    Operator
	eval  *evaluator
	plan  *groupPlan
	table *groupTable
	count int // of complete groups in table
	next  int // the group to put out
	rest  []arrow.Array
	rows  int // of rest: evaluated, and not in the table yet
	done  bool
	account
}

func newStreamAggregation(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	eval, plan, err := compileGroups(e.Aggregation, inputs[0], env)
	if err != nil {
		return nil, err
	}
	s := &streamAggregation{in: inputs[0], eval: eval, plan: plan, account: newAccount(env)}
	s.table, err = plan.newTable()
	return s, err
}

func (s *streamAggregation) Fields() []*tipb.FieldType { return s.plan.fields }

func (s *streamAggregation) Close() error {
	s.account.close()
	return s.in.Close()
}

func (s *streamAggregation) Next(ctx context.Context) (Batch, error) {
	for s.next >= s.count {
		if s.done {
			return Batch{}, io.EOF
		}
		if err := s.restart(); err != nil {
			return Batch{}, err
		}
		if err := s.fill(ctx); err != nil {
			return Batch{}, err
		}
	}
	from := s.next
	s.next = min(from+column.BatchSize, s.count)
	return s.table.output(from, s.next, false)
}

// restart gives the rest to a new table, once the groups of the old one are put out.
func (s *streamAggregation) restart() (err error) {
	if s.rows == 0 {
		return nil
	}
	if s.table, err = s.plan.newTable(); err != nil {
		return err
	}
	s.count, s.next = 0, 0
	rest, rows := s.rest, s.rows
	s.rest, s.rows = nil, 0
	return s.table.add(rest, rows)
}

// fill reads until there are complete groups.
func (s *streamAggregation) fill(ctx context.Context) error {
	for s.rows == 0 {
		b, err := s.in.Next(ctx)
		if err == io.EOF {
			s.done, s.count = true, s.table.count
			return nil
		}
		if err != nil {
			return err
		}
		cols, err := s.eval.dense(b)
		if err != nil {
			return err
		}
		if err := s.add(cols, b.Len()); err != nil {
			return err
		}
		if err := s.set(s.table.bytes()); err != nil {
			return err
		}
	}
	return nil
}

// add takes rows in. Of a full table, whose groups end here, those from the first new group on are kept for the next.
func (s *streamAggregation) add(cols []arrow.Array, rows int) error {
	t := s.table
	if t.count < column.BatchSize {
		return t.add(cols, rows)
	}
	groups := t.number(cols, rows)
	first := 0
	for first < rows && int(groups[first]) < t.count {
		first++
	}
	if first == rows {
		return t.update(groups, cols)
	}
	if first > 0 {
		if err := t.update(groups[:first], gatherAll(nil, cols, rowNumbers(first))); err != nil {
			return err
		}
	}
	left := rowNumbers(rows)[first:]
	s.rest, s.rows, s.count = gatherAll(nil, cols, left), len(left), t.count
	return nil
}
