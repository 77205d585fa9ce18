package coprocessor

import (
	"bytes"
	"context"
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/storage/columnar"
)

// segments decide which parts of tables have columnar segments, and have them built, one after another, by a goroutine in
// the background. A part is what of a table lies in one region.
//
// Only scans that read rowsMin rows of a part or more count: smaller ones gain nothing. A part gets a segment after the first of
// them, with the columns that it asked for. Other columns are added once scans that lack them have read half as many rows as the
// segment has. It is built anew when scans had to read twice as many because the table has changed; if the segment before has not
// even served its own number of rows, twice as many as that time. So a table that changes all the time costs a
// build for ever more scans.
type segments struct {
	e       *Endpoint
	store   *columnar.Store
	rowsMin int64
	queue   chan partID // parts to build; where it is full, a later scan tries again
	cancel  context.CancelFunc
	stopped chan struct{}

	mu     sync.Mutex
	parts  map[partID]*part
	counts scanCounts
}

// ColumnsStatus is what an endpoint tells of its columnar segments.
type ColumnsStatus struct {
	columnar.Stats
	// Pending are the parts of tables whose segments are being built, or wait for it.
	Pending int `json:"pending"`
	scanCounts
}

// scanCounts sum up what table scans have done that may use columns.
type scanCounts struct {
	RowsFromColumns uint64 `json:"rows_from_columns"`
	RowsSkipped     uint64 `json:"rows_skipped"` // by the zones of blocks
	RowsFromRows    uint64 `json:"rows_from_rows"`
	BuildsFailed    uint64 `json:"builds_failed"`
}

// partID names what of a table lies in a region.
type partID struct {
	region uint64
	table  int64
}

// part is what is known of a part of a table.
type part struct {
	start, end []byte // of its record keys
	pending    bool
	context    *kvrpcpb.Context // how the last scan that counted addressed the region
	// Since the last build: the columns of scans that had to read rows, how many rows for want of columns and how many because of
	// changes, and how many came from the segment.
	wanted          map[columnar.ColumnKey]struct{}
	lacked, changed int64
	served          int64
	// rows is how many the last build has met; patience, how many times the usual number of rows to wait for the next.
	rows, patience int64
}

const (
	// partsMax bounds the parts that are remembered. Beyond, all are forgotten: what is scanned often comes back soon.
	partsMax = 16 << 10
	// wantedMax bounds the columns of a segment.
	wantedMax = 1024
	// pendingMax bounds the parts that wait for a segment.
	pendingMax = 1024
	// patienceMax bounds what many builds in vain come to: a table that changes no more is copied after so many times the usual
	// number of scans.
	patienceMax = 16
)

// newSegments starts building segments in store for the scans of e.
func newSegments(e *Endpoint, store *columnar.Store, rowsMin int64) *segments {
	ctx, cancel := context.WithCancel(context.Background())
	s := &segments{
		e: e, store: store, rowsMin: rowsMin, queue: make(chan partID, pendingMax), cancel: cancel, stopped: make(chan struct{}),
		parts: make(map[partID]*part),
	}
	go func() {
		defer close(s.stopped)
		s.build(ctx)
	}()
	return s
}

// stop ends the build that is under way and waits for it.
func (s *segments) stop() {
	s.cancel()
	<-s.stopped
}

func (s *segments) status() ColumnsStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := ColumnsStatus{Stats: s.store.Stats(), scanCounts: s.counts}
	for _, p := range s.parts {
		if p.pending {
			st.Pending++
		}
	}
	return st
}

// note takes in what a scan has read.
func (s *segments) note(scan *columnScan) {
	read := int64(scan.reader.Stats().ProcessedKeys)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.RowsFromColumns += uint64(scan.counts.rows)
	s.counts.RowsSkipped += uint64(scan.counts.skipped)
	s.counts.RowsFromRows += uint64(read)
	id := partID{scan.run.view.snap.Region().Id, scan.scan.TblScan.TableId}
	p := s.parts[id]
	if p != nil {
		p.served += scan.counts.rows + scan.counts.skipped
	}
	pb := scan.run.req.GetContext()
	if read < s.rowsMin || pb.GetStaleRead() {
		return
	}
	if p == nil {
		p = s.add(id)
	}
	p.start, p.end = partBounds(scan.run.view.snap.Region(), id.table)
	p.context = buildContext(pb)
	if scan.counts.unplanned > 0 && !s.has(p, scan.keys) {
		p.lacked += read
	} else {
		p.changed += read
	}
	for _, key := range scan.keys {
		if len(p.wanted) < wantedMax {
			p.wanted[key] = struct{}{}
		}
	}
	s.enqueue(id, p)
}

func (s *segments) add(id partID) *part {
	if len(s.parts) >= partsMax {
		for id, p := range s.parts {
			if !p.pending {
				delete(s.parts, id)
			}
		}
	}
	p := &part{wanted: make(map[columnar.ColumnKey]struct{}), patience: 1}
	s.parts[id] = p
	return p
}

// has tells whether a part has a segment with columns.
func (s *segments) has(p *part, keys []columnar.ColumnKey) bool {
	for _, segment := range s.store.Segments(p.start, p.end) {
		if len(missing(keys, segment.Columns)) == 0 {
			return true
		}
	}
	return false
}

// enqueue has a part built if it is due.
func (s *segments) enqueue(id partID, p *part) {
	isDue := p.lacked >= max(s.rowsMin, p.rows/2*p.patience) || p.changed >= max(s.rowsMin, 2*p.rows*p.patience)
	if p.pending || !isDue {
		return
	}
	select {
	case s.queue <- id:
		p.pending = true
	default:
	}
}

// partBounds are the first record key of a table that a region may have, and the end of them.
func partBounds(region *metapb.Region, table int64) (start, end []byte) {
	all := tablekey.RecordRange(table)
	start, end = all.Start, all.End
	if from := memcmp.Ceil(region.StartKey); bytes.Compare(from, start) > 0 {
		start = from
	}
	if to := memcmp.Ceil(region.EndKey); len(region.EndKey) > 0 && bytes.Compare(to, end) < 0 {
		end = to
	}
	return start, end
}

// buildContext addresses the same region in the same way as pb.
func buildContext(pb *kvrpcpb.Context) *kvrpcpb.Context {
	return &kvrpcpb.Context{
		RegionId: pb.GetRegionId(), RegionEpoch: pb.GetRegionEpoch(), Peer: pb.GetPeer(), Term: pb.GetTerm(),
		ReplicaRead: pb.GetReplicaRead(), NotFillCache: true,
	}
}

// missing are the keys that have lacks.
func missing(keys, have []columnar.ColumnKey) (out []columnar.ColumnKey) {
	present := make(map[columnar.ColumnKey]bool, len(have))
	for _, key := range have {
		present[key] = true
	}
	for _, key := range keys {
		if !present[key] {
			out = append(out, key)
		}
	}
	return out
}
