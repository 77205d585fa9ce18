package node

import (
	"context"
	"errors"
	"sync"

	"github.com/pingcap/kvproto/pkg/debugpb"
	"github.com/pingcap/tipb/go-tipb"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Dialer gives stores of this process by reference and dials others. Safe for concurrent use.
type Dialer struct {
	own    map[string]kvclient.Store
	encode *tipb.EncodeType // of rows from others; nil: they are streamed

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
}

var _ kvclient.Dialer = (*Dialer)(nil)

// NewDialer makes a dialer that calls the stores in own directly. Rows of others are streamed over Arrow Flight.
func NewDialer(own ...*Store) *Dialer {
	d := &Dialer{own: make(map[string]kvclient.Store, len(own)), conns: make(map[string]*grpc.ClientConn)}
	for _, s := range own {
		d.own[s.Addr()] = s.Service()
	}
	return d
}

// NewEncodedDialer makes one that calls no store directly, and asks for rows as TiKV's clients do, in the encoding of theirs.
func NewEncodedDialer(encode tipb.EncodeType) *Dialer {
	d := NewDialer()
	d.encode = &encode
	return d
}

// Dial implements kvclient.Dialer.
func (d *Dialer) Dial(_ context.Context, addr string) (kvclient.Store, error) {
	if s := d.own[addr]; s != nil {
		return s, nil
	}
	conn, err := d.conn(addr)
	if err != nil {
		return nil, err
	}
	store := newRemote(conn)
	if d.encode != nil {
		return encoded{store, *d.encode}, nil
	}
	return store, nil
}

// Debug reaches a store's debugging interface.
func (d *Dialer) Debug(addr string) (debugpb.DebugClient, error) {
	conn, err := d.conn(addr)
	if err != nil {
		return nil, err
	}
	return debugpb.NewDebugClient(conn), nil
}

func (d *Dialer) conn(addr string) (*grpc.ClientConn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	conn := d.conns[addr]
	if conn == nil {
		var err error
		if conn, err = transport.Dial(addr); err != nil {
			return nil, err
		}
		d.conns[addr] = conn
	}
	return conn, nil
}

// Close closes connections.
func (d *Dialer) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for addr, conn := range d.conns {
		err = errors.Join(err, conn.Close())
		delete(d.conns, addr)
	}
	return err
}
