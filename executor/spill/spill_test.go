package spill

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/klauspost/compress/s2"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

var allTypes = []*tipb.FieldType{{Tp: column.TypeLongLong}, {Tp: column.TypeLongLong, Flag: column.FlagUnsigned},
	{Tp: column.TypeDouble}, {Tp: column.TypeDecimal, Flen: 10}, {Tp: column.TypeDecimal, Flen: 30},
	{Tp: column.TypeDecimal, Flen: 60}, {Tp: column.TypeVarchar}}

func drawBatch(t *rapid.T) column.Batch {
	b := column.Batch{Rows: rapid.IntRange(1, 40).Draw(t, "rows")}
	nulls := rapid.Bool().Draw(t, "nulls")
	for _, ft := range allTypes {
		c := column.NewBuilder(ft, 0)
		for range b.Rows {
			v := rapid.Int64Range(-5, 100).Draw(t, "value")
			switch {
			case nulls && v < 0:
				c.AppendNull()
			case c.Kind == column.Uint64:
				c.AppendUint64(uint64(v))
			case c.Kind == column.Float64:
				c.AppendFloat64(float64(v) / 3)
			case c.Kind == column.Bytes:
				c.AppendBytes(bytes.Repeat([]byte{'x'}, int(max(v, 0))))
			case c.Kind == column.Int64:
				c.AppendInt64(v)
			default:
				i := column.NewBuilder(allTypes[0], 1)
				i.AppendInt64(v)
				c.AppendCoef(column.CoefAt(i.Array(), 0))
			}
		}
		b.Cols = append(b.Cols, c.Detach())
	}
	return b
}

func show(b column.Batch) string {
	var out string
	for _, c := range b.Cols {
		out += c.String()
	}
	return out
}

// What is written comes back, and the directory is empty in the end.
func TestRunRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := &MemFS{}
		dir := NewDir(fs, "tmp", 0)
		w := dir.NewWriter(allTypes)
		var want []string
		for range rapid.IntRange(0, 4).Draw(t, "batches") {
			b := drawBatch(t)
			want = append(want, show(b))
			require.NoError(t, w.Write(b))
		}
		run, err := w.Finish()
		require.NoError(t, err)
		for range 2 {
			r, err := run.Open()
			require.NoError(t, err)
			var got []string
			for {
				b, err := r.Next()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				got = append(got, show(b))
			}
			require.Equal(t, want, got)
			require.NoError(t, r.Close())
		}
		require.EqualValues(t, fs.Written(), dir.Used())
		require.NoError(t, run.Remove())
		require.NoError(t, run.Remove())
		require.Zero(t, fs.Len())
		require.Zero(t, dir.Used())
	})
}

func oneColumn(v ...int64) column.Batch {
	b := column.NewBuilder(allTypes[0], 0)
	for _, x := range v {
		b.AppendInt64(x)
	}
	return column.Batch{Cols: []arrow.Array{b.Detach()}, Rows: len(v)}
}

// A flipped bit anywhere, or an end too early, is an error and nothing else.
func TestRunDamage(t *testing.T) {
	fs := &MemFS{}
	w := NewDir(fs, "tmp", 0).NewWriter(allTypes[:1])
	require.NoError(t, w.Write(oneColumn(1, 2, 3)))
	run, err := w.Finish()
	require.NoError(t, err)
	data := fs.files[run.name].Bytes()
	read := func() error {
		r, err := run.Open()
		require.NoError(t, err)
		_, err = r.Next()
		return err
	}
	require.NoError(t, read())
	for bit := range 8 * len(data) {
		data[bit/8] ^= 1 << (bit % 8)
		var e *Error
		require.ErrorAs(t, read(), &e, "bit %d", bit)
		data[bit/8] ^= 1 << (bit % 8)
	}
	fs.files[run.name].Truncate(len(data) - 1)
	require.ErrorIs(t, read(), io.ErrUnexpectedEOF)
}

func TestWriteFailures(t *testing.T) {
	full := errors.New("no space left on device")
	fs := &MemFS{WriteErr: func(total int) error {
		if total > 0 {
			return full
		}
		return nil
	}}
	w := NewDir(fs, "/data/spill", 0).NewWriter(allTypes[:1])
	require.NoError(t, w.Write(oneColumn(1)))
	err := w.Write(oneColumn(2))
	require.ErrorIs(t, err, full)
	var e *value.Error
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, value.CodeMemoryQuota, e.Code)
	require.ErrorContains(t, e, "temporary files in /data/spill: no space left on device")
	require.NoError(t, w.Abort())
	require.Zero(t, fs.Len())

	fs = &MemFS{}
	dir := NewDir(fs, "/data/spill", 100)
	w = dir.NewWriter(allTypes[:1])
	require.NoError(t, w.Write(oneColumn(1)))
	require.ErrorContains(t, errors.Join(w.Write(oneColumn(2)), w.Write(oneColumn(3))), "limit of 100 bytes")
	require.NoError(t, w.Abort())
	require.Zero(t, dir.Used())
}

// No bytes make an unsound batch.
func FuzzUnpack(f *testing.F) {
	kinds := []column.Kind{column.Int64, column.Bytes, column.Decimal256}
	f.Add(s2.Encode(nil, appendFrame(nil, oneColumn(1, 2, 3))))
	f.Add(s2.Encode(nil, make([]byte, 64)))
	f.Fuzz(func(t *testing.T, packed []byte) {
		b, err := unpack(packed, 1<<16, kinds, 1000)
		if err != nil {
			return
		}
		for _, c := range b.Cols {
			require.Equal(t, b.Rows, c.Len())
			_ = c.String()
		}
	})
}

func BenchmarkWriteRead(b *testing.B) {
	in := column.NewBuilder(allTypes[0], 0)
	for i := range column.BatchSize {
		in.AppendInt64(int64(i) * 0x9e3779b9)
	}
	batch := column.Batch{Cols: []arrow.Array{in.Detach()}, Rows: column.BatchSize}
	b.SetBytes(8 * column.BatchSize)
	for b.Loop() {
		w := NewDir(&MemFS{}, "", 0).NewWriter(allTypes[:1])
		require.NoError(b, w.Write(batch))
		run, err := w.Finish()
		require.NoError(b, err)
		r, err := run.Open()
		require.NoError(b, err)
		_, err = r.Next()
		require.NoError(b, err)
	}
}
