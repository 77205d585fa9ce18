package executor

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/agg"
)

// frozenGroups are the groups that an aggregation had when memory became tight, where its functions need all rows of a group
// together: DISTINCT, or GROUP_CONCAT in an order. Their rows go on into the table; those of other groups go to files, by a
// hash of the group, and are aggregated file by file when the table's groups are put out. What a frozen group holds still
// grows, but for values of DISTINCT, see overflow: a few groups of long lists that do not fit in memory end the query.
//
// Groups are known by the hashes of their keys. A group that shares its hash with a frozen one is taken for it, from its
// first row on: it joins the table, which does no harm.
type frozenGroups struct {
	hasher *agg.Hasher
	hashes map[uint64]struct{}
	buf    []uint64
	inside []int32
	others []int32
}

// frozenBytes is what a hash takes in the set.
const frozenBytes = 20

func (f *frozenGroups) bytes() int64 {
	if f == nil {
		return 0
	}
	return int64(frozenBytes * len(f.hashes))
}

// freeze stops the table, whose rows were split depth times before, from growing by new groups.
func (a *aggregation) freeze(depth int) (err error) {
	f := &frozenGroups{hashes: make(map[uint64]struct{}, a.table.count)}
	if f.hasher, err = agg.NewHasher(a.plan.keys()); err != nil {
		return err
	}
	for from := 0; from < a.table.count; from += column.BatchSize {
		to := min(from+column.BatchSize, a.table.count)
		f.buf = f.hasher.Hash(a.table.grouper.Keys(from, to), to-from, f.buf)
		for _, h := range f.buf {
			f.hashes[h] = struct{}{}
		}
	}
	if a.parts, err = newPartitions(&a.account, a.plan.types, a.plan.keys(), depth); err != nil {
		return err
	}
	a.frozen = f
	return nil
}

// setAside puts the rows of groups that are not frozen into files, and returns the others.
func (a *aggregation) setAside(cols []arrow.Array, rows int) ([]arrow.Array, int, error) {
	f := a.frozen
	keys := cols[a.plan.keysAt:][:a.plan.groupBy]
	f.buf = f.hasher.Hash(keys, rows, f.buf)
	f.inside, f.others = f.inside[:0], f.others[:0]
	for i, h := range f.buf {
		if _, ok := f.hashes[h]; ok {
			f.inside = append(f.inside, int32(i))
		} else {
			f.others = append(f.others, int32(i))
		}
	}
	if len(f.others) == 0 {
		return cols, rows, nil
	}
	if err := a.parts.add(Batch{Cols: cols, Sel: f.others, Rows: rows}, gatherAll(nil, keys, f.others)); err != nil {
		return nil, 0, err
	}
	return gatherAll(nil, cols, f.inside), len(f.inside), nil
}
