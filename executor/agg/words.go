package agg

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// encodeWords fills g.words with whole words, and a word of NULL marks a row if there are several columns. A string of more
// than wordStringMax bytes ends it, unless mark is set: then it becomes what no key is.
func (g *Grouper) encodeWords(cols []arrow.Array, rows int, mark bool) (ok bool) {
	stride := 1
	if g.form == formTuple {
		stride = len(g.cols) + 1
	}
	g.words = slices.Grow(g.words[:0], rows*stride)[:rows*stride]
	if rows == 0 {
		return true
	}
	if stride > 1 {
		clearEvery(g.words, stride-1, stride)
	}
	for c := range g.cols {
		if !g.cols[c].putWords(g.words[c:], stride, cols[c], mark) {
			return false
		}
		if valid := column.NullBits(cols[c]); valid != nil && stride > 1 {
			for i := range rows {
				if !column.IsValid(valid, i) {
					g.words[i*stride+c] = 0
					g.words[i*stride+stride-1] |= 1 << c
				}
			}
		}
	}
	return true
}

func clearEvery(words []uint64, from, stride int) {
	for i := from; i < len(words); i += stride {
		words[i] = 0
	}
}

// putWords writes the column's words to every stride-th place of out.
func (c *keyColumn) putWords(out []uint64, stride int, a arrow.Array, mark bool) (ok bool) {
	switch a := a.(type) {
	case *array.Int64:
		if vals := a.Int64Values(); stride == 1 {
			copy(out, arrow.Uint64Traits.CastFromBytes(arrow.Int64Traits.CastToBytes(vals)))
		} else {
			for i, v := range vals {
				out[i*stride] = uint64(v)
			}
		}
	case *array.Uint64:
		for i, v := range a.Uint64Values() {
			out[i*stride] = v
		}
	case *array.Float64:
		for i, v := range a.Float64Values() {
			out[i*stride] = floatWord(v)
		}
	case *array.Binary:
		return c.putStrings(out, stride, a, mark)
	}
	return true
}

// floatWord makes the two zeros equal.
func floatWord(v float64) uint64 { return memcmp.FloatBits(v + 0) }

const (
	wordStringMax = 7
	longString    = ^uint64(0) // its length byte is no length of a short string
)

func (c *keyColumn) putStrings(out []uint64, stride int, a *array.Binary, mark bool) (ok bool) {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	for i := range a.Len() {
		from, to := c.bounds(offsets, data, i)
		switch size := to - from; {
		case size <= wordStringMax:
			out[i*stride] = uint64(size)<<(8*wordStringMax) | shortString(data, from, to)
		case mark || a.IsNull(i):
			out[i*stride] = longString
		default:
			return false
		}
	}
	return true
}

// bounds cuts the i-th string out of data, without the spaces that do not count.
func (c *keyColumn) bounds(offsets []int32, data []byte, i int) (from, to int) {
	from, to = int(offsets[i]), int(offsets[i+1])
	if c.trimmed && from < to && data[to-1] == ' ' {
		to = from + len(value.TrimSpaces(data[from:to]))
	}
	return from, to
}

// shortString is a string of at most 7 bytes as a number, the first byte lowest.
func shortString(data []byte, from, to int) uint64 {
	if from+8 > len(data) {
		return lastString(data[from:to])
	}
	return binary.LittleEndian.Uint64(data[from:]) & (1<<(8*uint(to-from)&63) - 1)
}

// lastString is shortString where there are no 8 bytes to read.
func lastString(s []byte) (w uint64) {
	for k, b := range s {
		w |= uint64(b) << (8 * k)
	}
	return w
}

// hashWord mixes a word so that all bits of the result depend on all of it.
func hashWord(w uint64) uint64 {
	hi, lo := bits.Mul64(w^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo
}

// lane is the part of a word that one of several columns takes when all of them share it: bits of width, shift bits up.
//
// A string has its length above its bytes, an integer is moved up by a quarter of the lane's values, so that small negative
// ones fit. In both cases there are codes left for NULL and for a value that does not fit, which equals no key.
type lane struct{ shift, width uint }

// lanesOf shares a word between n columns.
func lanesOf(n int) []lane {
	out := make([]lane, n)
	width := uint(64 / n)
	for i := range out {
		out[i] = lane{uint(i) * width, width}
	}
	return out
}

// stringMax is the number of bytes of the longest string that fits.
func (l lane) stringMax() int { return int(l.width-2) / 8 }

// fitsLane reports whether a column can share a word, as long as its values are small.
func (c *keyColumn) fitsLane() bool { return c.kind != column.Float64 && c.fitsWord() }

// packWords fills g.words with words that the columns share. A value too large for its lane ends it, unless mark is set.
func (g *Grouper) packWords(cols []arrow.Array, rows int, mark bool) (ok bool) {
	g.words = slices.Grow(g.words[:0], rows)[:rows]
	if g.packLetters(cols) {
		return true
	}
	clear(g.words)
	for c, l := range g.lanes {
		if !g.cols[c].pack(g.words, l, cols[c], mark) {
			return false
		}
	}
	return true
}

// packLetters is packWords for two columns of strings of one byte each, such as flags and codes: one loop for both.
func (g *Grouper) packLetters(cols []arrow.Array) bool {
	if len(cols) != 2 {
		return false
	}
	first, second := g.cols[0].letters(cols[0]), g.cols[1].letters(cols[1])
	if first == nil || second == nil {
		return false
	}
	l := g.lanes[1]
	top := 8 * uint(l.stringMax())
	ones := uint64(1)<<top | 1<<(top+l.shift)
	out := g.words[:len(first)]
	second = second[:len(first)]
	for i, b := range first {
		out[i] = ones | uint64(b) | uint64(second[i])<<(l.shift&63)
	}
	return true
}

// letters are the values of a column of strings of one byte each, without NULLs; nil of any other.
func (c *keyColumn) letters(a arrow.Array) []byte {
	s, ok := a.(*array.Binary)
	if !ok || s.NullN() > 0 || !oneByteEach(s.ValueOffsets()) {
		return nil
	}
	data := s.ValueBytes()
	if c.trimmed && bytes.IndexByte(data, ' ') >= 0 {
		return nil
	}
	return data
}

// pack adds the column to the words of out.
func (c *keyColumn) pack(out []uint64, l lane, a arrow.Array, mark bool) (ok bool) {
	switch a := a.(type) {
	case *array.Int64:
		return packInts(out, l, a.Int64Values(), 1<<(l.width-2), column.NullBits(a), mark)
	case *array.Uint64:
		return packInts(out, l, a.Uint64Values(), 0, column.NullBits(a), mark)
	case *array.Binary:
		return c.packStrings(out, l, a, mark)
	}
	return false
}

func packInts[T int64 | uint64](out []uint64, l lane, vals []T, up uint64, valid []byte, mark bool) (ok bool) {
	limit := uint64(1) << (l.width - 1)
	if valid == nil && !mark {
		seen := uint64(0)
		for i, v := range vals[:len(out)] {
			code := uint64(v) + up
			seen |= code
			out[i] |= code << (l.shift & 63)
		}
		return seen < limit
	}
	for i, v := range vals[:len(out)] {
		code := uint64(v) + up
		switch {
		case !column.IsValid(valid, i):
			code = limit
		case code >= limit && !mark:
			return false
		case code >= limit:
			code = limit + 1
		}
		out[i] |= code << (l.shift & 63)
	}
	return true
}

func (c *keyColumn) packStrings(out []uint64, l lane, a *array.Binary, mark bool) (ok bool) {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	longest := l.stringMax()
	top := 8 * uint(longest)
	if letters := c.letters(a); letters != nil {
		one := uint64(1) << top
		for i, b := range letters[:len(out)] {
			out[i] |= (one | uint64(b)) << (l.shift & 63)
		}
		return true
	}
	for i := range out {
		var code uint64
		from, to := c.bounds(offsets, data, i)
		switch {
		case a.IsNull(i):
			code = uint64(longest+1) << top
		case to-from <= longest:
			code = uint64(to-from)<<top | shortString(data, from, to)
		case mark:
			code = uint64(longest+2) << top
		default:
			return false
		}
		out[i] |= code << (l.shift & 63)
	}
	return true
}

// ascending has the offsets of strings of one byte each.
var ascending = func() (out [column.BatchSize + 1]int32) {
	for i := range out {
		out[i] = int32(i)
	}
	return out
}()

// oneByteEach reports whether all strings have one byte, as flags and codes do. It may say no of more than a batch of them.
func oneByteEach(offsets []int32) bool {
	return len(offsets) <= len(ascending) &&
		bytes.Equal(arrow.Int32Traits.CastToBytes(offsets), arrow.Int32Traits.CastToBytes(ascending[:len(offsets)]))
}
