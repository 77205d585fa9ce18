package coprocessor

import (
	"context"
	"math"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/storagetest"
)

// zoneKind is a column of the zone tests: its type, values that are close to each other, and the place of its signatures
// behind those of integers.
type zoneKind struct {
	ft     *tipb.FieldType
	letter tipb.ScalarFuncSig
	draw   func(t *rapid.T, to *column.Builder)
}

func drawText(t *rapid.T, to *column.Builder) {
	// They differ by trailing spaces, by bytes below the space, by case, and behind where bounds are cut.
	text := rapid.SampledFrom([]string{"", "a", "A", "abcdefghijklmnop", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}).Draw(t, "text")
	to.AppendBytes([]byte(text + rapid.SampledFrom([]string{"", " ", "\t", " \t", "b", "\xff"}).Draw(t, "tail")))
}

var zoneKinds = []zoneKind{
	{&tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}, 0, func(t *rapid.T, to *column.Builder) {
		to.AppendInt64(rapid.Int64Range(-3, 3).Draw(t, "int"))
	}},
	{&tipb.FieldType{Tp: column.TypeLongLong, Flen: 20, Flag: column.FlagUnsigned}, 0, func(t *rapid.T, to *column.Builder) {
		// On both sides of the greatest signed number.
		to.AppendUint64(uint64(rapid.IntRange(0, 3).Draw(t, "uint")) + rapid.SampledFrom([]uint64{0, 1<<63 - 2}).Draw(t, "large"))
	}},
	{&tipb.FieldType{Tp: column.TypeDouble, Flen: -1, Decimal: -1}, 1, func(t *rapid.T, to *column.Builder) {
		to.AppendFloat64(float64(rapid.IntRange(-3, 3).Draw(t, "halves")) / 2)
	}},
	{&tipb.FieldType{Tp: column.TypeDecimal, Flen: 10, Decimal: 2}, 2, func(t *rapid.T, to *column.Builder) {
		to.AppendInt64(rapid.Int64Range(-30, 30).Draw(t, "hundredths"))
	}},
	{&tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: -46}, 3, drawText}, // utf8mb4_bin, which ignores trailing spaces
	{&tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: -63}, 3, drawText}, // binary
	{&tipb.FieldType{Tp: column.TypeVarchar, Flen: 20, Collate: -45}, 3, drawText}, // utf8mb4_general_ci
	{&tipb.FieldType{Tp: column.TypeDate}, 4, func(t *rapid.T, to *column.Builder) {
		to.AppendUint64(uint64(value.MakeTime(2024, 2, rapid.IntRange(1, 5).Draw(t, "day"), 0, 0, 0, 0)))
	}},
	{&tipb.FieldType{Tp: column.TypeDuration}, 5, func(t *rapid.T, to *column.Builder) {
		to.AppendInt64(rapid.Int64Range(-3, 3).Draw(t, "nanoseconds"))
	}},
}

// drawConstant is a value of the kind, perhaps of another signedness or scale.
func (k zoneKind) drawConstant(t *rapid.T) *tipb.Expr {
	b := column.NewBuilder(k.ft, 1)
	k.draw(t, b)
	e := &tipb.Expr{FieldType: k.ft}
	switch k.letter {
	case 0:
		e.FieldType, e.Tp = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}, tipb.ExprType_Int64
		e.Val = memcmp.AppendInt64(nil, rapid.SampledFrom([]int64{-1, 0, 1, 2, math.MaxInt64}).Draw(t, "signed"))
		if k.ft.Flag != 0 && rapid.Bool().Draw(t, "unsigned") {
			e.FieldType, e.Tp, e.Val = k.ft, tipb.ExprType_Uint64, memcmp.AppendUint64(nil, b.U64[0])
		}
	case 1:
		e.Tp, e.Val = tipb.ExprType_Float64, memcmp.AppendFloat64(nil, b.F64[0])
	case 2:
		e.FieldType, e.Tp = &tipb.FieldType{Tp: column.TypeDecimal, Flen: 12, Decimal: 3}, tipb.ExprType_MysqlDecimal
		thousandths := b.I64[0]*10 + rapid.Int64Range(-1, 1).Draw(t, "thousandths")
		e.Val = value.AppendDecimalBinary(nil, value.DecimalFromScaled(thousandths, 3), 12, 3)
	case 3:
		e.Tp, e.Val = tipb.ExprType_String, b.Data
	case 4:
		e.Tp, e.Val = tipb.ExprType_MysqlTime, memcmp.AppendUint64(nil, b.U64[0])
	default:
		e.Tp, e.Val = tipb.ExprType_MysqlDuration, memcmp.AppendInt64(nil, b.I64[0])
	}
	return e
}

func zoneColumn(at int) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, int64(at)), FieldType: zoneKinds[at].ft}
}

func zoneCall(sig tipb.ScalarFuncSig, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: sig, FieldType: nullsType, Children: args}
}

var isNull = [...]tipb.ScalarFuncSig{tipb.ScalarFuncSig_IntIsNull, tipb.ScalarFuncSig_RealIsNull, tipb.ScalarFuncSig_DecimalIsNull,
	tipb.ScalarFuncSig_StringIsNull, tipb.ScalarFuncSig_TimeIsNull, tipb.ScalarFuncSig_DurationIsNull}

// drawZoneCondition is one that zones may say something about, or not.
func drawZoneCondition(t *rapid.T, depth int) *tipb.Expr {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(t, "shape") {
		case 0:
			return zoneCall(tipb.ScalarFuncSig_LogicalAnd, drawZoneCondition(t, depth-1), drawZoneCondition(t, depth-1))
		case 1:
			return zoneCall(tipb.ScalarFuncSig_LogicalOr, drawZoneCondition(t, depth-1), drawZoneCondition(t, depth-1))
		case 2:
			return zoneCall(tipb.ScalarFuncSig_UnaryNotInt, drawZoneCondition(t, depth-1))
		}
	}
	at := rapid.IntRange(0, len(zoneKinds)-1).Draw(t, "column")
	kind := zoneKinds[at]
	constant := func() *tipb.Expr { return kind.drawConstant(t) }
	switch rapid.IntRange(0, 6).Draw(t, "test") {
	case 0:
		return zoneCall(tipb.ScalarFuncSig_InInt+kind.letter, zoneColumn(at), constant(), constant(), constant())
	case 1:
		return zoneCall(isNull[kind.letter], zoneColumn(at))
	}
	op := kind.letter + rapid.SampledFrom([]tipb.ScalarFuncSig{tipb.ScalarFuncSig_LTInt, tipb.ScalarFuncSig_LEInt, tipb.ScalarFuncSig_GTInt,
		tipb.ScalarFuncSig_GEInt, tipb.ScalarFuncSig_EQInt, tipb.ScalarFuncSig_NEInt}).Draw(t, "op")
	if rapid.Bool().Draw(t, "flipped") {
		return zoneCall(op, constant(), zoneColumn(at))
	}
	return zoneCall(op, zoneColumn(at), constant())
}

// zoneTable has blocks with a column of each kind.
type zoneTable struct {
	fields []*tipb.FieldType
	blocks []*columnar.Block
}

// newZoneTable keeps blocks of columns in a segment, and plans a read of them.
func newZoneTable(t require.TestingT, store storage.Store, blocks [][]arrow.Array) zoneTable {
	segments, err := columnar.Open(columnar.Options{FS: vfs.NewMem(), Dir: "columns"})
	require.NoError(t, err)
	table := zoneTable{}
	var keys []columnar.ColumnKey
	for i, k := range zoneKinds {
		table.fields = append(table.fields, k.ft)
		keys = append(keys, columnar.ColumnKey(rune('a'+i)))
	}
	all := tablekey.RecordRange(1)
	b := segments.Begin(all.Start, all.End, 10, keys, table.fields)
	require.NotNil(t, b)
	for i, cols := range blocks {
		first := tablekey.AppendRecordKey(nil, 1, tablekey.IntHandle(int64(i*column.BatchSize)))
		require.NoError(t, b.Add(first, cols, cols[0].Len()))
	}
	require.NoError(t, b.Finish())
	snap, err := store.Snapshot(context.Background(), storage.Region{ID: storagetest.RegionID})
	require.NoError(t, err)
	plan, ok, err := segments.Plan(snap, all.Start, all.End, keys, 20)
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, snap.Close())
	for _, span := range plan.Spans {
		table.blocks = append(table.blocks, span.Blocks...)
	}
	require.Len(t, table.blocks, len(blocks))
	return table
}

// drawZoneBlocks makes up blocks of a few rows.
func drawZoneBlocks(t *rapid.T) (blocks [][]arrow.Array) {
	for range rapid.IntRange(1, 4).Draw(t, "blocks") {
		rows := rapid.IntRange(1, 3).Draw(t, "rows")
		var cols []arrow.Array
		for _, k := range zoneKinds {
			b := column.NewBuilder(k.ft, rows)
			for range rows {
				if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
					b.AppendNull()
				} else {
					k.draw(t, b)
				}
			}
			cols = append(cols, b.Array())
		}
		blocks = append(blocks, cols)
	}
	return blocks
}

// A block that is passed over has no row that the selection keeps, whatever the types, signs, scales, collations and NULLs.
func TestZonesKeepEveryRow(t *testing.T) {
	store := storagetest.New(t)
	skipped := 0
	rapid.Check(t, func(t *rapid.T) {
		blocks := drawZoneBlocks(t)
		table := newZoneTable(t, store, blocks)
		for range 8 {
			var conditions []*tipb.Expr
			for range rapid.IntRange(1, 2).Draw(t, "conditions") {
				conditions = append(conditions, drawZoneCondition(t, 2))
			}
			ctx := &expr.Context{}
			filter, err := expr.NewFilter(conditions, table.fields, ctx)
			require.NoError(t, err)
			kept, err := newZoneFilter(conditions, table.fields, ctx).keep(table.blocks)
			require.NoError(t, err)
			at := 0
			for i, cols := range blocks {
				if at < len(kept) && kept[at] == table.blocks[i] {
					at++
					continue
				}
				batch := executor.Batch{Cols: cols, Rows: cols[0].Len()}
				batch.Sel, err = filter.Apply(batch)
				require.NoError(t, err)
				require.Zero(t, batch.Len(), "block %d has rows for %v", i, conditions)
				skipped++
			}
			require.Equal(t, len(kept), at, "the order is kept")
		}
	})
	require.Positive(t, skipped)
}

// What zones say of three blocks of integers: 0 to 9, 10 to 19, and NULLs alone.
func TestZonesOfIntegers(t *testing.T) {
	var blocks [][]arrow.Array
	for i := range 3 {
		var cols []arrow.Array
		for _, k := range zoneKinds {
			b := column.NewBuilder(k.ft, 10)
			for row := range 10 {
				if k.ft == zoneKinds[0].ft && i < 2 {
					b.AppendInt64(int64(10*i + row))
				} else {
					b.AppendNull()
				}
			}
			cols = append(cols, b.Array())
		}
		blocks = append(blocks, cols)
	}
	table := newZoneTable(t, storagetest.New(t), blocks)
	num := func(v int64) *tipb.Expr {
		return &tipb.Expr{Tp: tipb.ExprType_Int64, Val: memcmp.AppendInt64(nil, v), FieldType: nullsType}
	}
	a := zoneColumn(0)
	mayFail := zoneCall(tipb.ScalarFuncSig_PlusInt, a, num(1))
	for _, c := range []struct {
		name       string
		conditions []*tipb.Expr
		kept       []int
	}{
		{"a < 10", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_LTInt, a, num(10))}, []int{0}},
		{"10 > a", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_GTInt, num(10), a)}, []int{0}},
		{"a <= 10", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_LEInt, a, num(10))}, []int{0, 1}},
		{"a > 9", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_GTInt, a, num(9))}, []int{1}},
		{"a >= 9 AND a = 12", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_LogicalAnd,
			zoneCall(tipb.ScalarFuncSig_GEInt, a, num(9)), zoneCall(tipb.ScalarFuncSig_EQInt, a, num(12)))}, []int{1}},
		{"a = 5 OR a > 100", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_LogicalOr,
			zoneCall(tipb.ScalarFuncSig_EQInt, a, num(5)), zoneCall(tipb.ScalarFuncSig_GTInt, a, num(100)))}, []int{0}},
		{"a IN (-1, 15, 20)", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_InInt, a, num(-1), num(15), num(20))}, []int{1}},
		{"a IS NULL", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_IntIsNull, a)}, []int{2}},
		{"a <> 5", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_NEInt, a, num(5))}, []int{0, 1, 2}},
		{"a + 1, a < 10: comparisons of numbers run first", []*tipb.Expr{mayFail, zoneCall(tipb.ScalarFuncSig_LTInt, a, num(10))}, []int{0}},
		{"a + 1, a IS NULL: the sum may overflow before", []*tipb.Expr{mayFail, zoneCall(tipb.ScalarFuncSig_IntIsNull, a)}, []int{0, 1, 2}},
		{"a IS NULL, a + 1", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_IntIsNull, a), mayFail}, []int{2}},
		{"no such column", []*tipb.Expr{zoneCall(tipb.ScalarFuncSig_LTInt, &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, 99)}, num(0))}, []int{0, 1, 2}},
	} {
		kept, err := newZoneFilter(c.conditions, table.fields, &expr.Context{}).keep(table.blocks)
		require.NoError(t, err, c.name)
		var got []int
		for i, b := range table.blocks {
			for _, k := range kept {
				if k == b {
					got = append(got, i)
				}
			}
		}
		require.Equal(t, c.kept, got, c.name)
	}
}
