package flight

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/tipb/go-tipb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
)

// Placement knows where regions are.
type Placement interface {
	// TS returns a new timestamp.
	TS(ctx context.Context) (uint64, error)
	// Region finds the region of an encoded key, with its leader (nil if unknown). A nil region means: not known now.
	Region(ctx context.Context, encodedKey []byte) (*metapb.Region, *metapb.Peer, error)
	// Store finds a store by id.
	Store(ctx context.Context, id uint64) (*metapb.Store, error)
}

// Deps are what a Service stands on.
type Deps struct {
	ClusterID   uint64
	Coprocessor *coprocessor.Endpoint
	Placement   Placement
	// Sides is what the rows of plans' receivers draw on, which gateways put here; nil: they are not bounded.
	Sides *executor.Memory
}

// Service is safe for concurrent use. Methods of Flight that it does not have answer Unimplemented.
type Service struct {
	flight.BaseFlightServer
	d     Deps
	sides *sides
}

var _ flight.FlightServer = (*Service)(nil)

// New makes a service.
func New(d Deps) *Service {
	return &Service{d: d, sides: newSides(d.Sides)}
}

// WarningCount is the trailer with the number of warnings that a stream's evaluation met; absent if there were none.
const WarningCount = "scree-warning-count"

// requestDAG is the type of coprocessor requests that give rows.
const requestDAG = 103

// DoGet implements flight.FlightServer.
func (s *Service) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	if h, _ := metadata.FromIncomingContext(stream.Context()); wantsPhysical(h) {
		return s.getPhysical(h, ticket.GetTicket(), stream)
	}
	req, dag, err := s.decode(ticket.GetTicket())
	if err != nil {
		return err
	}
	fields, err := coprocessor.Fields(dag)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	schema, converts := schemaOf(fields)
	w := flight.NewRecordWriter(stream, ipc.WithSchema(schema))
	resp, err := s.d.Coprocessor.Stream(stream.Context(), req, nil, func(b executor.Batch) error {
		rec, err := record(schema, converts, b)
		if err != nil {
			return err
		}
		return w.Write(rec)
	})
	if err != nil {
		return asStatus(err)
	}
	rest, err := refusal(resp)
	if err != nil {
		return err
	}
	if n := rest.GetWarningCount(); n > 0 {
		stream.SetTrailer(metadata.Pairs(WarningCount, strconv.FormatInt(n, 10)))
	}
	return asStatus(w.Close()) // sends the schema if there were no rows
}

// decodeRequest reads a request that this store can be asked.
func (s *Service) decodeRequest(data []byte) (*copb.Request, error) {
	req := new(copb.Request)
	if err := req.Unmarshal(data); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "decode coprocessor request: %v", err)
	}
	if id := req.GetContext().GetClusterId(); id != 0 && id != s.d.ClusterID {
		return nil, status.Errorf(codes.InvalidArgument, "cluster id mismatch, request: %d, store: %d", id, s.d.ClusterID)
	}
	if v := req.GetContext().GetApiVersion(); v != kvrpcpb.APIVersion_V1 {
		return nil, status.Errorf(codes.InvalidArgument, "api version %s is not supported, this store speaks V1", v)
	}
	return req, nil
}

// decode reads a request and checks what a stream in Arrow's types relies on.
func (s *Service) decode(data []byte) (*copb.Request, *tipb.DAGRequest, error) {
	req, err := s.decodeRequest(data)
	if err != nil {
		return nil, nil, err
	}
	if req.Tp != requestDAG || len(req.Tasks) > 0 {
		return nil, nil, status.Errorf(codes.InvalidArgument, "a stream answers one DAG request (type %d) at a time", requestDAG)
	}
	if req.PagingSize != 0 || req.PagingSizeBytes != 0 || req.MaxKeysRead != 0 {
		return nil, nil, status.Error(codes.InvalidArgument, "a stream has no pages")
	}
	req.IsCacheEnabled = false
	dag, err := coprocessor.DecodeDAG(req.Data)
	if err != nil {
		return nil, nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if len(dag.IntermediateOutputChannels) > 0 {
		return nil, nil, status.Error(codes.InvalidArgument, "a stream has one output")
	}
	return req, dag, nil
}

// refusal is the status of a response that says why there are no rows, or why they ended. Of others it returns what
// there is beside the rows.
func refusal(resp *copb.Response) (*tipb.SelectResponse, error) {
	switch {
	case resp.GetRegionError().GetMessage() == coprocessor.DeadlineExceeded:
		return nil, status.Error(codes.DeadlineExceeded, coprocessor.DeadlineExceeded)
	case resp.RegionError != nil:
		return nil, detailed(codes.Unavailable, regionMessage(resp.RegionError), resp.RegionError)
	case resp.Locked != nil:
		text := fmt.Sprintf("key %x is locked by transaction %d", resp.Locked.Key, resp.Locked.LockVersion)
		return nil, detailed(codes.Unavailable, text, resp.Locked)
	case resp.OtherError != "":
		return nil, status.Error(codes.InvalidArgument, resp.OtherError)
	}
	rest := new(tipb.SelectResponse)
	if err := rest.Unmarshal(resp.Data); err != nil {
		return nil, status.Errorf(codes.Internal, "decode response: %v", err)
	}
	if rest.Error != nil {
		return nil, detailed(codes.InvalidArgument, rest.Error.Msg, rest.Error)
	}
	return rest, nil
}

func regionMessage(e *errorpb.Error) string {
	if e.Message != "" {
		return e.Message
	}
	return "region error: " + e.String()
}

// detailed is a status with a message of the store protocol in its details.
func detailed[M protoadapt.MessageV1](code codes.Code, text string, detail M) error {
	st := status.New(code, text)
	with, err := st.WithDetails(detail)
	if err != nil {
		return st.Err()
	}
	return with.Err()
}

// asStatus keeps an error that is a status, or a context's, as one.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Internal, err.Error())
}
