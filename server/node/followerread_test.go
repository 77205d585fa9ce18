package node_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/kvservice"
	"github.com/scree-db/scree/server/node"
)

// replicas are the stores of the region that has all keys, once it has a peer on each of three.
type replicas struct {
	t         *testing.T
	cluster   *node.Cluster
	region    *metapb.Region
	leader    *kvservice.Service
	leadPeer  *metapb.Peer
	followers []*metapb.Peer
}

func awaitReplicas(t *testing.T, c *node.Cluster) *replicas {
	t.Helper()
	r := &replicas{t: t, cluster: c}
	require.Eventually(t, func() bool {
		region, leader, err := c.Placement().Region(context.Background(), nil)
		if err != nil || len(region.GetPeers()) != 3 {
			return false
		}
		r.region, r.leadPeer, r.followers = region, leader, nil
		for _, p := range region.Peers {
			if p.Role != metapb.PeerRole_Voter {
				return false
			}
			if p.Id != leader.GetId() {
				r.followers = append(r.followers, p)
			}
		}
		r.leader = r.service(leader)
		return r.leader != nil && len(r.followers) == 2
	}, limit, 5*time.Millisecond)
	return r
}

func (r *replicas) service(p *metapb.Peer) *kvservice.Service {
	for _, s := range r.cluster.Stores() {
		if s.ID() == p.GetStoreId() {
			return s.Service()
		}
	}
	return nil
}

func (r *replicas) context(p *metapb.Peer) *kvrpcpb.Context {
	return &kvrpcpb.Context{RegionId: r.region.Id, RegionEpoch: r.region.RegionEpoch, Peer: p}
}

func (r *replicas) ts() uint64 {
	ts, err := r.cluster.Placement().TS(context.Background())
	require.NoError(r.t, err)
	return ts
}

// onePhase commits one key at a timestamp that the store chooses.
func (r *replicas) onePhase(key, value string) (commitTS uint64) {
	return r.prewrite(key, value, r.ts(), true).GetOnePcCommitTs()
}

// twoPhases commits one key at a fresh timestamp.
func (r *replicas) twoPhases(key, value string) (commitTS uint64) {
	start := r.ts()
	r.prewrite(key, value, start, false)
	commitTS = r.ts()
	resp, err := r.leader.KvCommit(context.Background(), &kvrpcpb.CommitRequest{
		Context: r.context(r.leadPeer), StartVersion: start, CommitVersion: commitTS, Keys: [][]byte{[]byte(key)},
	})
	if err != nil || resp.RegionError != nil || resp.Error != nil {
		r.t.Errorf("commit: %v, %v", err, resp)
	}
	return commitTS
}

func (r *replicas) prewrite(key, value string, start uint64, onePhase bool) *kvrpcpb.PrewriteResponse {
	resp, err := r.leader.KvPrewrite(context.Background(), &kvrpcpb.PrewriteRequest{
		Context: r.context(r.leadPeer), PrimaryLock: []byte(key), StartVersion: start, LockTtl: 3000, TryOnePc: onePhase,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte(value)}},
	})
	if err != nil || resp.RegionError != nil || len(resp.Errors) > 0 {
		r.t.Errorf("prewrite: %v, %v", err, resp)
	}
	return resp
}

// version is a value that was committed, or seen, at a timestamp.
type version struct {
	ts    uint64
	value string
}

// Reads at followers, at fresh timestamps, while one-phase commits choose theirs at the leader: every read finds what was
// committed at or below its timestamp, so no commit got one below a read that did not see it.
func TestFollowerReadsBind(t *testing.T) {
	c := startCluster(t, t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	r := awaitReplicas(t, c)
	r.check(r.onePhase, func(p *metapb.Peer, key string) (version, bool) {
		pb := r.context(p)
		pb.ReplicaRead = true
		return r.readAt(pb, key, r.ts())
	})
}

// The same for stale reads, at the timestamps that a store says are safe.
func TestStaleReads(t *testing.T) {
	c := startCluster(t, t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	r := awaitReplicas(t, c)
	for name, commit := range map[string]func(key, value string) uint64{"one phase": r.onePhase, "two phases": r.twoPhases} {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.t = t
			r.check(commit, func(p *metapb.Peer, key string) (version, bool) {
				resp, err := r.service(p).GetStoreSafeTS(context.Background(), &kvrpcpb.StoreSafeTSRequest{})
				if err != nil || resp.SafeTs == 0 {
					return version{}, false
				}
				pb := r.context(p)
				pb.StaleRead = true
				return r.readAt(pb, key, resp.SafeTs)
			})
		})
	}
	pb := r.context(r.followers[0])
	pb.StaleRead = true
	resp, err := r.service(pb.Peer).KvGet(context.Background(), &kvrpcpb.GetRequest{Context: pb, Key: []byte("k"), Version: r.ts() + 1<<40})
	require.NoError(t, err)
	require.NotNil(t, resp.RegionError.GetDataIsNotReady(), "a follower does not serve the future")
	require.NotZero(t, resp.RegionError.DataIsNotReady.SafeTs)
	pb.Peer = r.leadPeer
	resp, err = r.leader.KvGet(context.Background(), &kvrpcpb.GetRequest{Context: pb, Key: []byte("key 0"), Version: r.ts()})
	require.NoError(t, err)
	require.NotEmpty(t, resp.Value, "the leader serves what is not safe elsewhere")
}

// check has writers commit one key each while readers look at it, each in turn at one of the region's peers, and then
// compares what was seen at each timestamp with what was committed.
func (r *replicas) check(commit func(key, value string) uint64, read func(p *metapb.Peer, key string) (version, bool)) {
	const writers, rounds, readsEach = 3, 100, 32
	commits, seen := make([][]version, writers), make([][]version, writers)
	var running sync.WaitGroup
	for w := range writers {
		key := fmt.Sprintf("key %d", w)
		first := r.onePhase(key, "first")
		commits[w] = append(commits[w], version{first, "first"})
		begun := make(chan struct{}, 1) // a commit has; some reads go along with it
		running.Add(2)
		go func() {
			defer running.Done()
			defer close(begun)
			for i := range rounds {
				select {
				case begun <- struct{}{}:
				default:
				}
				value := fmt.Sprint(i)
				commits[w] = append(commits[w], version{commit(key, value), value})
			}
		}()
		go func() {
			defer running.Done()
			for range begun {
				for i := range 2 * readsEach {
					if v, ok := read(r.followers[i%2], key); ok && v.ts > first {
						seen[w] = append(seen[w], v)
					}
				}
			}
		}()
	}
	running.Wait()
	for w := range writers {
		require.NotEmpty(r.t, seen[w], "followers serve")
		for _, v := range seen[w] {
			require.Equal(r.t, visible(commits[w], v.ts), v.value, "writer %d at %d", w, v.ts)
		}
	}
}

// readAt reads as pb says; false if a lock is in the way, or the region is not ready.
func (r *replicas) readAt(pb *kvrpcpb.Context, key string, ts uint64) (version, bool) {
	resp, err := r.service(pb.Peer).KvGet(context.Background(), &kvrpcpb.GetRequest{Context: pb, Key: []byte(key), Version: ts})
	if err != nil {
		r.t.Errorf("read: %v", err)
		return version{}, false
	}
	return version{ts, string(resp.Value)}, resp.RegionError == nil && resp.Error == nil
}

// visible is the newest value committed at or below ts, "" if there is none.
func visible(commits []version, ts uint64) (value string) {
	newest := uint64(0)
	for _, c := range commits {
		if c.ts <= ts && c.ts > newest {
			newest, value = c.ts, c.value
		}
	}
	return value
}
