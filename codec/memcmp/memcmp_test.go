package memcmp

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The layouts are those of other clients of the same keys, so a few are pinned byte by byte.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"i64cmp 1", "8000000000000001", AppendInt64(nil, 1)},
		{"i64cmp -1", "7fffffffffffffff", AppendInt64(nil, -1)},
		{"u64be 258", "0000000000000102", AppendUint64(nil, 258)},
		{"u64desc 1", "fffffffffffffffe", AppendUint64Desc(nil, 1)},
		{"f64cmp 1", "bff0000000000000", AppendFloat64(nil, 1)},
		{"f64cmp -1", "400fffffffffffff", AppendFloat64(nil, -1)},
		{"mce empty", "0000000000000000f7", AppendBytes(nil, nil)},
		{"mce abc", "6162630000000000fa", AppendBytes(nil, []byte("abc"))},
		{"mce 8", "6162636465666768ff0000000000000000f7", AppendBytes(nil, []byte("abcdefgh"))},
	} {
		require.Equal(t, c.want, hex.EncodeToString(c.got), c.name)
	}
}

// Order and value survive every form, with other bytes following.
func TestOrderAndRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkForm(t, rapid.Int64(), AppendInt64, DecodeInt64, 1)
		checkForm(t, rapid.Uint64(), AppendUint64, DecodeUint64, 1)
		checkForm(t, rapid.Uint64(), AppendUint64Desc, DecodeUint64Desc, -1)
		checkForm(t, rapid.Float64(), AppendFloat64, DecodeFloat64, 1)
	})
}

func checkForm[T cmp.Ordered](t *rapid.T, gen *rapid.Generator[T], enc func([]byte, T) []byte,
	dec func([]byte) (T, []byte, error), sign int) {
	a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
	ea, eb := enc(nil, a), enc(nil, b)
	if a != b {
		require.Equal(t, sign*cmp.Compare(a, b), bytes.Compare(ea, eb))
	}
	got, rest, err := dec(append(ea, "tail"...))
	require.NoError(t, err)
	require.Equal(t, a, got)
	require.Equal(t, "tail", string(rest))
}

func TestBytesOrderAndRoundTrip(t *testing.T) {
	short := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 20)
	rapid.Check(t, func(t *rapid.T) {
		a, b := short.Draw(t, "a"), short.Draw(t, "b")
		ea, eb := AppendBytes(nil, a), AppendBytes(nil, b)
		require.Len(t, ea, EncodedLen(len(a)))
		require.Equal(t, bytes.Compare(a, b), bytes.Compare(ea, eb))
		got, rest, err := DecodeBytes(append(ea, b...), nil)
		require.NoError(t, err)
		require.Equal(t, a, got)
		require.Equal(t, b, append([]byte{}, rest...))
	})
}

// Comparing with any bytes is comparing with their Ceil.
func TestCeil(t *testing.T) {
	parts := rapid.SampledFrom([]string{"\x00", "a", "b", "abcdefgh", "abc\x00\x00\x00\x00\x00", "\xf6", "\xf7", "\xfa", "\xfb", "\xff", "\x00\x00\x00\x00\x00\x00\x00\x00"})
	draw := func(t *rapid.T, label string) []byte {
		return []byte(strings.Join(rapid.SliceOfN(parts, 0, 5).Draw(t, label), ""))
	}
	rapid.Check(t, func(t *rapid.T) {
		b, s := draw(t, "b"), draw(t, "s")
		if rapid.Bool().Draw(t, "near") {
			b = append(AppendBytes(nil, s), b...)
		}
		ceil := Ceil(b)
		require.Equal(t, bytes.Compare(AppendBytes(nil, s), b) >= 0, bytes.Compare(s, ceil) >= 0, "%x has ceil %x", b, ceil)
		require.GreaterOrEqual(t, bytes.Compare(AppendBytes(nil, ceil), b), 0)
		require.Equal(t, s, Ceil(AppendBytes(nil, s)))
	})
}

func TestFloatSpecials(t *testing.T) {
	ordered := []float64{math.Inf(-1), -1, math.Copysign(0, -1), 0, 1, math.Inf(1)}
	for i := 1; i < len(ordered); i++ {
		require.Negative(t, bytes.Compare(AppendFloat64(nil, ordered[i-1]), AppendFloat64(nil, ordered[i])))
	}
}

func TestBadInput(t *testing.T) {
	for _, h := range []string{"", "00", "0000000000000000", "0000000000000000f6", "6162636465666768ff", "6100000000000000f7"} {
		b, err := hex.DecodeString(h)
		require.NoError(t, err)
		_, _, err = DecodeBytes(b, nil)
		require.ErrorIs(t, err, ErrInvalid, h)
		_, err = SkipBytes(b)
		require.ErrorIs(t, err, ErrInvalid, h)
	}
	_, _, err := DecodeInt64([]byte{1, 2})
	require.ErrorIs(t, err, ErrInvalid)
}

// Whatever decodes encodes back to the same bytes.
func FuzzDecodeBytes(f *testing.F) {
	f.Add([]byte("abcdefgh\xff\x00\x00\x00\x00\x00\x00\x00\x00\xf7tail"))
	f.Add([]byte("abc\x00\x00\x00\x00\x00\xfa"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := DecodeBytes(b, nil)
		skipped, skipErr := SkipBytes(b)
		require.Equal(t, err == nil, skipErr == nil)
		if err == nil {
			require.Equal(t, rest, skipped)
			require.Equal(t, b, append(AppendBytes(nil, s), rest...))
		}
	})
}

func BenchmarkAppendBytes(b *testing.B) {
	s, dst := []byte("a key of thirty bytes or so....."), make([]byte, 0, 64)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		dst = AppendBytes(dst[:0], s)
	}
}
