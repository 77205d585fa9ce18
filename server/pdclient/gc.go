package pdclient

import (
	"context"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"
)

// The calls of garbage collection: see pd.Core for what the safe points mean to each other.

// GCSafePoint is the timestamp below which versions may be dropped.
func (c *Client) GCSafePoint(ctx context.Context) (uint64, error) {
	rpc, err := c.leader()
	if err != nil {
		return 0, err
	}
	resp, err := rpc.GetGCSafePoint(ctx, &pdpb.GetGCSafePointRequest{Header: c.header()})
	return resp.GetSafePoint(), check(resp, err)
}

// AdvanceTxnSafePoint has transactions that began below target refused, as far as barriers allow. It returns how far
// that is, and what held it, if anything.
func (c *Client) AdvanceTxnSafePoint(ctx context.Context, target uint64) (ts uint64, blocker string, err error) {
	rpc, err := c.leader()
	if err != nil {
		return 0, "", err
	}
	resp, err := rpc.AdvanceTxnSafePoint(ctx, &pdpb.AdvanceTxnSafePointRequest{Header: c.header(), Target: target})
	return resp.GetNewTxnSafePoint(), resp.GetBlockerDescription(), check(resp, err)
}

// AdvanceGCSafePoint lets stores drop what lies below target. All locks of transactions below it have been resolved.
func (c *Client) AdvanceGCSafePoint(ctx context.Context, target uint64) error {
	rpc, err := c.leader()
	if err != nil {
		return err
	}
	return check(rpc.AdvanceGCSafePoint(ctx, &pdpb.AdvanceGCSafePointRequest{Header: c.header(), Target: target}))
}

// SetGCBarrier keeps the safe points from passing ts for as long as ttl.
func (c *Client) SetGCBarrier(ctx context.Context, id string, ts uint64, ttl time.Duration) error {
	rpc, err := c.leader()
	if err != nil {
		return err
	}
	return check(rpc.SetGCBarrier(ctx, &pdpb.SetGCBarrierRequest{
		Header: c.header(), BarrierId: id, BarrierTs: ts, TtlSeconds: int64(ttl / time.Second),
	}))
}

// DeleteGCBarrier removes a barrier, if there is one.
func (c *Client) DeleteGCBarrier(ctx context.Context, id string) error {
	rpc, err := c.leader()
	if err != nil {
		return err
	}
	return check(rpc.DeleteGCBarrier(ctx, &pdpb.DeleteGCBarrierRequest{Header: c.header(), BarrierId: id}))
}

// GCState tells the safe points and barriers.
func (c *Client) GCState(ctx context.Context) (*pdpb.GCState, error) {
	rpc, err := c.leader()
	if err != nil {
		return nil, err
	}
	resp, err := rpc.GetGCState(ctx, &pdpb.GetGCStateRequest{Header: c.header()})
	return resp.GetGcState(), check(resp, err)
}
