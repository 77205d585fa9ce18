package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/spf13/cobra"

	"github.com/scree-db/scree/sql-gateway/admin"
	"github.com/scree-db/scree/sql-gateway/bench"
	"github.com/scree-db/scree/sql-gateway/tpch"
)

// benchFlags are what all of `scree bench` has in common.
type benchFlags struct {
	to     gatewayFlags
	format string
}

// newBench makes `scree bench`.
func newBench() *cobra.Command {
	f := new(benchFlags)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a gateway, and check its answers",
		Long: "Runs a workload against a gateway, over MySQL's protocol like any client, and reports rates and times as this client\n" +
			"sees them. Answers are checked: a wrong one ends the run with an error. The tables of point and bank are in the database " + bench.Database + ".",
		Example: "  scree bench tpch --scale 0.1\n  scree bench point --clients 16\n  scree bench bank --time 1m --format json",
		Args:    cobra.NoArgs,
	}
	f.to.add(cmd.PersistentFlags())
	cmd.PersistentFlags().StringVar(&f.format, "format", "table", "table or json")
	cmd.AddCommand(f.tpch(), f.point(), f.bank())
	return cmd
}

// tpch makes `scree bench tpch`.
func (f *benchFlags) tpch() *cobra.Command {
	scale, work := "0.01", bench.TPCH{Database: loadDatabase}
	cmd := &cobra.Command{
		Use:   "tpch",
		Short: "The 22 queries of TPC-H, one after the other",
		Long: "Loads TPC-H of the scale, unless it is there, and runs its queries. Answers are known at the scales 0.01 and 1; at others\n" +
			"the report says that they were not checked.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if work.Scale, err = tpch.ParseScale(scale); err != nil {
				return err
			}
			return f.with(cmd.OutOrStdout(), func(db *sql.DB) (*admin.Table, error) { return f.runTPCH(cmd, db, work) })
		},
	}
	cmd.Flags().StringVarP(&scale, "scale", "s", scale, "scale factor")
	cmd.Flags().StringSliceVar(&work.Queries, "query", nil, "queries to run, such as q01,q06 (default all)")
	cmd.Flags().IntVar(&work.Runs, "runs", 3, "runs of each query")
	return cmd
}

func (f *benchFlags) runTPCH(cmd *cobra.Command, db *sql.DB, work bench.TPCH) (*admin.Table, error) {
	ctx := cmd.Context()
	if err := (&loadSpec{work.Scale}).load(ctx, f.to.config(), os.Stderr); err != nil {
		return nil, err
	}
	t := &admin.Table{Columns: []string{"query", "rows", "first ms", "best ms", "answer"}}
	var first, best time.Duration
	err := work.Run(ctx, db, func(r bench.QueryResult) {
		answer := "not checked"
		if r.Checked {
			answer = "right"
		}
		t.Rows = append(t.Rows, []any{r.Name, r.Rows, millis(r.First), millis(r.Best), answer})
		first, best = first+r.First, best+r.Best
		fmt.Fprintf(cmd.ErrOrStderr(), "%s %v ms\n", r.Name, millis(r.Best))
	})
	t.Rows = append(t.Rows, []any{"all", "", millis(first), millis(best), ""})
	return t, err
}

// loadFlags are those of a workload that many clients repeat.
func loadFlags(cmd *cobra.Command, l *bench.Load) {
	cmd.Flags().IntVarP(&l.Clients, "clients", "c", 8, "connections at a time")
	cmd.Flags().DurationVarP(&l.Duration, "time", "t", 10*time.Second, "how long to measure")
	cmd.Flags().DurationVar(&l.Warmup, "warmup", 2*time.Second, "how long to run before")
	cmd.Flags().Uint64Var(&l.Seed, "seed", 1, "of the random choices")
}

// point makes `scree bench point`.
func (f *benchFlags) point() *cobra.Command {
	var work bench.Point
	var l bench.Load
	cmd := &cobra.Command{
		Use: "point", Short: "Rows by primary key, with a prepared statement", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.repeat(cmd, work, l) },
	}
	cmd.Flags().Int64Var(&work.Rows, "rows", 100_000, "rows of the table")
	loadFlags(cmd, &l)
	return cmd
}

// bank makes `scree bench bank`.
func (f *benchFlags) bank() *cobra.Command {
	var work bench.Bank
	var l bench.Load
	cmd := &cobra.Command{
		Use: "bank", Short: "Transfers between two accounts each, whose sum must not change", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.repeat(cmd, work, l) },
	}
	cmd.Flags().Int64Var(&work.Accounts, "accounts", 10_000, "accounts")
	loadFlags(cmd, &l)
	return cmd
}

// repeat runs a workload and prints its result.
func (f *benchFlags) repeat(cmd *cobra.Command, work bench.Workload, l bench.Load) error {
	if l.Clients < 1 || l.Duration <= 0 {
		return errors.New("--clients and --time want more than nothing")
	}
	progress := cmd.ErrOrStderr()
	l.Progress = func(elapsed time.Duration, done int64) {
		fmt.Fprintf(progress, "%3.0f s  %d operations/s\n", elapsed.Seconds(), done)
	}
	return f.with(cmd.OutOrStdout(), func(db *sql.DB) (*admin.Table, error) {
		r, err := bench.Run(cmd.Context(), db, work, l)
		if err != nil {
			return nil, err
		}
		at := func(micros int64) float64 { return millis(time.Duration(micros) * time.Microsecond) }
		return &admin.Table{
			Columns: []string{"clients", "operations", "conflicts", "operations/s", "mean ms", "p50 ms", "p95 ms", "p99 ms", "max ms"},
			Rows: [][]any{{l.Clients, r.Operations, r.Conflicts, math.Round(r.Rate()), at(int64(r.Latency.Mean())), at(r.Latency.ValueAtQuantile(50)),
				at(r.Latency.ValueAtQuantile(95)), at(r.Latency.ValueAtQuantile(99)), at(r.Latency.Max())}},
		}, nil
	})
}

// with opens the gateway for what do measures, and prints that.
func (f *benchFlags) with(out io.Writer, do func(db *sql.DB) (*admin.Table, error)) (err error) {
	print, err := tablePrinter(f.format)
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(f.to.config())
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	table, err := do(db)
	if err != nil {
		return err
	}
	return print(table, out)
}

// millis is d in milliseconds, with two places.
func millis(d time.Duration) float64 { return math.Round(d.Seconds()*1e5) / 100 }
