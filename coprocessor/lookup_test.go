package coprocessor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

const indexID = 3

// index commits entries of an index on v for rows [from, to), or locks them where lock is set.
func (tb *table) index(from, to int64, lock bool) {
	tb.Helper()
	req := &kvrpcpb.PrewriteRequest{Context: storagetest.Context(), StartVersion: tb.ts + 1, LockTtl: 3000}
	var keys [][]byte
	for id := from; id < to; id++ {
		k := tablekey.AppendIndexPrefix(nil, tableID, indexID)
		for _, v := range []int64{id * 10, id} {
			var err error
			k, err = datum.AppendKey(k, datum.NewInt64(v), intType)
			require.NoError(tb, err)
		}
		keys = append(keys, k)
		req.Mutations = append(req.Mutations, &kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: k, Value: []byte("0")})
	}
	req.PrimaryLock = keys[0]
	resp, err := tb.txn.Prewrite(context.Background(), req)
	require.NoError(tb, err)
	require.Empty(tb, resp.Errors)
	if lock {
		return
	}
	_, err = tb.txn.Commit(context.Background(), &kvrpcpb.CommitRequest{
		Context: storagetest.Context(), StartVersion: tb.ts + 1, CommitVersion: tb.ts + 2, Keys: keys,
	})
	require.NoError(tb, err)
	tb.ts += 2
}

// lookUpDAG reads the index, in reverse where desc is set, then the records, then keeps what rest keeps.
func lookUpDAG(desc bool, rest ...*tipb.Executor) *tipb.DAGRequest {
	two := uint32(2)
	dag := scan(false)
	table := *dag.Executors[0]
	table.ParentIdx = &two
	list := []*tipb.Executor{
		{Tp: tipb.ExecType_TypeIndexScan, ParentIdx: &two, IdxScan: &tipb.IndexScan{TableId: tableID, IndexId: indexID, Desc: desc, Columns: []*tipb.ColumnInfo{
			{ColumnId: 2, Tp: intType.Tp, ColumnLen: intType.Flen}, {ColumnId: 1, Tp: keyType.Tp, Flag: int32(keyType.Flag), ColumnLen: keyType.Flen, PkHandle: true}}}},
		&table,
		{Tp: tipb.ExecType_TypeIndexLookUp, IndexLookup: &tipb.IndexLookUp{IndexHandleOffsets: []uint32{1}}},
	}
	dag.Executors = append(list, rest...)
	dag.IntermediateOutputChannels = []*tipb.IntermediateOutputChannel{{ExecutorIdx: 2, OutputOffsets: []uint32{1, 0}}}
	return dag
}

// indexRequest is a request over index entries with v in [from, to).
func (tb *table) indexRequest(dag *tipb.DAGRequest, from, to int64) *copb.Request {
	tb.Helper()
	req := tb.request(dag)
	bound := func(v int64) []byte {
		k, err := datum.AppendKey(tablekey.AppendIndexPrefix(nil, tableID, indexID), datum.NewInt64(v), intType)
		require.NoError(tb, err)
		return k
	}
	req.Ranges = []*copb.KeyRange{{Start: bound(from), End: bound(to)}}
	return req
}

// Index rows find their records; operators above see the records.
func TestIndexLookUp(t *testing.T) {
	tb := newTable(t, 100)
	tb.index(0, 100, false)
	for _, desc := range []bool{false, true} {
		yes := true
		dag := lookUpDAG(desc)
		dag.CollectExecutionSummaries = &yes
		resp, s := tb.handle(tb.indexRequest(dag, 200, 700))
		require.ElementsMatch(t, want(20, 70), tb.rows(s, keyType, intType, textType))
		require.Len(t, s.IntermediateOutputs, 1)
		require.Empty(t, s.IntermediateOutputs[0].Chunks)
		require.EqualValues(t, 100, resp.ExecDetailsV2.ScanDetailV2.ProcessedVersions, "entries and records")
		for _, sum := range s.ExecutionSummaries {
			require.EqualValues(t, 50, sum.GetNumProducedRows())
		}
	}
	fields, err := coprocessor.Fields(lookUpDAG(false))
	require.NoError(t, err)
	require.Len(t, fields, 3)
	_, s := tb.handle(tb.indexRequest(lookUpDAG(false, where(tipb.ScalarFuncSig_GEInt, 300)), 200, 310))
	require.Equal(t, want(30, 31), tb.rows(s, keyType, intType, textType))
}

// narrow is a store whose region ends at a key.
type narrow struct {
	storage.Store
	end []byte
}

type narrowSnapshot struct {
	storage.Snapshot
	region *metapb.Region
}

func (s narrowSnapshot) Region() *metapb.Region { return s.region }

func (n narrow) Snapshot(ctx context.Context, at storage.Region) (storage.Snapshot, error) {
	snap, err := n.Store.Snapshot(ctx, at)
	region := *storagetest.Region()
	region.EndKey = memcmp.AppendBytes(nil, n.end)
	return narrowSnapshot{snap, &region}, err
}

// Index rows whose records are in another region come out as they are, in their channel.
func TestIndexLookUpElsewhere(t *testing.T) {
	tb := newTable(t, 100)
	tb.index(0, 100, false)
	tb.cop = coprocessor.NewEndpoint(narrow{tb.store, key(30)}, tb.locks, coprocessor.Options{})
	for _, encode := range []tipb.EncodeType{tipb.EncodeType_TypeChunk, tipb.EncodeType_TypeDefault} {
		dag := lookUpDAG(false)
		dag.EncodeType = encode
		_, s := tb.handle(tb.indexRequest(dag, 280, 320))
		require.Equal(t, want(28, 30), tb.rows(s, keyType, intType, textType))
		out := &tipb.SelectResponse{EncodeType: s.IntermediateOutputs[0].EncodeType, Chunks: s.IntermediateOutputs[0].Chunks}
		require.Equal(t, []string{"30 300", "31 310"}, tb.rows(out, keyType, intType))
	}
}

// A record that is locked ends the request, whichever way its lock is met.
func TestIndexLookUpLocked(t *testing.T) {
	tb := newTable(t, 10)
	tb.index(0, 10, false)
	tb.prewrite(5, 6)
	tb.ts += 3
	req := tb.indexRequest(lookUpDAG(false), 0, 100)
	require.NotNil(t, tb.cop.Handle(context.Background(), req).Locked)
	resp, err := tb.cop.Stream(context.Background(), req, nil, func(executor.Batch) error { t.Fatal("a row"); return nil })
	require.NoError(t, err)
	require.NotNil(t, resp.Locked)
}

func TestIndexLookUpRefused(t *testing.T) {
	tb := newTable(t, 1)
	yes := true
	for name, change := range map[string]func(*tipb.DAGRequest){
		"no channel":    func(d *tipb.DAGRequest) { d.IntermediateOutputChannels = nil },
		"other channel": func(d *tipb.DAGRequest) { d.IntermediateOutputChannels[0].ExecutorIdx = 1 << 31 },
		"outputs":       func(d *tipb.DAGRequest) { d.IntermediateOutputChannels[0].OutputOffsets = []uint32{2} },
		"keep order":    func(d *tipb.DAGRequest) { d.Executors[2].IndexLookup.KeepOrder = &yes },
		"offset":        func(d *tipb.DAGRequest) { d.Executors[2].IndexLookup.IndexHandleOffsets = []uint32{9} },
		"no handle":     func(d *tipb.DAGRequest) { d.Executors[2].IndexLookup.IndexHandleOffsets = nil },
		"no table":      func(d *tipb.DAGRequest) { d.Executors[1].Tp = tipb.ExecType_TypeIndexScan },
		"no body":       func(d *tipb.DAGRequest) { d.Executors[2].IndexLookup = nil },
		"prefix":        func(d *tipb.DAGRequest) { d.Executors[1].TblScan.PrimaryPrefixColumnIds = []int64{1} },
		"one child":     func(d *tipb.DAGRequest) { d.Executors = d.Executors[1:] },
	} {
		dag := lookUpDAG(false)
		change(dag)
		resp := tb.cop.Handle(context.Background(), tb.indexRequest(dag, 0, 100))
		require.NotEmpty(t, resp.OtherError, name)
		require.NotContains(t, resp.OtherError, "internal", name)
	}
}

// joinDAG joins the index with the table on v, sorts by the key backwards, and numbers the rows.
func joinDAG(flags uint64) *tipb.DAGRequest {
	two, last := uint32(2), uint32(3)
	dag := lookUpDAG(false)
	v := columnRef(0)
	dag.Executors = append(dag.Executors[:2:2],
		&tipb.Executor{Tp: tipb.ExecType_TypeJoin, ParentIdx: &last, Join: &tipb.Join{JoinType: tipb.JoinType_TypeInnerJoin, InnerIdx: 1,
			LeftJoinKeys: []*tipb.Expr{v}, RightJoinKeys: []*tipb.Expr{columnRef(1)}}},
		&tipb.Executor{Tp: tipb.ExecType_TypeSort, Sort: &tipb.Sort{ByItems: []*tipb.ByItem{{Expr: columnRef(1), Desc: true}}}},
		&tipb.Executor{Tp: tipb.ExecType_TypeWindow, Window: &tipb.Window{FuncDesc: []*tipb.Expr{{Tp: tipb.ExprType_RowNumber, FieldType: intType}}}},
		&tipb.Executor{Tp: tipb.ExecType_TypeExpand2, Expand2: &tipb.Expand2{ProjExprs: []*tipb.ExprSlice{
			{Exprs: []*tipb.Expr{columnRef(1), columnRef(5)}}, {Exprs: []*tipb.Expr{intConst(-1), columnRef(0)}}}}},
	)
	dag.Executors[0].ParentIdx, dag.Executors[1].ParentIdx = &two, &two
	dag.OutputOffsets, dag.Flags, dag.IntermediateOutputChannels = []uint32{0, 1}, flags, nil
	return dag
}

// With the flag whole plans run on the store, over several scans, each with its part of the ranges.
func TestWholePlans(t *testing.T) {
	tb := newTable(t, 10)
	tb.index(0, 10, false)
	req := tb.indexRequest(joinDAG(executor.FlagWholePlans), 20, 80)
	req.Ranges = append(req.Ranges, &copb.KeyRange{Start: key(0), End: key(5)})
	req.PagingSize = 1
	resp, s := tb.handle(req)
	require.Nil(t, resp.Range, "no pages")
	got := tb.rows(s, intType, intType)
	slices.Sort(got)
	require.Equal(t, []string{"-1 20", "-1 30", "-1 40", "2 3", "3 2", "4 1"}, got)
	require.EqualValues(t, 6+5, resp.ExecDetailsV2.ScanDetailV2.ProcessedVersions)

	refused := tb.cop.Handle(context.Background(), tb.indexRequest(joinDAG(0), 20, 80))
	require.True(t, strings.HasPrefix(refused.OtherError, "executor TypeJoin is not supported without flag"), refused.OtherError)
	req.Ranges = []*copb.KeyRange{{Start: tablekey.TableRange(tableID).Start, End: key(5)}}
	require.Contains(t, tb.cop.Handle(context.Background(), req).OtherError, "in several of the plan's tables")
	for _, tp := range []tipb.ExecType{tipb.ExecType_TypeSort, tipb.ExecType_TypeWindow} {
		dag := scan(false, &tipb.Executor{Tp: tp, Sort: &tipb.Sort{}, Window: &tipb.Window{}})
		require.Contains(t, tb.cop.Handle(context.Background(), tb.request(dag)).OtherError, "not supported without flag")
	}
}

// broadcastDAG joins the table's rows on v with rows that come along.
func broadcastDAG(flags uint64) (*tipb.DAGRequest, executor.Batch) {
	parent := uint32(2)
	given := column.NewBuilder(intType, 3)
	for _, v := range []int64{20, 30, 70} {
		given.AppendInt64(v)
	}
	rows := executor.Batch{Cols: []arrow.Array{given.Detach()}, Rows: 3}
	receiver := &tipb.ExchangeReceiver{FieldTypes: []*tipb.FieldType{intType}}
	dag := scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeExchangeReceiver, ExchangeReceiver: receiver},
		&tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: &tipb.Join{JoinType: tipb.JoinType_TypeInnerJoin, InnerIdx: 1,
			LeftJoinKeys: []*tipb.Expr{columnRef(1)}, RightJoinKeys: []*tipb.Expr{columnRef(0)}}})
	dag.Executors[0].ParentIdx = &parent
	dag.OutputOffsets, dag.Flags = []uint32{2, 3}, flags
	return dag, rows
}

// Rows to join with come in the request or, from the same process, beside it.
func TestReceiver(t *testing.T) {
	tb := newTable(t, 10)
	want := []string{"row 2 20", "row 3 30", "row 7 70"}
	dag, batch := broadcastDAG(executor.FlagWholePlans)
	rows, err := executor.NewBroadcast([]*tipb.FieldType{intType}, []executor.Batch{batch}, nil)
	require.NoError(t, err)
	fields, err := coprocessor.Fields(dag)
	require.NoError(t, err)
	require.Len(t, fields, 2)

	var got []string
	resp, err := tb.cop.Stream(context.Background(), tb.request(dag), []*executor.Broadcast{rows}, func(b executor.Batch) error {
		for i := range b.Len() {
			got = append(got, fmt.Sprintf("%s %d", b.Cols[0].(*array.Binary).Value(b.Row(i)), b.Cols[1].(*array.Int64).Value(b.Row(i))))
		}
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, resp.OtherError)
	require.Equal(t, want, got)

	receiver := dag.Executors[1].ExchangeReceiver
	_, s := tb.handle(tb.request(dag))
	require.Empty(t, tb.rows(s, textType, intType), "no rows, none to join with")
	data, err := chunk.AppendChunk(nil, batch, []uint32{0}, receiver.FieldTypes)
	require.NoError(t, err)
	receiver.EncodedTaskMeta = [][]byte{data}
	_, s = tb.handle(tb.request(dag))
	require.Equal(t, want, tb.rows(s, textType, intType))

	dag.Flags = 0
	require.Contains(t, tb.cop.Handle(context.Background(), tb.request(dag)).OtherError, "not supported without flag")
	dag.Flags, receiver.EncodedTaskMeta = executor.FlagWholePlans, [][]byte{{1, 2, 3}}
	require.Contains(t, tb.cop.Handle(context.Background(), tb.request(dag)).OtherError, "rows 0 of a receiver")
	receiver.FieldTypes = nil
	require.Contains(t, tb.cop.Handle(context.Background(), tb.request(dag)).OtherError, "receiver without columns")
	_, err = coprocessor.Fields(dag)
	require.ErrorContains(t, err, "receiver without columns")
}

// Selections one upon another both hold.
func TestSelectionsUponEachOther(t *testing.T) {
	tb := newTable(t, 10)
	_, s := tb.handle(tb.request(scan(false, where(tipb.ScalarFuncSig_GTInt, 20), where(tipb.ScalarFuncSig_LTInt, 50))))
	require.Equal(t, []string{"3 30 row 3", "4 40 row 4"}, tb.rows(s, keyType, intType, textType))
}
