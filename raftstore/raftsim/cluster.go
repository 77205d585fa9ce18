package raftsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage/engine"
)

// Options describe a cluster.
type Options struct {
	Machines int
	Raft     raftstore.Config // ids are filled in
	// Deps are a machine's collaborators that are not the simulation's, asked for at each boot, before the store is opened; nil:
	// none, but ids for new regions.
	Deps func(m *Machine) raftstore.Deps
	// Booted is called when a machine's store is open, and Crashed when it is gone; nil: nobody is told.
	Booted, Crashed func(m *Machine)
}

// Cluster is machines on a network. It belongs to the goroutine of its World.
type Cluster struct {
	w        *World
	o        Options
	net      *network
	machines []*Machine
	driver   driver
	leaders  map[leadership]uint64 // peers that were seen leading
}

type leadership struct{ region, term uint64 }

// NewCluster makes machines whose disks are empty.
func NewCluster(w *World, o Options) *Cluster {
	c := &Cluster{w: w, o: o, driver: driver{next: 1000}, leaders: map[leadership]uint64{}}
	c.net = &network{c: c, cut: map[link]bool{}}
	w.watch(c.net)
	for id := range uint64(o.Machines) {
		rate := 0.97 + 0.06*w.rng.Float64()
		c.machines = append(c.machines, &Machine{ID: id + 1, c: c, disk: NewDisk(), clock: clock{w, w.began, rate}, planned: map[raftstore.Step]bool{}})
	}
	w.watch(c)
	return c
}

// Start boots all machines. Those with a peer of region begin with it.
func (c *Cluster) Start(region *metapb.Region) error {
	for _, m := range c.machines {
		if err := m.boot(region); err != nil {
			return err
		}
	}
	return nil
}

// Machines are all, in the order of their ids.
func (c *Cluster) Machines() []*Machine { return c.machines }

func (c *Cluster) machine(id uint64) *Machine {
	if id == 0 || id > uint64(len(c.machines)) {
		return nil
	}
	return c.machines[id-1]
}

// Close stops what is up.
func (c *Cluster) Close() error {
	var errs []error
	for _, m := range c.machines {
		if m.up {
			errs = append(errs, m.halt())
		}
	}
	return errors.Join(errs...)
}

// look buries machines whose power was cut, and plans what the others have to do.
func (c *Cluster) look() {
	for _, m := range c.machines {
		if m.up && m.disk.Cut() {
			m.Crash()
		}
		if m.up {
			m.plan()
		}
	}
}

// Machine is a store with its disk and its clock.
type Machine struct {
	ID    uint64
	Raft  *raftstore.Store // while it is up
	Data  *engine.Engine
	Tasks *Tasks // of this life

	c       *Cluster
	disk    *Disk
	clock   clock
	log     *engine.Engine
	stepper *raftstore.Stepper
	up      bool
	life    *life
	planned map[raftstore.Step]bool
	due     []raftstore.Step
	stalled time.Duration // until when it does nothing
	applied map[[2]uint64]uint64
}

// life is the time from a boot to a crash.
type life struct {
	disk *Disk
	gone bool
}

// over tells whether nothing is heard any more of what began in this life.
func (l *life) over() bool { return l.gone || l.disk.Cut() }

// Up tells whether the machine is running.
func (m *Machine) Up() bool { return m.up && !m.disk.Cut() }

// Life tells later whether the machine is still the same.
func (m *Machine) Life() (over func() bool) { return m.life.over }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// boot opens the engines on what the disk has, and the store on them.
func (m *Machine) boot(first *metapb.Region) (err error) {
	m.life = &life{disk: m.disk}
	m.Tasks = m.c.w.NewTasks(fmt.Sprintf("store %d", m.ID))
	if m.Data, err = engine.Open("data", engine.Options{FS: m.disk, CacheBytes: 1 << 20, DisableWAL: true, Logger: quiet}); err != nil {
		return err
	}
	if m.log, err = engine.Open("log", engine.Options{FS: m.disk, CacheBytes: 1 << 20, Logger: quiet}); err != nil {
		return err
	}
	if err := m.open(first); err != nil {
		return errors.Join(fmt.Errorf("store %d: %w", m.ID, err), m.Data.Close(), m.log.Close())
	}
	m.up = true
	m.applied = map[[2]uint64]uint64{}
	m.checkRecovered()
	m.keepTime(m.life)
	return nil
}

func (m *Machine) open(first *metapb.Region) (err error) {
	d := raftstore.Deps{Placement: &m.c.driver}
	if m.c.o.Deps != nil {
		d = m.c.o.Deps(m)
	}
	d.Data, d.Log = m.Data, raftlog.New(m.log)
	d.Transport, d.Clock, d.Tasks, d.Logger = &port{m.c.net, m, m.life}, m.clock, m.Tasks, quiet
	cfg := m.c.o.Raft
	cfg.StoreID = m.ID
	if m.Raft, err = raftstore.Open(cfg, d); err != nil {
		return err
	}
	for _, p := range first.GetPeers() {
		if p.StoreId == m.ID {
			err = m.Raft.Bootstrap(first)
		}
	}
	if err != nil {
		return err
	}
	if m.c.o.Booted != nil {
		m.c.o.Booted(m)
	}
	m.stepper, err = m.Raft.StartStepped()
	return err
}

// keepTime plans ticks and housekeeping, by the machine's own clock, for this life.
func (m *Machine) keepTime(l *life) {
	cfg := m.c.o.Raft
	every := func(d time.Duration, f func()) {
		var next func()
		next = func() {
			if l.over() {
				return
			}
			if m.c.w.Now() >= m.stalled {
				f()
			}
			m.c.w.After(m.clock.lasts(d), next)
		}
		m.c.w.After(time.Duration(m.c.w.rng.Int64N(int64(d))), next)
	}
	every(cfg.TickInterval, func() { m.stepper.Tick() })
	every(cfg.HousekeepInterval, func() { m.stepper.Housekeep() })
}

// plan has the steps taken that are due.
func (m *Machine) plan() {
	m.due = m.stepper.Due(m.due[:0])
	for _, step := range m.due {
		if !m.planned[step] {
			m.planned[step] = true
			m.c.w.After(m.c.w.Delay(), func() { m.take(step, m.life) })
		}
	}
}

// take takes a step, if the machine still lives, and later if it stands still.
func (m *Machine) take(step raftstore.Step, l *life) {
	switch {
	case l.gone || l != m.life:
		return
	case m.c.w.Now() < m.stalled:
		m.c.w.After(m.stalled-m.c.w.Now(), func() { m.take(step, l) })
		return
	}
	delete(m.planned, step)
	m.c.w.Note("store %d: step %v", m.ID, step)
	if err := m.stepper.Do(step); err != nil {
		m.c.w.Fail(fmt.Errorf("store %d: %w", m.ID, err))
	}
	if !m.disk.Cut() {
		m.observe()
	}
}

// Stall has the machine stand still for a while.
func (m *Machine) Stall(d time.Duration) { m.stalled = m.c.w.Now() + d }

// Flush makes the data durable.
func (m *Machine) Flush() error { return m.Data.Flush() }

// CutAtSync cuts the power before the n-th sync, from 1 on, of "log" or "data".
func (m *Machine) CutAtSync(n int, dir string) { m.disk.CutAtSync(n, dir) }

// Crash cuts the power, unless that has been done, and has the machine boot after a while.
func (m *Machine) Crash() {
	m.disk.Spare()
	next := m.disk.Reboot() // before anything is closed, which would sync
	m.c.w.Fail(m.halt())
	m.disk = next
	m.c.w.Note("store %d: crashed", m.ID)
	m.c.w.After(time.Duration(m.c.w.rng.Int64N(int64(3*time.Second))), func() { m.c.w.Fail(m.boot(nil)) })
}

// halt ends everything that runs.
func (m *Machine) halt() error {
	m.up, m.life.gone = false, true
	clear(m.planned)
	err := m.stepper.Stop()
	if m.c.o.Crashed != nil {
		m.c.o.Crashed(m)
	}
	m.Tasks.Drain()
	return errors.Join(err, m.Data.Close(), m.log.Close())
}

// clock is time as a machine has it, which goes a little faster or slower than others'.
type clock struct {
	w     *World
	began time.Time
	rate  float64
}

var _ raftstore.Clock = clock{}

// Now implements raftstore.Clock.
func (c clock) Now() time.Time {
	return c.began.Add(time.Duration(float64(c.w.Now()) * c.rate))
}

// NewTicker implements raftstore.Clock. A store that is stepped has none.
func (clock) NewTicker(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

// lasts is how long the world takes for what the clock calls d.
func (c clock) lasts(d time.Duration) time.Duration { return time.Duration(float64(d) / c.rate) }

// driver gives ids to new regions.
type driver struct{ next uint64 }

var _ raftstore.Placement = (*driver)(nil)

func (d *driver) id() uint64 {
	d.next++
	return d.next
}

// RegionHeartbeat implements raftstore.Placement.
func (*driver) RegionHeartbeat(*pdpb.RegionHeartbeatRequest) {}

// AskBatchSplit implements raftstore.Placement.
func (d *driver) AskBatchSplit(_ context.Context, region *metapb.Region, n int) ([]*pdpb.SplitID, error) {
	ids := make([]*pdpb.SplitID, n)
	for i := range ids {
		ids[i] = &pdpb.SplitID{NewRegionId: d.id()}
		for range region.Peers {
			ids[i].NewPeerIds = append(ids[i].NewPeerIds, d.id())
		}
	}
	return ids, nil
}

// ReportSplit implements raftstore.Placement.
func (*driver) ReportSplit(context.Context, []*metapb.Region) {}
