package columnar

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/scree-db/scree/storage"
)

// ColumnKey identifies the contents of a column within a table: its id, type and default, and whatever else a decoder of rows
// goes by. Whoever builds and reads segments makes it; equal keys must mean equal values.
type ColumnKey string

// Options say where segments are kept. Dir is required.
type Options struct {
	FS       vfs.FS // nil: the operating system's
	Dir      string // belongs to the store alone: what Open finds in it is removed
	DiskMax  int64  // bytes of all files together; beyond, the segments used least recently go. 0: not bounded
	CacheMax int64  // bytes of decoded columns in memory; default 64 MiB
	Logger   *slog.Logger
}

// Store has the segments of one storage node. Safe for concurrent use.
type Store struct{ opts Options }

// Open makes an empty store. Segments of a process before are removed: nobody knows what they have missed.
func Open(o Options) (*Store, error) { return &Store{opts: o}, nil }

// Close removes all segments; those that plans still read go with the last of these.
func (s *Store) Close() error { return nil }

// Erasing drops the segments that rely on records being removed from storage.CFWrite, and dooms such builds. removals are of
// kind storage.OpDelete or storage.OpDeleteRange (an empty end is open). It is called before snapshots lack them; erased, once
// all new ones do. removals may be reused after that.
func (s *Store) Erasing(removals []storage.Modify) (erased func()) { return func() {} }

// SegmentInfo describes a segment.
type SegmentInfo struct {
	Start, End []byte // plain keys
	TS         uint64 // a Begin with these three and other columns adds those to the segment
	Columns    []ColumnKey
	Rows       int64
	Bytes      int64 // on disk
}

// Segments lists the segments that overlap [start, end), in key order; an empty end is open.
func (s *Store) Segments(start, end []byte) []SegmentInfo { return nil }

// Stats counts what the store has and has done since Open.
type Stats struct {
	Segments, Builds        int // now
	DiskBytes, CacheBytes   int64
	Plans                   uint64 // with columns
	CacheHits, CacheMisses  uint64 // blocks of a column
	Built, Dropped, Evicted uint64 // segments, over time
}

// Stats returns the counts of now.
func (s *Store) Stats() Stats { return Stats{} }
