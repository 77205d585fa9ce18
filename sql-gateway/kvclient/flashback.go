package kvclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"golang.org/x/sync/errgroup"
)

// ErrInFlashback says that a region's data is being put back to a former time: it serves nothing newer than that began.
var ErrInFlashback = errors.New("the data is being put back to a former time (FLASHBACK)")

// errNotInFlashback says that a step of a flashback met a region that is not prepared for it.
var errNotInFlashback = errors.New("the region is not in flashback")

// Flashback puts the keys of Ranges back to what they were at Version.
type Flashback struct {
	Ranges  []KeyRange // ascending, disjoint, with bounds
	Version uint64
	// Prepared, if set, is called when nobody else reads or writes the ranges any more. The timestamp of the flashback is
	// taken by then; an error calls the flashback off.
	Prepared func(ctx context.Context) error
}

// Flashback runs f: regions are cut at the bounds of the ranges, closed, put back, and opened again. Transactions that are
// committed by now count, others are rolled back. Until all regions are closed an error opens them again; after that the
// flashback goes on although ctx ends, and an error means that regions are left closed, until a flashback of the same ranges
// is done. Regions that another one has left so stay closed after any error: their data is of different times.
// *GCTooEarlyError: the version may be gone.
func (c *Client) Flashback(ctx context.Context, f Flashback) error {
	var bounds [][]byte
	for _, r := range f.Ranges {
		bounds = append(bounds, r.Start, r.End)
	}
	if err := c.Split(ctx, bounds); err != nil {
		return err
	}
	startTS, err := c.TS(ctx)
	if err != nil {
		return err
	}
	resumed, err := c.finishTxns(ctx, f.Ranges, startTS)
	if err != nil {
		return fmt.Errorf("finish the transactions under way: %w", err)
	}
	step := flashbackStep{c: c, version: f.Version, startTS: startTS}
	err = step.each(ctx, f.Ranges, step.prepare)
	if err == nil {
		step.commitTS, err = c.TS(ctx)
	}
	if err == nil && f.Prepared != nil {
		err = f.Prepared(ctx)
	}
	ctx = context.WithoutCancel(ctx)
	switch {
	case err != nil && resumed:
		return fmt.Errorf("regions stay closed: %w", err)
	case err != nil:
		return errors.Join(err, c.callOff(ctx, f.Ranges))
	}
	return step.each(ctx, f.Ranges, step.finish)
}

// finishTxns resolves the locks of transactions that began at or below ts. closed says that regions are in flashback; these
// have no locks.
func (c *Client) finishTxns(ctx context.Context, ranges []KeyRange, ts uint64) (closed bool, err error) {
	for _, rest := range ranges {
		for {
			bo := c.newBackoff(c.opts.WriteBudget)
			found, part, err := c.scanLocks(ctx, bo, ts, rest)
			if err == nil && len(found) > 0 {
				err = c.resolver.force(ctx, bo, found)
			}
			switch {
			case errors.Is(err, ErrInFlashback):
				closed = true
			case err != nil:
				return closed, err
			case len(found) > 0:
				continue // there may be more
			}
			if bytes.Equal(part.End, rest.End) {
				break
			}
			rest.Start = part.End
		}
	}
	return closed, nil
}

// callOff opens regions that may be prepared, by a flashback to this moment: nothing has changed since.
func (c *Client) callOff(ctx context.Context, ranges []KeyRange) error {
	now, err := c.TS(ctx)
	if err != nil {
		return err
	}
	step := flashbackStep{c: c, version: now - 1, startTS: now}
	if step.commitTS, err = c.TS(ctx); err != nil {
		return err
	}
	return step.each(ctx, ranges, func(ctx context.Context, part KeyRange) (rest KeyRange, err error) {
		if _, err := step.prepare(ctx, part); err != nil {
			return rest, err
		}
		return step.finish(ctx, part)
	})
}

// flashbackStep is one phase of a flashback in all regions.
type flashbackStep struct {
	c                          *Client
	version, startTS, commitTS uint64
}

// each calls do for the part of ranges in each region, several at a time. do handles the beginning of what it is given, and
// returns the rest.
func (s *flashbackStep) each(ctx context.Context, ranges []KeyRange, do func(context.Context, KeyRange) (rest KeyRange, err error)) error {
	tasks, err := s.c.Tasks(ctx, s.c.newBackoff(s.c.opts.WriteBudget), ranges)
	if err != nil {
		return err
	}
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(s.c.opts.Concurrency)
	for _, t := range tasks {
		for _, rest := range t.Ranges {
			calls.Go(func() (err error) {
				for len(rest.End) > 0 && bytes.Compare(rest.Start, rest.End) < 0 && err == nil {
					rest, err = do(ctx, rest)
				}
				return err
			})
		}
	}
	return calls.Wait()
}

// prepare closes the region at the beginning of r.
func (s *flashbackStep) prepare(ctx context.Context, r KeyRange) (rest KeyRange, err error) {
	var part KeyRange
	var resp *kvrpcpb.PrepareFlashbackToVersionResponse
	bo := s.c.newBackoff(s.c.opts.WriteBudget)
	err = s.c.send(ctx, bo, r.Start, func(st Store, reg *Region) (*errorpb.Error, error) {
		part = r.intersect(reg.Range)
		var err error
		resp, err = st.KvPrepareFlashbackToVersion(ctx, &kvrpcpb.PrepareFlashbackToVersionRequest{
			Context: reg.Context(), StartKey: part.Start, EndKey: part.End, Version: s.version, StartTs: s.startTS,
		})
		return resp.GetRegionError(), err
	})
	if err == nil && resp.Error != "" {
		err = textError(resp.Error, "flashback: ")
	}
	return KeyRange{part.End, r.End}, err
}

// finish puts the region at the beginning of r back and opens it. If it is open already after an answer was lost, that was
// the answer.
func (s *flashbackStep) finish(ctx context.Context, r KeyRange) (rest KeyRange, err error) {
	var part KeyRange
	var resp *kvrpcpb.FlashbackToVersionResponse
	lost := false
	bo := s.c.newBackoff(s.c.opts.WriteBudget)
	err = s.c.send(ctx, bo, r.Start, func(st Store, reg *Region) (*errorpb.Error, error) {
		part = r.intersect(reg.Range)
		var err error
		resp, err = st.KvFlashbackToVersion(ctx, &kvrpcpb.FlashbackToVersionRequest{
			Context: reg.Context(), StartKey: part.Start, EndKey: part.End,
			Version: s.version, StartTs: s.startTS, CommitTs: s.commitTS,
		})
		lost = lost || err != nil
		return resp.GetRegionError(), err
	})
	switch {
	case lost && errors.Is(err, errNotInFlashback):
		err = nil
	case err == nil && resp.Error != "":
		err = textError(resp.Error, "flashback: ")
	}
	return KeyRange{part.End, r.End}, err
}
