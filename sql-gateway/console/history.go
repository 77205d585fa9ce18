package console

import (
	"sync"
	"time"

	"github.com/scree-db/scree/sql-gateway/insight"
)

const (
	// historyStep is the length of an interval, historyMax how many are kept: ten minutes.
	historyStep = 2 * time.Second
	historyMax  = 300
)

// point is what happened in an interval. Times are milliseconds.
type point struct {
	At        int64   `json:"at"` // the end, in milliseconds since 1970
	Queries   float64 `json:"qps"`
	Errors    float64 `json:"errors"` // a second
	P50       float64 `json:"p50"`
	P95       float64 `json:"p95"`
	P99       float64 `json:"p99"`
	Connected int     `json:"connected"`
	Running   int     `json:"running"`
}

// history looks at the load again and again, so that a page that is opened has a past to show.
type history struct {
	server Server
	stop   chan struct{}
	done   chan struct{}

	mu   sync.Mutex
	list []point
}

func newHistory(s Server) *history {
	h := &history{server: s, stop: make(chan struct{}), done: make(chan struct{})}
	go h.run()
	return h
}

func (h *history) close() {
	close(h.stop)
	<-h.done
}

func (h *history) run() {
	defer close(h.done)
	ticker := time.NewTicker(historyStep)
	defer ticker.Stop()
	before, _, _ := h.server.Load()
	at := time.Now()
	for {
		select {
		case <-h.stop:
			return
		case now := <-ticker.C:
			done, connected, running := h.server.Load()
			h.add(newPoint(now, now.Sub(at), done.Since(before), connected, running))
			before, at = done, now
		}
	}
}

func newPoint(at time.Time, length time.Duration, done insight.Load, connected, running int) point {
	ms := func(q float64) float64 { return float64(done.Quantile(q).Microseconds()) / 1000 }
	seconds := max(length.Seconds(), 1e-3)
	return point{
		At: at.UnixMilli(), Queries: float64(done.Count) / seconds, Errors: float64(done.Errors) / seconds,
		P50: ms(0.5), P95: ms(0.95), P99: ms(0.99), Connected: connected, Running: running,
	}
}

func (h *history) add(p point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.list) == historyMax {
		h.list = append(h.list[:0], h.list[1:]...)
	}
	h.list = append(h.list, p)
}

func (h *history) points() []point {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]point{}, h.list...)
}
