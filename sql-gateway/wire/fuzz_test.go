package wire

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

// FuzzParams decodes execute packets of two parameters: anything is a value or an error.
func FuzzParams(f *testing.F) {
	for _, typ := range []byte{column.TypeTiny, column.TypeDatetime, column.TypeDuration, column.TypeBlob, column.TypeDecimal, 0, 99} {
		f.Add([]byte{0, 1, typ, 0, typ, 0x80, 4, 1, 2, 3, 4, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	}
	f.Add([]byte{3, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		st := &statement{sql: &fakeStatement{res: fakeResult{params: 2}}}
		args, err := st.decodeParams(&cursor{b: b})
		if err != nil {
			require.ErrorIs(t, err, errMalformed)
			return
		}
		for _, a := range args {
			a.Value.AppendText(nil, a.Type)
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add([]byte("\x85\xa6\xff\x01\x00\x00\x00\x01\x2d0123456789012345678901\x00root\x00\x00db\x00plugin\x00\x04\x01a\x01b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseHello(b); err == nil {
			require.LessOrEqual(t, len(h.user)+len(h.auth)+len(h.db)+len(h.plugin), len(b))
		}
	})
}

// FuzzPackets reads a stream: whatever its headers promise, no more memory is taken than bytes came.
func FuzzPackets(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 'x'}, false)
	f.Add([]byte{0xff, 0xff, 0xff, 0, 1, 2, 3}, false)
	f.Add([]byte{10, 0, 0, 0, 0xff, 0xff, 0xff, 0x78, 0x9c, 1, 2, 3, 4}, true)
	f.Fuzz(func(t *testing.T, b []byte, zipped bool) {
		stream := loop(b)
		p := newPackets(&stream, 1<<20)
		if zipped {
			p = newPackets(newCompressed(&stream), 1<<20)
		}
		for range 10 {
			if _, err := p.read(); err != nil {
				return
			}
		}
	})
}

func TestFloatText(t *testing.T) {
	for _, c := range []struct {
		v      float64
		digits int
		bits   int
		want   string
	}{
		{0, -1, 64, "0"}, {1.5, -1, 64, "1.5"}, {1e14, -1, 64, "100000000000000"}, {1e15, -1, 64, "1e15"}, {-1.25e300, -1, 64, "-1.25e300"},
		{1e-9, -1, 64, "0.000000001"}, {1e-16, -1, 64, "1e-16"}, {float64(float32(0.1)), -1, 32, "0.1"}, {2.345, 1, 64, "2.3"},
	} {
		require.Equal(t, c.want, string(appendFloat(nil, c.v, c.digits, c.bits)))
	}
}

// BenchmarkRows encodes batches as TPC-H's lineitem has them: numbers, decimals, a date, a string.
func BenchmarkRows(b *testing.B) {
	cols, row, _ := allTypes()
	pickOf := []int{3, 8, 11, 14}
	r := rowEncoder{}
	batch := column.Batch{Rows: column.BatchSize}
	for _, i := range pickOf {
		r.types = append(r.types, cols[i].Type)
		builder := column.NewBuilder(cols[i].Type, column.BatchSize)
		for range column.BatchSize {
			require.NoError(b, row[i].AppendTo(builder))
		}
		batch.Cols = append(batch.Cols, builder.Array())
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, r.bind(batch))
		out = out[:0]
		for i := range batch.Rows {
			out = r.append(out, i)
		}
	}
	b.SetBytes(int64(len(out)))
}
