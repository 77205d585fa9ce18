package pd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Tso implements pdpb.PDServer. Requests are answered in order; a client batches its own.
func (s *Service) Tso(stream pdpb.PD_TsoServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return endOfStream(err)
		}
		if err := s.check(req.GetHeader()); err != nil {
			return err
		}
		ts, err := s.core.oracle.Next(stream.Context(), req.Count)
		if err != nil {
			return status.Error(codes.Unknown, err.Error())
		}
		out := &pdpb.TsoResponse{Header: s.header(nil), Count: req.Count, Timestamp: ts.message()}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// endOfStream turns a client's orderly end into none of ours.
func endOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// heartbeatStream lets patrols and the answers to heartbeats share a stream, which allows one sender at a time.
type heartbeatStream struct {
	pdpb.PD_RegionHeartbeatServer
	mu sync.Mutex
}

func (h *heartbeatStream) send(resp *pdpb.RegionHeartbeatResponse) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Send(resp)
}

// RegionHeartbeat implements pdpb.PDServer. A heartbeat that is refused is answered with region id 0 and the error; the
// stream stays open.
func (s *Service) RegionHeartbeat(stream pdpb.PD_RegionHeartbeatServer) error {
	h := &heartbeatStream{PD_RegionHeartbeatServer: stream}
	var store uint64
	defer func() { s.forget(store, h) }()
	for {
		req, err := stream.Recv()
		if err != nil {
			return endOfStream(err)
		}
		if err := s.check(req.GetHeader()); err != nil {
			return err
		}
		if at := req.GetLeader().GetStoreId(); at != store {
			s.forget(store, h)
			store = at
			s.remember(store, h)
		}
		order, err := s.core.RegionHeartbeat(stream.Context(), req)
		if err != nil {
			order = &pdpb.RegionHeartbeatResponse{}
		}
		if order == nil {
			continue
		}
		order.Header = s.header(err)
		if err := h.send(order); err != nil {
			return err
		}
	}
}

func (s *Service) remember(store uint64, h *heartbeatStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[store] = h
}

func (s *Service) forget(store uint64, h *heartbeatStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[store] == h {
		delete(s.streams, store)
	}
}

// patrol runs one patrol and sends its orders; those for stores without a stream are dropped and come up again.
func (s *Service) patrol(ctx context.Context, log *slog.Logger) error {
	orders, err := s.core.Patrol(ctx)
	for _, o := range orders {
		s.mu.Lock()
		h := s.streams[o.Store]
		s.mu.Unlock()
		if h == nil {
			continue
		}
		o.Message.Header = s.header(nil)
		if err := h.send(o.Message); err != nil {
			log.Debug("order not sent", "store", o.Store, "region", o.Message.RegionId, "err", err)
		}
	}
	return err
}

// ReportBuckets implements pdpb.PDServer: buckets have no reader yet.
func (s *Service) ReportBuckets(stream pdpb.PD_ReportBucketsServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return stream.SendAndClose(&pdpb.ReportBucketsResponse{Header: s.header(nil)})
			}
			return err
		}
	}
}
