package session

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// showRegions is SHOW TABLE t [INDEX i] REGIONS.
func showRegions(r *run, stmt *ast.ShowStmt) (*table, error) {
	t := newTable("#REGION_ID", "START_KEY", "END_KEY", "#LEADER_ID", "#LEADER_STORE_ID", "PEERS", "#SCATTERING", "#WRITTEN_BYTES",
		"#READ_BYTES", "#APPROXIMATE_SIZE(MB)", "#APPROXIMATE_KEYS", "SCHEDULING_CONSTRAINTS", "SCHEDULING_STATE")
	def, err := r.tableOf(stmt)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(def, stmt.IndexName.L)
	if err != nil {
		return nil, err
	}
	cluster := r.Cluster()
	if cluster == nil {
		return t, nil
	}
	regions, err := infoschema.Regions(r.ctx, cluster, memcmp.AppendBytes(nil, keys.Start), memcmp.AppendBytes(nil, keys.End))
	if err != nil {
		return nil, err
	}
	for _, g := range regions {
		peers := make([]string, len(g.Peers))
		for i, p := range g.Peers {
			peers[i] = strconv.FormatInt(p.ID, 10)
		}
		t.add(g.ID, infoschema.FormatBound(g.Start), infoschema.FormatBound(g.End), g.Leader.ID, g.Leader.StoreID, strings.Join(peers, ", "),
			int64(0), int64(g.WrittenBytes), int64(g.ReadBytes), g.ApproximateSize, g.ApproximateKeys, "", "")
	}
	return t, nil
}

// keysOf are the keys of a table, or of an index of it.
func keysOf(t *catalog.Table, index string) (tablekey.Range, error) {
	if t.Virtual || t.View != nil {
		return tablekey.Range{}, errCode(mysql.ErrWrongObject, t.DB, t.Name, "BASE TABLE")
	}
	if index == "" {
		return tablekey.TableRange(t.ID), nil
	}
	for _, ix := range t.Indexes {
		if strings.EqualFold(ix.Name, index) {
			if ix.Clustered {
				return tablekey.RecordRange(t.ID), nil
			}
			return tablekey.IndexRange(t.ID, ix.ID), nil
		}
	}
	return tablekey.Range{}, errCode(mysql.ErrKeyDoesNotExist, index, t.Name)
}

// splitRegionsMax bounds the regions that one SPLIT TABLE makes.
const splitRegionsMax = 1000

// splitTable is SPLIT TABLE t BETWEEN (low) AND (high) REGIONS n, and SPLIT TABLE t BY (v), (v) ..., for tables whose rows have
// integers for handles.
func (r *run) splitTable(stmt *ast.SplitRegionStmt, w *wire.Writer) error {
	if stmt.IndexName.L != "" || len(stmt.PartitionNames) > 0 || stmt.SplitSyntaxOpt != nil && stmt.SplitSyntaxOpt.HasPartition {
		return errNotSupported("SPLIT of an index or a partition")
	}
	db := stmt.Table.Schema.O
	if db == "" {
		db = r.s.db
	}
	def, err := r.Schema().Table(db, stmt.Table.Name.O)
	if err != nil {
		return err
	}
	if _, err := keysOf(def, ""); err != nil {
		return err
	}
	if def.CommonHandle {
		return errNotSupported("SPLIT TABLE where the primary key is no integer")
	}
	handles, err := r.splitHandles(stmt.SplitOpt)
	if err != nil {
		return err
	}
	keys := make([][]byte, len(handles))
	for i, h := range handles {
		keys[i] = tablekey.AppendRecordKey(nil, def.ID, tablekey.IntHandle(h))
	}
	if err := r.s.srv.client.Split(r.ctx, keys); err != nil {
		return err
	}
	t := newTable("#TOTAL_SPLIT_REGION", "#SCATTER_FINISH_RATIO")
	t.add(int64(len(keys)), int64(1))
	return r.reply(t, w)
}

// splitHandles are where to split.
func (r *run) splitHandles(o *ast.SplitOption) ([]int64, error) {
	if len(o.ValueLists) > 0 {
		return r.listedHandles(o.ValueLists)
	}
	low, err := r.handleOf(o.Lower)
	if err != nil {
		return nil, err
	}
	high, err := r.handleOf(o.Upper)
	if err != nil {
		return nil, err
	}
	if o.Num < 1 || o.Num > splitRegionsMax {
		return nil, sqlError(mysql.ErrUnknown, "Split table region num %d is out of range [1, %d]", o.Num, splitRegionsMax)
	}
	width := uint64(high) - uint64(low)
	if high <= low || width/uint64(o.Num) < 1 {
		return nil, sqlError(mysql.ErrUnknown, "Split table region lower value %d should be less than the upper value %d by at least the region num", low, high)
	}
	step := width / uint64(o.Num)
	var out []int64
	for i := uint64(1); i < uint64(o.Num); i++ {
		out = append(out, int64(uint64(low)+i*step))
	}
	return out, nil
}

func (r *run) listedHandles(lists [][]ast.ExprNode) ([]int64, error) {
	if len(lists) > splitRegionsMax {
		return nil, sqlError(mysql.ErrUnknown, "Split table into %d regions at most", splitRegionsMax)
	}
	var out []int64
	for _, list := range lists {
		h, err := r.handleOf(list)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// handleOf is the integer that a list of one expression is.
func (r *run) handleOf(list []ast.ExprNode) (int64, error) {
	if len(list) != 1 {
		return 0, sqlError(mysql.ErrWrongValueCountOnRow, "Column count doesn't match value count at row 1")
	}
	text, null, err := r.evalText(list[0])
	if err != nil {
		return 0, err
	}
	if u, uerr := strconv.ParseUint(text, 10, 64); uerr == nil && u > math.MaxInt64 {
		return int64(u), nil // of an unsigned key
	}
	h, err := strconv.ParseInt(text, 10, 64)
	if err != nil || null {
		return 0, errWrongValue("SPLIT TABLE", fmt.Sprintf("%q", text))
	}
	return h, nil
}
