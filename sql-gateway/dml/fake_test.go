package dml

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// memStore is a store that only reads; commit moves a transaction's writes into it.
type memStore struct {
	kvclient.Store
	data map[string][]byte
	gets int
}

func (s *memStore) KvGet(_ context.Context, r *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	v, ok := s.data[string(r.Key)]
	return &kvrpcpb.GetResponse{Value: v, NotFound: !ok}, nil
}

func (s *memStore) KvBatchGet(_ context.Context, r *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	s.gets++
	out := &kvrpcpb.BatchGetResponse{}
	for _, k := range r.Keys {
		if v, ok := s.data[string(k)]; ok {
			out.Pairs = append(out.Pairs, &kvrpcpb.KvPair{Key: k, Value: v})
		}
	}
	return out, nil
}

func (s *memStore) KvScan(_ context.Context, r *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error) {
	out := &kvrpcpb.ScanResponse{}
	for _, k := range s.keys() {
		if bytes.Compare([]byte(k), r.StartKey) < 0 || len(r.EndKey) > 0 && bytes.Compare([]byte(k), r.EndKey) >= 0 {
			continue
		}
		if len(out.Pairs) == int(r.Limit) {
			break
		}
		out.Pairs = append(out.Pairs, &kvrpcpb.KvPair{Key: []byte(k), Value: s.data[k]})
	}
	return out, nil
}

func (s *memStore) keys() []string {
	keys := make([]string, 0, len(s.data))
	for k := range s.data {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Placement: one region on one store.
func (s *memStore) TS(context.Context) (uint64, error) { return 1, nil }

func (s *memStore) Region(context.Context, []byte) (*metapb.Region, *metapb.Peer, error) {
	peer := &metapb.Peer{Id: 1, StoreId: 1}
	return &metapb.Region{Id: 1, RegionEpoch: &metapb.RegionEpoch{}, Peers: []*metapb.Peer{peer}}, peer, nil
}

func (s *memStore) ScanRegions(ctx context.Context, start, _ []byte, _ int) ([]*pdpb.Region, error) {
	r, leader, err := s.Region(ctx, start)
	return []*pdpb.Region{{Region: r, Leader: leader}}, err
}

type placement struct{ *memStore }

func (placement) Store(context.Context, uint64) (*metapb.Store, error) {
	return &metapb.Store{Id: 1, Address: "mem"}, nil
}

func (s *memStore) Dial(context.Context, string) (kvclient.Store, error) { return s, nil }

// world is a database of one gateway: tables by name, and a store.
type world struct {
	t        testing.TB
	store    *memStore
	client   *kvclient.Client
	tables   map[string]*catalog.Table
	warnings *expr.Warnings
	strict   bool
	zone     *time.Location
	nextInc  uint64
	nextRow  int64
}

func newWorld(t testing.TB) *world {
	s := &memStore{data: map[string][]byte{}}
	w := &world{t: t, store: s, client: kvclient.New(placement{s}, s, kvclient.Options{}), tables: map[string]*catalog.Table{}, strict: true, zone: time.UTC, nextInc: 1, nextRow: 1}
	t.Cleanup(func() { require.NoError(t, w.client.Close()) })
	return w
}

func (w *world) NextAutoInc(_ context.Context, _ *catalog.Table, n uint64) (uint64, error) {
	first := w.nextInc
	w.nextInc += n
	return first, nil
}

func (w *world) BumpAutoInc(_ context.Context, _ *catalog.Table, v uint64) error {
	w.nextInc = max(w.nextInc, v+1)
	return nil
}

func (w *world) NextRowID(_ context.Context, _ *catalog.Table, n uint64) (int64, error) {
	first := w.nextRow
	w.nextRow += int64(n)
	return first, nil
}

func (w *world) Table(_, name string) (*catalog.Table, error) {
	if t, ok := w.tables[strings.ToLower(name)]; ok {
		return t, nil
	}
	return nil, errorf(1146, "test", name)
}

func (w *world) RowCount(*catalog.Table) float64                   { return -1 }
func (w *world) NDV(*catalog.Table, int) float64                   { return 0 }
func (w *world) Analyzed(*catalog.Table) bool                      { return false }
func (w *world) SysVar(string, bool) (string, bool)                { return "", false }
func (w *world) UserVar(string) (d datum.Datum, _ *tipb.FieldType) { return d, nil }
func (w *world) Info(string) (d datum.Datum, ok bool)              { return d, false }
func (w *world) Now() time.Time                                    { return time.Date(2024, 2, 3, 4, 5, 6, 789_000_000, time.UTC) }

// env begins a transaction.
func (w *world) env(ctx context.Context) *Env {
	txn, err := w.client.Begin(ctx)
	require.NoError(w.t, err)
	w.warnings = &expr.Warnings{}
	e := &expr.Context{Location: w.zone, Warnings: w.warnings, SQLMode: expr.ModeNoZeroDate | expr.ModeNoZeroInDate}
	env := &Env{Plan: &planner.Context{Schema: w, DB: "test", Vars: w, Expr: e}, Txn: txn, IDs: w, Strict: w.strict}
	env.Runtime = memRuntime{env}
	env.Flush = func(ctx context.Context) error {
		w.commit(ctx, env.Txn)
		env.Txn, err = w.client.Begin(ctx)
		return err
	}
	return env
}

// commit applies a transaction's view to the store.
func (w *world) commit(ctx context.Context, txn *kvclient.Txn) {
	it := txn.Scan(ctx, kvclient.KeyRange{}, false)
	defer it.Close()
	next := map[string][]byte{}
	for {
		k, v, ok, err := it.Next()
		require.NoError(w.t, err)
		if !ok {
			w.store.data = next
			return
		}
		next[string(k)] = bytes.Clone(v)
	}
}

func parse(t testing.TB, sql string) ast.StmtNode {
	stmt, err := parser.New().ParseOneStmt(sql, "", "")
	require.NoError(t, err, sql)
	return stmt
}

// create makes a table of a CREATE TABLE statement. Primary keys of one integer are the handle, others common handles.
func (w *world) create(sql string) *catalog.Table {
	stmt := parse(w.t, sql).(*ast.CreateTableStmt)
	t := &catalog.Table{ID: int64(100 + len(w.tables)), DB: "test", Name: stmt.Table.Name.O, Charset: "utf8mb4", Collate: "utf8mb4_bin", IntHandle: -1}
	for i, c := range stmt.Cols {
		for _, o := range c.Options {
			if o.Tp == ast.ColumnOptionCollate {
				c.Tp.SetCollate(o.StrValue)
			}
		}
		ft, err := catalog.FieldTypeOf(c.Name.Name.O, c.Tp, t.Charset, t.Collate)
		require.NoError(w.t, err)
		col := &catalog.Column{ID: int64(i + 1), Name: c.Name.Name.O, Offset: i, Type: ft}
		for _, o := range c.Options {
			w.option(t, col, o)
		}
		t.Columns = append(t.Columns, col)
	}
	for _, c := range stmt.Constraints {
		ix := &catalog.Index{Name: c.Name, Primary: c.Tp == ast.ConstraintPrimaryKey}
		ix.Unique = ix.Primary || c.Tp == ast.ConstraintUniq
		for _, k := range c.Keys {
			off := slices.IndexFunc(t.Columns, func(col *catalog.Column) bool { return col.Name == k.Column.Name.O })
			length := k.Length
			if length <= 0 {
				length = -1
			}
			ix.Columns = append(ix.Columns, catalog.IndexColumn{Offset: off, Length: length})
		}
		w.addIndex(t, ix)
	}
	w.tables[strings.ToLower(t.Name)] = t
	return t
}

func (w *world) option(t *catalog.Table, col *catalog.Column, o *ast.ColumnOption) {
	switch o.Tp {
	case ast.ColumnOptionNotNull:
		col.Type.Flag |= column.FlagNotNull
	case ast.ColumnOptionAutoIncrement:
		col.Type.Flag |= column.FlagAutoIncr
	case ast.ColumnOptionPrimaryKey:
		w.addIndex(t, &catalog.Index{Primary: true, Unique: true, Columns: []catalog.IndexColumn{{Offset: col.Offset, Length: -1}}}, col)
	case ast.ColumnOptionOnUpdate:
		col.OnUpdateNow = true
	case ast.ColumnOptionDefaultValue:
		col.HasDefault = true
		if v, ok := o.Expr.(*driver.ValueExpr); !ok {
			col.DefaultExpr = "CURRENT_TIMESTAMP"
		} else if v.Kind() == driver.KindNull {
			col.DefaultNull = true
		} else {
			d, _ := literalValue(&field{}, v)
			col.Default = string((&converter{}).text(d, nil))
		}
	}
}

func (w *world) addIndex(t *catalog.Table, ix *catalog.Index, cols ...*catalog.Column) {
	ix.ID = int64(len(t.Indexes) + 1)
	t.Indexes = append(t.Indexes, ix)
	if !ix.Primary {
		return
	}
	ix.Name, ix.Clustered = "PRIMARY", true
	for _, p := range ix.Columns {
		col := append(t.Columns, cols...)[p.Offset]
		col.Type.Flag |= column.FlagNotNull
		if kind := column.KindOf(col.Type); len(ix.Columns) == 1 && (kind == column.Int64 || kind == column.Uint64) && col.Type.Tp <= column.TypeInt24 && col.Type.Tp != column.TypeTimestamp {
			t.IntHandle = p.Offset
			return
		}
	}
	t.CommonHandle = true
}
