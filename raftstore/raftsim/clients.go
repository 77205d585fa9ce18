package raftsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/scree-db/scree/storage"
)

// Op is an operation on one key, with steps of the world as times.
type Op struct {
	Client       int
	Key          string
	Write        bool
	Value        string // written, or read
	Called       uint64
	Answered     uint64
	Undetermined bool // a write that may have taken effect at any time since, or never
}

// Clients read and write single keys on any machine, as tasks.
type Clients struct {
	c       *Cluster
	tasks   *Tasks
	keys    []string
	pause   time.Duration // between a client's operations, at most
	running int
	stop    bool // after the present operation
	quit    bool // at once
	History []Op
}

// NewClients lets n clients loose on keys, in some worlds in a hurry.
func NewClients(c *Cluster, n int, keys []string) *Clients {
	cs := &Clients{c: c, tasks: c.w.NewTasks("clients"), keys: keys, running: n}
	if cs.pause = 150 * time.Millisecond; c.w.rng.IntN(3) == 0 {
		cs.pause = 5 * time.Millisecond // one writes while another's write is on its way
	}
	for id := range n {
		rng := c.w.Fork()
		cs.tasks.Go(func() { cs.run(id, rng) })
	}
	return cs
}

// Stop has the clients finish what they do, and then read all keys once.
func (cs *Clients) Stop() { cs.stop = true }

// Quit ends all clients, after their cluster is closed.
func (cs *Clients) Quit() {
	cs.stop, cs.quit = true, true
	cs.tasks.Drain()
}

// Running is how many have not finished.
func (cs *Clients) Running() int { return cs.running }

func (cs *Clients) run(id int, rng *rand.Rand) {
	ctx := context.Background()
	for n := 0; !cs.stop; n++ {
		op := Op{Client: id, Key: cs.keys[rng.IntN(len(cs.keys))], Write: rng.IntN(2) == 0}
		if op.Write {
			op.Value = fmt.Sprintf("%d.%d", id, n)
		}
		cs.record(op, cs.c.machines[rng.IntN(len(cs.c.machines))], rng.IntN(3) == 0)
		cs.tasks.Sleep(ctx, time.Duration(rng.Int64N(int64(cs.pause))))
	}
	cs.running--
}

// ReadAll reads all keys, once each, wherever they can be read. What is returned tells when that is done.
func (cs *Clients) ReadAll() (done func() bool) {
	cs.running = 1
	cs.tasks.Go(func() {
		for _, key := range cs.keys {
			for n := 0; !cs.quit && !cs.record(Op{Key: key}, cs.c.machines[n%len(cs.c.machines)], true); n++ {
				cs.tasks.Sleep(context.Background(), 10*time.Millisecond)
			}
		}
		cs.running--
	})
	return func() bool { return cs.running == 0 }
}

// record does an operation, and notes it if it tells anything.
func (cs *Clients) record(op Op, m *Machine, replica bool) bool {
	op.Called = cs.c.w.step
	err := cs.do(&op, m, replica)
	op.Answered = cs.c.w.step
	if err != nil && (!op.Write || refused(err)) {
		return false
	}
	op.Undetermined = err != nil
	cs.History = append(cs.History, op)
	return true
}

var (
	errNowhere = errors.New("the machine does not have the region")
	errGone    = errors.New("the machine is gone, and its answers are not heard any more")
)

// refused tells whether a write certainly has no effect.
func refused(err error) bool {
	var region *storage.RegionError
	return errors.Is(err, errNowhere) || errors.As(err, &region)
}

// do asks a machine, if it has the key's region.
func (cs *Clients) do(op *Op, m *Machine, replica bool) error {
	if !m.Up() {
		return errNowhere
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	key := []byte(op.Key)
	at, _ := m.Raft.RegionAt(key)
	if at.Region == nil {
		return errNowhere
	}
	over := m.Life()
	region := storage.Region{ID: at.Region.Id, Epoch: at.Region.RegionEpoch, ReplicaRead: replica && !op.Write}
	var err error
	if op.Write {
		err = m.Raft.Write(ctx, region, []storage.Modify{{Op: storage.OpPut, CF: storage.CFRaw, Key: key, Value: []byte(op.Value)}})
	} else {
		op.Value, err = read(ctx, m, region, key)
	}
	if over() {
		return errGone
	}
	return err
}

func read(ctx context.Context, m *Machine, at storage.Region, key []byte) (string, error) {
	snap, err := m.Raft.Snapshot(ctx, at)
	if err != nil {
		return "", err
	}
	value, err := snap.Get(storage.CFRaw, key)
	return string(bytes.Clone(value)), errors.Join(err, snap.Close())
}
