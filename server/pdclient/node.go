package pdclient

import (
	"context"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

// The calls of a storage node.

// AllocID reserves count ids and returns the first.
func (c *Client) AllocID(ctx context.Context, count uint32) (uint64, error) {
	rpc, err := c.leader()
	if err != nil {
		return 0, err
	}
	resp, err := rpc.AllocID(ctx, &pdpb.AllocIDRequest{Header: c.header(), Count: count})
	if err := check(resp, err); err != nil {
		return 0, err
	}
	return resp.Id - uint64(count) + 1, nil
}

// IsBootstrapped reports whether the cluster has its first region.
func (c *Client) IsBootstrapped(ctx context.Context) (bool, error) {
	rpc, err := c.leader()
	if err != nil {
		return false, err
	}
	resp, err := rpc.IsBootstrapped(ctx, &pdpb.IsBootstrappedRequest{Header: c.header()})
	return resp.GetBootstrapped(), check(resp, err)
}

// Bootstrap creates the cluster with its first store and region. See IsAlreadyBootstrapped for losing the race.
func (c *Client) Bootstrap(ctx context.Context, store *metapb.Store, region *metapb.Region) error {
	rpc, err := c.leader()
	if err != nil {
		return err
	}
	return check(rpc.Bootstrap(ctx, &pdpb.BootstrapRequest{Header: c.header(), Store: store, Region: region}))
}

// PutStore registers a store.
func (c *Client) PutStore(ctx context.Context, store *metapb.Store) error {
	rpc, err := c.leader()
	if err != nil {
		return err
	}
	return check(rpc.PutStore(ctx, &pdpb.PutStoreRequest{Header: c.header(), Store: store}))
}

// StoreHeartbeat reports a store's statistics.
func (c *Client) StoreHeartbeat(ctx context.Context, stats *pdpb.StoreStats) (*pdpb.StoreHeartbeatResponse, error) {
	rpc, err := c.leader()
	if err != nil {
		return nil, err
	}
	resp, err := rpc.StoreHeartbeat(ctx, &pdpb.StoreHeartbeatRequest{Header: c.header(), Stats: stats})
	return resp, check(resp, err)
}

// AskBatchSplit allocates ids for n new regions of a split.
func (c *Client) AskBatchSplit(ctx context.Context, region *metapb.Region, n int) ([]*pdpb.SplitID, error) {
	rpc, err := c.leader()
	if err != nil {
		return nil, err
	}
	resp, err := rpc.AskBatchSplit(ctx, &pdpb.AskBatchSplitRequest{Header: c.header(), Region: region, SplitCount: uint32(n)})
	return resp.GetIds(), check(resp, err)
}

// ReportSplit tells of regions that a split has made.
func (c *Client) ReportSplit(ctx context.Context, regions []*metapb.Region) error {
	rpc, err := c.leader()
	if err != nil {
		return err
	}
	return check(rpc.ReportBatchSplit(ctx, &pdpb.ReportBatchSplitRequest{Header: c.header(), Regions: regions}))
}
