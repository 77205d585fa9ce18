// Package status serves what people and monitoring ask a process over HTTP: /status (JSON), /metrics (Prometheus),
// /debug/pprof.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options say what to serve.
type Options struct {
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// Status gives the document of /status.
	Status func() any
	// Metrics are gathered for /metrics beside those of the Go runtime and the process.
	Metrics []prometheus.Collector
	// Registry has /metrics show what is in the process's registry, too: libraries' and the placement driver's.
	Registry bool
	// Handlers are further paths.
	Handlers map[string]http.Handler
	Logger   *slog.Logger // nil: discard
}

// Server runs until Close.
type Server struct {
	http *http.Server
	addr string
	done chan struct{}
}

// closeGrace is how long requests under way may take when the server closes; a profile is cut short.
const closeGrace = time.Second

// Start listens and serves.
func Start(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	mux, err := newMux(o)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("status server: %w", err)
	}
	s := &Server{
		http: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug)},
		addr: l.Addr().String(), done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("status server", "err", err)
		}
	}()
	return s, nil
}

// Addr is the address that it listens on.
func (s *Server) Addr() string { return s.addr }

// Close stops serving.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.done
	return err
}

func newMux(o Options) (*http.ServeMux, error) {
	metrics, err := metricsHandler(o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(o.Status()); err != nil {
			o.Logger.Debug("write status", "err", err)
		}
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	for path, h := range o.Handlers {
		mux.Handle(path, h)
	}
	return mux, nil
}

// metricsHandler gathers the collectors of this server, and on demand those of the process's registry.
func metricsHandler(o Options) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	all := prometheus.Gatherers{registry}
	own := o.Metrics
	if o.Registry {
		all = append(all, prometheus.DefaultGatherer) // which has these two
	} else {
		own = append(slices.Clone(own), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	for _, c := range own {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}), nil
}
