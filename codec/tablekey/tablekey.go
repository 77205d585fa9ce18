// Package tablekey builds and takes apart the keys under which tables keep their rows and index entries:
//
//	record   't' i64cmp(table id) "_r" handle
//	index    't' i64cmp(table id) "_i" i64cmp(index id) key datums [handle]
//
// A handle is i64cmp of an integer (8 bytes; unsigned keys use the same bits), or the key-encoded datums of a clustered
// primary key ("common handle"), which are never 8 bytes long: the shortest datums take 1 (NULL) or 9 bytes or more,
// and a primary key has no NULL.
package tablekey

import (
	"errors"
	"fmt"

	"github.com/scree-db/scree/codec/memcmp"
)

// ErrInvalid is in the chain of every decoding error of this package.
var ErrInvalid = errors.New("invalid table key")

const (
	tableTag = 't'
	// TablePrefixLen is the length of 't' and the table id.
	TablePrefixLen = 1 + 8
	// RecordPrefixLen is the length of a record key before its handle.
	RecordPrefixLen = TablePrefixLen + 2
	// IndexPrefixLen is the length of an index key before its datums.
	IndexPrefixLen = TablePrefixLen + 2 + 8
	// IntHandleLen is the length of the handle of an integer.
	IntHandleLen = 8
)

// Range is a half-open interval of keys.
type Range struct{ Start, End []byte }

// AppendTablePrefix appends what all keys of a table begin with.
func AppendTablePrefix(dst []byte, tableID int64) []byte {
	return memcmp.AppendInt64(append(dst, tableTag), tableID)
}

// AppendRecordPrefix appends what all record keys of a table begin with.
func AppendRecordPrefix(dst []byte, tableID int64) []byte {
	return append(AppendTablePrefix(dst, tableID), '_', 'r')
}

// AppendRecordKey appends the key of the row with the given handle.
func AppendRecordKey(dst []byte, tableID int64, handle []byte) []byte {
	return append(AppendRecordPrefix(dst, tableID), handle...)
}

// AppendIndexPrefix appends what all keys of an index begin with.
func AppendIndexPrefix(dst []byte, tableID, indexID int64) []byte {
	dst = append(AppendTablePrefix(dst, tableID), '_', 'i')
	return memcmp.AppendInt64(dst, indexID)
}

// RecordPrefix is AppendRecordPrefix into new memory.
func RecordPrefix(tableID int64) []byte {
	return AppendRecordPrefix(make([]byte, 0, RecordPrefixLen), tableID)
}

// IndexPrefix is AppendIndexPrefix into new memory.
func IndexPrefix(tableID, indexID int64) []byte {
	return AppendIndexPrefix(make([]byte, 0, IndexPrefixLen), tableID, indexID)
}

// IntHandle is the handle of an integer key.
func IntHandle(v int64) []byte { return memcmp.AppendInt64(make([]byte, 0, IntHandleLen), v) }

// DecodeIntHandle reads the handle of an integer key.
func DecodeIntHandle(handle []byte) (int64, error) {
	if len(handle) != IntHandleLen {
		return 0, fmt.Errorf("%w: an integer handle of %d bytes", ErrInvalid, len(handle))
	}
	v, _, err := memcmp.DecodeInt64(handle)
	return v, err
}

// Key is a key taken apart. Rest aliases the key.
type Key struct {
	TableID int64
	Index   bool
	IndexID int64 // of an index key
	// Rest is the handle of a record key; the datums of an index key, with the handle if it is in the key.
	Rest []byte
}

// Decode takes a record or index key apart.
func Decode(key []byte) (Key, error) {
	if len(key) < RecordPrefixLen || key[0] != tableTag || key[TablePrefixLen] != '_' {
		return Key{}, fmt.Errorf("%w: %x", ErrInvalid, head(key))
	}
	var k Key
	k.TableID, _, _ = memcmp.DecodeInt64(key[1:]) // the length is checked
	switch key[TablePrefixLen+1] {
	case 'r':
		k.Rest = key[RecordPrefixLen:]
		return k, nil
	case 'i':
		if len(key) < IndexPrefixLen {
			return Key{}, fmt.Errorf("%w: %x ends inside the index id", ErrInvalid, key)
		}
		k.Index = true
		k.IndexID, k.Rest, _ = memcmp.DecodeInt64(key[RecordPrefixLen:])
		return k, nil
	default:
		return Key{}, fmt.Errorf("%w: %x is neither record nor index", ErrInvalid, head(key))
	}
}

// head keeps error messages short.
func head(key []byte) []byte { return key[:min(len(key), 32)] }

// RecordHandle returns the handle of a record key. It is the check that scans make for every row.
func RecordHandle(key []byte) ([]byte, error) {
	if len(key) < RecordPrefixLen || key[0] != tableTag || key[TablePrefixLen] != '_' || key[TablePrefixLen+1] != 'r' {
		return nil, fmt.Errorf("%w: %x is no record key", ErrInvalid, head(key))
	}
	return key[RecordPrefixLen:], nil
}

// TableRange holds all keys of a table.
func TableRange(tableID int64) Range { return prefixRange(AppendTablePrefix(nil, tableID)) }

// RecordRange holds all rows of a table.
func RecordRange(tableID int64) Range { return prefixRange(RecordPrefix(tableID)) }

// IndexRange holds all entries of an index.
func IndexRange(tableID, indexID int64) Range { return prefixRange(IndexPrefix(tableID, indexID)) }

func prefixRange(prefix []byte) Range { return Range{Start: prefix, End: PrefixNext(prefix)} }

// PrefixNext returns the least key that is greater than every key with the given prefix, in new memory. There is none
// for a prefix of 0xFF bytes alone (or an empty one): nil, which as the end of a range means unbounded.
func PrefixNext(prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] != 0xFF {
			next := append([]byte(nil), prefix[:n]...)
			next[n-1]++
			return next
		}
	}
	return nil
}
