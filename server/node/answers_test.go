package node_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// The random tables: one whole in a region, one with the same rows cut into several.
const (
	wholeTable = 201
	cutTable   = 202
	handleMax  = 200
)

// anyColumn is a column of the random tables: the values it may have, and how to ask whether it is NULL.
type anyColumn struct {
	ft     *tipb.FieldType
	isNull tipb.ScalarFuncSig
	gen    *rapid.Generator[datum.Datum]
}

func drawn[T any](g *rapid.Generator[T], make func(T) datum.Datum) *rapid.Generator[datum.Datum] {
	return rapid.Map(g, make)
}

func decimals(digits, scale int) *rapid.Generator[datum.Datum] {
	return rapid.Custom(func(t *rapid.T) datum.Datum {
		text := rapid.StringMatching(fmt.Sprintf(`-?[1-9][0-9]{0,%d}\.[0-9]{%d}`, digits-scale-1, scale)).Draw(t, "decimal")
		d, _, err := value.ParseDecimal([]byte(text))
		require.NoError(t, err)
		return datum.NewDecimal(d)
	})
}

func moments(hasClock bool) *rapid.Generator[datum.Datum] {
	return rapid.Custom(func(t *rapid.T) datum.Datum {
		within := func(lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, "part") }
		d := value.MakeTime(within(1971, 2037), within(1, 12), within(1, 28), 0, 0, 0, 0)
		if hasClock {
			y, m, day := d.Date()
			d = value.MakeTime(y, m, day, within(0, 23), within(0, 59), within(0, 59), within(0, 999)*1000)
		}
		return datum.NewTime(d)
	})
}

// anyColumns are one of every type; ids count from 2, as 1 is the handle.
var anyColumns = []anyColumn{
	{&tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}, tipb.ScalarFuncSig_IntIsNull, drawn(rapid.Int64(), datum.NewInt64)},
	{&tipb.FieldType{Tp: column.TypeLong, Flag: column.FlagUnsigned, Flen: 10}, tipb.ScalarFuncSig_IntIsNull,
		drawn(rapid.Uint64Range(0, 9), datum.NewUint64)},
	{&tipb.FieldType{Tp: column.TypeYear, Flen: 4}, tipb.ScalarFuncSig_IntIsNull, drawn(rapid.Int64Range(1901, 2155), datum.NewInt64)},
	{&tipb.FieldType{Tp: column.TypeDouble, Flen: -1, Decimal: -1}, tipb.ScalarFuncSig_RealIsNull,
		drawn(rapid.Float64Range(-1e9, 1e9), datum.NewFloat64)},
	{&tipb.FieldType{Tp: column.TypeFloat, Flen: -1, Decimal: -1}, tipb.ScalarFuncSig_RealIsNull,
		drawn(rapid.Float32Range(-99, 99), func(v float32) datum.Datum { return datum.NewFloat64(float64(v)) })},
	{&tipb.FieldType{Tp: column.TypeDecimal, Flen: 12, Decimal: 2}, tipb.ScalarFuncSig_DecimalIsNull, decimals(12, 2)},
	{&tipb.FieldType{Tp: column.TypeDecimal, Flen: 33, Decimal: 7}, tipb.ScalarFuncSig_DecimalIsNull, decimals(33, 7)},
	{&tipb.FieldType{Tp: column.TypeDecimal, Flen: 65, Decimal: 30}, tipb.ScalarFuncSig_DecimalIsNull, decimals(65, 30)},
	{&tipb.FieldType{Tp: column.TypeDate, Flen: 10}, tipb.ScalarFuncSig_TimeIsNull, moments(false)},
	{&tipb.FieldType{Tp: column.TypeDatetime, Flen: 26, Decimal: 6}, tipb.ScalarFuncSig_TimeIsNull, moments(true)},
	{&tipb.FieldType{Tp: column.TypeTimestamp, Flen: 23, Decimal: 3}, tipb.ScalarFuncSig_TimeIsNull, moments(true)},
	{&tipb.FieldType{Tp: column.TypeDuration, Flen: 14, Decimal: 3}, tipb.ScalarFuncSig_DurationIsNull,
		drawn(rapid.Int64Range(-3e9, 3e9), func(ms int64) datum.Datum { return datum.NewDuration(value.Duration(ms * 1e6)) })},
	{&tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: -46}, tipb.ScalarFuncSig_StringIsNull,
		drawn(rapid.StringN(0, 5, -1), datum.NewString)},
	{&tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: -63, Flag: column.FlagBinary}, tipb.ScalarFuncSig_StringIsNull,
		drawn(rapid.SliceOfN(rapid.Byte(), 0, 6), datum.NewBytes)},
	{&tipb.FieldType{Tp: column.TypeEnum, Elems: []string{"red", "green", "blue"}, Collate: -46}, tipb.ScalarFuncSig_IntIsNull,
		drawn(rapid.Uint64Range(0, 3), datum.NewUint64)},
	{&tipb.FieldType{Tp: column.TypeSet, Elems: []string{"a", "b", "c"}, Collate: -46}, tipb.ScalarFuncSig_IntIsNull,
		drawn(rapid.Uint64Range(0, 7), datum.NewUint64)},
	{&tipb.FieldType{Tp: column.TypeBit, Flen: 10, Flag: column.FlagUnsigned}, tipb.ScalarFuncSig_IntIsNull,
		drawn(rapid.Uint64Range(0, 1023), datum.NewUint64)},
	{&tipb.FieldType{Tp: column.TypeJSON, Flen: -1}, tipb.ScalarFuncSig_JsonIsNull,
		drawn(rapid.Int64(), func(v int64) datum.Datum { return datum.NewJSON(value.JSONFromInt64(v)) })},
}

// fillTables writes the same random rows to both tables and cuts one of them.
func fillTables(t *testing.T, c *kvclient.Client, seed int) {
	t.Helper()
	ctx := testContext(t)
	at := func(table, handle int64) []byte {
		return tablekey.AppendRecordKey(nil, table, tablekey.IntHandle(handle))
	}
	require.NoError(t, c.Split(ctx, [][]byte{
		tablekey.RecordRange(cutTable).Start, at(cutTable, 30), at(cutTable, 31), at(cutTable, 150), tablekey.RecordRange(cutTable).End,
	}))
	txn, err := c.Begin(ctx)
	require.NoError(t, err)
	var enc row.Encoder
	for handle := range int64(handleMax) {
		val := rapid.Custom(func(t *rapid.T) []byte {
			if rapid.IntRange(0, 3).Draw(t, "gap") == 0 {
				return nil
			}
			for i, col := range anyColumns {
				if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
					enc.AppendNull(int64(i + 2))
				} else {
					require.NoError(t, enc.AppendDatum(int64(i+2), col.gen.Draw(t, "value"), col.ft))
				}
			}
			val, err := enc.Encode(nil)
			require.NoError(t, err)
			return val
		}).Example(seed*handleMax + int(handle))
		if val == nil {
			continue
		}
		require.NoError(t, txn.Set(at(wholeTable, handle), val))
		require.NoError(t, txn.Set(at(cutTable, handle), val))
	}
	require.NoError(t, txn.Commit(ctx))
}

// plan is a random DAG.
type plan struct {
	dag  *tipb.DAGRequest
	desc bool
	// rows: regions and pages give rows that only have to be put together; counts: counts by group to be added up.
	rows, counts bool
}

func drawPlan(t *rapid.T) plan {
	p := plan{desc: rapid.Bool().Draw(t, "desc"), rows: true}
	picked := rapid.Permutation(identity(len(anyColumns))).Draw(t, "columns")[:rapid.IntRange(1, 6).Draw(t, "width")]
	scan := &tipb.TableScan{Desc: p.desc, Columns: []*tipb.ColumnInfo{
		{ColumnId: 1, Tp: keyType.Tp, Flag: int32(keyType.Flag), ColumnLen: keyType.Flen, PkHandle: true},
	}}
	fields := []*tipb.FieldType{keyType}
	for _, i := range picked {
		ft := anyColumns[i].ft
		scan.Columns = append(scan.Columns, &tipb.ColumnInfo{ColumnId: int64(i + 2), Tp: ft.Tp, Flag: int32(ft.Flag),
			ColumnLen: ft.Flen, Decimal: ft.Decimal, Collation: ft.Collate, Elems: ft.Elems})
		fields = append(fields, ft)
	}
	p.dag = &tipb.DAGRequest{TimeZoneOffset: rapid.SampledFrom([]int64{0, -5 * 3600, 9 * 3600}).Draw(t, "zone"),
		Executors: []*tipb.Executor{{Tp: tipb.ExecType_TypeTableScan, TblScan: scan}}}
	width := len(fields)
	add := func(e *tipb.Executor) { p.dag.Executors = append(p.dag.Executors, e) }
	ref := func(i int) *tipb.Expr {
		return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, int64(i)), FieldType: fields[i]}
	}
	number := &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}
	constant := func(v int64) *tipb.Expr {
		return &tipb.Expr{Tp: tipb.ExprType_Int64, Val: memcmp.AppendInt64(nil, v), FieldType: number}
	}
	call := func(sig tipb.ScalarFuncSig, args ...*tipb.Expr) *tipb.Expr {
		return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: sig, Children: args, FieldType: number}
	}
	var where []*tipb.Expr
	if rapid.Bool().Draw(t, "range") {
		where = append(where, call(tipb.ScalarFuncSig_GEInt, ref(0), constant(rapid.Int64Range(0, handleMax).Draw(t, "from"))))
	}
	if rapid.Bool().Draw(t, "null") {
		i := rapid.IntRange(1, len(picked)).Draw(t, "of")
		where = append(where, call(tipb.ScalarFuncSig_UnaryNotInt, call(anyColumns[picked[i-1]].isNull, ref(i))))
	}
	if where != nil {
		add(&tipb.Executor{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{Conditions: where}})
	}
	switch rapid.SampledFrom([]string{"", "project", "limit", "top", "count"}).Draw(t, "tail") {
	case "project":
		var exprs []*tipb.Expr
		for i := range fields {
			exprs = append(exprs, ref(width-1-i))
		}
		add(&tipb.Executor{Tp: tipb.ExecType_TypeProjection, Projection: &tipb.Projection{Exprs: exprs}})
	case "limit":
		add(&tipb.Executor{Tp: tipb.ExecType_TypeLimit, Limit: &tipb.Limit{Limit: rapid.Uint64Range(0, handleMax).Draw(t, "limit")}})
		p.rows = false
	case "top":
		add(&tipb.Executor{Tp: tipb.ExecType_TypeTopN, TopN: &tipb.TopN{Limit: 10, OrderBy: []*tipb.ByItem{{Expr: ref(0), Desc: !p.desc}}}})
		p.rows = false
	case "count":
		count := &tipb.Expr{Tp: tipb.ExprType_Count, Children: []*tipb.Expr{constant(1)}, FieldType: number}
		add(&tipb.Executor{Tp: tipb.ExecType_TypeAggregation, Aggregation: &tipb.Aggregation{
			AggFunc: []*tipb.Expr{count}, GroupBy: []*tipb.Expr{ref(1)},
		}})
		p.rows, p.counts, width = false, true, 2
	}
	for i := range width {
		p.dag.OutputOffsets = append(p.dag.OutputOffsets, uint32(i))
	}
	return p
}

func identity(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// asker asks one store in every way there is.
type asker struct {
	store  *node.Store
	flight arrowflight.Client
}

// tickets are the requests, one for each region of the table, that a plan makes.
func (a *asker) tickets(t rapid.TB, dag *tipb.DAGRequest, table int64) (out []*copb.Request) {
	dag.Executors[0].TblScan.TableId = table
	data, err := dag.Marshal()
	require.NoError(t, err)
	all := tablekey.RecordRange(table)
	cmd, err := (&copb.Request{Tp: 103, Data: data, Ranges: []*copb.KeyRange{{Start: all.Start, End: all.End}}}).Marshal()
	require.NoError(t, err)
	info, err := a.flight.GetFlightInfo(context.Background(), &arrowflight.FlightDescriptor{Type: arrowflight.DescriptorCMD, Cmd: cmd})
	require.NoError(t, err)
	for _, e := range info.Endpoint {
		require.Equal(t, "grpc+tcp://"+a.store.Addr(), e.Location[0].Uri)
		req := new(copb.Request)
		require.NoError(t, req.Unmarshal(e.Ticket.Ticket))
		out = append(out, req)
	}
	return out
}

// encoded asks for one message, and for more as long as there is a further page.
func (a *asker) encoded(t rapid.TB, req copb.Request, p plan, fields []*tipb.FieldType, encode tipb.EncodeType) (rows []string) {
	dag := *p.dag
	dag.EncodeType = encode
	data, err := dag.Marshal()
	require.NoError(t, err)
	req.Data = data
	for {
		resp, err := a.store.Service().Coprocessor(context.Background(), &req)
		require.NoError(t, err)
		s := answered(t, resp)
		decode := chunk.DecodeDefault
		if encode == tipb.EncodeType_TypeChunk {
			decode = chunk.DecodeChunk
		}
		for _, c := range s.Chunks {
			b, err := decode(c.RowsData, fields)
			require.NoError(t, err)
			rows = appendRows(rows, b, fields)
		}
		if resp.Range == nil {
			return rows
		}
		left := *req.Ranges[0]
		if p.desc {
			left.End = resp.Range.Start
		} else {
			left.Start = resp.Range.End
		}
		req.Ranges = []*copb.KeyRange{&left}
	}
}

func answered(t rapid.TB, resp *copb.Response) *tipb.SelectResponse {
	require.Nil(t, resp.RegionError)
	require.Nil(t, resp.Locked)
	require.Empty(t, resp.OtherError)
	s := new(tipb.SelectResponse)
	require.NoError(t, s.Unmarshal(resp.Data))
	require.Nil(t, s.Error)
	return s
}

func (a *asker) streamed(t rapid.TB, req *copb.Request, fields []*tipb.FieldType) (rows []string) {
	resp, err := a.store.Service().Query(context.Background(), req, nil, func(b executor.Batch) error {
		rows = appendRows(rows, b, fields)
		return nil
	})
	require.NoError(t, err)
	answered(t, resp)
	return rows
}

// atRoot has the store scan alone, and runs the rest of the plan over the rows that come back.
func (a *asker) atRoot(t rapid.TB, req copb.Request, p plan, fields []*tipb.FieldType) (rows []string) {
	scan := *p.dag
	scan.Executors, scan.OutputOffsets = p.dag.Executors[:1], nil
	for i := range p.dag.Executors[0].TblScan.Columns {
		scan.OutputOffsets = append(scan.OutputOffsets, uint32(i))
	}
	types, err := coprocessor.Fields(&scan)
	require.NoError(t, err)
	req.Data, err = scan.Marshal()
	require.NoError(t, err)
	var batches []executor.Batch
	resp, err := a.store.Service().Query(context.Background(), &req, nil, func(b executor.Batch) error {
		batches = append(batches, column.Compact(b))
		return nil
	})
	require.NoError(t, err)
	answered(t, resp)
	root, err := executor.Tree(p.dag.Executors)
	require.NoError(t, err)
	op, err := executor.Build(root, func(*tipb.Executor) (executor.Operator, error) { return executor.NewValues(types, batches...), nil },
		&executor.Env{Partial: true, Expr: &expr.Context{Location: time.FixedZone("", int(p.dag.TimeZoneOffset))}})
	require.NoError(t, err)
	defer func() { require.NoError(t, op.Close()) }()
	for {
		b, err := op.Next(context.Background())
		if err == io.EOF {
			return rows
		}
		require.NoError(t, err)
		rows = appendRows(rows, executor.Batch{Cols: b.Cols[:len(fields)], Sel: b.Sel, Rows: b.Rows}, fields)
	}
}

func (a *asker) flown(t rapid.TB, req *copb.Request, fields []*tipb.FieldType) (rows []string) {
	ticket, err := req.Marshal()
	require.NoError(t, err)
	stream, err := a.flight.DoGet(context.Background(), &arrowflight.Ticket{Ticket: ticket})
	require.NoError(t, err)
	reader, err := arrowflight.NewRecordReader(stream)
	require.NoError(t, err)
	defer reader.Release()
	for {
		rec, err := reader.Read()
		if err == io.EOF {
			return rows
		}
		require.NoError(t, err)
		for i := range int(rec.NumRows()) {
			var line []string
			for c, ft := range fields {
				line = append(line, arrowText(rec.Column(c), i, ft))
			}
			rows = append(rows, strings.Join(line, "|"))
		}
	}
}

func appendRows(rows []string, b executor.Batch, fields []*tipb.FieldType) []string {
	for i := range b.Len() {
		var line []string
		for c, ft := range fields {
			line = append(line, text(datum.FromColumn(b.Cols[c], b.Row(i), ft), ft))
		}
		rows = append(rows, strings.Join(line, "|"))
	}
	return rows
}

func text(d datum.Datum, ft *tipb.FieldType) string {
	if d.IsNull() {
		return "NULL"
	}
	return string(d.AppendText(nil, ft))
}

// arrowText reads Arrow's types back to what MySQL shows.
func arrowText(a arrow.Array, i int, ft *tipb.FieldType) string {
	if a.IsNull(i) {
		return "NULL"
	}
	moment := func(t arrow.Timestamp) datum.Datum {
		return datum.NewTime(value.FromGoTime(t.ToTime(arrow.Microsecond), 6))
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i)
	case *array.Date32:
		return text(datum.NewTime(value.FromGoTime(a.Value(i).ToTime(), 0)), ft)
	case *array.Timestamp:
		return text(moment(a.Value(i)), ft)
	case *array.Duration:
		return text(datum.NewDuration(value.Duration(a.Value(i))), ft)
	case *array.Decimal128, *array.Decimal256:
		return text(datum.NewDecimal(value.Decimal{Coef: column.CoefAt(a, i), Scale: int32(column.Scale(ft))}), ft)
	}
	return text(datum.FromColumn(a, i, ft), ft)
}

// addUp merges counts by group.
func addUp(t rapid.TB, rows []string) map[string]int {
	out := make(map[string]int)
	for _, r := range rows {
		count, group, ok := strings.Cut(r, "|")
		require.True(t, ok)
		n := 0
		_, err := fmt.Sscan(count, &n)
		require.NoError(t, err)
		out[group] += n
	}
	return out
}

// An answer is the same in every encoding, by reference and over Flight, and where the store only scans and the plan runs here; a page of one row at a time and a page of few
// keys make up the whole; and it does not matter how a table is cut into regions.
func TestAnswersAgree(t *testing.T) {
	c := startCluster(t, t.TempDir(), 1)
	defer func() { require.NoError(t, c.Close()) }()
	client := newClient(t, c, c.Dialer())
	defer func() { require.NoError(t, client.Close()) }()
	fillTables(t, client, 1)
	a := &asker{store: c.Stores()[0]}
	var err error
	a.flight, err = arrowflight.NewClientWithMiddleware(a.store.Addr(), nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, a.flight.Close()) }()
	a.settle(t)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		fields, err := coprocessor.Fields(p.dag)
		require.NoError(t, err)
		whole := a.tickets(t, p.dag, wholeTable)
		require.Len(t, whole, 1)
		want := a.agree(t, whole[0], p, fields)
		a.inPages(t, *whole[0], p, fields, want)

		parts := a.tickets(t, p.dag, cutTable)
		require.Len(t, parts, 4)
		if p.desc {
			slices.Reverse(parts)
		}
		var got []string
		for _, part := range parts {
			got = append(got, a.agree(t, part, p, fields)...)
		}
		same(t, p, want, got)
	})
}

// settle waits until the placement driver knows of the splits, and the last locks are gone.
func (a *asker) settle(t *testing.T) {
	ctx := testContext(t)
	for !a.settled(t, wholeTable, 1) || !a.settled(t, cutTable, 4) {
		select {
		case <-ctx.Done():
			t.Fatal("the tables do not become readable")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (a *asker) settled(t *testing.T, table int64, regions int) bool {
	reqs := a.tickets(t, scanDAG(), table)
	for _, req := range reqs {
		resp, err := a.store.Service().Coprocessor(context.Background(), req)
		require.NoError(t, err)
		if resp.RegionError != nil || resp.Locked != nil {
			return false
		}
	}
	return len(reqs) == regions
}

// agree asks in every way and returns the one answer.
func (a *asker) agree(t rapid.TB, req *copb.Request, p plan, fields []*tipb.FieldType) []string {
	want := a.encoded(t, *req, p, fields, tipb.EncodeType_TypeChunk)
	require.Equal(t, want, a.encoded(t, *req, p, fields, tipb.EncodeType_TypeDefault))
	require.Equal(t, want, a.streamed(t, req, fields))
	require.Equal(t, want, a.flown(t, req, fields))
	require.Equal(t, want, a.atRoot(t, *req, p, fields))
	return want
}

func (a *asker) inPages(t *rapid.T, req copb.Request, p plan, fields []*tipb.FieldType, want []string) {
	req.PagingSize = 1
	same(t, p, want, a.encoded(t, req, p, fields, tipb.EncodeType_TypeChunk))
	req.PagingSize, req.MaxKeysRead = 0, rapid.Uint64Range(1, handleMax).Draw(t, "keys")
	same(t, p, want, a.encoded(t, req, p, fields, tipb.EncodeType_TypeChunk))
	req.MaxKeysRead, req.PagingSizeBytes = 0, rapid.Uint64Range(1, 10_000).Draw(t, "bytes")
	same(t, p, want, a.encoded(t, req, p, fields, tipb.EncodeType_TypeDefault))
}

// same compares what was put together of parts with the whole, where the plan lets one.
func same(t rapid.TB, p plan, want, got []string) {
	switch {
	case p.rows:
		require.Equal(t, want, got)
	case p.counts:
		require.Equal(t, addUp(t, want), addUp(t, got))
	}
}
