package insight

import (
	"sync/atomic"
	"time"
)

// Options configure a Recorder.
type Options struct {
	// SlowLog is where slow statements are written; without a path they are not.
	SlowLog LogFile
	// SlowAfter is the time from which on a statement is slow; default DefaultSlowAfter.
	SlowAfter time.Duration
	// Failed is told when the slow log cannot be written; the statement is not to blame. nil: nobody is.
	Failed func(err error)
}

// DefaultSlowAfter is TiDB's.
const DefaultSlowAfter = 300 * time.Millisecond

// Recorder takes in statements. Safe for concurrent use.
type Recorder struct {
	digests *digests
	summary summary
	metrics *metrics
	load    load
	slow    *SlowLog

	slowAfter  atomic.Int64
	slowCount  atomic.Uint64
	logging    atomic.Bool
	summarises atomic.Bool
}

// New makes a recorder. Close closes the slow log.
func New(o Options) (*Recorder, error) {
	if o.SlowAfter <= 0 {
		o.SlowAfter = DefaultSlowAfter
	}
	r := &Recorder{digests: newDigests(), metrics: newMetrics()}
	r.summary.clear()
	r.summarises.Store(true)
	r.logging.Store(o.SlowLog.Path != "")
	r.SetSlowAfter(o.SlowAfter)
	var err error
	r.slow, err = openSlowLog(o.SlowLog, o.Failed)
	return r, err
}

// Close closes the slow log.
func (r *Recorder) Close() error { return r.slow.close() }

// SlowAfter is the time from which on a statement is slow.
func (r *Recorder) SlowAfter() time.Duration { return time.Duration(r.slowAfter.Load()) }

// SetSlowAfter changes it.
func (r *Recorder) SetSlowAfter(d time.Duration) { r.slowAfter.Store(int64(d)) }

// SlowCount is the number of slow statements since the start.
func (r *Recorder) SlowCount() uint64 { return r.slowCount.Load() }

// Load is what was taken in so far.
func (r *Recorder) Load() Load { return r.load.read() }

// LogSlow turns the slow log on or off. Without a file it stays off.
func (r *Recorder) LogSlow(on bool) { r.logging.Store(on && r.slow.file.Path != "") }

// Summarise turns the summary on or off, and empties it.
func (r *Recorder) Summarise(on bool) {
	r.summarises.Store(on)
	r.summary.clear()
}

// Digest finds the kind of a statement by its text.
func (r *Recorder) Digest(text string) *Digest { return r.digests.of(text) }

// Observe takes in a statement that has ended. It keeps nothing of st but strings. slowAfter is from when on this one is slow,
// and negative if that is never.
func (r *Recorder) Observe(st *Statement, slowAfter time.Duration) {
	r.metrics.observe(st)
	r.load.add(st)
	if r.summarises.Load() {
		r.summary.add(st)
	}
	if slowAfter >= 0 && st.Took >= slowAfter {
		r.metrics.slow.Observe(st.Took.Seconds())
		r.slowCount.Add(1)
		if r.logging.Load() {
			r.slow.write(st)
		}
	}
}

// Summaries lists the kinds of statements since the summary was last emptied, the costliest first.
func (r *Recorder) Summaries() []Summary { return r.summary.list() }

// Slow reads the slow log back: the last statements, as many bytes as maxBytes, oldest first.
func (r *Recorder) Slow(maxBytes int64) ([]SlowQuery, error) { return r.slow.read(maxBytes) }
