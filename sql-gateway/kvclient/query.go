package kvclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"

	"github.com/scree-db/scree/executor"
)

// Task is the part of a coprocessor request that one region answers.
type Task struct {
	Region *Region
	Ranges []KeyRange
}

// Tasks cuts ascending, disjoint ranges by region, in key order.
func (c *Client) Tasks(ctx context.Context, bo *Backoff, ranges []KeyRange) ([]Task, error) {
	var out []Task
	for _, rest := range ranges {
		for {
			r, err := c.taskRegion(ctx, bo, out, rest)
			if err != nil {
				return nil, err
			}
			if n := len(out); n == 0 || out[n-1].Region != r {
				out = append(out, Task{Region: r})
			}
			part := rest.intersect(r.Range)
			last := &out[len(out)-1]
			last.Ranges = append(last.Ranges, part)
			if len(part.End) == 0 || bytes.Equal(part.End, rest.End) {
				break
			}
			rest.Start = part.End
		}
	}
	return out, nil
}

// taskRegion saves the look-up where many small ranges lie in one region.
func (c *Client) taskRegion(ctx context.Context, bo *Backoff, tasks []Task, rest KeyRange) (*Region, error) {
	if n := len(tasks); n > 0 && tasks[n-1].Region.Range.contains(rest.Start) {
		return tasks[n-1].Region, nil
	}
	return c.regions.locateFirst(ctx, bo, rest)
}

// NewBackoff returns the budget of one read.
func (c *Client) NewBackoff() *Backoff { return c.newBackoff(c.opts.ReadBudget) }

// Concurrency is the number of region requests that one operation should have in flight.
func (c *Client) Concurrency() int { return c.opts.Concurrency }

// Query sends req, whose context, ranges and timestamp it fills, to the region of t, with the rows that its receivers are
// given, and hands the batches to sink. rest are the ranges that have still to be cut anew and asked for, if there are any: the
// region changed, a lock had to be dealt with, or the store went away. What has been handed out is not in them.
func (s *Snapshot) Query(ctx context.Context, bo *Backoff, t Task, req *coprocessor.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (resp *coprocessor.Response, rest []KeyRange, err error) {
	rest = t.Ranges
	delivered := false // something of rest
	done, err := s.sendTo(ctx, bo, t.Region, func(st Store, r *Region) (*errorpb.Error, error) {
		if len(rest) == 0 {
			return nil, nil // a call broke behind the last row
		}
		req.Context, req.StartTs = s.context(r), s.ts
		req.Ranges = copRanges(rest)
		var sinkErr, err error
		resp, err = st.Query(ctx, req, given, func(b executor.Batch) error {
			delivered = true
			sinkErr = sink(b)
			return sinkErr
		})
		switch {
		case err == nil:
			return resp.RegionError, nil
		case sinkErr != nil:
			return nil, permanent{sinkErr}
		case errors.Is(err, executor.ErrNoRoom):
			return nil, permanent{err}
		case ctx.Err() != nil:
			return nil, permanent{context.Cause(ctx)}
		case delivered && resp.GetRange() == nil: // asking again would repeat rows that are out
			return nil, permanent{&RegionUnavailableError{Key: rest[0].Start, Cause: err}}
		case delivered:
			rest, delivered = without(rest, resp.Range), false
		}
		return nil, err
	})
	switch {
	case err != nil:
		return nil, nil, unavailable(t.Ranges[0].Start, err)
	case len(rest) == 0, done && resp.Locked == nil:
		return resp, nil, copError(resp)
	case delivered:
		return nil, nil, fmt.Errorf("region %d changed in the middle of its answer", t.Region.Meta.Id)
	case done:
		return nil, rest, s.Resolve(ctx, bo, resp.Locked)
	}
	return nil, rest, nil
}

// without is what of ascending ranges lies outside of an interval.
func without(ranges []KeyRange, done *coprocessor.KeyRange) (rest []KeyRange) {
	for _, r := range ranges {
		before, behind := r, r
		if len(before.End) == 0 || bytes.Compare(before.End, done.Start) > 0 {
			before.End = done.Start
		}
		if bytes.Compare(behind.Start, done.End) < 0 {
			behind.Start = done.End
		}
		if bytes.Compare(before.Start, before.End) < 0 {
			rest = append(rest, before)
		}
		if len(done.End) > 0 && (len(behind.End) == 0 || bytes.Compare(behind.Start, behind.End) < 0) {
			rest = append(rest, behind)
		}
	}
	return rest
}

func copError(resp *coprocessor.Response) error {
	if resp.OtherError != "" {
		return textError(resp.OtherError, "")
	}
	return nil
}

func copRanges(ranges []KeyRange) []*coprocessor.KeyRange {
	all := make([]coprocessor.KeyRange, len(ranges))
	out := make([]*coprocessor.KeyRange, len(ranges))
	for i, r := range ranges {
		all[i] = coprocessor.KeyRange{Start: r.Start, End: r.End}
		out[i] = &all[i]
	}
	return out
}
