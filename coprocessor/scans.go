package coprocessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage/mvcc"
)

// checkCapabilities refuses the executors that TiKV does not have, unless the client says that it knows ours.
func checkCapabilities(root *tipb.Executor, flags uint64) error {
	if flags&executor.FlagWholePlans != 0 {
		return nil
	}
	for _, e := range executor.PostOrder(root) {
		switch e.Tp {
		case tipb.ExecType_TypeJoin, tipb.ExecType_TypeSort, tipb.ExecType_TypeWindow, tipb.ExecType_TypeExpand2,
			tipb.ExecType_TypeExchangeReceiver:
			return fmt.Errorf("executor %s is not supported without flag %#x", e.Tp, executor.FlagWholePlans)
		}
	}
	return nil
}

// scansOf counts the scans of a plan that the request's ranges are for.
func scansOf(root *tipb.Executor) int {
	n := 0
	for _, e := range executor.PostOrder(root) {
		switch e.Tp {
		case tipb.ExecType_TypeTableScan, tipb.ExecType_TypeIndexScan:
			n++
		case tipb.ExecType_TypeIndexLookUp:
			n-- // its table scan has the ranges that its index scan finds
		}
	}
	return n
}

// leaf makes the operator of a scan, of an IndexLookUp or of a receiver. A single scan has all of the request's ranges; of several, each
// has those that lie in its table's records or in its index. Only a single scan has pages.
func (r *dagRun) leaf(e *tipb.Executor) (executor.Operator, error) {
	switch e.GetTp() {
	case tipb.ExecType_TypeIndexLookUp:
		return newLookUp(e, r)
	case tipb.ExecType_TypeExchangeReceiver:
		return r.receiver(e.ExchangeReceiver)
	}
	ranges := r.req.Ranges
	if r.scans > 1 {
		var err error
		if ranges, err = rangesWithin(ranges, e); err != nil {
			return nil, err
		}
	}
	reader := r.newReader(e, ranges)
	if r.scans == 1 {
		reader.keysMax, reader.bytesMax = r.req.MaxKeysRead, r.req.PagingSizeBytes
		reader.paged = r.req.PagingSize > 0 || r.req.MaxKeysRead > 0 || r.req.PagingSizeBytes > 0
		reader.tracked = r.tracks()
	}
	r.readers = append(r.readers, reader)
	op, err := r.newColumnScan(e, reader)
	if err == nil && op == nil {
		op, err = newScan(e, reader, r.env.Expr)
	}
	if err != nil {
		return nil, err
	}
	return fairScan{op, r}, nil
}

// receiver hands out the rows that came in the receiver.
func (r *dagRun) receiver(e *tipb.ExchangeReceiver) (executor.Operator, error) {
	b, err := executor.ReadBroadcast(e, r.env.Memory)
	if err != nil {
		return nil, err
	}
	r.received = append(r.received, b)
	return b.Source(), nil
}

// newReader reads ranges for a scan.
func (r *dagRun) newReader(scan *tipb.Executor, ranges []*coprocessor.KeyRange) *rangeReader {
	o := r.view.opts
	o.Desc = scan.GetTblScan().GetDesc() || scan.GetIdxScan().GetDesc()
	// Record keys of integer handles have one length; other keys may be prefixes of each other.
	keyLen := 0
	if scan.TblScan != nil && len(scan.TblScan.PrimaryColumnIds) == 0 {
		keyLen = intRecordKeyLen
	}
	return newRangeReader(r.view.snap, ranges, keyLen, o)
}

// rangesWithin are the ranges that lie in what a scan reads. One that is only partly there is refused.
func rangesWithin(ranges []*coprocessor.KeyRange, scan *tipb.Executor) (within []*coprocessor.KeyRange, err error) {
	all := tablekey.RecordRange(scan.GetTblScan().GetTableId())
	if ix := scan.GetIdxScan(); ix != nil {
		all = tablekey.IndexRange(ix.TableId, ix.IndexId)
	}
	for i, kr := range ranges {
		switch {
		case bytes.Compare(kr.Start, all.End) >= 0 || len(kr.End) > 0 && bytes.Compare(kr.End, all.Start) <= 0:
		case bytes.Compare(kr.Start, all.Start) < 0 || len(kr.End) == 0 || bytes.Compare(kr.End, all.End) > 0:
			return nil, fmt.Errorf("key range %d is in several of the plan's tables", i)
		default:
			within = append(within, kr)
		}
	}
	return within, nil
}

// main is the reader that pages and counts are about: of the only scan, or of the first.
func (r *dagRun) main() *rangeReader { return r.readers[0] }

// readStats sums up what all scans have read, and the bytes of it.
func (r *dagRun) readStats() (stats mvcc.ScanStats, bytes uint64) {
	stats, bytes = r.looked.stats, r.looked.bytes
	for _, reader := range r.readers {
		addStats(&stats, reader.Stats())
		bytes += reader.bytes
	}
	for _, s := range r.columns {
		addStats(&stats, s.counts.stats())
		bytes += s.counts.bytes
	}
	return stats, bytes
}

func (r *dagRun) closeReaders() error {
	var errs []error
	for _, reader := range r.readers {
		errs = append(errs, reader.close())
	}
	return errors.Join(errs...)
}

// fairScan lets others go first between the batches of a scan, as an aggregation above may not give any for long.
type fairScan struct {
	executor.Scan
	run *dagRun
}

func (f fairScan) Next(ctx context.Context) (executor.Batch, error) {
	if err := f.run.slot.yield(ctx); err != nil {
		return executor.Batch{}, err
	}
	return f.Scan.Next(ctx)
}

func (f fairScan) NextRows(ctx context.Context) (executor.Batch, error) {
	if err := f.run.slot.yield(ctx); err != nil {
		return executor.Batch{}, err
	}
	return f.Scan.NextRows(ctx)
}

// intRecordKeyLen is the length of record keys with integer handles: t, table id, _r, handle.
const intRecordKeyLen = 1 + 8 + 2 + 8
