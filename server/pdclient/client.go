// Package pdclient talks to the placement driver: what a gateway asks of it (timestamps, regions, stores: kvclient's
// Placement) and what a storage node tells it (registration, heartbeats, splits).
//
// Discovery, timestamps and region queries go through tikv/pd/client. That library has no calls of the storage side,
// which therefore go to the leader's pdpb.PD directly.
package pdclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	pd "github.com/tikv/pd/client"
	"github.com/tikv/pd/client/opt"
	"github.com/tikv/pd/client/pkg/caller"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Options tune a Client; the zero value is right for a client of a remote placement driver.
type Options struct {
	// DialOptions are gRPC's: the codec above all.
	DialOptions []grpc.DialOption
	// TS, when not nil, gives timestamps without asking over the network: where the placement driver runs in this process.
	TS     func(ctx context.Context) (uint64, error)
	Logger *slog.Logger // nil: discard
}

// Client is safe for concurrent use.
type Client struct {
	pd        pd.Client
	clusterID uint64
	ts        func(ctx context.Context) (uint64, error)
	dial      []grpc.DialOption
	log       *slog.Logger
	latest    atomic.Uint64 // the greatest timestamp returned

	mu   sync.Mutex
	conn *grpc.ClientConn // to the leader at url
	url  string
}

// Connect finds the cluster behind addrs (host:port each).
func Connect(ctx context.Context, addrs []string, o Options) (*Client, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	dial := append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, o.DialOptions...)
	// The library keeps the context for as long as it lives.
	client, err := pd.NewClientWithContext(context.WithoutCancel(ctx), caller.Component("scree"), addrs, pd.SecurityOption{},
		opt.WithGRPCDialOptions(o.DialOptions...), opt.WithEnableRouterClient(false), opt.WithInitMetricsOption(false))
	if err != nil {
		return nil, fmt.Errorf("connect to the placement driver at %s: %w", strings.Join(addrs, ", "), err)
	}
	c := &Client{pd: client, clusterID: client.GetClusterID(ctx), ts: o.TS, dial: dial, log: o.Logger}
	if c.ts == nil {
		c.ts = c.remoteTS
	}
	return c, nil
}

// Close ends all streams.
func (c *Client) Close() error {
	c.pd.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}

// ClusterID names the cluster.
func (c *Client) ClusterID() uint64 { return c.clusterID }

// TS returns a new timestamp.
func (c *Client) TS(ctx context.Context) (uint64, error) {
	ts, err := c.ts(ctx)
	if err != nil {
		return 0, err
	}
	for latest := c.latest.Load(); latest < ts && !c.latest.CompareAndSwap(latest, ts); {
		latest = c.latest.Load()
	}
	return ts, nil
}

// LatestTS is the greatest timestamp that TS has returned; 0 before the first.
func (c *Client) LatestTS() uint64 { return c.latest.Load() }

func (c *Client) remoteTS(ctx context.Context) (uint64, error) {
	physical, logical, err := c.pd.GetTS(ctx)
	if err != nil {
		return 0, fmt.Errorf("timestamp: %w", err)
	}
	return uint64(physical)<<18 | uint64(logical), nil
}

// Region finds the region of an encoded key, with its leader (nil if unknown). Without a region it returns nil, nil, nil.
func (c *Client) Region(ctx context.Context, encodedKey []byte) (*metapb.Region, *metapb.Peer, error) {
	r, err := c.pd.GetRegion(ctx, encodedKey)
	if err != nil || r == nil {
		return nil, nil, err
	}
	return r.Meta, r.Leader, nil
}

// ScanRegions lists up to limit regions in key order, from the one with the encoded key start on, as far as end; an
// empty end is no bound.
func (c *Client) ScanRegions(ctx context.Context, start, end []byte, limit int) ([]*pdpb.Region, error) {
	rpc, err := c.leader()
	if err != nil {
		return nil, err
	}
	resp, err := rpc.ScanRegions(ctx, &pdpb.ScanRegionsRequest{Header: c.header(), StartKey: start, EndKey: end, Limit: int32(limit)})
	return resp.GetRegions(), check(resp, err)
}

// Store finds a store by id.
func (c *Client) Store(ctx context.Context, id uint64) (*metapb.Store, error) {
	return c.pd.GetStore(ctx, id)
}

// Stores lists all stores but the buried.
func (c *Client) Stores(ctx context.Context) ([]*metapb.Store, error) {
	return c.pd.GetAllStores(ctx, opt.WithExcludeTombstone())
}

// leader is pdpb.PD at the member that leads now.
func (c *Client) leader() (pdpb.PDClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	url := c.pd.GetLeaderURL()
	if url == "" {
		return nil, errors.New("the placement driver has no leader")
	}
	if c.conn != nil && c.url == url {
		return pdpb.NewPDClient(c.conn), nil
	}
	_, addr, ok := strings.Cut(url, "://")
	if !ok {
		addr = url
	}
	conn, err := grpc.NewClient(addr, c.dial...)
	if err != nil {
		return nil, fmt.Errorf("dial the placement driver: %w", err)
	}
	if c.conn != nil {
		if err := c.conn.Close(); err != nil {
			c.log.Debug("close the connection to the placement driver's old leader", "err", err)
		}
	}
	c.conn, c.url = conn, url
	return pdpb.NewPDClient(conn), nil
}

func (c *Client) header() *pdpb.RequestHeader {
	return &pdpb.RequestHeader{ClusterId: c.clusterID, CallerComponent: "scree"}
}

// Error is an application error of the placement driver.
type Error struct{ Pb *pdpb.Error }

func (e *Error) Error() string { return "placement driver: " + e.Pb.Message }

// IsAlreadyBootstrapped reports whether somebody else has created the cluster first.
func IsAlreadyBootstrapped(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Pb.Type == pdpb.ErrorType_ALREADY_BOOTSTRAPPED
}

// check joins the two ways a call can fail.
func check(resp interface{ GetHeader() *pdpb.ResponseHeader }, err error) error {
	if err != nil {
		return err
	}
	if e := resp.GetHeader().GetError(); e != nil && e.Type != pdpb.ErrorType_OK {
		return &Error{e}
	}
	return nil
}
