package executor

import (
	"context"
	"errors"
	"io"
	"sort"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/spill"
)

// rowLog is a queue of rows that several cursors read at their own pace. Rows have numbers, 0 and up. They come in batches,
// which are also what comes out; older ones may be in files.
type rowLog struct {
	types  []*tipb.FieldType
	dir    *spill.Dir
	pieces []logPiece // without gaps: those in files first
	ends   []int64    // of each batch that has not been put out, see spanEnd
	end    int64      // the number that the next row will have
	bytes  int64      // of batches in memory
	// cursors are all that read here: a file is gone for them before it is removed.
	cursors []*cursor
}

// logPiece is a batch, or a file of many.
type logPiece struct {
	base, end int64
	batch     Batch
	run       *spill.Run // nil: in memory
}

// append adds a batch that is the log's from now on.
func (l *rowLog) append(b Batch) {
	p := logPiece{base: l.end, end: l.end + int64(b.Rows), batch: b}
	l.pieces = append(l.pieces, p)
	l.ends = append(l.ends, p.end)
	l.end = p.end
	l.bytes += column.Size(b)
}

// spanEnd is the end of the batch that row belongs to. Rows are asked for in ascending order.
func (l *rowLog) spanEnd(row int64) int64 {
	for l.ends[0] <= row {
		l.ends = l.ends[1:]
	}
	return l.ends[0]
}

// spill moves all that is in memory to one file.
func (l *rowLog) spill() error {
	first := sort.Search(len(l.pieces), func(i int) bool { return l.pieces[i].run == nil })
	if first == len(l.pieces) {
		return nil
	}
	w := l.dir.NewWriter(l.types)
	for _, p := range l.pieces[first:] {
		if err := w.Write(p.batch); err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	run, err := w.Finish()
	if err != nil {
		return err
	}
	l.pieces = append(l.pieces[:first:first], logPiece{base: l.pieces[first].base, end: l.end, run: run})
	l.bytes = 0
	return nil
}

// forget drops pieces that end before row.
func (l *rowLog) forget(row int64) error {
	for len(l.pieces) > 0 && l.pieces[0].end <= row {
		p := l.pieces[0]
		l.pieces = l.pieces[1:]
		if p.run == nil {
			l.bytes -= column.Size(p.batch)
			continue
		}
		for _, c := range l.cursors {
			if c.run == p.run {
				if err := c.close(); err != nil {
					return err
				}
			}
		}
		if err := p.run.Remove(); err != nil {
			return err
		}
	}
	return nil
}

func (l *rowLog) close() error {
	var errs []error
	for _, c := range l.cursors {
		errs = append(errs, c.close())
	}
	for _, p := range l.pieces {
		if p.run != nil {
			errs = append(errs, p.run.Remove())
		}
	}
	l.pieces = nil
	return errors.Join(errs...)
}

// cursor reads a log. It holds the batches that it has looked at until it is told to forget them; rows before those are
// out of its reach.
type cursor struct {
	log    *rowLog
	held   []logPiece // batches, ascending, perhaps with gaps
	run    *spill.Run // that reader reads
	reader *spill.Reader
	next   int64 // the row that reader gives next
}

func (l *rowLog) newCursor() *cursor {
	c := &cursor{log: l}
	l.cursors = append(l.cursors, c)
	return c
}

// at returns the batch that has a row, and the row's place in it.
func (c *cursor) at(row int64) (Batch, int, error) {
	if i := c.find(row); i >= 0 {
		return c.held[i].batch, int(row - c.held[i].base), nil
	}
	if err := c.load(row); err != nil {
		return Batch{}, 0, err
	}
	p := &c.held[len(c.held)-1]
	return p.batch, int(row - p.base), nil
}

// holds reports whether the cursor has a row at hand.
func (c *cursor) holds(row int64) bool { return c.find(row) >= 0 }

// find looks for a row in the batches at hand, the latest first.
func (c *cursor) find(row int64) int {
	for i := len(c.held) - 1; i >= 0; i-- {
		if p := &c.held[i]; p.base <= row {
			if row < p.end {
				return i
			}
			return -1
		}
	}
	return -1
}

// load appends the batch of a row to those at hand.
func (c *cursor) load(row int64) error {
	pieces := c.log.pieces
	at := sort.Search(len(pieces), func(i int) bool { return row < pieces[i].end })
	if at == len(pieces) || row < pieces[at].base {
		return errors.New("executor: a row that the window has forgotten")
	}
	p := pieces[at]
	if p.run == nil {
		c.held = append(c.held, p)
		return c.close()
	}
	if c.run != p.run || row < c.next {
		if err := c.open(p); err != nil {
			return err
		}
	}
	for {
		b, err := c.reader.Next()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		base := c.next
		c.next += int64(b.Rows)
		if row < c.next {
			c.held = append(c.held, logPiece{base: base, end: c.next, batch: b})
			return nil
		}
	}
}

func (c *cursor) open(p logPiece) error {
	if err := c.close(); err != nil {
		return err
	}
	reader, err := p.run.Open()
	if err != nil {
		return err
	}
	c.reader, c.run, c.next = reader, p.run, p.base
	return nil
}

// close ends the reading of a file; what is at hand stays.
func (c *cursor) close() error {
	if c.reader == nil {
		return nil
	}
	r := c.reader
	c.reader, c.run = nil, nil
	return r.Close()
}

// forget lets go of batches that end before row.
func (c *cursor) forget(row int64) {
	n := 0
	for n < len(c.held) && c.held[n].end <= row {
		n++
	}
	c.held = c.held[n:]
}

// each calls f for the batches that have the rows [from, to), with the range of those rows in the batch.
func (c *cursor) each(ctx context.Context, from, to int64, f func(b Batch, i, j int) error) error {
	for from < to {
		b, i, err := c.at(from)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		n := min(int64(b.Rows-i), to-from)
		if err := f(b, i, i+int(n)); err != nil {
			return err
		}
		from += n
	}
	return nil
}
