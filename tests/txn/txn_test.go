// Package txn runs the transaction client against whole clusters: commits of one and two phases, conflicts, clients that
// die between prewrite and commit, regions that split under way, and a bank whose sum must not change.
package txn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

func start(t *testing.T, stores int) *kvclient.Client { return connect(t, startCluster(t, stores)) }

func startCluster(t *testing.T, stores int) *node.Cluster {
	ctx := context.Background()
	c, err := node.StartCluster(ctx, node.ClusterOptions{Dir: t.TempDir(), Stores: stores})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.WaitReady(ctx))
	return c
}

func connect(t *testing.T, c *node.Cluster) *kvclient.Client {
	client := kvclient.New(c.Placement(), c.Dialer(), kvclient.Options{})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func begin(t require.TestingT, c *kvclient.Client) *kvclient.Txn {
	txn, err := c.Begin(context.Background())
	require.NoError(t, err)
	return txn
}

func put(t require.TestingT, c *kvclient.Client, pairs ...string) {
	txn := begin(t, c)
	for i := 0; i < len(pairs); i += 2 {
		require.NoError(t, txn.Set([]byte(pairs[i]), []byte(pairs[i+1])))
	}
	require.NoError(t, txn.Commit(context.Background()))
}

func get(t require.TestingT, c *kvclient.Client, key string) string {
	v, err := begin(t, c).Get(context.Background(), []byte(key))
	require.NoError(t, err)
	return string(v)
}

func scan(t require.TestingT, txn *kvclient.Txn, start, end string, reverse bool) (out []string) {
	it := txn.Scan(context.Background(), kvclient.KeyRange{Start: []byte(start), End: []byte(end)}, reverse)
	defer it.Close()
	for {
		k, v, ok, err := it.Next()
		require.NoError(t, err)
		if !ok {
			return out
		}
		out = append(out, string(k)+"="+string(v))
	}
}

func TestReadYourCommits(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	put(t, c, "a", "1", "b", "2", "c", "3") // one phase
	require.NoError(t, c.Split(ctx, [][]byte{[]byte("b"), []byte("c")}))
	before := begin(t, c)
	put(t, c, "a", "10", "b", "20", "c", "30") // two phases, three regions

	require.Equal(t, []string{"a=1", "b=2", "c=3"}, scan(t, before, "a", "z", false), "a snapshot does not move")
	after := begin(t, c)
	require.Equal(t, []string{"a=10", "b=20", "c=30"}, scan(t, after, "a", "", false))
	require.Equal(t, []string{"c=30", "b=20", "a=10"}, scan(t, after, "a", "", true))
	got, err := after.BatchGet(ctx, [][]byte{[]byte("c"), []byte("x"), []byte("a")})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"a": []byte("10"), "c": []byte("30")}, got)

	require.NoError(t, c.DeleteRange(ctx, kvclient.KeyRange{Start: []byte("a"), End: []byte("c")}))
	require.Equal(t, []string{"c=30"}, scan(t, begin(t, c), "a", "z", false))
}

func TestConflicts(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	put(t, c, "k", "0")
	first, second := begin(t, c), begin(t, c)
	require.NoError(t, first.Set([]byte("k"), []byte("1")))
	require.NoError(t, second.Set([]byte("k"), []byte("2")))
	require.NoError(t, first.Commit(ctx))
	var conflict *kvclient.WriteConflictError
	require.ErrorAs(t, second.Commit(ctx), &conflict)
	require.Equal(t, "1", get(t, c, "k"))

	third := begin(t, c)
	require.NoError(t, third.Insert([]byte("k"), []byte("3")))
	require.NoError(t, third.Set([]byte("other"), []byte("3")))
	var exists *kvclient.KeyExistsError
	require.ErrorAs(t, third.Commit(ctx), &exists)
	require.Equal(t, "k", string(exists.Key))
	require.Empty(t, get(t, c, "other"), "nothing of a refused transaction is written")
}

// TestClientDies prewrites by hand and goes away: whoever meets the locks rolls the transaction back if its primary was
// not committed, and commits it if it was.
func TestClientDies(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("primary committed %v", committed), func(t *testing.T) {
			ctx, c := context.Background(), start(t, 1)
			put(t, c, "p", "old", "s", "old")
			require.NoError(t, c.Split(ctx, [][]byte{[]byte("q")}))
			startTS, err := c.TS(ctx)
			require.NoError(t, err)
			prewrite := func(key string) {
				require.NoError(t, c.Do(ctx, []byte(key), func(st kvclient.Store, rpc *kvrpcpb.Context) (*errorpb.Error, error) {
					resp, err := st.KvPrewrite(ctx, &kvrpcpb.PrewriteRequest{Context: rpc, PrimaryLock: []byte("p"), StartVersion: startTS, LockTtl: 1, TxnSize: 2,
						Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte("new")}}})
					require.Empty(t, resp.GetErrors())
					return resp.GetRegionError(), err
				}))
			}
			prewrite("p")
			prewrite("s")
			want := "old"
			if committed {
				want = "new"
				commitTS, err := c.TS(ctx)
				require.NoError(t, err)
				require.NoError(t, c.Do(ctx, []byte("p"), func(st kvclient.Store, rpc *kvrpcpb.Context) (*errorpb.Error, error) {
					resp, err := st.KvCommit(ctx, &kvrpcpb.CommitRequest{Context: rpc, StartVersion: startTS, Keys: [][]byte{[]byte("p")}, CommitVersion: commitTS})
					require.Nil(t, resp.GetError())
					return resp.GetRegionError(), err
				}))
			}
			require.Equal(t, want, get(t, c, "s"))
			require.Equal(t, want, get(t, c, "p"))
			put(t, c, "s", "later")
			require.Equal(t, "later", get(t, c, "s"))
		})
	}
}

// TestBank moves money between accounts in concurrent transactions while regions split; every snapshot sees the same sum.
func TestBank(t *testing.T) {
	for _, stores := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d stores", stores), func(t *testing.T) { bank(t, start(t, stores)) })
	}
}

const (
	accounts = 12
	balance  = 100
)

func account(i int) string { return fmt.Sprintf("acct%02d", i) }

func bank(t *testing.T, c *kvclient.Client) {
	ctx := context.Background()
	var pairs []string
	for i := range accounts {
		pairs = append(pairs, account(i), strconv.Itoa(balance))
	}
	put(t, c, pairs...)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 25 {
				transfer(t, c, (w*7+i)%accounts, (w+i*5+1)%accounts)
			}
		}()
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := 1; i < accounts; i += 3 {
			require.NoError(t, c.Split(ctx, [][]byte{[]byte(account(i))}))
			checkSum(t, c)
		}
	}()
	for range 20 {
		checkSum(t, c)
	}
	wg.Wait()
	checkSum(t, c)
}

// transfer moves money in one transaction after the other until one is committed.
func transfer(t require.TestingT, c *kvclient.Client, from, to int) {
	if from == to {
		return
	}
	for {
		err := tryTransfer(context.Background(), c, from, to)
		var conflict *kvclient.WriteConflictError
		if errors.As(err, &conflict) {
			continue
		}
		require.NoError(t, err)
		return
	}
}

func tryTransfer(ctx context.Context, c *kvclient.Client, from, to int) error {
	txn, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	for i, delta := range map[int]int{from: -1, to: 1} {
		v, err := txn.Get(ctx, []byte(account(i)))
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(v))
		if err != nil {
			return err
		}
		if err := txn.Set([]byte(account(i)), []byte(strconv.Itoa(n+delta))); err != nil {
			return err
		}
	}
	return txn.Commit(ctx)
}

// TestBankOfMortals: the sum stays the same while clients die in the middle of transfers.
func TestBankOfMortals(t *testing.T) {
	cluster := startCluster(t, 3)
	c := connect(t, cluster)
	var pairs []string
	for i := range accounts {
		pairs = append(pairs, account(i), strconv.Itoa(balance))
	}
	put(t, c, pairs...)
	require.NoError(t, c.Split(context.Background(), keys(account(accounts/3), account(accounts/2))))
	deaths := map[string]int{}
	for life := range 36 {
		m := newMortal(cluster, uint64(life), life%12, deaths)
		for i := 0; m.ctx.Err() == nil; i++ {
			if from, to := (life+i)%accounts, (life*5+i*7+1)%accounts; from != to {
				_ = tryTransfer(m.ctx, m.Client, from, to) // it fails in all ways, at the latest by death
			}
		}
		require.NoError(t, m.Close())
		checkSum(t, c)
	}
	require.NotEmpty(t, deaths)
}

func checkSum(t require.TestingT, c *kvclient.Client) {
	sum := 0
	for _, pair := range scan(t, begin(t, c), "acct", "accu", false) {
		n, err := strconv.Atoi(pair[len("acct00="):])
		require.NoError(t, err)
		sum += n
	}
	require.Equal(t, accounts*balance, sum)
}
