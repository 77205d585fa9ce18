package value

import (
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func dec(t require.TestingT, s string) Decimal {
	d, whole, err := ParseDecimal([]byte(s))
	require.NoError(t, err, s)
	require.True(t, whole, s)
	return d
}

// Literals keep their scale, round beyond 30 fraction digits, and stop at what is not a number.
func TestParseDecimal(t *testing.T) {
	nines := strings.Repeat("9", 65)
	for _, c := range []struct {
		in, want string
		whole    bool
	}{
		{"0", "0", true}, {"-0", "0", true}, {"-0.00", "0.00", true}, {"12.340", "12.340", true}, {" +7 ", "7", true},
		{".5", "0.5", true}, {"5.", "5", true}, {"1e3", "1000", true}, {"1.25E-2", "0.0125", true}, {"12e", "12", false},
		{"3x", "3", false}, {"", "0", false}, {"-", "0", false}, {"abc", "0", false}, {"1.5e+1", "15", true},
		{"0.12345678901234567890123456789056", "0.123456789012345678901234567891", true},
		{nines, nines, true}, {nines + ".4", nines, true}, {"1e-40", "0.000000000000000000000000000000", true},
		{"0." + strings.Repeat("0", 200) + "1e190", "0.00000000001", true},
		{strings.Repeat("9", 60) + ".123456", strings.Repeat("9", 60) + ".12346", true},
		{strings.Repeat("0", 100) + "42.1", "42.1", true},
		{strings.Repeat("9", 64) + ".97", "1" + strings.Repeat("0", 64), true},
		{strings.Repeat("9", 64) + ".94", strings.Repeat("9", 64) + ".9", true},
	} {
		d, whole, err := ParseDecimal([]byte(c.in))
		require.NoError(t, err, c.in)
		require.Equal(t, c.whole, whole, c.in)
		require.Equal(t, c.want, d.String(), c.in)
	}
	for _, in := range []string{nines + "9", nines + ".9", "1e66", "-1e99999999999"} {
		d, _, err := ParseDecimal([]byte(in))
		require.Error(t, err, in)
		require.Equal(t, nines, d.Abs().String(), in)
	}
}

// anyDecimal draws decimals of all sizes, small ones as often as wide ones.
func anyDecimal(maxDigits int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		digits := rapid.StringMatching(`[0-9]{1,`+itoa(maxDigits)+`}`).Draw(t, "digits")
		scale := rapid.IntRange(0, min(len(digits), maxScale)).Draw(t, "scale")
		s := digits[:len(digits)-scale]
		if s == "" {
			s = "0"
		}
		if scale > 0 {
			s += "." + digits[len(digits)-scale:]
		}
		if rapid.Bool().Draw(t, "neg") {
			s = "-" + s
		}
		return s
	})
}

func itoa(n int) string { return DecimalFromInt64(int64(n)).String() }

func apdOf(t require.TestingT, s string) *apd.Decimal {
	d, _, err := apd.NewFromString(s)
	require.NoError(t, err)
	return d
}

// Sums, products, remainders, comparisons and roundings agree with an independent implementation.
func TestDecimalArithmeticAgainstOracle(t *testing.T) {
	ctx := apd.BaseContext.WithPrecision(200)
	ctx.Rounding = apd.RoundHalfUp
	rapid.Check(t, func(t *rapid.T) {
		sa, sb := anyDecimal(34).Draw(t, "a"), anyDecimal(30).Draw(t, "b")
		a, b, oa, ob := dec(t, sa), dec(t, sb), apdOf(t, sa), apdOf(t, sb)
		same := func(op string, got Decimal, err error, scale int32) {
			require.NoError(t, err, op)
			require.Equal(t, scale, got.Scale, op)
		}
		var want apd.Decimal
		check := func(op string, got Decimal, err error, scale int32) {
			same(op, got, err, scale)
			_, qerr := ctx.Quantize(&want, &want, -scale)
			require.NoError(t, qerr)
			require.Zero(t, want.Cmp(apdOf(t, got.String())), "%s: %s, want %s", op, got, &want)
		}
		_, _ = ctx.Add(&want, oa, ob)
		sum, err := a.Add(b)
		check("add", sum, err, max(a.Scale, b.Scale))
		_, _ = ctx.Sub(&want, oa, ob)
		diff, err := a.Sub(b)
		check("sub", diff, err, max(a.Scale, b.Scale))
		_, _ = ctx.Mul(&want, oa, ob)
		product, err := a.Mul(b)
		check("mul", product, err, min(a.Scale+b.Scale, maxScale))
		require.Equal(t, oa.Cmp(ob), a.Cmp(b))
		if b.Sign() != 0 {
			_, _ = ctx.Rem(&want, oa, ob)
			rem, err := a.Mod(b)
			check("mod", rem, err, max(a.Scale, b.Scale))
		}
		scale := rapid.Int32Range(0, maxScale).Draw(t, "scale")
		want.Set(oa)
		check("rescale", a.Rescale(int(scale)), nil, scale)
	})
}

// Quotients are those of MySQL, cut in whole words and then rounded.
func TestDecimalDiv(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"2", "3", "0.6667"}, {"2.00000", "3", "0.666666666"}, {"2.000000001", "3", "0.6666666670000"},
		{"20", "3.0000", "6.6667"}, {"-1", "8", "-0.1250"}, {"0", "5", "0.0000"}, {"1", "0.0001", "10000.0000"},
		{"123456789012345678901234567890", "0.00000000000000000000000000001", ""},
		{"99999999999999999999999999999999999", "7.123456789012345678901234567", ""},
	} {
		q, err := dec(t, c.a).Div(dec(t, c.b), 4)
		require.NoError(t, err)
		if c.want != "" {
			require.Equal(t, c.want, q.String(), "%s/%s", c.a, c.b)
		}
	}
	_, err := dec(t, "1").Div(dec(t, "0"), 4)
	require.ErrorIs(t, err, ErrDivisionByZero)
	q, err := dec(t, "-7.5").IntDiv(dec(t, "2"))
	require.NoError(t, err)
	require.Equal(t, "-3", q.String())
}

// A result of more than 65 digits first gives up fraction digits, then is an overflow.
func TestDecimalOverflow(t *testing.T) {
	big := dec(t, strings.Repeat("9", 65))
	_, err := big.Add(dec(t, "1"))
	require.ErrorIs(t, err, ErrDecimalOverflow)
	_, err = big.Mul(dec(t, "10"))
	require.ErrorIs(t, err, ErrDecimalOverflow)
	p, err := dec(t, strings.Repeat("9", 60)+".5").Mul(dec(t, "1.00000000000000000001"))
	require.NoError(t, err)
	require.Equal(t, 65, p.Precision())
	_, err = big.Mul(big)
	require.ErrorIs(t, err, ErrDecimalOverflow)
}

func TestDecimalConversions(t *testing.T) {
	v, ok := dec(t, "-9223372036854775808.4").Int64()
	require.True(t, ok)
	require.Equal(t, int64(math.MinInt64), v)
	v, ok = dec(t, "9223372036854775807.5").Int64()
	require.False(t, ok)
	require.Equal(t, int64(math.MaxInt64), v)
	u, ok := dec(t, "18446744073709551615.4").Uint64()
	require.True(t, ok)
	require.Equal(t, uint64(math.MaxUint64), u)
	_, ok = dec(t, "-0.5").Uint64()
	require.False(t, ok)
	for _, c := range []struct {
		in   float64
		want string
	}{{0.1, "0.1"}, {1e20, "100000000000000000000"}, {-2.5e-7, "-0.00000025"}, {123.456, "123.456"}} {
		d, err := DecimalFromFloat64(c.in)
		require.NoError(t, err)
		require.Equal(t, c.want, d.String())
		require.Equal(t, c.in, d.Float64())
	}
	_, err := DecimalFromFloat64(math.Inf(1))
	require.Error(t, err)
	require.Equal(t, "-2", dec(t, "-1.5").Floor().String())
	require.Equal(t, "-1", dec(t, "-1.5").Ceil().String())
	require.Equal(t, "1200", dec(t, "1234.5").Truncate(-2).String())
	require.Equal(t, "1235", dec(t, "1234.5").Round(0).String())
}

// The binary form reads back, orders as numbers do, and the 64-bit reader agrees with the wide one.
func TestDecimalBinary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := dec(t, anyDecimal(65).Draw(t, "a")), dec(t, anyDecimal(20).Draw(t, "b"))
		p := max(a.Precision(), b.Precision())
		scale := int(max(a.Scale, b.Scale))
		p = min(max(p-int(min(a.Scale, b.Scale))+scale, scale+1, 1), maxPrecision)
		if a.Rescale(scale).Precision() > p || b.Rescale(scale).Precision() > p {
			return
		}
		ea, eb := AppendDecimalBinary(nil, a, p, scale), AppendDecimalBinary(nil, b, p, scale)
		back, rest, err := DecodeDecimalBinary(append(ea, 7))
		require.NoError(t, err)
		require.Equal(t, []byte{7}, rest)
		require.Equal(t, a.Rescale(scale), back)
		require.Equal(t, a.Cmp(b), strings.Compare(string(ea), string(eb)))
		to := rapid.IntRange(0, maxScale).Draw(t, "to")
		v, n, ok := DecodeDecimalInt64(eb, to)
		want, fits := b.Rescale(to).Int64Coef()
		if fits = fits && want > -tenTo18 && want < tenTo18; fits != ok {
			require.Failf(t, "fit", "%s at %d: %v", b, to, ok)
		}
		if ok {
			require.Equal(t, want, v)
			require.Equal(t, len(eb), n)
		}
	})
}

func TestDecimalBinaryBytes(t *testing.T) {
	require.Equal(t, []byte{14, 4, 0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2}, AppendDecimalBinary(nil, dec(t, "1234567890.1234"), 14, 4))
	require.Equal(t, []byte{14, 4, 0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d}, AppendDecimalBinary(nil, dec(t, "-1234567890.1234"), 14, 4))
}

func FuzzDecodeDecimal(f *testing.F) {
	f.Add([]byte{14, 4, 0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2}, 4)
	f.Add([]byte{255, 255, 1}, 40)
	f.Fuzz(func(t *testing.T, b []byte, scale int) {
		d, rest, err := DecodeDecimalBinary(b)
		if err == nil && d.FitsIn(int(b[0]), int(b[1])) {
			used := len(b) - len(rest)
			again, _, err := DecodeDecimalBinary(AppendDecimalBinary(nil, d, int(b[0]), int(b[1])))
			require.NoError(t, err)
			require.Equal(t, d, again)
			if v, n, ok := DecodeDecimalInt64(b, int(b[1])); ok {
				require.Equal(t, used, n)
				require.Equal(t, d, DecimalFromScaled(v, int(b[1])))
			}
		}
		DecodeDecimalInt64(b, scale)
	})
}

func BenchmarkDecodeDecimalInt64(b *testing.B) {
	for name, cell := range map[string][]byte{
		"15,2": AppendDecimalBinary(nil, DecimalFromScaled(2116823, 2), 15, 2),
		"18,6": AppendDecimalBinary(nil, DecimalFromScaled(2116823, 6), 18, 6),
		"5,2":  AppendDecimalBinary(nil, DecimalFromScaled(23, 2), 5, 2),
	} {
		b.Run(name, func(b *testing.B) {
			cell, scale := cell[:len(cell):len(cell)], int(cell[1])
			var sum int64
			for b.Loop() {
				v, _, _ := DecodeDecimalInt64(cell, scale)
				sum += v
			}
			_ = sum
		})
	}
}

func BenchmarkAppendDecimalBinary(b *testing.B) {
	d, buf := DecimalFromScaled(2116823, 2), make([]byte, 0, 64)
	for b.Loop() {
		buf = AppendDecimalBinary(buf[:0], d, 15, 2)
	}
}
