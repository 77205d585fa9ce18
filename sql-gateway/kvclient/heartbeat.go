package kvclient

import (
	"context"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// How long the locks of a transaction are kept alive: a usual one, and one that flushes.
const (
	txnLifeMax  = time.Hour
	bulkLifeMax = 24 * time.Hour
)

// keepAlive extends the life of the primary lock of a transaction that began age ago, and whose lock lives for life from now
// on, again and again until the returned function is called, the lock is gone, or the transaction is ageMax old: then others may
// resolve it.
func (c *Client) keepAlive(startTS uint64, primary []byte, age, life, ageMax time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(c.beating)
	c.beats.Add(1)
	go func() {
		defer c.beats.Done()
		for ; age < ageMax; life = lockTTLMax {
			if c.opts.Sleep(ctx, life/2) != nil {
				return
			}
			age += life / 2
			alive, err := c.beat(ctx, startTS, primary, age+lockTTLMax)
			if err != nil { // the next one may get through
				c.opts.Logger.Warn("heartbeat of a transaction failed", "start_ts", startTS, "err", err)
			} else if !alive {
				return
			}
		}
	}()
	return cancel
}

// beat makes a primary lock live until at least ttl after startTS, and reports whether it is there.
func (c *Client) beat(ctx context.Context, startTS uint64, primary []byte, ttl time.Duration) (alive bool, err error) {
	var resp *kvrpcpb.TxnHeartBeatResponse
	err = c.send(ctx, c.newBackoff(lockTTLMin), primary, func(st Store, r *Region) (*errorpb.Error, error) {
		var err error
		resp, err = st.KvTxnHeartBeat(ctx, &kvrpcpb.TxnHeartBeatRequest{Context: r.Context(), PrimaryLock: primary,
			StartVersion: startTS, AdviseLockTtl: uint64(ttl / time.Millisecond)})
		return resp.GetRegionError(), err
	})
	return err == nil && resp.Error == nil, err
}
