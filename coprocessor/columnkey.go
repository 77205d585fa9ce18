package coprocessor

import (
	"fmt"
	"slices"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/storage/columnar"
)

// A column's key in a segment is a scan of it alone, encoded: all that the decoder of rows goes by, but for the table, which
// the record keys name, and the time zone, which matters to TIMESTAMPs alone. These are not kept in segments.

// columnKeys are the keys of a scan's columns; false where one of them has none.
func columnKeys(scan *tipb.TableScan) ([]columnar.ColumnKey, bool) {
	keys := make([]columnar.ColumnKey, len(scan.Columns))
	for i, c := range scan.Columns {
		if c.Tp == column.TypeTimestamp || c.ColumnId < row.ColumnHandle {
			return nil, false
		}
		one := tipb.TableScan{Columns: []*tipb.ColumnInfo{c}, PrimaryColumnIds: scan.PrimaryColumnIds, PrimaryPrefixColumnIds: scan.PrimaryPrefixColumnIds}
		key, err := one.Marshal()
		if err != nil {
			return nil, false
		}
		keys[i] = columnar.ColumnKey(key)
	}
	return keys, true
}

// scanOf is the scan of columns by their keys, as far as they agree with the first about the table's primary key: the columns
// that it has are those of kept.
func scanOf(tableID int64, keys []columnar.ColumnKey) (scan *tipb.TableScan, kept []columnar.ColumnKey, err error) {
	scan = &tipb.TableScan{TableId: tableID}
	for i, key := range keys {
		var one tipb.TableScan
		if err := one.Unmarshal([]byte(key)); err != nil {
			return nil, nil, fmt.Errorf("key of a column: %w", err)
		}
		if i == 0 {
			scan.PrimaryColumnIds, scan.PrimaryPrefixColumnIds = one.PrimaryColumnIds, one.PrimaryPrefixColumnIds
		}
		if slices.Equal(one.PrimaryColumnIds, scan.PrimaryColumnIds) && slices.Equal(one.PrimaryPrefixColumnIds, scan.PrimaryPrefixColumnIds) {
			scan.Columns = append(scan.Columns, one.Columns...)
			kept = append(kept, key)
		}
	}
	return scan, kept, nil
}
