package tablekey

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The layout is shared with other clients of the same keys.
func TestLayout(t *testing.T) {
	require.Equal(t, "748000000000000001"+"5f72"+"8000000000000002",
		hex.EncodeToString(AppendRecordKey(nil, 1, IntHandle(2))))
	require.Equal(t, "748000000000000001"+"5f69"+"8000000000000003", hex.EncodeToString(IndexPrefix(1, 3)))
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, index, handle := rapid.Int64().Draw(t, "table"), rapid.Int64().Draw(t, "index"), rapid.Int64().Draw(t, "handle")

		key := AppendRecordKey(nil, table, IntHandle(handle))
		got, err := Decode(key)
		require.NoError(t, err)
		require.Equal(t, Key{TableID: table, Rest: IntHandle(handle)}, got)
		h, err := RecordHandle(key)
		require.NoError(t, err)
		v, err := DecodeIntHandle(h)
		require.NoError(t, err)
		require.Equal(t, handle, v)
		require.True(t, contains(RecordRange(table), key))
		require.True(t, contains(TableRange(table), key))
		require.False(t, contains(IndexRange(table, index), key))

		key = append(IndexPrefix(table, index), "datums"...)
		got, err = Decode(key)
		require.NoError(t, err)
		require.Equal(t, Key{TableID: table, Index: true, IndexID: index, Rest: []byte("datums")}, got)
		require.True(t, contains(IndexRange(table, index), key))
		require.True(t, contains(TableRange(table), key))
		require.False(t, contains(RecordRange(table), key))
		_, err = RecordHandle(key)
		require.ErrorIs(t, err, ErrInvalid)
	})
}

func contains(r Range, key []byte) bool {
	return bytes.Compare(r.Start, key) <= 0 && (r.End == nil || bytes.Compare(key, r.End) < 0)
}

func TestPrefixNext(t *testing.T) {
	for _, c := range [][2]string{{"a", "b"}, {"a\xff", "b"}, {"a\x00", "a\x01"}} {
		require.Equal(t, c[1], string(PrefixNext([]byte(c[0]))))
	}
	require.Nil(t, PrefixNext(nil))
	require.Nil(t, PrefixNext([]byte("\xff\xff")))
}

func FuzzDecode(f *testing.F) {
	f.Add(AppendRecordKey(nil, 1, IntHandle(2)))
	f.Add(IndexPrefix(1, 3))
	f.Add([]byte("t"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := Decode(b)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		prefix := RecordPrefix(k.TableID)
		if k.Index {
			prefix = IndexPrefix(k.TableID, k.IndexID)
		}
		require.Equal(t, b, append(prefix, k.Rest...))
	})
}
