package datum

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

func ft(tp int32) *tipb.FieldType { return &tipb.FieldType{Tp: tp, Flen: -1, Decimal: -1} }

func unsigned(tp int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: tp, Flen: -1, Decimal: -1, Flag: column.FlagUnsigned}
}

func decimalType(prec, scale int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: prec, Decimal: scale}
}

func dec(coef int64, scale int32) value.Decimal {
	return value.Decimal{Coef: decimal256.FromI64(coef), Scale: scale}
}

// The encodings are shared with other clients of the same keys and responses.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		d          Datum
		ft         *tipb.FieldType
		key, value string
	}{
		{Datum{}, nil, "00", "00"},
		{NewInt64(-1), nil, "037fffffffffffffff", "0801"},
		{NewUint64(300), nil, "04000000000000012c", "09ac02"},
		{NewFloat64(1), nil, "05bff0000000000000", "05bff0000000000000"},
		{NewString("abc"), nil, "016162630000000000fa", "0206616263"},
		{NewDuration(1), nil, "078000000000000001", "078000000000000001"},
		{NewDecimal(dec(123, 2)), decimalType(6, 2), "060602" + "80" + "01" + "17", "060602800117"},
		{NewJSON([]byte{4, 1}), nil, "0a0401", "0a0401"},
	} {
		key, err := AppendKey(nil, c.d, c.ft)
		require.NoError(t, err)
		require.Equal(t, c.key, hex.EncodeToString(key), c.d.Kind())
		val, err := AppendValue(nil, c.d, c.ft)
		require.NoError(t, err)
		require.Equal(t, c.value, hex.EncodeToString(val), c.d.Kind())
	}
}

// typed is a datum with a column type that can hold it.
type typed struct {
	d  Datum
	ft *tipb.FieldType
}

func genTyped() *rapid.Generator[typed] {
	return rapid.Custom(func(t *rapid.T) typed {
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return typed{Datum{}, ft(column.TypeLongLong)}
		case 1:
			return typed{NewInt64(rapid.Int64().Draw(t, "v")), ft(column.TypeLongLong)}
		case 2:
			return typed{NewUint64(rapid.Uint64().Draw(t, "v")), unsigned(column.TypeLongLong)}
		case 3:
			return typed{NewFloat64(rapid.Float64().Draw(t, "v")), ft(column.TypeDouble)}
		case 4:
			return typed{NewBytes(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "v")), ft(column.TypeVarchar)}
		case 5:
			return typed{NewDecimal(dec(rapid.Int64Range(-1e15, 1e15).Draw(t, "v"), 4)), decimalType(16, 4)}
		case 6:
			return typed{NewDecimal(dec(rapid.Int64().Draw(t, "v"), 10)), decimalType(30, 10)}
		case 7:
			return typed{NewTime(value.MakeTime(rapid.IntRange(0, 9999).Draw(t, "v"), 2, 3, 4, 5, 6, 7)), ft(column.TypeDatetime)}
		case 8:
			return typed{NewDuration(value.Duration(rapid.Int64().Draw(t, "v"))), ft(column.TypeDuration)}
		default:
			return typed{NewJSON([]byte("\x0c\x03abc")), ft(column.TypeJSON)}
		}
	})
}

// Both encodings, skipping, and the way through a column give every value back.
func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genTyped().Draw(t, "datum")
		for _, enc := range []func([]byte, Datum, *tipb.FieldType) ([]byte, error){AppendKey, AppendValue, AppendResponse} {
			b, err := enc(nil, in.d, in.ft)
			require.NoError(t, err)
			b = append(b, "tail"...)
			got, rest, err := Decode(b)
			require.NoError(t, err)
			require.Equal(t, in.d, got.Of(in.ft))
			require.Equal(t, "tail", string(rest))
			rest, err = Skip(b)
			require.NoError(t, err)
			require.Equal(t, "tail", string(rest))
		}
		b := column.NewBuilder(in.ft, 1)
		require.NoError(t, in.d.AppendTo(b))
		out := FromColumn(b.Array(), 0, in.ft)
		if len(out.b) == 0 && out.Kind() == Bytes { // nil or not does not matter
			out.b = in.d.b
		}
		require.Equal(t, in.d, out)
	})
}

func TestKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		da, db := dec(a, 3), dec(b, 3)
		ka, err := AppendKey(nil, NewDecimal(da), decimalType(30, 3))
		require.NoError(t, err)
		kb, err := AppendKey(nil, NewDecimal(db), decimalType(30, 3))
		require.NoError(t, err)
		require.Equal(t, da.Cmp(db), bytes.Compare(ka, kb))
		ia, _ := AppendKey(nil, NewInt64(a), nil)
		require.Negative(t, bytes.Compare([]byte{FlagNull}, ia))
		top, _ := AppendKey(nil, NewMaxValue(), nil)
		require.Negative(t, bytes.Compare(ia, top))
	})
}

// A column takes what it can hold without changing the value, rounds decimals to its scale and refuses the rest.
func TestAppendTo(t *testing.T) {
	b := column.NewBuilder(decimalType(10, 1), 0)
	require.NoError(t, NewDecimal(dec(125, 2)).AppendTo(b))
	require.NoError(t, NewInt64(-7).AppendTo(b))
	require.Equal(t, []int64{13, -70}, b.I64)
	require.ErrorIs(t, NewString("x").AppendTo(b), ErrInvalid)

	b = column.NewBuilder(unsigned(column.TypeLongLong), 0)
	require.ErrorIs(t, NewInt64(-1).AppendTo(b), ErrInvalid)
	require.NoError(t, NewInt64(1).AppendTo(b))
	b = column.NewBuilder(ft(column.TypeLongLong), 0)
	require.ErrorIs(t, NewUint64(1<<63).AppendTo(b), ErrInvalid)
	require.Zero(t, b.Len())
}

func TestText(t *testing.T) {
	bit := ft(column.TypeBit)
	bit.Flen = 12
	enum := ft(column.TypeEnum)
	enum.Elems = []string{"a", "b"}
	fill := ft(column.TypeLong)
	fill.Flen, fill.Flag = 5, flagZerofill
	datetime := ft(column.TypeDatetime)
	datetime.Decimal = 0
	for _, c := range []struct {
		d    Datum
		ft   *tipb.FieldType
		want string
	}{
		{NewInt64(-5), ft(column.TypeLong), "-5"},
		{NewInt64(0), ft(column.TypeYear), "0000"},
		{NewInt64(42), fill, "00042"},
		{NewUint64(1<<63 + 1), unsigned(column.TypeLongLong), "9223372036854775809"},
		{NewUint64(0x102), bit, "\x01\x02"},
		{NewUint64(2), enum, "b"},
		{NewFloat64(0.1), ft(column.TypeDouble), "0.1"},
		{NewFloat64(float64(float32(0.1))), ft(column.TypeFloat), "0.1"},
		{NewFloat64(1e14), ft(column.TypeDouble), "100000000000000"},
		{NewFloat64(1e15), ft(column.TypeDouble), "1e15"},
		{NewFloat64(-1.5e-20), ft(column.TypeDouble), "-1.5e-20"},
		{NewFloat64(2), &tipb.FieldType{Tp: column.TypeDouble, Flen: 10, Decimal: 2}, "2.00"},
		{NewDecimal(dec(-5, 2)), decimalType(10, 2), "-0.05"},
		{NewTime(value.MakeTime(2024, 2, 29, 1, 2, 3, 0)), datetime, "2024-02-29 01:02:03"},
		{NewTime(value.MakeTime(2024, 2, 29, 0, 0, 0, 0)), ft(column.TypeDate), "2024-02-29"},
		{NewDuration(-3600e9), ft(column.TypeDuration), "-01:00:00"},
		{Datum{}, ft(column.TypeLong), ""},
	} {
		require.Equal(t, c.want, string(c.d.AppendText(nil, c.ft)))
	}
}

func FuzzDecode(f *testing.F) {
	for _, h := range []string{"00", "037fffffffffffffff", "0801", "09ac02", "0206616263", "016162630000000000fa", "060602800117",
		"0a0401", "0a0c0141", "fa", "01", "0a01ffffffffffffffff"} {
		b, _ := hex.DecodeString(h)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, rest, err := Decode(b)
		skipped, skipErr := Skip(b)
		require.Equal(t, err == nil, skipErr == nil)
		if err == nil {
			require.Equal(t, rest, skipped)
			require.Less(t, len(rest), len(b))
		}
	})
}
