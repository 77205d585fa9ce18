package node_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/transport"
)

// Point gets through gRPC, alone and beside queries that scan the whole table all the time: what the ninety-ninth of a
// hundred takes.
func BenchmarkPointGets(b *testing.B) {
	const rows, getters, queries = 200_000, 4, 2
	ctx := context.Background()
	c, err := node.StartCluster(ctx, node.ClusterOptions{Dir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, c.Close()) }()
	require.NoError(b, c.WaitReady(ctx))
	conn, err := transport.Dial(c.Stores()[0].Addr())
	require.NoError(b, err)
	defer conn.Close()
	client := tikvpb.NewTikvClient(conn)
	region, _, err := c.Placement().Region(ctx, nil)
	require.NoError(b, err)
	pb := &kvrpcpb.Context{RegionId: region.Id, RegionEpoch: region.RegionEpoch, Peer: region.Peers[0]}
	fillTable(b, client, pb, rows)
	ts, err := c.Placement().TS(ctx)
	require.NoError(b, err)

	get := func(i int) {
		resp, err := client.KvGet(ctx, &kvrpcpb.GetRequest{Context: pb, Key: rowKey(int64(i*7919) % rows), Version: ts})
		if err != nil || len(resp.Value) == 0 {
			b.Errorf("%v %v", err, resp)
		}
	}
	alone := percentile99(b.N, getters, get)
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range queries {
		running.Add(1)
		go func() {
			defer running.Done()
			for {
				select {
				case <-stop:
					return
				default:
					countAll(b, client, pb, ts)
				}
			}
		}()
	}
	b.ResetTimer()
	beside := percentile99(b.N, getters, get)
	b.StopTimer()
	close(stop)
	running.Wait()
	b.ReportMetric(float64(alone.Microseconds()), "alone-p99-µs")
	b.ReportMetric(float64(beside.Microseconds()), "beside-p99-µs")
	b.ReportMetric(float64(beside)/float64(alone), "ratio")
}

// percentile99 runs f n times from several goroutines.
func percentile99(n, goroutines int, f func(i int)) time.Duration {
	took := make([]time.Duration, n)
	var running sync.WaitGroup
	for g := range goroutines {
		running.Add(1)
		go func() {
			defer running.Done()
			for i := g; i < n; i += goroutines {
				begin := time.Now()
				f(i)
				took[i] = time.Since(begin)
			}
		}()
	}
	running.Wait()
	slices.Sort(took)
	return took[n*99/100]
}

func fillTable(b *testing.B, client tikvpb.TikvClient, pb *kvrpcpb.Context, rows int) {
	const each = 5000
	for from := 0; from < rows; from += each {
		var enc row.Encoder
		req := &kvrpcpb.PrewriteRequest{Context: pb, PrimaryLock: rowKey(int64(from)), StartVersion: 10, LockTtl: 3000, TryOnePc: true}
		for i := from; i < from+each; i++ {
			enc.Reset()
			enc.AppendBytes(2, fmt.Appendf(nil, "row %d with a text of some length", i))
			val, err := enc.Encode(nil)
			require.NoError(b, err)
			req.Mutations = append(req.Mutations, &kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: rowKey(int64(i)), Value: val})
		}
		resp, err := client.KvPrewrite(context.Background(), req)
		require.NoError(b, err)
		require.Nil(b, resp.RegionError)
		require.Empty(b, resp.Errors)
	}
}

// countAll asks for the number of rows, reading all columns.
func countAll(b *testing.B, client tikvpb.TikvClient, pb *kvrpcpb.Context, ts uint64) {
	dag := scanDAG()
	dag.Executors = append(dag.Executors, &tipb.Executor{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{
		Conditions: []*tipb.Expr{{Tp: tipb.ExprType_ScalarFunc, Sig: tipb.ScalarFuncSig_StringIsNull, FieldType: keyType, Children: []*tipb.Expr{
			{Tp: tipb.ExprType_ColumnRef, Val: []byte{0x80, 0, 0, 0, 0, 0, 0, 1}, FieldType: textType},
		}}},
	}})
	data, err := dag.Marshal()
	if err != nil {
		b.Error(err)
	}
	all := tablekey.RecordRange(tableID)
	resp, err := client.Coprocessor(context.Background(), &copb.Request{
		Context: pb, Tp: 103, StartTs: ts, Data: data, Ranges: []*copb.KeyRange{{Start: all.Start, End: all.End}},
	})
	if err != nil || resp.OtherError != "" || resp.RegionError != nil || resp.Locked != nil {
		b.Errorf("%v %v", err, resp)
	}
}
