package chunk

import (
	"encoding/hex"
	"math"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

func typ(tp, flen, decimal int32, elems ...string) *tipb.FieldType {
	return &tipb.FieldType{Tp: tp, Flen: flen, Decimal: decimal, Elems: elems}
}

func unsigned(tp int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: tp, Flen: -1, Decimal: -1, Flag: column.FlagUnsigned}
}

// fields has every cell form and every kind of column.
var fields = []*tipb.FieldType{
	typ(column.TypeLongLong, -1, -1), unsigned(column.TypeLong), typ(column.TypeFloat, -1, -1), typ(column.TypeDouble, -1, -1),
	typ(column.TypeDecimal, 15, 2), typ(column.TypeDecimal, 38, 10), typ(column.TypeDecimal, 65, 30),
	typ(column.TypeDatetime, -1, 6), typ(column.TypeDuration, -1, 3), typ(column.TypeVarchar, -1, -1),
	typ(column.TypeJSON, -1, -1), typ(column.TypeBit, 20, 0), typ(column.TypeYear, -1, -1),
	typ(column.TypeEnum, -1, -1, "a", "b", "c"), typ(column.TypeSet, -1, -1, "x", "y"),
}

func genDatum(t *rapid.T, ft *tipb.FieldType) datum.Datum {
	if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		return datum.Datum{}
	}
	switch ft.Tp {
	case column.TypeLong:
		return datum.NewUint64(rapid.Uint64().Draw(t, "v"))
	case column.TypeFloat:
		return datum.NewFloat64(float64(rapid.Float32().Draw(t, "v")))
	case column.TypeDouble:
		return datum.NewFloat64(rapid.Float64().Draw(t, "v"))
	case column.TypeDecimal:
		limit := int64(math.MaxInt64)
		if ft.Flen <= 18 {
			limit = 1e15 - 1
		}
		c := decimal256.FromI64(rapid.Int64Range(-limit, limit).Draw(t, "v"))
		if ft.Flen == 65 && rapid.Bool().Draw(t, "wide") {
			c = c.Mul(decimal256.GetScaleMultiplier(40))
		}
		return datum.NewDecimal(value.Decimal{Coef: c, Scale: ft.Decimal})
	case column.TypeDatetime:
		return datum.NewTime(value.MakeTime(rapid.IntRange(0, 9999).Draw(t, "v"), 12, 31, 23, 59, 58, 999999))
	case column.TypeDuration:
		return datum.NewDuration(value.Duration(rapid.Int64().Draw(t, "v")))
	case column.TypeVarchar:
		return datum.NewString(rapid.StringN(1, 10, 20).Draw(t, "v"))
	case column.TypeJSON:
		return datum.NewJSON([]byte("\x0c\x02ab"))
	case column.TypeBit:
		return datum.NewUint64(rapid.Uint64Range(0, 1<<20-1).Draw(t, "v"))
	case column.TypeEnum, column.TypeSet:
		return datum.NewUint64(rapid.Uint64Range(0, 3).Draw(t, "v"))
	default:
		return datum.NewInt64(rapid.Int64().Draw(t, "v"))
	}
}

// All rows, or the selected ones, come back from both encodings.
func TestRoundTrip(t *testing.T) {
	offsets := make([]uint32, len(fields))
	for i := range offsets {
		offsets[i] = uint32(i)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := column.Batch{Rows: rapid.IntRange(0, 12).Draw(t, "rows")}
		if rapid.Bool().Draw(t, "select") {
			b.Sel = []int32{}
			for r := range b.Rows {
				if rapid.Bool().Draw(t, "keep") {
					b.Sel = append(b.Sel, int32(r))
				}
			}
		}
		for _, ft := range fields {
			c := column.NewBuilder(ft, b.Rows)
			for range b.Rows {
				require.NoError(t, genDatum(t, ft).AppendTo(c))
			}
			b.Cols = append(b.Cols, c.Detach())
		}
		data, err := AppendChunk(nil, b, offsets, fields)
		require.NoError(t, err)
		got, err := DecodeChunk(data, fields)
		require.NoError(t, err)
		requireSame(t, b, got)

		data, err = AppendDefault(nil, b, offsets, fields)
		require.NoError(t, err)
		got, err = DecodeDefault(data, fields)
		require.NoError(t, err)
		requireSame(t, b, got)
	})
}

func requireSame(t require.TestingT, want, got column.Batch) {
	require.Equal(t, want.Len(), got.Len())
	for c, ft := range fields {
		for i := range want.Len() {
			require.Equal(t, datum.FromColumn(want.Cols[c], want.Row(i), ft), datum.FromColumn(got.Cols[c], i, ft), "column %d", c)
		}
	}
}

func encode(t require.TestingT, ft *tipb.FieldType, ds ...datum.Datum) []byte {
	c := column.NewBuilder(ft, len(ds))
	for _, d := range ds {
		require.NoError(t, d.AppendTo(c))
	}
	b := column.Batch{Rows: len(ds)}
	b.Cols = append(b.Cols, c.Detach())
	data, err := AppendChunk(nil, b, []uint32{0}, []*tipb.FieldType{ft})
	require.NoError(t, err)
	return data
}

// The cells that differ from memory, byte by byte: this is what TiKV's clients read.
func TestLayouts(t *testing.T) {
	const oneRow = "0100000000000000"
	words := func(w string) string { return w + hex.EncodeToString(make([]byte, 4*decimalWords-len(w)/2)) }
	dec := func(s string) datum.Datum {
		d, _, err := value.ParseDecimal([]byte(s))
		require.NoError(t, err)
		return datum.NewDecimal(d)
	}
	date := datum.NewTime(value.MakeTime(1998, 9, 2, 0, 0, 0, 0))
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"nulls", "02000000" + "01000000" + "02" + "0000000000000000" + "0500000000000000",
			encode(t, fields[0], datum.Datum{}, datum.NewInt64(5))},
		{"decimal", oneRow + "04020200" + words("d20400008055c820"), encode(t, typ(column.TypeDecimal, 10, 2), dec("1234.546"))},
		{"decimal below 1", oneRow + "00020201" + words("80f0fa02"), encode(t, typ(column.TypeDecimal, 10, 2), dec("-0.05"))},
		{"decimal zero", oneRow + "01000000" + words(""), encode(t, typ(column.TypeDecimal, 10, 0), dec("0"))},
		{"float", oneRow + "0000803f", encode(t, fields[2], datum.NewFloat64(1))},
		{"date", oneRow + hex.EncodeToString([]byte{0x0e, 0, 0, 0, 0, 0x44, 0x3a, 0x1f}), encode(t, typ(column.TypeDate, -1, -1), date)},
		{"bit", oneRow + "0000000000000000" + "0300000000000000" + "000102", encode(t, typ(column.TypeBit, 20, 0), datum.NewUint64(0x102))},
		{"enum", oneRow + "0000000000000000" + "0900000000000000" + "0200000000000000" + "62",
			encode(t, typ(column.TypeEnum, -1, -1, "a", "b"), datum.NewUint64(2))},
		{"set", oneRow + "0000000000000000" + "0b00000000000000" + "0300000000000000" + "782c79",
			encode(t, typ(column.TypeSet, -1, -1, "x", "y"), datum.NewUint64(3))},
	} {
		require.Equal(t, c.want, hex.EncodeToString(c.got), c.name)
	}
}

func FuzzDecodeChunk(f *testing.F) {
	f.Add(encode(f, fields[0], datum.NewInt64(1), datum.Datum{}), byte(0))
	f.Add(encode(f, fields[9], datum.NewString("abc"), datum.Datum{}), byte(9))
	f.Add(encode(f, fields[4], datum.NewDecimal(value.DecimalFromInt64(-7))), byte(4))
	f.Fuzz(func(t *testing.T, data []byte, which byte) {
		ft := fields[int(which)%len(fields)]
		b, err := DecodeChunk(data, []*tipb.FieldType{ft})
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.Equal(t, b.Rows, b.Cols[0].Len())
		_, err = AppendChunk(nil, b, []uint32{0}, []*tipb.FieldType{ft})
		require.NoError(t, err)
	})
}

func BenchmarkAppendChunk(b *testing.B) {
	for _, ft := range []*tipb.FieldType{fields[0], fields[4], fields[7], fields[9]} {
		b.Run(column.KindOf(ft).String(), func(b *testing.B) {
			c := column.NewBuilder(ft, column.BatchSize)
			for range column.BatchSize {
				switch c.Kind {
				case column.Uint64:
					c.AppendUint64(uint64(value.MakeTime(1998, 9, 2, 0, 0, 0, 0)))
				case column.Bytes:
					c.AppendBytes([]byte("DELIVER IN PERSON"))
				default:
					c.AppendInt64(123456)
				}
			}
			batch := column.Batch{Rows: column.BatchSize}
			batch.Cols = append(batch.Cols, c.Array())
			var dst []byte
			for b.Loop() {
				dst, _ = AppendChunk(dst[:0], batch, []uint32{0}, []*tipb.FieldType{ft})
			}
			b.ReportMetric(float64(b.N)*column.BatchSize/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// The short way for 64 bits writes the cells of the long one.
func TestSmallDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coef := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2000, 2000)).Draw(t, "coef")
		scale := rapid.IntRange(0, maxSmallScale).Draw(t, "scale")
		want, got := make([]byte, decimalSize), make([]byte, decimalSize)
		require.True(t, putDecimal(want, decimal256.FromI64(coef), scale))
		putSmallDecimal(got, coef, scale)
		require.Equal(t, want, got)
	})
}
