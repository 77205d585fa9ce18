// Command kernels measures the operators and expressions of package executor on batches in memory: the simple ones beside
// this machine's memory bandwidth, the others beside DuckDB's on the same rows.
//
// All times are CPU time of the process, the least of several runs, so that other load on the machine disturbs little: an
// operator of Scree is one goroutine, DuckDB works with two threads, and each is charged for all that it uses. It is a
// module of its own because DuckDB needs cgo: run it as `go run .` in this directory.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/pprof"
	"syscall"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
)

func main() {
	only := flag.String("only", "", "measure this case alone")
	runs := flag.Int("runs", 5, "runs of each, of which the fastest counts")
	profile := flag.String("cpuprofile", "", "file for a CPU profile")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	if err := run(*only, *runs); err != nil {
		log.Fatal(err)
	}
}

func run(only string, runs int) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec("SET threads = 2"); err != nil {
		return err
	}
	bandwidth := readBandwidth(runs)
	fmt.Printf("Memory, read by one core: %.1f GB/s\n\n", bandwidth/1e9)
	fmt.Println("| kernel | million rows/s | of the bandwidth | allocations a batch |\n| --- | ---: | ---: | ---: |")
	for _, c := range kernels() {
		if only != "" && only != c.name {
			continue
		}
		took, err := c.measure(runs)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		rate := float64(c.table.rows) / took.Seconds()
		fmt.Printf("| %s | %.0f | %.0f %% | %.1f |\n", c.name, rate/1e6, 100*rate*float64(c.rowBytes)/bandwidth, c.allocations())
	}
	fmt.Println("\n| operator | Scree | DuckDB | ratio |\n| --- | ---: | ---: | ---: |")
	for _, c := range operators() {
		if only != "" && only != c.name {
			continue
		}
		ours, err := c.measure(runs)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		theirs, err := c.measureDuckDB(db, runs)
		if err != nil {
			return fmt.Errorf("%s in DuckDB: %w", c.name, err)
		}
		fmt.Printf("| %s | %d ms | %d ms | %.2f |\n", c.name, ours.Milliseconds(), theirs.Milliseconds(), ours.Seconds()/theirs.Seconds())
	}
	return nil
}

// fastest is the least CPU time of f.
func fastest(runs int, f func() error) (best time.Duration, err error) {
	for i := range runs {
		start := cpuTime()
		if err := f(); err != nil {
			return 0, err
		}
		if took := cpuTime() - start; i == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readBandwidth adds up more numbers than any cache holds, and returns bytes a second.
func readBandwidth(runs int) float64 {
	data := make([]uint64, 32<<20)
	for i := range data {
		data[i] = uint64(i)
	}
	var sum [8]uint64
	took, _ := fastest(runs, func() error {
		for d := data; len(d) >= 8; d = d[8:] {
			for k, v := range d[:8:8] {
				sum[k] += v
			}
		}
		return nil
	})
	if sum[0] == 1 {
		log.Fatal("the sum is even")
	}
	return float64(8*len(data)) / took.Seconds()
}

// drain runs a plan to its end.
func drain(root *tipb.Executor, tables []*table) (rows int, err error) {
	leaf := func(scan *tipb.Executor) (executor.Operator, error) {
		t := tables[scan.TblScan.TableId]
		return executor.NewValues(t.fields, append([]executor.Batch(nil), t.batches...)...), nil
	}
	op, err := executor.Build(root, leaf, &executor.Env{Expr: &expr.Context{Location: time.UTC, DivPrecisionIncrement: 4}})
	if err != nil {
		return 0, err
	}
	for {
		b, err := op.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return rows, op.Close()
		}
		if err != nil {
			return 0, errors.Join(err, op.Close())
		}
		rows += b.Len()
	}
}
