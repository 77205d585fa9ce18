package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/scree-db/scree/codec/column"
)

// A column of a segment is a file of its own: its blocks, one behind the other. Where each begins is known in memory alone, as
// no file outlives the process. A block is, little-endian:
//
//	 0  u32  CRC-32C of all bytes behind
//	 4  u8   kind of the column, see column.Kind
//	 5  u8   encoding
//	 6  u8   width of packed numbers in bytes: 0, 1, 2 or 4
//	 7  u8   shift of packed numbers in bits
//	 8  u32  rows
//	12  u32  rows that are NULL
//	16  u64  base of packed numbers
//	24  u32  entries of the dictionary
//	28  u32  bytes of strings, all together
//	32  sections, each padded with zeros to a multiple of 8 bytes
//
// The first section is the validity bitmap, one bit a row, if any row is NULL. The others depend on the encoding:
//
//	plain       the values as in memory: 8, 16 or 32 bytes each
//	packed      integers: a number for each row. The value is base + number << shift, modulo 2^64; that of a NULL does not
//	            matter. Dates, for one, are all zeros in their lower bits
//	strings     the length of each row's string, packed; then the strings
//	dictionary  a byte for each row, the number of its entry; then the length of each entry, one byte; then the entries, in
//	            slots of 32 bytes
//
// Packed numbers of width 0 are all 0 and take no space.
const (
	headerBytes = 32
	slotBytes   = 32  // of a dictionary's entry
	entriesMax  = 256 // of a dictionary
)

type encoding byte

const (
	encodingPlain encoding = iota
	encodingPacked
	encodingStrings
	encodingDictionary
)

// keeps tells whether decoded arrays alias the block.
func (e encoding) keeps() bool { return e == encodingPlain || e == encodingStrings }

// ErrDamaged is in the chain of errors about files that cannot be read back. The segment has been dropped by then: the same
// plan made again reads rows.
var ErrDamaged = errors.New("columnar segment is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the head of a block.
type header struct {
	kind     column.Kind
	encoding encoding
	width    int
	shift    int
	rows     int
	nulls    int
	base     uint64
	entries  int
	data     int
}

// put writes the header into block, whose other bytes are there already.
func (h *header) put(block []byte) {
	block[4], block[5], block[6], block[7] = byte(h.kind), byte(h.encoding), byte(h.width), byte(h.shift)
	binary.LittleEndian.PutUint32(block[8:], uint32(h.rows))
	binary.LittleEndian.PutUint32(block[12:], uint32(h.nulls))
	binary.LittleEndian.PutUint64(block[16:], h.base)
	binary.LittleEndian.PutUint32(block[24:], uint32(h.entries))
	binary.LittleEndian.PutUint32(block[28:], uint32(h.data))
	sumBlock(block)
}

func sumBlock(block []byte) {
	binary.LittleEndian.PutUint32(block, crc32.Checksum(block[4:], castagnoli))
}

// parseHeader checks the checksum, and that no number of the header exceeds what the block can hold.
func parseHeader(block []byte) (header, error) {
	if len(block) < headerBytes {
		return header{}, fmt.Errorf("%w: block of %d bytes", ErrDamaged, len(block))
	}
	if sum := crc32.Checksum(block[4:], castagnoli); sum != binary.LittleEndian.Uint32(block) {
		return header{}, fmt.Errorf("%w: checksum does not match", ErrDamaged)
	}
	h := header{
		kind: column.Kind(block[4]), encoding: encoding(block[5]), width: int(block[6]), shift: int(block[7]),
		rows: int(binary.LittleEndian.Uint32(block[8:])), nulls: int(binary.LittleEndian.Uint32(block[12:])),
		base:    binary.LittleEndian.Uint64(block[16:]),
		entries: int(binary.LittleEndian.Uint32(block[24:])), data: int(binary.LittleEndian.Uint32(block[28:])),
	}
	if h.kind > column.Bytes || !h.fits() || h.rows > column.BatchSize || h.nulls > h.rows || h.entries > entriesMax {
		return header{}, fmt.Errorf("%w: header %+v", ErrDamaged, h)
	}
	return h, nil
}

// fits tells whether the encoding is one for the kind.
func (h *header) fits() bool {
	packed := (h.width == 0 || h.width == 1 || h.width == 2 || h.width == 4) && h.shift < 64
	switch h.encoding {
	case encodingPlain:
		return h.kind != column.Bytes
	case encodingPacked:
		return isInteger(h.kind) && packed
	case encodingStrings:
		return h.kind == column.Bytes && packed
	case encodingDictionary:
		return h.kind == column.Bytes
	}
	return false
}

func isInteger(k column.Kind) bool {
	return k == column.Int64 || k == column.Uint64 || k == column.Decimal64
}

// valueBytes is the size of a value in memory, of all kinds but Bytes.
func valueBytes(k column.Kind) int {
	switch k {
	case column.Decimal128:
		return 16
	case column.Decimal256:
		return 32
	default:
		return 8
	}
}

func padded(n int) int { return (n + 7) &^ 7 }

func bitmapBytes(rows int) int { return (rows + 7) / 8 }
