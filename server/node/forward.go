package node

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/transport"
)

// peers finds stores of the cluster by their addresses: nobody is let through to other hosts. Safe for concurrent use.
type peers struct {
	pd        *pdclient.Client
	transport *transport.Transport

	mu     sync.Mutex
	byAddr map[string]uint64
}

func newPeers(pd *pdclient.Client, t *transport.Transport) *peers {
	return &peers{pd: pd, transport: t, byAddr: make(map[string]uint64)}
}

// conn connects to the store with an address; the error is a gRPC status.
func (p *peers) conn(ctx context.Context, addr string) (*grpc.ClientConn, error) {
	id, err := p.find(ctx, addr)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "forward to %s: %v", addr, err)
	}
	if id == 0 {
		return nil, status.Errorf(codes.NotFound, "forward to %s: no store of the cluster has this address", addr)
	}
	conn, err := p.transport.Conn(ctx, id)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "forward to store %d: %v", id, err)
	}
	return conn, nil
}

// find returns the store with an address, 0 if there is none.
func (p *peers) find(ctx context.Context, addr string) (uint64, error) {
	if id := p.known(addr); id != 0 {
		return id, nil
	}
	stores, err := p.pd.Stores(ctx)
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.byAddr)
	for _, s := range stores {
		p.byAddr[s.Address] = s.Id
	}
	return p.byAddr[addr], nil
}

func (p *peers) known(addr string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byAddr[addr]
}
