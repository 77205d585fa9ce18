package planner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// world is a cluster for tests: a catalog and sorted key-value pairs in memory. Pushed DAGs run as a store would run them,
// range by range, so that partial aggregates have something to merge.
type world struct {
	t    testing.TB
	cat  *catalog.Catalog
	db   string
	kv   []pair
	rows map[string]float64 // row counts by table, where a test wants to say them
	expr *expr.Context
	vars map[string]string
	// reads counts the ranges that were read, per table.
	reads map[string]int
	given int // build sides that the reads had to join with
	next  int64
}

type pair struct{ key, val []byte }

func newWorld(t testing.TB) *world {
	cat, err := catalog.Open(context.Background(), &metaStore{data: map[string][]byte{}}, catalog.Options{Now: func() time.Time { return time.Unix(0, 0) }})
	require.NoError(t, err)
	w := &world{t: t, cat: cat, db: "test", rows: map[string]float64{}, reads: map[string]int{},
		vars: map[string]string{"collation_connection": "utf8mb4_bin", "sql_mode": "ONLY_FULL_GROUP_BY", "version_comment": "Scree", "autocommit": "ON"},
		expr: &expr.Context{Flags: 32 | 2, Location: time.UTC, DivPrecisionIncrement: 4, Warnings: &expr.Warnings{}, Random: func() uint64 { return 1 << 62 }}}
	w.ddl("CREATE DATABASE IF NOT EXISTS test")
	return w
}

func (w *world) parse(sql string) ast.StmtNode {
	stmt, err := parser.New().ParseOneStmt(sql, "", "")
	require.NoError(w.t, err, sql)
	return stmt
}

func (w *world) ddl(sql string) {
	var err error
	switch s := w.parse(sql).(type) {
	case *ast.CreateDatabaseStmt:
		_, err = w.cat.CreateDatabase(context.Background(), s)
	case *ast.CreateTableStmt:
		_, err = w.cat.CreateTable(context.Background(), w.db, s)
	case *ast.CreateViewStmt:
		err = w.cat.CreateView(context.Background(), w.db, s, nil, s.Select.Text(), "root@%")
	default:
		w.t.Fatalf("%T", s)
	}
	require.NoError(w.t, err, sql)
}

func (w *world) context() *Context {
	return &Context{Schema: w, DB: w.db, Vars: w, Expr: w.expr}
}

// Table, RowCount and NDV make world a Schema.
func (w *world) Table(db, name string) (*catalog.Table, error) {
	t, err := w.cat.Current().Table(db, name)
	if err != nil {
		return nil, &Error{Code: 1146, Message: fmt.Sprintf("Table '%s.%s' doesn't exist", db, name)}
	}
	return t, nil
}

func (w *world) RowCount(t *catalog.Table) float64 {
	if n, ok := w.rows[strings.ToLower(t.Name)]; ok {
		return n
	}
	return -1
}

func (w *world) NDV(*catalog.Table, int) float64 { return 0 }

func (w *world) Analyzed(t *catalog.Table) bool { return t.Name == "analyzed" }

// SysVar and the rest make world a Vars.
func (w *world) SysVar(name string, _ bool) (string, bool) { v, ok := w.vars[name]; return v, ok }

func (w *world) UserVar(string) (datum.Datum, *tipb.FieldType) { return datum.NewInt64(7), nil }

func (w *world) Info(name string) (datum.Datum, bool) {
	switch name {
	case "DATABASE":
		return datum.NewString(w.db), true
	case "VERSION":
		return datum.NewString("8.0.11-Scree"), true
	case "CONNECTION_ID", "LAST_INSERT_ID":
		return datum.NewUint64(5), true
	}
	return datum.Datum{}, false
}

func (w *world) Now() time.Time { return time.Date(2024, 2, 29, 13, 14, 15, 987654000, time.UTC) }

// insert adds rows, values as text in the columns' order; "NULL" is NULL.
func (w *world) insert(table string, lines ...string) {
	t, err := w.Table(w.db, table)
	require.NoError(w.t, err)
	for _, l := range lines {
		w.insertRow(t, strings.Split(l, "|"))
	}
	w.sort()
}

func (w *world) sort() {
	sort.Slice(w.kv, func(i, k int) bool { return bytes.Compare(w.kv[i].key, w.kv[k].key) < 0 })
}

func (w *world) insertRow(t *catalog.Table, fields []string) {
	require.Equal(w.t, len(t.Columns), len(fields), "%s: %v", t.Name, fields)
	vals := make([]datum.Datum, len(fields))
	var enc row.Encoder
	handleCol := map[int]bool{}
	for _, off := range t.HandleColumns() {
		handleCol[off] = true
	}
	for i, f := range fields {
		c := t.Columns[i]
		vals[i] = w.datum(f, c.Type)
		if vals[i].IsNull() {
			enc.AppendNull(c.ID)
		} else if i != t.IntHandle {
			require.NoError(w.t, enc.AppendDatum(c.ID, vals[i], c.Type))
		}
	}
	var handle []byte
	switch {
	case t.IntHandle >= 0:
		handle = tablekey.IntHandle(vals[t.IntHandle].Int64())
	case t.CommonHandle:
		for _, off := range t.HandleColumns() {
			var err error
			handle, err = datum.AppendKey(handle, vals[off], t.Columns[off].Type)
			require.NoError(w.t, err)
		}
	default:
		w.next++
		handle = tablekey.IntHandle(w.next)
	}
	val, err := enc.Encode(nil)
	require.NoError(w.t, err)
	w.kv = append(w.kv, pair{tablekey.AppendRecordKey(nil, t.ID, handle), val})
	w.insertEntries(t, vals, handle)
}

func (w *world) insertEntries(t *catalog.Table, vals []datum.Datum, handle []byte) {
	for _, ix := range t.Indexes {
		if ix.Clustered {
			continue
		}
		key := tablekey.IndexPrefix(t.ID, ix.ID)
		unique := ix.Unique
		for _, c := range ix.Columns {
			var err error
			key, err = datum.AppendKey(key, vals[c.Offset], t.Columns[c.Offset].Type)
			require.NoError(w.t, err)
			unique = unique && !vals[c.Offset].IsNull()
		}
		var val []byte
		if t.CommonHandle {
			var in []byte
			if unique {
				in = handle
			} else {
				key = append(key, handle...)
			}
			var err error
			val, err = row.AppendCommonIndexValue(nil, in, nil)
			require.NoError(w.t, err)
		} else {
			h, err := tablekey.DecodeIntHandle(handle)
			require.NoError(w.t, err)
			if !unique {
				key = append(append(key, 3), handle...)
			}
			val = row.AppendIndexValue(nil, unique, h, nil)
		}
		w.kv = append(w.kv, pair{key, val})
	}
}

func (w *world) datum(text string, ft *tipb.FieldType) datum.Datum {
	if text == "NULL" {
		return datum.Datum{}
	}
	switch evalOf(ft) {
	case evalInt:
		v, err := strconv.ParseInt(text, 10, 64)
		require.NoError(w.t, err)
		if isUnsigned(ft) {
			return datum.NewUint64(uint64(v))
		}
		return datum.NewInt64(v)
	case evalDecimal:
		d, _, err := value.ParseDecimal([]byte(text))
		require.NoError(w.t, err)
		return datum.NewDecimal(d.Rescale(column.Scale(ft)))
	case evalReal:
		v, err := strconv.ParseFloat(text, 64)
		require.NoError(w.t, err)
		return datum.NewFloat64(v)
	case evalTime:
		v, err := value.ParseTime([]byte(text), byte(ft.Tp), fspOf(ft), time.UTC, value.TimeMode{})
		require.NoError(w.t, err)
		return datum.NewTime(v)
	}
	return datum.NewString(text)
}

// Read, Virtual and Env make world a Runtime.
func (w *world) Read(_ context.Context, req *ReadRequest) (executor.Operator, error) {
	for i := 1; i < len(req.Ranges); i++ {
		require.Less(w.t, string(req.Ranges[i-1].End), string(req.Ranges[i].Start), "ranges are sorted and disjoint")
	}
	tree, err := executor.Tree(req.DAG.Executors)
	if err != nil {
		return nil, err
	}
	env := executor.Env{Expr: w.expr, Partial: true}
	w.given += len(req.Given)
	var ops []executor.Operator
	for _, part := range w.split(req) {
		op, err := executor.BuildOutput(tree, req.DAG.OutputOffsets, executor.WithGiven(req.Given, func(e *tipb.Executor) (executor.Operator, error) {
			if e.TblScan != nil {
				return executor.NewTableScan(e.TblScan, part, w.expr)
			}
			return executor.NewIndexScan(e.IdxScan, part, w.expr)
		}), &env)
		if err != nil {
			return nil, err
		}
		pick := &pickOp{Operator: op}
		for _, off := range req.DAG.OutputOffsets {
			pick.offsets, pick.fields = append(pick.offsets, int(off)), append(pick.fields, op.Fields()[off])
		}
		ops = append(ops, pick)
	}
	w.reads[req.Table.Name] += len(req.Ranges)
	for i, ft := range ops[0].Fields() {
		require.Equal(w.t, column.KindOf(req.Fields[i]), column.KindOf(ft), "column %d of %s", i, req.Table.Name)
	}
	return executor.NewUnion(ops...), nil
}

// split cuts the pairs of the ranges into two "regions".
func (w *world) split(req *ReadRequest) []*pairs {
	var all []pair
	for _, r := range req.Ranges {
		from := sort.Search(len(w.kv), func(i int) bool { return bytes.Compare(w.kv[i].key, r.Start) >= 0 })
		for i := from; i < len(w.kv) && (r.End == nil || bytes.Compare(w.kv[i].key, r.End) < 0); i++ {
			all = append(all, w.kv[i])
		}
	}
	if req.Desc {
		slices.Reverse(all)
	}
	mid := len(all) / 2
	return []*pairs{{all[:mid]}, {all[mid:]}}
}

type pairs struct{ list []pair }

func (p *pairs) Next() (key, val []byte, ok bool, err error) {
	if len(p.list) == 0 {
		return nil, nil, false, nil
	}
	key, val = p.list[0].key, p.list[0].val
	p.list = p.list[1:]
	return key, val, true, nil
}

func (w *world) Virtual(_ context.Context, t *catalog.Table) (executor.Operator, error) {
	types := make([]*tipb.FieldType, len(t.Columns))
	for i, c := range t.Columns {
		types[i] = c.Type
	}
	return executor.NewValues(types), nil
}

func (w *world) Env() *executor.Env { return &executor.Env{Expr: w.expr} }

func (w *world) plan(sql string) (*Query, error) {
	stmt, err := parser.New().ParseOneStmt(sql, "", "")
	if err != nil {
		return nil, err
	}
	return PlanQuery(w.context(), stmt.(ast.ResultSetNode))
}

// query plans and runs a statement; rows are lines of tab-separated text.
func (w *world) query(sql string) ([]string, error) {
	q, err := w.plan(sql)
	if err != nil {
		return nil, err
	}
	op, err := q.Open(context.Background(), w)
	if err != nil {
		return nil, err
	}
	defer op.Close()
	var out []string
	for {
		b, err := op.Next(context.Background())
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range b.Len() {
			out = append(out, lineOf(b, b.Row(i), op.Fields()))
		}
	}
}

func lineOf(b executor.Batch, i int, fields []*tipb.FieldType) string {
	parts := make([]string, len(b.Cols))
	for k, c := range b.Cols {
		d := datum.FromColumn(c, i, fields[k])
		parts[k] = `\N`
		if !d.IsNull() {
			parts[k] = string(d.AppendText(nil, fields[k]))
		}
	}
	return strings.Join(parts, "\t")
}

// metaStore is where the catalog keeps itself.
type metaStore struct {
	data map[string][]byte
	ts   uint64
}

func (s *metaStore) Begin(context.Context) (catalog.Txn, error)           { return s, nil }
func (s *metaStore) BeginAt(uint64) catalog.Txn                           { return s }
func (s *metaStore) TS(context.Context) (uint64, error)                   { s.ts++; return s.ts, nil }
func (s *metaStore) Split(context.Context, [][]byte) error                { return nil }
func (s *metaStore) DeleteRange(context.Context, kvclient.KeyRange) error { return nil }
func (s *metaStore) Flashback(context.Context, kvclient.Flashback) error {
	return errors.ErrUnsupported
}
func (s *metaStore) Get(_ context.Context, key []byte) ([]byte, error) {
	return s.data[string(key)], nil
}
func (s *metaStore) Set(key, val []byte) error    { s.data[string(key)] = val; return nil }
func (s *metaStore) Delete(key []byte) error      { delete(s.data, string(key)); return nil }
func (s *metaStore) SetFence(kvclient.Fence)      {}
func (s *metaStore) Commit(context.Context) error { return nil }
func (s *metaStore) Rollback()                    {}
func (s *metaStore) Scan(_ context.Context, r kvclient.KeyRange, _ bool) kvclient.Iterator {
	it := &metaIterator{}
	for k, v := range s.data {
		if k >= string(r.Start) && k < string(r.End) {
			it.list = append(it.list, pair{[]byte(k), v})
		}
	}
	sort.Slice(it.list, func(i, k int) bool { return bytes.Compare(it.list[i].key, it.list[k].key) < 0 })
	return it
}

type metaIterator struct{ pairs }

func (*metaIterator) Close() {}
