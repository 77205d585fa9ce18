package kvservice_test

import (
	"context"
	"fmt"
	"testing"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/server/kvservice"
	"github.com/scree-db/scree/storage/storagetest"
)

const (
	v1    = kvrpcpb.APIVersion_V1
	v1ttl = kvrpcpb.APIVersion_V1TTL
	v2    = kvrpcpb.APIVersion_V2
)

// Which requests a store takes, by its API version, theirs, and the key.
func TestAPIVersions(t *testing.T) {
	for _, c := range []struct {
		store, request kvrpcpb.APIVersion
		key            string
		txn, raw       bool // are taken
	}{
		{v1, v1, "a", true, true},
		{v1, v1ttl, "a", false, false},
		{v1, v2, "x\x00\x00\x00a", false, false},
		{v1ttl, v1, "a", false, true},
		{v1ttl, v1ttl, "a", false, true},
		{v1ttl, v2, "r\x00\x00\x00a", false, false},
		{v2, v1, "a", false, false},
		{v2, v1, "t80", true, false},
		{v2, v1, "mDB", true, false},
		{v2, v2, "x\x00\x00\x00a", true, false},
		{v2, v2, "r\x00\x00\x00a", false, true},
		{v2, v2, "t80", false, false},
		{v2, v1ttl, "r\x00\x00\x00a", false, false},
	} {
		t.Run(fmt.Sprintf("%s store, %s request, key %q", c.store, c.request, c.key), func(t *testing.T) {
			s, _ := newServiceOf(t, c.store)
			for name, refusal := range transactionalCalls(t, s, c.request, []byte(c.key)) {
				require.Equal(t, c.txn, refusal == "", "%s: %s", name, refusal)
			}
			pb := storagetest.Context()
			pb.ApiVersion = c.request
			put, err := s.RawPut(context.Background(), &kvrpcpb.RawPutRequest{Context: pb, Key: []byte(c.key), Value: []byte("1")})
			require.NoError(t, err)
			require.Equal(t, c.raw, put.Error == "", put.Error)
		})
	}
}

// transactionalCalls makes one of each kind that looks at keys, and returns what each was refused with.
func transactionalCalls(t *testing.T, s *kvservice.Service, api kvrpcpb.APIVersion, key []byte) map[string]string {
	ctx, pb := context.Background(), storagetest.Context()
	pb.ApiVersion = api
	get, err := s.KvGet(ctx, &kvrpcpb.GetRequest{Context: pb, Key: key, Version: 5})
	require.NoError(t, err)
	batch, err := s.KvBatchGet(ctx, &kvrpcpb.BatchGetRequest{Context: pb, Keys: [][]byte{key}, Version: 5})
	require.NoError(t, err)
	scan, err := s.KvScan(ctx, &kvrpcpb.ScanRequest{Context: pb, StartKey: key, EndKey: []byte{key[0] + 1}, Limit: 5, Version: 5})
	require.NoError(t, err)
	down, err := s.KvScan(ctx, &kvrpcpb.ScanRequest{Context: pb, EndKey: key, StartKey: append(key[:1:1], 0xff), Limit: 5, Version: 5, Reverse: true})
	require.NoError(t, err)
	mutations := []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key, Value: []byte("v")}}
	prewrite, err := s.KvPrewrite(ctx, &kvrpcpb.PrewriteRequest{Context: pb, PrimaryLock: key, StartVersion: 10, LockTtl: 3000, Mutations: mutations})
	require.NoError(t, err)
	commit, err := s.KvCommit(ctx, &kvrpcpb.CommitRequest{Context: pb, StartVersion: 10, CommitVersion: 11, Keys: [][]byte{key}})
	require.NoError(t, err)
	lock, err := s.KvPessimisticLock(ctx, &kvrpcpb.PessimisticLockRequest{
		Context: pb, PrimaryLock: key, StartVersion: 20, ForUpdateTs: 20, LockTtl: 1,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_PessimisticLock, Key: key}},
	})
	require.NoError(t, err)
	calls := map[string]string{
		"get": get.Error.GetAbort(), "batch get": batch.Error.GetAbort(), "scan": scan.Error.GetAbort(), "reverse scan": down.Error.GetAbort(),
		"prewrite": "", "lock": "",
	}
	if len(prewrite.Errors) > 0 {
		calls["prewrite"] = prewrite.Errors[0].GetAbort()
	} else {
		require.Nil(t, commit.Error)
	}
	if len(lock.Errors) > 0 {
		calls["lock"] = lock.Errors[0].GetAbort()
	}
	return calls
}

// A pushed query of another version is refused in its response, and what has no room for a text fails.
func TestAPIVersionElsewhere(t *testing.T) {
	s, _ := newService(t)
	pb := storagetest.Context()
	pb.ApiVersion = v2
	resp, err := s.Coprocessor(context.Background(), &copb.Request{Context: pb})
	require.NoError(t, err)
	require.Contains(t, resp.OtherError, "Api version in request does not match")
	_, err = s.MvccGetByStartTs(context.Background(), &kvrpcpb.MvccGetByStartTsRequest{Context: pb})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}
