package engine

import (
	"encoding/binary"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/scree-db/scree/storage"
)

// commitTSProperty is on disk: changing what the collector computes needs a new name.
const commitTSProperty = "scree.committs"

// commitTSMapper feeds the block property: the interval of commit timestamps of the CFWrite keys in a block. Keys of
// other families count for nothing, a CFWrite key without a timestamp counts for all of them.
//
// A deletion has the timestamp of what it deletes. A filter may drop a block with the deletion and keep one with the
// deleted version, which then shows up; as its timestamp lies below MinTS, readers skip it anyway.
type commitTSMapper struct{}

func newCommitTSCollector() pebble.BlockPropertyCollector {
	return sstable.NewBlockIntervalCollector(commitTSProperty, commitTSMapper{}, nil)
}

func newCommitTSFilter(minTS uint64) pebble.BlockPropertyFilter {
	return sstable.NewBlockIntervalFilter(commitTSProperty, min(minTS, math.MaxUint64-1), math.MaxUint64, nil)
}

// MapPointKey implements sstable.IntervalMapper.
func (commitTSMapper) MapPointKey(key pebble.InternalKey, _ []byte) (sstable.BlockInterval, error) {
	k := key.UserKey
	if len(k) == 0 || storage.CF(k[0]) != storage.CFWrite {
		return sstable.BlockInterval{}, nil
	}
	n := split(k)
	if len(k)-n != timestampSize {
		return sstable.BlockInterval{Upper: math.MaxUint64}, nil
	}
	ts := min(^binary.BigEndian.Uint64(k[n:]), math.MaxUint64-1)
	return sstable.BlockInterval{Lower: ts, Upper: ts + 1}, nil
}

// MapRangeKeys implements sstable.IntervalMapper. There are no range keys.
func (commitTSMapper) MapRangeKeys(sstable.Span) (sstable.BlockInterval, error) {
	return sstable.BlockInterval{}, nil
}
