package executor

import (
	"context"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
)

// probeSide walks the other side batch by batch. Where that is a scan, and rows that find nothing are dropped, only the
// columns that decide are decoded of all rows.
type probeSide struct {
	*joinSide
	scan   Scan  // nil: all columns come at once
	early  []int // the columns that keys and conditions read
	found  []int32
	dense  *compactor
	batch  Batch
	active bool // batch is being worked on
	values []arrow.Array
	groups []int32 // of each selected row: key number, -1 or groupRefused
	at     int     // the selected row whose candidates come next
	within int     // how many of them are done
	pairs  pairs
	// unknown: the candidates are those that compare as unknown, of a null-aware join.
	unknown bool
	lists   [][]int32 // candidates of each selected row in that case
	sel     []int32
}

// pairs are candidates or pairs: physical rows of the probe side's batch and rows of the build side.
type pairs struct{ probe, build []int32 }

// readLate has the columns of a scan wait for the keys to be looked up, if that may save something. keys and conds are
// those of both sides.
func (p *probeSide) readLate(j *hashJoin, keys, conds [2][]*tipb.Expr) {
	scan, ok := p.in.(Scan)
	if !ok || !j.probeDropped() || len(p.keys) == 0 {
		return
	}
	at := 0
	if j.buildLeft {
		at = 1
	}
	need := neededColumns{some: true}.with(keys[at], conds[at])
	p.scan = scan
	for i := range p.in.Fields() {
		if need.needs(i) {
			p.early = append(p.early, i)
		}
	}
}

// next reads a batch; of a scan that waits, the columns that start needs.
func (p *probeSide) next(ctx context.Context) (Batch, error) {
	if p.scan == nil {
		return p.in.Next(ctx)
	}
	b, err := p.scan.NextRows(ctx)
	if err != nil {
		return Batch{}, err
	}
	for _, i := range p.early {
		if b.Cols[i] == nil {
			if err := p.scan.Load(i, b.Sel); err != nil {
				return Batch{}, err
			}
		}
	}
	return b, nil
}

// start takes a batch. It is over at once, not active, if none of a scan's rows finds anything.
func (p *probeSide) start(b Batch, build *buildSide) error {
	passed := b.Sel
	if p.filter != nil {
		var err error
		if passed, err = p.filter.Apply(b); err != nil {
			return err
		}
		if !p.keep {
			b.Sel = passed
		}
	}
	p.batch, p.active, p.unknown, p.at, p.within = b, true, false, 0, 0
	if err := p.lookUp(build); err != nil {
		return err
	}
	if p.filter != nil && p.keep {
		p.refuse(passed)
	}
	if p.scan == nil {
		return nil
	}
	p.keepFound()
	if p.active = len(p.groups) > 0; !p.active {
		return nil
	}
	return loadMissing(p.scan, p.batch)
}

// keepFound drops the rows without candidates.
func (p *probeSide) keepFound() {
	p.found = p.found[:0]
	for i, g := range p.groups {
		if g >= 0 {
			p.groups[len(p.found)] = g
			p.found = append(p.found, int32(p.batch.Row(i)))
		}
	}
	if len(p.found) < len(p.groups) {
		p.groups, p.batch.Sel = p.groups[:len(p.found)], p.found
	}
}

func (p *probeSide) lookUp(build *buildSide) error {
	b := p.batch
	if build.grouper == nil {
		p.groups = append(p.groups[:0], make([]int32, b.Len())...)
		if len(build.order) == 0 {
			p.refuse([]int32{})
		}
		return nil
	}
	if err := p.evalKeys(b); err != nil {
		return err
	}
	p.groups = build.grouper.Find(p.values, b.Len(), p.groups)
	return nil
}

// evalKeys fills values with the keys of the selected rows, dense and in their common types.
func (p *probeSide) evalKeys(b Batch) (err error) {
	p.values = append(p.values[:0], make([]arrow.Array, len(p.keys))...)
	if err := evalAll(p.keys, b, p.values); err != nil {
		return err
	}
	if p.values, err = p.converted(p.values); err != nil {
		return err
	}
	p.dense.compact(p.values, b.Sel)
	return nil
}

// refuse makes the rows that are not in passed match nothing.
func (p *probeSide) refuse(passed []int32) {
	if passed == nil {
		return
	}
	for i := range p.groups {
		if len(passed) > 0 && int(passed[0]) == p.batch.Row(i) {
			passed = passed[1:]
		} else {
			p.groups[i] = groupRefused
		}
	}
}

// groupRefused stands in the place of a key number for rows that the conditions refused: unlike keys that are not in the
// table (-1), they do not compare as unknown either.
const groupRefused = -2

// keyIsNull reports whether the single key of the i-th selected row is NULL.
func (p *probeSide) keyIsNull(i int) bool { return len(p.values) > 0 && p.values[0].IsNull(i) }

// candidates are the build rows that the i-th selected row is to meet.
func (p *probeSide) candidates(i int, build *buildSide) []int32 {
	switch {
	case p.unknown:
		return p.lists[i]
	case p.groups[i] < 0:
		return nil
	}
	return build.matches(p.groups[i])
}

// fill makes the next candidates, at most max of them, and reports whether there are more.
func (p *probeSide) fill(build *buildSide, max int) (more bool) {
	p.pairs.probe, p.pairs.build = p.pairs.probe[:0], p.pairs.build[:0]
	if build.starts == nil && !p.unknown {
		p.fillUnique(build, max)
		return p.at < len(p.groups)
	}
	for ; p.at < len(p.groups); p.at++ {
		list := p.candidates(p.at, build)[p.within:]
		room := max - len(p.pairs.probe)
		take := min(len(list), room)
		row := int32(p.batch.Row(p.at))
		for range take {
			p.pairs.probe = append(p.pairs.probe, row)
		}
		p.pairs.build = append(p.pairs.build, list[:take]...)
		if take < len(list) {
			p.within += take
			return true
		}
		p.within = 0
	}
	return false
}

// fillUnique is fill where no key comes twice: a row has one candidate or none.
func (p *probeSide) fillUnique(build *buildSide, max int) {
	groups := p.groups[p.at:]
	groups = groups[:min(len(groups), max)]
	probe := slices.Grow(p.pairs.probe[:0], len(groups))[:len(groups)]
	matched := slices.Grow(p.pairs.build[:0], len(groups))[:len(groups)]
	n := 0
	for i, g := range groups { // whether a row has one is chance: counting is faster than a branch
		probe[n], matched[n] = int32(p.at+i), g
		n += int(^uint32(g) >> 31)
	}
	p.at += len(groups)
	p.pairs.probe, p.pairs.build = probe[:n], matched[:n]
	if !build.inOrder {
		for i, g := range matched[:n] {
			matched[i] = build.order[g]
		}
	}
	if sel := p.batch.Sel; sel != nil {
		for i, at := range probe[:n] {
			probe[i] = sel[at]
		}
	}
}

// allPaired reports whether the pairs at hand are all rows of the batch, each with one partner.
func (p *probeSide) allPaired() bool {
	if len(p.pairs.probe) != p.batch.Rows {
		return false
	}
	for i, r := range p.pairs.probe {
		if int(r) != i {
			return false
		}
	}
	return true
}

// startUnknown begins the second walk of a null-aware join with conditions: rows without a pair meet the build rows that
// compare as unknown with them. It reports false if that walk is done, or there is nothing to walk.
func (p *probeSide) startUnknown(build *buildSide, state []rowState) bool {
	if p.unknown {
		return false
	}
	p.unknown, p.at, p.within = true, 0, 0
	p.lists = append(p.lists[:0], make([][]int32, len(p.groups))...)
	found := false
	all := append(append([]int32(nil), build.order...), build.nulls...)
	for i := range p.groups {
		switch {
		case p.groups[i] == groupRefused || state[p.batch.Row(i)]&rowMatched != 0:
		case p.keyIsNull(i):
			p.lists[i] = all
		default:
			p.lists[i] = build.nulls
		}
		found = found || len(p.lists[i]) > 0
	}
	return found
}

// keepTrue drops the candidates that are no pairs.
func (p *pairs) keepTrue(verdicts []verdict) {
	n := 0
	for i, v := range verdicts {
		if v == verdictTrue {
			p.probe[n], p.build[n] = p.probe[i], p.build[i]
			n++
		}
	}
	p.probe, p.build = p.probe[:n], p.build[:n]
}
