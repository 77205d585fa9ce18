package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// serveEtcd is what this program does as a child of itself: one etcd of one member, until it is told to stop.
func serveEtcd(dir, addr, peerAddr string) error {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = dir, "fatal"
	client, peer := url.URL{Scheme: "http", Host: addr}, url.URL{Scheme: "http", Host: peerAddr}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.QuotaBackendBytes = 8 << 30
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	select {
	case <-stop.Done():
		return nil
	case err := <-e.Err():
		return err
	}
}

// etcd is an etcd server in a process of its own.
type etcd struct {
	cmd     *exec.Cmd
	clients []*clientv3.Client
}

func startEtcd(ctx context.Context, dir string) (e *etcd, err error) {
	addrs := make([]string, 2)
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		addrs[i] = l.Addr().String()
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	e = &etcd{cmd: exec.Command(os.Args[0], "-serve-etcd", dir, "-etcd-addr", addrs[0], "-etcd-peer", addrs[1])}
	e.cmd.Stderr = os.Stderr
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	for range connections {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{addrs[0]}, DialTimeout: 20 * time.Second})
		if err != nil {
			return nil, errors.Join(err, e.stop())
		}
		e.clients = append(e.clients, c)
	}
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := e.client(0).Get(ready, "none"); err != nil {
		return nil, errors.Join(fmt.Errorf("etcd: %w", err), e.stop())
	}
	return e, nil
}

func (e *etcd) client(i int) *clientv3.Client { return e.clients[i%len(e.clients)] }

func (e *etcd) stop() error {
	var err error
	for _, c := range e.clients {
		err = errors.Join(err, c.Close())
	}
	err = errors.Join(err, e.cmd.Process.Signal(syscall.SIGTERM))
	waitErr := e.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		waitErr = nil // it has not got to its handler yet
	}
	return errors.Join(err, waitErr)
}
