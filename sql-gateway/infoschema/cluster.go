package infoschema

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	pdhttp "github.com/tikv/pd/client/http"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// Cluster is what the placement driver knows of stores and regions.
type Cluster interface {
	StoreInfos(ctx context.Context) ([]pdhttp.StoreInfo, error)
	// RegionInfos lists up to limit regions in key order, from the one with the encoded key start on, as far as end.
	RegionInfos(ctx context.Context, start, end []byte, limit int) ([]pdhttp.RegionInfo, error)
	// LeaderAddr is where the placement driver is, host and port.
	LeaderAddr() string
}

// clusterProducers make the rows of tables that ask the placement driver.
var clusterProducers = map[string]func(context.Context, Source, Cluster) ([]Row, error){
	"CLUSTER_INFO":       clusterInfo,
	"TIKV_STORE_STATUS":  storeStatus,
	"TIKV_REGION_STATUS": regionStatus,
	"TIKV_REGION_PEERS":  regionPeers,
}

func clusterInfo(ctx context.Context, src Source, c Cluster) ([]Row, error) {
	stores, err := c.StoreInfos(ctx)
	if err != nil {
		return nil, err
	}
	g := src.Gateway()
	at := func(t time.Time) any { return t.In(src.Location()).Format(time.RFC3339) }
	up := func(t time.Time) string { return time.Since(t).Truncate(time.Second).String() }
	rows := []Row{
		{"tidb", g.Addr, g.StatusAddr, g.Version, g.Revision, at(g.Started), up(g.Started), uint64(1)},
		{"pd", c.LeaderAddr(), c.LeaderAddr(), nil, nil, nil, nil, nil},
	}
	for _, s := range stores {
		rows = append(rows, Row{"tikv", s.Store.Address, s.Store.StatusAddress, s.Store.Version, s.Store.GitHash,
			at(s.Status.StartTS), up(s.Status.StartTS), uint64(s.Store.ID)})
	}
	return rows, nil
}

func storeStatus(ctx context.Context, src Source, c Cluster) ([]Row, error) {
	stores, err := c.StoreInfos(ctx)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, s := range stores {
		st := s.Status
		rows = append(rows, Row{s.Store.ID, s.Store.Address, s.Store.State, s.Store.StateName, nil, s.Store.Version, st.Capacity, st.Available,
			st.LeaderCount, st.LeaderWeight, st.LeaderScore, st.LeaderSize, st.RegionCount, st.RegionWeight, st.RegionScore, st.RegionSize,
			st.StartTS.In(src.Location()), st.LastHeartbeatTS.In(src.Location()), st.Uptime})
	}
	return rows, nil
}

// span is a part of the keys that belongs to a table's rows, or to one of its indexes.
type span struct {
	start, end []byte // encoded
	table      *catalog.Table
	index      *catalog.Index // nil: the rows
}

// spans lists the parts of all tables in key order. They do not overlap.
func spans(schema *catalog.Snapshot) []span {
	var out []span
	for _, db := range schema.Databases() {
		for _, t := range schema.Tables(db.Name) {
			if !t.Virtual && t.View == nil {
				out = append(out, tableSpans(t)...)
			}
		}
	}
	slices.SortFunc(out, func(a, b span) int { return bytes.Compare(a.start, b.start) })
	return out
}

// tableSpans lists the parts of a table.
func tableSpans(t *catalog.Table) []span {
	encoded := func(r tablekey.Range, ix *catalog.Index) span {
		return span{memcmp.AppendBytes(nil, r.Start), memcmp.AppendBytes(nil, r.End), t, ix}
	}
	out := []span{encoded(tablekey.RecordRange(t.ID), nil)}
	for _, ix := range t.Indexes {
		if !ix.Clustered {
			out = append(out, encoded(tablekey.IndexRange(t.ID, ix.ID), ix))
		}
	}
	return out
}

// Region is a region with its bounds decoded to bytes: encoded keys, empty for none.
type Region struct {
	pdhttp.RegionInfo
	Start, End []byte
}

// regionsPage is the number of regions that one request asks for.
const regionsPage = 4096

// Regions lists the regions that have keys in [start, end): encoded keys, of which empty ones are no bounds.
func Regions(ctx context.Context, c Cluster, start, end []byte) ([]Region, error) {
	var out []Region
	for {
		page, err := c.RegionInfos(ctx, start, end, regionsPage)
		if err != nil {
			return nil, err
		}
		for _, info := range page {
			r := Region{RegionInfo: info}
			if r.Start, err = hex.DecodeString(info.StartKey); err == nil {
				r.End, err = hex.DecodeString(info.EndKey)
			}
			if err != nil {
				return nil, fmt.Errorf("bounds of region %d: %w", info.ID, err)
			}
			out = append(out, r)
		}
		if len(page) < regionsPage {
			return out, nil
		}
		if start = out[len(out)-1].End; len(start) == 0 {
			return out, nil
		}
	}
}

// regionStatus has a row for each part of a table that a region holds keys of, and one for each region without.
func regionStatus(ctx context.Context, src Source, c Cluster) ([]Row, error) {
	regions, err := Regions(ctx, c, nil, nil)
	if err != nil {
		return nil, err
	}
	var rows []Row
	parts := spans(src.Schema())
	for _, r := range regions {
		for len(parts) > 0 && bytes.Compare(parts[0].end, r.Start) <= 0 {
			parts = parts[1:]
		}
		found := false
		for i := range parts {
			p := &parts[i]
			if len(r.End) > 0 && bytes.Compare(p.start, r.End) >= 0 {
				break
			}
			rows, found = append(rows, regionRow(&r, p)), true
		}
		if !found {
			rows = append(rows, regionRow(&r, nil))
		}
	}
	return rows, nil
}

func regionRow(r *Region, p *span) Row {
	var tableID, db, table, isIndex, indexID, index any
	if p != nil {
		tableID, db, table, isIndex = p.table.ID, p.table.DB, p.table.Name, int64(0)
		if p.index != nil {
			isIndex, indexID, index = int64(1), p.index.ID, p.index.Name
		}
	}
	return Row{r.ID, r.StartKey, r.EndKey, tableID, db, table, isIndex, indexID, index, int64(0), nil, nil, r.Epoch.ConfVer, r.Epoch.Version,
		clamp(r.WrittenBytes), clamp(r.ReadBytes), r.ApproximateSize, r.ApproximateKeys, nil, nil, r.Leader.StoreID}
}

func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

func regionPeers(ctx context.Context, _ Source, c Cluster) ([]Row, error) {
	regions, err := Regions(ctx, c, nil, nil)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, r := range regions {
		for _, p := range r.Peers {
			state, down := peerState(&r, p)
			rows = append(rows, Row{r.ID, p.ID, p.StoreID, truth(p.IsLearner), truth(p.ID == r.Leader.ID), state, down})
		}
	}
	return rows, nil
}

// peerState is NORMAL, PENDING or DOWN, and for how many seconds.
func peerState(r *Region, p pdhttp.RegionPeer) (state string, down any) {
	for _, d := range r.DownPeers {
		if d.Peer.ID == p.ID {
			return "DOWN", d.DownSec
		}
	}
	if slices.ContainsFunc(r.PendingPeers, func(o pdhttp.RegionPeer) bool { return o.ID == p.ID }) {
		return "PENDING", nil
	}
	return "NORMAL", nil
}

func truth(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// FormatBound writes a region's bound as TiDB does: t_77_r_100 for a row, t_77_i_1_ and the values' bytes for an index entry,
// empty for none.
func FormatBound(encoded []byte) string {
	if len(encoded) == 0 {
		return ""
	}
	key, rest, err := memcmp.DecodeBytes(encoded, nil)
	if err != nil || len(rest) > 0 {
		return strings.ToUpper(hex.EncodeToString(encoded))
	}
	return formatKey(key)
}

// formatKey is FormatBound of a key that is not encoded.
func formatKey(key []byte) string {
	k, err := tablekey.Decode(key)
	if err != nil {
		return formatShort(key)
	}
	if k.Index {
		return fmt.Sprintf("t_%d_i_%d_%x", k.TableID, k.IndexID, k.Rest)
	}
	if h, err := tablekey.DecodeIntHandle(k.Rest); err == nil {
		return fmt.Sprintf("t_%d_r_%d", k.TableID, h)
	}
	return fmt.Sprintf("t_%d_r_%x", k.TableID, k.Rest)
}

// formatShort is FormatBound of what is no whole key of a table.
func formatShort(key []byte) string {
	if len(key) == tablekey.TablePrefixLen && key[0] == 't' {
		if id, err := tablekey.DecodeIntHandle(key[1:]); err == nil {
			return fmt.Sprintf("t_%d_", id)
		}
	}
	return hex.EncodeToString(key)
}
