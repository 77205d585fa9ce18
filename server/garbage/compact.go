package garbage

import (
	"bytes"
	"context"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

const (
	// Ranges with that many deletions, and so many among a hundred entries, are rewritten.
	denseDeletions = 1000
	densePercent   = 30
)

// families are those that transactions delete from.
var families = []storage.CF{storage.CFWrite, storage.CFDefault, storage.CFLock}

// keyRange is a range of encoded keys; empty bounds are open.
type keyRange struct{ start, end []byte }

// compactAll rewrites what is dense with deletions. Regions that nothing was written to since the last look are left
// alone: the engine's own compactions go on without being asked.
func (c *Collector) compactAll(ctx context.Context, regions []raftstore.RegionStatus) error {
	var changed []keyRange
	for i := range regions {
		r := &regions[i]
		if r.Region == nil || c.seen[r.Region.Id] == r.AppliedIndex {
			continue
		}
		c.seen[r.Region.Id] = r.AppliedIndex
		changed = append(changed, keyRange{r.Region.StartKey, r.Region.EndKey})
	}
	for _, cf := range families {
		dense, err := c.dense(cf, changed)
		if err != nil {
			return err
		}
		for _, r := range dense {
			begin := c.opts.Now()
			if err := c.d.Data.Compact(ctx, cf, r.start, r.end); err != nil {
				return err
			}
			c.rewritten.Add(1)
			c.d.Logger.Debug("deletions compacted", "family", string(rune(cf)), "took", c.opts.Now().Sub(begin))
		}
	}
	return nil
}

// dense picks the ranges that are worth rewriting. Neighbours become one: tables often lie in both.
func (c *Collector) dense(cf storage.CF, ranges []keyRange) (out []keyRange, err error) {
	for _, r := range ranges {
		entries, deletions, err := c.d.Data.Deletions(cf, r.start, r.end)
		if err != nil {
			return nil, err
		}
		if deletions < denseDeletions || deletions*100 < entries*densePercent {
			continue
		}
		if last := len(out) - 1; last >= 0 && len(r.start) > 0 && bytes.Equal(out[last].end, r.start) {
			out[last].end = r.end
			continue
		}
		out = append(out, r)
	}
	return out, nil
}
