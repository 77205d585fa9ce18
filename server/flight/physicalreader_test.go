package flight

import (
	"errors"
	"io"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
)

// messages are a stream in memory.
type messages []*flight.FlightData

func (m *messages) Send(d *flight.FlightData) error {
	*m = append(*m, &flight.FlightData{DataHeader: append([]byte(nil), d.DataHeader...), DataBody: append([]byte(nil), d.DataBody...), AppMetadata: d.AppMetadata})
	return nil
}

func (m *messages) Recv() (*flight.FlightData, error) {
	if len(*m) == 0 {
		return nil, io.EOF
	}
	d := (*m)[0]
	*m = (*m)[1:]
	return d, nil
}

// written is the stream of one batch of numbers and strings with NULLs.
func written(t testing.TB) messages {
	var m messages
	b := executor.Batch{Rows: 3, Cols: []arrow.Array{
		column.Primitive(column.Int64, 3, arrow.Int64Traits.CastToBytes([]int64{1, 0, -3}), []byte{0b101}, 1),
		column.Binary(3, []int32{0, 2, 2, 5}, []byte("abcde"), []byte{0b101}, 1),
	}}
	require.NoError(t, newPhysicalWriter(&m, typesIn(b)).write(b, []byte("first")))
	return m
}

func TestPhysicalReader(t *testing.T) {
	m := append(written(t), &flight.FlightData{AppMetadata: []byte("last")})
	r := &physicalReader{from: &m}
	b, metadata, err := r.next()
	require.NoError(t, err)
	require.Equal(t, "first", string(metadata))
	require.Equal(t, 3, b.Rows)
	require.Equal(t, `[1 (null) -3]["ab" (null) "cde"]`, b.Cols[0].String()+binaryText(b.Cols[1].(*array.Binary)))
	_, _, err = r.next()
	require.Equal(t, io.EOF, err)
	require.True(t, r.ended)
	require.Equal(t, "last", string(r.last))
}

func binaryText(a *array.Binary) string {
	return array.NewStringData(array.NewData(arrow.BinaryTypes.String, a.Len(), a.Data().Buffers(), nil, a.NullN(), 0)).String()
}

// A batch of which any one byte is another is refused, or sound all the same.
func TestTampered(t *testing.T) {
	whole := written(t)
	refused := 0
	for _, part := range [][]byte{whole[0].DataHeader, whole[1].DataHeader, whole[1].DataBody} {
		for i, was := range part {
			for _, now := range []byte{0, 1, 0x7f, 0x80, 0xff} {
				part[i] = now
				m := messages{whole[0], whole[1]}
				if !readAll(&m) {
					refused++
				}
			}
			part[i] = was
		}
	}
	require.NotZero(t, refused)
	m := messages{whole[0], {DataHeader: whole[1].DataHeader, DataBody: whole[1].DataBody[:8]}}
	require.False(t, readAll(&m))
}

// readAll looks at all values of a stream, and reports whether nothing was wrong with it.
func readAll(m *messages) bool {
	r := &physicalReader{from: m}
	for {
		b, _, err := r.next()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if len(b.Cols) > 0 {
			column.Compact(b)
		}
	}
}

// FuzzPhysicalReader reads any header and body: there is a sound batch or an error.
func FuzzPhysicalReader(f *testing.F) {
	m := written(f)
	f.Add(m[0].DataHeader, m[1].DataHeader, m[1].DataBody)
	f.Fuzz(func(t *testing.T, schema, header, body []byte) {
		m := messages{{DataHeader: schema}, {DataHeader: header, DataBody: body}}
		readAll(&m)
	})
}
