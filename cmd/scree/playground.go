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

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/server/zaplog"
)

// startTimeout bounds the start of a playground: beyond it something is wrong, not slow.
const startTimeout = 60 * time.Second

func newPlayground() *cobra.Command {
	var file, load string
	d := defaultConfig()
	cmd := &cobra.Command{
		Use:   "playground",
		Short: "Run a whole cluster in this process",
		Long: "Starts a placement driver, stores and the SQL gateway in one process, and prints how to connect. The data\n" +
			"stays in the data directory and is there again at the next start.",
		Example: "  scree playground\n  scree playground --stores 3 --load tpch:0.01",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "config", "", "configuration file, see etc/scree.toml")
	flags.StringVar(&load, "load", "", "load a data set first: tpch:SCALE")
	flags.Int("stores", d.Stores, "number of stores")
	flags.String("data-dir", d.DataDir, "where all data lives")
	flags.String("host", d.Host, "address to listen on")
	flags.Int("port-offset", d.PortOffset, "added to every port")
	flags.Int("api-version", d.Storage.APIVersion, "of TiKV's clients: 1, or 2 for raw and transactional keys side by side")
	flags.Bool("enable-ttl", d.Storage.EnableTTL, "raw keys may expire; with API version 1 the cluster serves raw keys alone")
	flags.String("log-level", d.Log.Level, "debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := configure(cmd, file)
		if err != nil {
			return err
		}
		spec, err := parseLoad(load)
		if err != nil {
			return err
		}
		return runPlayground(cmd.Context(), c, spec, cmd.OutOrStdout())
	}
	return cmd
}

// configure is the file's configuration, if there is one, with flags over it.
func configure(cmd *cobra.Command, file string) (c config, err error) {
	c = defaultConfig()
	if file != "" {
		if c, err = loadConfig(file); err != nil {
			return c, err
		}
	}
	flags := cmd.Flags()
	for name, set := range map[string]func() error{
		"stores":      func() (err error) { c.Stores, err = flags.GetInt("stores"); return err },
		"data-dir":    func() (err error) { c.DataDir, err = flags.GetString("data-dir"); return err },
		"host":        func() (err error) { c.Host, err = flags.GetString("host"); return err },
		"port-offset": func() (err error) { c.PortOffset, err = flags.GetInt("port-offset"); return err },
		"api-version": func() (err error) { c.Storage.APIVersion, err = flags.GetInt("api-version"); return err },
		"enable-ttl":  func() (err error) { c.Storage.EnableTTL, err = flags.GetBool("enable-ttl"); return err },
		"log-level":   func() (err error) { c.Log.Level, err = flags.GetString("log-level"); return err },
	} {
		if flags.Changed(name) {
			err = errors.Join(err, set())
		}
	}
	return c, errors.Join(err, c.check())
}

// runPlayground starts everything, prints how to use it, and runs until ctx is done.
func runPlayground(ctx context.Context, c config, load *loadSpec, out io.Writer) (err error) {
	begin := time.Now()
	if load != nil && !c.Storage.sql() {
		return fmt.Errorf("load %s: api-version 1 with enable-ttl is for raw keys alone", load)
	}
	log, closeLog, err := openLog(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	limit := limitMemory(c.MemoryLimit)
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cluster, err := node.StartCluster(starting, c.cluster(limit, log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	if err := cluster.WaitReady(starting); err != nil {
		return fmt.Errorf("the cluster does not get ready: %w", err)
	}
	var front *gateway
	if c.Storage.sql() {
		if front, err = startGateway(cluster, c, log); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, front.Close()) }()
	}
	ready := time.Since(begin)
	if load != nil {
		addr := front.sql.Addr().String()
		if err := load.loadInChild(ctx, addr); err != nil {
			return fmt.Errorf("load %s: %w", load, err)
		}
		if err := show(ctx, addr, out); err != nil {
			return err
		}
	}
	if err := greet(out, cluster, front, c, ready); err != nil {
		return err
	}
	<-ctx.Done()
	log.Info("stopping")
	_, err = fmt.Fprintln(out, "stopping ...")
	return err
}

// greet prints how to use what runs; front is nil if that has no SQL.
func greet(out io.Writer, cluster *node.Cluster, front *gateway, c config, ready time.Duration) error {
	if front != nil {
		host, port, err := net.SplitHostPort(front.sql.Addr().String())
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "Connect:          mysql --host %s --port %s -u root\nStatus:           http://%s/status\n",
			host, port, front.status.Addr()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, `PD (TiKV client): %s
Data directory:   %s
Stop:             Ctrl-C, or kill %d
ready in %d ms
`, cluster.PDAddr(), cluster.Dir(), os.Getpid(), ready.Milliseconds())
	return err
}

// cluster is what the configuration says of the cluster; limit is the process's memory.
func (c *config) cluster(limit int64, log *slog.Logger) node.ClusterOptions {
	cache := int64(c.Storage.BlockCache)
	if cache == 0 {
		cache = min(limit/4, 8<<30)
	}
	return node.ClusterOptions{
		Dir: c.DataDir, Stores: c.Stores, Host: c.Host, Ports: node.DefaultPorts(c.PortOffset),
		PD:         pd.Config{MaxReplicas: c.PD.MaxReplicas, MaxStoreDownTime: time.Duration(c.PD.MaxStoreDownTime), Keyspaces: c.PD.Keyspaces},
		CacheBytes: cache,
		API:        node.APIOptions{Version: c.Storage.api(), SweepEvery: time.Duration(c.Storage.TTLCheckPollInterval)},
		Raft: raftstore.Config{
			SplitBytes: uint64(c.Raft.RegionSplitSize), MaxBytes: uint64(c.Raft.RegionMaxSize),
			DiskReserveBytes: uint64(c.Storage.ReserveSpace),
		},
		GC:          garbage.Options{Share: float64(c.Storage.GCCPUPercent) / 100},
		Coprocessor: coprocessor.Options{Concurrency: c.Coprocessor.Concurrency, MemoryMax: int64(c.Coprocessor.MemoryLimit), Memory: c.queryMemory(limit)},
		Release:     version, Logger: log,
	}
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
