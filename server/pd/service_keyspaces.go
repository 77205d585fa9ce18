package pd

import (
	"context"

	"github.com/pingcap/kvproto/pkg/keyspacepb"
)

// keyspaceService is Core behind keyspacepb.Keyspace. Ids are those of API V2; namespaces of V3 are not known here.
type keyspaceService struct{ *Service }

var _ keyspacepb.KeyspaceServer = keyspaceService{}

// LoadKeyspace implements keyspacepb.KeyspaceServer.
func (s keyspaceService) LoadKeyspace(_ context.Context, req *keyspacepb.LoadKeyspaceRequest) (*keyspacepb.LoadKeyspaceResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	meta, err := s.core.Keyspace(req.Name)
	return &keyspacepb.LoadKeyspaceResponse{Header: s.header(err), Keyspace: meta}, nil
}

// LookupKeyspace implements keyspacepb.KeyspaceServer.
func (s keyspaceService) LookupKeyspace(_ context.Context, req *keyspacepb.LookupKeyspaceRequest) (*keyspacepb.LookupKeyspaceResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	meta, err := s.core.Keyspace(req.Name)
	if err != nil {
		return &keyspacepb.LookupKeyspaceResponse{Header: s.header(err)}, nil
	}
	return &keyspacepb.LookupKeyspaceResponse{Header: s.header(nil), Keyspaces: []*keyspacepb.KeyspaceMeta{meta}}, nil
}

// LoadKeyspaceByID implements keyspacepb.KeyspaceServer.
func (s keyspaceService) LoadKeyspaceByID(_ context.Context, req *keyspacepb.LoadKeyspaceByIDRequest) (*keyspacepb.LoadKeyspaceResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	meta, err := s.core.KeyspaceByID(req.GetId())
	return &keyspacepb.LoadKeyspaceResponse{Header: s.header(err), Keyspace: meta}, nil
}

// GetAllKeyspaces implements keyspacepb.KeyspaceServer.
func (s keyspaceService) GetAllKeyspaces(_ context.Context, req *keyspacepb.GetAllKeyspacesRequest) (*keyspacepb.GetAllKeyspacesResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &keyspacepb.GetAllKeyspacesResponse{
		Header: s.header(nil), Keyspaces: s.core.Keyspaces(req.GetStartId(), int(req.Limit)),
	}, nil
}

// UpdateKeyspaceState implements keyspacepb.KeyspaceServer.
func (s keyspaceService) UpdateKeyspaceState(ctx context.Context, req *keyspacepb.UpdateKeyspaceStateRequest) (*keyspacepb.UpdateKeyspaceStateResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	meta, err := s.core.SetKeyspaceState(ctx, req.GetId(), req.State)
	return &keyspacepb.UpdateKeyspaceStateResponse{Header: s.header(err), Keyspace: meta}, nil
}

// WatchKeyspaces implements keyspacepb.KeyspaceServer: all keyspaces first, then those that change, until the client goes.
func (s keyspaceService) WatchKeyspaces(req *keyspacepb.WatchKeyspacesRequest, stream keyspacepb.Keyspace_WatchKeyspacesServer) error {
	if err := s.check(req.GetHeader()); err != nil {
		return err
	}
	return s.watch(stream.Context(), func(changed []*keyspacepb.KeyspaceMeta) error {
		return stream.Send(&keyspacepb.WatchKeyspacesResponse{Header: s.header(nil), Keyspaces: changed})
	})
}

func (s keyspaceService) watch(ctx context.Context, send func([]*keyspacepb.KeyspaceMeta) error) error {
	for mark := 0; ; {
		changed, next, more := s.core.changedKeyspaces(mark)
		if mark = next; len(changed) > 0 {
			if err := send(changed); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
}
