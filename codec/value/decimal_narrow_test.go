package value

import (
	"encoding/binary"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A NarrowDecimal reads what AppendDecimalBinary wrote, whatever stands before it.
func TestNarrowDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, 30).Draw(t, "precision")
		scale := rapid.IntRange(0, precision).Draw(t, "scale")
		coef := rapid.Int64().Draw(t, "coefficient") >> rapid.IntRange(0, 63).Draw(t, "shift")
		if p := pow10Int64[min(precision, 18)]; coef <= -p || coef >= p {
			coef %= p
		}
		b := AppendDecimalBinary([]byte("row head "), Decimal{Coef: decimal256.FromI64(coef), Scale: int32(scale)}, precision, scale)
		cell := b[len("row head "):]
		d, ok := NewNarrowDecimal(cell, scale)
		require.Equal(t, layoutOf(byte(precision), byte(scale)).narrow, ok)
		_, otherScale := NewNarrowDecimal(cell, scale+1)
		require.False(t, otherScale)
		if ok {
			require.Equal(t, len(cell), d.Len())
			require.True(t, d.Reads(cell))
			tail := int64(binary.BigEndian.Uint64(b[len(b)-8:]))
			all, some := []int64{tail, tail}, []int64{tail, tail}
			d.Values(all, nil)
			d.Values(some, []int32{1})
			require.Equal(t, []int64{coef, coef}, all)
			require.Equal(t, []int64{tail, coef}, some)
		}
	})
}
