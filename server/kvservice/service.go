// Package kvservice is one store's front: tikvpb.Tikv, by gRPC for TiKV's clients and by direct calls for a gateway in
// the same process (Service satisfies sql-gateway/kvclient.Store). It checks who a request is for, passes it to the
// transaction layer, the raw service or the coprocessor, and puts errors into the place where clients look for them:
//
//	wrong cluster                   gRPC status InvalidArgument
//	wrong API version               the response's error, see apiversion.go
//	wrong region, epoch, leader ... the response's region_error
//	locks, conflicts ...            the response's error: the transaction layer's business
//	outcome unknown, internal       gRPC status; for a commit clients take it as undetermined
package kvservice

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/raw"
	"github.com/scree-db/scree/storage/txn"
)

// Splitter lists the regions of the store and splits them at encoded keys.
type Splitter interface {
	Regions() []raftstore.RegionStatus
	SplitRegion(ctx context.Context, at storage.Region, encodedKeys [][]byte) ([]*metapb.Region, error)
}

// RaftStreams receive what other stores send.
type RaftStreams interface {
	Raft(tikvpb.Tikv_RaftServer) error
	BatchRaft(tikvpb.Tikv_BatchRaftServer) error
	Snapshot(tikvpb.Tikv_SnapshotServer) error
}

// SafeTimestamps tell up to when stale reads are served without asking the leader.
type SafeTimestamps interface {
	// StoreSafeTS is that of all regions here that overlap [start, end), encoded keys; 0: not known.
	StoreSafeTS(start, end []byte) uint64
	// CheckLeaders takes in what the leaders of regions say, and returns the regions whose leader the peers here agree on.
	CheckLeaders(infos []*kvrpcpb.LeaderInfo) (agreed []uint64)
}

// Deps are what a Service stands on.
type Deps struct {
	ClusterID, StoreID uint64
	API                kvrpcpb.APIVersion // that of Raw; transactional requests are held against it here
	Txn                *txn.Manager
	Locks              *txn.LockCollector
	Raw                *raw.Service
	Coprocessor        *coprocessor.Endpoint
	Splitter           Splitter
	SafeTimestamps     SafeTimestamps
	Raft               RaftStreams
	Logger             *slog.Logger // nil: discard
}

// Service is safe for concurrent use. Methods of tikvpb.Tikv that it does not have answer Unimplemented.
type Service struct {
	tikvpb.UnimplementedTikvServer
	d       Deps
	metrics *metrics
}

var (
	_ tikvpb.TikvServer    = (*Service)(nil)
	_ prometheus.Collector = (*Service)(nil)
)

// New makes a service.
func New(d Deps) *Service {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, metrics: newMetrics()}
}

// Raft, BatchRaft and Snapshot implement tikvpb.TikvServer.
func (s *Service) Raft(stream tikvpb.Tikv_RaftServer) error { return s.d.Raft.Raft(stream) }
func (s *Service) BatchRaft(stream tikvpb.Tikv_BatchRaftServer) error {
	return s.d.Raft.BatchRaft(stream)
}
func (s *Service) Snapshot(stream tikvpb.Tikv_SnapshotServer) error { return s.d.Raft.Snapshot(stream) }

// check refuses requests for another cluster.
func (s *Service) check(c *kvrpcpb.Context) error {
	if id := c.GetClusterId(); id != 0 && id != s.d.ClusterID {
		return status.Errorf(codes.InvalidArgument, "cluster id mismatch, request: %d, store: %d", id, s.d.ClusterID)
	}
	return nil
}

// withDeadline bounds ctx as the request asks for.
func withDeadline(ctx context.Context, c *kvrpcpb.Context) (context.Context, context.CancelFunc) {
	ms := c.GetMaxExecutionDurationMs()
	if ms == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
}

type request interface{ GetContext() *kvrpcpb.Context }

// unary runs a transactional method; wrap makes its response of a region error.
func unary[Q request, R any](s *Service, ctx context.Context, req Q, run func(context.Context, Q) (*R, error), wrap func(*errorpb.Error) *R) (*R, error) {
	if text := s.refused(req); text != "" {
		return refuse[R](text)
	}
	return serve(s, ctx, req, run, wrap)
}

// serve is unary for methods of any API version.
func serve[Q request, R any](s *Service, outer context.Context, req Q, run func(context.Context, Q) (*R, error), wrap func(*errorpb.Error) *R) (*R, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	ctx, cancel := withDeadline(outer, req.GetContext())
	defer cancel()
	begin := time.Now()
	resp, err := run(ctx, req)
	s.metrics.of(req).done(begin, err == nil)
	if err == nil {
		return resp, nil
	}
	if pb := regionError(outer, err); pb != nil {
		return wrap(pb), nil
	}
	if outer.Err() == nil {
		s.d.Logger.Warn("request failed", "err", err)
	}
	return nil, err
}

// regionError is what err is in a response, nil if it has no place there.
func regionError(outer context.Context, err error) *errorpb.Error {
	var region *storage.RegionError
	switch {
	case errors.Is(err, storage.ErrUndetermined):
		return nil
	case errors.As(err, &region):
		return region.Pb
	case errors.Is(err, context.DeadlineExceeded) && outer.Err() == nil:
		return &errorpb.Error{Message: "Deadline is exceeded"}
	}
	return nil
}
