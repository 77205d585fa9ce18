package flight

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
)

// Client asks another process's store in the way of gateways: columns travel as they are, and flow control holds the store
// back while its rows are not taken. Safe for concurrent use.
type Client struct {
	conn grpc.ClientConnInterface // also stands for the store in Broadcast.CopyAt
	rpc  flight.FlightServiceClient
}

// NewClient makes a client over a connection, which stays the caller's.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{conn, flight.NewFlightServiceClient(conn)}
}

// putsMax is how often the rows of a plan's receivers are put again for one request, after they were lost: the connection broke,
// or the store began anew.
const putsMax = 3

// Query runs a DAG request and hands its batches to sink, each for the time of a call. given are the rows of the plan's
// receivers, which go to the store with the first request that needs them there. An error is the sink's, executor.ErrNoRoom
// where the store does not take the rows, or that of a broken call; then the range in the response, if there is one, is what the
// batches so far answer for, nil where that is not known.
func (c *Client) Query(ctx context.Context, req *copb.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (*copb.Response, error) {
	ticket, err := req.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	for try := 1; ; try++ {
		sides, err := c.put(ctx, given)
		if err != nil {
			return nil, err
		}
		resp, err := c.get(ctx, ticket, sides, sink)
		if status.Code(err) != codes.NotFound || try == putsMax {
			return resp, err
		}
		for i, b := range given {
			b.DropCopy(c.conn, sides[i])
		}
	}
}

// get sends one request and reads its answer.
func (c *Client) get(ctx context.Context, ticket []byte, sides []*remoteSide, sink func(executor.Batch) error) (*copb.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a stream that is not read to its end
	ctx = metadata.AppendToOutgoingContext(ctx, ColumnsHeader, Physical)
	for _, s := range sides {
		ctx = metadata.AppendToOutgoingContext(ctx, GivenHeader, s.id)
	}
	stream, err := c.rpc.DoGet(ctx, &flight.Ticket{Ticket: ticket})
	if err != nil {
		return nil, err
	}
	r := &physicalReader{from: stream}
	partial := new(copb.Response)
	for {
		b, scanned, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return partial, err
		}
		if err := sink(b); err != nil {
			return nil, err
		}
		if partial.Range, err = keyRange(scanned); err != nil {
			return nil, err
		}
	}
	if !r.ended {
		return partial, io.ErrUnexpectedEOF
	}
	resp := new(copb.Response)
	if err := resp.Unmarshal(r.last); err != nil {
		return nil, fmt.Errorf("decode response: %w", err)
	}
	return resp, nil
}

func keyRange(data []byte) (*copb.KeyRange, error) {
	if len(data) == 0 {
		return nil, nil
	}
	kr := new(copb.KeyRange)
	if err := kr.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("decode key range: %w", err)
	}
	return kr, nil
}

// remoteSide are the rows of a receiver on one store, as long as the call goes on that has put them there.
type remoteSide struct {
	id     string
	cancel context.CancelFunc
}

var _ executor.Copy = (*remoteSide)(nil)

// Close implements executor.Copy.
func (r *remoteSide) Close() { r.cancel() }

// put sees to it that the store has the rows of all receivers.
func (c *Client) put(ctx context.Context, given []*executor.Broadcast) ([]*remoteSide, error) {
	sides := make([]*remoteSide, len(given))
	for i, b := range given {
		copied, err := b.CopyAt(c.conn, func(fields []*tipb.FieldType, rows []executor.Batch) (executor.Copy, error) {
			return c.putRows(ctx, fields, rows)
		})
		if err != nil {
			return nil, err
		}
		sides[i] = copied.(*remoteSide)
	}
	return sides, nil
}

// putRows sends rows in a call that outlives ctx, unless that ends before they are there.
func (c *Client) putRows(ctx context.Context, fields []*tipb.FieldType, rows []executor.Batch) (*remoteSide, error) {
	call, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	id, err := c.sendRows(call, fields, rows)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return &remoteSide{id, cancel}, nil
	}
	cancel()
	if status.Code(err) == codes.ResourceExhausted {
		err = fmt.Errorf("%w: %w", executor.ErrNoRoom, err)
	}
	return nil, err
}

// sendRows returns the name under which the store has the rows.
func (c *Client) sendRows(ctx context.Context, fields []*tipb.FieldType, rows []executor.Batch) (string, error) {
	cmd, err := (&tipb.ExchangeReceiver{FieldTypes: fields}).Marshal()
	if err != nil {
		return "", fmt.Errorf("encode receiver: %w", err)
	}
	stream, err := c.rpc.DoPut(ctx)
	if err != nil {
		return "", err
	}
	w := newPhysicalWriter(stream, typesOf(fields))
	w.w.SetFlightDescriptor(&flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: cmd})
	for _, b := range rows {
		if err == nil {
			err = w.write(b, nil)
		}
	}
	if err == nil {
		err = w.w.Close() // sends the schema if there were no rows
	}
	if err != nil && !errors.Is(err, io.EOF) { // at io.EOF, Recv tells why
		return "", err
	}
	if err := stream.CloseSend(); err != nil {
		return "", err
	}
	result, err := stream.Recv()
	if err != nil {
		return "", err
	}
	return string(result.AppMetadata), nil
}

func typesOf(fields []*tipb.FieldType) []arrow.DataType {
	types := make([]arrow.DataType, len(fields))
	for i, ft := range fields {
		types[i] = column.ArrowType(column.KindOf(ft))
	}
	return types
}
