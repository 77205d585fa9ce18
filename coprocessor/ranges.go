package coprocessor

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// rangeReader gives the pairs of several key ranges one after another, as executor.KVIterator. Ranges are ascending;
// with Desc it starts at the end of the last one.
type rangeReader struct {
	snap   storage.Snapshot
	opts   mvcc.ReadOptions
	ranges []*coprocessor.KeyRange // in reading order
	// keyLen is the length that all keys of the scan have, 0 if they differ, see isPoint.
	keyLen int
	// paged notes where reading has come to; keysMax and bytesMax, where not 0, are what one page reads: versions met, and
	// the bytes of keys and values.
	paged             bool
	keysMax, bytesMax uint64
	// tracked also notes where reading has come to.
	tracked bool

	next int // index of the range to open next
	// until is the index of the range to stop before, for now; without columns in between, there is none.
	until int
	open  bool
	scan  *mvcc.Scanner     // of the range that is open, or, where keys ascend, of the last one that was
	get   *mvcc.PointReader // made for the first point
	// reached is where reading has come to, if paged or tracked: all below it is read, or, where keys descend, all from it on.
	reached []byte
	// stopped is set if the page was full before the ranges were at their end.
	stopped bool
	bytes   uint64 // of the pairs handed out
	// counts has the pairs of each range, in reading order.
	counts []int64
	stats  mvcc.ScanStats // of closed scanners and gets
}

func newRangeReader(snap storage.Snapshot, ranges []*coprocessor.KeyRange, keyLen int, o mvcc.ReadOptions) *rangeReader {
	r := &rangeReader{snap: snap, opts: o, ranges: ranges, keyLen: keyLen, until: len(ranges), counts: make([]int64, len(ranges))}
	if o.Desc {
		r.ranges = make([]*coprocessor.KeyRange, len(ranges))
		for i, kr := range ranges {
			r.ranges[len(ranges)-1-i] = kr
		}
	}
	return r
}

var _ executor.BatchIterator = (*rangeReader)(nil)

// Next implements executor.KVIterator.
func (r *rangeReader) Next() (key, val []byte, ok bool, err error) {
	if r.stopped = r.pageIsFull(); r.stopped {
		return nil, nil, false, nil
	}
	for {
		if r.open {
			key, val, ok, err = r.scan.Next()
			if ok {
				r.note(key, val)
			}
			if ok || err != nil {
				return key, val, ok, err
			}
			if err := r.endRange(); err != nil {
				return nil, nil, false, err
			}
		}
		key, val, opened, err := r.openRange()
		if err != nil || val != nil || !opened {
			return key, val, val != nil, err
		}
	}
}

// NextBatch implements executor.BatchIterator. Pages that end at a number of keys or bytes are read pair by pair.
func (r *rangeReader) NextBatch(b *kvbatch.Pairs, rows int) (more bool, err error) {
	for b.Len() < rows && !b.Full() {
		if !r.open || r.keysMax > 0 || r.bytesMax > 0 {
			key, val, ok, err := r.Next()
			if err != nil || !ok {
				return false, err
			}
			b.Append(key, val)
			continue
		}
		count, bytes := b.Len(), b.Bytes()
		more, err := r.scan.NextBatch(b, rows)
		r.noteBatch(b, b.Len()-count, b.Bytes()-bytes)
		if err != nil {
			return false, err
		}
		if more {
			break
		}
		if err := r.endRange(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// openRange goes on to the next range; opened is false if there is none. A point is read at once: val is nil if there is
// nothing there, or if the range has a scan.
func (r *rangeReader) openRange() (key, val []byte, opened bool, err error) {
	if r.next == r.until {
		return nil, nil, false, nil
	}
	kr := r.ranges[r.next]
	r.next++
	if isPoint(kr, r.keyLen) {
		val, err = r.point(kr.Start)
		return kr.Start, val, true, err
	}
	err = r.openScan(kr)
	r.open = err == nil
	return nil, nil, true, err
}

// openScan turns the scanner to a range. Many requests have thousands of them, each of a few keys.
func (r *rangeReader) openScan(kr *coprocessor.KeyRange) (err error) {
	last := r.ranges[len(r.ranges)-1]
	switch {
	case r.scan != nil && len(kr.Start) > 0 && len(kr.End) > 0:
		return r.scan.NextRange(kr.Start, kr.End)
	case r.opts.Desc:
		r.scan, err = mvcc.NewScanner(r.snap, kr.Start, kr.End, r.opts)
	default:
		err = r.closeScan()
		if err == nil {
			r.scan, err = mvcc.NewSpanScanner(r.snap, kr.Start, kr.End, last.End, r.opts)
		}
	}
	return err
}

// pageIsFull tells whether to stop before the next pair. At the end of all ranges there is nothing to stop.
func (r *rangeReader) pageIsFull() bool {
	if r.keysMax == 0 && r.bytesMax == 0 || !r.open && r.next == len(r.ranges) {
		return false
	}
	return r.keysMax > 0 && uint64(r.Stats().TotalKeys) >= r.keysMax || r.bytesMax > 0 && r.bytes >= r.bytesMax
}

// note counts a pair that is handed out.
func (r *rangeReader) note(key, val []byte) { r.noteLast(key, 1, len(key)+len(val)) }

// noteBatch counts the last pairs of a batch.
func (r *rangeReader) noteBatch(b *kvbatch.Pairs, count, bytes int) {
	if count > 0 {
		r.noteLast(b.Keys.At(b.Len()-1), count, bytes)
	}
}

// noteLast counts pairs that are handed out, of which key is the last.
func (r *rangeReader) noteLast(key []byte, count, bytes int) {
	r.counts[r.next-1] += int64(count)
	r.bytes += uint64(bytes)
	if !r.paged && !r.tracked {
		return
	}
	r.reached = append(r.reached[:0], key...)
	if !r.opts.Desc {
		r.reached = append(r.reached, 0)
	}
}

func (r *rangeReader) point(key []byte) ([]byte, error) {
	if r.get == nil {
		r.get = mvcc.NewPointReader(r.snap, r.opts)
	}
	val, _, err := r.get.Get(key)
	r.stats.TotalKeys++
	r.stats.MetNewer = true // a point reader does not tell: such an answer is cheap, and not worth caching
	r.reachEnd()
	if val != nil {
		r.stats.ProcessedKeys++
		r.note(key, val)
	}
	return val, err
}

// endRange leaves a range that has been read.
func (r *rangeReader) endRange() error {
	r.reachEnd()
	r.open = false
	if r.opts.Desc {
		return r.closeScan()
	}
	return nil
}

// reachEnd notes that the current range has been read to its end.
func (r *rangeReader) reachEnd() {
	kr := r.ranges[r.next-1]
	if r.opts.Desc {
		r.reached = append(r.reached[:0], kr.Start...)
	} else {
		r.reached = append(r.reached[:0], kr.End...)
	}
}

func (r *rangeReader) closeScan() error {
	if r.scan == nil {
		return nil
	}
	addStats(&r.stats, r.scan.Stats())
	err := r.scan.Close()
	r.scan = nil
	return err
}

// close releases what is open; the reader is done.
func (r *rangeReader) close() error {
	err := r.closeScan()
	if r.get != nil {
		err = errors.Join(err, r.get.Close())
	}
	return err
}

// Stats sums up everything read so far.
func (r *rangeReader) Stats() mvcc.ScanStats {
	out := r.stats
	if r.scan != nil {
		addStats(&out, r.scan.Stats())
	}
	return out
}

func addStats(to *mvcc.ScanStats, s mvcc.ScanStats) {
	to.ProcessedKeys += s.ProcessedKeys
	to.TotalKeys += s.TotalKeys
	to.MetNewer = to.MetNewer || s.MetNewer
}

// scanned is the interval that has been read: from the start of the first range up to where reading has come, or, where
// keys descend, from there to the end of the last one. nil if nothing was read.
func (r *rangeReader) scanned() *coprocessor.KeyRange {
	if len(r.ranges) == 0 || r.reached == nil {
		return nil
	}
	first, reached := r.ranges[0], bytes.Clone(r.reached)
	if r.opts.Desc {
		return &coprocessor.KeyRange{Start: reached, End: first.End}
	}
	return &coprocessor.KeyRange{Start: first.Start, End: reached}
}

// covers tells whether a key lies in one of ascending ranges.
func covers(ranges []*coprocessor.KeyRange, key []byte) bool {
	behind := sort.Search(len(ranges), func(i int) bool { return bytes.Compare(ranges[i].Start, key) > 0 })
	if behind == 0 {
		return false
	}
	end := ranges[behind-1].End
	return len(end) == 0 || bytes.Compare(key, end) < 0
}

// isPoint reports whether a range can hold just one key: its end is the next key of any length, or, where all keys have
// keyLen bytes and so has the start, the next key of that length.
func isPoint(r *coprocessor.KeyRange, keyLen int) bool {
	n := len(r.Start)
	if len(r.End) == n+1 {
		return r.End[n] == 0 && bytes.HasPrefix(r.End, r.Start)
	}
	if n == 0 || n != keyLen || len(r.End) != n {
		return false
	}
	// Compare with start + 1 without making it.
	i := n - 1
	for ; i >= 0 && r.Start[i] == 0xff; i-- {
		if r.End[i] != 0 {
			return false
		}
	}
	return i >= 0 && r.End[i] == r.Start[i]+1 && bytes.Equal(r.Start[:i], r.End[:i])
}

// checkRanges refuses ranges that are out of order, and ones that reach over the region's bounds: their rows would be
// missing without a word.
func checkRanges(ranges []*coprocessor.KeyRange, region *metapb.Region) error {
	for i, r := range ranges {
		if len(r.End) > 0 && bytes.Compare(r.Start, r.End) > 0 {
			return fmt.Errorf("key range %d is reversed", i)
		}
		if i > 0 && (len(ranges[i-1].End) == 0 || bytes.Compare(ranges[i-1].End, r.Start) > 0) {
			return fmt.Errorf("key range %d is out of order", i)
		}
	}
	if len(ranges) == 0 {
		return nil
	}
	start := memcmp.AppendBytes(nil, ranges[0].Start)
	if bytes.Compare(start, region.StartKey) < 0 {
		return outsideRegion(start, region)
	}
	last := ranges[len(ranges)-1].End
	end := memcmp.AppendBytes(nil, last)
	if len(region.EndKey) > 0 && (len(last) == 0 || bytes.Compare(end, region.EndKey) > 0) {
		return outsideRegion(end, region)
	}
	return nil
}

func outsideRegion(key []byte, region *metapb.Region) error {
	return &storage.RegionError{Pb: &errorpb.Error{
		Message: fmt.Sprintf("key %x is not in region %d", key, region.Id),
		KeyNotInRegion: &errorpb.KeyNotInRegion{
			Key: key, RegionId: region.Id, StartKey: region.StartKey, EndKey: region.EndKey,
		},
	}}
}
