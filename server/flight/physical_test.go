package flight_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor"
)

// numbered is a server with rows 1 to n that have their number for a column.
func numbered(t *testing.T, n int64) *server {
	s := serve(t)
	for i := int64(1); i <= n; i++ {
		s.put(i, true, cell{intType, datum.NewInt64(i)})
	}
	return s
}

// query asks as a gateway does, and returns the first column's numbers.
func (s *server) query(req *copb.Request, given ...*executor.Broadcast) ([]int64, *copb.Response, error) {
	var got []int64
	resp, err := s.gateway.Query(context.Background(), req, given, func(b executor.Batch) error {
		require.Nil(s, b.Sel)
		got = append(got, b.Cols[0].(*array.Int64).Int64Values()...)
		return nil
	})
	return got, resp, err
}

// joined is a request for the numbers that are among the rows given to it.
func joined(t *testing.T) *copb.Request {
	t.Helper()
	key := []*tipb.Expr{{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, 0), FieldType: intType}}
	req := request(t, []*tipb.FieldType{intType},
		&tipb.Executor{Tp: tipb.ExecType_TypeExchangeReceiver, ExchangeReceiver: &tipb.ExchangeReceiver{FieldTypes: []*tipb.FieldType{intType}}},
		&tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: &tipb.Join{JoinType: tipb.JoinType_TypeSemiJoin, InnerIdx: 1, LeftJoinKeys: key, RightJoinKeys: key}})
	dag, parent := new(tipb.DAGRequest), uint32(2)
	require.NoError(t, dag.Unmarshal(req.Data))
	dag.Flags, dag.Executors[0].ParentIdx = executor.FlagWholePlans, &parent
	var err error
	req.Data, err = dag.Marshal()
	require.NoError(t, err)
	return req
}

func given(t *testing.T, values ...int64) *executor.Broadcast {
	t.Helper()
	b := column.NewBuilder(intType, len(values))
	for _, v := range values {
		b.AppendInt64(v)
	}
	rows, err := executor.NewBroadcast([]*tipb.FieldType{intType}, []executor.Batch{{Cols: []arrow.Array{b.Detach()}, Rows: len(values)}}, nil)
	require.NoError(t, err)
	return rows
}

func upTo(n int64) (list []int64) {
	for i := int64(1); i <= n; i++ {
		list = append(list, i)
	}
	return list
}

// A gateway gets the columns as the store has them, and what the store says of a request behind the rows, in the place of a status.
func TestPhysical(t *testing.T) {
	s := numbered(t, 40)
	dec := &tipb.FieldType{Tp: column.TypeDecimal, Flen: 10, Decimal: 2}
	price, _, err := value.ParseDecimal([]byte("12.50"))
	require.NoError(t, err)
	s.put(41, true, cell{intType, datum.NewInt64(41)}, cell{dec, datum.NewDecimal(price)})
	var cols []arrow.Array
	resp, err := s.gateway.Query(context.Background(), request(t, []*tipb.FieldType{intType, dec}), nil, func(b executor.Batch) error {
		cols = column.Compact(b).Cols
		return nil
	})
	require.NoError(t, err)
	last := cols[1].(*array.Int64)
	require.EqualValues(t, 1250, last.Value(last.Len()-1), "a decimal is a number, with its scale in the type")
	require.True(t, last.IsNull(0))
	sel := new(tipb.SelectResponse)
	require.NoError(t, sel.Unmarshal(resp.Data))
	require.NotZero(t, resp.ExecDetailsV2.ScanDetailV2.ProcessedVersions)

	got, resp, err := s.query(request(t, []*tipb.FieldType{intType}))
	require.NoError(t, err)
	require.Equal(t, upTo(41), got)
	require.Nil(t, resp.Range)

	s.put(42, false, cell{intType, datum.NewInt64(42)})
	got, resp, err = s.query(request(t, []*tipb.FieldType{intType}))
	require.NoError(t, err)
	require.Empty(t, got)
	require.Equal(t, key(42), resp.Locked.Key)
	moved := request(t, []*tipb.FieldType{intType})
	moved.Context.RegionId = 4711
	_, resp, err = s.query(moved)
	require.NoError(t, err)
	require.EqualValues(t, 4711, resp.RegionError.RegionNotFound.RegionId)
	other := request(t, nil)
	other.Data = []byte{0xff}
	_, resp, err = s.query(other)
	require.NoError(t, err)
	require.NotEmpty(t, resp.OtherError)
}

// What ends the reader ends the store's work, and is told as it was.
func TestPhysicalSinkError(t *testing.T) {
	s := numbered(t, 100)
	enough := errors.New("enough")
	_, err := s.gateway.Query(context.Background(), request(t, []*tipb.FieldType{intType}), nil, func(executor.Batch) error { return enough })
	require.Equal(t, enough, err)
	s.eventually(func() bool { return s.endpoint.Running() == 0 })
}

// A store whose rows are not taken waits, with most of them unread: more than a window is not on its way. Whoever cancels the query
// ends that, too.
func TestPhysicalCancel(t *testing.T) {
	s := serve(t)
	const rows, size = 400, 64 << 10 // a dozen windows
	text := &tipb.FieldType{Tp: column.TypeVarchar, Flen: size, Collate: -46}
	for i := int64(1); i <= rows; i++ {
		s.put(i, true, cell{text, datum.NewString(strings.Repeat("x", size))})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got := 0
	_, err := s.gateway.Query(ctx, request(t, []*tipb.FieldType{text}), nil, func(b executor.Batch) error {
		if got == 0 { // later ones may have come before the store heard of the end
			require.Equal(t, 1, s.endpoint.Running())
		}
		got += b.Rows
		cancel()
		return nil
	})
	require.Equal(t, codes.Canceled, status.Code(err))
	require.Less(t, got, rows)
	s.eventually(func() bool { return s.endpoint.Running() == 0 })
}

// eventually waits for what other goroutines bring about.
func (s *server) eventually(done func() bool) {
	s.Helper()
	require.Eventually(s, done, time.Minute, time.Millisecond)
}

// Rows of a receiver go to the store once, serve all requests of a plan, are not for other plans, and are gone from the store when the
// gateway has closed them.
func TestSides(t *testing.T) {
	s := numbered(t, 40)
	rows := given(t, 30, 7, 99)
	for range 3 {
		got, resp, err := s.query(joined(t), rows)
		require.NoError(t, err)
		require.Empty(t, resp.OtherError)
		require.Equal(t, []int64{7, 30}, got)
	}
	require.Equal(t, 1, s.puts())
	held := s.sides.Used()
	require.NotZero(t, held)
	other := joined(t)
	other.Data = append(other.Data, request(t, nil).Data...)
	_, _, err := s.query(other, rows)
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	none := given(t)
	got, _, err := s.query(joined(t), none)
	require.NoError(t, err)
	require.Empty(t, got, "a receiver without rows")
	none.Close()
	rows.Close()
	s.eventually(func() bool { return s.sides.Used() == 0 })
}

// A store that has lost the rows, as it began anew, gets them again.
func TestSidesLost(t *testing.T) {
	s := numbered(t, 40)
	rows := given(t, 30)
	defer rows.Close()
	got, _, err := s.query(joined(t), rows)
	require.NoError(t, err)
	require.Equal(t, []int64{30}, got)
	s.forget()
	got, _, err = s.query(joined(t), rows)
	require.NoError(t, err)
	require.Equal(t, []int64{30}, got)
	require.Equal(t, 2, s.puts())
}

// A store without room says so, once, and keeps nothing.
func TestSidesWithoutRoom(t *testing.T) {
	s := numbered(t, 40)
	many := make([]int64, sidesMax/16)
	rows := given(t, many...)
	defer rows.Close()
	for range 2 {
		_, _, err := s.query(joined(t), rows)
		require.ErrorIs(t, err, executor.ErrNoRoom)
	}
	require.Equal(t, 1, s.puts())
	require.Zero(t, s.sides.Used())
}

// What is wrong with what is put is said.
func TestPutRefusals(t *testing.T) {
	s := serve(t)
	receiver := func(types ...*tipb.FieldType) []byte {
		cmd, err := (&tipb.ExchangeReceiver{FieldTypes: types}).Marshal()
		require.NoError(t, err)
		return cmd
	}
	text := &tipb.FieldType{Tp: column.TypeVarchar}
	for name, d := range map[string]*flight.FlightDescriptor{
		"a path":    {Type: flight.DescriptorPATH},
		"nonsense":  {Type: flight.DescriptorCMD, Cmd: []byte{0xff}},
		"few types": {Type: flight.DescriptorCMD, Cmd: receiver()},
		"others":    {Type: flight.DescriptorCMD, Cmd: receiver(text)},
	} {
		stream, err := s.client.DoPut(context.Background())
		require.NoError(t, err)
		schema := arrow.NewSchema([]arrow.Field{{Name: "c0", Type: arrow.PrimitiveTypes.Int64}}, nil)
		w := flight.NewRecordWriter(stream, ipc.WithSchema(schema))
		w.SetFlightDescriptor(d)
		b := column.NewBuilder(intType, 1)
		b.AppendInt64(1)
		if err := w.Write(array.NewRecord(schema, []arrow.Array{b.Detach()}, 1)); err != io.EOF { // that is a refusal already
			require.NoError(t, err)
		}
		require.NoError(t, stream.CloseSend())
		_, err = stream.Recv()
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
	}
	require.Zero(t, s.sides.Used())
}
