// Package clientsuite runs TiKV's own Go client against a playground, as a stranger builds and uses it. The modules
// client-2023 and client-2024 beside it each pin a version of the client and call its Run functions; where versions differ
// in their API, the Version says how.
package clientsuite

import (
	"context"
	"fmt"
	"testing"

	"github.com/pingcap/failpoint"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/rawkv"
	"github.com/tikv/client-go/v2/txnkv"
	"github.com/tikv/client-go/v2/txnkv/transaction"
	"github.com/tikv/client-go/v2/util"
)

// Txn is a transaction of the client.
type Txn = transaction.KVTxn

// Iterator is what a scan of the client returns.
type Iterator interface {
	Valid() bool
	Key() []byte
	Value() []byte
	Next() error
	Close()
}

// Version is where one version of the client differs from another.
type Version struct {
	// Reverse iterates downwards from below upper to lower. A version that has no lower bound goes on to the first key.
	Reverse func(txn *Txn, upper, lower []byte) (Iterator, error)
	// BeginPipelined starts a transaction that flushes what it writes, Flush has it do so now, in the background, and
	// FlushWait waits for it. nil: the version has none.
	BeginPipelined   func(c *txnkv.Client) (*Txn, error)
	Flush, FlushWait func(txn *Txn) error
}

// suite is what every test needs.
type suite struct {
	Version
	cluster  *Playground
	api      kvrpcpb.APIVersion
	keyspace string
	txn      *txnkv.Client // nil if the API version has no transactions
	raw      *rawkv.Client
}

// ctx carries a session id, without which the client ignores its failpoints.
var ctx = context.WithValue(context.Background(), util.SessionID, uint64(1))

// Run tests everything on one playground of three stores.
func Run(t *testing.T, v Version) {
	util.EnableFailpoints()
	s := connect(t, v, Start(t, "--stores", "3"), kvrpcpb.APIVersion_V1, "")
	s.run(t, []test{
		{"Transactions", s.transactions},
		{"Scans", s.scans},
		{"Conflicts", s.conflicts},
		{"Insert", s.insert},
		{"Bank", s.bank},
		{"PessimisticLocks", s.pessimisticLocks},
		{"Deadlock", s.deadlock},
		{"DeadClients", s.deadClients},
		{"DeadPessimisticClient", s.deadPessimisticClient},
		{"LargeTransaction", s.largeTransaction},
		{"Pipelined", s.pipelined},
		{"Split", s.split},
		{"ReplicaReads", s.replicaReads},
		{"ReadsOfFollowersBind", s.readsOfFollowersBind},
		{"DeleteRange", s.deleteRange},
		{"Raw", s.rawCalls},
		{"RawCompareAndSwap", s.rawCompareAndSwap},
		{"RawApart", s.rawApart},
		{"RawFamilies", s.rawFamilies},
		{"RawRefusals", s.rawRefusals},
		{"RowsOfTables", s.rowsOfTables},
		{"DeadClientOnATable", s.deadClientOnATable},
		{"Mixed", s.mixed},
		{"GC", s.gc},
	})
}

type test struct {
	name string
	run  func(*testing.T)
}

func (s *suite) run(t *testing.T, tests []test) {
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// connect opens clients of an API version and, for V2, a keyspace; the test's end closes them.
func connect(t *testing.T, v Version, cluster *Playground, api kvrpcpb.APIVersion, keyspace string) *suite {
	s := &suite{Version: v, cluster: cluster, api: api, keyspace: keyspace}
	var err error
	if api != kvrpcpb.APIVersion_V1TTL {
		s.txn, err = txnkv.NewClient([]string{cluster.PD}, txnkv.WithAPIVersion(api), txnkv.WithKeyspace(keyspace))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.txn.Close()) })
	}
	s.raw = s.newRaw(t)
	return s
}

// newRaw opens another raw client.
func (s *suite) newRaw(t *testing.T) *rawkv.Client {
	raw, err := rawkv.NewClientWithOpts(ctx, []string{s.cluster.PD}, rawkv.WithAPIVersion(s.api), rawkv.WithKeyspace(s.keyspace))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	return raw
}

// enable switches failpoints of the client on until undo, or the end of the test.
func enable(t *testing.T, points map[string]string) (undo func()) {
	t.Helper()
	on := true
	undo = func() {
		if !on {
			return
		}
		on = false
		for name := range points {
			require.NoError(t, failpoint.Disable("tikvclient/"+name))
		}
	}
	for name, term := range points {
		require.NoError(t, failpoint.Enable("tikvclient/"+name, term))
	}
	t.Cleanup(undo)
	return undo
}

func key(format string, args ...any) []byte { return fmt.Appendf(nil, format, args...) }

func (s *suite) begin(t require.TestingT) *Txn {
	txn, err := s.txn.Begin()
	require.NoError(t, err)
	return txn
}

// put commits pairs of key and value in one transaction.
func (s *suite) put(t require.TestingT, pairs ...string) {
	txn := s.begin(t)
	for i := 0; i < len(pairs); i += 2 {
		require.NoError(t, txn.Set([]byte(pairs[i]), []byte(pairs[i+1])))
	}
	require.NoError(t, txn.Commit(ctx))
}

// get reads a key in a transaction of its own; "" is no value.
func (s *suite) get(t require.TestingT, key string) string {
	found, err := s.begin(t).BatchGet(ctx, [][]byte{[]byte(key)})
	require.NoError(t, err)
	return string(found[key])
}

// drain reads an iterator to its end, or to the first key below lower.
func drain(t require.TestingT, it Iterator, lower string) (pairs []string) {
	defer it.Close()
	for it.Valid() && string(it.Key()) >= lower {
		pairs = append(pairs, string(it.Key())+"="+string(it.Value()))
		require.NoError(t, it.Next())
	}
	return pairs
}
