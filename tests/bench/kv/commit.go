package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"

	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// measureCommit has transactions of one key, as the SQL gateway commits them in one process with the store and as TiKV's
// clients do over the network, beside a bare Pebble that syncs as many pairs at a time as there are clients.
func measureCommit(ctx context.Context, o *options, dir string, report *report) (err error) {
	db, err := openPebble(filepath.Join(dir, "pebble"))
	if err != nil {
		return err
	}
	bare, err := pebbleBatches(db, o.clients, o.during)
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	inside, err := commitInside(ctx, o, filepath.Join(dir, "inside"))
	if err != nil {
		return err
	}
	scree, err := startScree(ctx, o.scree, filepath.Join(dir, "scree"))
	if err != nil {
		return err
	}
	defer joinStop(&err, scree.stop)
	remote, err := load(o.clients, o.during, scree.commit)
	if err != nil {
		return err
	}
	limit := fmt.Sprintf("Pebble, synced batches of %d", o.clients)
	what := fmt.Sprintf("commit of one key, in process (CPU: %.1f µs, Pebble's %.1f)", micros(inside.cpu), micros(bare.cpu))
	report.row(what, inside, limit, bare, inside.rate/bare.rate, "≥ 0.5")
	report.row("commit of one key, gRPC", remote, limit, bare, remote.rate/bare.rate, "")
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func commitInside(ctx context.Context, o *options, dir string) (r result, err error) {
	c, err := node.StartCluster(ctx, node.ClusterOptions{Dir: dir})
	if err != nil {
		return r, err
	}
	defer joinStop(&err, c.Close)
	if err := c.WaitReady(ctx); err != nil {
		return r, err
	}
	client := kvclient.New(c.Placement(), c.Dialer(), kvclient.Options{})
	defer joinStop(&err, client.Close)
	return load(o.clients, o.during, func(ctx context.Context, _ int, pick uint64) error {
		for {
			txn, err := client.Begin(ctx)
			if err != nil {
				return err
			}
			if err := txn.Set(keyOf(pick%keys), valueOf(pick)); err != nil {
				return err
			}
			err = txn.Commit(ctx)
			var conflict *kvclient.WriteConflictError
			if !errors.As(err, &conflict) { // two clients have met on a key
				return err
			}
		}
	})
}

// commit is a timestamp from the placement driver and a prewrite that commits in one phase.
func (c *cluster) commit(ctx context.Context, client int, pick uint64) error {
	for {
		ts, err := c.pd.TS(ctx)
		if err != nil {
			return err
		}
		key := keyOf(pick % keys)
		resp, err := c.batched(ctx, client, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Prewrite{
			Prewrite: &kvrpcpb.PrewriteRequest{
				Context: c.region, PrimaryLock: key, StartVersion: ts, LockTtl: 3000, TxnSize: 1, TryOnePc: true, UseAsyncCommit: true,
				Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key, Value: valueOf(pick)}},
			},
		}})
		if err != nil {
			return err
		}
		r := resp.GetPrewrite()
		switch {
		case r == nil || r.RegionError != nil:
			return fmt.Errorf("prewrite: %v", r.GetRegionError())
		case len(r.Errors) == 0 && r.OnePcCommitTs > 0:
			return nil
		case len(r.Errors) == 0 || r.Errors[0].Conflict == nil:
			return fmt.Errorf("prewrite was not a commit: %v", r)
		}
	}
}
