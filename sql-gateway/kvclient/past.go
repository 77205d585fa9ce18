package kvclient

import (
	"context"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// BeginAt starts a transaction that sees what was committed at or before ts, a timestamp of the past, and reads it from
// whatever replica is at hand. It is not to write.
func (c *Client) BeginAt(ts uint64) *Txn {
	return &Txn{c: c, startTS: ts, began: c.opts.Now(), snap: c.Snapshot(ts).From(FromAnyStale)}
}

// safeTSWait bounds how long SafeTS waits for a store.
const safeTSWait = time.Second

// SafeTS is the timestamp up to which all replicas answer stale reads by themselves, as far as the stores know that this
// client has talked to and that answer; 0 if none does.
func (c *Client) SafeTS(ctx context.Context) (safe uint64) {
	ctx, cancel := context.WithTimeout(ctx, safeTSWait)
	defer cancel()
	var (
		asked sync.WaitGroup
		mu    sync.Mutex
	)
	for _, st := range c.stores.all() {
		asked.Go(func() {
			resp, err := st.GetStoreSafeTS(ctx, &kvrpcpb.StoreSafeTSRequest{})
			if err != nil || resp.SafeTs == 0 {
				return // who reads there is sent to the leader
			}
			mu.Lock()
			defer mu.Unlock()
			if safe == 0 || resp.SafeTs < safe {
				safe = resp.SafeTs
			}
		})
	}
	asked.Wait()
	return safe
}
