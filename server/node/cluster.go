package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/tipb/go-tipb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/spill"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// ClusterOptions describe a cluster in one process.
type ClusterOptions struct {
	Dir string
	// Stores is the number of stores; default 1. A directory that holds more keeps them all.
	Stores int
	// Host is where everything listens; default 127.0.0.1.
	Host  string
	Ports Ports
	PD    pd.Config
	// FS is what the stores' databases are on; nil: the operating system's.
	FS vfs.FS
	// CacheBytes is shared by the stores' block caches; 0 leaves each with the engine's default.
	CacheBytes  int64
	Raft        raftstore.Config
	Coprocessor coprocessor.Options
	GC          garbage.Options
	API         APIOptions
	// ResolveInterval is how often stale reads at followers are let closer to the present, see resolvedts.
	ResolveInterval time.Duration
	Release         string
	Logger          *slog.Logger
}

// Ports are those of the first of each kind; a store's count up with its number. Zero ports are free ones.
type Ports struct{ PDClient, PDPeer, Store, StoreStatus int }

// DefaultPorts are the ones that users of such systems expect, moved by offset.
func DefaultPorts(offset int) Ports {
	return Ports{PDClient: 2379 + offset, PDPeer: 2380 + offset, Store: 20160 + offset, StoreStatus: 20180 + offset}
}

// Cluster is a placement driver and stores in this process.
type Cluster struct {
	dir    string
	lock   *dirLock
	pd     *pd.Server
	client *pdclient.Client
	stores []*Store
	dialer *Dialer
	spill  *spill.Dir
	memory *executor.Memory
	log    *slog.Logger
}

// StartCluster starts a new cluster in o.Dir, or the one that is there. It returns an *InUseError if another process has
// it. ctx bounds the start only.
func StartCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: o.Dir, lock: lock, log: o.Logger}
	if c.spill, err = openSpill(filepath.Join(o.Dir, "spill")); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	o.Coprocessor.Spill, c.memory = c.spill, o.Coprocessor.Memory
	for _, step := range []func(context.Context, ClusterOptions) error{c.startPD, c.connect, c.startStores} {
		if err := step(ctx, o); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	c.dialer = NewDialer(c.stores, tipb.EncodeType_TypeChunk)
	return c, nil
}

func (o *ClusterOptions) setDefaults() error {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Stores <= 0 {
		o.Stores = 1
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	o.Dir = dir
	// Regions of three replicas need their stores, so those that are there are started too.
	for _, err := os.Stat(o.storeDir(o.Stores)); err == nil; _, err = os.Stat(o.storeDir(o.Stores)) {
		o.Stores++
	}
	return nil
}

// storeDir is the directory of the i-th store, counted from 0; their names count from 1.
func (o *ClusterOptions) storeDir(i int) string {
	return filepath.Join(o.Dir, "store-"+strconv.Itoa(i+1))
}

// addr is where the i-th of a kind listens.
func (o *ClusterOptions) addr(port, i int) string {
	if port != 0 {
		port += i
	}
	return net.JoinHostPort(o.Host, strconv.Itoa(port))
}

func (c *Cluster) startPD(ctx context.Context, o ClusterOptions) (err error) {
	c.pd, err = pd.Start(ctx, pd.Options{
		Config: o.PD, Dir: filepath.Join(o.Dir, "pd"),
		ClientAddr: o.addr(o.Ports.PDClient, 0), PeerAddr: o.addr(o.Ports.PDPeer, 0),
		ServerOptions: []grpc.ServerOption{grpc.ForceServerCodecV2(transport.Codec())},
		Logger:        o.Logger.With("role", "pd"),
	})
	return err
}

// connect opens the client that all stores share. Timestamps do not take the way over the network.
func (c *Cluster) connect(ctx context.Context, o ClusterOptions) (err error) {
	oracle := c.pd.Core().Oracle()
	c.client, err = pdclient.Connect(ctx, []string{c.pd.Addr()}, pdclient.Options{
		DialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(transport.Codec()))},
		TS: func(ctx context.Context) (uint64, error) {
			ts, err := oracle.Next(ctx, 1)
			return uint64(ts), err
		},
		Logger: o.Logger.With("role", "pd-client"),
	})
	return err
}

// startStores opens all stores at the same time, registers them in order, so that the first one bootstraps, and lets
// them serve when all are known.
func (c *Cluster) startStores(ctx context.Context, o ClusterOptions) error {
	c.stores = make([]*Store, o.Stores)
	var opening errgroup.Group
	for i := range c.stores {
		opening.Go(func() (err error) {
			c.stores[i], err = prepareStore(ctx, c.storeOptions(o, i))
			return err
		})
	}
	if err := opening.Wait(); err != nil {
		return err
	}
	for _, s := range c.stores {
		if err := s.join(ctx); err != nil {
			return err
		}
	}
	for _, s := range c.stores {
		if err := s.serve(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) storeOptions(o ClusterOptions, i int) StoreOptions {
	return StoreOptions{
		Dir: o.storeDir(i), PD: c.client, FS: o.FS,
		Addr: o.addr(o.Ports.Store, i), StatusAddr: o.addr(o.Ports.StoreStatus, i),
		CacheBytes: o.CacheBytes / int64(o.Stores), Raft: o.Raft, Coprocessor: o.Coprocessor, GC: o.GC, API: o.API,
		ResolveInterval: o.ResolveInterval,
		Release:         o.Release, Logger: o.Logger.With("role", "store"),
	}
}

// readyPoll is how often WaitReady looks.
const readyPoll = 5 * time.Millisecond

// WaitReady returns when every key has a region with a leader.
func (c *Cluster) WaitReady(ctx context.Context) error {
	for {
		_, err := c.pd.Core().BatchScanRegions([]*pdpb.KeyRange{{}}, 0, true)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(readyPoll):
		}
	}
}

// Close stops stores, client and placement driver, and unlocks the directory. Callers of stores come to an end first:
// that is theirs to see to.
func (c *Cluster) Close() error {
	var err error
	if c.dialer != nil {
		err = c.dialer.Close()
	}
	var closing errgroup.Group
	errs := make([]error, len(c.stores))
	for i, s := range c.stores {
		if s != nil {
			closing.Go(func() error { errs[i] = s.Close(); return nil })
		}
	}
	err = errors.Join(err, closing.Wait(), errors.Join(errs...))
	if c.client != nil {
		err = errors.Join(err, c.client.Close())
	}
	if c.pd != nil {
		err = errors.Join(err, c.pd.Close())
	}
	return errors.Join(err, c.lock.unlock())
}

// Dir is the data directory, as an absolute path.
func (c *Cluster) Dir() string { return c.dir }

// Spill is where the stores' requests, and a gateway's statements, put rows that exceed their memory. It lives in Dir.
func (c *Cluster) Spill() *spill.Dir { return c.spill }

// Memory is what the stores' requests draw on, and may be a gateway's; nil: there is no common bound.
func (c *Cluster) Memory() *executor.Memory { return c.memory }

// PDAddr is where TiKV clients connect.
func (c *Cluster) PDAddr() string { return c.pd.Addr() }

// Stores are the stores in the order of their directories.
func (c *Cluster) Stores() []*Store { return c.stores }

// Placement is the placement driver as a transaction client asks it.
func (c *Cluster) Placement() kvclient.Placement { return c.client }

// PD is the placement driver as stores and the gateway's background work ask it.
func (c *Cluster) PD() *pdclient.Client { return c.client }

// Dialer reaches the cluster's own stores by direct calls, and others over gRPC.
func (c *Cluster) Dialer() kvclient.Dialer { return c.dialer }
