package node

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/storage/columnar"
)

// ClusterOptions describe what of a cluster runs in one process: by default all that it needs, a placement driver and one
// store.
type ClusterOptions struct {
	Dir string
	// Stores is the number of stores; default 1. A directory that holds more keeps them all.
	Stores int
	// NoStores leaves the stores to other processes.
	NoStores bool
	// PDAddrs are where the placement driver of a cluster is that runs elsewhere; empty: this process has it.
	PDAddrs []string
	// Host is where everything listens; default 127.0.0.1. AdvertiseHost is what others are told to dial; default Host.
	Host, AdvertiseHost string
	Ports               Ports
	PD                  pd.Config
	// FS is what the stores' databases are on; nil: the operating system's.
	FS vfs.FS
	// CacheBytes is shared by the stores' block caches; 0 leaves each with the engine's default.
	CacheBytes  int64
	Raft        raftstore.Config
	Coprocessor coprocessor.Options
	// Columns bounds the columnar segments of all stores together. A DiskMax of 0 is a quarter of what is free on the disk at
	// the start. With NoColumns there are none.
	Columns   columnar.Options
	NoColumns bool
	GC        garbage.Options
	API       APIOptions
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

func (o *ClusterOptions) setDefaults() error {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.AdvertiseHost == "" {
		o.AdvertiseHost = o.Host
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	o.Dir = dir
	if o.NoStores {
		o.Stores = 0
		return nil
	}
	o.Stores = max(o.Stores, 1)
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

// columns are the bounds of one store's columnar segments.
func (o *ClusterOptions) columns() (columnar.Options, error) {
	c, stores := o.Columns, int64(o.Stores)
	if c.DiskMax == 0 && !o.NoColumns {
		disk, err := diskSpace(o.Dir)
		if err != nil {
			return c, fmt.Errorf("space for columnar segments: %w", err)
		}
		c.DiskMax = int64(disk.free / 4)
	}
	c.DiskMax, c.CacheMax = c.DiskMax/stores, c.CacheMax/stores
	return c, nil
}

// addr is where the i-th of a kind listens.
func (o *ClusterOptions) addr(port, i int) string { return hostPort(o.Host, port, i) }

// advertise is where others find what listens at addr(port, i); empty where that is the same, or only known once it listens.
func (o *ClusterOptions) advertise(port, i int) string {
	if o.AdvertiseHost == o.Host || port == 0 {
		return ""
	}
	return hostPort(o.AdvertiseHost, port, i)
}

func hostPort(host string, port, i int) string {
	if port != 0 {
		port += i
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
