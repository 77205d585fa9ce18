package raftstore_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage"
)

// slowDisk is a disk that can lose power and whose syncs of the raft log can be held up.
type slowDisk struct {
	*vfs.MemFS
	gate *gate
}

// gate lets syncs pass, or one by one.
type gate struct {
	mu      sync.Mutex
	changed sync.Cond
	closed  bool
	passes  int // syncs that may pass though it is closed
	queued  int // syncs that wait
	passed  int
}

func newSlowDisk() slowDisk {
	g := &gate{}
	g.changed.L = &g.mu
	return slowDisk{vfs.NewCrashableMem(), g}
}

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.passes = closed, 0
	g.changed.Broadcast()
}

// letOne has one sync pass.
func (g *gate) letOne() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passes++
	g.changed.Broadcast()
}

// pass makes a sync wait.
func (g *gate) pass(sync func() error) error {
	g.mu.Lock()
	g.queued++
	g.changed.Broadcast()
	for g.closed && g.passes == 0 {
		g.changed.Wait()
	}
	g.passes = max(0, g.passes-1)
	g.queued--
	g.mu.Unlock()
	err := sync()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed++
	g.changed.Broadcast()
	return err
}

// await waits until the gate is in a state.
func (g *gate) await(reached func(queued, passed int) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !reached(g.queued, g.passed) {
		g.changed.Wait()
	}
}

func (d slowDisk) gated(f vfs.File, name string) vfs.File {
	if filepath.Dir(name) == "log" && strings.HasSuffix(name, ".log") {
		return gatedFile{f, d.gate}
	}
	return f
}

func (d slowDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.MemFS.Create(name, category)
	return d.gated(f, name), err
}

func (d slowDisk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.MemFS.ReuseForWrite(oldname, newname, category)
	return d.gated(f, newname), err
}

// powerCut is the disk as it would be found after a power cut now.
func (d slowDisk) powerCut() *vfs.MemFS { return d.CrashClone(vfs.CrashCloneCfg{}) }

type gatedFile struct {
	vfs.File
	gate *gate
}

func (f gatedFile) Sync() error     { return f.gate.pass(f.File.Sync) }
func (f gatedFile) SyncData() error { return f.gate.pass(f.File.SyncData) }

// logged is how many writes of a region are in the engine of the log, be they durable or not.
func (m *machine) logged() (n int) {
	require.NoError(m.t, raftlog.New(m.log).EachEntry(func(_ uint64, e *raftpb.Entry) error {
		n += strings.Count(string(e.Data), "value of ")
		return nil
	}))
	return n
}

// manyWrites is more than what one batch of the log waits for while others are under way.
const manyWrites = 100

// submit has n writes under way, of keys from first on.
func submit(t *testing.T, m *machine, first, n int) (outcomes []<-chan error) {
	for i := first; i < first+n; i++ {
		outcome, err := m.store.Submit(storage.Region{ID: 1}, []storage.Modify{put(fmt.Sprint("k", i), fmt.Sprint("value of ", i))})
		require.NoError(t, err)
		outcomes = append(outcomes, outcome)
	}
	return outcomes
}

// Batches of the log overlap with the sync of the first. No write in them is acknowledged, or visible, before the disk has it,
// whichever batch that is.
func TestNoAnswerBeforeItsSync(t *testing.T) {
	disk := newSlowDisk()
	m := bootSingle(t, disk)
	defer m.stop()
	defer disk.gate.set(false)
	disk.gate.set(true)

	outcomes := submit(t, m, 0, 1)
	disk.gate.await(func(queued, _ int) bool { return queued > 0 })
	outcomes = append(outcomes, submit(t, m, 1, manyWrites)...)
	require.Eventually(t, func() bool { return m.logged() > 1 }, time.Minute, time.Millisecond, "a second batch goes to the engine")
	for i, outcome := range outcomes {
		require.Empty(t, outcome, i)
	}
	require.Empty(t, get(t, m.store, 1, "k0"))
	bootSingle(t, disk.powerCut()).stop()

	disk.gate.set(false)
	for _, outcome := range outcomes {
		require.NoError(t, <-outcome)
	}
	requireWrites(t, disk.powerCut(), 1+manyWrites)
}

// requireWrites boots a store from a disk and reads the first n keys.
func requireWrites(t *testing.T, fs vfs.FS, n int) {
	t.Helper()
	m := bootSingle(t, fs)
	defer m.stop()
	for i := range n {
		require.Equal(t, fmt.Sprint("value of ", i), get(t, m.store, 1, fmt.Sprint("k", i)))
	}
}

// Power is cut after each sync of a run whose batches overlap: what was acknowledged by then is there.
func TestPowerCutAfterEachSync(t *testing.T) {
	disk := newSlowDisk()
	m := bootSingle(t, disk)
	defer m.stop()
	defer disk.gate.set(false)
	disk.gate.set(true)
	var outcomes []<-chan error
	acknowledged := 0
	for round := range 8 {
		outcomes = append(outcomes, submit(t, m, round*manyWrites, manyWrites)...)
		passed := 0
		disk.gate.await(func(queued, n int) bool { passed = n; return queued > 0 })
		disk.gate.letOne()
		disk.gate.await(func(_, n int) bool { return n > passed })
		for acknowledged < len(outcomes) && len(outcomes[acknowledged]) > 0 {
			require.NoError(t, <-outcomes[acknowledged])
			acknowledged++
		}
		requireWrites(t, disk.powerCut(), acknowledged)
	}
	disk.gate.set(false)
	for _, outcome := range outcomes[acknowledged:] {
		require.NoError(t, <-outcome)
	}
	requireWrites(t, disk.powerCut(), len(outcomes))
}

// wire is a transport that keeps what is sent.
type wire struct {
	mu   sync.Mutex
	sent []*raft_serverpb.RaftMessage
}

func (w *wire) Bind(raftstore.Receiver) {}
func (w *wire) Send(msg *raft_serverpb.RaftMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, msg)
}
func (w *wire) SendSnapshot(_ *raft_serverpb.RaftMessage, src raftstore.SnapshotSource, done func(error)) {
	done(src.Close())
}

// count is how many messages of a type were sent.
func (w *wire) count(kind eraftpb.MessageType) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, msg := range w.sent {
		if msg.Message.MsgType == kind {
			n++
		}
	}
	return n
}

// A follower acknowledges an entry, and votes, once its disk has it. That goes for an entry that it is sent again, too: there is
// nothing to write then, but the first time may not be durable yet.
func TestFollowerAnswersAfterSync(t *testing.T) {
	disk, net := newSlowDisk(), &wire{}
	m := boot(t, disk, raftstore.Config{StoreID: 1, TickInterval: time.Hour}, raftstore.Deps{Transport: net})
	region := firstRegion()
	leader := &metapb.Peer{Id: 3, StoreId: 2}
	region.Peers = append(region.Peers, leader, &metapb.Peer{Id: 4, StoreId: 3})
	require.NoError(t, m.store.Bootstrap(region))
	require.NoError(t, m.store.Start())
	defer m.stop()
	defer disk.gate.set(false)
	receive := func(msg *eraftpb.Message) {
		msg.From, msg.To = leader.Id, region.Peers[0].Id
		m.store.Receive(&raft_serverpb.RaftMessage{RegionId: 1, FromPeer: leader, ToPeer: region.Peers[0], RegionEpoch: region.RegionEpoch, Message: msg})
	}
	status, _ := m.store.Region(1)
	at := status.AppliedIndex
	// beats are heartbeats, which are answered at once: so many that they are taken in though a sync is under way, and so few that
	// all of the test's have room in the mailbox. Twice: with the first answer not all that came before needs to be done.
	beats := func(term uint64) {
		for range 2 {
			answered := net.count(eraftpb.MessageType_MsgHeartbeatResponse)
			for range 2000 {
				receive(&eraftpb.Message{MsgType: eraftpb.MessageType_MsgHeartbeat, Term: term})
			}
			require.Eventually(t, func() bool { return net.count(eraftpb.MessageType_MsgHeartbeatResponse) > answered }, time.Minute, time.Millisecond)
		}
	}
	const term = 20
	beats(term)
	disk.gate.set(true)
	entry := func() {
		receive(&eraftpb.Message{MsgType: eraftpb.MessageType_MsgAppend, Term: term, Index: at, LogTerm: at, Entries: []*eraftpb.Entry{{Index: at + 1, Term: term}}})
	}
	entry()
	disk.gate.await(func(queued, _ int) bool { return queued > 0 })
	entry()
	beats(term)
	require.Zero(t, net.count(eraftpb.MessageType_MsgAppendResponse))
	receive(&eraftpb.Message{MsgType: eraftpb.MessageType_MsgRequestVote, Term: term + 1, Index: at + 9, LogTerm: term, Context: []byte("CampaignTransfer")})
	beats(term + 1)
	require.Zero(t, net.count(eraftpb.MessageType_MsgRequestVoteResponse))
	disk.gate.set(false)
	require.Eventually(t, func() bool {
		return net.count(eraftpb.MessageType_MsgAppendResponse) == 2 && net.count(eraftpb.MessageType_MsgRequestVoteResponse) == 1
	}, time.Minute, time.Millisecond)

	again := boot(t, disk.powerCut(), raftstore.Config{StoreID: 1}, raftstore.Deps{})
	defer again.stop()
	last := uint64(0)
	require.NoError(t, raftlog.New(again.log).EachEntry(func(_ uint64, e *raftpb.Entry) error { last = e.Index; return nil }))
	require.Equal(t, at+1, last)
}
