package engine

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/scree-db/scree/storage"
)

// Versions estimates what garbage collection would find in a range of CFWrite: from what tables remember about their
// records, and from samples of the memtables. Nothing of the data is read.
type Versions struct {
	Records uint64 // all write records
	// Hidden records lie beneath a newer one of their row in the same table, and have not been deleted since.
	Hidden uint64
	// Layered records may hide others: they are in a memtable, or in a table that lies above another.
	Layered uint64
	// MostOfRow is the greatest number of records that a row has in one table.
	MostOfRow uint64
}

// Versions describes [start, end) of CFWrite for a collection at safePoint: what is newer hides nothing yet.
func (e *Engine) Versions(start, end []byte, safePoint uint64) (v Versions, err error) {
	tables, err := e.tables(storage.CFWrite, start, end)
	if err != nil {
		return v, err
	}
	mem := e.unflushed.in(start, end)
	deletions := mem.deletions
	for i := range tables {
		t := &tables[i]
		v.Records += t.part(t.versions.records)
		deletions += t.part(t.deletions)
		if t.versions.hiddenTS <= safePoint {
			v.Hidden += t.part(t.versions.records - t.versions.rows)
			v.MostOfRow = max(v.MostOfRow, t.versions.mostOf)
		}
		if t.versions.minTS <= safePoint && t.coversAny(tables[i+1:]) {
			v.Layered += t.part(t.versions.records)
		}
	}
	v.Hidden -= min(v.Hidden, deletions)
	v.Records += mem.records
	v.Layered += mem.records
	return v, nil
}

// Deletions estimates how many entries [start, end) of a family has, and how many of them are deletions that no compaction
// has come by yet. Readers step over both a deletion and what it deletes. A range deletion in a table counts for the
// number of keys from which on one is worth its while.
func (e *Engine) Deletions(cf storage.CF, start, end []byte) (entries, deletions uint64, err error) {
	tables, err := e.tables(cf, start, end)
	if err != nil {
		return 0, 0, err
	}
	for i := range tables {
		t := &tables[i]
		entries += t.part(t.entries)
		deletions += t.part(t.deletions)
	}
	if mem := e.unflushed.in(start, end); cf == storage.CFWrite {
		entries += mem.records + mem.deletions
		deletions += mem.deletions
	}
	return entries, deletions, nil
}

// RangeDeletions is the number of range deletions in memtables. The space of what they delete comes back only after they
// are flushed.
func (e *Engine) RangeDeletions() int {
	e.unflushed.mu.Lock()
	defer e.unflushed.mu.Unlock()
	return e.unflushed.ranges
}

// RangeWorth is the number of neighbouring keys from which on a range deletion is better than one for each.
const RangeWorth = 64

// table is what is known of a table that has keys of a range.
type table struct {
	smallest, largest  []byte // within the range, with the family byte
	level              int
	share              float64 // of it that lies in the range
	entries, deletions uint64  // of the whole table
	versions           versionCounts
}

// part scales a count of the table to the range.
func (t *table) part(n uint64) uint64 { return uint64(float64(n)*t.share + 0.5) }

// coversAny tells whether the table has keys between those of an older one with records. Tables of L0 are taken to lie
// over each other.
func (t *table) coversAny(older []table) bool {
	for i := range older {
		o := &older[i]
		if (o.level > t.level || o.level == 0) && o.versions.records > 0 &&
			bytes.Compare(t.smallest, o.largest) <= 0 && bytes.Compare(o.smallest, t.largest) <= 0 {
			return true
		}
	}
	return false
}

// tables lists the tables with keys of a range, those of L0 first.
func (e *Engine) tables(cf storage.CF, start, end []byte) ([]table, error) {
	lower, upper := familyBounds(cf, start, end)
	if bytes.Compare(lower, upper) >= 0 {
		return nil, nil
	}
	levels, err := e.db.SSTables(pebble.WithProperties(), pebble.WithKeyRangeFilter(lower, upper), pebble.WithApproximateSpanBytes())
	if err != nil {
		return nil, fmt.Errorf("table properties: %w", err)
	}
	var out []table
	for level, infos := range levels {
		for i := range infos {
			out = append(out, newTable(&infos[i], level, lower, upper))
		}
	}
	return out, nil
}

func newTable(info *pebble.SSTableInfo, level int, lower, upper []byte) table {
	t := table{
		smallest: info.Smallest.UserKey, largest: info.Largest.UserKey, level: level,
		share:   float64(info.ApproximateSpanBytes) / float64(max(info.Size, 1)),
		entries: info.Properties.NumEntries, versions: noVersions,
		deletions: info.Properties.NumPointDeletions() + RangeWorth*info.Properties.NumRangeDeletions,
	}
	if bytes.Compare(t.smallest, lower) < 0 {
		t.smallest = lower
	}
	if bytes.Compare(t.largest, upper) > 0 {
		t.largest = upper
	}
	t.share = min(t.share, 1)
	// Pebble puts a byte of its own before the property. A part of a table, cut off by Pebble, has lost it.
	if p := info.Properties.UserProperties[versionsProperty]; len(p) > 1 {
		if c, ok := parseVersionCounts([]byte(p[1:])); ok {
			t.versions = c
		}
	}
	return t
}
