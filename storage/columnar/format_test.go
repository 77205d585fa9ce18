package columnar

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
)

// kindTypes has a field type for each kind.
var kindTypes = []*tipb.FieldType{
	column.Int64:      {Tp: column.TypeLongLong},
	column.Uint64:     {Tp: column.TypeLongLong, Flag: column.FlagUnsigned},
	column.Float64:    {Tp: column.TypeDouble},
	column.Decimal64:  {Tp: column.TypeDecimal, Flen: 15, Decimal: 2},
	column.Decimal128: {Tp: column.TypeDecimal, Flen: 30, Decimal: 2},
	column.Decimal256: {Tp: column.TypeDecimal, Flen: 60, Decimal: 2},
	column.Bytes:      {Tp: column.TypeVarchar},
}

// drawColumn draws a column whose numbers lie within one of several distances from each other, and whose strings are many or few.
func drawColumn(t *rapid.T, k column.Kind) arrow.Array {
	b := column.NewBuilder(kindTypes[k], 0)
	rows := rapid.IntRange(1, 300).Draw(t, "rows")
	base, shift := rapid.Int64().Draw(t, "base"), rapid.IntRange(0, 50).Draw(t, "shift")
	span := rapid.SampledFrom([]uint64{0, 1, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxUint64}).Draw(t, "span")
	few := rapid.Bool().Draw(t, "few strings")
	nulls := rapid.IntRange(0, 2).Draw(t, "nulls")
	for range rows {
		if nulls > 0 && (nulls == 2 || rapid.Bool().Draw(t, "null")) {
			b.AppendNull()
			continue
		}
		v := base + int64(rapid.Uint64Range(0, span).Draw(t, "v")<<shift)
		switch k {
		case column.Int64, column.Decimal64:
			b.AppendInt64(v)
		case column.Uint64:
			b.AppendUint64(uint64(v))
		case column.Float64:
			b.AppendFloat64(float64(v))
		case column.Decimal128:
			b.AppendDecimal128(decimal128.New(v, uint64(v)))
		case column.Decimal256:
			b.AppendDecimal256(decimal256.New(uint64(v), 1, 2, 3))
		case column.Bytes:
			if few {
				b.AppendBytes([]byte(rapid.SampledFrom([]string{"", "MAIL", "TRUCK", strings.Repeat("x", slotBytes)}).Draw(t, "s")))
			} else {
				b.AppendBytes(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "s"))
			}
		}
	}
	return b.Array()
}

// What is decoded is what was encoded, and the zone holds it.
func TestBlocksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := column.Kind(rapid.IntRange(0, int(column.Bytes)).Draw(t, "kind"))
		a := drawColumn(t, k)
		var e encoder
		block, place := e.encode(k, a)
		require.Zero(t, len(block)%8)
		got, err := decode(bytes.Clone(block), k, a.Len())
		require.NoError(t, err)
		requireSame(t, a, got)
		checkZone(t, place.zone.public(k), a)
	})
}

func requireSame(t require.TestingT, want, got arrow.Array) {
	require.Equal(t, want.Len(), got.Len())
	require.Equal(t, want.NullN(), got.NullN())
	require.True(t, array.Equal(want, got), "%v is not %v", got, want)
}

func checkZone(t require.TestingT, z Zone, a arrow.Array) {
	require.Equal(t, a.NullN(), z.Nulls)
	if !z.Bounded {
		wide := z.Kind == column.Decimal128 || z.Kind == column.Decimal256
		require.True(t, wide || a.NullN() == a.Len())
		return
	}
	for i := range a.Len() {
		if a.IsValid(i) {
			require.True(t, z.holds(a, i), "%+v lacks %v", z, a)
		}
	}
}

func (z *Zone) holds(a arrow.Array, i int) bool {
	switch a := a.(type) {
	case *array.Int64:
		return z.Min.Int64 <= a.Value(i) && a.Value(i) <= z.Max.Int64
	case *array.Uint64:
		return z.Min.Uint64 <= a.Value(i) && a.Value(i) <= z.Max.Uint64
	case *array.Float64:
		return z.Min.Float64 <= a.Value(i) && a.Value(i) <= z.Max.Float64
	case *array.Binary:
		v := a.Value(i)
		return bytes.Compare(z.Min.Bytes, v) <= 0 && (z.Max.Bytes == nil || bytes.Compare(v, z.Max.Bytes) <= 0)
	}
	return false
}

func TestZonesOfLongStrings(t *testing.T) {
	b := column.NewBuilder(kindTypes[column.Bytes], 0)
	b.AppendBytes([]byte("a prefix that goes on"))
	b.AppendBytes([]byte("a prefix of this\xff\xff"))
	z := zoneOf(b)
	require.Equal(t, "a prefix of this", string(z.Min.Bytes))
	require.Equal(t, "a prefix that gp", string(z.Max.Bytes))
	b.AppendBytes(bytes.Repeat([]byte{0xff}, 20))
	z = zoneOf(b)
	require.True(t, z.Bounded)
	require.Nil(t, z.Max.Bytes)
	b.Reset()
	b.AppendBytes(nil)
	z = zoneOf(b)
	require.NotNil(t, z.Max.Bytes)
	require.Empty(t, z.Max.Bytes)
}

func zoneOf(b *column.Builder) Zone {
	var e encoder
	_, place := e.encode(column.Bytes, b.Array())
	return place.zone.public(column.Bytes)
}

func TestNaNHasNoZone(t *testing.T) {
	b := column.NewBuilder(kindTypes[column.Float64], 0)
	b.AppendFloat64(1)
	b.AppendFloat64(math.NaN())
	var e encoder
	_, place := e.encode(column.Float64, b.Array())
	require.False(t, place.zone.bounded)
}

// sample is a full block of a kind of column that tables have.
type sample struct {
	name string
	kind column.Kind
	at   func(b *column.Builder, i int)
}

var flags, modes = []string{"A", "N", "R"}, []string{"AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"}

var samples = []sample{
	{"order key", column.Int64, func(b *column.Builder, i int) { b.AppendInt64(1_000_000 + int64(i)/4) }},
	{"quantity", column.Decimal64, func(b *column.Builder, i int) { b.AppendInt64(int64(i*7919%50) * 100) }},
	{"price", column.Decimal64, func(b *column.Builder, i int) { b.AppendInt64(90_000 + int64(i)*7919%10_000_000) }},
	{"date", column.Uint64, func(b *column.Builder, i int) { b.AppendUint64(1<<60 | uint64(i*7919%2500)<<41) }},
	{"double", column.Float64, func(b *column.Builder, i int) { b.AppendFloat64(float64(i) / 3) }},
	{"flag", column.Bytes, func(b *column.Builder, i int) { b.AppendBytes([]byte(flags[i*7919%3])) }},
	{"mode", column.Bytes, func(b *column.Builder, i int) { b.AppendBytes([]byte(modes[i*7919%7])) }},
	{"comment", column.Bytes, func(b *column.Builder, i int) {
		b.AppendBytes(fmt.Appendf(nil, "carefully final deposits %d", i)[:10+i%18])
	}},
}

func (s *sample) array() arrow.Array {
	b := column.NewBuilder(kindTypes[s.kind], column.BatchSize)
	for i := range column.BatchSize {
		s.at(b, i)
	}
	return b.Array()
}

// Columns of few distinct values, or of numbers near each other, take a fraction of their size in memory.
func TestEncodingsPay(t *testing.T) {
	sizes := map[string]int{}
	for i := range samples {
		var e encoder
		block, _ := e.encode(samples[i].kind, samples[i].array())
		sizes[samples[i].name] = len(block)
	}
	require.Equal(t, map[string]int{
		"order key": headerBytes + 2*column.BatchSize, "quantity": headerBytes + 2*column.BatchSize,
		"price": headerBytes + 4*column.BatchSize, "date": headerBytes + 2*column.BatchSize, "double": headerBytes + 8*column.BatchSize,
		"flag": headerBytes + column.BatchSize, "mode": headerBytes + column.BatchSize + 8 + 7*slotBytes,
		"comment": sizes["comment"],
	}, sizes)
	require.Less(t, sizes["comment"], 20*column.BatchSize)
}

// Whatever stands in a block, decoding gives a column or an error.
func FuzzDecode(f *testing.F) {
	for i := range samples {
		var e encoder
		a := samples[i].array()
		b := column.NewBuilder(kindTypes[samples[i].kind], 8)
		b.AppendRows(a, []int32{0, 1, 2, -1, 1000})
		block, _ := e.encode(samples[i].kind, b.Array())
		f.Add(bytes.Clone(block), byte(samples[i].kind), 5, true)
	}
	f.Fuzz(func(t *testing.T, block []byte, kind byte, rows int, resum bool) {
		block = append(make([]byte, 0, len(block)+8), block...)
		if resum && len(block) >= headerBytes {
			sumBlock(block) // or no input would get beyond the checksum
		}
		a, err := decode(block, column.Kind(kind), rows)
		if err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		require.Equal(t, rows, a.Len())
		if s, ok := a.(*array.Binary); ok {
			for i := range rows {
				_ = len(s.Value(i))
			}
		}
	})
}

// Any change of a byte is found.
func TestDamageIsFound(t *testing.T) {
	for i := range samples {
		a := samples[i].array()
		var e encoder
		block, _ := e.encode(samples[i].kind, a)
		for at := 0; at < len(block); at += 97 {
			bad := bytes.Clone(block)
			bad[at] ^= 4
			_, err := decode(bad, samples[i].kind, a.Len())
			require.ErrorIs(t, err, ErrDamaged)
		}
		_, err := decode(bytes.Clone(block), samples[i].kind, a.Len()-1)
		require.ErrorIs(t, err, ErrDamaged)
	}
}

// The throughput is of decoded bytes.
func BenchmarkDecode(b *testing.B) {
	for i := range samples {
		s := &samples[i]
		b.Run(strings.ReplaceAll(s.name, " ", "-"), func(b *testing.B) {
			var e encoder
			a := s.array()
			block, _ := e.encode(s.kind, a)
			b.SetBytes(column.Size(column.Batch{Cols: []arrow.Array{a}}))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(block, s.kind, column.BatchSize); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for i := range samples {
		s := &samples[i]
		b.Run(strings.ReplaceAll(s.name, " ", "-"), func(b *testing.B) {
			var e encoder
			a := s.array()
			b.SetBytes(column.Size(column.Batch{Cols: []arrow.Array{a}}))
			for b.Loop() {
				e.encode(s.kind, a)
			}
		})
	}
}
