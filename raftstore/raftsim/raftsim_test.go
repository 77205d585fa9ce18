package raftsim_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/raftstore/raftsim"
)

var (
	seed  = flag.Uint64("seed", 0, "replay this seed and print its trace")
	first = flag.Uint64("first", 1, "the first seed")
	same  = flag.Uint64("same", 3, "how many seeds are run twice")
	seeds = flag.Uint64("seeds", 40, "how many seeds")
)

// TestSeeds runs seeds of chaos: every answer that clients got fits one order of events, and in the end all replicas are
// the same.
func TestSeeds(t *testing.T) {
	if *seed != 0 {
		runSeed(t, *seed)
		return
	}
	for n := range *seeds {
		t.Run(fmt.Sprint(*first+n), func(t *testing.T) { runSeed(t, *first+n) })
	}
}

// TestSameSeedSameRun shows that a seed is all that chance depends on.
func TestSameSeedSameRun(t *testing.T) {
	for n := range *same {
		require.Empty(t, firstDifference(runSeed(t, 1_000_000+n), runSeed(t, 1_000_000+n)), "seed %d", 1_000_000+n)
	}
	require.NotEqual(t, runSeed(t, 100), runSeed(t, 101))
}

// firstDifference shows where two traces part, with what was before.
func firstDifference(a, b string) string {
	one, other := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(one), len(other)) {
		if one[i] != other[i] {
			return strings.Join(append(one[max(0, i-5):i+1], "or:", other[i]), "\n")
		}
	}
	return strings.TrimPrefix(a, b) + strings.TrimPrefix(b, a)
}

// runSeed runs a seed in a bubble of its own, with raft's own chance from it too, and returns its trace.
func runSeed(t *testing.T, n uint64) (trace string) {
	cryptotest.SetGlobalRandom(t, n)
	synctest.Test(t, func(t *testing.T) {
		w := raftsim.NewWorld(n, raftsim.Bubble{Wait: synctest.Wait, Sleep: time.Sleep, Now: time.Now})
		defer func() {
			if err := recover(); err != nil {
				fmt.Printf("%sseed %d panics; to replay it: make sim SEED=%d\n", w.Trace(), n, n)
				panic(err)
			}
		}()
		err := run(w)
		if trace = w.Trace(); *seed != 0 {
			t.Log(trace)
		}
		require.NoError(t, err, "seed %d; to replay it: make sim SEED=%d", n, n)
	})
	return trace
}

const (
	replicas = 3
	clients  = 4
	chaos    = 12 * time.Second
)

var keys = func() (keys []string) {
	for i := range 10 {
		keys = append(keys, fmt.Sprintf("key%d", i))
	}
	return keys
}()

// run is chaos for a while, and then quiet.
func run(w *raftsim.World) (err error) {
	c := raftsim.NewCluster(w, raftsim.Options{Machines: 4, Raft: raftstore.Config{
		TickInterval: 50 * time.Millisecond, HousekeepInterval: 200 * time.Millisecond, LogKeepBytes: 2 << 10, LogBytesMax: 4 << 10,
	}})
	if err := c.Start(firstRegion()); err != nil {
		return err
	}
	cs := raftsim.NewClients(c, clients, keys)
	defer func() {
		err = errors.Join(err, c.Close())
		cs.Quit()
	}()
	end := c.Torment(raftsim.Mischief{Replicas: replicas, RegionsMax: 5, Pause: 500 * time.Millisecond, SplitKey: func(rng *rand.Rand) []byte {
		return []byte(keys[rng.IntN(len(keys))])
	}})
	if err := w.Run("the end of the chaos", chaos+time.Second, func() bool { return w.Now() > chaos }); err != nil {
		return err
	}
	end()
	cs.Stop()
	if err := w.Run("the clients", time.Minute, func() bool { return cs.Running() == 0 }); err != nil {
		return err
	}
	if err := w.Run("the last reads", time.Minute, cs.ReadAll()); err != nil {
		return err
	}
	var missing error
	if err := w.Run("replicas to agree", time.Minute, func() bool { missing = c.Agree(); return missing == nil }); err != nil {
		return fmt.Errorf("%w: %w", err, missing)
	}
	return judge(cs.History)
}

// firstRegion covers all keys and has peers on the first machines.
func firstRegion() *metapb.Region {
	r := &metapb.Region{Id: 1, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}}
	for id := range uint64(replicas) {
		r.Peers = append(r.Peers, &metapb.Peer{Id: id + 11, StoreId: id + 1})
	}
	return r
}

// register is a key that holds the last value written.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, len(keys))
		for _, op := range history {
			for i, key := range keys {
				if op.Input.(raftsim.Op).Key == key {
					parts[i] = append(parts[i], op)
				}
			}
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		if op := input.(raftsim.Op); op.Write {
			return true, op.Value
		} else {
			return op.Value == state.(string), state
		}
	},
}

// judge tells whether a history is linearizable.
func judge(history []raftsim.Op) error {
	var ops []porcupine.Operation
	for i, op := range history {
		o := porcupine.Operation{ClientId: op.Client, Input: op, Call: int64(op.Called), Return: int64(op.Answered)}
		if op.Undetermined {
			o.ClientId, o.Return = clients+1+i, math.MaxInt64
		}
		ops = append(ops, o)
	}
	if result := porcupine.CheckOperationsTimeout(register, ops, time.Minute); result != porcupine.Ok {
		return fmt.Errorf("the history of %d operations is %s: not linearizable", len(ops), result)
	}
	return nil
}
