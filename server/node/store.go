package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"time"

	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/cockroachdb/pebble/v2/vfs"
	deadlockpb "github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/pingcap/kvproto/pkg/debugpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/server/deadlock"
	"github.com/scree-db/scree/server/flight"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/server/kvservice"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/resolvedts"
	"github.com/scree-db/scree/server/status"
	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/raw"
	"github.com/scree-db/scree/storage/txn"
)

// StoreOptions describe a storage node.
type StoreOptions struct {
	Dir string
	// PD is shared with the owner, who closes it after the store.
	PD *pdclient.Client
	// Addr serves gRPC and StatusAddr HTTP: host:port, port 0 takes a free one.
	Addr, StatusAddr string
	// AdvertiseAddr is what others dial; empty: the address listened on.
	AdvertiseAddr string
	// FS is what the databases are on; nil: the operating system's.
	FS vfs.FS
	// CacheBytes bounds the block cache of the data database; 0 is the engine's default.
	CacheBytes int64
	// Raft tunes replication; its ids are filled in.
	Raft        raftstore.Config
	Coprocessor coprocessor.Options
	// Columns bounds columnar segments; where they are is filled in. With NoColumns there are none.
	Columns   columnar.Options
	NoColumns bool
	// GC tunes the collection of old versions.
	GC  garbage.Options
	API APIOptions
	// ResolveInterval is how often stale reads at followers are let closer to the present, see resolvedts.
	ResolveInterval time.Duration
	// Version is the wire version that the store claims, see wireVersion; Release is our own.
	Release string
	Logger  *slog.Logger
}

// wireVersion is the TiKV version whose protocols the store speaks: clients and placement drivers switch features by it.
const wireVersion = "8.5.0"

// The engine of the log has a small cache, as the log is read from memory, and from disk only by peers far behind; and a
// memtable that outlasts one of the data, whose flush lets entries go before they get to tables.
const (
	logCacheBytes    = 8 << 20
	logMemTableBytes = 128 << 20
)

// sidesMax bounds the build sides, in bytes, that gateways in other processes have put on one store for joins there.
const sidesMax = 1 << 30

// Store is a running storage node.
type Store struct {
	opts  StoreOptions
	log   *slog.Logger
	ident ident

	listener   net.Listener
	data, logs *engine.Engine
	columns    *columnar.Store
	locks      *txn.Concurrency
	manager    *txn.Manager
	deadlocks  *deadlock.Detector
	raw        *raw.Service
	raft       *raftstore.Store
	transport  *transport.Transport
	beats      *pdclient.Heartbeats
	safe       *resolvedts.Tracker
	service    *kvservice.Service
	collector  *garbage.Collector
	endpoint   *coprocessor.Endpoint
	flight     *flight.Service
	grpc       *grpc.Server
	health     *health.Server
	status     *status.Server

	ctx     context.Context // done when the store begins to stop
	cancel  context.CancelFunc
	running sync.WaitGroup
	// closers undo what is open, last first.
	closers []func() error
	once    sync.Once
	err     error // of the first Close
}

// OpenStore opens the store in o.Dir, or makes a new one, and serves it. ctx bounds the start only.
func OpenStore(ctx context.Context, o StoreOptions) (*Store, error) {
	s, err := prepareStore(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.join(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.serve(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepareStore opens everything that needs nobody else, so that several stores can do it at the same time.
func prepareStore(ctx context.Context, o StoreOptions) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{opts: o, log: o.Logger}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, step := range []func(context.Context) error{s.listen, s.identify, s.openEngines, s.openColumns, s.openRaft, s.checkAPI} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// opened notes how to undo a step.
func (s *Store) opened(closer func() error) { s.closers = append(s.closers, closer) }

func (s *Store) listen(context.Context) error {
	l, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.listener = l
	if s.opts.AdvertiseAddr == "" {
		s.opts.AdvertiseAddr = l.Addr().String()
	}
	s.opened(func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) { // the gRPC server closes it too
			return err
		}
		return nil
	})
	return nil
}

// identify reads who the store is, or has an id allocated.
func (s *Store) identify(ctx context.Context) error {
	if err := makeDir(s.opts.Dir); err != nil {
		return fmt.Errorf("store directory: %w", err)
	}
	id, err := loadIdent(s.opts.Dir)
	if err != nil {
		return err
	}
	cluster := s.opts.PD.ClusterID()
	if id.StoreID == 0 {
		if id.StoreID, err = s.opts.PD.AllocID(ctx, 1); err != nil {
			return fmt.Errorf("allocate a store id: %w", err)
		}
		id.ClusterID, id.API = cluster, s.opts.API.Version
		if err := id.save(s.opts.Dir); err != nil {
			return err
		}
	}
	if id.ClusterID != cluster {
		return fmt.Errorf("the store in %s belongs to cluster %d, not to %d", s.opts.Dir, id.ClusterID, cluster)
	}
	s.ident = id
	s.log = s.log.With("store", id.StoreID)
	return nil
}

func (s *Store) openEngines(context.Context) error {
	var err error
	s.data, err = engine.Open(filepath.Join(s.opts.Dir, "data"),
		engine.Options{FS: s.opts.FS, CacheBytes: s.opts.CacheBytes, DisableWAL: true, LateCompactions: true, Logger: s.log})
	if err != nil {
		return err
	}
	s.opened(s.data.Close)
	s.logs, err = engine.Open(filepath.Join(s.opts.Dir, "raft"), engine.Options{
		FS: s.opts.FS, CacheBytes: logCacheBytes, MemTableBytes: logMemTableBytes, Uncompressed: true,
		LateCompactions: true, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.opened(s.logs.Close)
	return nil
}

// columnsReserve is how many times what replication wants to have free is left free by columnar segments.
const columnsReserve = 2

// openColumns makes the place for columnar segments, beside the engine that they are copies of.
func (s *Store) openColumns(context.Context) error {
	o := s.opts.Columns
	o.FS, o.Dir, o.Logger = s.opts.FS, filepath.Join(s.opts.Dir, "columns"), s.log
	o.Allocated, o.Flush = s.opts.PD.LatestTS, s.data.AsyncFlush
	o.DiskReserve = columnsReserve * cmp.Or(s.opts.Raft.DiskReserveBytes, 1<<30)
	var err error
	if s.columns, err = columnar.Open(o); err != nil {
		return err
	}
	s.opened(s.columns.Close)
	return nil
}

// openRaft builds what stands on the engines.
func (s *Store) openRaft(context.Context) error {
	s.locks = txn.NewConcurrency()
	s.beats = s.opts.PD.Heartbeats(s.onOrder)
	s.opened(func() error { s.beats.Close(); return nil })
	s.transport = transport.New(s.resolve, transport.Options{ClusterID: s.ident.ClusterID, Logger: s.log})
	s.opened(s.transport.Close)
	observer := &observer{ctx: s.ctx, pd: s.opts.PD, locks: s.locks, columns: s.columns, log: s.log}
	cfg := s.opts.Raft
	cfg.StoreID, cfg.ClusterID = s.ident.StoreID, s.ident.ClusterID
	locks := txn.NewLockCollector(s.locks, s.data)
	raft, err := raftstore.Open(cfg, raftstore.Deps{
		Data: s.data, Log: raftlog.New(s.logs), Transport: s.transport,
		Placement: &placement{s.opts.PD, s.beats, s.log},
		Observer:  observer,
		Guard:     txn.NewReplicaGuard(s.locks),
		Writes:    locks,
		Rand:      rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("open store %d: %w", s.ident.StoreID, err)
	}
	s.raft = raft
	s.opened(raft.Stop)
	s.deadlocks = deadlock.New(deadlock.Options{
		StoreID: s.ident.StoreID, Roles: &detectorRoles{raft, s.opts.PD}, Dial: s.dial, Logger: s.log,
	})
	s.opened(s.deadlocks.Close)
	s.manager = txn.NewManager(raft, s.locks, txn.ManagerOptions{Detector: s.deadlocks, Logger: s.log})
	observer.txn = s.manager
	cop := s.opts.Coprocessor
	cop.Logger = s.log
	if !s.opts.NoColumns {
		cop.Columns, cop.TS = s.columns, s.opts.PD.TS
	}
	s.endpoint = coprocessor.NewEndpoint(raft, s.locks, cop)
	s.opened(s.endpoint.Close)
	s.flight = flight.New(flight.Deps{
		ClusterID: s.ident.ClusterID, Coprocessor: s.endpoint, Placement: s.opts.PD, Sides: s.opts.Coprocessor.Memory.Query(sidesMax),
	})
	s.raw = raw.New(s.raft, raw.Options{API: s.opts.API.Version, Now: time.Now})
	s.safe = resolvedts.New(resolvedts.Deps{
		StoreID: s.ident.StoreID, Regions: raft, Locks: s.locks, TS: s.opts.PD.TS, Tell: s.checkLeader,
		Interval: s.opts.ResolveInterval, Logger: s.log,
	})
	s.service = kvservice.New(kvservice.Deps{
		ClusterID: s.ident.ClusterID, StoreID: s.ident.StoreID, API: s.opts.API.Version, Txn: s.manager, Locks: locks, Raw: s.raw,
		Coprocessor: s.endpoint, Splitter: raft, SafeTimestamps: s.safe, Raft: s.transport, Logger: s.log,
	})
	s.collector = garbage.New(garbage.Deps{
		SafePoint: s.opts.PD.GCSafePoint, Refuse: s.locks.RaiseSafePoint, Regions: raft.Regions,
		Collect: s.manager.GC, Data: s.data, Logger: s.log,
	}, s.opts.GC)
	return nil
}

// resolve finds the address of another store.
func (s *Store) resolve(ctx context.Context, storeID uint64) (string, error) {
	meta, err := s.opts.PD.Store(ctx, storeID)
	if err != nil {
		return "", err
	}
	if meta.PeerAddress != "" {
		return meta.PeerAddress, nil
	}
	return meta.Address, nil
}

// dial connects to another store.
func (s *Store) dial(ctx context.Context, storeID uint64) (*grpc.ClientConn, error) {
	addr, err := s.resolve(ctx, storeID)
	if err != nil {
		return nil, fmt.Errorf("address of store %d: %w", storeID, err)
	}
	return transport.Dial(addr)
}

// checkLeader tells another store what of its regions may be read there.
func (s *Store) checkLeader(ctx context.Context, storeID uint64, req *kvrpcpb.CheckLeaderRequest) error {
	conn, err := s.transport.Conn(ctx, storeID)
	if err != nil {
		return err
	}
	_, err = tikvpb.NewTikvClient(conn).CheckLeader(ctx, req)
	return err
}

// join makes the store a member of the cluster: of a new one, it makes the first region.
func (s *Store) join(ctx context.Context) error {
	meta := s.describe()
	bootstrapped, err := s.opts.PD.IsBootstrapped(ctx)
	if err != nil {
		return fmt.Errorf("is the cluster bootstrapped: %w", err)
	}
	if !bootstrapped {
		if err := s.bootstrap(ctx, meta); err != nil {
			return fmt.Errorf("bootstrap the cluster: %w", err)
		}
	}
	if err := s.opts.PD.PutStore(ctx, meta); err != nil {
		return fmt.Errorf("register store %d: %w", meta.Id, err)
	}
	return nil
}

func (s *Store) describe() *metapb.Store {
	return &metapb.Store{
		Id: s.ident.StoreID, Address: s.opts.AdvertiseAddr, PeerAddress: s.opts.AdvertiseAddr,
		StatusAddress: s.opts.StatusAddr, Version: wireVersion, GitHash: s.opts.Release,
		StartTimestamp: time.Now().Unix(), DeployPath: s.opts.Dir,
	}
}

// serve starts raft, gRPC, heartbeats and the status server.
func (s *Store) serve() error {
	if err := s.raft.Start(); err != nil {
		return fmt.Errorf("start store %d: %w", s.ident.StoreID, err)
	}
	forwarder := transport.NewForwarder(s.opts.AdvertiseAddr, newPeers(s.opts.PD, s.transport).conn)
	s.grpc = grpc.NewServer(append(transport.ServerOptions(), forwarder.ServerOptions()...)...)
	tikvpb.RegisterTikvServer(s.grpc, s.service)
	debugpb.RegisterDebugServer(s.grpc, &debugService{s: s})
	deadlockpb.RegisterDeadlockServer(s.grpc, deadlock.NewService(s.deadlocks, s.manager.LockWaits))
	arrowflight.RegisterFlightServiceServer(s.grpc, s.flight)
	s.health = health.NewServer()
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	s.spawn(func() {
		if err := s.grpc.Serve(s.listener); err != nil {
			s.log.Error("gRPC server", "err", err)
		}
	})
	s.opened(func() error { s.grpc.Stop(); return nil })
	s.spawn(s.heartbeats)
	s.runOnData(s.collector.Run)
	if s.opts.API.Version != kvrpcpb.APIVersion_V1 {
		s.sweep()
	}
	s.runOnData(s.safe.Run)
	var err error
	s.status, err = status.Start(status.Options{
		Addr: s.opts.StatusAddr, Status: func() any { return s.Status() }, Logger: s.log,
		Metrics: []prometheus.Collector{s.service, s.endpoint, s.manager, s.raft, &engines{s.data, s.logs}},
	})
	if err != nil {
		return err
	}
	s.opened(s.status.Close)
	return nil
}

func (s *Store) spawn(run func()) {
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		run()
	}()
}

// runOnData runs what reads the store's data in the background: it ends before replication and engines do.
func (s *Store) runOnData(run func(ctx context.Context)) {
	done := make(chan struct{})
	s.spawn(func() {
		defer close(done)
		run(s.ctx)
	})
	s.opened(func() error { <-done; return nil })
}

// Close stops the store: first what takes in work, then replication, then the engines.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.cancel()
		for i := len(s.closers) - 1; i >= 0; i-- {
			s.err = errors.Join(s.err, s.closers[i]())
		}
		s.running.Wait()
	})
	return s.err
}

// ID is the store's id.
func (s *Store) ID() uint64 { return s.ident.StoreID }

// Addr is the address that others dial.
func (s *Store) Addr() string { return s.opts.AdvertiseAddr }

// StatusAddr is the address of the status server.
func (s *Store) StatusAddr() string { return s.status.Addr() }

// Service is the store for callers in the same process.
func (s *Store) Service() *kvservice.Service { return s.service }
