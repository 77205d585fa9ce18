package flight

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/flight"

	"github.com/scree-db/scree/codec/column"
)

// physicalReader reads what a physicalWriter has sent: Arrow's IPC messages, without compression and dictionaries, of columns in
// physical form. Whatever the messages are, a batch is sound or there is an error.
type physicalReader struct {
	from  flight.DataStreamReader
	first *flight.FlightData // that has been read already; nil: none
	kinds []column.Kind      // of the columns, as the schema says
	begun bool               // the schema has been read
	// ended is set with a message that has no batch, whose app metadata is last.
	ended bool
	last  []byte
}

var errMessage = errors.New("not columns in physical form")

// next returns a batch, which is the caller's, and its app metadata; io.EOF ends.
func (p *physicalReader) next() (b column.Batch, metadata []byte, err error) {
	for {
		data, err := p.receive()
		if err != nil {
			return column.Batch{}, nil, err
		}
		if p.begun {
			b, err := decodeBatch(data.DataHeader, data.DataBody, p.kinds)
			return b, data.AppMetadata, err
		}
		if p.kinds, err = decodeSchema(data.DataHeader); err != nil {
			return column.Batch{}, nil, err
		}
		p.begun = true
	}
}

func (p *physicalReader) receive() (*flight.FlightData, error) {
	data := p.first
	p.first = nil
	if data == nil {
		var err error
		if data, err = p.from.Recv(); err != nil {
			return nil, err
		}
	}
	if len(data.DataHeader) == 0 {
		p.ended, p.last = true, data.AppMetadata
		return nil, io.EOF
	}
	return data, nil
}

// Numbers of Arrow's format: types of messages and of columns, and the fields of tables (format/Message.fbs, Schema.fbs).
const (
	messageSchema, messageBatch = 1, 3

	typeInt, typeFloat, typeBinary, typeDecimal = 2, 3, 4, 7
	precisionDouble                             = 2

	fieldHeaderType, fieldHeader                    = 1, 2       // of Message
	fieldFields                                     = 1          // of Schema
	fieldTypeType, fieldType, fieldDictionary       = 2, 3, 4    // of Field
	fieldLength, fieldNodes, fieldBuffers, fieldLZ4 = 0, 1, 2, 3 // of RecordBatch
	sizeOfStruct                                    = 16         // of FieldNode and Buffer: two numbers of 8 bytes
)

// message is the table of a message of a type.
func (f *flat) message(tp byte) (table int) {
	at := f.field(f.root(), fieldHeaderType)
	if at == 0 || f.u8(at) != tp {
		f.bad = true
		return 0
	}
	return f.child(f.root(), fieldHeader)
}

// decodeSchema reads the kinds of the columns; a Decimal64 is Int64 here.
func decodeSchema(header []byte) ([]column.Kind, error) {
	f := &flat{b: header}
	n, at := f.vector(f.message(messageSchema), fieldFields, 4)
	kinds := make([]column.Kind, 0, n)
	for i := range n {
		k, ok := f.kind(at + 4*i + f.u32(at+4*i))
		if !ok || f.bad {
			return nil, fmt.Errorf("%w: the type of column %d", errMessage, i)
		}
		kinds = append(kinds, k)
	}
	if f.bad {
		return nil, fmt.Errorf("%w: no schema", errMessage)
	}
	return kinds, nil
}

// kind reads a Field.
func (f *flat) kind(field int) (column.Kind, bool) {
	tp := f.field(field, fieldTypeType)
	if tp == 0 || f.field(field, fieldDictionary) != 0 {
		return 0, false
	}
	t := f.child(field, fieldType)
	// number is field i of t, or what stands for it where it is not there.
	number := func(i, absent int, read func(int) int) int {
		if at := f.field(t, i); at != 0 {
			return read(at)
		}
		return absent
	}
	switch f.u8(tp) {
	case typeInt:
		signed := number(1, 0, func(at int) int { return int(f.u8(at)) }) != 0
		if signed {
			return column.Int64, number(0, 0, f.i32) == 64
		}
		return column.Uint64, number(0, 0, f.i32) == 64
	case typeFloat:
		return column.Float64, number(0, 0, f.u16) == precisionDouble
	case typeBinary:
		return column.Bytes, true
	case typeDecimal:
		if number(2, 128, f.i32) == 128 {
			return column.Decimal128, true
		}
		return column.Decimal256, number(2, 128, f.i32) == 256
	}
	return 0, false
}

// decodeBatch makes a batch of a message, whose body it aliases.
func decodeBatch(header, body []byte, kinds []column.Kind) (column.Batch, error) {
	f := &flat{b: header}
	table := f.message(messageBatch)
	nodes, node := f.vector(table, fieldNodes, sizeOfStruct)
	buffers, buffer := f.vector(table, fieldBuffers, sizeOfStruct)
	want := 0
	for _, k := range kinds {
		want += buffersOf(k)
	}
	rows := int64(0)
	if at := f.field(table, fieldLength); at != 0 {
		rows = f.i64(at)
	}
	if f.bad || f.field(table, fieldLZ4) != 0 || nodes != len(kinds) || buffers != want || rows < 0 || rows > math.MaxInt32 {
		return column.Batch{}, fmt.Errorf("%w: no batch", errMessage)
	}
	d := columnDecoder{flat: f, body: body, rows: int(rows), node: node, buffer: buffer}
	b := column.Batch{Cols: make([]arrow.Array, len(kinds)), Rows: d.rows}
	for i, k := range kinds {
		var err error
		if b.Cols[i], err = d.column(k); err != nil {
			return column.Batch{}, fmt.Errorf("column %d: %w", i, err)
		}
	}
	return b, nil
}

// buffersOf is the number of buffers of a column: validity, offsets of strings, values.
func buffersOf(k column.Kind) int {
	if k == column.Bytes {
		return 3
	}
	return 2
}

// columnDecoder reads the columns of a batch, one after another.
type columnDecoder struct {
	*flat
	body         []byte
	rows         int
	node, buffer int // where the next FieldNode and the next Buffer are
}

// part is the next buffer, which has at least n bytes.
func (d *columnDecoder) part(n int) ([]byte, error) {
	at, size := d.i64(d.buffer), d.i64(d.buffer+8)
	d.buffer += sizeOfStruct
	if at < 0 || at%8 != 0 || at > int64(len(d.body)) || size < int64(n) || size > int64(len(d.body))-at {
		return nil, fmt.Errorf("%w: a buffer of %d bytes at %d for %d in %d", errMessage, size, at, n, len(d.body))
	}
	return d.body[at : at+size : at+size], nil
}

func (d *columnDecoder) column(k column.Kind) (arrow.Array, error) {
	rows, nulls := d.i64(d.node), d.i64(d.node+8)
	d.node += sizeOfStruct
	if rows != int64(d.rows) || nulls < 0 || nulls > rows {
		return nil, fmt.Errorf("%w: %d NULLs in %d of %d rows", errMessage, nulls, rows, d.rows)
	}
	valid, err := d.validity(int(nulls))
	if err != nil {
		return nil, err
	}
	if k == column.Bytes {
		return d.strings(int(nulls), valid)
	}
	width := column.ArrowType(k).(arrow.FixedWidthDataType).Bytes()
	values, err := d.part(d.rows * width)
	if err != nil {
		return nil, err
	}
	return column.Primitive(k, d.rows, values[:d.rows*width], valid, int(nulls)), nil
}

// validity is the bitmap of a column; nil if it has no NULLs.
func (d *columnDecoder) validity(nulls int) ([]byte, error) {
	if nulls == 0 {
		_, err := d.part(0)
		return nil, err
	}
	valid, err := d.part(int(bitutil.BytesForBits(int64(d.rows))))
	if err == nil && d.rows-bitutil.CountSetBits(valid, 0, d.rows) != nulls {
		err = fmt.Errorf("%w: there are not %d NULLs", errMessage, nulls)
	}
	return valid, err
}

func (d *columnDecoder) strings(nulls int, valid []byte) (arrow.Array, error) {
	if d.rows == 0 {
		d.buffer += 2 * sizeOfStruct // which may be empty, offsets too
		return column.Binary(0, []int32{0}, nil, nil, 0), nil
	}
	raw, err := d.part(4 * (d.rows + 1))
	if err != nil {
		return nil, err
	}
	offsets := arrow.Int32Traits.CastFromBytes(raw)[:d.rows+1]
	if offsets[0] != 0 {
		return nil, fmt.Errorf("%w: strings begin at %d", errMessage, offsets[0])
	}
	for i, o := range offsets[1:] {
		if o < offsets[i] {
			return nil, fmt.Errorf("%w: descending offsets", errMessage)
		}
	}
	data, err := d.part(int(offsets[d.rows]))
	if err != nil {
		return nil, err
	}
	return column.Binary(d.rows, offsets, data, valid, nulls), nil
}
