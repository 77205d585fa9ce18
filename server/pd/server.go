package pd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/keyspacepb"
	"github.com/pingcap/kvproto/pkg/meta_storagepb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/server/zaplog"
)

// Options say where a member keeps its data and how it is reached.
type Options struct {
	Config
	// Dir holds etcd's data.
	Dir string
	// ClientAddr serves pdpb and etcd, PeerAddr etcd's peers: host:port. Port 0 takes a free one.
	ClientAddr, PeerAddr string
	// AdvertiseAddr is what clients are told to dial; empty: ClientAddr.
	AdvertiseAddr string
	// ServerOptions are gRPC's: the codec above all.
	ServerOptions []grpc.ServerOption
	Logger        *slog.Logger // nil: discard
	Now           func() time.Time
	Rand          *rand.Rand // nil: seeded by the runtime
}

func (o *Options) setDefaults() error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	for _, addr := range []*string{&o.ClientAddr, &o.PeerAddr} {
		resolved, err := withPort(*addr)
		if err != nil {
			return err
		}
		*addr = resolved
	}
	if o.AdvertiseAddr == "" {
		o.AdvertiseAddr = o.ClientAddr
	}
	return nil
}

// withPort puts a free port in place of port 0: etcd wants to know its addresses before it listens.
func withPort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", addr, err)
	}
	if port != "0" {
		return addr, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Server is one placement driver in an embedded etcd of one member.
type Server struct {
	core    *Core
	service *Service
	meta    *metaService
	etcd    *embed.Etcd
	metrics prometheus.Registerer
	mute    func() // silences etcd, which calls its end a failure
	addr    string
	log     *slog.Logger
	cancel  context.CancelFunc
	done    sync.WaitGroup

	// loaded is closed when service is set or will never be: etcd must not serve its port before.
	loaded chan struct{}
	grpcMu sync.Mutex
	grpc   *grpc.Server
}

// Start runs a member until Close. It returns once it serves, or ctx is done.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Server{addr: o.AdvertiseAddr, log: o.Logger, loaded: make(chan struct{})}
	if err := s.startEtcd(o); err != nil {
		return nil, err
	}
	if err := s.load(ctx, o); err != nil {
		close(s.loaded)
		s.etcd.Close()
		return nil, err
	}
	close(s.loaded)
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Add(1)
	go s.run(run)
	return s, nil
}

func (s *Server) startEtcd(o Options) error {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "pd", o.Dir
	client, peer := url.URL{Scheme: "http", Host: o.ClientAddr}, url.URL{Scheme: "http", Host: o.PeerAddr}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{{Scheme: "http", Host: o.AdvertiseAddr}}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// A single member elects itself after one to two election timeouts: that is most of the start-up time.
	cfg.TickMs, cfg.ElectionMs = 50, 250
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModeRevision, "1000"
	cfg.SnapshotCount = 10_000
	cfg.EnableGRPCGateway = false
	cfg.WarningUnaryRequestDuration = time.Second
	cfg.GRPCKeepAliveMinTime = 5 * time.Second
	cfg.GRPCAdditionalServerOptions = o.ServerOptions
	logger, mute := zaplog.NewMutable(o.Logger.With("component", "etcd"))
	s.mute = mute
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	cfg.ServiceRegister = s.register
	cfg.UserHandlers = map[string]http.Handler{apiPrefix: s.api()}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	s.etcd = e
	return nil
}

// register is called by etcd when it is about to serve; it holds that until the state is loaded.
func (s *Server) register(g *grpc.Server) {
	<-s.loaded
	s.grpcMu.Lock()
	s.grpc = g
	s.grpcMu.Unlock()
	if s.service != nil {
		pdpb.RegisterPDServer(g, s.service)
		meta_storagepb.RegisterMetaStorageServer(g, s.meta)
		keyspacepb.RegisterKeyspaceServer(g, keyspaceService{s.service})
	}
}

// load builds core and service once etcd can read and write.
func (s *Server) load(ctx context.Context, o Options) error {
	select {
	case <-s.etcd.Server.ReadyNotify():
	case err := <-s.etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("wait for etcd: %w", ctx.Err())
	}
	client := v3client.New(s.etcd.Server)
	core, err := NewCore(ctx, o.Config, etcdState{client}, o.Now, o.Rand)
	if err != nil {
		return err
	}
	self := &pdpb.Member{
		Name: "pd", MemberId: uint64(s.etcd.Server.MemberID()),
		ClientUrls: []string{"http://" + o.AdvertiseAddr}, PeerUrls: []string{"http://" + o.PeerAddr},
	}
	s.core, s.service = core, NewService(core, self)
	// etcd shows the process's registry at /metrics of the port that it serves. Several clusters may share a process.
	s.metrics = prometheus.WrapRegistererWith(prometheus.Labels{"cluster_id": strconv.FormatUint(core.clusterID, 10)}, prometheus.DefaultRegisterer)
	if err := s.metrics.Register(core); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	s.meta = &metaService{clusterID: core.clusterID, etcd: client}
	return nil
}

const tickEvery = time.Second

// run does what time asks for until Close.
func (s *Server) run(ctx context.Context) {
	defer s.done.Done()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := errors.Join(s.core.Tick(ctx), s.service.patrol(ctx, s.log)); err != nil && ctx.Err() == nil {
			s.log.Warn("placement driver", "err", err)
		}
	}
}

// Core gives the same process timestamps and the rest without a round trip.
func (s *Server) Core() *Core { return s.core }

// Addr is the address that clients dial.
func (s *Server) Addr() string { return s.addr }

// Close writes what is not yet written and stops. Streams of clients are cut.
func (s *Server) Close() error {
	s.metrics.Unregister(s.core)
	s.cancel()
	s.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.core.Close(ctx)
	s.grpcMu.Lock()
	g := s.grpc
	s.grpcMu.Unlock()
	s.mute()
	if g != nil {
		g.Stop() // etcd's own way waits for streams to end, which clients keep open
	}
	s.etcd.Close()
	return err
}
