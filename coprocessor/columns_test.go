package coprocessor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/storagetest"
	"github.com/scree-db/scree/storage/txn"
)

// columnTable is a table whose endpoint copies it by columns. rows is an endpoint over the same store that does not.
type columnTable struct {
	*table
	rows *coprocessor.Endpoint
}

// erasing tells columns of removals, as a node does.
type erasing struct {
	*storagetest.Store
	columns *columnar.Store
}

func (s erasing) Write(ctx context.Context, at storage.Region, mods []storage.Modify) error {
	var removals []storage.Modify
	for _, m := range mods {
		if m.CF == storage.CFWrite && m.Op != storage.OpPut {
			removals = append(removals, m)
		}
	}
	if len(removals) > 0 {
		defer s.columns.Erasing(removals)()
	}
	return s.Store.Write(ctx, at, mods)
}

func (s erasing) Submit(at storage.Region, mods []storage.Modify) (<-chan error, error) {
	return storagetest.Begin(s, at, mods), nil
}

// newColumnTable has rows [0, n); scans of rowsMin rows have it copied.
func newColumnTable(t *testing.T, n, rowsMin int64) *columnTable {
	c := &columnTable{table: newTable(t, 0)}
	columns, err := columnar.Open(columnar.Options{FS: vfs.NewMem(), Dir: "columns"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, columns.Close()) })
	store := erasing{c.store, columns}
	c.txn = txn.NewManager(store, c.locks, txn.ManagerOptions{})
	c.rows = c.cop
	c.cop = coprocessor.NewEndpoint(store, c.locks, coprocessor.Options{
		Columns: columns, ColumnsRowsMin: rowsMin, TS: func(context.Context) (uint64, error) { return c.ts, nil },
	})
	t.Cleanup(func() { require.NoError(t, c.cop.Close()) })
	for from := int64(0); from < n; from += 1000 {
		c.insert(from, min(from+1000, n))
	}
	return c
}

// wait has the columns made that scans want.
func (c *columnTable) wait() {
	c.Helper()
	require.Eventually(c, func() bool { return c.cop.Columns().Pending == 0 }, time.Minute, time.Millisecond)
}

// warm asks until all rows of a DAG's scan come from columns.
func (c *columnTable) warm(dag *tipb.DAGRequest) {
	c.Helper()
	require.Eventually(c, func() bool {
		c.handle(c.request(dag))
		c.wait()
		before := c.cop.Columns()
		c.handle(c.request(dag))
		return c.cop.Columns().RowsFromRows == before.RowsFromRows
	}, time.Minute, time.Millisecond)
}

// answer is the rows of a DAG over ranges, in their order, from an endpoint: values with spaces and rows with line ends behind them.
func (c *columnTable) answer(cop *coprocessor.Endpoint, dag *tipb.DAGRequest, ts uint64, ranges ...*copb.KeyRange) string {
	c.Helper()
	req := c.request(dag)
	req.StartTs = ts
	if len(ranges) > 0 {
		req.Ranges = ranges
	}
	var rows []byte
	fields, err := coprocessor.Fields(dag)
	require.NoError(c, err)
	resp, err := cop.Stream(context.Background(), req, nil, func(b executor.Batch) error {
		for i := range b.Len() {
			for col, ft := range fields {
				rows = append(datum.FromColumn(b.Cols[col], b.Row(i), ft).AppendText(rows, ft), ' ')
			}
			rows = append(rows, '\n')
		}
		return nil
	})
	require.NoError(c, err)
	require.Nil(c, resp.RegionError)
	require.Nil(c, resp.Locked)
	require.Empty(c, resp.OtherError)
	return string(rows)
}

// A scan of columns, and of rows between them, tells with each batch what it has read.
func TestColumnsTellHowFar(t *testing.T) {
	c := newColumnTable(t, 20_000, 5000)
	c.warm(scan(false))
	for _, changed := range []int64{0, 9000, 19_000} {
		c.insert(changed, changed+10)
		before := c.cop.Columns()
		for batches := 1; batches < 5; batches++ {
			c.resume(false, batches)
		}
		require.Greater(t, c.cop.Columns().RowsFromColumns, before.RowsFromColumns)
	}
}

// The first scan reads rows and has them copied, the second reads the copy; what it tells of itself says so.
func TestColumnsServeScans(t *testing.T) {
	const rows = 10_000
	c := newColumnTable(t, rows, 5000)
	yes := true
	dag := scan(false, where(tipb.ScalarFuncSig_LTInt, 10*5000))
	dag.CollectExecutionSummaries = &yes

	ask := func() *tipb.TiFlashScanContext {
		resp, s := c.handle(c.request(dag))
		require.Equal(t, want(0, 5000), c.table.rows(s, keyType, intType, textType))
		require.EqualValues(t, 5000, s.ExecutionSummaries[1].GetNumProducedRows())
		detail := s.ExecutionSummaries[0].GetTiflashScanContext()
		read := resp.ExecDetailsV2.ScanDetailV2.ProcessedVersions
		require.Equal(t, read, s.ExecutionSummaries[0].GetNumProducedRows())
		require.EqualValues(t, rows, read+detail.GetDmfileDataSkippedRows())
		return detail
	}
	require.Nil(t, ask())
	c.wait()
	require.Equal(t, 1, c.cop.Columns().Segments)
	detail := ask()
	require.EqualValues(t, 2*column.BatchSize, detail.GetDmfileDataScannedRows())
	require.EqualValues(t, rows-2*column.BatchSize, detail.GetDmfileDataSkippedRows(), "the last block has no v so small")
	st := c.cop.Columns()
	require.EqualValues(t, rows, st.RowsFromRows)
	require.EqualValues(t, 2*column.BatchSize, st.RowsFromColumns)
}

// A scan of few rows does not have the table copied; neither does one by which nobody could tell its version, or that could
// not read the copy.
func TestScansWithoutColumns(t *testing.T) {
	const rows = 6000
	c := newColumnTable(t, rows, 5000)
	part := &copb.KeyRange{Start: key(0), End: key(4999)}
	all := &copb.KeyRange{Start: key(0), End: key(rows)}
	requests := map[string]*copb.Request{}
	add := func(name string, dag *tipb.DAGRequest, change func(req *copb.Request)) {
		requests[name] = c.request(dag)
		requests[name].Ranges = []*copb.KeyRange{all}
		change(requests[name])
	}
	add("few rows", scan(false), func(req *copb.Request) { req.Ranges[0] = part })
	add("descending", scan(true), func(*copb.Request) {})
	add("the newest", scan(false), func(req *copb.Request) { req.StartTs = 1<<64 - 1 })
	add("read committed", scan(false), func(req *copb.Request) { req.Context.IsolationLevel = kvrpcpb.IsolationLevel_RC })
	add("paged", scan(false), func(req *copb.Request) { req.PagingSize = 1 << 30 })
	add("limit", scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeLimit, Limit: &tipb.Limit{Limit: 10}}), func(*copb.Request) {})
	timestamps := scan(false)
	timestamps.Executors[0].TblScan.Columns[1].Tp = column.TypeTimestamp
	add("TIMESTAMP", timestamps, func(*copb.Request) {})
	for name, req := range requests {
		c.cop.Handle(context.Background(), req)
		c.wait()
		require.Zero(t, c.cop.Columns().Segments, name)
	}
	c.warm(scan(false))
	read := c.cop.Columns().RowsFromColumns
	for _, req := range requests {
		if req != requests["few rows"] {
			c.cop.Handle(context.Background(), req)
		}
	}
	require.Equal(t, read, c.cop.Columns().RowsFromColumns)
}

// Columns come when scans ask for them, to the same segment; the rows are not copied again.
func TestColumnsAreAdded(t *testing.T) {
	const rows = 6000
	c := newColumnTable(t, rows, 5000)
	only := func(cols ...int) *tipb.DAGRequest {
		dag := scan(false)
		ts := dag.Executors[0].TblScan
		all := ts.Columns
		ts.Columns, dag.OutputOffsets = nil, nil
		for i, col := range cols {
			ts.Columns = append(ts.Columns, all[col])
			dag.OutputOffsets = append(dag.OutputOffsets, uint32(i))
		}
		return dag
	}
	c.warm(only(1))
	require.EqualValues(t, 1, c.cop.Columns().Built)
	c.warm(only(2, 0))
	require.EqualValues(t, 2, c.cop.Columns().Built)
	require.Equal(t, 1, c.cop.Columns().Segments)
	from := c.cop.Columns().RowsFromRows
	require.Equal(t, c.answer(c.rows, scan(false), c.ts), c.answer(c.cop, scan(false), c.ts))
	require.Equal(t, strings.Repeat("\n", rows), c.answer(c.cop, only(), c.ts), "rows without columns")
	require.Equal(t, from, c.cop.Columns().RowsFromRows)
}

// A lock is met in the midst of columns as it is met among rows, whoever asks; what it does not concern is read.
func TestColumnsAndLocks(t *testing.T) {
	const rows = 3 * column.BatchSize
	c := newColumnTable(t, rows, 5000)
	c.warm(scan(false))
	c.prewrite(5000, 5001)
	c.ts++
	stream := func(ranges ...*copb.KeyRange) (*copb.Response, int) {
		req, got := c.request(scan(false)), 0
		req.Ranges = ranges
		resp, err := c.cop.Stream(context.Background(), req, nil, func(b executor.Batch) error { got += b.Len(); return nil })
		require.NoError(t, err)
		require.Empty(t, resp.OtherError)
		return resp, got
	}
	resp, got := stream(&copb.KeyRange{Start: key(0), End: key(rows)})
	require.Equal(t, key(5000), resp.GetLocked().GetKey())
	require.Zero(t, got)
	require.Equal(t, key(5000), c.cop.Handle(context.Background(), c.request(scan(false))).GetLocked().GetKey())
	resp, got = stream(&copb.KeyRange{Start: key(0), End: key(5000)}, &copb.KeyRange{Start: key(5001), End: key(rows)})
	require.Nil(t, resp.GetLocked())
	require.Equal(t, rows-1, got)
	require.Equal(t, c.answer(c.rows, scan(false), c.ts-1), c.answer(c.cop, scan(false), c.ts-1), "before the lock")

	// No segment is built over a lock.
	req := c.request(scan(false))
	req.Context.ResolvedLocks = []uint64{c.ts}
	built := c.cop.Columns().Built
	for range 20 {
		c.cop.Handle(context.Background(), req)
		c.wait()
	}
	require.Equal(t, built, c.cop.Columns().Built)
}

// Whatever is committed, deleted and rolled back, a scan that may read columns gives what one of rows gives: at any timestamp,
// over any ranges, with any condition.
func TestColumnsAmongChanges(t *testing.T) {
	const rows = 2*column.BatchSize + 100
	c := newColumnTable(t, rows, 1)
	c.warm(scan(false))
	fromColumns := c.cop.Columns().RowsFromColumns
	rapid.Check(t, func(rt *rapid.T) {
		if rapid.IntRange(0, 2).Draw(rt, "step") == 0 {
			c.change(rt, rows)
		}
		c.compare(rt, rows)
	})
	require.Greater(t, c.cop.Columns().RowsFromColumns, fromColumns)
}

// change commits or rolls back changes of a few rows.
func (c *columnTable) change(t *rapid.T, rows int64) {
	at := rapid.Int64Range(0, rows).Draw(t, "row")
	var keys [][]byte
	req := &kvrpcpb.PrewriteRequest{Context: storagetest.Context(), PrimaryLock: key(at), StartVersion: c.ts + 1, LockTtl: 3000}
	op := rapid.SampledFrom([]kvrpcpb.Op{kvrpcpb.Op_Put, kvrpcpb.Op_Del, kvrpcpb.Op_Lock}).Draw(t, "op")
	for id := at; id < at+rapid.Int64Range(1, 3).Draw(t, "count"); id++ {
		var enc row.Encoder
		enc.AppendInt64(2, rapid.Int64Range(-10, 10*rows).Draw(t, "v"))
		enc.AppendBytes(3, fmt.Appendf(nil, "at %d", c.ts))
		val, err := enc.Encode(nil)
		require.NoError(t, err)
		keys = append(keys, key(id))
		req.Mutations = append(req.Mutations, &kvrpcpb.Mutation{Op: op, Key: key(id), Value: val})
	}
	resp, err := c.txn.Prewrite(context.Background(), req)
	require.NoError(t, err)
	require.Empty(t, resp.Errors)
	if rapid.Bool().Draw(t, "commits") {
		_, err = c.txn.Commit(context.Background(), &kvrpcpb.CommitRequest{
			Context: storagetest.Context(), StartVersion: c.ts + 1, CommitVersion: c.ts + 2, Keys: keys,
		})
	} else {
		_, err = c.txn.BatchRollback(context.Background(), &kvrpcpb.BatchRollbackRequest{Context: storagetest.Context(), StartVersion: c.ts + 1, Keys: keys})
	}
	require.NoError(t, err)
	c.ts += 2
}

// compare asks both endpoints.
func (c *columnTable) compare(t *rapid.T, rows int64) {
	ts := c.ts - uint64(rapid.IntRange(0, 6).Draw(t, "age"))
	bound := func(name string) []byte { return key(rapid.Int64Range(-2, rows+2).Draw(t, name)) }
	all := tablekey.RecordRange(tableID)
	ranges := []*copb.KeyRange{{Start: all.Start, End: all.End}}
	if rapid.Bool().Draw(t, "part") {
		ranges[0].Start = bound("from")
	}
	if rapid.Bool().Draw(t, "cut") {
		at := bound("cut at")
		if string(at) > string(ranges[0].Start) {
			ranges = []*copb.KeyRange{{Start: ranges[0].Start, End: at}, {Start: append(at, 0), End: all.End}}
		}
	}
	dag := scan(false)
	if rapid.Bool().Draw(t, "selection") {
		op := rapid.SampledFrom([]tipb.ScalarFuncSig{tipb.ScalarFuncSig_LTInt, tipb.ScalarFuncSig_GTInt, tipb.ScalarFuncSig_EQInt}).Draw(t, "op")
		dag = scan(false, where(op, 10*rapid.Int64Range(0, rows).Draw(t, "constant")))
	}
	want := c.answer(c.rows, dag, ts, ranges...)
	require.True(t, want == c.answer(c.cop, dag, ts, ranges...))
	c.wait()
	require.True(t, want == c.answer(c.cop, dag, ts, ranges...), "with new columns")
	c.wait() // builds look at the clock that changes turn
}
