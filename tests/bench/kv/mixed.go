package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
)

// pointClients is how many read while the scan runs, each with a pause after each read: a load that leaves most of the machine to
// the scan, so that what is measured is waiting, not a share of the processors.
const (
	pointClients = 8
	pointPause   = 2 * time.Millisecond
	pointKeys    = 1000
)

// measureMixed has point gets alone, and while pushed full scans run one after another.
func measureMixed(ctx context.Context, o *options, dir string, report *report) (err error) {
	scree, err := startScree(ctx, o.scree, filepath.Join(dir, "scree"), "--load", "tpch:0.1")
	if err != nil {
		return err
	}
	defer joinStop(&err, scree.stop)
	for i := range pointKeys {
		if err := scree.commit(ctx, 0, uint64(i)); err != nil {
			return err
		}
	}
	alone, err := pacedLoad(pointClients, o.during, pointPause, scree.pointGet)
	if err != nil {
		return err
	}
	db, err := sql.Open("mysql", "root@tcp("+scree.mysql+")/tpch")
	if err != nil {
		return err
	}
	defer joinStop(&err, db.Close)
	scanning, cancel := context.WithCancel(ctx)
	defer cancel()
	var scans atomic.Int64
	ended := make(chan error, 1)
	go func() { ended <- scanForever(scanning, db, &scans) }()
	beside, err := pacedLoad(pointClients, o.during, pointPause, scree.pointGet)
	cancel()
	if err = errors.Join(err, <-ended); err != nil {
		return err
	}
	what := fmt.Sprintf("point get, paced, during %d full scans", scans.Load())
	report.row(what, beside, "alone", alone, float64(beside.p99)/float64(alone.p99), "p99 ≤ 3")
	return nil
}

func scanForever(ctx context.Context, db *sql.DB, scans *atomic.Int64) error {
	for {
		var n, sum float64
		err := db.QueryRowContext(ctx, "SELECT COUNT(*), SUM(l_extendedprice * l_discount) FROM lineitem WHERE l_quantity < 40").Scan(&n, &sum)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		scans.Add(1)
	}
}

// pointGet reads the newest version of one of the keys that were committed.
func (c *cluster) pointGet(ctx context.Context, client int, pick uint64) error {
	resp, err := c.batched(ctx, client, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Get{
		Get: &kvrpcpb.GetRequest{Context: c.region, Key: keyOf(pick % pointKeys), Version: math.MaxUint64},
	}})
	if err != nil {
		return err
	}
	if r := resp.GetGet(); len(r.GetValue()) == 0 {
		return fmt.Errorf("point get: %v", r)
	}
	return nil
}
