package kvservice

import (
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// The search for old locks in a store's own data, which TiDB's garbage collection did up to version 6.1. It concerns no region.

// RegisterLockObserver implements tikvpb.TikvServer.
func (s *Service) RegisterLockObserver(_ context.Context, req *kvrpcpb.RegisterLockObserverRequest) (*kvrpcpb.RegisterLockObserverResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	return &kvrpcpb.RegisterLockObserverResponse{Error: textOf(s.d.Locks.Register(req.MaxTs))}, nil
}

// CheckLockObserver implements tikvpb.TikvServer.
func (s *Service) CheckLockObserver(_ context.Context, req *kvrpcpb.CheckLockObserverRequest) (*kvrpcpb.CheckLockObserverResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	locks, clean, err := s.d.Locks.Check(req.MaxTs)
	return &kvrpcpb.CheckLockObserverResponse{Locks: locks, IsClean: clean, Error: textOf(err)}, nil
}

// RemoveLockObserver implements tikvpb.TikvServer.
func (s *Service) RemoveLockObserver(_ context.Context, req *kvrpcpb.RemoveLockObserverRequest) (*kvrpcpb.RemoveLockObserverResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	return &kvrpcpb.RemoveLockObserverResponse{Error: textOf(s.d.Locks.Remove(req.MaxTs))}, nil
}

// PhysicalScanLock implements tikvpb.TikvServer.
func (s *Service) PhysicalScanLock(ctx context.Context, req *kvrpcpb.PhysicalScanLockRequest) (*kvrpcpb.PhysicalScanLockResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	locks, err := s.d.Locks.Scan(ctx, req.MaxTs, req.StartKey, int(req.Limit))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &kvrpcpb.PhysicalScanLockResponse{Locks: locks, Error: textOf(err)}, nil
}

// textOf is an error where a response has no more room than for a text.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
