package column

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/pingcap/tipb/go-tipb"
)

// Builder fills one column. The slice of its kind is exported so that decoders and kernels may append to it in tight
// loops; whoever does appends to exactly that slice and then calls Appended, or NoteNull for a NULL.
//
// The array that Array returns aliases the builder's memory: it is valid until Reset. After Detach it is the caller's.
type Builder struct {
	Kind Kind
	Type *tipb.FieldType

	I64  []int64 // Int64, Decimal64
	U64  []uint64
	F64  []float64
	D128 []decimal128.Num
	D256 []decimal256.Num
	// Ends holds the end of each value in Data, after a leading 0.
	Ends []int32
	Data []byte

	valid []byte // allocated with the first NULL
	nulls int
	rows  int
}

// NewBuilder returns a builder with room for capacity rows of type ft.
func NewBuilder(ft *tipb.FieldType, capacity int) *Builder {
	b := &Builder{Kind: KindOf(ft), Type: ft}
	b.Reserve(capacity)
	return b
}

// Reserve makes room for n rows in an empty builder.
func (b *Builder) Reserve(n int) {
	switch b.Kind {
	case Int64, Decimal64:
		b.I64 = make([]int64, 0, n)
	case Uint64:
		b.U64 = make([]uint64, 0, n)
	case Float64:
		b.F64 = make([]float64, 0, n)
	case Decimal128:
		b.D128 = make([]decimal128.Num, 0, n)
	case Decimal256:
		b.D256 = make([]decimal256.Num, 0, n)
	case Bytes:
		b.Ends = append(make([]int32, 0, n+1), 0)
	}
}

// Len is the number of rows appended since the last Reset.
func (b *Builder) Len() int { return b.rows }

// Reset forgets the rows and keeps the memory.
func (b *Builder) Reset() {
	b.I64, b.U64, b.F64 = b.I64[:0], b.U64[:0], b.F64[:0]
	b.D128, b.D256 = b.D128[:0], b.D256[:0]
	b.Data = b.Data[:0]
	if b.Kind == Bytes {
		b.Ends = append(b.Ends[:0], 0)
	}
	b.valid, b.nulls, b.rows = b.valid[:0], 0, 0
}

// Appended counts n values that the caller appended, none of them NULL.
func (b *Builder) Appended(n int) {
	if b.nulls > 0 {
		b.growValid(b.rows + n)
		bitutil.SetBitsTo(b.valid, int64(b.rows), int64(n), true)
	}
	b.rows += n
}

// NoteNull counts one NULL for which the caller appended a placeholder.
func (b *Builder) NoteNull() {
	if b.nulls == 0 {
		b.valid = b.valid[:0]
		b.growValid(b.rows + 1)
		bitutil.SetBitsTo(b.valid, 0, int64(b.rows), true)
	}
	b.growValid(b.rows + 1)
	bitutil.ClearBit(b.valid, b.rows)
	b.nulls++
	b.rows++
}

func (b *Builder) growValid(bits int) {
	for need := int(bitutil.BytesForBits(int64(bits))); len(b.valid) < need; {
		b.valid = append(b.valid, 0)
	}
}

// AppendNull appends a NULL, with a zero value in its place.
func (b *Builder) AppendNull() {
	b.appendPlaceholder()
	b.NoteNull()
}

// AppendZero appends a value for a row that does not count.
func (b *Builder) AppendZero() {
	b.appendPlaceholder()
	b.Appended(1)
}

func (b *Builder) appendPlaceholder() {
	switch b.Kind {
	case Int64, Decimal64:
		b.I64 = append(b.I64, 0)
	case Uint64:
		b.U64 = append(b.U64, 0)
	case Float64:
		b.F64 = append(b.F64, 0)
	case Decimal128:
		b.D128 = append(b.D128, decimal128.Num{})
	case Decimal256:
		b.D256 = append(b.D256, decimal256.Num{})
	case Bytes:
		b.Ends = append(b.Ends, int32(len(b.Data)))
	}
}

// AppendInt64 appends to an Int64 or Decimal64 column.
func (b *Builder) AppendInt64(v int64) { b.I64 = append(b.I64, v); b.Appended(1) }

// AppendUint64 appends to a Uint64 column.
func (b *Builder) AppendUint64(v uint64) { b.U64 = append(b.U64, v); b.Appended(1) }

// AppendFloat64 appends to a Float64 column.
func (b *Builder) AppendFloat64(v float64) { b.F64 = append(b.F64, v); b.Appended(1) }

// AppendDecimal128 appends to a Decimal128 column.
func (b *Builder) AppendDecimal128(v decimal128.Num) { b.D128 = append(b.D128, v); b.Appended(1) }

// AppendDecimal256 appends to a Decimal256 column.
func (b *Builder) AppendDecimal256(v decimal256.Num) { b.D256 = append(b.D256, v); b.Appended(1) }

// AppendBytes appends a copy of v to a Bytes column.
func (b *Builder) AppendBytes(v []byte) {
	b.Data = append(b.Data, v...)
	b.Ends = append(b.Ends, int32(len(b.Data)))
	b.Appended(1)
}

// ExtendInts appends n values, none of them NULL, to a column of kind Int64, Uint64 or Decimal64, for the caller to fill
// in: the bits of unsigned ones stay the same. Until then they are undefined, but may be read.
func (b *Builder) ExtendInts(n int) []int64 {
	b.Appended(n)
	if b.Kind == Uint64 {
		b.U64 = slices.Grow(b.U64, n)[:len(b.U64)+n]
		return arrow.Int64Traits.CastFromBytes(arrow.Uint64Traits.CastToBytes(b.U64[len(b.U64)-n:]))
	}
	b.I64 = slices.Grow(b.I64, n)[:len(b.I64)+n]
	return b.I64[len(b.I64)-n:]
}

// SkipTo appends ends of empty values to a Bytes column until it has those of n rows. The caller counts them.
func (b *Builder) SkipTo(n int) {
	for len(b.Ends) <= n {
		b.Ends = append(b.Ends, int32(len(b.Data)))
	}
}

// AppendFrom appends row i of a, a column of the same kind.
func (b *Builder) AppendFrom(a arrow.Array, i int) {
	if a.IsNull(i) {
		b.AppendNull()
		return
	}
	switch b.Kind {
	case Int64, Decimal64:
		b.AppendInt64(a.(*array.Int64).Value(i))
	case Uint64:
		b.AppendUint64(a.(*array.Uint64).Value(i))
	case Float64:
		b.AppendFloat64(a.(*array.Float64).Value(i))
	case Decimal128:
		b.AppendDecimal128(a.(*array.Decimal128).Value(i))
	case Decimal256:
		b.AppendDecimal256(a.(*array.Decimal256).Value(i))
	case Bytes:
		b.AppendBytes(a.(*array.Binary).Value(i))
	}
}

// Array returns the rows as an Arrow array that aliases the builder until Reset.
func (b *Builder) Array() arrow.Array {
	var valid *memory.Buffer
	if b.nulls > 0 {
		valid = memory.NewBufferBytes(b.valid)
	}
	switch b.Kind {
	case Int64, Decimal64:
		return fromBuffers(b.Kind, b.rows, b.nulls, valid, arrow.Int64Traits.CastToBytes(b.I64))
	case Uint64:
		return fromBuffers(b.Kind, b.rows, b.nulls, valid, arrow.Uint64Traits.CastToBytes(b.U64))
	case Float64:
		return fromBuffers(b.Kind, b.rows, b.nulls, valid, arrow.Float64Traits.CastToBytes(b.F64))
	case Decimal128:
		return fromBuffers(b.Kind, b.rows, b.nulls, valid, arrow.Decimal128Traits.CastToBytes(b.D128))
	case Decimal256:
		return fromBuffers(b.Kind, b.rows, b.nulls, valid, arrow.Decimal256Traits.CastToBytes(b.D256))
	default:
		return fromBuffers(Bytes, b.rows, b.nulls, valid, arrow.Int32Traits.CastToBytes(b.Ends), b.Data)
	}
}

// Detach returns the rows as an array of their own and leaves the builder empty, without memory.
func (b *Builder) Detach() arrow.Array {
	a := b.Array()
	*b = Builder{Kind: b.Kind, Type: b.Type}
	if b.Kind == Bytes {
		b.Ends = []int32{0}
	}
	return a
}

func fromBuffers(k Kind, rows, nulls int, valid *memory.Buffer, data ...[]byte) arrow.Array {
	bufs := make([]*memory.Buffer, 1, 3)
	bufs[0] = valid
	for _, d := range data {
		bufs = append(bufs, memory.NewBufferBytes(d))
	}
	return array.MakeFromData(array.NewData(ArrowType(k), rows, bufs, nil, nulls, 0))
}

// Primitive makes an array of kind Int64, Uint64, Float64 or a decimal kind from its values as bytes. valid is a
// validity bitmap or nil; nulls the number of NULLs in it. The array aliases both.
func Primitive(k Kind, rows int, values, valid []byte, nulls int) arrow.Array {
	return fromBuffers(k, rows, nulls, bitmap(valid, nulls), values)
}

// Binary makes a Bytes array from rows+1 offsets and the bytes they cut. The array aliases all of it.
func Binary(rows int, offsets []int32, data, valid []byte, nulls int) arrow.Array {
	return fromBuffers(Bytes, rows, nulls, bitmap(valid, nulls), arrow.Int32Traits.CastToBytes(offsets), data)
}

func bitmap(valid []byte, nulls int) *memory.Buffer {
	if nulls == 0 {
		return nil
	}
	return memory.NewBufferBytes(valid)
}
