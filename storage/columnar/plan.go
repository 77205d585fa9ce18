package columnar

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// Plan says how to read a range: which part from columns, which part from rows. It holds on to its segments until Close.
// One goroutine at a time, but its blocks may be read by several.
type Plan struct {
	// Spans cover the range in key order.
	Spans []Span
	// MetNewer tells that a later timestamp would not see the same in the blocks, see mvcc.ScanStats.
	MetNewer bool

	s     *Store
	ts    uint64
	views []*view
}

// Span is a part of a plan's range.
type Span struct {
	Start, End []byte   // plain keys; an empty end is the one of the plan
	Blocks     []*Block // all rows of the span, in key order; nil: they are to be read from the row store
}

// Block is up to column.BatchSize rows in key order. Columns are numbered as in the call of Plan. Safe for concurrent use.
type Block struct {
	v *view
	n int // of the segment's
}

// view is a segment as one plan uses it.
type view struct {
	s       *Store
	g       *segment
	columns []*columnFile // as asked for
	ts      uint64        // of the segment, when the plan was begun

	lower, upper []byte // the part of the segment that is asked for, encoded
	from, to     int    // the blocks that are all in it
	changed      []bool // of these
	dirty        int    // number of changed ones
}

// Plan cuts [start, end), plain record keys, for a read of cols at ts in snap. An empty end is open. The read is one in
// snapshot isolation, opened in the order that txn.Concurrency asks for: the highest timestamp read has been raised to ts,
// locks in memory have been looked at, and then snap was taken. ok is false where it is not worth the while: no block has
// all of cols, or most have changed. It also is for mvcc.TSMax, which means the latest of snap: segments may have later rows.
func (s *Store) Plan(snap storage.Snapshot, start, end []byte, cols []ColumnKey, ts uint64) (p *Plan, ok bool, err error) {
	lower, upper := encodeRange(start, end)
	p = &Plan{s: s, ts: ts}
	blocks := 0
	if ts != mvcc.TSMax {
		blocks = s.use(p, lower, upper, cols, ts)
	}
	if blocks == 0 {
		p.Close()
		return nil, false, nil
	}
	c := changes{snap: snap, ts: ts, left: blocks / 2}
	for _, v := range p.views {
		if err := c.find(v); err != nil || c.left < 0 {
			p.Close()
			return nil, false, err
		}
	}
	p.MetNewer = c.newer
	if err := p.cut(start, end); err != nil {
		p.Close()
		return nil, false, err
	}
	s.plans.Add(1)
	return p, true, nil
}

// use finds the segments of a plan and refers to them. It returns the number of their blocks in the range.
func (s *Store) use(p *Plan, lower, upper []byte, cols []ColumnKey, ts uint64) (blocks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.between(lower, upper) {
		if g.builtAt > ts || !g.hasAll(cols) {
			continue
		}
		v := newView(s, g, lower, upper)
		if v.from >= v.to {
			continue
		}
		v.ts = min(g.ts, ts)
		for _, c := range cols {
			v.columns = append(v.columns, g.columns[c])
		}
		g.refs++
		s.uses++
		g.used = s.uses
		p.views = append(p.views, v)
		blocks += v.to - v.from
	}
	return blocks
}

// newView finds the blocks of a segment whose rows are all in [lower, upper).
func newView(s *Store, g *segment, lower, upper []byte) *view {
	v := &view{s: s, g: g, lower: g.start, upper: g.end, to: g.rows.len()}
	if bytes.Compare(lower, g.start) > 0 {
		v.lower = lower
		if v.from = g.rows.of(lower); bytes.Compare(g.rows.keys[v.from], lower) < 0 {
			v.from++
		}
	}
	if len(upper) > 0 && bytes.Compare(upper, g.end) < 0 {
		v.upper = upper
		v.to = g.rows.of(upper)
	}
	v.changed = make([]bool, max(v.to-v.from, 0))
	return v
}

// spanStart is where the span of a block begins, inside the range asked for: what is in front of the first block belongs to it.
func (v *view) spanStart(block int) []byte {
	if block == 0 {
		return v.lower
	}
	return v.g.rows.keys[block]
}

// spanEnd is where the span of the last block ends.
func (v *view) spanEnd() []byte { return v.g.spanEnd(v.to - 1) }

// isWhole tells whether all of the segment is asked for.
func (v *view) isWhole() bool {
	return bytes.Equal(v.lower, v.g.start) && bytes.Equal(v.upper, v.g.end)
}

// mark notes a change in the span of a block. isNew is false if it was noted before.
func (v *view) mark(block int) (isNew bool) {
	if v.changed[block-v.from] {
		return false
	}
	v.changed[block-v.from] = true
	v.dirty++
	return true
}

// Advance lets segments that have been found unchanged be taken as right up to the plan's timestamp, but not beyond horizon:
// the Horizon from before the plan's snapshot was taken. Later plans then search less.
func (p *Plan) Advance(horizon uint64) {
	ts := min(p.ts, horizon)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for _, v := range p.views {
		if v.dirty == 0 && v.isWhole() {
			v.g.ts = max(v.g.ts, ts)
		}
	}
}

// cut makes the spans.
func (p *Plan) cut(start, end []byte) error {
	at := start // all before it is in spans
	for _, v := range p.views {
		for i := v.from; i < v.to; i++ {
			if v.changed[i-v.from] {
				continue
			}
			first := i
			var blocks []*Block
			for ; i < v.to && !v.changed[i-v.from]; i++ {
				blocks = append(blocks, &Block{v, i})
			}
			from, to, err := decodeRange(v.spanStart(first), v.g.spanEnd(i-1))
			if err != nil {
				return fmt.Errorf("bounds of a columnar segment: %w", err)
			}
			p.rowsUpTo(at, from)
			p.add(Span{from, to, blocks})
			at = to
		}
	}
	if len(end) == 0 || bytes.Compare(at, end) < 0 {
		p.Spans = append(p.Spans, Span{Start: at, End: end})
	}
	return nil
}

func (p *Plan) rowsUpTo(start, end []byte) {
	if bytes.Compare(start, end) < 0 {
		p.Spans = append(p.Spans, Span{Start: start, End: end})
	}
}

// add appends blocks, to the last span if that has some.
func (p *Plan) add(s Span) {
	if n := len(p.Spans); n > 0 && p.Spans[n-1].Blocks != nil {
		last := &p.Spans[n-1]
		last.End, last.Blocks = s.End, append(last.Blocks, s.Blocks...)
		return
	}
	p.Spans = append(p.Spans, s)
}

// Close releases the segments. Arrays of columns must not be used after it.
func (p *Plan) Close() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for _, v := range p.views {
		p.s.unref(v.g)
	}
	p.views = nil
}

// Rows is the number of rows.
func (b *Block) Rows() int { return int(b.v.g.rows.rows[b.n]) }

// End is the plain key, exclusive, up to which the block has all rows that are not in blocks before it; empty: the last there is.
func (b *Block) End() ([]byte, error) {
	_, end, err := decodeRange(b.v.spanStart(b.n), b.v.g.spanEnd(b.n))
	if err != nil {
		return nil, fmt.Errorf("bounds of a columnar segment: %w", err)
	}
	return end, nil
}

// Zone describes the values of a column.
func (b *Block) Zone(col int) Zone {
	f := b.v.columns[col]
	return f.blocks[b.n].zone.public(f.kind)
}

// Column returns the values of a column: not to be changed, valid until Plan.Close. An error is ErrDamaged.
func (b *Block) Column(col int) (arrow.Array, error) {
	v, f := b.v, b.v.columns[col]
	if a := v.s.cache.get(&f.slots[b.n]); a != nil {
		return a, nil
	}
	a, err := f.read(b.n, b.Rows())
	if err != nil {
		v.s.damaged(v.g, err)
		return nil, err
	}
	v.s.cache.put(&f.slots[b.n], a)
	return a, nil
}
