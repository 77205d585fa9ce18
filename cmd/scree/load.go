package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

// loadSpec is the value of --load: tpch:SCALE.
type loadSpec struct{ scale tpch.Scale }

// parseLoad reads a --load flag; nil for an empty one.
func parseLoad(text string) (*loadSpec, error) {
	if text == "" {
		return nil, nil
	}
	name, scale, _ := strings.Cut(text, ":")
	if name != "tpch" {
		return nil, fmt.Errorf("--load %s: there is only tpch:SCALE, such as tpch:0.1", text)
	}
	s, err := tpch.ParseScale(scale)
	if err != nil {
		return nil, fmt.Errorf("--load %s: %w", text, err)
	}
	return &loadSpec{s}, nil
}

// loadDatabase is the database that the data goes to.
const loadDatabase = "tpch"

// load fills the database over MySQL at addr, unless it holds that very data already. Progress goes to out.
func (l *loadSpec) load(ctx context.Context, addr string, out *os.File) (err error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User = "tcp", addr, "root"
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
	report := tpch.NewReporter(out, l.scale)
	if err := tpch.Load(ctx, db, loadDatabase, tpch.NewGenerator(l.scale), report.Progress); err != nil {
		return err
	}
	report.Finish()
	return nil
}
