package linearizable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/kvservice"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/storage"
)

const (
	keys, clients = 8, 6
	runFor        = 4 * time.Second
	// A client waits between its operations: the judge's work grows with their number, and faults need time to happen.
	pace     = 10 * time.Millisecond
	checkFor = time.Minute
)

// api is what the two ways to the data have in common.
type api interface {
	key(i int) []byte
	do(ctx context.Context, in input) output
}

func TestRawCompareAndSwap(t *testing.T) {
	run(t, kvrpcpb.APIVersion_V2, func(c *kvclient.Client) api { return rawAPI{c} })
}

func TestTransactions(t *testing.T) {
	run(t, kvrpcpb.APIVersion_V1, func(c *kvclient.Client) api { return txnAPI{c} })
}

// The judge finds what is wrong: a lost write, a stale read, and a swap that two have won.
func TestJudge(t *testing.T) {
	op := func(call, ret int64, in input, out output) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
	}
	put := op(0, 1, input{kind: write, value: "1"}, output{})
	require.True(t, porcupine.CheckOperations(register, []porcupine.Operation{put, op(2, 3, input{}, output{value: "1"})}))
	require.False(t, porcupine.CheckOperations(register, []porcupine.Operation{put, op(2, 3, input{}, output{})}))
	unsure := op(2, 1<<40, input{kind: write, value: "2"}, output{unknown: true})
	require.True(t, porcupine.CheckOperations(register, []porcupine.Operation{put, unsure, op(5, 6, input{}, output{value: "1"})}))
	require.True(t, porcupine.CheckOperations(register, []porcupine.Operation{put, unsure, op(5, 6, input{}, output{value: "2"})}))
	won := func(value string) porcupine.Operation {
		return op(5, 9, input{kind: swap, expect: "1", value: value}, output{value: "1", swapped: true})
	}
	require.True(t, porcupine.CheckOperations(register, []porcupine.Operation{put, won("3")}))
	require.False(t, porcupine.CheckOperations(register, []porcupine.Operation{put, won("3"), won("4")}))
}

// run lets clients loose on a cluster whose regions are cut between all keys, so that leaders spread, and of which one store
// goes away.
func run(t *testing.T, version kvrpcpb.APIVersion, open func(*kvclient.Client) api) {
	ctx := context.Background()
	c, err := node.StartCluster(ctx, node.ClusterOptions{Dir: t.TempDir(), Stores: 3, API: node.APIOptions{Version: version}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.WaitReady(ctx))
	admin := connect(t, c)
	waitReplicas(t, c)

	history := &recorder{begin: time.Now()}
	running, stop := context.WithTimeout(ctx, runFor)
	defer stop()
	var working sync.WaitGroup
	for id := range clients {
		a := open(connect(t, c))
		working.Go(func() { work(running, id, a, history) })
	}
	disturb(t, c, admin, open(admin))
	working.Wait()
	history.describe(t)
	result, info := porcupine.CheckOperationsVerbose(register, history.ops, checkFor)
	if result != porcupine.Ok {
		page, err := os.CreateTemp("", "history-*.html")
		require.NoError(t, err)
		require.NoError(t, errors.Join(porcupine.Visualize(register, info, page), page.Close()))
		t.Fatalf("%s; see %s", result, page.Name())
	}
}

func connect(t *testing.T, c *node.Cluster) *kvclient.Client {
	client := kvclient.New(c.Placement(), c.Dialer(), kvclient.Options{})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// waitReplicas returns when the first region has three voters: from then on it survives the loss of a store.
func waitReplicas(t *testing.T, c *node.Cluster) {
	require.Eventually(t, func() bool {
		region, _, err := c.Placement().Region(context.Background(), nil)
		if err != nil || len(region.Peers) < 3 {
			return false
		}
		for _, p := range region.Peers {
			if p.Role != 0 {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond)
}

// disturb splits between all keys, and takes the first store away half-way, with the leaders that it has.
func disturb(t *testing.T, c *node.Cluster, admin *kvclient.Client, a api) {
	pause := time.NewTicker(runFor / (2 * keys))
	defer pause.Stop()
	for i := range keys {
		<-pause.C
		require.NoError(t, admin.Split(context.Background(), [][]byte{a.key(i)}))
	}
	require.NoError(t, c.Stores()[0].Close())
}

// work does random operations until ctx is done. Every value is written once, so that a read tells which write it saw.
func work(ctx context.Context, id int, a api, history *recorder) {
	rng := rand.New(rand.NewPCG(uint64(id), 7))
	seen := make([]string, keys) // what this client believes the keys have
	turn := time.NewTicker(pace)
	defer turn.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-turn.C
		in := input{kind: kind(rng.IntN(4)), key: rng.IntN(keys), value: fmt.Sprintf("%d.%d", id, n)}
		if in.kind == remove && rng.IntN(3) > 0 {
			in.kind = swap
		}
		in.expect = seen[in.key]
		history.record(id, in, func() output {
			out := a.do(context.WithoutCancel(ctx), in)
			seen[in.key] = out.value
			if in.kind == write || out.swapped {
				seen[in.key] = in.value
			}
			return out
		})
	}
}

// rawAPI uses raw requests that are ordered with compare-and-swap.
type rawAPI struct{ c *kvclient.Client }

func (rawAPI) key(i int) []byte { return fmt.Appendf(nil, "r\x00\x00\x00register/%d", i) }

func (a rawAPI) do(ctx context.Context, in input) (out output) {
	err := a.c.Do(ctx, a.key(in.key), func(st kvclient.Store, rpc *kvrpcpb.Context) (*errorpb.Error, error) {
		rpc.ApiVersion = kvrpcpb.APIVersion_V2
		var pb *errorpb.Error
		var err error
		pb, out, err = a.request(ctx, st.(*kvservice.Service), rpc, in)
		if out.unknown = errors.Is(err, storage.ErrUndetermined); out.unknown {
			err = nil // trying again might do it twice
		}
		return pb, err
	})
	out.unknown = out.unknown || err != nil
	return out
}

func (a rawAPI) request(ctx context.Context, st *kvservice.Service, rpc *kvrpcpb.Context, in input) (*errorpb.Error, output, error) {
	key := a.key(in.key)
	switch in.kind {
	case read:
		resp, err := st.RawGet(ctx, &kvrpcpb.RawGetRequest{Context: rpc, Key: key})
		return resp.GetRegionError(), output{value: string(resp.GetValue())}, err
	case write:
		resp, err := st.RawPut(ctx, &kvrpcpb.RawPutRequest{Context: rpc, Key: key, Value: []byte(in.value), ForCas: true})
		return resp.GetRegionError(), output{}, err
	case remove:
		resp, err := st.RawDelete(ctx, &kvrpcpb.RawDeleteRequest{Context: rpc, Key: key, ForCas: true})
		return resp.GetRegionError(), output{}, err
	}
	resp, err := st.RawCompareAndSwap(ctx, &kvrpcpb.RawCASRequest{
		Context: rpc, Key: key, Value: []byte(in.value), PreviousValue: []byte(in.expect), PreviousNotExist: in.expect == "",
	})
	return resp.GetRegionError(), output{value: string(resp.GetPreviousValue()), swapped: resp.GetSucceed()}, err
}

// txnAPI uses a transaction of its own for each operation.
type txnAPI struct{ c *kvclient.Client }

func (txnAPI) key(i int) []byte { return fmt.Appendf(nil, "register/%d", i) }

func (a txnAPI) do(ctx context.Context, in input) output {
	for {
		out, err := a.try(ctx, in)
		var conflict *kvclient.WriteConflictError
		switch {
		case err == nil:
			return out
		case !errors.As(err, &conflict): // which has written nothing
			return output{unknown: true}
		}
	}
}

func (a txnAPI) try(ctx context.Context, in input) (out output, err error) {
	txn, err := a.c.Begin(ctx)
	if err != nil {
		return out, err
	}
	key := a.key(in.key)
	if in.kind == read || in.kind == swap {
		found, err := txn.Get(ctx, key)
		if out.value = string(found); err != nil || in.kind == read || out.value != in.expect {
			return out, err
		}
	}
	if in.kind == remove {
		err = txn.Delete(key)
	} else {
		err = txn.Set(key, []byte(in.value))
	}
	if err == nil {
		err = txn.Commit(ctx)
	}
	out.swapped = in.kind == swap && err == nil
	return out, err
}
