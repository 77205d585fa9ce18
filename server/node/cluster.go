package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/spill"
	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Cluster is what of a cluster runs in this process, with the means to reach the rest.
type Cluster struct {
	dir    string
	lock   *dirLock
	pd     *pd.Server // nil where it is elsewhere
	pdAddr string
	client *pdclient.Client
	stores []*Store
	dialer *Dialer
	spill  *spill.Dir
	memory *executor.Memory
	log    *slog.Logger
}

// StartCluster starts a new cluster in o.Dir, or the one that is there, or takes part in one that others run. It returns an
// *InUseError if another process has the directory. ctx bounds the start only.
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
	c.dialer = NewDialer(c.stores...)
	return c, nil
}

func (c *Cluster) startPD(ctx context.Context, o ClusterOptions) (err error) {
	if len(o.PDAddrs) > 0 {
		c.pdAddr = strings.Join(o.PDAddrs, ",")
		return nil
	}
	c.pd, err = pd.Start(ctx, pd.Options{
		Config: o.PD, Dir: filepath.Join(o.Dir, "pd"),
		ClientAddr: o.addr(o.Ports.PDClient, 0), PeerAddr: o.addr(o.Ports.PDPeer, 0),
		AdvertiseAddr: o.advertise(o.Ports.PDClient, 0),
		ServerOptions: []grpc.ServerOption{grpc.ForceServerCodecV2(transport.Codec())},
		Logger:        o.Logger.With("role", "pd"),
	})
	if err != nil {
		return err
	}
	c.pdAddr = c.pd.Addr()
	return nil
}

// connect opens the client that all stores share. Timestamps of the own placement driver do not take the way over the network.
func (c *Cluster) connect(ctx context.Context, o ClusterOptions) error {
	opts := pdclient.Options{
		DialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(transport.Codec()))},
		Logger:      o.Logger.With("role", "pd-client"),
	}
	if c.pd != nil {
		oracle := c.pd.Core().Oracle()
		opts.TS = func(ctx context.Context) (uint64, error) {
			ts, err := oracle.Next(ctx, 1)
			return uint64(ts), err
		}
	}
	for {
		var err error
		if c.client, err = pdclient.Connect(ctx, strings.Split(c.pdAddr, ","), opts); err == nil {
			return nil
		}
		o.Logger.Info("waiting for the placement driver", "err", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(connectRetry):
		}
	}
}

// connectRetry is how long a placement driver that does not answer is left in peace.
const connectRetry = 200 * time.Millisecond

// startStores opens all stores at the same time, registers them in order, so that the first one bootstraps, and lets
// them serve when all are known.
func (c *Cluster) startStores(ctx context.Context, o ClusterOptions) error {
	if o.Stores == 0 {
		return nil
	}
	columns, err := o.columns()
	if err != nil {
		return err
	}
	c.stores = make([]*Store, o.Stores)
	var opening errgroup.Group
	for i := range c.stores {
		opening.Go(func() (err error) {
			own := c.storeOptions(o, i)
			own.Columns = columns
			c.stores[i], err = prepareStore(ctx, own)
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
		Addr: o.addr(o.Ports.Store, i), StatusAddr: o.addr(o.Ports.StoreStatus, i), AdvertiseAddr: o.advertise(o.Ports.Store, i),
		CacheBytes: o.CacheBytes / int64(o.Stores), Raft: o.Raft, Coprocessor: o.Coprocessor, NoColumns: o.NoColumns,
		GC: o.GC, API: o.API,
		ResolveInterval: o.ResolveInterval,
		Release:         o.Release, Logger: o.Logger.With("role", "store"),
	}
}

// readyPoll is how often WaitReady looks.
const readyPoll = 5 * time.Millisecond

// WaitReady returns when every key has a region with a leader.
func (c *Cluster) WaitReady(ctx context.Context) error {
	for {
		err := c.allLed(ctx)
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

// allLed returns an error unless every key has a region with a leader.
func (c *Cluster) allLed(ctx context.Context) error {
	const atOnce = 1000
	for start := []byte(nil); ; {
		regions, err := c.client.ScanRegions(ctx, start, nil, atOnce)
		if err != nil {
			return err
		}
		for _, r := range regions {
			if !bytes.Equal(r.Region.StartKey, start) || r.Leader.GetId() == 0 {
				return fmt.Errorf("no leader is known at key %x", start)
			}
			if start = r.Region.EndKey; len(start) == 0 {
				return nil
			}
		}
		if len(regions) == 0 {
			return fmt.Errorf("no region is known at key %x", start)
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

// PDAddr is where TiKV clients connect: addresses with commas between them.
func (c *Cluster) PDAddr() string { return c.pdAddr }

// Dir is the data directory, as an absolute path.
func (c *Cluster) Dir() string { return c.dir }

// Spill is where the stores' requests, and a gateway's statements, put rows that exceed their memory. It lives in Dir.
func (c *Cluster) Spill() *spill.Dir { return c.spill }

// Memory is what the stores' requests draw on, and may be a gateway's; nil: there is no common bound.
func (c *Cluster) Memory() *executor.Memory { return c.memory }

// Stores are the stores in the order of their directories.
func (c *Cluster) Stores() []*Store { return c.stores }

// Placement is the placement driver as a transaction client asks it.
func (c *Cluster) Placement() kvclient.Placement { return c.client }

// PD is the placement driver as stores and the gateway's background work ask it.
func (c *Cluster) PD() *pdclient.Client { return c.client }

// Dialer reaches the cluster's own stores by direct calls, and others over gRPC.
func (c *Cluster) Dialer() kvclient.Dialer { return c.dialer }
