package pd

import (
	"context"
	"sync"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Service is Core behind pdpb.PD. What it does not know answers Unimplemented, which clients take for an older server.
//
// An application error travels in the response header with a gRPC status of OK; a request of another cluster is refused
// with a gRPC error.
type Service struct {
	pdpb.UnimplementedPDServer
	core *Core
	self *pdpb.Member

	mu sync.Mutex
	// streams has the region heartbeat stream of each store, for orders that answer nothing.
	streams map[uint64]*heartbeatStream
}

var _ pdpb.PDServer = (*Service)(nil)

// NewService serves core; self is how clients reach this member.
func NewService(core *Core, self *pdpb.Member) *Service {
	return &Service{core: core, self: self, streams: make(map[uint64]*heartbeatStream)}
}

// header answers with an application error or none.
func (s *Service) header(err error) *pdpb.ResponseHeader {
	return &pdpb.ResponseHeader{ClusterId: s.core.clusterID, Error: headerError(err)}
}

// check refuses requests that were meant for another cluster.
func (s *Service) check(h *pdpb.RequestHeader) error {
	if id := h.GetClusterId(); id != s.core.clusterID {
		return status.Errorf(codes.FailedPrecondition, "mismatch cluster id, need %d but got %d", s.core.clusterID, id)
	}
	return nil
}

// GetMembers implements pdpb.PDServer. It needs no cluster id: this is where clients learn it.
func (s *Service) GetMembers(context.Context, *pdpb.GetMembersRequest) (*pdpb.GetMembersResponse, error) {
	return &pdpb.GetMembersResponse{
		Header: s.header(nil), Members: []*pdpb.Member{s.self}, Leader: s.self, EtcdLeader: s.self,
	}, nil
}

// GetClusterInfo implements pdpb.PDServer.
func (s *Service) GetClusterInfo(context.Context, *pdpb.GetClusterInfoRequest) (*pdpb.GetClusterInfoResponse, error) {
	return &pdpb.GetClusterInfoResponse{
		Header: s.header(nil), ServiceModes: []pdpb.ServiceMode{pdpb.ServiceMode_PD_SVC_MODE},
	}, nil
}

// AllocID implements pdpb.PDServer.
func (s *Service) AllocID(ctx context.Context, req *pdpb.AllocIDRequest) (*pdpb.AllocIDResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	count := max(req.Count, 1)
	id, err := s.core.AllocID(ctx, count)
	return &pdpb.AllocIDResponse{Header: s.header(err), Id: id, Count: count}, nil
}

// Bootstrap implements pdpb.PDServer.
func (s *Service) Bootstrap(ctx context.Context, req *pdpb.BootstrapRequest) (*pdpb.BootstrapResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.BootstrapResponse{Header: s.header(s.core.Bootstrap(ctx, req.Store, req.Region))}, nil
}

// IsBootstrapped implements pdpb.PDServer.
func (s *Service) IsBootstrapped(_ context.Context, req *pdpb.IsBootstrappedRequest) (*pdpb.IsBootstrappedResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.IsBootstrappedResponse{Header: s.header(nil), Bootstrapped: s.core.IsBootstrapped()}, nil
}

// IsSnapshotRecovering implements pdpb.PDServer: there is no recovery from volume snapshots.
func (s *Service) IsSnapshotRecovering(context.Context, *pdpb.IsSnapshotRecoveringRequest) (*pdpb.IsSnapshotRecoveringResponse, error) {
	return &pdpb.IsSnapshotRecoveringResponse{Header: s.header(nil)}, nil
}

// GetClusterConfig implements pdpb.PDServer.
func (s *Service) GetClusterConfig(_ context.Context, req *pdpb.GetClusterConfigRequest) (*pdpb.GetClusterConfigResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.core.IsBootstrapped() {
		return &pdpb.GetClusterConfigResponse{Header: s.header(errNotBootstrapped)}, nil
	}
	cluster := &metapb.Cluster{Id: s.core.clusterID, MaxPeerCount: uint32(s.core.cfg.MaxReplicas)}
	return &pdpb.GetClusterConfigResponse{Header: s.header(nil), Cluster: cluster}, nil
}

// PutStore implements pdpb.PDServer.
func (s *Service) PutStore(ctx context.Context, req *pdpb.PutStoreRequest) (*pdpb.PutStoreResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.PutStoreResponse{Header: s.header(s.core.PutStore(ctx, req.Store))}, nil
}

// GetStore implements pdpb.PDServer. An unknown store is a gRPC error: clients look for its text.
func (s *Service) GetStore(_ context.Context, req *pdpb.GetStoreRequest) (*pdpb.GetStoreResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	store, stats, err := s.core.Store(req.StoreId)
	if err != nil && s.core.IsBootstrapped() {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.GetStoreResponse{Header: s.header(err), Store: store, Stats: stats}, nil
}

// GetAllStores implements pdpb.PDServer.
func (s *Service) GetAllStores(_ context.Context, req *pdpb.GetAllStoresRequest) (*pdpb.GetAllStoresResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	stores, err := s.core.Stores(req.ExcludeTombstoneStores)
	return &pdpb.GetAllStoresResponse{Header: s.header(err), Stores: stores}, nil
}

// StoreHeartbeat implements pdpb.PDServer.
func (s *Service) StoreHeartbeat(_ context.Context, req *pdpb.StoreHeartbeatRequest) (*pdpb.StoreHeartbeatResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	resp, err := s.core.StoreHeartbeat(req.Stats)
	if err != nil {
		resp = &pdpb.StoreHeartbeatResponse{}
	}
	resp.Header = s.header(err)
	return resp, nil
}

// ReportMinResolvedTS implements pdpb.PDServer; the value has no reader yet.
func (s *Service) ReportMinResolvedTS(_ context.Context, req *pdpb.ReportMinResolvedTsRequest) (*pdpb.ReportMinResolvedTsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.ReportMinResolvedTsResponse{Header: s.header(nil)}, nil
}

// GetMinTS implements pdpb.PDServer.
func (s *Service) GetMinTS(ctx context.Context, req *pdpb.GetMinTSRequest) (*pdpb.GetMinTSResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	ts, err := s.core.oracle.Next(ctx, 1)
	return &pdpb.GetMinTSResponse{Header: s.header(err), Timestamp: ts.message()}, nil
}

func (t Timestamp) message() *pdpb.Timestamp {
	return &pdpb.Timestamp{Physical: t.Physical(), Logical: t.Logical()}
}
