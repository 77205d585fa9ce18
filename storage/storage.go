// Package storage is the seam between transactions and replication: what a region's data looks like from above, and
// how a set of changes enters it. raftstore implements Store; the transaction layer, the coprocessor and raw key-value
// service use it. It holds types only.
package storage

import (
	"context"
	"errors"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
)

// CF is a column family: a key space of its own inside a region.
type CF byte

// The column families. Transactional data lives in CFLock, CFWrite and CFDefault under mce(user key). Raw data has
// families of its own: a client of API V1 names default, lock or write, and cannot harm transactions by it.
const (
	CFDefault CF = 'd' // mce(key) + ^start_ts -> long values
	CFLock    CF = 'l' // mce(key) -> lock record
	CFWrite   CF = 'w' // mce(key) + ^commit_ts -> write record

	CFRaw      CF = 'r' // API V1: key -> value; with TTL the value is one of codec/rawvalue
	CFRawLock  CF = 'L' // the same, where the client names the family lock
	CFRawWrite CF = 'W' // and where it names write
	CFRawV2    CF = 'R' // API V2: mce('r' + keyspace + key) -> value of codec/rawvalue
)

// Region addresses one region as the caller knows it. Mismatches come back as *RegionError.
type Region struct {
	ID          uint64
	Epoch       *metapb.RegionEpoch // nil: not checked
	Peer        *metapb.Peer        // nil: not checked
	Term        uint64              // 0: not checked
	ReplicaRead bool                // any peer may serve, after a read-index round
	Question    []byte              // what that round asks of the leader's store; its refusal is the read's error
	StaleReadTS uint64              // > 0: any peer whose safe ts has reached it may serve
	ReadTS      uint64              // > 0, of a read: a region in flashback serves what is before that began
	DiskFullOpt kvrpcpb.DiskFullOpt // of a write: how full the disk may be
	Lazy        bool                // of a command that writes: what it sees may be of any time up to its first look
	Flashback   bool                // a step of a flashback: for regions in that state, where nothing else passes
}

// Op is what a Modify does.
type Op byte

// The operations.
const (
	OpPut Op = iota
	OpDelete
	OpDeleteRange // [Key, EndKey)
)

// Modify is one change of a region's data. Keys are keys inside the family, without any engine prefix; they must lie in
// the region's (encoded) range. The store keeps no reference to the slices after Write returns.
type Modify struct {
	Op     Op
	CF     CF
	Key    []byte
	Value  []byte
	EndKey []byte
}

// Store reads and writes regions. Safe for concurrent use.
type Store interface {
	// Snapshot returns a linearizable view of a region: everything acknowledged before the call is in it. The caller
	// closes it. Errors: *RegionError, or the context's. A lazy one is taken when it is first looked at, if the region has the
	// same leader and bounds then; else looking fails.
	Snapshot(ctx context.Context, at Region) (Snapshot, error)
	// Write replicates mods as one atomic change and returns once it is applied here. An error that is a *RegionError
	// says that nothing was written, except ErrUndetermined and the context's error: then it may still be applied.
	Write(ctx context.Context, at Region, mods []Modify) error
	// Submit is Write for who has to learn the outcome, whatever becomes of the caller: it returns at once, and the channel
	// gets the outcome once. The error is what Write would have returned without trying. mods may be reused.
	Submit(at Region, mods []Modify) (outcome <-chan error, err error)
	// PrepareFlashback puts a region into the state of flashback, which began at startTS, above 0, and FinishFlashback takes it
	// out. In this state it takes no writes but those with Region.Flashback, and serves no reads but those and the ones of a
	// ReadTS below startTS; it keeps its bounds and its peers. The region's descriptor tells. Errors are those of Write.
	PrepareFlashback(ctx context.Context, at Region, startTS uint64) error
	FinishFlashback(ctx context.Context, at Region) error
}

// Snapshot is a consistent view of one region. Not safe for concurrent use unless it says so: Get and NewIterator may
// be called concurrently, an Iterator belongs to one goroutine.
type Snapshot interface {
	// Region is the region's descriptor at the time of the snapshot. Bounds are encoded keys. Read only.
	Region() *metapb.Region
	// Term and DataVersion (the applied index) of the view; DataVersion changes with every write.
	Term() uint64
	DataVersion() uint64
	// Get returns the value of key, nil if absent (a present empty value is non-nil). The slice is the caller's.
	Get(cf CF, key []byte) ([]byte, error)
	// Absent tells, from memory, that cf lacks a key by now, whatever the view has: all writes acknowledged before the call
	// are taken into account. It is for who keeps others from putting the key, as a command that holds its latch. False says
	// nothing.
	Absent(cf CF, key []byte) bool
	// NewIterator iterates keys of cf in [Lower, Upper), clipped to the region.
	NewIterator(opts IterOptions) (Iterator, error)
	Close() error
}

// IterOptions bound an iterator.
type IterOptions struct {
	CF           CF
	Lower, Upper []byte // nil: the region's bound
	// MinTS skips blocks of CFWrite that hold only versions committed below it (block property); 0 reads all.
	MinTS uint64
	// FillCache is false for large scans that should not evict what point reads use.
	NoFillCache bool
	// PrefixSame: the caller only ever seeks keys with one user key per seek (uses blooms).
	Prefix bool
}

// Iterator walks keys of one family in order. Positioning calls return Valid(). Key and Value are valid until the next
// positioning call. After a false return, Error tells end from failure.
type Iterator interface {
	First() bool
	Last() bool
	SeekGE(key []byte) bool
	SeekLT(key []byte) bool
	Next() bool
	Prev() bool
	Valid() bool
	Key() []byte
	Value() []byte
	// NextEntry is Next, Key and Value in one call, for loops over many keys. ok is Next's result.
	NextEntry() (key, value []byte, ok bool)
	// SetBounds changes the bounds, to ones inside the region, neither of them nil, and leaves the iterator without a
	// position: cheaper than another iterator.
	SetBounds(lower, upper []byte)
	Error() error
	Close() error
}

// RegionError is a routing failure in the words of the wire protocol: the client refreshes its region cache and tries
// again. See kvproto's errorpb for the variants.
type RegionError struct{ Pb *errorpb.Error }

func (e *RegionError) Error() string {
	if e.Pb.Message != "" {
		return "region error: " + e.Pb.Message
	}
	return "region error: " + e.Pb.String()
}

// ErrUndetermined is in the chain of a Write error whose outcome is not known: the proposal may still commit.
var ErrUndetermined = errors.New("the outcome of the write is not known")
