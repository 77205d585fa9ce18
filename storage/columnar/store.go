package columnar

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/scree-db/scree/storage/mvcc"
)

// ColumnKey identifies the contents of a column within a table: its id, type and default, and whatever else a decoder of rows
// goes by. Whoever builds and reads segments makes it; equal keys must mean equal values.
type ColumnKey string

// Options say where segments are kept. Dir is required.
type Options struct {
	FS  vfs.FS // nil: the operating system's
	Dir string // belongs to the store alone: segments that Open finds in it are removed
	// DiskMax bounds all files together, in bytes; beyond it the segments used least recently go. 0: not bounded. Files that
	// plans still read when their segment goes are not counted.
	DiskMax int64
	// DiskReserve is how many bytes of the disk are left free, but no more than a tenth of it: builds fail that would take
	// more, and Relieve drops segments. Let it be more than the row store asks for before it refuses writes.
	DiskReserve uint64
	CacheMax    int64 // bytes of decoded columns in memory; default 64 MiB
	// Allocated returns the greatest timestamp known to have been handed out, see Horizon. nil: clients make none up.
	Allocated func() uint64
	// Flush, if not nil, has the row store written out. It is called after a build: searches for changes can skip what
	// is in files and older than the segment, but not what is in memory.
	Flush  func() error
	Logger *slog.Logger // nil: discard
}

// Store has the segments of one storage node. Safe for concurrent use.
type Store struct {
	opts  Options
	log   *slog.Logger
	cache *cache

	mu       sync.Mutex
	segments []*segment // ascending; they do not overlap
	builds   map[*Build]struct{}
	erasing  map[*erasure]struct{}
	uses     uint64 // counts plans, for segment.used
	disk     int64  // bytes of segments and builds
	files    uint64 // counts names
	closed   bool
	stats    Stats

	removing sync.WaitGroup // of files
	plans    atomic.Uint64
}

const (
	fileSuffix      = ".col"
	cacheMaxDefault = 64 << 20
)

// Open makes an empty store. Segments of a process before are removed: nobody knows what they have missed.
func Open(o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Allocated == nil {
		o.Allocated = func() uint64 { return mvcc.TSMax }
	}
	if o.Flush == nil {
		o.Flush = func() error { return nil }
	}
	o.CacheMax = cmp.Or(o.CacheMax, cacheMaxDefault)
	if err := clearDir(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("directory of columnar segments: %w", err)
	}
	return &Store{
		opts: o, log: o.Logger, cache: &cache{max: o.CacheMax},
		builds: map[*Build]struct{}{}, erasing: map[*erasure]struct{}{},
	}, nil
}

func clearDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, fileSuffix) {
			err = errors.Join(err, fs.Remove(fs.PathJoin(dir, name)))
		}
	}
	return err
}

// Close removes all segments; files that plans still read go with the last of these.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for len(s.segments) > 0 {
		s.drop(s.segments[0])
	}
	for b := range s.builds {
		b.doomed.Store(true)
	}
	s.mu.Unlock()
	s.removing.Wait()
	return nil
}

// Horizon is a timestamp that has been handed out. Clients may read at timestamps that have not, and transactions then
// commit below what they have read: they see other rows when they read again. A segment would show everybody what one of
// them saw. So whoever builds at a client's timestamp, or advances to it, goes no further than the horizon from before its
// snapshot was taken.
func (s *Store) Horizon() uint64 { return s.opts.Allocated() }

// between are the segments that have keys of [start, end), encoded; an empty end is open.
func (s *Store) between(start, end []byte) []*segment {
	from, _ := slices.BinarySearchFunc(s.segments, start, func(g *segment, key []byte) int {
		if bytes.Compare(g.end, key) <= 0 {
			return -1
		}
		return 1
	})
	to := from
	for to < len(s.segments) && (len(end) == 0 || bytes.Compare(s.segments[to].start, end) < 0) {
		to++
	}
	return s.segments[from:to]
}

// insert adds a segment where no other is.
func (s *Store) insert(g *segment) {
	at, _ := slices.BinarySearchFunc(s.segments, g.start, func(g *segment, key []byte) int { return bytes.Compare(g.start, key) })
	s.segments = slices.Insert(s.segments, at, g)
}

// drop takes a segment out. Its files go when nobody reads them any more.
func (s *Store) drop(g *segment) {
	if g.dropped {
		return
	}
	at := slices.Index(s.segments, g)
	s.segments = slices.Delete(s.segments, at, at+1)
	g.dropped = true
	s.disk -= g.bytes
	s.unref(g)
}

// unref gives back a reference.
func (s *Store) unref(g *segment) {
	if g.refs--; g.refs > 0 {
		return
	}
	files := make([]*columnFile, 0, len(g.columns))
	for _, f := range g.columns {
		files = append(files, f)
	}
	s.discard(files)
}

// discard removes files: in the background, as the caller may be in a hurry, until the store is closed.
func (s *Store) discard(files []*columnFile) {
	remove := func() {
		for _, f := range files {
			s.cache.drop(f.slots)
			if err := f.discard(s.opts.FS); err != nil {
				s.log.Warn("removing a file of a columnar segment", "err", err)
			}
		}
	}
	if s.closed {
		remove()
		return
	}
	s.removing.Go(remove)
}

// reserve makes room for n bytes more, if need be by dropping the segments used least recently, but not keep.
func (s *Store) reserve(n int64, keep *segment) error {
	for s.opts.DiskMax > 0 && s.disk+n > s.opts.DiskMax {
		g := s.oldest(keep)
		if g == nil {
			return fmt.Errorf("%w: %d bytes are the limit", ErrNoSpace, s.opts.DiskMax)
		}
		s.drop(g)
		s.stats.Evicted++
	}
	s.disk += n
	return nil
}

// oldest is the segment used least recently, but keep; nil if there is none.
func (s *Store) oldest(keep *segment) (oldest *segment) {
	for _, g := range s.segments {
		if g != keep && (oldest == nil || g.used < oldest.used) {
			oldest = g
		}
	}
	return oldest
}

// Relieve drops the segments used least recently while the disk has less space than is to be left free. It is to be called
// now and then: what fills a disk is mostly others.
func (s *Store) Relieve() {
	missing, known := s.missingSpace()
	if !known || missing <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for freed := int64(0); freed < missing; {
		g := s.oldest(nil)
		if g == nil {
			return
		}
		freed += g.bytes
		s.drop(g)
		s.stats.Evicted++
	}
}

// missingSpace is how many bytes more should be free on the disk; below 0, how many there are to spare. Some file systems, as
// those in memory, cannot tell.
func (s *Store) missingSpace() (n int64, known bool) {
	du, err := s.opts.FS.GetDiskUsage(s.opts.Dir)
	if err != nil || du.TotalBytes == 0 {
		return 0, false
	}
	const share = 10
	return int64(min(s.opts.DiskReserve, du.TotalBytes/share)) - int64(du.AvailBytes), true
}

// damaged drops a segment that cannot be read back.
func (s *Store) damaged(g *segment, err error) {
	s.log.Error("columnar segment dropped", "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(g)
}

func (s *Store) nextName() string {
	s.files++
	return s.opts.FS.PathJoin(s.opts.Dir, strconv.FormatUint(s.files, 36)+fileSuffix)
}

// SegmentInfo describes a segment.
type SegmentInfo struct {
	Start, End []byte // plain keys; read only
	// TS is up to when the segment is known to be right. A Begin with these three and other columns adds those to the segment.
	TS      uint64
	Columns []ColumnKey // in no order
	Rows    int64
	Bytes   int64 // on disk
}

// Segments lists the segments that overlap [start, end), plain keys, in key order; an empty end is open.
func (s *Store) Segments(start, end []byte) []SegmentInfo {
	lower, upper := encodeRange(start, end)
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []SegmentInfo
	for _, g := range s.between(lower, upper) {
		info := SegmentInfo{Start: g.from, End: g.to, TS: g.ts, Rows: g.rows.total, Bytes: g.bytes}
		for c := range g.columns {
			info.Columns = append(info.Columns, c)
		}
		list = append(list, info)
	}
	return list
}

// encodeRange encodes bounds. An empty end, which is open, is kept.
func encodeRange(start, end []byte) (lower, upper []byte) {
	if lower = mvcc.EncodeKey(start); len(end) > 0 {
		upper = mvcc.EncodeKey(end)
	}
	return lower, upper
}

func decodeRange(lower, upper []byte) (start, end []byte, err error) {
	if start, err = mvcc.DecodeKey(nil, lower); err == nil {
		end, err = mvcc.DecodeKey(nil, upper)
	}
	return start, end, err
}

// Stats counts what the store has and has done since Open.
type Stats struct {
	Segments, Builds       int   // now
	DiskBytes, CacheBytes  int64 // now
	Plans                  uint64
	CacheHits, CacheMisses uint64 // blocks of a column
	// Of segments: Built counts those made or extended, Erased those dropped because versions were removed.
	Built, Erased, Evicted uint64
}

// Stats returns the counts of now.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	st := s.stats
	st.Segments, st.Builds, st.DiskBytes = len(s.segments), len(s.builds), s.disk
	s.mu.Unlock()
	st.CacheBytes, st.Plans = s.cache.size(), s.plans.Load()
	st.CacheHits, st.CacheMisses = s.cache.hits.Load(), s.cache.misses.Load()
	return st
}
