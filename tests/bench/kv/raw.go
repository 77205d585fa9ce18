package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// measureRaw has raw gets and synced puts beside etcd's, and gets beside those of a bare Pebble.
func measureRaw(ctx context.Context, o *options, dir string, report *report) (err error) {
	scree, err := startScree(ctx, o.scree, filepath.Join(dir, "scree"))
	if err != nil {
		return err
	}
	get, unary, put, err := scree.measure(o)
	if err = errors.Join(err, scree.stop()); err != nil {
		return err
	}
	peer, err := startEtcd(ctx, filepath.Join(dir, "etcd"))
	if err != nil {
		return err
	}
	theirGet, theirPut, err := peer.measure(o)
	if err = errors.Join(err, peer.stop()); err != nil {
		return err
	}
	db, err := openPebble(filepath.Join(dir, "pebble"))
	if err != nil {
		return err
	}
	defer joinStop(&err, db.Close)
	if err := pebbleFill(db); err != nil {
		return err
	}
	bare, err := pebbleGet(db, o.clients, o.during)
	if err != nil {
		return err
	}
	report.row("raw get", get, "etcd, serializable range", theirGet, get.rate/theirGet.rate, "≥ 2")
	report.row("raw get, unary", unary, "etcd, serializable range", theirGet, unary.rate/theirGet.rate, "")
	report.row("raw get", get, "Pebble, in process", bare, get.rate/bare.rate, "")
	report.row("raw put, synced", put, "etcd, put", theirPut, put.rate/theirPut.rate, "≥ 3")
	return nil
}

// answer is what raw responses have in common.
type answer interface{ GetError() string }

func check(resp answer, err error) error {
	if err != nil {
		return err
	}
	if text := resp.GetError(); text != "" {
		return errors.New(text)
	}
	if r, ok := resp.(interface{ GetNotFound() bool }); ok && r.GetNotFound() {
		return errors.New("a key is missing")
	}
	return nil
}

// fill puts all keys.
func (c *cluster) fill(ctx context.Context) error {
	const batch = 1000
	for i := 0; i < keys; i += batch {
		req := &kvrpcpb.RawBatchPutRequest{Context: c.region}
		for j := i; j < i+batch; j++ {
			req.Pairs = append(req.Pairs, &kvrpcpb.KvPair{Key: keyOf(j), Value: valueOf(j)})
		}
		resp, err := c.unary(0).RawBatchPut(ctx, req)
		if err == nil && resp.RegionError != nil {
			err = fmt.Errorf("fill: %s", resp.RegionError.Message)
		}
		if err := check(resp, err); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) measure(o *options) (get, unary, put result, err error) {
	if err := c.fill(context.Background()); err != nil {
		return get, unary, put, err
	}
	get, err = load(o.clients, o.during, func(ctx context.Context, client int, pick uint64) error {
		resp, err := c.batched(ctx, client, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_RawGet{
			RawGet: &kvrpcpb.RawGetRequest{Context: c.region, Key: keyOf(pick % keys)},
		}})
		return check(resp.GetRawGet(), err)
	})
	if err != nil {
		return get, unary, put, err
	}
	unary, err = load(o.clients, o.during, func(ctx context.Context, client int, pick uint64) error {
		return check(c.unary(client).RawGet(ctx, &kvrpcpb.RawGetRequest{Context: c.region, Key: keyOf(pick % keys)}))
	})
	if err != nil {
		return get, unary, put, err
	}
	put, err = load(o.clients, o.during, func(ctx context.Context, client int, pick uint64) error {
		resp, err := c.batched(ctx, client, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_RawPut{
			RawPut: &kvrpcpb.RawPutRequest{Context: c.region, Key: keyOf(pick % keys), Value: valueOf(pick)},
		}})
		return check(resp.GetRawPut(), err)
	})
	return get, unary, put, err
}

func (e *etcd) measure(o *options) (get, put result, err error) {
	ctx := context.Background()
	const batch = 100 // etcd allows 128
	for i := 0; i < keys; i += batch {
		var ops []clientv3.Op
		for j := i; j < i+batch; j++ {
			ops = append(ops, clientv3.OpPut(string(keyOf(j)), string(valueOf(j))))
		}
		if _, err := e.client(0).Txn(ctx).Then(ops...).Commit(); err != nil {
			return get, put, err
		}
	}
	get, err = load(o.clients, o.during, func(ctx context.Context, client int, pick uint64) error {
		resp, err := e.client(client).Get(ctx, string(keyOf(pick%keys)), clientv3.WithSerializable())
		if err == nil && len(resp.Kvs) != 1 {
			err = errors.New("a key is missing")
		}
		return err
	})
	if err != nil {
		return get, put, err
	}
	put, err = load(o.clients, o.during, func(ctx context.Context, client int, pick uint64) error {
		_, err := e.client(client).Put(ctx, string(keyOf(pick%keys)), string(valueOf(pick)))
		return err
	})
	return get, put, err
}
