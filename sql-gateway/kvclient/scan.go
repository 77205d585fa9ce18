package kvclient

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// Iterator walks pairs in key order, or in reverse. It satisfies executor.KVIterator. One goroutine.
type Iterator interface {
	// Next returns the next pair, whose slices are valid until the next call; ok is false at the end.
	Next() (key, val []byte, ok bool, err error)
	Close()
}

const (
	scanBatchFirst = 64
	scanBatchMost  = 4096
)

// Scan iterates r forward, or backward from its end.
func (s *Snapshot) Scan(ctx context.Context, r KeyRange, reverse bool) Iterator {
	return &scanner{s: s, ctx: ctx, rest: r, reverse: reverse, limit: scanBatchFirst,
		bo: s.c.newBackoff(s.c.opts.ReadBudget)}
}

// scanner pages through the regions of a range.
type scanner struct {
	s       *Snapshot
	ctx     context.Context
	bo      *Backoff
	rest    KeyRange // not read yet
	reverse bool
	done    bool
	limit   uint32
	page    []*kvrpcpb.KvPair
}

var _ Iterator = (*scanner)(nil)

func (it *scanner) Close() { it.page, it.done = nil, true }

func (it *scanner) Next() (key, val []byte, ok bool, err error) {
	for len(it.page) == 0 {
		if it.done {
			return nil, nil, false, nil
		}
		if err := it.fetch(); err != nil {
			return nil, nil, false, err
		}
	}
	p := it.page[0]
	it.page = it.page[1:]
	return p.Key, p.Value, true, nil
}

// fetch reads the next page of the region at the front of what is left.
func (it *scanner) fetch() error {
	var part KeyRange
	var resp *kvrpcpb.ScanResponse
	do := func(st Store, r *Region) (*errorpb.Error, error) {
		part = it.rest.intersect(r.Range)
		req := &kvrpcpb.ScanRequest{Context: it.s.context(r), StartKey: part.Start, EndKey: part.End, Version: it.s.ts, Limit: it.limit}
		if it.reverse {
			req.StartKey, req.EndKey, req.Reverse = part.End, part.Start, true
		}
		var err error
		resp, err = st.KvScan(it.ctx, req)
		return resp.GetRegionError(), err
	}
	if err := it.sendFront(do); err != nil {
		return err
	}
	if resp.Error != nil {
		return it.mend(resp.Error)
	}
	for i, p := range resp.Pairs {
		if p.Error != nil {
			it.take(part, resp.Pairs[:i], false)
			return it.mend(p.Error)
		}
	}
	it.take(part, resp.Pairs, len(resp.Pairs) < int(it.limit))
	it.limit = min(it.limit*4, scanBatchMost)
	return nil
}

// sendFront sends to the region of the first key to read: in reverse, of the last key before the end.
func (it *scanner) sendFront(do func(Store, *Region) (*errorpb.Error, error)) error {
	if !it.reverse {
		return it.s.send(it.ctx, it.bo, it.rest.Start, do)
	}
	for {
		r, err := it.s.c.regions.locateBefore(it.ctx, it.bo, it.rest.End)
		if err != nil {
			return err
		}
		if done, err := it.s.sendTo(it.ctx, it.bo, r, do); done || err != nil {
			return unavailable(it.rest.End, err)
		}
	}
}

func (it *scanner) mend(e *kvrpcpb.KeyError) error {
	if e.Locked == nil {
		return keyError(e)
	}
	return it.s.Resolve(it.ctx, it.bo, e.Locked)
}

// take accepts pairs as the next page and moves on behind them, or behind part if it was exhausted.
func (it *scanner) take(part KeyRange, pairs []*kvrpcpb.KvPair, exhausted bool) {
	it.page = pairs
	switch {
	case exhausted && it.reverse:
		it.rest.End = part.Start
		it.done = bytes.Compare(part.Start, it.rest.Start) <= 0
	case exhausted:
		it.rest.Start = part.End
		it.done = len(part.End) == 0 || bytes.Equal(part.End, it.rest.End)
	case len(pairs) == 0:
	case it.reverse:
		it.rest.End = pairs[len(pairs)-1].Key
	default:
		it.rest.Start = append(bytes.Clone(pairs[len(pairs)-1].Key), 0)
	}
}

func (r KeyRange) intersect(o KeyRange) KeyRange {
	if bytes.Compare(o.Start, r.Start) > 0 {
		r.Start = o.Start
	}
	if len(r.End) == 0 || len(o.End) > 0 && bytes.Compare(o.End, r.End) < 0 {
		r.End = o.End
	}
	return r
}

// locateBefore finds the region that holds the keys just below end (empty: the last region). There is no greatest key
// below end to ask for, so it asks for one a little lower and walks forward while a region ends before end.
func (c *regionCache) locateBefore(ctx context.Context, bo *Backoff, end []byte) (*Region, error) {
	r, err := c.locate(ctx, bo, below(end))
	for err == nil && len(r.Range.End) > 0 && (len(end) == 0 || bytes.Compare(r.Range.End, end) < 0) {
		r, err = c.locate(ctx, bo, r.Range.End)
	}
	return r, err
}

// below returns a key lower than end, and close to it.
func below(end []byte) []byte {
	if len(end) == 0 {
		return bytes.Repeat([]byte{0xff}, 16)
	}
	p := bytes.Clone(end)
	last := len(p) - 1
	if p[last] == 0 {
		return p[:last]
	}
	p[last]--
	return append(p, 0xff, 0xff, 0xff, 0xff)
}
