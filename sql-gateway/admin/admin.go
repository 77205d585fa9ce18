// Package admin looks into a cluster for those who run it: its stores and regions, and what is stored under a key, with all
// versions and locks. It is what `scree ctl` prints. Keys are named by their bytes or by a table's name; see ParseKey.
//
// Each call returns a Table, which has columns for people and, in JSON, the same under the columns' names.
package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/kvproto/pkg/debugpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Placement is what is asked of the placement driver.
type Placement interface {
	Stores(ctx context.Context) ([]*metapb.Store, error)
	// ScanRegions lists up to limit regions in key order, from the one with the encoded key start on, as far as end.
	ScanRegions(ctx context.Context, start, end []byte, limit int) ([]*pdpb.Region, error)
	GCState(ctx context.Context) (*pdpb.GCState, error)
}

// Dialer reaches the stores' debugging interface by their addresses.
type Dialer interface {
	Debug(addr string) (debugpb.DebugClient, error)
}

// Admin works through a client of the cluster.
type Admin struct {
	kv   *kvclient.Client
	pd   Placement
	dial Dialer
}

// New makes an Admin.
func New(kv *kvclient.Client, pd Placement, dial Dialer) *Admin { return &Admin{kv, pd, dial} }

// Table is an answer.
type Table struct {
	Columns []string
	Rows    [][]any // uint64, int, string, bool
}

func (t *Table) add(cells ...any) { t.Rows = append(t.Rows, cells) }

// Stores lists the stores with the regions that they hold and lead.
func (a *Admin) Stores(ctx context.Context) (*Table, error) {
	stores, err := a.pd.Stores(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(stores, func(a, b *metapb.Store) int { return int(a.Id) - int(b.Id) })
	held, led := make(map[uint64]int), make(map[uint64]int)
	err = a.eachRegion(ctx, nil, nil, func(r *pdpb.Region) {
		led[r.Leader.GetStoreId()]++
		for _, p := range r.Region.Peers {
			held[p.StoreId]++
		}
	})
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"id", "address", "status_address", "state", "version", "regions", "leaders"}}
	for _, s := range stores {
		t.add(s.Id, s.Address, s.StatusAddress, s.State.String(), s.Version, held[s.Id], led[s.Id])
	}
	return t, nil
}

// Regions lists the regions with keys of r.
func (a *Admin) Regions(ctx context.Context, r kvclient.KeyRange) (*Table, error) {
	names, err := a.tableNames(ctx)
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"id", "start", "end", "begins_in", "leader_store", "stores", "epoch"}}
	err = a.eachRegion(ctx, encodedBound(r.Start), encodedBound(r.End), func(r *pdpb.Region) {
		start, end := decodedBound(r.Region.StartKey), decodedBound(r.Region.EndKey)
		var stores []string
		for _, p := range r.Region.Peers {
			stores = append(stores, fmt.Sprint(p.StoreId))
		}
		t.add(r.Region.Id, FormatKey(start), FormatKey(end), names.place(start), r.Leader.GetStoreId(), strings.Join(stores, ","),
			fmt.Sprintf("%d.%d", r.Region.RegionEpoch.GetVersion(), r.Region.RegionEpoch.GetConfVer()))
	})
	return t, err
}

// regionsPage is the number of regions that one request asks for.
const regionsPage = 512

// eachRegion visits the regions of a range of encoded keys.
func (a *Admin) eachRegion(ctx context.Context, start, end []byte, visit func(*pdpb.Region)) error {
	for {
		page, err := a.pd.ScanRegions(ctx, start, end, regionsPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			visit(r)
		}
		if len(page) < regionsPage {
			return nil
		}
		if start = page[len(page)-1].Region.EndKey; len(start) == 0 {
			return nil
		}
	}
}

func encodedBound(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	return memcmp.AppendBytes(nil, key)
}

// decodedBound is the user key of a region's bound. One that splits raw keys is shown as it is.
func decodedBound(encoded []byte) []byte {
	key, rest, err := memcmp.DecodeBytes(encoded, nil)
	if err != nil || len(rest) > 0 {
		return encoded
	}
	return key
}

// GC tells the safe points and what holds them.
func (a *Admin) GC(ctx context.Context) (*Table, error) {
	state, err := a.pd.GCState(ctx)
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"what", "timestamp", "time"}}
	t.add("gc safe point", state.GcSafePoint, FormatTS(state.GcSafePoint))
	t.add("txn safe point", state.TxnSafePoint, FormatTS(state.TxnSafePoint))
	for _, b := range state.GcBarriers {
		t.add("barrier "+b.BarrierId, b.BarrierTs, FormatTS(b.BarrierTs))
	}
	return t, nil
}

// Flashback puts all tables of the cluster back to what they were at a timestamp, with no regard to gateways: it is for a
// flashback that one of them could not finish, which leaves regions closed.
func (a *Admin) Flashback(ctx context.Context, ts uint64) (*Table, error) {
	if err := catalog.PutBack(ctx, catalog.FromClient(a.kv), ts); err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"back_to", "time"}}
	t.add(ts, FormatTS(ts))
	return t, nil
}

// Split cuts a region in two at a key.
func (a *Admin) Split(ctx context.Context, key []byte) (*Table, error) {
	if len(key) == 0 {
		return nil, fmt.Errorf("split: %w", errNoKey)
	}
	if err := a.kv.Split(ctx, [][]byte{key}); err != nil {
		return nil, err
	}
	names, err := a.tableNames(ctx)
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"region_begins_at", "of"}}
	t.add(FormatKey(key), names.place(key))
	return t, nil
}

// families are those of transactional data.
var families = []string{"write", "default", "lock"}

// dataPrefix is what stands before data keys in the debugging interface.
const dataPrefix = "z"

// Compact has every store rewrite its data of r, one after another, and tells how long each took.
func (a *Admin) Compact(ctx context.Context, r kvclient.KeyRange) (*Table, error) {
	stores, err := a.pd.Stores(ctx)
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"store", "family", "took"}}
	for _, s := range stores {
		store, err := a.dial.Debug(s.Address)
		if err != nil {
			return t, err
		}
		for _, cf := range families {
			begin := time.Now()
			_, err := store.Compact(ctx, &debugpb.CompactRequest{
				Db: debugpb.DB_KV, Cf: cf, FromKey: dataBound(r.Start), ToKey: dataBound(r.End),
			})
			if err != nil {
				return t, fmt.Errorf("store %d: %w", s.Id, err)
			}
			t.add(s.Id, cf, time.Since(begin).Round(time.Millisecond).String())
		}
	}
	return t, nil
}

func dataBound(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	return memcmp.AppendBytes([]byte(dataPrefix), key)
}
