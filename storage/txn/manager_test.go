package txn

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage/storagetest"
)

// A follower's read would bind nobody: see RegionOf.
func TestReplicaReadsAreForTheLeader(t *testing.T) {
	pb := storagetest.Context()
	pb.ReplicaRead = true
	require.False(t, RegionOf(pb).ReplicaRead)
	require.Equal(t, RegionOf(storagetest.Context()), RegionOf(pb))
}
