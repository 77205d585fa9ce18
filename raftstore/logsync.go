package raftstore

import (
	"errors"
	"math"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/raftstore/raftlog"
)

// logWrite is a batch of the raft log on its way to the disk, and what waits for it. The write loop collects it and takes it
// back; between the two the log syncer waits for the disk.
type logWrite struct {
	batch   *raftlog.Batch
	begun   time.Time
	started bool // the batch is with the engine
	events  int  // that were taken since the last one
	waiting []delivery
	settled bool // a later sync that the loop has waited for included this one
}

// delivery is messages of a peer that wait for a sync.
type delivery struct {
	p    *peer
	msgs []raftpb.Message
}

// The syncs of the log overlap with the loop's other work. But a sync takes as much CPU time as ten writes of a key, so that a
// batch which waits and shares one with more of them is cheaper than an early one:
//
//	nothing under way   the loop takes whatever there is
//	some syncs          it waits for the first to end, or for as many events as are under way, gatherMin at least: their batch
//	                    reaches the engine before the disk is free, which then goes on with it at once
//	overlapMax of them  it waits for the first to end
//
// What has gathered when a sync ends is proposed in the turn that delivers its answers: one Ready serves both. With a batch for
// every 16 of 64 clients a write took a fifth more CPU time, and a sync was shared by 22 instead of 29.
const (
	gatherMin  = 64
	overlapMax = 3

	// gatherMax is always enough: far less than inboundMax, beyond which messages are dropped instead of gathering.
	gatherMax = 1024
)

// enough is how many events are worth a turn now.
func (l *writeLoop) enough() int {
	switch len(l.inFlight) {
	case 0:
		return 1
	case overlapMax:
		return math.MaxInt // the end of the first sync comes with a wake-up
	}
	events := 0
	for _, w := range l.inFlight {
		events += w.events
	}
	return min(max(gatherMin, events), gatherMax)
}

// write ends a round: it sends what was collected to the disk if anyone has to wait for that.
func (l *writeLoop) write() error {
	switch {
	case l.barrier:
		return l.writeThrough()
	case l.batch.NeedSync():
		return l.start()
	case len(l.inFlight) > 0: // raft means: when all that was to be appended before is durable
		last := l.inFlight[len(l.inFlight)-1]
		last.waiting = append(last.waiting, l.waiting...)
	default:
		l.deliverAll(l.waiting)
	}
	clear(l.waiting)
	l.waiting = l.waiting[:0]
	return nil
}

// start gives the batch to the engine and to the log syncer, and goes on with an empty one.
func (l *writeLoop) start() error {
	w := l.spareWrite()
	w.batch, l.batch = l.batch, w.batch
	w.waiting, l.waiting = l.waiting, w.waiting
	w.events, l.events = l.events, 0
	l.inFlight = append(l.inFlight, w)
	if l.stepped() {
		return nil
	}
	w.begun = l.store.clock.Now()
	if err := w.batch.Start(); err != nil {
		return err
	}
	w.started = true
	l.syncs.put(w)
	return nil
}

func (l *writeLoop) spareWrite() *logWrite {
	if n := len(l.spareWrites); n > 0 {
		w := l.spareWrites[n-1]
		l.spareWrites = l.spareWrites[:n-1]
		return w
	}
	return &logWrite{batch: l.store.raftLog.NewBatch()}
}

// writeThrough writes what was collected and waits until it is durable, with all that is under way: for what takes effect
// elsewhere than in messages.
func (l *writeLoop) writeThrough() error {
	l.barrier = false
	if err := l.commit(); err != nil {
		return err
	}
	for _, w := range l.inFlight {
		w.settled = true
		l.deliverAll(w.waiting)
	}
	l.inFlight = l.inFlight[:0]
	for i := range l.accepted {
		l.accepted[i].handOver()
	}
	clear(l.accepted)
	l.accepted = l.accepted[:0]
	l.deliverAll(l.waiting)
	clear(l.waiting)
	l.waiting = l.waiting[:0]
	return nil
}

// commit makes the batch durable if it asks for that, and then all that is under way, too, for the engine syncs in order.
func (l *writeLoop) commit() error {
	for l.awaitsSync() {
		if err := l.syncNext(); err != nil {
			return err
		}
	}
	return l.batch.Commit()
}

// onSynced delivers what has waited for a batch that is durable now. Batches come in the order of their start.
func (l *writeLoop) onSynced(w *logWrite) {
	if !w.settled {
		l.inFlight = append(l.inFlight[:0], l.inFlight[1:]...)
		l.deliverAll(w.waiting)
	}
	clear(w.waiting)
	*w = logWrite{batch: w.batch, waiting: w.waiting[:0]}
	l.spareWrites = append(l.spareWrites, w)
}

func (l *writeLoop) deliverAll(waiting []delivery) {
	for i := range waiting {
		l.deliver(waiting[i].p, waiting[i].msgs)
	}
}

// syncLog is the goroutine of the log syncer: it waits for the disk, batch by batch, and hands them back to the loop.
func (l *writeLoop) syncLog() {
	var writes []*logWrite
	for {
		select {
		case <-l.store.stopping:
			return
		case <-l.syncs.wake:
		}
		writes = l.syncs.take(writes)
		for _, w := range writes {
			if err := w.batch.Wait(); err != nil {
				l.store.fail(err)
				return
			}
			l.store.metrics.sync.Observe(l.store.clock.Now().Sub(w.begun).Seconds())
			l.box.hasten(event{synced: w})
		}
	}
}

// closeWrites releases batches once the goroutines have ended. The engine must be done with them before.
func (l *writeLoop) closeWrites() error {
	var errs []error
	for _, w := range l.inFlight {
		if w.started {
			errs = append(errs, w.batch.Wait())
		}
	}
	for _, w := range append(l.inFlight, l.spareWrites...) {
		errs = append(errs, w.batch.Close())
	}
	l.inFlight, l.spareWrites = nil, nil
	return errors.Join(errs...)
}

// A loop without goroutines, see Stepper, has the log syncer's work done by steps: the batch is committed there, so that what
// happens between its start and its sync may be lost with it.

func (l *writeLoop) stepped() bool { return l.store.tasks != nil }

// awaitsSync tells that syncNext has something to do.
func (l *writeLoop) awaitsSync() bool {
	return l.stepped() && slices.ContainsFunc(l.inFlight, func(w *logWrite) bool { return !w.started })
}

// syncNext makes the first batch durable that is not.
func (l *writeLoop) syncNext() error {
	for _, w := range l.inFlight {
		if w.started {
			continue
		}
		if err := w.batch.Commit(); err != nil {
			return err
		}
		w.started = true
		l.box.hasten(event{synced: w})
		break
	}
	return nil
}
