// Package row encodes and decodes what tables store: the value under a record key, in row format v2 (and, for reading,
// v1), and the entries of indexes.
//
//	Encoder       column ids and values -> row v2
//	Decoder       a record's handle and value -> column builders, for a fixed list of wanted columns
//	IndexDecoder  an index entry's key and value -> column builders
//
// Row format v2, all numbers little-endian:
//
//	0x80 | flags | n u16 | m u16 | n ids, ascending | m ids of NULLs, ascending | n end offsets | values | checksum
//
// flags bit 0 makes the row big: ids and offsets take 4 bytes each, else ids take 1 and offsets 2. Bit 1 announces a
// checksum, which readers skip. A column in neither list takes its default. Values:
//
//	integers, YEAR, TIME (ns)           1, 2, 4 or 8 bytes, the least that holds the number; sign-extended
//	unsigned, BIT, ENUM, SET, DATE...   the same, zero-extended; dates in packed form, TIMESTAMP in UTC
//	FLOAT, DOUBLE                       f64cmp
//	DECIMAL                             precision, scale, MySQL's binary form
//	strings, JSON                       as they are
package row

import "errors"

// ErrInvalid is in the chain of every decoding error of this package.
var ErrInvalid = errors.New("invalid row")

const (
	version2     = 0x80
	flagBig      = 1
	headerLen    = 6
	maxSmallID   = 255
	maxSmallData = 1<<16 - 1
)

// ColumnHandle is the id of the virtual column that holds the row's integer handle.
const ColumnHandle = -1
