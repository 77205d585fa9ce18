package clientsuite

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/rawkv"
	"github.com/tikv/client-go/v2/txnkv"
	"github.com/tikv/client-go/v2/util"
)

// RunTTL tests a cluster of raw keys that may expire, with clients that call themselves V1 and V1TTL.
func RunTTL(t *testing.T, v Version) {
	cluster := Start(t, "--stores", "3", "--enable-ttl")
	for _, api := range []kvrpcpb.APIVersion{kvrpcpb.APIVersion_V1TTL, kvrpcpb.APIVersion_V1} {
		s := connect(t, v, cluster, api, "")
		t.Run(api.String(), func(t *testing.T) {
			s.run(t, []test{
				{"Raw", s.rawCalls},
				{"RawCompareAndSwap", s.rawCompareAndSwap},
				{"RawTTL", s.rawTTL},
				{"WrongVersion", s.wrongVersion(kvrpcpb.APIVersion_V2)},
			})
		})
	}
	txn, err := txnkv.NewClient([]string{cluster.PD})
	require.NoError(t, err)
	defer func() { require.NoError(t, txn.Close()) }()
	begun, err := txn.Begin()
	require.NoError(t, err)
	_, err = begun.Get(ctx, []byte("k"))
	require.ErrorContains(t, err, "Api version in request does not match")
}

// RunKeyspaces tests a cluster of API version 2: raw, transactional and SQL data of several tenants side by side.
func RunKeyspaces(t *testing.T, v Version) {
	util.EnableFailpoints()
	config := filepath.Join(t.TempDir(), "scree.toml")
	require.NoError(t, os.WriteFile(config, []byte("stores = 3\n[storage]\napi-version = 2\n[pd]\nkeyspaces = [\"one\", \"two\"]\n"), 0o600))
	cluster := Start(t, "--config", config)
	one, two := connect(t, v, cluster, kvrpcpb.APIVersion_V2, "one"), connect(t, v, cluster, kvrpcpb.APIVersion_V2, "two")
	two.put(t, "bystander", "two")
	require.NoError(t, two.raw.Put(ctx, []byte("bystander"), []byte("raw two")))
	one.run(t, []test{
		{"Transactions", one.transactions},
		{"Scans", one.scans},
		{"Conflicts", one.conflicts},
		{"Insert", one.insert},
		{"Bank", one.bank},
		{"PessimisticLocks", one.pessimisticLocks},
		{"Deadlock", one.deadlock},
		{"DeadClients", one.deadClients},
		{"Split", one.split},
		{"ReplicaReads", one.replicaReads},
		{"ReadsOfFollowersBind", one.readsOfFollowersBind},
		{"DeleteRange", one.deleteRange},
		{"Raw", one.rawCalls},
		{"RawCompareAndSwap", one.rawCompareAndSwap},
		{"RawApart", one.rawApart},
		{"RawTTL", one.rawTTL},
		{"KeyspacesApart", func(t *testing.T) { one.apart(t, two) }},
		{"BesideTables", one.besideTables},
		{"WrongVersion", one.wrongVersion(kvrpcpb.APIVersion_V1)},
	})
	_, err := rawkv.NewClientWithOpts(ctx, []string{cluster.PD}, rawkv.WithAPIVersion(kvrpcpb.APIVersion_V2), rawkv.WithKeyspace("three"))
	require.ErrorContains(t, err, "does not exist")
}

// rawTTL: pairs with a time to live are gone when it is up, for every kind of read and for compare-and-swap.
func (s *suite) rawTTL(t *testing.T) {
	keys := [][]byte{[]byte("ttl/a"), []byte("ttl/b"), []byte("ttl/c")}
	require.NoError(t, s.raw.BatchPutWithTTL(ctx, keys, [][]byte{[]byte("1"), []byte("2"), []byte("3")}, []uint64{1, 0, 1000}))
	ttl, err := s.raw.GetKeyTTL(ctx, keys[2])
	require.NoError(t, err)
	require.InDelta(t, 995, *ttl, 5)
	ttl, err = s.raw.GetKeyTTL(ctx, keys[1])
	require.NoError(t, err)
	require.Zero(t, *ttl, "for ever")
	deadline := time.Now().Add(patience)
	for gone := false; !gone; { // the store's clock decides when
		require.Less(t, time.Now(), deadline)
		v, err := s.raw.Get(ctx, keys[0])
		require.NoError(t, err)
		gone = v == nil
	}
	ttl, err = s.raw.GetKeyTTL(ctx, keys[0])
	require.NoError(t, err)
	require.Nil(t, ttl)
	got, err := s.raw.BatchGet(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, [][]byte{nil, []byte("2"), []byte("3")}, got)
	found, _, err := s.raw.Scan(ctx, []byte("ttl/"), []byte("ttl0"), 10)
	require.NoError(t, err)
	require.Equal(t, keys[1:], found)
	before, ok, err := s.newRaw(t).SetAtomicForCAS(true).CompareAndSwap(ctx, keys[0], nil, []byte("4"))
	require.NoError(t, err)
	require.True(t, ok)
	require.Nil(t, before)
	require.NoError(t, s.raw.PutWithTTL(ctx, keys[1], []byte("5"), 500))
	ttl, err = s.raw.GetKeyTTL(ctx, keys[1])
	require.NoError(t, err)
	require.InDelta(t, 495, *ttl, 5)
	require.NoError(t, s.raw.DeleteRange(ctx, []byte("ttl/"), []byte("ttl0")))
}

// wrongVersion: a client of another version is told, at once.
func (s *suite) wrongVersion(api kvrpcpb.APIVersion) func(*testing.T) {
	return func(t *testing.T) {
		other := *s
		other.api, other.keyspace = api, ""
		raw := other.newRaw(t)
		const text = "Api version in request does not match"
		require.ErrorContains(t, raw.Put(ctx, []byte("k"), []byte("v")), text)
		_, err := raw.Get(ctx, []byte("k"))
		require.ErrorContains(t, err, text)
		if api != kvrpcpb.APIVersion_V1 {
			return
		}
		txn, err := txnkv.NewClient([]string{s.cluster.PD})
		require.NoError(t, err)
		defer func() { require.NoError(t, txn.Close()) }()
		begun, err := txn.Begin()
		require.NoError(t, err)
		_, err = begun.Get(ctx, []byte("k"))
		require.ErrorContains(t, err, "Key mode mismatched", "V1 is for keys of tables here")
	}
}

// apart: keyspaces do not see one another, nor raw keys transactional ones.
func (s *suite) apart(t *testing.T, other *suite) {
	s.put(t, "bystander", "one")
	v, err := s.raw.Get(ctx, []byte("bystander"))
	require.NoError(t, err)
	require.Nil(t, v)
	require.Equal(t, "two", other.get(t, "bystander"))
	it, err := other.begin(t).Iter(nil, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"bystander=two"}, drain(t, it, ""), "what the other keyspace's tests have left is not here")
	keys, values, err := other.raw.Scan(ctx, nil, nil, 10)
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("bystander")}, keys)
	require.Equal(t, [][]byte{[]byte("raw two")}, values)
}

// besideTables: SQL works in the same cluster.
func (s *suite) besideTables(t *testing.T) {
	db := s.open(t)
	mustExec(t, db, "CREATE TABLE beside (id BIGINT PRIMARY KEY)", "INSERT INTO beside VALUES (1), (2)", "DELETE FROM beside WHERE id = 1")
	var n int
	require.NoError(t, db.QueryRow("SELECT SUM(id) FROM beside").Scan(&n))
	require.Equal(t, 2, n)
}
