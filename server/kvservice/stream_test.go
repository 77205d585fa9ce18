package kvservice_test

import (
	"context"
	"io"
	"testing"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/storage/storagetest"
)

// A query by stream, as a client without more than gRPC sends it.
func TestCoprocessorStream(t *testing.T) {
	s, _ := newService(t)
	client := serve(t, s)
	const table = 9
	for id := range int64(3) {
		key := tablekey.AppendRecordKey(nil, table, tablekey.IntHandle(id))
		put(t, s, string(key), "\x80\x00\x00\x00\x00\x00", uint64(10*id+10)) // a row without columns
	}
	handle := &tipb.FieldType{Tp: column.TypeLongLong, Flag: 3, Flen: 20}
	dag := tipb.DAGRequest{OutputOffsets: []uint32{0}, Executors: []*tipb.Executor{{Tp: tipb.ExecType_TypeTableScan, TblScan: &tipb.TableScan{
		TableId: table, Columns: []*tipb.ColumnInfo{{ColumnId: 1, Tp: int32(handle.Tp), Flag: int32(handle.Flag), PkHandle: true}},
	}}}}
	data, err := dag.Marshal()
	require.NoError(t, err)
	all := tablekey.RecordRange(table)
	ask := func(pb *kvrpcpb.Context) (list []*copb.Response, err error) {
		stream, err := client.CoprocessorStream(context.Background(), &copb.Request{
			Context: pb, Tp: 103, Data: data, StartTs: 100, Ranges: []*copb.KeyRange{{Start: all.Start, End: all.End}},
		})
		require.NoError(t, err)
		for {
			resp, err := stream.Recv()
			if err != nil {
				return list, err
			}
			list = append(list, resp)
		}
	}

	list, err := ask(storagetest.Context())
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, list, 1)
	var message tipb.StreamResponse
	require.NoError(t, message.Unmarshal(list[0].Data))
	var rows tipb.Chunk
	require.NoError(t, rows.Unmarshal(message.Data))
	batch, err := chunk.DecodeDefault(rows.RowsData, []*tipb.FieldType{handle})
	require.NoError(t, err)
	require.Equal(t, 3, batch.Len())

	elsewhere := storagetest.Context()
	elsewhere.RegionId = 99
	list, err = ask(elsewhere)
	require.ErrorIs(t, err, io.EOF)
	require.EqualValues(t, 99, list[0].RegionError.GetRegionNotFound().GetRegionId())

	foreign := storagetest.Context()
	foreign.ClusterId = clusterID + 1
	_, err = ask(foreign)
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	other := storagetest.Context()
	other.ApiVersion = kvrpcpb.APIVersion_V2
	list, err = ask(other)
	require.ErrorIs(t, err, io.EOF)
	require.Contains(t, list[0].OtherError, "Api version")
}
