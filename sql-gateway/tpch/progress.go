package tpch

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Reporter shows how a load gets on: a bar with rows, rate and time left on a terminal, a plain line now and then
// elsewhere. Safe for concurrent use.
type Reporter struct {
	out   io.Writer
	total int64
	bar   *progressbar.ProgressBar

	mu      sync.Mutex
	byTable map[string]int64
	start   time.Time
	next    time.Time
}

// lineEvery is the time between plain lines.
const lineEvery = 5 * time.Second

// NewReporter reports on the load of scale s to out.
func NewReporter(out *os.File, s Scale) *Reporter {
	r := &Reporter{out: out, byTable: map[string]int64{}, start: time.Now()}
	for _, group := range Tables {
		for _, t := range group {
			r.total += s.Rows(t)
		}
	}
	r.next = r.start.Add(lineEvery)
	if term.IsTerminal(int(out.Fd())) {
		r.bar = progressbar.NewOptions64(r.total, progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription("loading TPC-H "+s.String()), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return r
}

// Progress implements the type Progress.
func (r *Reporter) Progress(table string, rows int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byTable[table] = rows
	done := r.done()
	if r.bar != nil {
		_ = r.bar.Set64(min(done, r.total)) // a terminal that went away must not fail the load
		return
	}
	if now := time.Now(); now.After(r.next) {
		r.next = now.Add(lineEvery)
		rate := float64(done) / now.Sub(r.start).Seconds()
		left := time.Duration(float64(max(r.total-done, 0)) / rate * float64(time.Second))
		fmt.Fprintf(r.out, "loading %s: %d of about %d rows, %.0f rows/s, %s left\n", table, done, r.total, rate, left.Round(time.Second))
	}
}

func (r *Reporter) done() (n int64) {
	for _, rows := range r.byTable {
		n += rows
	}
	return n
}

// Finish ends the bar and prints the sum.
func (r *Reporter) Finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bar != nil {
		_ = r.bar.Finish()
	}
	took := time.Since(r.start)
	fmt.Fprintf(r.out, "loaded %d rows in %.1f s (%.0f rows/s)\n", r.done(), took.Seconds(), float64(r.done())/took.Seconds())
}
