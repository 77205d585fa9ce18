package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/status"
	"github.com/scree-db/scree/sql-gateway/console"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/session"
	"github.com/scree-db/scree/sql-gateway/shell"
)

// gateway is the SQL front of a cluster in this process.
type gateway struct {
	client  *kvclient.Client
	sql     *session.Server
	console *console.Console
	status  *status.Server
	serving chan error // what Serve returned
}

// The gateway's default ports.
const (
	mysqlPort         = 4000
	gatewayStatusPort = 10080
)

// startGateway serves MySQL and HTTP for a cluster.
func startGateway(cluster *node.Cluster, c config, log *slog.Logger) (*gateway, error) {
	g := &gateway{client: kvclient.New(cluster.Placement(), cluster.Dialer(), kvclient.Options{Logger: log})}
	var err error
	g.sql, err = session.NewServer(session.Config{
		Addr: c.addr(mysqlPort), Client: g.client, Version: "v" + version, Logger: log,
		DataDir: cluster.Dir(), Spill: cluster.Spill(), Memory: cluster.Memory(),
		SafePoints: cluster.PD(), GatewayID: c.gatewayID(), Cluster: cluster.PD(),
		StatusAddr: c.addr(gatewayStatusPort), Revision: revision(),
		SlowLog: c.Log.slowLog(c.DataDir), SlowAfter: time.Duration(c.Log.SlowThreshold),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("SQL gateway: %w", err), g.client.Close())
	}
	g.serving = make(chan error, 1)
	go func() { g.serving <- g.sql.Serve(context.Background()) }()
	g.console, err = console.New(console.Options{Server: g.sql, Hosts: c.names(), Logger: log})
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	g.status, err = status.Start(status.Options{
		Addr: c.addr(gatewayStatusPort), Logger: log, Metrics: []prometheus.Collector{g.sql, g.client}, Registry: true,
		Handlers: map[string]http.Handler{"/": g.console},
		Status: func() any {
			return map[string]string{"version": g.sql.Version(), "git_hash": revision(), "address": g.sql.Addr().String()}
		},
	})
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// shell makes the terminal a client of the gateway until the user leaves.
func (g *gateway) shell(ctx context.Context) error {
	addr := g.sql.Addr().(*net.TCPAddr)
	return shell.Run(ctx, shell.Options{
		Host: addr.IP.String(), Port: addr.Port, User: "root", In: os.Stdin, Out: os.Stdout, Err: os.Stderr, HistoryFile: shell.DefaultHistoryFile(),
	})
}

// names are what this machine may be called by those who open the console.
func (c *config) names() []string {
	names := []string{c.Host, c.AdvertiseHost}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	return names
}

// addr is where one of the gateway's ports listens.
func (c *config) addr(port int) string {
	return net.JoinHostPort(c.Host, strconv.Itoa(port+c.PortOffset))
}

// Close lets statements come to an end and stops.
func (g *gateway) Close() error {
	var err error
	if g.status != nil {
		err = g.status.Close()
	}
	if g.console != nil {
		g.console.Close()
	}
	return errors.Join(err, g.sql.Close(), <-g.serving, g.client.Close())
}

// gatewayID tells gateways apart, and a gateway that is started again from none: it takes up what it has left.
func (c *config) gatewayID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // the address tells gateways of one machine apart
	}
	return host + "/" + c.addr(mysqlPort)
}
