package row

import (
	"encoding/binary"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/tablekey"
)

func mustKey(t require.TestingT, dst []byte, ds ...datum.Datum) []byte {
	var err error
	for _, d := range ds {
		dst, err = datum.AppendKey(dst, d, nil)
		require.NoError(t, err)
	}
	return dst
}

func decodeEntry(t require.TestingT, cols []Column, primary []int64, key, val []byte) []datum.Datum {
	d, err := NewIndexDecoder(cols, primary, nil)
	require.NoError(t, err)
	out := builders(cols)
	require.NoError(t, d.Decode(key, val, out))
	return datums(out, 0)
}

func withCollation(tp, collate int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: tp, Flen: -1, Decimal: -1, Collate: collate}
}

// An entry of an index (a BIGINT, b VARCHAR) in each form, with the handle in the key or in the value.
func TestIndexIntHandle(t *testing.T) {
	cols := []Column{{ID: 1, Type: ft(column.TypeLongLong)}, {ID: 2, Type: ft(column.TypeVarchar)},
		{ID: ColumnHandle, Type: ft(column.TypeLongLong)}}
	a, b, handle := datum.NewInt64(10), datum.NewString("xy"), datum.NewInt64(-3)
	unique := mustKey(t, tablekey.IndexPrefix(5, 6), a, b)
	plain := mustKey(t, unique, handle)
	want := []datum.Datum{a, b, handle}

	var e Encoder
	e.AppendBytes(2, []byte("XY"))
	restored, err := e.Encode(nil)
	require.NoError(t, err)
	wantRestored := []datum.Datum{a, datum.NewString("XY"), handle}

	require.Equal(t, want, decodeEntry(t, cols, nil, plain, AppendIndexValue(nil, false, 0, nil)))
	require.Equal(t, want, decodeEntry(t, cols, nil, unique, AppendIndexValue(nil, true, -3, nil)))
	require.Equal(t, wantRestored, decodeEntry(t, cols, nil, plain, AppendIndexValue(nil, false, 0, restored)))
	require.Equal(t, wantRestored, decodeEntry(t, cols, nil, unique, AppendIndexValue(nil, true, -3, restored)))

	untouched := append(AppendIndexValue(nil, true, -3, nil), '1')
	require.Equal(t, want, decodeEntry(t, cols, nil, unique, untouched))
	partition := append(append([]byte(nil), unique...), optPartition)
	partition = mustKey(t, binary.BigEndian.AppendUint64(partition, 77), handle)
	require.Equal(t, want, decodeEntry(t, cols, nil, partition, []byte{'0'}))
	require.Equal(t, want[:2], decodeEntry(t, cols[:2], nil, plain, []byte{'0'}))
}

func TestIndexCommonHandle(t *testing.T) {
	cols := []Column{{ID: 3, Type: withCollation(column.TypeVarchar, -46)}, {ID: 1, Type: ft(column.TypeLongLong)},
		{ID: 2, Type: withCollation(column.TypeVarchar, -45)}}
	c, p1, p2 := datum.NewString("c"), datum.NewInt64(1), datum.NewString("KEY")
	unique := mustKey(t, tablekey.IndexPrefix(5, 6), c)
	handle := mustKey(t, nil, p1, p2)
	plain := append(append([]byte(nil), unique...), handle...)

	bare, err := AppendCommonIndexValue(nil, nil, nil)
	require.NoError(t, err)
	require.Len(t, bare, 3)
	require.Equal(t, []datum.Datum{c, p1, p2}, decodeEntry(t, cols, []int64{1, 2}, plain, bare))

	withHandle, err := AppendCommonIndexValue(nil, handle, nil)
	require.NoError(t, err)
	require.Equal(t, []datum.Datum{c, p1, p2}, decodeEntry(t, cols, []int64{1, 2}, unique, withHandle))

	// The padded binary collation restores its trailing spaces from their number, the other one the whole string.
	var e Encoder
	e.AppendUint64(3, 2)
	e.AppendBytes(2, []byte("kEy"))
	restored, err := e.Encode(nil)
	require.NoError(t, err)
	val, err := AppendCommonIndexValue(nil, handle, restored)
	require.NoError(t, err)
	want := []datum.Datum{datum.NewString("c  "), p1, datum.NewString("kEy")}
	require.Equal(t, want, decodeEntry(t, cols, []int64{1, 2}, unique, val))
}

func FuzzIndexDecode(f *testing.F) {
	key := mustKey(f, tablekey.IndexPrefix(5, 6), datum.NewInt64(1), datum.NewString("xy"))
	common, _ := AppendCommonIndexValue(nil, mustKey(f, nil, datum.NewInt64(7)), nil)
	f.Add(key, AppendIndexValue(nil, true, 9, nil))
	f.Add(key, common)
	f.Add(mustKey(f, key, datum.NewInt64(7)), []byte{'0'})
	f.Fuzz(func(t *testing.T, key, val []byte) {
		cols := []Column{{ID: 1, Type: ft(column.TypeLongLong)}, {ID: 2, Type: withCollation(column.TypeVarchar, -46)},
			{ID: 3, Type: ft(column.TypeLongLong), PKHandle: true}}
		for _, primary := range [][]int64{nil, {3}} {
			cols[2].PKHandle = primary == nil
			d, err := NewIndexDecoder(cols, primary, nil)
			require.NoError(t, err)
			out := builders(cols)
			if d.Decode(key, val, out) == nil {
				for _, b := range out {
					require.Equal(t, 1, b.Len())
				}
			}
		}
	})
}
