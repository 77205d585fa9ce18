package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/spill"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/gcworker"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/insight"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// Config of a Server.
type Config struct {
	// Addr is where to listen, unless Listener is given.
	Addr     string
	Listener net.Listener
	// Client is the transaction client. It stays the caller's, and must outlive the Server.
	Client *kvclient.Client
	// Version is this program's, such as "v0.1.0".
	Version string
	// SafePoints are the placement driver's, for the garbage collection; nil: this gateway has no part in it.
	SafePoints gcworker.SafePoints
	// GatewayID tells this gateway from the cluster's others; empty: it is the only one.
	GatewayID string
	// GCTick is how often this gateway looks after the garbage collection; 0: gcworker's default.
	GCTick time.Duration
	Logger *slog.Logger
	// DataDir is shown as @@datadir.
	DataDir string
	// Memory is what all statements draw on, perhaps with others of the process; nil: there is no such bound.
	Memory *executor.Memory
	// Spill is where statements put rows that exceed their share of memory; nil: they fail then.
	Spill *spill.Dir
	// RootPassword guards the user root; empty is no password.
	RootPassword string
	// Cluster knows of stores and regions, for the tables about them; nil: those are empty.
	Cluster infoschema.Cluster
	// StatusAddr and Revision are shown as this gateway's.
	StatusAddr, Revision string
	// SlowLog is where statements that took SlowAfter or longer are written down; without a path they are not.
	SlowLog   insight.LogFile
	SlowAfter time.Duration
	// ConnectionsMax bounds the connections at one time; 0 is no bound.
	ConnectionsMax int
}

// Server is the SQL gateway: it accepts MySQL clients and executes their statements.
type Server struct {
	cfg      Config
	log      *slog.Logger
	listener net.Listener
	client   *kvclient.Client
	catalog  *catalog.Catalog
	globals  *globals
	insight  *insight.Recorder
	locks    userLocks
	accounts map[string]wire.Account
	started  time.Time
	queries  atomic.Uint64

	mu       sync.Mutex
	sessions map[uint64]*Session   // of connections
	working  map[*Session]struct{} // these and the server's own
	quiet    map[uint64]struct{}   // connections, see Connect
	nextID   uint64
	closing  bool
	// stop ends the catalog's background work and, through the connections' contexts, all statements.
	stop context.CancelCauseFunc
	ctx  context.Context
	wg   sync.WaitGroup
}

// stopWait is how long Close lets running statements finish.
const stopWait = 3 * time.Second

// NewServer opens the catalog and the listener. In a new cluster it creates the databases mysql and test.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, client: cfg.Client, listener: cfg.Listener,
		sessions: make(map[uint64]*Session), working: make(map[*Session]struct{}), quiet: make(map[uint64]struct{}), started: time.Now(),
		accounts: map[string]wire.Account{"root": wire.NewAccount(cfg.RootPassword)},
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	var err error
	if s.insight, err = openInsight(cfg); err != nil {
		return nil, err
	}
	s.catalog, err = catalog.Open(s.ctx, catalog.FromClient(cfg.Client), catalog.Options{
		ID: cfg.GatewayID, Logger: cfg.Logger, Virtual: infoschema.Tables(), Backfill: s.backfill, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	if s.listener == nil {
		if s.listener, err = net.Listen("tcp", cfg.Addr); err != nil {
			return nil, fmt.Errorf("listen for MySQL clients: %w", err)
		}
	}
	s.globals = newGlobals(s.fixedVars())
	return s, nil
}

// fixedVars are the variables whose values are this server's alone.
func (s *Server) fixedVars() map[string]string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	zone, _ := time.Now().Zone()
	vars := map[string]string{
		"version": s.Version(), "hostname": host, "datadir": s.cfg.DataDir, "system_time_zone": zone,
		"version_compile_os": runtime.GOOS, "version_compile_machine": runtime.GOARCH, "server_id": "1",
		"max_connections": strconv.Itoa(s.cfg.ConnectionsMax), "slow_query_log_file": s.cfg.SlowLog.Path,
		"slow_query_log": onIf(s.cfg.SlowLog.Path != ""), "tidb_enable_slow_log": onIf(s.cfg.SlowLog.Path != ""),
		"long_query_time": secondsText(s.insight.SlowAfter()), "tidb_slow_log_threshold": strconv.FormatInt(s.insight.SlowAfter().Milliseconds(), 10),
	}
	if addr, ok := s.listener.Addr().(*net.TCPAddr); ok {
		vars["port"] = strconv.Itoa(addr.Port)
	}
	return vars
}

func onIf(yes bool) string {
	if yes {
		return "ON"
	}
	return "OFF"
}

// mysqlVersion is the MySQL whose behaviour clients may assume.
const mysqlVersion = "8.0.11"

// Version is the version of the protocol's greeting and of VERSION().
func (s *Server) Version() string { return mysqlVersion + "-Scree-" + s.cfg.Version }

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Catalog is the server's catalog.
func (s *Server) Catalog() *catalog.Catalog { return s.catalog }

// Serve accepts connections until ctx ends or Close is called; it then returns nil.
func (s *Server) Serve(ctx context.Context) error {
	for _, work := range []func(context.Context){s.catalog.Run, s.autoAnalyze, s.runGC} {
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			work(s.ctx)
		}()
	}
	release := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer release()
	for {
		nc, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			s.log.Warn("accept failed", "err", err)
			time.Sleep(acceptPause)
			continue
		}
		s.serveConn(nc, false)
	}
}

// Connect makes a connection within the process, which speaks MySQL like one that comes over the network, and returns its id.
// What a quiet one executes is not recorded: it is for looking on.
func (s *Server) Connect(quiet bool) (client net.Conn, id uint64) {
	client, served := net.Pipe()
	return client, s.serveConn(served, quiet)
}

// acceptPause keeps a full file table from turning into a busy loop.
const acceptPause = 10 * time.Millisecond

func (s *Server) serveConn(nc net.Conn, quiet bool) (id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		nc.Close()
		return 0
	}
	s.nextID++
	if quiet {
		s.quiet[s.nextID] = struct{}{}
	}
	conn := wire.NewConn(s.nextID, nc, s, s.log)
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		if err := conn.Serve(s.ctx); err != nil {
			s.log.Info("connection ended", "id", conn.ID(), "client", nc.RemoteAddr(), "err", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.quiet, conn.ID())
	}()
	return s.nextID
}

// Account implements wire.Backend.
func (s *Server) Account(user, _ string) (wire.Account, bool) {
	a, ok := s.accounts[user]
	return a, ok
}

// Open implements wire.Backend.
func (s *Server) Open(ctx context.Context, c *wire.Conn) (wire.Session, error) {
	ses := newSession(s, c)
	if c.DB() != "" {
		if err := ses.Use(ctx, c.DB()); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.ConnectionsMax > 0 && len(s.sessions) >= s.cfg.ConnectionsMax {
		return nil, errTooManyConnections
	}
	_, ses.quiet = s.quiet[ses.id]
	s.sessions[ses.id] = ses
	return ses, nil
}

// enter and leave bracket the life of every session.
func (s *Server) enter(ses *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working[ses] = struct{}{}
}

func (s *Server) leave(ses *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.working, ses)
	if s.sessions[ses.id] == ses {
		delete(s.sessions, ses.id)
	}
}

// all lists the sessions of the moment.
func (s *Server) all() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Session, 0, len(s.sessions))
	for _, ses := range s.sessions {
		out = append(out, ses)
	}
	return out
}

// Kill ends the statement that a connection runs; one that is gone is left in peace.
func (s *Server) Kill(id uint64) {
	s.mu.Lock()
	ses := s.sessions[id]
	s.mu.Unlock()
	if ses != nil {
		ses.interrupt(errKilled)
	}
}

// kill ends a connection, or only its statement.
func (s *Server) kill(id uint64, queryOnly bool) error {
	s.mu.Lock()
	ses := s.sessions[id]
	s.mu.Unlock()
	if ses == nil {
		return errNoSuchThread(id)
	}
	ses.interrupt(errKilled)
	if queryOnly {
		return nil
	}
	return ses.conn.Interrupt()
}

// Close stops accepting, gives running statements a moment, then interrupts them, and returns when all connections are
// gone and the row counts are saved.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	s.drain()
	s.stop(errShutdown)
	s.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	return errors.Join(err, s.catalog.FlushStats(ctx), s.insight.Close())
}

// drain waits until no session runs a statement, but not for ever.
func (s *Server) drain() {
	deadline := time.Now().Add(stopWait)
	for time.Now().Before(deadline) {
		busy := false
		for _, ses := range s.all() {
			busy = busy || ses.busy()
		}
		if !busy {
			return
		}
		time.Sleep(acceptPause)
	}
}

// backfill writes the entries of a new index in a transaction of its own, committed in batches.
func (s *Server) backfill(ctx context.Context, t *catalog.Table, ix *catalog.Index) error {
	ses := newSession(s, nil)
	defer ses.Close()
	r := ses.newRun(ctx, nil, "", nil)
	env, err := r.dmlEnv()
	if err != nil {
		return err
	}
	if err := dml.BackfillIndex(ctx, env, t, ix); err != nil {
		return err
	}
	return ses.commit(ctx)
}
