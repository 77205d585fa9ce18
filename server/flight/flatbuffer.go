package flight

import "encoding/binary"

// flat reads a FlatBuffers message whatever its bytes are: what lies outside of the message reads as zero, and leaves it marked as
// bad. (The generated code, which Arrow's own reader uses, believes every offset and length.)
//
// Format: flatbuffers.dev/internals. A table begins with the distance back to its vtable; that has its own size, the table's, and for each
// field the place in the table, 0 for one that is not there. A vector is its length and the elements; tables in it, and in
// fields, are distances forward.
type flat struct {
	b   []byte
	bad bool
}

// bytes are n bytes at a place, as many zeros if there are not as many.
func (f *flat) bytes(at, n int) []byte {
	if at < 0 || n < 0 || at > len(f.b) || n > len(f.b)-at {
		f.bad = true
		return make([]byte, min(max(n, 0), 8))
	}
	return f.b[at : at+n : at+n]
}

func (f *flat) u8(at int) byte   { return f.bytes(at, 1)[0] }
func (f *flat) u16(at int) int   { return int(binary.LittleEndian.Uint16(f.bytes(at, 2))) }
func (f *flat) u32(at int) int   { return int(binary.LittleEndian.Uint32(f.bytes(at, 4))) }
func (f *flat) i32(at int) int   { return int(int32(binary.LittleEndian.Uint32(f.bytes(at, 4)))) }
func (f *flat) i64(at int) int64 { return int64(binary.LittleEndian.Uint64(f.bytes(at, 8))) }

// root is where the message's table is.
func (f *flat) root() int { return f.u32(0) }

// field is where field i of a table is, 0 if it is not there.
func (f *flat) field(table, i int) int {
	vtable := table - f.i32(table)
	if entry := 4 + 2*i; entry < f.u16(vtable) {
		if at := f.u16(vtable + entry); at != 0 {
			return table + at
		}
	}
	return 0
}

// child is where the table or vector of field i of a table is. One that is not there is bad.
func (f *flat) child(table, i int) int {
	at := f.field(table, i)
	if at == 0 {
		f.bad = true
		return 0
	}
	return at + f.u32(at)
}

// vector is field i of a table: the number of elements of a size, and where they are.
func (f *flat) vector(table, i, size int) (n, at int) {
	at = f.child(table, i)
	n = f.u32(at)
	f.bytes(at+4, n*size)
	if f.bad {
		return 0, 0
	}
	return n, at + 4
}
