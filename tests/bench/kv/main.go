// Command kv measures Scree as a key-value store beside etcd, a peer, and bare Pebble, the limit, in one run on one machine,
// and prints the figures and their ratios as tables in Markdown: raw gets and puts, single-key commits, point gets beside
// a pushed full scan, the scan of many versions. `make bench` runs it; docs/performance.md keeps figures of a named machine.
//
// Servers are processes of their own, on the same cores as the clients; etcd is this program again.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/scree-db/scree/server/zaplog"
)

// options are the flags.
type options struct {
	scree    string
	clients  int
	during   time.Duration
	versions int
	only     string
	profile  string
}

const (
	keys       = 100_000
	valueBytes = 100
)

func keyOf[I int | uint64](i I) []byte {
	return fmt.Appendf(make([]byte, 0, 16), "k%015d", i)
}

func valueOf[I int | uint64](i I) []byte {
	v := make([]byte, valueBytes)
	for j := 0; j+8 <= len(v); j += 8 {
		binary.LittleEndian.PutUint64(v[j:], (uint64(i)+uint64(j))*0x9E3779B97F4A7C15)
	}
	return v
}

func main() {
	var o options
	var etcdDir, etcdAddr, etcdPeer string
	flag.StringVar(&o.scree, "scree", "bin/scree", "binary to measure")
	flag.IntVar(&o.clients, "clients", 64, "clients that wait for one answer each")
	flag.DurationVar(&o.during, "during", 5*time.Second, "length of each measurement")
	flag.IntVar(&o.versions, "versions", 10_000_000, "versions of the scan")
	flag.StringVar(&o.only, "only", "", "run only the parts whose name contains this")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a profile of this process: clients, and the store of \"in process\"")
	flag.StringVar(&etcdDir, "serve-etcd", "", "internal: be etcd, with data in this directory")
	flag.StringVar(&etcdAddr, "etcd-addr", "", "internal: where it serves clients")
	flag.StringVar(&etcdPeer, "etcd-peer", "", "internal: and peers")
	flag.Parse()
	if etcdDir != "" {
		if err := serveEtcd(etcdDir, etcdAddr, etcdPeer); err != nil {
			log.Fatal(err)
		}
		return
	}
	zaplog.ReplaceGlobals(slog.New(slog.DiscardHandler)) // the placement driver's client is talkative
	if err := run(context.Background(), &o); err != nil {
		log.Fatal(err)
	}
}

// part is a group of measurements that share servers.
type part struct {
	name string
	run  func(ctx context.Context, o *options, dir string, report *report) error
}

var parts = []part{
	{"raw", measureRaw},
	{"commit", measureCommit},
	{"mixed", measureMixed},
	{"scan", measureScan},
}

func run(ctx context.Context, o *options) (err error) {
	if o.profile != "" {
		stop, err := startProfile(o.profile)
		if err != nil {
			return err
		}
		defer joinStop(&err, stop)
	}
	dir, err := os.MkdirTemp("", "scree-bench-kv-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	average, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		average = []byte("unknown")
	}
	fmt.Printf("%d clients, %d keys of 16 bytes with %d, %d cores, %s/%s, %s, load average before: %s\n\n", o.clients, keys, valueBytes,
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), strings.TrimSpace(string(average)))
	fmt.Println("| | Scree | beside | | ratio | wanted |\n| --- | --- | --- | --- | ---: | --- |")
	for _, p := range parts {
		if !strings.Contains(p.name, o.only) {
			continue
		}
		sub := filepath.Join(dir, p.name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			return err
		}
		r := &report{}
		if err := p.run(ctx, o, sub, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if _, err := r.WriteTo(os.Stdout); err != nil {
			return err
		}
		if err := os.RemoveAll(sub); err != nil {
			return err
		}
	}
	return nil
}

func startProfile(path string) (stop func() error, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// report collects rows.
type report struct{ strings.Builder }

// row compares a figure of ours with another's; wanted says what the ratio should be.
func (r *report) row(what string, ours fmt.Stringer, beside string, theirs fmt.Stringer, ratio float64, wanted string) {
	fmt.Fprintf(r, "| %s | %s | %s | %s | %.2f | %s |\n", what, ours, beside, theirs, ratio, wanted)
}

// WriteTo implements io.WriterTo.
func (r *report) WriteTo(w *os.File) (int64, error) {
	n, err := w.WriteString(r.String())
	return int64(n), err
}

// joinStop adds the error of stopping something to err.
func joinStop(err *error, stop func() error) { *err = errors.Join(*err, stop()) }
