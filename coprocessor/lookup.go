package coprocessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage/mvcc"
)

// lookUp is IndexLookUp, as TiKV has it: its first child reads an index, its second is the scan of the table, whose ranges
// are the records that the index names. A batch of index rows is looked up at a time, in the order of record keys.
//
// Records of another region are not to be seen from here. Their index rows go into an intermediate output of the response,
// the channel that the request has for this executor, and the client looks them up itself.
type lookUp struct {
	run     *dagRun
	index   executor.Operator
	table   executor.Operator // the records found, through found
	found   *foundRows
	handles []int // of the index rows' columns
	channel *channel
}

// channel collects the index rows whose records are elsewhere.
type channel struct {
	*output
	at int // among the response's intermediate outputs
}

// looked is what was read of records looked up.
type looked struct {
	stats mvcc.ScanStats
	bytes uint64
}

func newLookUp(e *tipb.Executor, run *dagRun) (executor.Operator, error) {
	kids := executor.Children(e)
	scan := kids[1].GetTblScan()
	switch {
	case kids[0] == nil || kids[1].GetTp() != tipb.ExecType_TypeTableScan || scan == nil:
		return nil, errors.New("IndexLookUp without an index and a table scan")
	case e.IndexLookup.GetKeepOrder():
		return nil, errors.New("IndexLookUp with keep_order is not supported")
	case len(scan.PrimaryPrefixColumnIds) > 0:
		return nil, errors.New("IndexLookUp by a prefix of a primary key is not supported")
	}
	index, err := executor.Build(kids[0], run.leaf, run.env)
	if err != nil {
		return nil, err
	}
	l := &lookUp{run: run, index: index, found: &foundRows{run: run, scan: kids[1]}}
	if err := l.compile(e, scan); err != nil {
		return nil, errors.Join(err, index.Close())
	}
	l.table, err = executor.Build(kids[1], func(*tipb.Executor) (executor.Operator, error) { return l.found, l.found.open(nil) }, run.env)
	if err != nil {
		return nil, errors.Join(err, index.Close())
	}
	return l, nil
}

func (l *lookUp) compile(e *tipb.Executor, scan *tipb.TableScan) error {
	fields := l.index.Fields()
	for _, at := range e.IndexLookup.IndexHandleOffsets {
		if int64(at) >= int64(len(fields)) {
			return fmt.Errorf("handle offset %d, but the index gives %d columns", at, len(fields))
		}
		l.handles = append(l.handles, int(at))
	}
	if want := max(len(scan.PrimaryColumnIds), 1); len(l.handles) != want {
		return fmt.Errorf("IndexLookUp with %d handle columns, not %d", len(l.handles), want)
	}
	if kind := column.KindOf(fields[l.handles[0]]); len(scan.PrimaryColumnIds) == 0 && kind != column.Int64 && kind != column.Uint64 {
		return errors.New("IndexLookUp with an integer handle that is no integer")
	}
	return l.openChannel(e)
}

// openChannel finds the request's channel for this executor.
func (l *lookUp) openChannel(e *tipb.Executor) error {
	number, fields := slices.Index(executor.PostOrder(l.run.root), e), l.index.Fields()
	for i, d := range l.run.dag.IntermediateOutputChannels {
		if int64(d.ExecutorIdx) != int64(number) {
			continue
		}
		if err := checkOffsets(d.OutputOffsets, len(fields)); err != nil {
			return err
		}
		l.channel = &channel{output: l.run.newChannel(fields, d.OutputOffsets), at: i}
		l.run.channels = append(l.run.channels, l.channel)
		return nil
	}
	return errors.New("IndexLookUp without an intermediate output")
}

// Fields are those of the table scan.
func (l *lookUp) Fields() []*tipb.FieldType { return l.table.Fields() }

func (l *lookUp) Close() error { return errors.Join(l.index.Close(), l.table.Close()) }

func (l *lookUp) Next(ctx context.Context) (executor.Batch, error) {
	for {
		b, err := l.table.Next(ctx)
		if err != io.EOF {
			return b, err
		}
		if err := l.found.closeReader(); err != nil {
			return executor.Batch{}, err
		}
		if b, err = l.index.Next(ctx); err != nil {
			return executor.Batch{}, err
		}
		if err := l.lookUp(b); err != nil {
			return executor.Batch{}, err
		}
	}
}

// lookUp sends index rows on their ways.
func (l *lookUp) lookUp(b executor.Batch) error {
	region := l.run.view.snap.Region()
	var keys [][]byte
	var elsewhere []int32
	for i := range b.Len() {
		row := b.Row(i)
		key, err := l.recordKey(b, row)
		if err != nil {
			return err
		}
		if at := memcmp.AppendBytes(nil, key); bytes.Compare(at, region.StartKey) < 0 ||
			len(region.EndKey) > 0 && bytes.Compare(at, region.EndKey) >= 0 {
			elsewhere = append(elsewhere, int32(row))
			continue
		}
		keys = append(keys, key)
	}
	if len(elsewhere) > 0 {
		b.Sel = elsewhere
		if err := l.channel.encode(b); err != nil {
			return err
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return l.found.open(slices.CompactFunc(keys, bytes.Equal))
}

// recordKey is the key of the record that an index row names.
func (l *lookUp) recordKey(b executor.Batch, row int) ([]byte, error) {
	scan, fields := l.found.scan.TblScan, l.index.Fields()
	key := tablekey.AppendRecordPrefix(nil, scan.TableId)
	for _, at := range l.handles {
		d := datum.FromColumn(b.Cols[at], row, fields[at])
		switch {
		case d.IsNull():
			return nil, errors.New("IndexLookUp: a handle is NULL")
		case len(scan.PrimaryColumnIds) > 0:
			var err error
			if key, err = datum.AppendKey(key, d, fields[at]); err != nil {
				return nil, err
			}
		case d.Kind() == datum.Uint64:
			key = memcmp.AppendInt64(key, int64(d.Uint64()))
		default:
			key = memcmp.AppendInt64(key, d.Int64())
		}
	}
	return key, nil
}

// foundRows scans the records of keys; open gives it the next ones.
type foundRows struct {
	executor.Operator // over reader
	run               *dagRun
	scan              *tipb.Executor
	reader            *rangeReader
}

func (f *foundRows) open(keys [][]byte) error {
	if err := f.closeReader(); err != nil {
		return err
	}
	ranges := make([]*coprocessor.KeyRange, len(keys))
	for i, key := range keys {
		ranges[i] = &coprocessor.KeyRange{Start: key, End: append(key[:len(key):len(key)], 0)}
	}
	f.reader = f.run.newReader(f.scan, ranges)
	op, err := newScan(f.scan, f.reader, f.run.env.Expr)
	if err == nil {
		f.Operator = fairScan{op, f.run}
	}
	return err
}

func (f *foundRows) closeReader() error {
	if f.reader == nil {
		return nil
	}
	addStats(&f.run.looked.stats, f.reader.Stats())
	f.run.looked.bytes += f.reader.bytes
	err := f.reader.close()
	f.reader = nil
	return err
}

func (f *foundRows) Close() error { return f.closeReader() }

// recordRanges are the records that the IndexLookUps of a plan may look up: locks in memory are checked for them too.
func recordRanges(list []*tipb.Executor) []*coprocessor.KeyRange {
	var ranges []*coprocessor.KeyRange
	if !slices.ContainsFunc(list, func(e *tipb.Executor) bool { return e.GetTp() == tipb.ExecType_TypeIndexLookUp }) {
		return nil
	}
	for _, e := range list {
		if scan := e.GetTblScan(); scan != nil {
			all := tablekey.RecordRange(scan.TableId)
			ranges = append(ranges, &coprocessor.KeyRange{Start: all.Start, End: all.End})
		}
	}
	return ranges
}
