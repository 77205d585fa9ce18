package raftstore

import (
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/metapb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// applyLoop applies committed entries of its regions to the data. A turn takes all tasks that wait and applies them in
// few engine batches; a batch holds, for every region in it, the changes, the applied index and the changed descriptor.
// After a batch is committed its results are published: descriptors, applied indexes, then the answers to proposals, and
// a report to the write loops. Like the write loop it is a step function with one caller.
type applyLoop struct {
	store *Store
	box   *mailbox[applyTask]

	batch   *engine.Batch
	dirty   []*peer          // regions in the batch
	settled []settled        // proposals in the batch
	splits  []Split          // in the batch
	created []*createdPeer   // by them
	erased  []storage.Modify // deletions in CFWrite in the batch
	scratch []byte
	shown   bool // the writes of this turn, to the observer
}

// applyTask is work for one region, in the order of its log.
type applyTask struct {
	p         *peer
	entries   []raftpb.Entry
	proposals []*proposal // settled by the entries, in order
	responses []raftpb.Message
	snapshot  *receivedSnapshot // replace the data by it; entries wait until it is done
	resume    *receivedSnapshot // it is done
	destroy   *destruction      // clear the data
	adopt     bool              // a peer was created: nothing to do but order
}

// settled is a proposal and its outcome, told once its batch is committed.
type settled struct {
	proposal *proposal
	err      error
}

// createdPeer is a region that a split made here.
type createdPeer struct {
	p        *peer
	region   *metapb.Region
	campaign bool
}

// appliedEvent reports to the write loop what of a region is now in the data.
type appliedEvent struct {
	at        applied
	responses []raftpb.Message
	changes   []changeOutcome
	reshaped  bool // the descriptor has changed
	split     bool // by a split
	removed   bool // this peer has left the region
	snapshot  bool // the data was replaced by a snapshot
}

// changeOutcome is a membership change that was applied, or rejected equally by all replicas.
type changeOutcome struct {
	change   raftpb.ConfChangeV2
	member   memberChange
	accepted bool
}

// applier is the part of a peer that its apply loop owns.
type applier struct {
	p       *peer
	at      applied
	current *metapb.Region // as of at; published once committed
	report  appliedEvent   // gathered since the last batch
	dirty   bool           // in the loop's list
	gone    bool           // destroyed: tasks are dropped
	paused  bool           // a snapshot is being applied: tasks wait
	backlog []applyTask
	bytes   uint64 // changed in this batch
}

// batchBytesMax is when a batch is committed although more waits.
const batchBytesMax = 8 << 20

func newApplyLoop(s *Store) *applyLoop {
	return &applyLoop{store: s, box: newMailbox[applyTask](), batch: s.data.NewBatch()}
}

// run is the loop's goroutine.
func (l *applyLoop) run() {
	var tasks []applyTask
	defer func() { l.abandon(tasks) }()
	for {
		select {
		case <-l.store.stopping:
			return
		case <-l.box.wake:
		}
		tasks = l.box.take(tasks)
		if err := l.turn(tasks); err != nil {
			l.store.fail(err)
			return
		}
	}
}

// abandon tells who waits for a proposal that the store has stopped: of the last turn, which may have failed, and those that
// still wait.
func (l *applyLoop) abandon(tasks []applyTask) {
	err := l.store.stoppedError()
	for _, p := range l.store.regions.all() {
		if p.apply == l {
			tasks = append(tasks, p.applier.backlog...)
		}
	}
	for _, t := range append(tasks, l.box.close()...) {
		abandonAll(t.proposals, err)
	}
	for i := range l.settled {
		abandonAll([]*proposal{l.settled[i].proposal}, err)
	}
}

// turn is one step of the loop. An error is fatal to the store.
func (l *applyLoop) turn(tasks []applyTask) error {
	l.shown = l.store.writes.BeginApply()
	defer l.store.writes.EndApply()
	for i := range tasks {
		if err := l.do(&tasks[i]); err != nil {
			return err
		}
	}
	return l.commit()
}

func (l *applyLoop) do(t *applyTask) error {
	a := &t.p.applier
	switch {
	case t.resume != nil:
		return l.resume(a, t.resume)
	case a.paused:
		a.backlog = append(a.backlog, *t)
		return nil
	case a.gone:
		finishAll(t.proposals, fmt.Errorf("%w: the peer was removed", storage.ErrUndetermined))
		return nil
	case t.snapshot != nil:
		return l.startSnapshot(a, t.snapshot)
	case t.destroy != nil:
		return l.startDestroy(a, t.destroy)
	case t.adopt:
		return nil
	}
	return l.applyEntries(a, t)
}

// handToApply passes committed entries to the apply loop. That a change of members or bounds is committed is made durable in
// this round, before it takes effect. A peer that forgot the one might hold elections among the former members, or wait for
// them. One that forgot the other, a split, might be removed before it learns of it again: of the new region it would leave a
// log, whose entries are acknowledged, without the data that the log begins with.
func (p *peer) handToApply(m *raftpb.Message) {
	p.handed = m.Entries[len(m.Entries)-1].Index
	t := applyTask{p: p, entries: m.Entries, proposals: p.claim(m.Entries), responses: m.Responses}
	if slices.ContainsFunc(m.Entries, reshapes) {
		p.log.RequireSync(p.loop.batch)
		p.loop.barrier = true
		p.loop.accepted = append(p.loop.accepted, t)
		return
	}
	t.handOver()
}

// reshapes tells whether an entry does more than write.
func reshapes(e raftpb.Entry) bool {
	h, ok := entryHeader(&e)
	return e.Type != raftpb.EntryNormal || ok && !h.kind.isWrite()
}

// handOver puts the task into the apply loop's mailbox.
func (t applyTask) handOver() {
	if !t.p.apply.box.put(t) {
		abandonAll(t.proposals, t.p.store.stoppedError())
	}
}

// mark enters the region among those in the batch.
func (l *applyLoop) mark(a *applier) {
	if !a.dirty {
		a.dirty = true
		l.dirty = append(l.dirty, a.p)
	}
}

// commit writes the batch and publishes what it holds.
func (l *applyLoop) commit() error {
	if len(l.dirty) == 0 {
		return nil
	}
	for _, p := range l.dirty {
		if p.gone {
			continue
		}
		l.scratch = encodeApplied(l.scratch[:0], p.at)
		l.batch.Put(cfLocal, appliedKey(p.regionID), l.scratch)
	}
	begin := l.store.clock.Now()
	if err := l.store.erasing(l.erased, func() error { return l.batch.Commit(false) }); err != nil {
		return err
	}
	l.store.metrics.apply.Observe(l.store.clock.Now().Sub(begin).Seconds())
	clear(l.erased)
	l.erased = l.erased[:0]
	l.resetBatch()
	l.publish()
	return nil
}

// erasing removes records of CFWrite: it tells the observer before and after.
func (s *Store) erasing(removals []storage.Modify, remove func() error) error {
	if len(removals) == 0 {
		return remove()
	}
	erased := s.observer.OnErase(removals)
	err := remove()
	if err == nil && erased != nil {
		erased()
	}
	return err
}

// allRecords are removals of what regions have in CFWrite.
func allRecords(regions ...*metapb.Region) []storage.Modify {
	var all []storage.Modify
	for _, r := range regions {
		all = append(all, storage.Modify{Op: storage.OpDeleteRange, CF: storage.CFWrite, Key: r.StartKey, EndKey: r.EndKey})
	}
	return all
}

// resetBatch keeps the memory of batches of ordinary size.
func (l *applyLoop) resetBatch() {
	if l.batch.Len() <= batchBytesMax {
		l.batch.Reset()
		return
	}
	if err := l.batch.Close(); err != nil {
		l.store.log.Warn("closing a batch", "err", err)
	}
	l.batch = l.store.data.NewBatch()
}

func (l *applyLoop) publish() {
	l.publishRegions()
	for _, p := range l.dirty {
		p.dirty = false
		p.applied.Store(p.at.index)
		p.written.Add(p.bytes)
		p.bytes = 0
	}
	for i := range l.settled {
		l.settled[i].proposal.finish(l.settled[i].err)
	}
	for _, c := range l.created {
		c.p.loop.post(func(w *writeLoop) { w.adopt(c) })
	}
	for _, p := range l.dirty {
		report := p.report
		report.at = p.at
		p.report = appliedEvent{}
		p.loop.box.put(event{p: p, applied: &report})
	}
	clear(l.settled)
	l.dirty, l.settled, l.created, l.splits = l.dirty[:0], l.settled[:0], nil, nil
}

// publishRegions makes changed and new descriptors visible in one step.
func (l *applyLoop) publishRegions() {
	var list []shaped
	for _, p := range l.dirty {
		if p.report.reshaped {
			list = append(list, shaped{p: p, region: p.current})
		}
	}
	for _, c := range l.created {
		list = append(list, shaped{p: c.p, region: c.region, isNew: true})
	}
	for _, s := range l.splits {
		l.store.observer.OnSplit(s)
	}
	if len(list) > 0 {
		l.store.regions.publish(list...)
	}
	for _, s := range l.splits {
		l.store.observer.OnLoss(s.RegionID, s.Regions[len(s.Regions)-1])
	}
}
