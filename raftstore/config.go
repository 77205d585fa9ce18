package raftstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"

	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// Config sets a store up. Zero values stand for the defaults named.
type Config struct {
	StoreID   uint64 // required
	ClusterID uint64

	TickInterval   time.Duration // raft's clock, 100 ms
	ElectionTicks  int           // a follower waits one to two times this for its leader, 8
	HeartbeatTicks int           // 2

	WriteLoops int // goroutines that own the raft nodes and write the log, 2
	ApplyLoops int // goroutines that apply to the data, 2

	SplitBytes uint64 // size of the parts that a grown region is split into, 96 MiB
	MaxBytes   uint64 // size at which a region is split, 144 MiB

	EntryBytesMax   int   // of one write, 64 MiB; larger ones fail with RaftEntryTooLarge
	PendingBytesMax int64 // of writes that wait for the log or to be applied, 512 MiB; beyond it ServerIsBusy
	// DiskReserveBytes are kept free for what the store does by itself, 1 GiB, but no more than a twentieth of the disk:
	// with less, writes fail with DiskFull.
	DiskReserveBytes uint64
	LogBytesMax      int64 // of the raft log; beyond it the data is flushed so that the log can be cut, 256 MiB

	LogKeepBytes int64 // of a region's log that are kept for peers that are behind, 64 MiB; then they get a snapshot

	PlacementInterval time.Duration // of region heartbeats without change, 60 s
	HousekeepInterval time.Duration // of log truncation and size checks, 1 s
}

func (c Config) withDefaults() Config {
	c.TickInterval = cmp.Or(c.TickInterval, 100*time.Millisecond)
	c.ElectionTicks = cmp.Or(c.ElectionTicks, 8)
	c.HeartbeatTicks = cmp.Or(c.HeartbeatTicks, 2)
	c.WriteLoops = cmp.Or(c.WriteLoops, 2)
	c.ApplyLoops = cmp.Or(c.ApplyLoops, 2)
	c.SplitBytes = cmp.Or(c.SplitBytes, 96<<20)
	c.MaxBytes = cmp.Or(c.MaxBytes, c.SplitBytes+c.SplitBytes/2)
	c.EntryBytesMax = cmp.Or(c.EntryBytesMax, 64<<20)
	c.PendingBytesMax = cmp.Or(c.PendingBytesMax, 512<<20)
	c.DiskReserveBytes = cmp.Or(c.DiskReserveBytes, 1<<30)
	c.LogBytesMax = cmp.Or(c.LogBytesMax, 256<<20)
	c.LogKeepBytes = cmp.Or(c.LogKeepBytes, 64<<20)
	c.PlacementInterval = cmp.Or(c.PlacementInterval, 60*time.Second)
	c.HousekeepInterval = cmp.Or(c.HousekeepInterval, time.Second)
	return c
}

func (c Config) validate() error {
	switch {
	case c.StoreID == 0:
		return errors.New("raftstore: StoreID is required")
	case c.ElectionTicks < 4 || c.ElectionTicks <= c.HeartbeatTicks:
		return fmt.Errorf("raftstore: ElectionTicks %d must be at least 4 and above HeartbeatTicks %d", c.ElectionTicks, c.HeartbeatTicks)
	case c.WriteLoops < 1 || c.ApplyLoops < 1:
		return errors.New("raftstore: WriteLoops and ApplyLoops must be positive")
	case c.MaxBytes < c.SplitBytes:
		return errors.New("raftstore: MaxBytes must not be below SplitBytes")
	}
	return nil
}

// leaseDuration is how long after a quorum has answered a leader no other can be elected. A follower that heard of its
// leader votes for nobody until ElectionTicks ticks have passed. Ticks are not caught up after a stall, but two may
// come close together at each of the two hand-overs between ticker and write loop; the rest is for clocks that differ.
func (c Config) leaseDuration() time.Duration {
	return c.TickInterval * time.Duration(c.ElectionTicks) * 6 / 10
}

// Deps are what a store works with. Data and Log are required; the owner closes their engines after Stop.
type Deps struct {
	Data      *engine.Engine // without write-ahead log
	Log       *raftlog.Log
	Transport Transport     // nil: messages to other stores are dropped
	Placement Placement     // nil: nobody is told, and nothing can be split
	Observer  Observer      // nil: nobody is told
	Guard     ReadGuard     // nil: all questions of reads are answered by consent
	Writes    WriteObserver // nil: nobody looks
	Clock     Clock         // nil: SystemClock
	Tasks     Tasks         // nil: goroutines; see Stepper
	Rand      *rand.Rand    // spreads periodic work; nil: not spread
	Logger    *slog.Logger  // nil: slog.Default()
}

// Receiver is a store as a transport sees it: *Store.
type Receiver interface {
	Receive(msg *raft_serverpb.RaftMessage)
	ReceiveSnapshot(msg *raft_serverpb.RaftMessage, next func() ([]byte, error)) error
	ReportUnreachable(region, peerID uint64)
}

var _ Receiver = (*Store)(nil)

// Transport takes messages to other stores.
type Transport interface {
	// Bind tells the transport, once and before all else, who receives what arrives from other stores. Open calls it.
	Bind(r Receiver)
	// Send queues msg for the store of msg.ToPeer. It does not block: when its queue is full, or the store cannot be
	// reached, the message is lost and the transport calls Store.ReportUnreachable. It must not keep or change the message's
	// entries after Send if it cannot encode them at once: they are shared with the raft log and read only.
	Send(msg *raft_serverpb.RaftMessage)
	// SendSnapshot streams a snapshot: msg, then the chunks of src until io.EOF. It returns at once, closes src and
	// calls done with the outcome, which is nil only if the receiver has taken all of it.
	SendSnapshot(msg *raft_serverpb.RaftMessage, src SnapshotSource, done func(error))
}

// SnapshotSource yields the chunks of a snapshot, io.EOF at the end. A chunk is valid until the next call.
type SnapshotSource interface {
	Next() ([]byte, error)
	Close() error
}

// Placement is what a store tells the placement driver, and asks it.
type Placement interface {
	// RegionHeartbeat reports a region led here. It does not block and may lose the report.
	RegionHeartbeat(req *pdpb.RegionHeartbeatRequest)
	// AskBatchSplit reserves the ids for n new regions split off region.
	AskBatchSplit(ctx context.Context, region *metapb.Region, n int) ([]*pdpb.SplitID, error)
	// ReportSplit tells the regions that a split resulted in, in key order.
	ReportSplit(ctx context.Context, regions []*metapb.Region)
}

// WriteObserver sees what is applied to the data of this store, whoever leads its regions. Between BeginApply and EndApply
// batches of writes are applied; several may be at it at a time.
type WriteObserver interface {
	// BeginApply tells whether the writes up to EndApply are to be shown.
	BeginApply() (observes bool)
	// ObservePut is called before the pair is in the data. The slices are valid during the call.
	ObservePut(cf storage.CF, key, value []byte)
	// ObserveReplaced is called before and after data is replaced by that of another replica, at any time.
	ObserveReplaced()
	EndApply()
}

// Observer hears of leadership, and of what becomes of regions. Calls for different regions may be concurrent.
type Observer interface {
	// OnLeader is called soon after a peer of this store became leader of region, and again if it has offered the
	// leadership to another that did not take it, and after a split: from goroutines that serve nothing else, it may take its
	// time. Stop waits for calls under way.
	OnLeader(region *metapb.Region, term uint64)
	// BeforeTransfer is called before the leader of region offers its leadership to another peer, or proposes a split into
	// regions that others may lead, which waits for the return: until then reads and writes are served here. Stop waits for
	// calls under way.
	BeforeTransfer(region *metapb.Region, term uint64)
	// OnSplit is called when a split is applied here, whether this store leads or not, before anything is read or written
	// under the new descriptors. It must not wait.
	OnSplit(s Split)
	// OnErase is called before records of storage.CFWrite are removed here, one by one (storage.OpDelete) or by ranges
	// (storage.OpDeleteRange; an empty end is open): when no snapshot lacks them yet. What it returns, if not nil, is called
	// once all new snapshots do. A region whose data is replaced, or leaves the store, is a range. Neither may wait; removals
	// are the caller's again after the second call.
	OnErase(removals []storage.Modify) (erased func())
	// OnLoss is called when this store does not lead a region any more, or after a split leads less of its keys: left is what
	// it may lead still, nil for nothing. By then reads and writes of the rest are refused. It must not wait.
	OnLoss(regionID uint64, left *metapb.Region)
}

// Split is what became of a region.
type Split struct {
	RegionID  uint64           // that was split, and keeps its id
	Term      uint64           // in which its leader proposed the split
	Regions   []*metapb.Region // that resulted, in key order. Read only
	FirstTerm uint64           // the first in which the new ones can have leaders
}

// ReadGuard has its say in reads served by peers that do not lead: what a leader's store knows of reads and of writes on
// their way, and others do not, see storage.Region.Question.
type ReadGuard interface {
	// Ask puts a question to the store that leads the region, before the read's index is taken. A nil answer consents.
	// It is called in a write loop and must not wait. The error is for questions that are malformed.
	Ask(question []byte) (answer []byte, err error)
	// Refusal turns an answer, back on the store that reads, into the error of the read.
	Refusal(answer []byte) error
}

// Clock is the time that a store lives by.
type Clock interface {
	// Now must have a monotonic reading: leases are measured with it.
	Now() time.Time
	// NewTicker returns a channel that delivers about every d, dropping ticks for a slow reader, and what stops it.
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

// SystemClock is the operating system's time.
type SystemClock struct{}

var _ Clock = SystemClock{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// NewTicker implements Clock.
func (SystemClock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// The absent collaborators.
type (
	noTransport struct{}
	noPlacement struct{}
	noObserver  struct{}
	noGuard     struct{}
	noWrites    struct{}
)

var errNoPlacement = errors.New("raftstore: there is no placement driver")

func (noTransport) Bind(Receiver)                   {}
func (noTransport) Send(*raft_serverpb.RaftMessage) {}
func (noTransport) SendSnapshot(_ *raft_serverpb.RaftMessage, src SnapshotSource, done func(error)) {
	done(errors.Join(errors.New("raftstore: there is no transport"), src.Close()))
}
func (noPlacement) RegionHeartbeat(*pdpb.RegionHeartbeatRequest) {}
func (noPlacement) AskBatchSplit(context.Context, *metapb.Region, int) ([]*pdpb.SplitID, error) {
	return nil, errNoPlacement
}
func (noPlacement) ReportSplit(context.Context, []*metapb.Region) {}
func (noObserver) OnLeader(*metapb.Region, uint64)                {}
func (noObserver) BeforeTransfer(*metapb.Region, uint64)          {}
func (noObserver) OnSplit(Split)                                  {}
func (noObserver) OnErase([]storage.Modify) func()                { return nil }
func (noObserver) OnLoss(uint64, *metapb.Region)                  {}
func (noWrites) BeginApply() bool                                 { return false }
func (noWrites) EndApply()                                        {}
func (noWrites) ObservePut(storage.CF, []byte, []byte)            {}
func (noWrites) ObserveReplaced()                                 {}
func (noGuard) Ask([]byte) ([]byte, error)                        { return nil, nil }
func (noGuard) Refusal([]byte) error                              { return errors.New("raftstore: a read was refused") }

func (d Deps) withDefaults() Deps {
	if d.Transport == nil {
		d.Transport = noTransport{}
	}
	if d.Placement == nil {
		d.Placement = noPlacement{}
	}
	if d.Observer == nil {
		d.Observer = noObserver{}
	}
	if d.Guard == nil {
		d.Guard = noGuard{}
	}
	if d.Writes == nil {
		d.Writes = noWrites{}
	}
	if d.Clock == nil {
		d.Clock = SystemClock{}
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}
