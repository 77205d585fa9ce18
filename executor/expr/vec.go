package expr

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// vec is a column in the hands of a kernel: the plain slices of an Arrow array, or of a result under construction.
//
// The kinds Int64, Uint64 and Decimal64 share i64; an unsigned value lies there with its bits unchanged. A constant has
// one value that stands for every row: rows are looked up at i&mask, and mask is 0 for a constant and -1 otherwise.
//
// A result is filled in ascending row order; rows may be left out (unselected or NULL), and finish makes them
// harmless. Arrays made from a result alias it and live until the next reset.
type vec struct {
	kind  column.Kind
	scale int // fraction digits, of the decimal kinds
	mask  int

	i64  []int64
	f64  []float64
	d128 []decimal128.Num
	d256 []decimal256.Num
	offs []int32
	data []byte
	next int // first row of a Bytes result whose end is not yet in offs

	valid []byte // bit 1 = not NULL; nil: no NULLs
	bits  []byte // memory for valid, of a result
}

// read points v at an array of kind k. It reports whether the array is what the kind demands.
func (v *vec) read(a arrow.Array, k column.Kind) bool {
	v.kind, v.mask, v.valid = k, -1, column.NullBits(a)
	switch a := a.(type) {
	case *array.Int64:
		v.i64 = a.Int64Values()
		return k == column.Int64 || k == column.Decimal64
	case *array.Uint64:
		v.i64 = asInt64s(a.Uint64Values())
		return k == column.Uint64
	case *array.Float64:
		v.f64 = a.Float64Values()
		return k == column.Float64
	case *array.Decimal128:
		v.d128 = a.Values()
		return k == column.Decimal128
	case *array.Decimal256:
		v.d256 = a.Values()
		return k == column.Decimal256
	case *array.Binary:
		v.offs, v.data = a.ValueOffsets(), a.ValueBytes()
		return k == column.Bytes && (a.Len() == 0 || v.offs[0] == 0)
	default:
		return false
	}
}

func asInt64s(u []uint64) []int64 {
	return arrow.Int64Traits.CastFromBytes(arrow.Uint64Traits.CastToBytes(u))
}

// reset makes v an empty result with room for n rows and without NULLs. What its cells hold is undefined.
func (v *vec) reset(kind column.Kind, n int) {
	v.kind, v.mask, v.valid = kind, -1, nil
	switch kind {
	case column.Int64, column.Uint64, column.Decimal64:
		v.i64 = resize(v.i64, n)
	case column.Float64:
		v.f64 = resize(v.f64, n)
	case column.Decimal128:
		v.d128 = resize(v.d128, n)
	case column.Decimal256:
		v.d256 = resize(v.d256, n)
	case column.Bytes:
		v.offs = resize(v.offs, n+1)
		v.offs[0], v.data, v.next = 0, v.data[:0], 0
	}
}

// resize gives s the length n, and never returns nil, which as a selection would mean all rows. New memory is twice as
// large as what was outgrown so that growing batches settle soon.
func resize[T any](s []T, n int) []T {
	if s != nil && cap(s) >= n {
		return s[:n]
	}
	return make([]T, n, max(2*cap(s), n))
}

// finish ends a result of n rows: rows left out of a Bytes result become empty.
func (v *vec) finish(n int) {
	if v.kind != column.Bytes {
		return
	}
	for ; v.next < n; v.next++ {
		v.offs[v.next+1] = int32(len(v.data))
	}
}

// end makes the bytes appended to data since the last end the value of row i.
func (v *vec) end(i int) {
	start := v.offs[v.next]
	for ; v.next < i; v.next++ {
		v.offs[v.next+1] = start
	}
	v.offs[i+1] = int32(len(v.data))
	v.next = i + 1
}

// allValid gives a result of n rows a bitmap of its own, without NULLs.
func (v *vec) allValid(n int) {
	v.bits = resize(v.bits, int(bitutil.BytesForBits(int64(n))))
	for i := range v.bits {
		v.bits[i] = 0xff
	}
	v.valid = v.bits
}

// rows is the number of rows that a result was reset for.
func (v *vec) rows() int {
	switch v.kind {
	case column.Float64:
		return len(v.f64)
	case column.Decimal128:
		return len(v.d128)
	case column.Decimal256:
		return len(v.d256)
	case column.Bytes:
		return len(v.offs) - 1
	default:
		return len(v.i64)
	}
}

// setNull makes row i of a result NULL, with a zero in its place.
func (v *vec) setNull(i int) {
	if v.valid == nil {
		v.allValid(v.rows())
	}
	bitutil.ClearBit(v.valid, i)
	switch v.kind {
	case column.Float64:
		v.f64[i] = 0
	case column.Decimal128:
		v.d128[i] = decimal128.Num{}
	case column.Decimal256:
		v.d256[i] = decimal256.Num{}
	case column.Bytes:
		v.data = v.data[:v.offs[v.next]]
		v.end(i)
	default:
		v.i64[i] = 0
	}
}

func (v *vec) null(i int) bool {
	return v.valid != nil && !bitutil.BitIsSet(v.valid, i&v.mask)
}

func (v *vec) isConst() bool { return v.mask == 0 }

// isInt reports whether v is a column, not a constant, of words.
func (v *vec) isInt() bool {
	return !v.isConst() && (v.kind == column.Int64 || v.kind == column.Uint64 || v.kind == column.Decimal64)
}

func (v *vec) int(i int) int64          { return v.i64[i&v.mask] }
func (v *vec) uint(i int) uint64        { return uint64(v.i64[i&v.mask]) }
func (v *vec) real(i int) float64       { return v.f64[i&v.mask] }
func (v *vec) time(i int) value.Time    { return value.Time(v.i64[i&v.mask]) }
func (v *vec) dur(i int) value.Duration { return value.Duration(v.i64[i&v.mask]) }

func (v *vec) str(i int) []byte {
	i &= v.mask
	return v.data[v.offs[i]:v.offs[i+1]]
}

// negInt reports whether the integer at row i is below zero (never for unsigned kinds).
func (v *vec) negInt(i int) bool { return v.kind != column.Uint64 && v.i64[i&v.mask] < 0 }

// wide is the coefficient at row i of any decimal kind.
func (v *vec) wide(i int) decimal256.Num {
	i &= v.mask
	switch v.kind {
	case column.Decimal64:
		return widen64(v.i64[i])
	case column.Decimal128:
		return widen128(v.d128[i])
	default:
		return v.d256[i]
	}
}

func (v *vec) dec(i int) value.Decimal {
	return value.Decimal{Coef: v.wide(i), Scale: int32(v.scale)}
}

func widen64(x int64) decimal256.Num {
	s := uint64(x >> 63)
	return decimal256.New(s, s, s, uint64(x))
}

func widen128(x decimal128.Num) decimal256.Num {
	s := uint64(x.HighBits() >> 63)
	return decimal256.New(s, s, uint64(x.HighBits()), x.LowBits())
}

// narrow64 and narrow128 report whether the value survives in fewer bits.
func narrow64(x decimal256.Num) (int64, bool) {
	w := x.Array()
	s := uint64(int64(w[0]) >> 63)
	return int64(w[0]), w[1] == s && w[2] == s && w[3] == s
}

func narrow128(x decimal256.Num) (decimal128.Num, bool) {
	w := x.Array()
	s := uint64(int64(w[1]) >> 63)
	return decimal128.New(int64(w[1]), w[0]), w[2] == s && w[3] == s
}

// setDec stores d, rounded to v's scale, and reports whether it fits.
func (v *vec) setDec(i int, d value.Decimal) bool {
	if int(d.Scale) != v.scale {
		d = d.Rescale(v.scale)
		if int(d.Scale) != v.scale {
			return false
		}
	}
	return v.setWide(i, d.Coef)
}

// setWide stores a coefficient at v's scale and reports whether it fits in v's kind and in 65 digits.
func (v *vec) setWide(i int, x decimal256.Num) (ok bool) {
	switch v.kind {
	case column.Decimal64:
		v.i64[i], ok = narrow64(x)
	case column.Decimal128:
		v.d128[i], ok = narrow128(x)
	default:
		v.d256[i], ok = x, fits65(x)
	}
	return ok
}

func (v *vec) setStr(i int, s []byte) {
	v.data = append(v.data, s...)
	v.end(i)
}

func (v *vec) setBool(i int, b bool) { v.i64[i] = b2i(b) }

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// copyRow makes row i of the result v what row i of src is. Kinds are equal, but integers may differ in sign and
// decimals in kind and scale; ok is false if the value does not fit.
func (v *vec) copyRow(i int, src *vec) (ok bool) {
	if src.null(i) {
		v.setNull(i)
		return true
	}
	switch v.kind {
	case column.Int64, column.Uint64:
		v.i64[i] = src.int(i)
	case column.Float64:
		v.f64[i] = src.real(i)
	case column.Bytes:
		v.setStr(i, src.str(i))
	default:
		return v.setDec(i, src.dec(i))
	}
	return true
}

// copyRows is copyRow for many rows of a kind other than Bytes; a value that does not fit is an error.
func (v *vec) copyRows(rows []int32, src *vec) error {
	if v.i64 == nil || v.kind != src.kind || v.scale != src.scale || src.valid != nil {
		for _, i := range rows {
			if !v.copyRow(int(i), src) {
				return outOfRange("DECIMAL", "%s", src.dec(int(i)))
			}
		}
		return nil
	}
	for _, i := range rows {
		v.i64[i] = src.i64[int(i)&src.mask]
	}
	return nil
}

// array returns a finished result of n rows as an Arrow array that aliases it.
func (v *vec) array(n int) arrow.Array {
	nulls := 0
	if v.valid != nil {
		nulls = n - popcount(v.valid, n)
	}
	var data []byte
	switch v.kind {
	case column.Float64:
		data = arrow.Float64Traits.CastToBytes(v.f64[:n])
	case column.Decimal128:
		data = arrow.Decimal128Traits.CastToBytes(v.d128[:n])
	case column.Decimal256:
		data = arrow.Decimal256Traits.CastToBytes(v.d256[:n])
	case column.Bytes:
		return column.Binary(n, v.offs[:n+1], v.data, v.valid, nulls)
	default:
		data = arrow.Int64Traits.CastToBytes(v.i64[:n])
	}
	return column.Primitive(v.kind, n, data, v.valid, nulls)
}

func popcount(bitmap []byte, n int) int {
	count := 0
	for _, b := range bitmap[:n/8] {
		count += bits.OnesCount8(b)
	}
	if n%8 != 0 {
		count += bits.OnesCount8(bitmap[n/8] & (1<<(n%8) - 1))
	}
	return count
}
