package row

import (
	"bytes"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/codec/tablekey"
)

// drawColumns makes up columns of a table with integer handles: of all types, some of them with defaults.
func drawColumns(t *rapid.T) (cols []Column) {
	for _, c := range allTypes() {
		if rapid.IntRange(0, 20).Draw(t, "big id") == 0 {
			c.ID += 300
		}
		if rapid.Bool().Draw(t, "wanted") {
			cols = append(cols, c)
		}
	}
	cols = append(cols, Column{ID: ColumnHandle, Type: ft(column.TypeLongLong)})
	def, err := datum.AppendValue(nil, datum.NewInt64(7), nil)
	require.NoError(t, err)
	return append(cols, Column{ID: 200, Type: ft(column.TypeLong), Default: def})
}

// drawRow encodes a value, NULL or nothing for each column, in a form that one in many rows has otherwise than the others.
func drawRow(t *rapid.T, cols []Column, shape int) []byte {
	var e Encoder
	var v1 []byte
	for _, c := range cols[:len(cols)-2] {
		d := drawValue(t, c.Type)
		if shape == 1 && rapid.IntRange(0, 2).Draw(t, "null") == 0 {
			d = datum.Datum{}
		}
		if shape == 2 && rapid.IntRange(0, 2).Draw(t, "missing") == 0 {
			continue
		}
		require.NoError(t, e.AppendDatum(c.ID, d, c.Type))
		v1, _ = datum.AppendValue(v1, datum.NewInt64(c.ID), nil)
		v1, _ = datum.AppendValue(v1, d, c.Type)
	}
	v2, err := e.Encode(nil)
	require.NoError(t, err)
	if shape == 3 {
		return v1
	}
	return v2
}

func drawValue(t *rapid.T, typ *tipb.FieldType) datum.Datum {
	for {
		if made, d := genColumn(t); column.KindOf(made) == column.KindOf(typ) && made.Tp == typ.Tp {
			return d
		} else if typ.Tp == column.TypeTimestamp || typ.Tp == column.TypeJSON || column.KindOf(typ) == column.Decimal256 || typ.Tp == column.TypeLong {
			return datum.Datum{}
		}
	}
}

// TestLoad compares columns that are loaded for some rows of a batch with the same rows decoded one by one.
func TestLoad(t *testing.T) {
	zone := time.FixedZone("", 3600)
	rapid.Check(t, func(t *rapid.T) {
		cols := drawColumns(t)
		batch, single := mustDecoder(t, cols, zone), mustDecoder(t, cols, zone)
		for range 2 {
			var p kvbatch.Pairs
			want := builders(cols)
			usual := rapid.IntRange(0, 3).Draw(t, "shape")
			for i := range rapid.IntRange(1, 8).Draw(t, "rows") {
				shape := usual
				if rapid.IntRange(0, 5).Draw(t, "differs") == 0 {
					shape = rapid.IntRange(0, 3).Draw(t, "other shape")
				}
				handle := tablekey.IntHandle(int64(i) - 2)
				p.Append(tablekey.AppendRecordKey(nil, 5, handle), drawRow(t, cols, shape))
				require.NoError(t, single.Decode(handle, p.Values.At(i), want))
			}
			require.NoError(t, batch.Start(&p))
			for k, c := range cols {
				sel := drawSelection(t, p.Len())
				b := column.NewBuilder(c.Type, 0)
				require.NoError(t, batch.Load(k, sel, b))
				require.Equal(t, p.Len(), b.Array().Len())
				for j := range count(sel, p.Len()) {
					require.Equal(t, datums(want, at(sel, j))[k], datums([]*column.Builder{b}, at(sel, j))[0])
				}
			}
		}
	})
}

func mustDecoder(t require.TestingT, cols []Column, zone *time.Location) *Decoder {
	d, err := NewDecoder(cols, nil, zone)
	require.NoError(t, err)
	return d
}

func drawSelection(t *rapid.T, rows int) []int32 {
	if rapid.Bool().Draw(t, "all") {
		return nil
	}
	sel := []int32{}
	for i := range rows {
		if rapid.Bool().Draw(t, "selected") {
			sel = append(sel, int32(i))
		}
	}
	return sel
}

// Keys that are no records, and rows that are damaged, are errors wherever in a batch they are.
func TestLoadRefuses(t *testing.T) {
	cols := []Column{{ID: 1, Type: ft(column.TypeLongLong)}, {ID: ColumnHandle, Type: ft(column.TypeLongLong)}}
	var e Encoder
	e.AppendInt64(1, 70000)
	good, err := e.Encode(nil)
	require.NoError(t, err)
	wide := append([]byte(nil), good...)
	wide[len(wide)-5]++ // the end offset, behind the last byte
	load := func(key, val []byte) error {
		var p kvbatch.Pairs
		p.Append(tablekey.AppendRecordKey(nil, 5, tablekey.IntHandle(1)), good)
		p.Append(key, val)
		d := mustDecoder(t, cols, nil)
		if err := d.Start(&p); err != nil {
			return err
		}
		for k, c := range cols {
			if err := d.Load(k, nil, column.NewBuilder(c.Type, 0)); err != nil {
				return err
			}
		}
		return nil
	}
	key := tablekey.AppendRecordKey(nil, 5, tablekey.IntHandle(2))
	require.NoError(t, load(key, good))
	require.ErrorIs(t, load(key, wide), ErrInvalid)
	require.ErrorIs(t, load(key, good[:len(good)-1]), ErrInvalid)
	require.ErrorIs(t, load(key, good[:7]), ErrInvalid)
	require.ErrorIs(t, load(key[:len(key)-1], good), ErrInvalid)
	require.ErrorIs(t, load([]byte("x"), good), tablekey.ErrInvalid)
	require.ErrorIs(t, load(tablekey.IndexPrefix(5, 1), good), tablekey.ErrInvalid)
	_, err = NewDecoder([]Column{{ID: ColumnHandle, Type: ft(column.TypeVarchar)}}, nil, nil)
	require.ErrorIs(t, err, ErrInvalid)
}

// Whatever bytes come behind a good row, a batch gives what rows one by one do, or an error.
func FuzzLoad(f *testing.F) {
	var e Encoder
	e.AppendInt64(1, 5)
	e.AppendUint64(2, 5)
	e.AppendBytes(7, []byte("abc"))
	good, _ := e.Encode(nil)
	f.Add(good)
	f.Add([]byte{8, 2, 8, 4})
	f.Fuzz(func(t *testing.T, val []byte) {
		cols := allTypes()
		batch, single := mustDecoder(t, cols, nil), mustDecoder(t, cols, nil)
		var p kvbatch.Pairs
		for i, v := range [][]byte{val, good, val} {
			p.Append(tablekey.AppendRecordKey(nil, 5, tablekey.IntHandle(int64(i))), v)
		}
		want := builders(cols)
		if single.Decode(tablekey.IntHandle(0), val, want) != nil || batch.Start(&p) != nil {
			return
		}
		for k, c := range cols {
			b := column.NewBuilder(c.Type, 0)
			require.NoError(t, batch.Load(k, nil, b))
			require.Equal(t, datums(want, 0)[k], datums([]*column.Builder{b}, 2)[0])
		}
	})
}

// The columns of a common handle, integers in front and others behind them, are what they are in rows decoded one by one.
func TestLoadCommonHandle(t *testing.T) {
	types := []*tipb.FieldType{ft(column.TypeLongLong), unsigned(column.TypeLongLong), ft(column.TypeVarchar), ft(column.TypeLongLong)}
	var cols []Column
	for i, typ := range types {
		cols = append(cols, Column{ID: int64(i + 1), Type: typ})
	}
	primary := []int64{1, 2, 3, 4}
	rapid.Check(t, func(t *rapid.T) {
		batch, err := NewDecoder(cols, primary, nil)
		require.NoError(t, err)
		var p kvbatch.Pairs
		want := builders(cols)
		var e Encoder
		for range rapid.IntRange(1, 4).Draw(t, "rows") {
			var handle []byte
			for _, d := range []datum.Datum{datum.NewInt64(rapid.Int64().Draw(t, "a")), datum.NewUint64(rapid.Uint64().Draw(t, "b")),
				datum.NewString(rapid.StringMatching(`[a-z]{0,12}`).Draw(t, "c")), datum.NewInt64(rapid.Int64().Draw(t, "d"))} {
				handle, err = datum.AppendKey(handle, d, nil)
				require.NoError(t, err)
			}
			e.AppendInt64(9, 1)
			val, err := e.Encode(nil)
			require.NoError(t, err)
			p.Append(tablekey.AppendRecordKey(nil, 5, handle), val)
			require.NoError(t, batch.Decode(handle, val, want))
		}
		require.NoError(t, batch.Start(&p))
		for k, c := range cols {
			b := column.NewBuilder(c.Type, 0)
			require.NoError(t, batch.Load(k, nil, b))
			require.Equal(t, want[k].Array().String(), b.Array().String())
		}
	})
}

// Strings of all lengths, short ones being copied with what follows them, come out as they went in.
func TestLoadStrings(t *testing.T) {
	cols := []Column{{ID: 1, Type: ft(column.TypeVarchar)}, {ID: 2, Type: ft(column.TypeVarchar)}}
	text := bytes.Repeat([]byte("0123456789abc"), 16)
	var p kvbatch.Pairs
	for n := range 200 {
		var e Encoder
		e.AppendBytes(1, text[:n])
		e.AppendBytes(2, text[n:200])
		val, err := e.Encode(nil)
		require.NoError(t, err)
		p.Append(tablekey.AppendRecordKey(nil, 5, tablekey.IntHandle(int64(n))), val)
	}
	d := mustDecoder(t, cols, nil)
	require.NoError(t, d.Start(&p))
	first, second := column.NewBuilder(cols[0].Type, 0), column.NewBuilder(cols[1].Type, 0)
	require.NoError(t, d.Load(0, nil, first))
	require.NoError(t, d.Load(1, []int32{3, 150, 199}, second))
	for n := range 200 {
		require.Equal(t, string(text[:n]), first.Array().(*array.Binary).ValueString(n))
	}
	for _, n := range []int{3, 150, 199} {
		require.Equal(t, string(text[n:200]), second.Array().(*array.Binary).ValueString(n))
	}
	require.Equal(t, 200, second.Array().Len())
}
