package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/scree-db/scree/storage"
)

// versionsProperty is on disk: changing what the collector computes needs a new name.
const versionsProperty = "scree.versions"

// versionCounts is what each table remembers about its records of CFWrite. Values are not shown to those who count, so a
// delete mark counts like any other version.
type versionCounts struct {
	records uint64
	rows    uint64 // distinct user keys
	mostOf  uint64 // records of the row that has the most
	minTS   uint64 // least commit timestamp; MaxUint64 without records
	// hiddenTS is the least commit timestamp of a record that has an older one beneath it: from that safe point on there
	// may be garbage. MaxUint64 if each row has one record.
	hiddenTS uint64
}

var noVersions = versionCounts{minTS: math.MaxUint64, hiddenTS: math.MaxUint64}

func (c *versionCounts) append(dst []byte) []byte {
	for _, v := range []uint64{c.records, c.rows, c.mostOf, c.minTS, c.hiddenTS} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

func parseVersionCounts(b []byte) (c versionCounts, ok bool) {
	for _, v := range []*uint64{&c.records, &c.rows, &c.mostOf, &c.minTS, &c.hiddenTS} {
		n := 0
		if *v, n = binary.Uvarint(b); n <= 0 {
			return c, false
		}
		b = b[n:]
	}
	return c, true
}

// versionCollector counts while a table is written. Only the table as a whole has the property.
type versionCollector struct {
	counts versionCounts
	row    []byte // the user key of the last record, with the family byte
	ofRow  uint64
	lastTS uint64
}

var _ sstable.BlockPropertyCollector = (*versionCollector)(nil)

func newVersionCollector() sstable.BlockPropertyCollector {
	return &versionCollector{counts: noVersions}
}

// Name implements sstable.BlockPropertyCollector.
func (c *versionCollector) Name() string { return versionsProperty }

// AddPointKey implements sstable.BlockPropertyCollector.
func (c *versionCollector) AddPointKey(key pebble.InternalKey, _ []byte) error {
	k := key.UserKey
	if len(k) == 0 || storage.CF(k[0]) != storage.CFWrite || !isSet(key.Kind()) {
		return nil
	}
	n := split(k)
	if len(k)-n != timestampSize {
		return nil
	}
	ts := ^binary.BigEndian.Uint64(k[n:])
	c.counts.records++
	c.counts.minTS = min(c.counts.minTS, ts)
	if bytes.Equal(c.row, k[:n]) {
		c.ofRow++
		c.counts.hiddenTS = min(c.counts.hiddenTS, c.lastTS)
	} else {
		c.row, c.ofRow = append(c.row[:0], k[:n]...), 1
		c.counts.rows++
	}
	c.lastTS = ts
	c.counts.mostOf = max(c.counts.mostOf, c.ofRow)
	return nil
}

func isSet(kind pebble.InternalKeyKind) bool {
	return kind == pebble.InternalKeyKindSet || kind == pebble.InternalKeyKindSetWithDelete
}

// FinishTable implements sstable.BlockPropertyCollector.
func (c *versionCollector) FinishTable(buf []byte) ([]byte, error) { return c.counts.append(buf), nil }

// FinishDataBlock implements sstable.BlockPropertyCollector.
func (c *versionCollector) FinishDataBlock(buf []byte) ([]byte, error) { return buf, nil }

// AddPrevDataBlockToIndexBlock implements sstable.BlockPropertyCollector.
func (c *versionCollector) AddPrevDataBlockToIndexBlock() {}

// FinishIndexBlock implements sstable.BlockPropertyCollector.
func (c *versionCollector) FinishIndexBlock(buf []byte) ([]byte, error) { return buf, nil }

// AddRangeKeys implements sstable.BlockPropertyCollector. There are no range keys.
func (c *versionCollector) AddRangeKeys(sstable.Span) error { return nil }

// SupportsSuffixReplacement implements sstable.BlockPropertyCollector.
func (c *versionCollector) SupportsSuffixReplacement() bool { return false }

// AddCollectedWithSuffixReplacement implements sstable.BlockPropertyCollector.
func (c *versionCollector) AddCollectedWithSuffixReplacement(_ []byte, _, _ []byte) error {
	return errors.New("suffixes are not replaced")
}
