package rawvalue

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bytes, as TiKV's API version 2 has them.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		value  string
		expiry uint64
		stored string
	}{
		{"", 0, "00"},
		{"ab", 0, "616200"},
		{"", 1, "000000000000000101"},
		{"ab", 0x0102030405060708, "6162010203040506070801"},
	} {
		stored := Append(nil, []byte(c.value), c.expiry)
		require.Equal(t, c.stored, hex.EncodeToString(stored))
		value, expiry, err := Split(stored)
		require.NoError(t, err)
		require.NotNil(t, value)
		require.Equal(t, c.value, string(value))
		require.Equal(t, c.expiry, expiry)
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, stored := range []string{"", "02", "6104", "01", "000000000000001001"[2:]} {
		b, err := hex.DecodeString(stored)
		require.NoError(t, err)
		_, _, err = Split(b)
		require.ErrorIs(t, err, ErrInvalid, stored)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("abc\x00"))
	f.Add(Append(nil, []byte("abc"), 77))
	f.Fuzz(func(t *testing.T, stored []byte) {
		value, expiry, err := Split(stored)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		if again := Append(nil, value, expiry); expiry != 0 {
			require.Equal(t, stored, again)
		}
	})
}
