// Package testcluster starts whole clusters with a MySQL gateway in the test's process, on free loopback ports.
package testcluster

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the client of all tests that speak MySQL
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/zaplog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/session"
)

// Options describe a cluster; the zero value is one store in a directory that ends with the test.
type Options struct {
	Dir    string
	Stores int
	Raft   raftstore.Config
	GC     garbage.Options
	GCTick time.Duration // see session.Config
	// ColumnsRowsMin is how many rows a scan must read for a store to copy them by columns, see coprocessor.Options.
	ColumnsRowsMin int64
	// Memory is what all statements draw on, in the gateway and in the stores; with it, they use files where there is too little.
	Memory *executor.Memory
	// StoreMemory is what the stores draw on, where that is not Memory.
	StoreMemory *executor.Memory
}

// The placement driver's client is talkative, and logs to the process's standard error otherwise.
var quiet = sync.OnceFunc(func() { zaplog.ReplaceGlobals(slog.New(slog.DiscardHandler)) })

// Cluster is a running cluster.
type Cluster struct {
	t       testing.TB
	Nodes   *node.Cluster
	Client  *kvclient.Client
	Gateway *session.Server
	DB      *sql.DB
	served  chan error
}

// Start starts a cluster, which ends with the test if nobody calls Stop before.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	quiet()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	ctx := context.Background()
	nodes, err := node.StartCluster(ctx, node.ClusterOptions{Dir: o.Dir, Stores: max(1, o.Stores), Raft: o.Raft, GC: o.GC,
		Coprocessor: coprocessor.Options{Memory: cmp.Or(o.StoreMemory, o.Memory), ColumnsRowsMin: o.ColumnsRowsMin}})
	require.NoError(t, err)
	require.NoError(t, nodes.WaitReady(ctx))
	c := &Cluster{t: t, Nodes: nodes, Client: kvclient.New(nodes.Placement(), nodes.Dialer(), kvclient.Options{}), served: make(chan error, 1)}
	cfg := session.Config{
		Addr: "127.0.0.1:0", Client: c.Client, Version: "test", SafePoints: nodes.PD(), GatewayID: "test", GCTick: o.GCTick,
	}
	if o.Memory != nil {
		cfg.Memory, cfg.Spill = o.Memory, nodes.Spill()
	}
	c.Gateway, err = session.NewServer(cfg)
	require.NoError(t, err)
	go func() { c.served <- c.Gateway.Serve(ctx) }()
	c.DB, err = sql.Open("mysql", c.DSN("test"))
	require.NoError(t, err)
	t.Cleanup(c.Stop)
	return c
}

// DSN is what go-sql-driver connects with.
func (c *Cluster) DSN(database string) string {
	return fmt.Sprintf("root@tcp(%s)/%s?multiStatements=true", c.Gateway.Addr(), database)
}

// Remote starts another gateway, which reaches the stores as one in another process does, and ends with the test. It returns a
// connection pool like DB.
func (c *Cluster) Remote() *sql.DB {
	c.t.Helper()
	dialer := node.NewDialer()
	client := kvclient.New(c.Nodes.Placement(), dialer, kvclient.Options{})
	gateway, err := session.NewServer(session.Config{
		Addr: "127.0.0.1:0", Client: client, Version: "test", SafePoints: c.Nodes.PD(), GatewayID: "remote",
	})
	require.NoError(c.t, err)
	served := make(chan error, 1)
	go func() { served <- gateway.Serve(context.Background()) }()
	db, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/test?multiStatements=true", gateway.Addr()))
	require.NoError(c.t, err)
	c.t.Cleanup(func() {
		require.NoError(c.t, errors.Join(db.Close(), gateway.Close(), <-served, client.Close(), dialer.Close()))
	})
	return db
}

// WaitColumns waits for the columns that past queries have the stores make.
func (c *Cluster) WaitColumns() {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.Columns().Pending == 0 }, time.Minute, time.Millisecond, "columns are not made")
}

// Columns sums up what the stores tell of columns.
func (c *Cluster) Columns() (sum coprocessor.ColumnsStatus) {
	for _, s := range c.Nodes.Stores() {
		st := s.Status().Columns
		sum.Pending += st.Pending
		sum.Segments += st.Segments
		sum.RowsFromColumns += st.RowsFromColumns
		sum.RowsSkipped += st.RowsSkipped
	}
	return sum
}

// Stop ends the cluster in order. A second call does nothing.
func (c *Cluster) Stop() {
	if c.DB == nil {
		return
	}
	err := errors.Join(c.DB.Close(), c.Gateway.Close(), <-c.served, c.Client.Close(), c.Nodes.Close())
	c.DB = nil
	require.NoError(c.t, err)
}

// Exec runs statements that must succeed.
func (c *Cluster) Exec(statements ...string) {
	c.t.Helper()
	for _, s := range statements {
		_, err := c.DB.Exec(s)
		require.NoError(c.t, err, s)
	}
}
