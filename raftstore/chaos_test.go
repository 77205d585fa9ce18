package raftstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// call is an operation on one key: a write of value, or a read of it.
type call struct {
	key   string
	write bool
	value string
}

// register is a key that holds the last value written.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(call).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if c := input.(call); c.write {
			return true, c.value
		}
		return output.(string) == state.(string), state
	},
	Equal: func(a, b any) bool { return a == b },
}

// chaos is a cluster under clients and mischief, with the history of what the clients saw.
type chaos struct {
	*cluster
	mu      sync.RWMutex // guards live against the mischief
	history struct {
		sync.Mutex
		ops []porcupine.Operation
	}
	began time.Time
	stop  chan struct{}
}

// Clients on any store, while stores are cut off, lose power, regions split, leaders and members change: every answer
// fits one order of events.
func TestLinearizableUnderChaos(t *testing.T) {
	c := &chaos{cluster: replicated(t, raftstore.Config{LogKeepBytes: 4 << 10, LogBytesMax: 16 << 10}), began: time.Now(), stop: make(chan struct{})}
	var clients sync.WaitGroup
	for id := range 6 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			c.client(id)
		}()
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		c.mischief(rng)
	}
	for id := uint64(1); id <= 3; id++ {
		c.net.isolate(id, false)
	}
	c.eventually("all led again", func() bool {
		c.mu.RLock()
		defer c.mu.RUnlock()
		for i := range 20 {
			if m, _ := c.regionOf(mceKey(i)); m == nil {
				return false
			}
		}
		return true
	})
	close(c.stop)
	clients.Wait()
	require.NotEmpty(t, c.history.ops)
	require.True(t, c.guards[1].wasAsked("yes") || c.guards[2].wasAsked("yes") || c.guards[3].wasAsked("yes"))
	t.Logf("%d operations", len(c.history.ops))
	for _, part := range register.Partition(c.history.ops) {
		if porcupine.CheckOperationsTimeout(register, part, 30*time.Second) == porcupine.Illegal {
			t.Error(describe(part))
		}
	}
}

// describe is the end of a key's history up to the first read that no order of events explains: together with the
// reads that ended before it and the writes begun before its end, it cannot be.
func describe(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	wrong := sort.Search(len(history)-1, func(i int) bool {
		return porcupine.CheckOperationsTimeout(register, until(history, history[i].Return), 10*time.Second) == porcupine.Illegal
	})
	past := until(history, history[wrong].Return)
	var out strings.Builder
	for _, op := range past[max(0, len(past)-25):] {
		c := op.Input.(call)
		fmt.Fprintf(&out, "%v..%v %q write=%v %s read %q\n", time.Duration(op.Call), time.Duration(op.Return), c.key, c.write, c.value, op.Output)
	}
	return out.String()
}

// until is what an answer given at end may depend on.
func until(history []porcupine.Operation, end int64) (past []porcupine.Operation) {
	for _, op := range history {
		if op.Return <= end || (op.Input.(call).write && op.Call < end) {
			past = append(past, op)
		}
	}
	slices.SortFunc(past, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return past
}

// mischief does one thing and lets the clients live with it for a moment.
func (c *chaos) mischief(rng *rand.Rand) {
	store := uint64(rng.IntN(3)) + 1
	kind := rng.IntN(6)
	c.t.Logf("%v mischief %d, store %d", time.Since(c.began), kind, store)
	pause := time.Duration(20+rng.IntN(150)) * time.Millisecond
	switch kind {
	case 0, 1:
		c.net.isolate(store, true)
		time.Sleep(pause)
		c.net.isolate(store, false)
	case 2:
		c.mu.Lock()
		c.crash(store)
		c.mu.Unlock()
	case 3:
		c.order(rng, func(r *metapb.Region, p *metapb.Peer) *pdpb.RegionHeartbeatResponse {
			return &pdpb.RegionHeartbeatResponse{TransferLeader: &pdpb.TransferLeader{Peer: p}}
		})
	case 4:
		c.order(rng, func(r *metapb.Region, p *metapb.Peer) *pdpb.RegionHeartbeatResponse {
			return &pdpb.RegionHeartbeatResponse{SplitRegion: &pdpb.SplitRegion{
				Policy: pdpb.CheckPolicy_USEKEY, Keys: [][]byte{[]byte(mceKey(rng.IntN(20)))},
			}}
		})
	case 5:
		c.order(rng, func(r *metapb.Region, p *metapb.Peer) *pdpb.RegionHeartbeatResponse {
			change := &pdpb.ChangePeer{Peer: p, ChangeType: eraftpb.ConfChangeType_RemoveNode}
			if len(r.Peers) < 3 {
				change = &pdpb.ChangePeer{Peer: c.missing(r), ChangeType: eraftpb.ConfChangeType_AddNode}
			}
			return &pdpb.RegionHeartbeatResponse{ChangePeer: change}
		})
	}
	time.Sleep(pause / 2)
}

// order gives an order to the leader of a random key's region, about a random peer of it.
func (c *chaos) order(rng *rand.Rand, make func(*metapb.Region, *metapb.Peer) *pdpb.RegionHeartbeatResponse) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m, r := c.regionOf(mceKey(rng.IntN(20)))
	if m == nil {
		return
	}
	resp := make(r, r.Peers[rng.IntN(len(r.Peers))])
	resp.RegionId, resp.RegionEpoch = r.Id, r.RegionEpoch
	m.store.Operator(resp)
}

// missing is a new peer, or the learner that is not promoted yet, for the store without a voter.
func (c *chaos) missing(r *metapb.Region) *metapb.Peer {
	has := map[uint64]bool{}
	for _, p := range r.Peers {
		if p.Role == metapb.PeerRole_Learner {
			return p
		}
		has[p.StoreId] = true
	}
	for id := uint64(1); id <= 3; id++ {
		if !has[id] {
			return &metapb.Peer{Id: c.pd.id(), StoreId: id}
		}
	}
	return nil
}

// client reads and writes random keys on random stores.
func (c *chaos) client(id int) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(id)))
	for n := 0; ; n++ {
		select {
		case <-c.stop:
			return
		default:
		}
		in := call{key: mceKey(rng.IntN(20)), write: rng.IntN(2) == 0, value: fmt.Sprintf("%d-%d", id, n)}
		start := time.Since(c.began)
		c.mu.RLock()
		out, err := c.try(rng, in)
		c.mu.RUnlock()
		op := porcupine.Operation{ClientId: id, Input: in, Output: out, Call: int64(start), Return: int64(time.Since(c.began))}
		switch {
		case err == nil:
		case in.write && unsure(err): // may take effect at any time, or never
			op.Return = int64(time.Hour)
			op.ClientId = 1000 + id*100000 + n
		default:
			continue
		}
		c.history.Lock()
		c.history.ops = append(c.history.ops, op)
		c.history.Unlock()
	}
}

func unsure(err error) bool {
	var re *storage.RegionError
	return !errors.As(err, &re)
}

// try asks any store that has the key's region.
func (c *chaos) try(rng *rand.Rand, in call) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	m := c.live[uint64(rng.IntN(3))+1]
	none := &storage.RegionError{Pb: nil}
	for _, r := range m.store.Regions() {
		if r.Region == nil || in.key < string(r.Region.StartKey) || (len(r.Region.EndKey) > 0 && in.key >= string(r.Region.EndKey)) {
			continue
		}
		at := storage.Region{ID: r.Region.Id, Epoch: r.Region.RegionEpoch, ReplicaRead: rng.IntN(3) == 0}
		if rng.IntN(2) == 0 {
			at.Question = []byte("yes")
		}
		if in.write {
			return "", m.store.Write(ctx, at, []storage.Modify{put(in.key, in.value)})
		}
		var value string
		err := readOn(m, at, in.key, &value)
		return value, err
	}
	return "", none
}
