package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/server/zaplog"
	"github.com/scree-db/scree/storage/columnar"
)

// startTimeout bounds the start of a process: beyond it something is wrong, not slow.
const startTimeout = 60 * time.Second

// parts are what of a cluster a process runs.
type parts struct{ pd, stores, gateway bool }

// first is what a playground does once it serves.
type first struct {
	load  *loadSpec // nil: nothing is loaded
	shell bool      // the terminal becomes a SQL shell, whose end is the playground's
}

// run starts the parts, prints how to use them, and goes on until ctx is done or the shell ends.
func run(ctx context.Context, c config, p parts, do first, out io.Writer) (err error) {
	begin := time.Now()
	if (do.load != nil || do.shell) && !c.Storage.sql() {
		return errors.New("api-version 1 with enable-ttl is for raw keys alone: there is nothing to --load, and no --sql")
	}
	log, closeLog, err := openLog(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	limit := limitMemory(c.MemoryLimit)
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cluster, err := node.StartCluster(starting, c.cluster(p, limit, log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	var front *gateway
	if p.gateway && c.Storage.sql() {
		if err := cluster.WaitReady(starting); err != nil {
			return fmt.Errorf("the cluster does not get ready: %w", err)
		}
		if front, err = startGateway(cluster, c, log); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, front.Close()) }()
	}
	ready := time.Since(begin)
	if do.load != nil {
		addr := front.sql.Addr().String()
		if err := do.load.loadInChild(ctx, addr); err != nil {
			return fmt.Errorf("load %s: %w", do.load, err)
		}
		if err := show(ctx, addr, out); err != nil {
			return err
		}
	}
	if err := greet(out, cluster, front, ready); err != nil {
		return err
	}
	if do.shell {
		err = front.shell(ctx)
	} else {
		<-ctx.Done()
	}
	log.Info("stopping")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "stopping ...")
	return err
}

// greet prints how to use what runs; front is nil if that has no SQL.
func greet(out io.Writer, cluster *node.Cluster, front *gateway, ready time.Duration) error {
	var text []byte
	line := func(label, format string, args ...any) {
		text = fmt.Appendf(text, "%-18s%s\n", label+":", fmt.Sprintf(format, args...))
	}
	stores := cluster.Stores()
	if front != nil {
		host, port, err := net.SplitHostPort(front.sql.Addr().String())
		if err != nil {
			return err
		}
		line("Connect", "mysql --host %s --port %s -u root", host, port)
		line("Console", "http://%s/", front.status.Addr())
	} else {
		for _, s := range stores {
			line("Store", "%s", s.Addr())
			line("Status", "http://%s/status", s.StatusAddr())
		}
	}
	if len(stores) > 0 {
		line("Flight", "grpc+tcp://%s", stores[0].Addr())
	}
	line("PD (TiKV client)", "%s", cluster.PDAddr())
	line("Data directory", "%s", cluster.Dir())
	line("Stop", "Ctrl-C, or kill %d", os.Getpid())
	_, err := fmt.Fprintf(out, "%sready in %d ms\n", text, ready.Milliseconds())
	return err
}

// cluster is what the configuration says of the parts of a cluster; limit is the process's memory.
func (c *config) cluster(p parts, limit int64, log *slog.Logger) node.ClusterOptions {
	cache := int64(c.Storage.BlockCache)
	if cache == 0 {
		cache = min(limit/4, 8<<30)
	}
	o := node.ClusterOptions{
		Dir: c.DataDir, Stores: c.Stores, NoStores: !p.stores, Host: c.Host, AdvertiseHost: c.AdvertiseHost, Ports: node.DefaultPorts(c.PortOffset),
		PD:         pd.Config{MaxReplicas: c.PD.MaxReplicas, MaxStoreDownTime: time.Duration(c.PD.MaxStoreDownTime), Keyspaces: c.PD.Keyspaces},
		CacheBytes: cache,
		API:        node.APIOptions{Version: c.Storage.api(), SweepEvery: time.Duration(c.Storage.TTLCheckPollInterval)},
		Raft: raftstore.Config{
			SplitBytes: uint64(c.Raft.RegionSplitSize), MaxBytes: uint64(c.Raft.RegionMaxSize),
			DiskReserveBytes: uint64(c.Storage.ReserveSpace),
		},
		GC:          garbage.Options{Share: float64(c.Storage.GCCPUPercent) / 100},
		Coprocessor: coprocessor.Options{Concurrency: c.Coprocessor.Concurrency, MemoryMax: int64(c.Coprocessor.MemoryLimit), Memory: c.queryMemory(limit), ColumnsRowsMin: int64(c.Columnar.MinRows)},
		Columns:     columnar.Options{CacheMax: int64(c.Columnar.Cache), DiskMax: int64(c.Columnar.Disk)},
		NoColumns:   !c.Columnar.Enabled,
		Release:     version, Logger: log,
	}
	if o.Columns.CacheMax == 0 {
		o.Columns.CacheMax = min(limit/8, 4<<30)
	}
	switch {
	case !p.pd:
		o.PDAddrs, o.Stores = c.PD.Endpoints, 1
	case c.listensEverywhere() && c.AdvertiseHost == "": // all that dials is in this process
		o.AdvertiseHost = "127.0.0.1"
	}
	return o
}

// queryMemory is the account of all queries: by default a quarter of the process's limit, as much as the block cache has. The
// other half is for memtables, for batches on their way, which no account sees, and for what is yet to be collected.
func (c *config) queryMemory(limit int64) *executor.Memory {
	if c.QueryMemoryLimit > 0 {
		return executor.NewMemory(int64(c.QueryMemoryLimit))
	}
	return executor.NewMemory(limit / 4)
}

// openLog sends all logging of the process, libraries included, to the log file. The terminal stays clean, but for what
// the Go runtime says when the process dies.
func openLog(c config) (*slog.Logger, func() error, error) {
	level, err := c.Log.level()
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(c.DataDir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(c.DataDir, "scree.log")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("log file: %w", err)
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("log file: %w", err), f.Close())
	}
	log := slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(log)
	zaplog.ReplaceGlobals(log)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, f))
	log.Info("scree starts", "version", version, "commit", revision(), "pid", strconv.Itoa(os.Getpid()))
	return log, f.Close, nil
}
