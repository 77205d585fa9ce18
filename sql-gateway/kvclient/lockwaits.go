package kvclient

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// lockWaiter is a Store that tells which of its requests wait for locks.
type lockWaiter interface {
	GetLockWaitInfo(context.Context, *kvrpcpb.GetLockWaitInfoRequest) (*kvrpcpb.GetLockWaitInfoResponse, error)
}

// LockWaits lists the lock requests that wait, with whom they wait for, of all stores that this client has had to do with: those
// of its own transactions are among them.
func (c *Client) LockWaits(ctx context.Context) ([]*deadlock.WaitForEntry, error) {
	var out []*deadlock.WaitForEntry
	for _, st := range c.stores.all() {
		w, ok := st.(lockWaiter)
		if !ok {
			continue
		}
		resp, err := w.GetLockWaitInfo(ctx, &kvrpcpb.GetLockWaitInfoRequest{})
		if err != nil {
			return nil, fmt.Errorf("ask a store who waits for locks: %w", err)
		}
		out = append(out, resp.Entries...)
	}
	return out, nil
}
