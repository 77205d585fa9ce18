package deadlock

import (
	"context"
	"errors"
	"io"

	deadlockpb "github.com/pingcap/kvproto/pkg/deadlock"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Service is deadlock.Deadlock by gRPC: what other stores ask of this one.
type Service struct {
	detector *Detector
	waits    func() []*deadlockpb.WaitForEntry
}

var _ deadlockpb.DeadlockServer = (*Service)(nil)

// NewService serves d. waits lists the requests that wait on this store.
func NewService(d *Detector, waits func() []*deadlockpb.WaitForEntry) *Service {
	return &Service{d, waits}
}

// GetWaitForEntries implements deadlock.DeadlockServer.
func (s *Service) GetWaitForEntries(context.Context, *deadlockpb.WaitForEntriesRequest) (*deadlockpb.WaitForEntriesResponse, error) {
	resp := &deadlockpb.WaitForEntriesResponse{}
	for _, w := range s.waits() {
		resp.Entries = append(resp.Entries, *w)
	}
	return resp, nil
}

// Detect implements deadlock.DeadlockServer: it takes the reports of another store and answers those that close a circle. A
// store that does not lead the first region, or ceases to, ends the stream with FailedPrecondition.
func (s *Service) Detect(stream deadlockpb.Deadlock_DetectServer) error {
	for {
		if !s.detector.leading() {
			return status.Error(codes.FailedPrecondition, "this store is not the leader of the deadlock detector")
		}
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !s.detector.leading() {
			continue
		}
		chain := s.detector.enter(req.Tp, &req.Entry)
		if chain == nil {
			continue
		}
		last := chain[len(chain)-1]
		err = stream.Send(&deadlockpb.DeadlockResponse{
			Entry: req.Entry, DeadlockKey: last.Key, DeadlockKeyHash: last.KeyHash, WaitChain: chain,
		})
		if err != nil {
			return err
		}
	}
}
