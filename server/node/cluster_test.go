package node_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/server/zaplog"
	"github.com/scree-db/scree/sql-gateway/distsql"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

func TestMain(m *testing.M) {
	zaplog.ReplaceGlobals(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// limit bounds everything a test waits for.
const limit = 20 * time.Second

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// startCluster starts a cluster on free ports, which elects leaders fast, and waits until it serves.
func startCluster(t *testing.T, dir string, stores int) *node.Cluster {
	t.Helper()
	ctx := testContext(t)
	c, err := node.StartCluster(ctx, node.ClusterOptions{
		Dir: dir, Stores: stores, CacheBytes: 32 << 20, ResolveInterval: 20 * time.Millisecond,
		Raft: raftstore.Config{TickInterval: 20 * time.Millisecond, PlacementInterval: 200 * time.Millisecond},
	})
	require.NoError(t, err)
	require.NoError(t, c.WaitReady(ctx))
	return c
}

func newClient(t *testing.T, c *node.Cluster, d kvclient.Dialer) *kvclient.Client {
	t.Helper()
	client := kvclient.New(c.Placement(), d, kvclient.Options{})
	return client
}

const tableID = 77

// The test's table: an integer key and a string.
var (
	keyType  = &tipb.FieldType{Tp: column.TypeLongLong, Flag: 3, Flen: 20}
	textType = &tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: 46}
)

// insert writes rows [from, to) in one transaction.
func insert(t *testing.T, c *kvclient.Client, from, to int64) {
	t.Helper()
	ctx := testContext(t)
	txn, err := c.Begin(ctx)
	require.NoError(t, err)
	var enc row.Encoder
	for i := from; i < to; i++ {
		enc.Reset()
		enc.AppendBytes(2, fmt.Appendf(nil, "row %d", i))
		val, err := enc.Encode(nil)
		require.NoError(t, err)
		require.NoError(t, txn.Set(tablekey.AppendRecordKey(nil, tableID, tablekey.IntHandle(i)), val))
	}
	require.NoError(t, txn.Commit(ctx))
}

// scanDAG reads the whole table.
func scanDAG() *tipb.DAGRequest {
	column := func(id int64, ft *tipb.FieldType, key bool) *tipb.ColumnInfo {
		return &tipb.ColumnInfo{ColumnId: id, Tp: int32(ft.Tp), Flag: int32(ft.Flag), ColumnLen: int32(ft.Flen),
			Collation: int32(ft.Collate), PkHandle: key}
	}
	return &tipb.DAGRequest{
		Executors: []*tipb.Executor{{Tp: tipb.ExecType_TypeTableScan, TblScan: &tipb.TableScan{
			TableId: tableID, Columns: []*tipb.ColumnInfo{column(1, keyType, true), column(2, textType, false)},
		}}},
		OutputOffsets: []uint32{1, 0},
	}
}

// selectAll runs scanDAG and returns "text|key" of each row.
func selectAll(t *testing.T, c *kvclient.Client) []string {
	t.Helper()
	return selectDAG(t, c, scanDAG())
}

// selectJoined is selectAll, but of the rows whose keys are given, which are sent to the stores.
func selectJoined(t *testing.T, c *kvclient.Client, keys ...int64) []string {
	t.Helper()
	given := column.NewBuilder(keyType, len(keys))
	for _, k := range keys {
		given.AppendInt64(k)
	}
	rows, err := executor.NewBroadcast([]*tipb.FieldType{keyType}, []executor.Batch{{Cols: []arrow.Array{given.Detach()}, Rows: len(keys)}}, nil)
	require.NoError(t, err)
	key := []*tipb.Expr{{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, 0), FieldType: keyType}}
	dag, parent := scanDAG(), uint32(2)
	dag.Executors[0].ParentIdx = &parent
	dag.Executors = append(dag.Executors,
		&tipb.Executor{Tp: tipb.ExecType_TypeExchangeReceiver, ExchangeReceiver: &tipb.ExchangeReceiver{FieldTypes: []*tipb.FieldType{keyType}}},
		&tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: &tipb.Join{JoinType: tipb.JoinType_TypeSemiJoin, InnerIdx: 1, LeftJoinKeys: key, RightJoinKeys: key}})
	dag.Flags = executor.FlagWholePlans
	return selectDAG(t, c, dag, rows)
}

func selectDAG(t *testing.T, c *kvclient.Client, dag *tipb.DAGRequest, given ...*executor.Broadcast) []string {
	t.Helper()
	ctx := testContext(t)
	ts, err := c.TS(ctx)
	require.NoError(t, err)
	fields, err := coprocessor.Fields(dag)
	require.NoError(t, err)
	rng := tablekey.RecordRange(tableID)
	op, err := distsql.Select(ctx, c, &distsql.Request{
		DAG: dag, Given: given, Fields: fields, TS: ts, KeepOrder: true, Ranges: []kvclient.KeyRange{{Start: rng.Start, End: rng.End}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, op.Close()) }()
	var out []string
	for {
		b, err := op.Next(ctx)
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		out = appendTexts(out, b, fields)
	}
}

func appendTexts(out []string, b executor.Batch, fields []*tipb.FieldType) []string {
	for i := range b.Len() {
		text := datum.FromColumn(b.Cols[0], b.Row(i), fields[0]).AppendText(nil, fields[0])
		text = datum.FromColumn(b.Cols[1], b.Row(i), fields[1]).AppendText(append(text, '|'), fields[1])
		out = append(out, string(text))
	}
	return out
}

// wantRows is what selectAll returns of rows [from, to).
func wantRows(from, to int64) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("row %d|%d", i, i))
	}
	return out
}

// One store: a transaction commits through raft, a pushed scan reads it, a split in the middle of the table changes
// nothing for the reader, and after a restart everything is there.
func TestOneStore(t *testing.T) {
	dir := t.TempDir()
	c := startCluster(t, dir, 1)
	client := newClient(t, c, c.Dialer())
	insert(t, client, -50, 100)
	require.Equal(t, wantRows(-50, 100), selectAll(t, client))
	require.NoError(t, client.Split(testContext(t), [][]byte{
		tablekey.AppendRecordKey(nil, tableID, tablekey.IntHandle(0)), tablekey.AppendRecordKey(nil, tableID, tablekey.IntHandle(10)),
	}))
	insert(t, client, 100, 200)
	require.Equal(t, wantRows(-50, 200), selectAll(t, client))
	require.Equal(t, append(wantRows(-1, 1), wantRows(99, 101)...), selectJoined(t, client, 99, -1, 0, 100), "over three regions")
	require.NoError(t, client.Close())
	require.NoError(t, c.Close())

	c = startCluster(t, dir, 1)
	defer func() { require.NoError(t, c.Close()) }()
	client = newClient(t, c, c.Dialer())
	defer func() { require.NoError(t, client.Close()) }()
	require.Equal(t, wantRows(-50, 200), selectAll(t, client))
	require.Len(t, c.Stores()[0].Status().Regions, 3)
}

// The same store over gRPC as other processes see it, streamed and in both encodings of TiKV, with timestamps over the network.
func TestOverTheWire(t *testing.T) {
	c := startCluster(t, t.TempDir(), 1)
	defer func() { require.NoError(t, c.Close()) }()
	pd, err := pdclient.Connect(testContext(t), []string{c.PDAddr()}, pdclient.Options{
		DialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(transport.Codec()))},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, pd.Close()) }()
	for i, dialer := range []*node.Dialer{
		node.NewDialer(), node.NewEncodedDialer(tipb.EncodeType_TypeChunk), node.NewEncodedDialer(tipb.EncodeType_TypeDefault),
	} {
		client := kvclient.New(pd, dialer, kvclient.Options{})
		insert(t, client, int64(i)*100, int64(i+1)*100)
		require.Equal(t, wantRows(0, int64(i+1)*100), selectAll(t, client))
		if i == 0 {
			require.Equal(t, wantRows(17, 19), selectJoined(t, client, 18, 17, 1000))
		}
		require.NoError(t, client.Close())
		require.NoError(t, dialer.Close())
	}
}

// Three stores: the placement driver makes three replicas of the region, and every store ends up with the data.
func TestThreeStores(t *testing.T) {
	c := startCluster(t, t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	client := newClient(t, c, c.Dialer())
	defer func() { require.NoError(t, client.Close()) }()
	insert(t, client, 0, 100)
	ctx := testContext(t)
	require.Eventually(t, func() bool {
		region, _, err := c.Placement().Region(ctx, nil)
		if err != nil || len(region.Peers) != 3 {
			return false
		}
		for _, p := range region.Peers {
			if p.Role != 0 {
				return false
			}
		}
		return true
	}, limit, 20*time.Millisecond)
	insert(t, client, 100, 200)
	require.Equal(t, wantRows(0, 200), selectAll(t, client))
	require.Eventually(t, func() bool { // followers learn of commits with the next heartbeat
		applied := map[uint64]bool{}
		for _, s := range c.Stores() {
			regions := s.Status().Regions
			if len(regions) != 1 {
				return false
			}
			applied[regions[0].AppliedIndex] = true
		}
		return len(applied) == 1
	}, limit, 20*time.Millisecond)
}

// A directory in use is refused with the owner's process id, and free again after an orderly end.
func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	c := startCluster(t, dir, 1)
	_, err := node.StartCluster(testContext(t), node.ClusterOptions{Dir: dir})
	var inUse *node.InUseError
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, os.Getpid(), inUse.PID)
	require.EqualError(t, err, fmt.Sprintf("data directory %s is in use by process %d", dir, os.Getpid()))
	require.NoError(t, c.Close())
	require.NoError(t, startCluster(t, dir, 1).Close())
}

// A store keeps to its cluster: requests that name another one are refused.
func TestWrongCluster(t *testing.T) {
	c := startCluster(t, t.TempDir(), 1)
	defer func() { require.NoError(t, c.Close()) }()
	_, err := c.Stores()[0].Service().KvGet(testContext(t), &kvrpcpb.GetRequest{
		Context: &kvrpcpb.Context{ClusterId: 1}, Key: memcmp.AppendBytes(nil, []byte("k")),
	})
	require.ErrorContains(t, err, "cluster id mismatch")
}
