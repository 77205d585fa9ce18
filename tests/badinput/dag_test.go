package badinput

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/tests/testcluster"
)

// field is the number and wire type of a field that holds a message.
func field(number byte) byte { return number<<3 | 2 }

// wrap puts content into depth messages, each the given field of the next. It writes from the inside out and backwards,
// so that a million levels take no time.
func wrap(depth int, number byte, content []byte) []byte {
	reversed := slices.Clone(content)
	slices.Reverse(reversed)
	var head []byte
	for range depth {
		head = binary.AppendUvarint(append(head[:0], field(number)), uint64(len(reversed)))
		slices.Reverse(head)
		reversed = append(reversed, head...)
	}
	slices.Reverse(reversed)
	return reversed
}

// selection is an encoded DAG: a scan of one integer column of a table, and a filter with the encoded condition.
func selection(t *testing.T, table int64, condition []byte) []byte {
	scan := &tipb.DAGRequest{OutputOffsets: []uint32{0}, Executors: []*tipb.Executor{{
		Tp: tipb.ExecType_TypeTableScan, TblScan: &tipb.TableScan{TableId: table, Columns: []*tipb.ColumnInfo{{ColumnId: 1, Tp: 8, PkHandle: true}}},
	}}}
	head, err := scan.Marshal()
	require.NoError(t, err)
	filter := append([]byte{1 << 3, byte(tipb.ExecType_TypeSelection)}, wrap(1, 4, wrap(1, 1, condition))...) // Executor.selection.conditions
	return append(head, wrap(1, 2, filter)...)
}

// encodeExpr is a condition that has a tree of its own.
func encodeExpr(t *testing.T, e *tipb.Expr) []byte {
	data, err := e.Marshal()
	require.NoError(t, err)
	return data
}

// Plans that no planner makes, over gRPC: other_error says what is wrong, and the store answers the next request.
func TestDAGs(t *testing.T) {
	ctx := context.Background()
	c := testcluster.Start(t, testcluster.Options{})
	c.Exec("CREATE TABLE t (a BIGINT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2), (3)")
	var table int64
	require.NoError(t, c.DB.QueryRow("SELECT TIDB_TABLE_ID FROM information_schema.tables WHERE table_schema = 'test' AND table_name = 't'").Scan(&table))
	conn, err := grpc.NewClient(c.Nodes.Stores()[0].Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	store := tikvpb.NewTikvClient(conn)

	start := append(binary.BigEndian.AppendUint64([]byte("t"), uint64(table)^1<<63), "_r"...)
	end := append(slices.Clone(start[:len(start)-1]), 's')
	ts, err := c.Client.TS(ctx)
	require.NoError(t, err)
	send := func(data []byte) *coprocessor.Response {
		var resp *coprocessor.Response
		err := c.Client.Do(ctx, start, func(_ kvclient.Store, region *kvrpcpb.Context) (regionErr *errorpb.Error, err error) {
			resp, err = store.Coprocessor(ctx, &coprocessor.Request{
				Context: region, Tp: 103, Data: data, StartTs: ts, Ranges: []*coprocessor.KeyRange{{Start: start, End: end}},
			})
			return resp.GetRegionError(), err
		})
		require.NoError(t, err)
		return resp
	}
	good := selection(t, table, encodeExpr(t, &tipb.Expr{Tp: tipb.ExprType_Int64, Val: []byte{0x80, 0, 0, 0, 0, 0, 0, 1}}))
	for name, data := range map[string][]byte{
		"no message":        {0xff, 0xff, 0xff, 0xff},
		"a length too long": {field(2), 0xff, 0xff, 0xff, 0xff, 0x7f},
		"nothing":           {},
		"unknown signature": selection(t, table, encodeExpr(t, &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: 99999})),
		"unknown type":      selection(t, table, encodeExpr(t, &tipb.Expr{Tp: 12345})),
		"a short constant":  selection(t, table, encodeExpr(t, &tipb.Expr{Tp: tipb.ExprType_Int64, Val: []byte{1}})),
		"column 1000": selection(t, table, encodeExpr(t, &tipb.Expr{
			Tp: tipb.ExprType_ColumnRef, Val: []byte{0x80, 0, 0, 0, 0, 0, 3, 0xe8}, FieldType: &tipb.FieldType{Tp: 8}})),
		"too few arguments": selection(t, table, encodeExpr(t, &tipb.Expr{
			Tp: tipb.ExprType_ScalarFunc, Sig: tipb.ScalarFuncSig_EQInt, FieldType: &tipb.FieldType{Tp: 8}})),
		"5,000 deep":       selection(t, table, wrap(5000, 3, nil)), // Expr.children
		"1,000,000 deep":   selection(t, table, wrap(1_000_000, 3, nil)),
		"executors nested": wrap(1_000_000, 2, nil), // as unknown a shape as it gets
	} {
		resp := send(data)
		require.NotEmpty(t, resp.OtherError, name)
		require.Empty(t, resp.Data, name)

		var answer tipb.SelectResponse
		resp = send(good)
		require.Empty(t, resp.OtherError, name)
		require.NoError(t, answer.Unmarshal(resp.Data))
		require.Equal(t, 3, rowCount(&answer), name)
	}
}

// rowCount is the number of rows in a response of one integer column in TypeDefault: a flag and eight bytes each.
func rowCount(s *tipb.SelectResponse) (n int) {
	for _, c := range s.Chunks {
		n += len(c.RowsData) / 9
	}
	return n
}
