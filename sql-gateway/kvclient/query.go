package kvclient

import (
	"bytes"
	"context"
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
func (c *Client) NewBackoff() *Backoff { return newBackoff(&c.opts, c.opts.ReadBudget) }

// Concurrency is the number of region requests that one operation should have in flight.
func (c *Client) Concurrency() int { return c.opts.Concurrency }

// Query sends req, whose context, ranges and timestamp it fills, to the region of t, with the rows that its receivers are
// given, and hands the batches to sink. again is true if nothing was delivered and t's ranges have to be cut anew: its region changed or a lock had to be
// dealt with.
func (s *Snapshot) Query(ctx context.Context, bo *Backoff, t Task, req *coprocessor.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (resp *coprocessor.Response, again bool, err error) {
	delivered := false
	var sinkErr error
	done, err := s.sendTo(ctx, bo, t.Region, func(st Store, r *Region) (*errorpb.Error, error) {
		req.Context, req.StartTs = s.context(r), s.ts
		req.Ranges = copRanges(t.Ranges)
		var err error
		resp, err = st.Query(ctx, req, given, func(b executor.Batch) error {
			delivered = true
			sinkErr = sink(b)
			return sinkErr
		})
		if err != nil && (delivered || sinkErr != nil) {
			err = permanent{err} // rows are out: asking again would repeat them
		}
		return resp.GetRegionError(), err
	})
	switch {
	case sinkErr != nil:
		return nil, false, sinkErr
	case err != nil:
		return nil, false, unavailable(t.Ranges[0].Start, err)
	case done && resp.Locked == nil:
		return resp, false, copError(resp)
	case delivered:
		return nil, false, fmt.Errorf("region %d changed in the middle of its answer", t.Region.Meta.Id)
	case done:
		return nil, true, s.Resolve(ctx, bo, resp.Locked)
	}
	return nil, true, nil
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
