package executor

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor/spill"
)

// joinSplit takes a join apart whose build side does not fit in memory. The rows of both sides go to files by a hash of
// their keys; then each pair of files is joined by a join of its own, whose build side may be split further by other bits
// of the hash. All that a row can match is in its pair; so the parts' results together are the result. What a null-aware
// join wants to know of the whole build side, whether it has rows and NULLs, is told to each part.
type joinSplit struct {
	desc     *tipb.Join
	env      *Env
	join     *hashJoin
	keyTypes []*tipb.FieldType
	depth    int

	parts   *partitions // of the side being read
	sides   [2][]*spill.Run
	started bool
	next    int       // the pair that comes next
	part    *hashJoin // the pair being joined
}

// Places of sides.
const (
	sideBuild = iota
	sideProbe
)

// possible reports whether rows of the build side may go to files.
func (s *joinSplit) possible() bool { return s != nil && s.depth < maxSplits }

// active reports whether they have.
func (s *joinSplit) active() bool { return s != nil && s.started }

// splitBuild moves the collected rows of the build side to files.
func (s *joinSplit) splitBuild() (err error) {
	b := s.join.build
	s.started = true
	if s.parts == nil {
		if s.parts, err = newPartitions(&s.join.account, b.in.Fields(), s.keyTypes, s.depth); err != nil {
			return err
		}
	}
	keys, err := b.converted(b.rows.values())
	if err != nil {
		return err
	}
	if err := s.parts.add(s.useful(keys)); err != nil {
		return err
	}
	b.rows.reset()
	b.refused = nil // the conditions are looked at again
	return s.join.set(s.parts.bytes())
}

// useful selects the rows of the build side but for those that no result depends on: they have NULL in a key and are not
// put out themselves.
func (s *joinSplit) useful(keys []arrow.Array) (Batch, []arrow.Array) {
	b := s.join.build
	all := Batch{Cols: b.rows.columns(), Rows: b.rows.rows}
	if !slices.ContainsFunc(keys, func(a arrow.Array) bool { return a.NullN() > 0 }) {
		b.elsewhere.rows = b.elsewhere.rows || all.Rows > 0
		return all, keys
	}
	sel := make([]int32, 0, all.Rows)
	for r := range int32(all.Rows) {
		if !anyNull(keys, int(r)) {
			sel = append(sel, r)
		}
	}
	b.elsewhere.rows = b.elsewhere.rows || len(sel) > 0
	b.elsewhere.nulls = b.elsewhere.nulls || len(sel) < all.Rows
	if s.join.buildKept() {
		return all, keys
	}
	all.Sel = sel
	return all, gatherAll(nil, keys, sel)
}

// finishBuild ends the build side.
func (s *joinSplit) finishBuild() (err error) {
	if err := s.splitBuild(); err != nil {
		return err
	}
	if s.sides[sideBuild], err = s.parts.finishAll(); err != nil {
		return err
	}
	b := s.join.build
	b.grouper, b.cols, b.order, b.starts, b.nulls = nil, nil, nil, nil, nil
	s.parts = nil
	return s.join.set(0)
}

// splitProbe reads the other side to its end.
func (s *joinSplit) splitProbe(ctx context.Context) (err error) {
	p := s.join.probe
	if s.parts, err = newPartitions(&s.join.account, p.in.Fields(), s.keyTypes, s.depth); err != nil {
		return err
	}
	for {
		b, err := p.in.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := s.addProbe(b); err != nil {
			return err
		}
	}
	if s.sides[sideProbe], err = s.parts.finishAll(); err != nil {
		return err
	}
	s.parts = nil
	return s.join.set(0)
}

func (s *joinSplit) addProbe(b Batch) (err error) {
	p := s.join.probe
	if p.filter != nil && !p.keep {
		if b.Sel, err = p.filter.Apply(b); err != nil {
			return err
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if err := p.evalKeys(b); err != nil {
		return err
	}
	if err := s.parts.add(b, p.values); err != nil {
		return err
	}
	return s.join.set(s.parts.bytes())
}

// nextBatch gives the results of one pair after another.
func (s *joinSplit) nextBatch(ctx context.Context) (Batch, error) {
	for {
		if s.part == nil {
			if s.next == fanOut {
				return Batch{}, io.EOF
			}
			if err := s.open(); err != nil {
				return Batch{}, err
			}
			continue
		}
		b, err := s.part.Next(ctx)
		if err != io.EOF {
			return b, err
		}
		if err := s.closePart(); err != nil {
			return Batch{}, err
		}
	}
}

// open begins the next pair, if it has rows.
func (s *joinSplit) open() error {
	build, probe := s.sides[sideBuild][s.next], s.sides[sideProbe][s.next]
	if build.Rows()+probe.Rows() == 0 {
		s.next++
		return nil
	}
	b, err := newRunSource(s.join.build.in.Fields(), build)
	if err != nil {
		return err
	}
	p, err := newRunSource(s.join.probe.in.Fields(), probe)
	if err != nil {
		return errors.Join(err, b.Close())
	}
	inputs := []Operator{p, b}
	if s.join.buildLeft {
		inputs = []Operator{b, p}
	}
	part, err := newHashJoin(s.desc, inputs, s.env)
	if err != nil {
		return errors.Join(err, closeAll(inputs))
	}
	part.output.need = s.join.output.need
	part.split.depth = s.depth + 1
	part.build.elsewhere = s.join.build.elsewhere
	s.part = part
	return nil
}

// closePart ends a pair and removes its files.
func (s *joinSplit) closePart() error {
	s.join.peak = max(s.join.peak, s.part.peak)
	err := s.part.Close()
	s.part = nil
	err = errors.Join(err, s.sides[sideBuild][s.next].Remove(), s.sides[sideProbe][s.next].Remove())
	s.next++
	return err
}

func (s *joinSplit) close() error {
	if s == nil {
		return nil
	}
	var err error
	if s.part != nil {
		err = s.part.Close()
		s.part = nil
	}
	return errors.Join(err, s.parts.abort(), removeRuns(s.sides[sideBuild]), removeRuns(s.sides[sideProbe]))
}
