package coprocessor_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
	"github.com/scree-db/scree/storage/txn"
)

const tableID = 7

var (
	keyType  = &tipb.FieldType{Tp: column.TypeLongLong, Flag: 3, Flen: 20}
	intType  = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}
	textType = &tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: 46}
)

// table is a region with rows (id, v = id*10, text = "row id"), and an endpoint over it.
type table struct {
	*testing.T
	store *storagetest.Store
	locks *txn.Concurrency
	txn   *txn.Manager
	cop   *coprocessor.Endpoint
	ts    uint64 // of the last commit
}

func newTable(t *testing.T, rows int64) *table {
	store, locks := storagetest.New(t), txn.NewConcurrency()
	tb := &table{T: t, store: store, locks: locks, txn: txn.NewManager(store, locks, txn.ManagerOptions{}), ts: 10,
		cop: coprocessor.NewEndpoint(store, locks, coprocessor.Options{})}
	if rows > 0 {
		tb.insert(0, rows)
	}
	return tb
}

func key(id int64) []byte { return tablekey.AppendRecordKey(nil, tableID, tablekey.IntHandle(id)) }

// insert commits rows [from, to).
func (tb *table) insert(from, to int64) {
	tb.Helper()
	keys := tb.prewrite(from, to)
	resp, err := tb.txn.Commit(context.Background(), &kvrpcpb.CommitRequest{
		Context: storagetest.Context(), StartVersion: tb.ts + 1, CommitVersion: tb.ts + 2, Keys: keys,
	})
	require.NoError(tb, err)
	require.Nil(tb, resp.Error)
	tb.ts += 2
}

// prewrite locks rows [from, to) at ts+1 and returns their keys.
func (tb *table) prewrite(from, to int64) (keys [][]byte) {
	tb.Helper()
	req := &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), PrimaryLock: key(from), StartVersion: tb.ts + 1, LockTtl: 3000,
	}
	var enc row.Encoder
	for id := from; id < to; id++ {
		enc.Reset()
		enc.AppendInt64(2, id*10)
		enc.AppendBytes(3, fmt.Appendf(nil, "row %d", id))
		val, err := enc.Encode(nil)
		require.NoError(tb, err)
		keys = append(keys, key(id))
		req.Mutations = append(req.Mutations, &kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: key(id), Value: val})
	}
	resp, err := tb.txn.Prewrite(context.Background(), req)
	require.NoError(tb, err)
	require.Empty(tb, resp.Errors)
	return keys
}

// scan is a DAG that starts with a scan of all columns.
func scan(desc bool, rest ...*tipb.Executor) *tipb.DAGRequest {
	col := func(id int64, ft *tipb.FieldType) *tipb.ColumnInfo {
		return &tipb.ColumnInfo{ColumnId: id, Tp: int32(ft.Tp), Flag: int32(ft.Flag), ColumnLen: int32(ft.Flen),
			Collation: int32(ft.Collate), PkHandle: id == 1}
	}
	list := []*tipb.Executor{{Tp: tipb.ExecType_TypeTableScan, TblScan: &tipb.TableScan{
		TableId: tableID, Desc: desc, Columns: []*tipb.ColumnInfo{col(1, keyType), col(2, intType), col(3, textType)},
	}}}
	return &tipb.DAGRequest{Executors: append(list, rest...), OutputOffsets: []uint32{0, 1, 2}, EncodeType: tipb.EncodeType_TypeChunk}
}

// where keeps rows for which v <sig> constant.
func where(sig tipb.ScalarFuncSig, constant int64) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{
		Conditions: []*tipb.Expr{function(sig, intType, columnRef(1), intConst(constant))},
	}}
}

func function(sig tipb.ScalarFuncSig, ft *tipb.FieldType, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: sig, Children: args, FieldType: ft}
}

func columnRef(at int64) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, at), FieldType: intType}
}

func intConst(v int64) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_Int64, Val: memcmp.AppendInt64(nil, v), FieldType: intType}
}

// request asks for a DAG over the whole table at the newest timestamp.
func (tb *table) request(dag *tipb.DAGRequest) *copb.Request {
	tb.Helper()
	data, err := dag.Marshal()
	require.NoError(tb, err)
	all := tablekey.RecordRange(tableID)
	return &copb.Request{
		Context: storagetest.Context(), Tp: 103, Data: data, StartTs: tb.ts,
		Ranges: []*copb.KeyRange{{Start: all.Start, End: all.End}},
	}
}

// handle runs a request that must succeed.
func (tb *table) handle(req *copb.Request) (*copb.Response, *tipb.SelectResponse) {
	tb.Helper()
	resp := tb.cop.Handle(context.Background(), req)
	require.Nil(tb, resp.RegionError)
	require.Nil(tb, resp.Locked)
	require.Empty(tb, resp.OtherError)
	out := new(tipb.SelectResponse)
	require.NoError(tb, out.Unmarshal(resp.Data))
	return resp, out
}

// rows decodes a response to "c0 c1 c2" per row.
func (tb *table) rows(s *tipb.SelectResponse, fields ...*tipb.FieldType) []string {
	tb.Helper()
	decode := chunk.DecodeChunk
	if s.EncodeType == tipb.EncodeType_TypeDefault {
		decode = chunk.DecodeDefault
	}
	var out []string
	for _, c := range s.Chunks {
		b, err := decode(c.RowsData, fields)
		require.NoError(tb, err)
		out = append(out, texts(b, fields)...)
	}
	return out
}

func texts(b executor.Batch, fields []*tipb.FieldType) (out []string) {
	for i := range b.Len() {
		line := ""
		for c, ft := range fields {
			line += string(datum.FromColumn(b.Cols[c], b.Row(i), ft).AppendText(nil, ft)) + " "
		}
		out = append(out, line[:len(line)-1])
	}
	return out
}

// want is what all columns of rows [from, to) look like; backwards if from > to.
func want(from, to int64) (out []string) {
	for id := from; id < to; id++ {
		out = append(out, fmt.Sprintf("%d %d row %d", id, id*10, id))
	}
	for id := from - 1; id >= to; id-- {
		out = append(out, fmt.Sprintf("%d %d row %d", id, id*10, id))
	}
	return out
}

// The same rows in both encodings, by reference, in either direction, and through a filter.
func TestEncodings(t *testing.T) {
	tb := newTable(t, 100)
	for _, encode := range []tipb.EncodeType{tipb.EncodeType_TypeChunk, tipb.EncodeType_TypeDefault, tipb.EncodeType_TypeCHBlock} {
		dag := scan(false, where(tipb.ScalarFuncSig_LTInt, 500))
		dag.EncodeType = encode
		_, s := tb.handle(tb.request(dag))
		require.Equal(t, encode == tipb.EncodeType_TypeChunk, s.EncodeType == tipb.EncodeType_TypeChunk, "what was used is told")
		require.Equal(t, want(0, 50), tb.rows(s, keyType, intType, textType))
	}
	_, s := tb.handle(tb.request(scan(true)))
	require.Equal(t, want(100, 0), tb.rows(s, keyType, intType, textType))

	var streamed []string
	dag := scan(false, where(tipb.ScalarFuncSig_GEInt, 500))
	dag.OutputOffsets = []uint32{2, 0}
	resp, err := tb.cop.Stream(context.Background(), tb.request(dag), nil, func(b executor.Batch) error {
		streamed = append(streamed, texts(b, []*tipb.FieldType{textType, keyType})...)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, streamed, 50)
	require.Equal(t, "row 50 50", streamed[0])
	rest := new(tipb.SelectResponse)
	require.NoError(t, rest.Unmarshal(resp.Data))
	require.Empty(t, rest.Chunks)
}

// An aggregate gives partial state whatever its mode says: an average is a count and a sum.
func TestAggregateIsPartial(t *testing.T) {
	tb := newTable(t, 10)
	decimal := &tipb.FieldType{Tp: column.TypeDecimal, Flen: 30, Decimal: 4}
	avg := &tipb.Expr{Tp: tipb.ExprType_Avg, Children: []*tipb.Expr{columnRef(1)}, FieldType: decimal}
	dag := scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeAggregation, Aggregation: &tipb.Aggregation{AggFunc: []*tipb.Expr{avg}}})
	dag.OutputOffsets = []uint32{0, 1}
	fields, err := coprocessor.Fields(dag)
	require.NoError(t, err)
	_, s := tb.handle(tb.request(dag))
	got := tb.rows(s, fields...)
	require.Len(t, got, 1)
	require.Regexp(t, `^10 450(\.0+)?$`, got[0])
}

// Reading page by page gives every row once, in either direction, with a filter that lets little through.
func TestPaging(t *testing.T) {
	const rows = 10_000
	tb := newTable(t, 0)
	for from := int64(0); from < rows; from += 1000 {
		tb.insert(from, from+1000)
	}
	for _, desc := range []bool{false, true} {
		for _, page := range []uint64{1, 5000, 1 << 40} {
			req := tb.request(scan(desc))
			req.PagingSize = page
			var got []string
			pages := 0
			for ; ; pages++ {
				resp, s := tb.handle(req)
				got = append(got, tb.rows(s, keyType, intType, textType)...)
				if resp.Range == nil {
					break
				}
				if desc {
					req.Ranges[0].End = resp.Range.Start
				} else {
					req.Ranges[0].Start = resp.Range.End
				}
			}
			if desc {
				require.Equal(t, want(rows, 0), got)
			} else {
				require.Equal(t, want(0, rows), got)
			}
			require.Equal(t, page < rows, pages > 0)
		}
	}
}

// Single keys, several ranges, and ranges without rows; the counts are per range.
func TestRanges(t *testing.T) {
	tb := newTable(t, 100)
	dag := scan(false)
	yes := true
	dag.CollectRangeCounts = &yes
	req := tb.request(dag)
	req.Ranges = []*copb.KeyRange{
		{Start: key(3), End: key(4)}, {Start: key(10), End: key(13)}, {Start: key(20), End: append(key(20), 0)},
		{Start: key(500), End: key(501)}, {Start: key(600), End: nil},
	}
	_, s := tb.handle(req)
	require.Equal(t, append(append(want(3, 4), want(10, 13)...), want(20, 21)...), tb.rows(s, keyType, intType, textType))
	require.Equal(t, []int64{1, 3, 1, 0, 0}, s.OutputCounts)

	req.Ranges = []*copb.KeyRange{{Start: key(5), End: key(6)}, {Start: key(3), End: key(4)}}
	require.Contains(t, tb.cop.Handle(context.Background(), req).OtherError, "out of order")
	req.Ranges = []*copb.KeyRange{{Start: key(6), End: key(5)}}
	require.Contains(t, tb.cop.Handle(context.Background(), req).OtherError, "reversed")
}

// A lock in the way stops the request, whether it is in the data or only in memory; below its timestamp it does not
// matter, and neither does one that the client says is resolved.
func TestLocked(t *testing.T) {
	tb := newTable(t, 10)
	tb.prewrite(3, 4)
	require.Equal(t, want(0, 10), tb.rows(second(tb.handle(tb.request(scan(false)))), keyType, intType, textType))
	tb.ts++
	resp := tb.cop.Handle(context.Background(), tb.request(scan(false)))
	require.NotNil(t, resp.Locked)
	require.Equal(t, key(3), resp.Locked.Key)
	require.Empty(t, resp.Data)
	req := tb.request(scan(false))
	req.Context.ResolvedLocks = []uint64{tb.ts}
	require.Equal(t, want(0, 10), tb.rows(second(tb.handle(req)), keyType, intType, textType))
}

// A stream meets a lock before it has given a row, wherever in its ranges the lock is; one between them is no matter.
func TestLockedStream(t *testing.T) {
	const rows = 5000 // many batches
	for _, desc := range []bool{false, true} {
		tb := newTable(t, rows)
		tb.prewrite(rows-1, rows)
		tb.prewrite(0, 1)
		tb.ts++
		req := tb.request(scan(desc))
		stream := func(ranges ...*copb.KeyRange) (resp *copb.Response, got int) {
			req.Ranges = ranges
			resp, err := tb.cop.Stream(context.Background(), req, nil, func(b executor.Batch) error { got += b.Len(); return nil })
			require.NoError(t, err)
			require.Empty(t, resp.OtherError)
			return resp, got
		}
		resp, got := stream(&copb.KeyRange{Start: key(1), End: key(rows)})
		require.Equal(t, key(rows-1), resp.GetLocked().GetKey())
		require.Zero(t, got)
		resp, got = stream(&copb.KeyRange{Start: key(0), End: key(rows - 1)})
		require.Equal(t, key(0), resp.GetLocked().GetKey())
		require.Zero(t, got)
		resp, got = stream(&copb.KeyRange{Start: key(1), End: key(rows - 1)}, &copb.KeyRange{Start: key(rows), End: key(rows + 9)})
		require.Nil(t, resp.Locked)
		require.Equal(t, rows-2, got)
	}
}

func second(_ *copb.Response, s *tipb.SelectResponse) *tipb.SelectResponse { return s }

// An answer may be kept as long as nothing is written: then the same request is a hit, and after a write a miss.
func TestCache(t *testing.T) {
	tb := newTable(t, 10)
	req := tb.request(scan(false))
	req.IsCacheEnabled = true
	resp, _ := tb.handle(req)
	require.True(t, resp.CanBeCached)
	req.CacheIfMatchVersion = resp.CacheLastVersion
	hit := tb.cop.Handle(context.Background(), req)
	require.True(t, hit.IsCacheHit)
	require.Empty(t, hit.Data)
	tb.insert(5, 6)
	miss, _ := tb.handle(req)
	require.False(t, miss.IsCacheHit)
	require.False(t, miss.CanBeCached, "there is a newer version than the request sees")
}

// An error of evaluation is an answer, with MySQL's code; a plan that is not understood is not.
func TestErrors(t *testing.T) {
	tb := newTable(t, 10)
	overflow := function(tipb.ScalarFuncSig_MultiplyInt, intType, columnRef(1), intConst(1<<62))
	_, s := tb.handle(tb.request(scan(false, &tipb.Executor{
		Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{Conditions: []*tipb.Expr{overflow}},
	})))
	require.EqualValues(t, 1690, s.Error.GetCode())

	other := func(change func(*copb.Request)) string {
		req := tb.request(scan(false))
		change(req)
		return tb.cop.Handle(context.Background(), req).OtherError
	}
	require.Contains(t, other(func(r *copb.Request) { r.Tp = 104 }), "analyze request")
	require.Contains(t, other(func(r *copb.Request) { r.Tp = 1 }), "unsupported request type")
	require.Contains(t, other(func(r *copb.Request) { r.Data = []byte{0xff} }), "decode")
	require.Contains(t, other(func(r *copb.Request) { r.Data = nil }), "0 executors")
	bad := scan(false)
	bad.OutputOffsets = []uint32{3}
	require.Contains(t, tb.cop.Handle(context.Background(), tb.request(bad)).OtherError, "output offset 3")
	bad = scan(false)
	bad.TimeZoneName = "Nowhere/Land"
	require.Contains(t, tb.cop.Handle(context.Background(), tb.request(bad)).OtherError, "time zone")
	exchange := scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeExchangeSender})
	require.NotEmpty(t, tb.cop.Handle(context.Background(), tb.request(exchange)).OtherError)
	moved := tb.request(scan(false))
	moved.Context.RegionId = 4711
	require.NotNil(t, tb.cop.Handle(context.Background(), moved).RegionError)
}

// What a sink returns comes back to its owner as it was, and ends the query.
func TestSinkError(t *testing.T) {
	tb := newTable(t, 10)
	enough := errors.New("enough")
	calls := 0
	_, err := tb.cop.Stream(context.Background(), tb.request(scan(false)), nil, func(executor.Batch) error { calls++; return enough })
	require.Equal(t, enough, err)
	require.Equal(t, 1, calls)
	ctx, cancel := context.WithCancel(context.Background())
	_, err = tb.cop.Stream(ctx, tb.request(scan(false)), nil, func(executor.Batch) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
}

// Who is told what the batches so far answer for, asks for the rest and gets the other rows, neither twice nor not at all. A plan
// that keeps rows back does not tell.
func TestScanned(t *testing.T) {
	tb := newTable(t, 20_000)
	for batches := 1; batches < 4; batches++ {
		tb.resume(false, batches)
		tb.resume(true, batches)
	}
	top := &tipb.TopN{Limit: 10_000, OrderBy: []*tipb.ByItem{{Expr: columnRef(0), Desc: true}}}
	_, scanned := tb.readScanned(tb.request(scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeTopN, TopN: top})), 1)
	require.Nil(t, scanned)
	require.Zero(t, tb.cop.Running())
}

// readScanned takes a number of batches, -1 for all, and returns their handles and what they answer for.
func (tb *table) readScanned(req *copb.Request, batches int) (handles []int64, scanned *copb.KeyRange) {
	tb.Helper()
	enough := errors.New("enough")
	_, err := tb.cop.StreamScanned(context.Background(), req, nil, func(b executor.Batch, upTo *copb.KeyRange) error {
		for i := range b.Len() {
			handles = append(handles, b.Cols[0].(*array.Int64).Value(b.Row(i)))
		}
		scanned = upTo
		if batches--; batches == 0 {
			return enough
		}
		return nil
	})
	if err != nil {
		require.Equal(tb, enough, err)
	}
	return handles, scanned
}

// resume reads some batches and then asks for the rest: that makes the whole.
func (tb *table) resume(desc bool, batches int) {
	tb.Helper()
	req := tb.request(scan(desc, where(tipb.ScalarFuncSig_GTInt, 40)))
	want, _ := tb.readScanned(req, -1)
	got, scanned := tb.readScanned(req, batches)
	require.Less(tb, len(got), len(want))
	rest := *req.Ranges[0]
	if desc {
		require.Equal(tb, rest.End, scanned.End)
		rest.End = scanned.Start
	} else {
		require.Equal(tb, rest.Start, scanned.Start)
		rest.Start = scanned.End
	}
	req.Ranges = []*copb.KeyRange{&rest}
	others, _ := tb.readScanned(req, -1)
	require.Equal(tb, want, append(got, others...))
}

// stuck is a store whose snapshots never come.
type stuck struct{ storage.Store }

func (stuck) Snapshot(ctx context.Context, _ storage.Region) (storage.Snapshot, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A request that takes longer than it may ends with the region error that clients know by its text.
func TestDeadline(t *testing.T) {
	tb := newTable(t, 0)
	cop := coprocessor.NewEndpoint(stuck{}, tb.locks, coprocessor.Options{})
	req := tb.request(scan(false))
	req.Context.MaxExecutionDurationMs = 1
	require.Contains(t, cop.Handle(context.Background(), req).RegionError.GetMessage(), "Deadline is exceeded")
}

// A reader that takes its time does not hold up others, even where only one request may compute.
func TestSlowSink(t *testing.T) {
	tb := newTable(t, 100)
	tb.cop = coprocessor.NewEndpoint(tb.store, tb.locks, coprocessor.Options{Concurrency: 1})
	_, err := tb.cop.Stream(context.Background(), tb.request(scan(false)), nil, func(executor.Batch) error {
		_, s := tb.handle(tb.request(scan(false)))
		require.Len(t, tb.rows(s, keyType, intType, textType), 100)
		return nil
	})
	require.NoError(t, err)
}

// Execution summaries come one for each executor in the order of the request.
func TestSummaries(t *testing.T) {
	tb := newTable(t, 100)
	dag := scan(false, where(tipb.ScalarFuncSig_LTInt, 500))
	yes := true
	dag.CollectExecutionSummaries = &yes
	tb.cop = coprocessor.NewEndpoint(tb.store, tb.locks, coprocessor.Options{Now: func() time.Time { return time.Unix(1, 0) }})
	_, s := tb.handle(tb.request(dag))
	require.Len(t, s.ExecutionSummaries, 2)
	require.EqualValues(t, 100, s.ExecutionSummaries[0].GetNumProducedRows())
	require.EqualValues(t, 50, s.ExecutionSummaries[1].GetNumProducedRows())
}

// A response beyond the bound is refused, not built.
func TestResponseMax(t *testing.T) {
	tb := newTable(t, 100)
	tb.cop = coprocessor.NewEndpoint(tb.store, tb.locks, coprocessor.Options{ResponseMax: 1000})
	require.Contains(t, tb.cop.Handle(context.Background(), tb.request(scan(false))).OtherError, "exceeds 1000 bytes")
}

// Checksums of parts add up to the whole's, and a rewrite rule stands for another prefix.
func TestChecksum(t *testing.T) {
	tb := newTable(t, 20)
	sum := func(from, to int64, rule *tipb.ChecksumRewriteRule) *tipb.ChecksumResponse {
		data, err := (&tipb.ChecksumRequest{Algorithm: tipb.ChecksumAlgorithm_Crc64_Xor, Rule: rule}).Marshal()
		require.NoError(t, err)
		req := tb.request(scan(false))
		req.Tp, req.Data, req.Ranges = 105, data, []*copb.KeyRange{{Start: key(from), End: key(to)}}
		resp := tb.cop.Handle(context.Background(), req)
		require.Empty(t, resp.OtherError)
		out := new(tipb.ChecksumResponse)
		require.NoError(t, out.Unmarshal(resp.Data))
		return out
	}
	whole, left, right := sum(0, 20, nil), sum(0, 9, nil), sum(9, 20, nil)
	require.EqualValues(t, 20, whole.TotalKvs)
	require.Equal(t, whole.Checksum, left.Checksum^right.Checksum)
	require.Equal(t, whole.TotalBytes, left.TotalBytes+right.TotalBytes)

	one := sum(4, 5, nil)
	var enc row.Encoder
	enc.AppendInt64(2, 40)
	enc.AppendBytes(3, []byte("row 4"))
	val, err := enc.Encode(nil)
	require.NoError(t, err)
	require.Equal(t, crc64.Checksum(append(key(4), val...), crc64.MakeTable(crc64.ECMA)), one.Checksum)
	same := sum(4, 5, &tipb.ChecksumRewriteRule{OldPrefix: key(4)[:9], NewPrefix: key(4)[:9]})
	require.Equal(t, one, same)
}

// The cost of a request for one row, and of a scan.
func BenchmarkHandle(b *testing.B) {
	for _, rows := range []int64{1, 10_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			t := &testing.T{}
			store, locks := storagetest.New(b), txn.NewConcurrency()
			tb := &table{T: t, store: store, locks: locks, ts: 10,
				txn: txn.NewManager(store, locks, txn.ManagerOptions{}), cop: coprocessor.NewEndpoint(store, locks, coprocessor.Options{})}
			tb.insert(0, rows)
			req := tb.request(scan(false))
			if rows == 1 {
				req.Ranges = []*copb.KeyRange{{Start: key(0), End: key(1)}}
			}
			b.ReportAllocs()
			for b.Loop() {
				if resp := tb.cop.Handle(context.Background(), req); resp.OtherError != "" {
					b.Fatal(resp.OtherError)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
