package coprocessor_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

// newBigTable is a table with rows committed in several transactions.
func newBigTable(t *testing.T, rows int64) *table {
	tb := newTable(t, 0)
	for from := int64(0); from < rows; from += 1000 {
		tb.insert(from, min(from+1000, rows))
	}
	return tb
}

// pages runs a request until there is no further page, and returns the answers.
func (tb *table) pages(req *copb.Request, desc bool) (list []*tipb.SelectResponse, details []*kvrpcpb.ScanDetailV2) {
	tb.Helper()
	for {
		resp, s := tb.handle(req)
		list, details = append(list, s), append(details, resp.ExecDetailsV2.ScanDetailV2)
		if resp.Range == nil {
			return list, details
		}
		req.Ranges = rest(req.Ranges, resp.Range, desc)
		require.NotEmpty(tb, req.Ranges, "a page that ends with the last range is the last")
	}
}

// rest is what a client asks for next: the ranges without what has been read of them.
func rest(ranges []*copb.KeyRange, read *copb.KeyRange, desc bool) (out []*copb.KeyRange) {
	for _, r := range ranges {
		left := &copb.KeyRange{Start: r.Start, End: r.End}
		if desc && bytes.Compare(left.End, read.Start) > 0 {
			left.End = read.Start
		}
		if !desc && bytes.Compare(left.Start, read.End) < 0 {
			left.Start = read.End
		}
		if bytes.Compare(left.Start, left.End) < 0 {
			out = append(out, left)
		}
	}
	return out
}

func (tb *table) allRows(list []*tipb.SelectResponse, fields ...*tipb.FieldType) (out []string) {
	for _, s := range list {
		out = append(out, tb.rows(s, fields...)...)
	}
	return out
}

// However a page is bounded, the pages together are the whole, over several ranges and single keys in either direction.
func TestPagesOfRanges(t *testing.T) {
	tb := newBigTable(t, 3000)
	up := append(append(want(3, 4), want(100, 1000)...), want(2000, 2001)...)
	down := append(append(want(2001, 2000), want(1000, 100)...), want(4, 3)...)
	for _, desc := range []bool{false, true} {
		for name, bound := range map[string]func(*copb.Request){
			"rows":  func(r *copb.Request) { r.PagingSize = 40 },
			"keys":  func(r *copb.Request) { r.MaxKeysRead = 7 },
			"bytes": func(r *copb.Request) { r.PagingSizeBytes = 500 },
		} {
			t.Run(fmt.Sprint(name, desc), func(t *testing.T) {
				req := tb.request(scan(desc))
				req.Ranges = []*copb.KeyRange{
					{Start: key(3), End: key(4)}, {Start: key(100), End: key(1000)}, {Start: key(2000), End: append(key(2000), 0)},
					{Start: key(5000), End: key(6000)},
				}
				bound(req)
				list, _ := tb.pages(req, desc)
				require.Greater(t, len(list), 9)
				got := tb.allRows(list, keyType, intType, textType)
				if desc {
					require.Equal(t, down, got)
				} else {
					require.Equal(t, up, got)
				}
			})
		}
	}
}

// Executors that keep rows back are not cut short by the rows they put out: what has been read would be lost.
func TestPagingKeepsGroups(t *testing.T) {
	const rows = 9000
	tb := newBigTable(t, rows)
	count := &tipb.Expr{Tp: tipb.ExprType_Count, Children: []*tipb.Expr{intConst(1)}, FieldType: intType}
	for name, root := range map[string]*tipb.Executor{
		"groups": {Tp: tipb.ExecType_TypeAggregation, Aggregation: &tipb.Aggregation{
			AggFunc: []*tipb.Expr{count}, GroupBy: []*tipb.Expr{columnRef(1)},
		}},
		"top": {Tp: tipb.ExecType_TypeTopN, TopN: &tipb.TopN{
			OrderBy: []*tipb.ByItem{{Expr: columnRef(1), Desc: true}}, Limit: rows,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dag := scan(false, root)
			dag.OutputOffsets = []uint32{0}
			req := tb.request(dag)
			req.PagingSize = 1
			list, _ := tb.pages(req, false)
			require.Len(t, list, 1)
			require.Len(t, tb.rows(list[0], intType), rows)
		})
	}
}

// A bound on keys holds where no row comes through, and an aggregate gives the state of each page.
func TestMaxKeysRead(t *testing.T) {
	const rows, most = 5000, 700
	tb := newBigTable(t, rows)
	bounded := func(rest ...*tipb.Executor) ([]*tipb.SelectResponse, []*kvrpcpb.ScanDetailV2) {
		dag := scan(false, rest...)
		dag.OutputOffsets = []uint32{0}
		req := tb.request(dag)
		req.MaxKeysRead = most
		return tb.pages(req, false)
	}
	list, details := bounded(where(tipb.ScalarFuncSig_LTInt, -1))
	require.Empty(t, tb.allRows(list, keyType))
	require.Len(t, list, rows/most+1)
	for _, d := range details {
		require.LessOrEqual(t, d.TotalVersions, uint64(most))
		require.EqualValues(t, d.TotalVersions, d.ProcessedVersions)
		require.NotZero(t, d.ProcessedVersionsSize)
	}
	count := &tipb.Expr{Tp: tipb.ExprType_Count, Children: []*tipb.Expr{intConst(1)}, FieldType: intType}
	list, _ = bounded(&tipb.Executor{Tp: tipb.ExecType_TypeAggregation, Aggregation: &tipb.Aggregation{AggFunc: []*tipb.Expr{count}}})
	require.Equal(t, []string{"700", "700", "700", "700", "700", "700", "700", "100"}, tb.allRows(list, intType))
}

// A Limit that has its rows is at the end, with or without pages; one that has not goes on.
func TestPagingLimit(t *testing.T) {
	tb := newTable(t, 1000)
	limit := func(n, page uint64) (*copb.Response, *tipb.SelectResponse) {
		req := tb.request(scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeLimit, Limit: &tipb.Limit{Limit: n}}))
		req.PagingSize = page
		return tb.handle(req)
	}
	for _, n := range []uint64{1, 32, 50, 96} {
		resp, s := limit(n, n)
		require.Nil(t, resp.Range, n)
		require.Len(t, tb.rows(s, keyType, intType, textType), int(n))
	}
	resp, s := limit(900, 32)
	require.Equal(t, append(key(31), 0), resp.Range.End)
	require.Len(t, tb.rows(s, keyType, intType, textType), 32)
}

// The first batch is small, and each one a chunk of its own.
func TestBatchesGrow(t *testing.T) {
	tb := newTable(t, 500)
	_, s := tb.handle(tb.request(scan(false)))
	var sizes []int
	for _, c := range s.Chunks {
		one := &tipb.SelectResponse{EncodeType: s.EncodeType, Chunks: []tipb.Chunk{c}}
		sizes = append(sizes, len(tb.rows(one, keyType, intType, textType)))
	}
	require.Equal(t, []int{32, 64, 128, 256, 20}, sizes)
}

// An answer that a lock or a newer version lies beside is not good for later timestamps.
func TestNotToBeCached(t *testing.T) {
	tb := newTable(t, 10)
	req := tb.request(scan(false))
	req.IsCacheEnabled = true
	tb.prewrite(3, 4) // at a timestamp above the request's, which may ignore it
	resp, _ := tb.handle(req)
	require.False(t, resp.CanBeCached)
	require.NotZero(t, resp.CacheLastVersion)

	req.IsCacheEnabled, req.CacheIfMatchVersion = false, resp.CacheLastVersion
	resp, _ = tb.handle(req)
	require.False(t, resp.IsCacheHit, "not asked for")
	require.False(t, resp.CanBeCached)
}

// Tasks of other regions are answered each in its place, whatever becomes of the others.
func TestTasks(t *testing.T) {
	tb := newTable(t, 100)
	tb.prewrite(50, 51)
	tb.ts++
	req := tb.request(scan(false))
	req.Ranges = []*copb.KeyRange{{Start: key(0), End: key(2)}}
	region := storagetest.Region()
	task := func(id, regionID uint64, from, to int64) *copb.StoreBatchTask {
		return &copb.StoreBatchTask{TaskId: id, RegionId: regionID, RegionEpoch: region.RegionEpoch, Peer: region.Peers[0],
			Ranges: []*copb.KeyRange{{Start: key(from), End: key(to)}}}
	}
	req.Tasks = []*copb.StoreBatchTask{
		task(7, storagetest.RegionID, 10, 20), task(8, 4711, 20, 30), task(9, storagetest.RegionID, 49, 52),
		task(10, storagetest.RegionID, 60, 55),
	}
	resp, s := tb.handle(req)
	require.Equal(t, want(0, 2), tb.rows(s, keyType, intType, textType))
	require.Len(t, resp.BatchResponses, 4)
	for i, b := range resp.BatchResponses {
		require.Equal(t, req.Tasks[i].TaskId, b.TaskId)
	}
	one := new(tipb.SelectResponse)
	require.NoError(t, one.Unmarshal(resp.BatchResponses[0].Data))
	require.Equal(t, want(10, 20), tb.rows(one, keyType, intType, textType))
	require.EqualValues(t, 10, resp.BatchResponses[0].ExecDetailsV2.ScanDetailV2.ProcessedVersions)
	require.EqualValues(t, 4711, resp.BatchResponses[1].RegionError.RegionNotFound.RegionId)
	require.Equal(t, key(50), resp.BatchResponses[2].Locked.Key)
	require.Contains(t, resp.BatchResponses[3].OtherError, "reversed")

	req.Tasks = make([]*copb.StoreBatchTask, 5000)
	require.Contains(t, tb.cop.Handle(context.Background(), req).OtherError, "batched tasks")
	streamed, err := tb.cop.Stream(context.Background(), req, nil, nil)
	require.NoError(t, err)
	require.NotEmpty(t, streamed.OtherError)
}

// Warnings are listed up to the limit that the request names, and counted beyond it.
func TestWarnings(t *testing.T) {
	tb := newTable(t, 300)
	text := &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: columnRef(2).Val, FieldType: textType}
	number := function(tipb.ScalarFuncSig_CastStringAsInt, intType, text) // of "row 7"
	for _, c := range []struct {
		limit  *uint64
		listed int
	}{{nil, 64}, {ptr(0), 0}, {ptr(5), 5}, {ptr(1000), 300}} {
		dag := scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeProjection, Projection: &tipb.Projection{Exprs: []*tipb.Expr{number}}})
		dag.OutputOffsets, dag.Flags, dag.MaxWarningCount = []uint32{0}, 2, c.limit // truncation is a warning
		_, s := tb.handle(tb.request(dag))
		require.Len(t, s.Warnings, c.listed)
		require.EqualValues(t, 300, s.GetWarningCount())
		if c.listed > 0 {
			require.EqualValues(t, 1292, s.Warnings[0].Code)
		}
	}
}

func ptr(v uint64) *uint64 { return &v }

// watched is a store whose iterators call step before each step.
type watched struct {
	storage.Store
	step func()
}

func (w watched) Snapshot(ctx context.Context, at storage.Region) (storage.Snapshot, error) {
	snap, err := w.Store.Snapshot(ctx, at)
	return watchedSnapshot{snap, w.step}, err
}

type watchedSnapshot struct {
	storage.Snapshot
	step func()
}

func (w watchedSnapshot) NewIterator(o storage.IterOptions) (storage.Iterator, error) {
	it, err := w.Snapshot.NewIterator(o)
	return watchedIterator{it, w.step}, err
}

type watchedIterator struct {
	storage.Iterator
	step func()
}

func (w watchedIterator) Next() bool {
	w.step()
	return w.Iterator.Next()
}

func (w watchedIterator) NextEntry() (key, value []byte, ok bool) {
	w.step()
	return w.Iterator.NextEntry()
}

// A request that nobody waits for any more ends within a batch, also where it would not give a row before its end.
func TestCancel(t *testing.T) {
	const rows, at = 20_000, 100
	tb := newBigTable(t, rows)
	count := &tipb.Expr{Tp: tipb.ExprType_Count, Children: []*tipb.Expr{intConst(1)}, FieldType: intType}
	dag := scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeAggregation, Aggregation: &tipb.Aggregation{AggFunc: []*tipb.Expr{count}}})
	dag.OutputOffsets = []uint32{0}
	ctx, cancel := context.WithCancel(context.Background())
	steps := 0
	store := watched{tb.store, func() {
		if steps++; steps == at {
			cancel()
		}
	}}
	cop := coprocessor.NewEndpoint(store, tb.locks, coprocessor.Options{})
	require.Contains(t, cop.Handle(ctx, tb.request(dag)).OtherError, context.Canceled.Error())
	require.GreaterOrEqual(t, steps, at)
	require.Less(t, steps, at+column.BatchSize)
}

// The day that a TIME lacks is the statement's, by its timestamp.
func TestTimeOfTheStatement(t *testing.T) {
	tb := newTable(t, 2)
	duration := &tipb.FieldType{Tp: column.TypeDuration, Flag: column.FlagNotNull}
	moment := &tipb.FieldType{Tp: column.TypeDatetime}
	cast := function(tipb.ScalarFuncSig_CastDurationAsTime, moment, function(tipb.ScalarFuncSig_CastIntAsDuration, duration, columnRef(1)))
	dag := scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeProjection, Projection: &tipb.Projection{Exprs: []*tipb.Expr{cast}}})
	dag.OutputOffsets = []uint32{0}
	req := tb.request(dag)
	req.StartTs = uint64(time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC).UnixMilli()) << 18
	_, out := tb.handle(req)
	require.Equal(t, []string{"2024-02-03 00:00:00", "2024-02-03 00:00:10"}, tb.rows(out, moment))
}
