package flight_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/memory"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	scree "github.com/scree-db/scree/server/flight"
	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/storage/storagetest"
	"github.com/scree-db/scree/storage/txn"
)

const (
	tableID   = 5
	clusterID = 42
	readTS    = 100
)

// server is a store with one region and its Flight service, and a client of it that knows nothing of our codec.
type server struct {
	*testing.T
	txn       *txn.Manager
	endpoint  *coprocessor.Endpoint
	placement *placement
	client    flight.Client
	gateway   *scree.Client    // a client that does
	sides     *executor.Memory // of the rows of receivers
	relay     *relay
}

// relay counts calls on their way to a service that can be replaced by one that knows nothing of them.
type relay struct {
	flight.FlightServer
	at   atomic.Pointer[scree.Service]
	puts atomic.Int64
}

func (r *relay) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	return r.at.Load().DoGet(ticket, stream)
}

func (r *relay) DoPut(stream flight.FlightService_DoPutServer) error {
	r.puts.Add(1)
	return r.at.Load().DoPut(stream)
}

// puts is how often rows of receivers were put.
func (s *server) puts() int { return int(s.relay.puts.Load()) }

// forget lets a new service, with the same data, take the place of the old one.
func (s *server) forget() {
	service := scree.New(scree.Deps{ClusterID: clusterID, Coprocessor: s.endpoint, Placement: s.placement, Sides: s.sides})
	s.relay.FlightServer = service
	s.relay.at.Store(service)
}

// sidesMax is the memory for rows of receivers.
const sidesMax = 1 << 20

func serve(t *testing.T) *server {
	store, locks := storagetest.New(t), txn.NewConcurrency()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{
		T: t, txn: txn.NewManager(store, locks, txn.ManagerOptions{}), endpoint: coprocessor.NewEndpoint(store, locks, coprocessor.Options{}),
		placement: &placement{}, sides: executor.NewMemory(sidesMax), relay: &relay{},
	}
	s.forget()
	g := grpc.NewServer(append(transport.ServerOptions(), grpc.WaitForHandlers(true))...)
	flight.RegisterFlightServiceServer(g, s.relay)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := transport.Dial(listener.Addr().String())
	require.NoError(t, err)
	s.gateway = scree.NewClient(conn)
	s.client, err = flight.NewClientWithMiddleware(listener.Addr().String(), nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.client.Close())
		require.NoError(t, conn.Close())
		g.Stop()
		require.NoError(t, <-served)
	})
	return s
}

// placement has regions 1, 2, ... with the given encoded bounds between them; each is led by the store of its number.
type placement struct{ bounds [][]byte }

func (p *placement) TS(context.Context) (uint64, error) { return readTS, nil }

func (p *placement) Region(_ context.Context, key []byte) (*metapb.Region, *metapb.Peer, error) {
	r := &metapb.Region{Id: 1, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}}
	for _, b := range p.bounds {
		if string(key) < string(b) {
			r.EndKey = b
			break
		}
		r.Id, r.StartKey = r.Id+1, b
	}
	return r, &metapb.Peer{Id: r.Id + 100, StoreId: r.Id}, nil
}

func (p *placement) Store(_ context.Context, id uint64) (*metapb.Store, error) {
	return &metapb.Store{Id: id, Address: "store-" + string(rune('0'+id)) + ":1"}, nil
}

func key(handle int64) []byte {
	return tablekey.AppendRecordKey(nil, tableID, tablekey.IntHandle(handle))
}

// cell is a column with its type and one value.
type cell struct {
	ft  *tipb.FieldType
	val datum.Datum
}

// put locks, and unless it is to stay locked commits, a row whose columns are numbered from 1.
func (s *server) put(handle int64, commit bool, cells ...cell) {
	s.Helper()
	var enc row.Encoder
	for i, c := range cells {
		if c.val.IsNull() {
			enc.AppendNull(int64(i + 1))
		} else {
			require.NoError(s, enc.AppendDatum(int64(i+1), c.val, c.ft))
		}
	}
	val, err := enc.Encode(nil)
	require.NoError(s, err)
	ctx, start := context.Background(), uint64(10+2*handle)
	pre, err := s.txn.Prewrite(ctx, &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), PrimaryLock: key(handle), StartVersion: start, LockTtl: 3000,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key(handle), Value: val}},
	})
	require.NoError(s, err)
	require.Empty(s, pre.Errors)
	if !commit {
		return
	}
	resp, err := s.txn.Commit(ctx, &kvrpcpb.CommitRequest{
		Context: storagetest.Context(), StartVersion: start, CommitVersion: start + 1, Keys: [][]byte{key(handle)},
	})
	require.NoError(s, err)
	require.Nil(s, resp.Error)
}

// request scans the whole table.
func request(t *testing.T, fields []*tipb.FieldType, rest ...*tipb.Executor) *copb.Request {
	t.Helper()
	scan := &tipb.TableScan{TableId: tableID}
	dag := &tipb.DAGRequest{Executors: append([]*tipb.Executor{{Tp: tipb.ExecType_TypeTableScan, TblScan: scan}}, rest...)}
	for i, ft := range fields {
		scan.Columns = append(scan.Columns, &tipb.ColumnInfo{ColumnId: int64(i + 1), Tp: ft.Tp, Flag: int32(ft.Flag),
			ColumnLen: ft.Flen, Decimal: ft.Decimal, Collation: ft.Collate, Elems: ft.Elems})
		dag.OutputOffsets = append(dag.OutputOffsets, uint32(i))
	}
	data, err := dag.Marshal()
	require.NoError(t, err)
	all := tablekey.RecordRange(tableID)
	return &copb.Request{Context: storagetest.Context(), Tp: 103, Data: data, StartTs: readTS,
		Ranges: []*copb.KeyRange{{Start: all.Start, End: all.End}}}
}

// get reads a ticket to its end.
func (s *server) get(req *copb.Request) (*arrow.Schema, []arrow.Record, metadata.MD, error) {
	s.Helper()
	ticket, err := req.Marshal()
	require.NoError(s, err)
	stream, err := s.client.DoGet(context.Background(), &flight.Ticket{Ticket: ticket})
	require.NoError(s, err)
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return nil, nil, stream.Trailer(), err
	}
	var records []arrow.Record
	for {
		rec, err := reader.Read()
		if err == io.EOF {
			return reader.Schema(), records, stream.Trailer(), nil
		}
		if err != nil {
			return reader.Schema(), records, stream.Trailer(), err
		}
		rec.Retain()
		records = append(records, rec)
	}
}

// Every MySQL type has an Arrow type of its own kind, and its values arrive as that; so do NULLs.
func TestTypes(t *testing.T) {
	dec := func(text string) datum.Datum {
		d, whole, err := value.ParseDecimal([]byte(text))
		require.NoError(t, err)
		require.True(t, whole)
		return datum.NewDecimal(d)
	}
	day := value.MakeTime(2024, 2, 29, 0, 0, 0, 0)
	moment := value.MakeTime(1969, 12, 31, 23, 59, 58, 123456)
	json, err := value.ParseJSON([]byte(`{"a": [1, "x"]}`))
	require.NoError(t, err)
	cases := []struct {
		cell
		arrow string
		want  string // as Arrow prints it
	}{
		{cell{&tipb.FieldType{Tp: column.TypeLongLong}, datum.NewInt64(-7)}, "int64", "-7"},
		{cell{&tipb.FieldType{Tp: column.TypeLong, Flag: column.FlagUnsigned}, datum.NewUint64(7)}, "uint64", "7"},
		{cell{&tipb.FieldType{Tp: column.TypeDouble}, datum.NewFloat64(1.5)}, "float64", "1.5"},
		{cell{&tipb.FieldType{Tp: column.TypeDecimal, Flen: 10, Decimal: 2}, dec("-12345678.90")}, "decimal(10, 2)", "-12345678.9"},
		{cell{&tipb.FieldType{Tp: column.TypeDecimal, Flen: 30, Decimal: 5}, dec("1234567890123456789012345.67890")}, "decimal(30, 5)", "1234567890123456789012345.6789"},
		{cell{&tipb.FieldType{Tp: column.TypeDecimal, Flen: 65, Decimal: 1}, dec("1234567890123456789012345678901234567890.5")}, "decimal256(65, 1)", "1234567890123456789012345678901234567890.5"},
		{cell{&tipb.FieldType{Tp: column.TypeDate}, datum.NewTime(day)}, "date32", "2024-02-29"},
		{cell{&tipb.FieldType{Tp: column.TypeDatetime, Decimal: 6}, datum.NewTime(moment)}, "timestamp[us]", "1969-12-31 23:59:58.123456Z"},
		{cell{&tipb.FieldType{Tp: column.TypeTimestamp}, datum.NewTime(day)}, "timestamp[us]", "2024-02-29 00:00:00Z"},
		{cell{&tipb.FieldType{Tp: column.TypeDuration}, datum.NewDuration(-value.Duration(90 * time.Second))}, "duration[ns]", "-90000000000ns"},
		{cell{&tipb.FieldType{Tp: column.TypeVarchar, Flen: 9, Collate: -46}, datum.NewString("Ärger")}, "utf8", "Ärger"},
		{cell{&tipb.FieldType{Tp: column.TypeVarchar, Flen: 9, Collate: 63}, datum.NewString("\xff")}, "binary", "/w=="},
		{cell{&tipb.FieldType{Tp: column.TypeBlob, Collate: -63}, datum.NewString("\x00")}, "binary", "AA=="},
		{cell{&tipb.FieldType{Tp: column.TypeEnum, Elems: []string{"red", "green"}}, datum.NewUint64(2)}, "utf8", "green"},
		{cell{&tipb.FieldType{Tp: column.TypeSet, Elems: []string{"a", "b", "c"}}, datum.NewUint64(5)}, "utf8", "a,c"},
		{cell{&tipb.FieldType{Tp: column.TypeEnum, Flag: column.FlagEnumSetAsInt, Elems: []string{"x"}}, datum.NewUint64(1)}, "uint64", "1"},
		{cell{&tipb.FieldType{Tp: column.TypeBit, Flen: 10}, datum.NewUint64(513)}, "uint64", "513"},
		{cell{&tipb.FieldType{Tp: column.TypeYear}, datum.NewInt64(2024)}, "int64", "2024"},
		{cell{&tipb.FieldType{Tp: column.TypeJSON}, datum.NewJSON(json)}, "utf8", `{"a": [1, "x"]}`},
		{cell{&tipb.FieldType{Tp: column.TypeDate}, datum.NewTime(0)}, "date32", "(null)"},
		{cell{&tipb.FieldType{Tp: column.TypeDatetime}, datum.NewTime(value.MakeTime(2024, 0, 0, 0, 0, 0, 0))}, "timestamp[us]", "(null)"},
	}
	s := serve(t)
	var full, empty []cell
	var fields []*tipb.FieldType
	for _, c := range cases {
		full, empty, fields = append(full, c.cell), append(empty, cell{ft: c.ft}), append(fields, c.ft)
	}
	s.put(1, true, empty...)
	s.put(2, true, full...)
	s.put(3, true, empty...)
	schema, records, _, err := s.get(request(t, fields))
	require.NoError(t, err)
	require.Len(t, records, 1)
	for i, c := range cases {
		f := schema.Field(i)
		require.True(t, f.Nullable)
		require.Equal(t, c.arrow, typeName(f.Type), "column %d", i)
		col := records[0].Column(i)
		require.Equal(t, 3, col.Len())
		require.Equal(t, c.want, col.ValueStr(1), "column %d, %s", i, c.arrow)
		require.True(t, col.IsNull(0) && col.IsNull(2), "column %d", i)
	}
}

func typeName(t arrow.DataType) string {
	if ts, ok := t.(*arrow.TimestampType); ok {
		return "timestamp[" + ts.Unit.String() + "]" + ts.TimeZone
	}
	return t.String()
}

var intType = &tipb.FieldType{Tp: column.TypeLongLong}

// A selection's rows are dense on the wire, a large table comes in many batches, and no rows still have a schema.
func TestBatches(t *testing.T) {
	s := serve(t)
	for i := int64(1); i <= 40; i++ {
		s.put(i, true, cell{intType, datum.NewInt64(i)})
	}
	where := func(sig tipb.ScalarFuncSig, v int64) *tipb.Executor {
		return &tipb.Executor{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{Conditions: []*tipb.Expr{{
			Tp: tipb.ExprType_ScalarFunc, Sig: sig, FieldType: intType, Children: []*tipb.Expr{
				{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, 0), FieldType: intType},
				{Tp: tipb.ExprType_Int64, Val: memcmp.AppendInt64(nil, v), FieldType: intType},
			},
		}}}}
	}
	_, records, _, err := s.get(request(t, []*tipb.FieldType{intType}, where(tipb.ScalarFuncSig_GTInt, 30)))
	require.NoError(t, err)
	var got []int64
	for _, r := range records {
		got = append(got, r.Column(0).(*array.Int64).Int64Values()...)
	}
	require.Equal(t, []int64{31, 32, 33, 34, 35, 36, 37, 38, 39, 40}, got)

	_, records, _, err = s.get(request(t, []*tipb.FieldType{intType}))
	require.NoError(t, err)
	require.Len(t, records, 2)

	schema, records, _, err := s.get(request(t, []*tipb.FieldType{intType}, where(tipb.ScalarFuncSig_GTInt, 99)))
	require.NoError(t, err)
	require.Empty(t, records)
	require.Equal(t, 1, schema.NumFields())
}

// Refusals are statuses: what to do is in the code, what has happened in the details, and no row comes before.
func TestRefusals(t *testing.T) {
	s := serve(t)
	fields := []*tipb.FieldType{intType}
	for i := int64(1); i <= 40; i++ {
		s.put(i, i != 40, cell{intType, datum.NewInt64(i)})
	}
	_, records, _, err := s.get(request(t, fields))
	require.Empty(t, records)
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, key(40), detail[*kvrpcpb.LockInfo](t, err).Key)

	moved := request(t, fields)
	moved.Context.RegionId = 4711
	_, _, _, err = s.get(moved)
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.EqualValues(t, 4711, detail[*errorpb.Error](t, err).RegionNotFound.RegionId)

	for name, change := range map[string]func(*copb.Request){
		"cluster":   func(r *copb.Request) { r.Context.ClusterId = clusterID + 1 },
		"version":   func(r *copb.Request) { r.Context.ApiVersion = kvrpcpb.APIVersion_V2 },
		"paging":    func(r *copb.Request) { r.PagingSize = 1 },
		"plan":      func(r *copb.Request) { r.Data = nil },
		"encoding":  func(r *copb.Request) { r.Data = []byte{0xff} },
		"type":      func(r *copb.Request) { r.Tp = 104 },
		"reversed":  func(r *copb.Request) { r.Ranges[0].Start, r.Ranges[0].End = r.Ranges[0].End, r.Ranges[0].Start },
		"the tasks": func(r *copb.Request) { r.Tasks = []*copb.StoreBatchTask{{}} },
	} {
		req := request(t, fields)
		change(req)
		_, _, _, err := s.get(req)
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
	}
}

func detail[M any](t *testing.T, err error) (m M) {
	t.Helper()
	details := status.Convert(err).Details()
	require.Len(t, details, 1)
	require.IsType(t, m, details[0])
	return details[0].(M)
}

// Evaluation that fails has MySQL's code, and evaluation that warns is counted in the trailer.
func TestEvaluation(t *testing.T) {
	s := serve(t)
	text := &tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: -46}
	for i := int64(1); i <= 3; i++ {
		s.put(i, true, cell{text, datum.NewString("x")})
	}
	number := &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: tipb.ScalarFuncSig_CastStringAsInt, FieldType: intType, Children: []*tipb.Expr{
		{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, 0), FieldType: text},
	}}
	req := request(t, []*tipb.FieldType{text},
		&tipb.Executor{Tp: tipb.ExecType_TypeProjection, Projection: &tipb.Projection{Exprs: []*tipb.Expr{number}}})
	_, _, _, err := s.get(req)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.EqualValues(t, 1292, detail[*tipb.Error](t, err).Code)

	dag := new(tipb.DAGRequest)
	require.NoError(t, dag.Unmarshal(req.Data))
	dag.Flags = 2 // truncation is a warning
	req.Data, err = dag.Marshal()
	require.NoError(t, err)
	_, records, trailer, err := s.get(req)
	require.NoError(t, err)
	require.EqualValues(t, 3, records[0].NumRows())
	require.Equal(t, []string{"3"}, trailer.Get(scree.WarningCount))
}

// A query is cut at the bounds of regions, one endpoint for each that it touches, all at one timestamp.
func TestGetFlightInfo(t *testing.T) {
	s := serve(t)
	for _, handle := range []int64{10, 20, 30} {
		s.placement.bounds = append(s.placement.bounds, memcmp.AppendBytes(nil, key(handle)))
	}
	req := request(t, []*tipb.FieldType{intType})
	req.Context, req.StartTs = nil, 0
	req.Ranges = []*copb.KeyRange{{Start: key(1), End: key(3)}, {Start: key(5), End: key(12)}, {Start: key(20), End: key(30)}, {Start: key(40)}}
	cmd, err := req.Marshal()
	require.NoError(t, err)
	descriptor := &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: cmd}
	info, err := s.client.GetFlightInfo(context.Background(), descriptor)
	require.NoError(t, err)
	schema, err := flight.DeserializeSchema(info.Schema, memory.DefaultAllocator)
	require.NoError(t, err)
	require.Equal(t, "int64", schema.Field(0).Type.String())

	want := [][]*copb.KeyRange{
		{{Start: key(1), End: key(3)}, {Start: key(5), End: key(10)}}, {{Start: key(10), End: key(12)}},
		{{Start: key(20), End: key(30)}}, {{Start: key(40)}},
	}
	require.Len(t, info.Endpoint, len(want))
	for i, e := range info.Endpoint {
		ticket := new(copb.Request)
		require.NoError(t, ticket.Unmarshal(e.Ticket.Ticket))
		require.Equal(t, want[i], ticket.Ranges)
		require.EqualValues(t, i+1, ticket.Context.RegionId)
		require.EqualValues(t, i+101, ticket.Context.Peer.Id)
		require.EqualValues(t, clusterID, ticket.Context.ClusterId)
		require.EqualValues(t, readTS, ticket.StartTs)
		require.Equal(t, "grpc+tcp://store-"+string(rune('1'+i))+":1", e.Location[0].Uri)
	}

	result, err := s.client.GetSchema(context.Background(), descriptor)
	require.NoError(t, err)
	require.Equal(t, info.Schema, result.Schema)
	_, err = s.client.GetFlightInfo(context.Background(), &flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{"t"}})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	s.placement.bounds = [][]byte{append(memcmp.AppendBytes(nil, key(1)), 'x')} // between raw keys
	info, err = s.client.GetFlightInfo(context.Background(), descriptor)
	require.NoError(t, err)
	ticket := new(copb.Request)
	require.NoError(t, ticket.Unmarshal(info.Endpoint[0].Ticket.Ticket))
	require.Equal(t, []*copb.KeyRange{{Start: key(1), End: append(key(1), 0)}}, ticket.Ranges)
}

// A client that goes away ends its stream, and the store serves on.
func TestClientGoesAway(t *testing.T) {
	s := serve(t)
	for i := int64(1); i <= 40; i++ {
		s.put(i, true, cell{intType, datum.NewInt64(i)})
	}
	ticket, err := request(t, []*tipb.FieldType{intType}).Marshal()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := s.client.DoGet(ctx, &flight.Ticket{Ticket: ticket})
	require.NoError(t, err)
	cancel()
	for err == nil {
		_, err = stream.Recv()
	}
	if err != io.EOF { // all of it may have been on its way
		require.Equal(t, codes.Canceled, status.Code(err))
	}
	_, records, _, err := s.get(request(t, []*tipb.FieldType{intType}))
	require.NoError(t, err)
	require.Len(t, records, 2)
}
