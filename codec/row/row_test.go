package row

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
)

func ft(tp int32) *tipb.FieldType { return &tipb.FieldType{Tp: tp, Flen: -1, Decimal: -1} }

func unsigned(tp int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: tp, Flen: -1, Decimal: -1, Flag: column.FlagUnsigned}
}

func decimalType(prec, scale int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: prec, Decimal: scale}
}

func builders(cols []Column) []*column.Builder {
	out := make([]*column.Builder, len(cols))
	for i, c := range cols {
		out[i] = column.NewBuilder(c.Type, 0)
	}
	return out
}

// decodeOne decodes one row with a decoder of its own and returns its datums.
func decodeOne(t require.TestingT, cols []Column, primary []int64, handle, val []byte) []datum.Datum {
	d, err := NewDecoder(cols, primary, time.UTC)
	require.NoError(t, err)
	out := builders(cols)
	require.NoError(t, d.Decode(handle, val, out))
	return datums(out, 0)
}

func datums(out []*column.Builder, row int) []datum.Datum {
	ds := make([]datum.Datum, len(out))
	for i, b := range out {
		ds[i] = datum.FromColumn(b.Array(), row, b.Type)
	}
	return ds
}

// The format is shared with other clients; this row is written down byte by byte.
func TestLayout(t *testing.T) {
	var e Encoder
	e.AppendBytes(3, []byte("ab"))
	e.AppendInt64(1, -2)
	e.AppendUint64(2, 300)
	e.AppendNull(5)
	b, err := e.Encode(nil)
	require.NoError(t, err)
	require.Equal(t, "8000"+"0300"+"0100"+"010203"+"05"+"010003000500"+"fe"+"2c01"+"6162", hex.EncodeToString(b))
}

// genColumn makes a type and a value of it.
func genColumn(t *rapid.T) (*tipb.FieldType, datum.Datum) {
	switch rapid.IntRange(0, 9).Draw(t, "type") {
	case 0:
		return ft(column.TypeLongLong), datum.Datum{}
	case 1:
		bits := rapid.IntRange(0, 63).Draw(t, "shift")
		return ft(column.TypeLongLong), datum.NewInt64(rapid.Int64().Draw(t, "v") >> bits)
	case 2:
		bits := rapid.IntRange(0, 63).Draw(t, "shift")
		return unsigned(column.TypeLongLong), datum.NewUint64(rapid.Uint64().Draw(t, "v") >> bits)
	case 3:
		return ft(column.TypeDouble), datum.NewFloat64(rapid.Float64().Draw(t, "v"))
	case 4:
		return ft(column.TypeVarchar), datum.NewString(rapid.StringN(1, 20, 40).Draw(t, "v"))
	case 5:
		c := decimal256.FromI64(rapid.Int64Range(-1e14, 1e14).Draw(t, "v"))
		return decimalType(15, 2), datum.NewDecimal(value.Decimal{Coef: c, Scale: 2})
	case 6:
		c := decimal256.FromI64(rapid.Int64().Draw(t, "v"))
		return decimalType(30, 6), datum.NewDecimal(value.Decimal{Coef: c, Scale: 6})
	case 7:
		return ft(column.TypeDate), datum.NewTime(value.MakeTime(rapid.IntRange(0, 9999).Draw(t, "v"), 12, 31, 0, 0, 0, 0))
	case 8:
		return ft(column.TypeDuration), datum.NewDuration(value.Duration(rapid.Int64().Draw(t, "v")))
	default:
		return ft(column.TypeBlob), datum.NewBytes(make([]byte, rapid.IntRange(1, 1<<16+5).Draw(t, "size")))
	}
}

// Rows of every shape, small and big, in both formats, read through a decoder that has seen other rows before.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, 1000)), 1, 8, rapid.ID).Draw(t, "ids")
		var cols []Column
		var want []datum.Datum
		var e Encoder
		var v1 []byte
		for _, id := range ids {
			typ, d := genColumn(t)
			cols = append(cols, Column{ID: id, Type: typ})
			want = append(want, d)
			require.NoError(t, e.AppendDatum(id, d, typ))
			v1, _ = datum.AppendValue(v1, datum.NewInt64(id), nil)
			v1, _ = datum.AppendValue(v1, d, typ)
		}
		v2, err := e.Encode(nil)
		require.NoError(t, err)
		dec, err := NewDecoder(cols, nil, nil)
		require.NoError(t, err)
		for i, val := range [][]byte{v2, v1, v2, v2} {
			out := builders(cols)
			require.NoError(t, dec.Decode(nil, val, out), i)
			require.Equal(t, want, datums(out, 0), i)
		}
	})
}

// Columns that a row does not have come from the handle, the default, or are NULL; a NOT NULL one without any is an error.
func TestMissingColumns(t *testing.T) {
	def, err := datum.AppendValue(nil, datum.NewInt64(7), nil)
	require.NoError(t, err)
	var e Encoder
	e.AppendInt64(2, 20)
	val, err := e.Encode(nil)
	require.NoError(t, err)
	cols := []Column{
		{ID: ColumnHandle, Type: ft(column.TypeLongLong)},
		{ID: 9, Type: ft(column.TypeLong), Default: def},
		{ID: 2, Type: ft(column.TypeLong)},
		{ID: 1, Type: ft(column.TypeLong), PKHandle: true},
		{ID: 8, Type: ft(column.TypeLong)},
	}
	want := []datum.Datum{datum.NewInt64(-5), datum.NewInt64(7), datum.NewInt64(20), datum.NewInt64(-5), {}}
	require.Equal(t, want, decodeOne(t, cols, nil, tablekey.IntHandle(-5), val))
	for _, empty := range [][]byte{nil, {0}} {
		want[2] = datum.Datum{}
		require.Equal(t, want, decodeOne(t, cols, nil, tablekey.IntHandle(-5), empty))
	}

	notNull := ft(column.TypeLong)
	notNull.Flag = column.FlagNotNull
	d, err := NewDecoder([]Column{{ID: 9, Type: notNull}}, nil, nil)
	require.NoError(t, err)
	require.ErrorIs(t, d.Decode(nil, val, builders([]Column{{ID: 9, Type: notNull}})), ErrInvalid)
}

func TestCommonHandle(t *testing.T) {
	handle, err := datum.AppendKey(nil, datum.NewInt64(11), nil)
	require.NoError(t, err)
	handle, err = datum.AppendKey(handle, datum.NewString("key"), nil)
	require.NoError(t, err)
	var e Encoder
	e.AppendInt64(3, 30)
	val, err := e.Encode(nil)
	require.NoError(t, err)
	cols := []Column{
		{ID: 3, Type: ft(column.TypeLong)},
		{ID: 2, Type: ft(column.TypeVarchar)},
		{ID: 1, Type: ft(column.TypeLong)},
	}
	want := []datum.Datum{datum.NewInt64(30), datum.NewString("key"), datum.NewInt64(11)}
	require.Equal(t, want, decodeOne(t, cols, []int64{1, 2}, handle, val))
}

// TIMESTAMPs are stored in UTC and read in the session's zone, those of defaults and keys too.
func TestTimestampZone(t *testing.T) {
	zone := time.FixedZone("+05:30", 5*3600+1800)
	utc := value.MakeTime(2024, 1, 1, 20, 0, 0, 0)
	want := datum.NewTime(value.MakeTime(2024, 1, 2, 1, 30, 0, 0))
	def, err := datum.AppendValue(nil, datum.NewTime(utc), nil)
	require.NoError(t, err)
	cols := []Column{{ID: 1, Type: ft(column.TypeTimestamp)}, {ID: 2, Type: ft(column.TypeTimestamp), Default: def}}
	d, err := NewDecoder(cols, nil, zone)
	require.NoError(t, err)
	var e Encoder
	e.AppendUint64(1, uint64(utc))
	val, err := e.Encode(nil)
	require.NoError(t, err)
	out := builders(cols)
	require.NoError(t, d.Decode(nil, val, out))
	require.Equal(t, []datum.Datum{want, want}, datums(out, 0))
}

func TestEncoderRefuses(t *testing.T) {
	var e Encoder
	e.AppendInt64(-1, 1)
	_, err := e.Encode(nil)
	require.Error(t, err)
	require.Error(t, e.AppendDecimal(1, value.DecimalFromInt64(1000), decimalType(3, 0)))
	require.Error(t, e.AppendDatum(1, datum.NewMaxValue(), ft(column.TypeLong)))
	_, err = e.Encode(nil)
	require.NoError(t, err, "the failed row is forgotten")
}

func allTypes() []Column {
	types := []*tipb.FieldType{ft(column.TypeLongLong), unsigned(column.TypeLong), ft(column.TypeDouble), decimalType(15, 2),
		decimalType(30, 2), decimalType(60, 2), ft(column.TypeVarchar), ft(column.TypeTimestamp), ft(column.TypeJSON)}
	cols := make([]Column, len(types))
	for i, typ := range types {
		cols[i] = Column{ID: int64(i + 1), Type: typ}
	}
	return cols
}

// Whatever bytes come, the decoder answers with rows of equal length or an error.
func FuzzDecode(f *testing.F) {
	var e Encoder
	e.AppendInt64(1, 5)
	e.AppendNull(2)
	e.AppendBytes(7, []byte("abc"))
	small, _ := e.Encode(nil)
	e.AppendBytes(300, []byte("abc"))
	big, _ := e.Encode(nil)
	f.Add(small)
	f.Add(big)
	f.Add([]byte{8, 2, 8, 4})
	zone := time.FixedZone("", 3600)
	f.Fuzz(func(t *testing.T, val []byte) {
		cols := allTypes()
		d, err := NewDecoder(cols, nil, zone)
		require.NoError(t, err)
		out := builders(cols)
		if d.Decode(nil, val, out) != nil {
			return
		}
		for _, b := range out {
			require.Equal(t, 1, b.Len())
		}
	})
}

// lineitemRow has the shape of TPC-H's widest table.
func lineitemRow() ([]byte, []Column) {
	var e Encoder
	var cols []Column
	add := func(typ *tipb.FieldType, d datum.Datum) {
		id := int64(len(cols) + 1)
		cols = append(cols, Column{ID: id, Type: typ})
		if err := e.AppendDatum(id, d, typ); err != nil {
			panic(err)
		}
	}
	money := func(c int64) datum.Datum {
		return datum.NewDecimal(value.Decimal{Coef: decimal256.FromI64(c), Scale: 2})
	}
	for _, v := range []int64{5999971, 155190, 7706, 4} {
		add(ft(column.TypeLongLong), datum.NewInt64(v))
	}
	for _, v := range []int64{1700, 2116823, 4, 2} {
		add(decimalType(15, 2), money(v))
	}
	add(ft(column.TypeString), datum.NewString("N"))
	add(ft(column.TypeString), datum.NewString("O"))
	for day := range 3 {
		add(ft(column.TypeDate), datum.NewTime(value.MakeTime(1996, 3, 13+day, 0, 0, 0, 0)))
	}
	add(ft(column.TypeString), datum.NewString("DELIVER IN PERSON"))
	add(ft(column.TypeString), datum.NewString("TRUCK"))
	add(ft(column.TypeVarchar), datum.NewString("egular courts above the"))
	val, err := e.Encode(nil)
	if err != nil {
		panic(err)
	}
	return val, cols
}

func benchmarkDecode(b *testing.B, pick func([]Column) []Column) {
	val, cols := lineitemRow()
	cols = pick(cols)
	d, err := NewDecoder(cols, nil, nil)
	require.NoError(b, err)
	out := builders(cols)
	rows := 0
	for b.Loop() {
		if rows++; rows%column.BatchSize == 0 {
			for _, o := range out {
				o.Reset()
			}
		}
		if err := d.Decode(nil, val, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(cols))*float64(rows)/b.Elapsed().Seconds()/1e6, "Mvalues/s")
}

func BenchmarkDecodeIntegers(b *testing.B) {
	benchmarkDecode(b, func(c []Column) []Column { return c[:4] })
}

func BenchmarkDecodeQ6(b *testing.B) {
	benchmarkDecode(b, func(c []Column) []Column { return []Column{c[10], c[4], c[5], c[6]} })
}

func BenchmarkDecodeAll(b *testing.B) {
	benchmarkDecode(b, func(c []Column) []Column { return c })
}

func BenchmarkEncode(b *testing.B) {
	val, cols := lineitemRow()
	ds := decodeOne(b, cols, nil, nil, val)
	var e Encoder
	b.ReportAllocs()
	for b.Loop() {
		for i, c := range cols {
			if err := e.AppendDatum(c.ID, ds[i], c.Type); err != nil {
				b.Fatal(err)
			}
		}
		val, _ = e.Encode(val[:0])
	}
}
