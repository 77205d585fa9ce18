package pd_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/pingcap/kvproto/pkg/keyspacepb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/pd"
)

func names(spaces []*keyspacepb.KeyspaceMeta) (out []string) {
	for _, k := range spaces {
		out = append(out, k.Name)
	}
	return out
}

// Keyspaces are made once, keep their ids, and stay when the configuration forgets them.
func TestKeyspacesStay(t *testing.T) {
	ctx, state, c := context.Background(), pd.NewMemoryState(), new(clock)
	open := func(keyspaces ...string) (*pd.Core, error) {
		return pd.NewCore(ctx, pd.Config{Keyspaces: keyspaces}, state, c.now, rand.New(rand.NewPCG(1, 1)))
	}
	core, err := open()
	require.NoError(t, err)
	require.Equal(t, []string{"DEFAULT"}, names(core.Keyspaces(0, 0)))
	_, err = open("two", "one")
	require.NoError(t, err)
	core, err = open("three", "one")
	require.NoError(t, err)
	require.Equal(t, []string{"DEFAULT", "two", "one", "three"}, names(core.Keyspaces(0, 0)))
	require.Equal(t, []string{"two", "one"}, names(core.Keyspaces(1, 2)))
	one, err := core.Keyspace("one")
	require.NoError(t, err)
	require.EqualValues(t, 2, one.GetId())
	_, err = open("no spaces")
	require.ErrorContains(t, err, "no spaces")
}

// The service finds keyspaces, moves them from state to state, and tells watchers.
func TestKeyspaceService(t *testing.T) {
	ctx := context.Background()
	s, err := pd.Start(ctx, pd.Options{
		Config: pd.Config{Keyspaces: []string{"app"}}, Dir: t.TempDir(), ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0",
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	client := keyspacepb.NewKeyspaceClient(dial(t, s))
	h := &pdpb.RequestHeader{ClusterId: s.Core().ClusterID()}
	watch, err := client.WatchKeyspaces(ctx, &keyspacepb.WatchKeyspacesRequest{Header: h})
	require.NoError(t, err)
	seen, err := watch.Recv()
	require.NoError(t, err)
	require.Equal(t, []string{"DEFAULT", "app"}, names(seen.Keyspaces))

	app, err := client.LoadKeyspace(ctx, &keyspacepb.LoadKeyspaceRequest{Header: h, Name: "app"})
	require.NoError(t, err)
	require.Equal(t, keyspacepb.KeyspaceState_ENABLED, app.Keyspace.State)
	byID, err := client.LoadKeyspaceByID(ctx, &keyspacepb.LoadKeyspaceByIDRequest{
		Header: h, Keyspace: &keyspacepb.LoadKeyspaceByIDRequest_Id{Id: app.Keyspace.GetId()},
	})
	require.NoError(t, err)
	require.Equal(t, "app", byID.Keyspace.Name)
	none, err := client.LoadKeyspace(ctx, &keyspacepb.LoadKeyspaceRequest{Header: h, Name: "none"})
	require.NoError(t, err)
	require.Equal(t, pdpb.ErrorType_ENTRY_NOT_FOUND, none.Header.Error.Type)

	set := func(id uint32, state keyspacepb.KeyspaceState) *pdpb.Error {
		resp, err := client.UpdateKeyspaceState(ctx, &keyspacepb.UpdateKeyspaceStateRequest{
			Header: h, Keyspace: &keyspacepb.UpdateKeyspaceStateRequest_Id{Id: id}, State: state,
		})
		require.NoError(t, err)
		return resp.Header.Error
	}
	require.NotNil(t, set(1, keyspacepb.KeyspaceState_TOMBSTONE), "it is enabled")
	require.NotNil(t, set(0, keyspacepb.KeyspaceState_DISABLED), "it is the default one")
	require.NotNil(t, set(7, keyspacepb.KeyspaceState_DISABLED), "there is none")
	require.Nil(t, set(1, keyspacepb.KeyspaceState_DISABLED))
	seen, err = watch.Recv()
	require.NoError(t, err)
	require.Equal(t, []string{"app"}, names(seen.Keyspaces))
	require.Equal(t, keyspacepb.KeyspaceState_DISABLED, seen.Keyspaces[0].State)
	_, err = client.GetAllKeyspaces(ctx, &keyspacepb.GetAllKeyspacesRequest{Header: &pdpb.RequestHeader{ClusterId: 1}})
	require.ErrorContains(t, err, "mismatch cluster id")
}
