package columnar

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/storage/mvcc"
)

// Errors that end a build.
var (
	// ErrDoomed: records that the segment would rely on have been removed meanwhile, or the store is closed.
	ErrDoomed = errors.New("versions were removed while the segment was built")
	// ErrNoSpace: the segment is larger than all segments together may be, or the disk is nearly full.
	ErrNoSpace = errors.New("no space for a columnar segment")
)

// Build is a segment being written, or further columns of one. One goroutine; Finish or Abort ends it.
type Build struct {
	s          *Store
	from, to   []byte // plain keys
	start, end []byte // the same, encoded
	ts         uint64
	keys       []ColumnKey
	extends    *segment    // that gets the columns; nil: a new one is made
	doomed     atomic.Bool // what it would rely on is gone

	encoder encoder
	columns []*columnFile
	rows    rowBlocks
	bytes   int64
	unseen  int64 // of these, written since the free space of the disk was last looked at
	ended   bool
}

// Begin registers a build of the record keys in [start, end), plain and neither of them empty, at ts, before the builder opens the read that
// it copies. That read is one in snapshot isolation at ts, which has been handed out to some transaction, and it meets no
// lock: the build is aborted otherwise.
//
// A segment with the same range and timestamp gets the columns, of which it must have none yet; all others that overlap the
// range are replaced. nil says that there must be no build now: another one is under way in the range, records are being removed
// there, or the store is closed.
func (s *Store) Begin(start, end []byte, ts uint64, cols []ColumnKey, types []*tipb.FieldType) *Build {
	if len(start) == 0 || bytes.Compare(start, end) >= 0 || ts == mvcc.TSMax || len(cols) == 0 || len(cols) != len(types) {
		return nil
	}
	b := &Build{
		s: s, ts: ts, keys: slices.Clone(cols), from: bytes.Clone(start), to: bytes.Clone(end),
		start: mvcc.EncodeKey(start), end: mvcc.EncodeKey(end),
	}
	for _, ft := range types {
		b.columns = append(b.columns, &columnFile{kind: column.KindOf(ft)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.erases(b) {
		return nil
	}
	for other := range s.builds {
		if overlaps(b.start, b.end, other.start, other.end) {
			return nil
		}
	}
	b.extends = s.extended(b)
	if b.extends != nil && slices.ContainsFunc(cols, func(c ColumnKey) bool { return b.extends.columns[c] != nil }) {
		return nil
	}
	s.builds[b] = struct{}{}
	return b
}

// extended is the segment that a build adds columns to, nil if it makes a new one.
func (s *Store) extended(b *Build) *segment {
	for _, g := range s.between(b.start, b.end) {
		if bytes.Equal(g.start, b.start) && bytes.Equal(g.end, b.end) && g.builtAt <= b.ts && b.ts <= g.ts {
			return g
		}
	}
	return nil
}

// Add writes a block: rows rows with the columns of Begin, at most column.BatchSize, and so many where it is up to the caller.
// Blocks of an extension are those of the segment. firstKey is the plain record key of the first row. All is copied. After an
// error the build can only be aborted.
func (b *Build) Add(firstKey []byte, cols []arrow.Array, rows int) error {
	key := mvcc.EncodeKey(firstKey)
	if err := b.check(key, cols, rows); err != nil {
		return err
	}
	for i, f := range b.columns {
		if err := b.write(f, cols[i]); err != nil {
			return err
		}
	}
	b.rows.add(key, rows)
	return nil
}

func (b *Build) check(key []byte, cols []arrow.Array, rows int) error {
	n := b.rows.len()
	switch {
	case b.ended:
		return errors.New("columnar: the build has ended")
	case b.doomed.Load():
		return ErrDoomed
	case rows < 1 || rows > column.BatchSize:
		return fmt.Errorf("columnar: block of %d rows", rows)
	case bytes.Compare(key, b.start) < 0 || bytes.Compare(key, b.end) >= 0 || n > 0 && bytes.Compare(key, b.rows.keys[n-1]) <= 0:
		return fmt.Errorf("columnar: key %x is out of place", key)
	case len(cols) != len(b.columns):
		return fmt.Errorf("columnar: %d columns of %d", len(cols), len(b.columns))
	case b.extends != nil && !b.extends.rows.has(n, key, rows):
		return fmt.Errorf("columnar: block %d is not the segment's", n)
	}
	for i, c := range cols {
		if want := column.ArrowType(b.columns[i].kind); c.Len() != rows || c.DataType().ID() != want.ID() {
			return fmt.Errorf("columnar: column %d has %d rows of %s, not %d of %s", i, c.Len(), c.DataType(), rows, want)
		}
	}
	return nil
}

// write appends a block to a file.
func (b *Build) write(f *columnFile, a arrow.Array) error {
	block, place := b.encoder.encode(f.kind, a)
	place.offset = f.bytes
	if err := b.reserve(int64(len(block))); err != nil {
		return err
	}
	if f.file == nil {
		if err := b.create(f); err != nil {
			return err
		}
	}
	if _, err := f.file.Write(block); err != nil {
		return fmt.Errorf("write a columnar segment: %w", err)
	}
	f.bytes += int64(len(block))
	f.blocks = append(f.blocks, place)
	return nil
}

// spaceEvery is how many bytes are written between two looks at the disk's free space.
const spaceEvery = 16 << 20

func (b *Build) reserve(n int64) error {
	if b.unseen -= n; b.unseen < 0 {
		if missing, known := b.s.missingSpace(); known && missing+spaceEvery > 0 {
			return fmt.Errorf("%w: %d bytes more would have to be free on the disk", ErrNoSpace, missing+spaceEvery)
		}
		b.unseen = spaceEvery
	}
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if err := b.s.reserve(n, b.extends); err != nil {
		return err
	}
	b.bytes += n
	return nil
}

func (b *Build) create(f *columnFile) error {
	b.s.mu.Lock()
	name := b.s.nextName()
	b.s.mu.Unlock()
	file, err := b.s.opts.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write a columnar segment: %w", err)
	}
	f.name, f.file = name, file
	return nil
}

// Finish makes the segment available. One without rows is not kept. On an error it is as after Abort.
func (b *Build) Finish() error {
	if b.ended {
		return errors.New("columnar: the build has ended")
	}
	defer b.Abort()
	if b.rows.len() == 0 {
		return nil
	}
	if err := b.reopen(); err != nil {
		return err
	}
	if err := b.install(); err != nil {
		return err
	}
	b.s.log.Debug("columnar segment built", "start", fmt.Sprintf("%x", b.start), "ts", b.ts, "rows", b.rows.total,
		"columns", len(b.columns), "bytes", b.bytes)
	if err := b.s.opts.Flush(); err != nil {
		b.s.log.Warn("the row store was not written out; plans take longer", "err", err)
	}
	return nil
}

// reopen turns files written into files to be read.
func (b *Build) reopen() error {
	for _, f := range b.columns {
		err := f.file.Close()
		f.file = nil
		if err != nil {
			return fmt.Errorf("write a columnar segment: %w", err)
		}
		if f.file, err = b.s.opts.FS.Open(f.name); err != nil {
			return fmt.Errorf("open a columnar segment: %w", err)
		}
		f.slots = make([]slot, len(f.blocks))
	}
	return nil
}

// install puts what has been built in its place.
func (b *Build) install() error {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	g := b.extends
	switch {
	case b.doomed.Load() || g != nil && g.dropped:
		return ErrDoomed
	case g != nil && g.rows.len() != b.rows.len():
		return fmt.Errorf("columnar: %d blocks where the segment has %d", b.rows.len(), g.rows.len())
	case g == nil:
		g = &segment{
			from: b.from, to: b.to, start: b.start, end: b.end, rows: b.rows, builtAt: b.ts, ts: b.ts,
			columns: map[ColumnKey]*columnFile{}, refs: 1,
		}
		for _, old := range slices.Clone(s.between(g.start, g.end)) {
			s.drop(old)
		}
		s.insert(g)
	}
	for i, c := range b.keys {
		g.columns[c] = b.columns[i]
	}
	g.bytes += b.bytes
	s.uses++
	g.used = s.uses
	s.stats.Built++
	b.ended = true
	delete(s.builds, b)
	return nil
}

// Abort removes what has been written. It does nothing after Finish.
func (b *Build) Abort() {
	if b.ended {
		return
	}
	b.ended = true
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.builds, b)
	s.disk -= b.bytes
	files := slices.DeleteFunc(b.columns, func(f *columnFile) bool { return f.name == "" })
	s.discard(files)
}
