package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/spf13/cobra"

	"github.com/scree-db/scree/sql-gateway/shell"
	"github.com/scree-db/scree/sql-gateway/tpch"
)

// loadSpec is a data set: tpch:SCALE.
type loadSpec struct{ scale tpch.Scale }

// parseLoad reads a data set's name; nil for an empty one.
func parseLoad(text string) (*loadSpec, error) {
	if text == "" {
		return nil, nil
	}
	name, scale, _ := strings.Cut(text, ":")
	if name != "tpch" {
		return nil, fmt.Errorf("data set %s: there is only tpch:SCALE, such as tpch:0.1", text)
	}
	s, err := tpch.ParseScale(scale)
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", text, err)
	}
	return &loadSpec{s}, nil
}

func (l *loadSpec) String() string { return "tpch:" + l.scale.String() }

// loadDatabase is the database that the data goes to.
const loadDatabase = "tpch"

// newLoad makes `scree load`.
func newLoad() *cobra.Command {
	var to gatewayFlags
	cmd := &cobra.Command{
		Use:     "load tpch:SCALE",
		Short:   "Load a data set through a gateway",
		Long:    "Makes the database tpch anew and fills it with TPC-H rows of the scale, unless it holds just those already.",
		Example: "  scree load tpch:0.1",
		Args:    cobra.ExactArgs(1),
	}
	to.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := parseLoad(args[0])
		if err != nil {
			return err
		}
		return spec.load(cmd.Context(), to.config(), os.Stdout)
	}
	return cmd
}

// load fills the database, unless it holds that very data already. Progress goes to out.
func (l *loadSpec) load(ctx context.Context, cfg *mysql.Config, out *os.File) (err error) {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	loaded, err := tpch.Loaded(ctx, db, loadDatabase, l.scale)
	if err != nil {
		return err
	}
	if loaded {
		_, err = fmt.Fprintf(out, "TPC-H %s is loaded already in database %s\n", l.scale, loadDatabase)
		return err
	}
	fmt.Fprintf(out, "preparing the generator of TPC-H %s ...\n", l.scale)
	gen := tpch.NewGenerator(l.scale)
	report := tpch.NewReporter(out, l.scale)
	if err := tpch.Load(ctx, db, loadDatabase, gen, report.Progress); err != nil {
		return err
	}
	report.Finish()
	return tpch.Analyze(ctx, db, loadDatabase)
}

// loadInChild runs `scree load` in a process of its own: the generator keeps hundreds of megabytes that only the end of
// its process gives back.
func (l *loadSpec) loadInChild(ctx context.Context, addr string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	child := exec.CommandContext(ctx, self, "load", l.String(), "--host", host, "--port", port)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	return child.Run()
}

// showcase is a query on the loaded data, most of which runs in the coprocessor.
const showcase = `SELECT l_returnflag, l_linestatus, SUM(l_quantity) AS quantity, AVG(l_extendedprice) AS price, COUNT(*) AS orders
FROM lineitem WHERE l_shipdate <= '1998-09-02' GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus`

// show runs the showcase: how it was executed, and its rows.
func show(ctx context.Context, addr string, out io.Writer) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s;\n\n", showcase)
	return shell.Run(ctx, shell.Options{Host: host, Port: p, User: "root", DB: loadDatabase, Out: out, Err: os.Stderr,
		Execute: "EXPLAIN ANALYZE " + showcase + ";" + showcase + ";"})
}
