package mvcc

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// WriteType says what a transaction did to the key.
type WriteType byte

// The write types.
const (
	WritePut      WriteType = 'P'
	WriteDelete   WriteType = 'D'
	WriteLock     WriteType = 'L' // committed without a change
	WriteRollback WriteType = 'R' // its key has the start_ts
)

// protectedValue is the short value of a rollback that must not be collapsed into a later one.
var protectedValue = []byte("p")

// Write is the record of CFWrite. Its form is
//
//	type, varuint(start_ts), parts
//
// with optional parts, each behind a letter, in the order of the fields. Slices alias the record it was parsed from.
type Write struct {
	Type       WriteType
	StartTS    uint64
	ShortValue []byte // of a put; nil: the value is in CFDefault at StartTS

	// Overlapped: another transaction, whose start_ts equals this record's commit_ts, was rolled back on this key. Its
	// rollback record would have the place of this one.
	Overlapped bool

	// GCFence, if HasGCFence and not 0, is the commit_ts of the next newer version at the time the record was
	// rewritten. A reader at or above it that finds this record on top knows that the newer one was collected.
	HasGCFence bool
	GCFence    uint64

	LastChangeTS, LastChangeVersions uint64
	TxnSource                        uint64
}

// NewRollback returns the record of a rollback of the transaction that began at startTS.
func NewRollback(startTS uint64, protected bool) Write {
	w := Write{Type: WriteRollback, StartTS: startTS}
	if protected {
		w.ShortValue = protectedValue
	}
	return w
}

// Protected tells whether the record is a rollback to be kept.
func (w *Write) Protected() bool {
	return w.Type == WriteRollback && string(w.ShortValue) == string(protectedValue)
}

// ChangesData tells puts and deletes from locks and rollbacks.
func (w *Write) ChangesData() bool { return w.Type == WritePut || w.Type == WriteDelete }

// collected tells whether a newer version than w, gone by now, was visible at ts.
func (w *Write) collected(ts uint64) bool { return w.HasGCFence && w.GCFence != 0 && w.GCFence <= ts }

// Append appends the record to dst.
func (w *Write) Append(dst []byte) []byte {
	dst = append(dst, byte(w.Type))
	dst = binary.AppendUvarint(dst, w.StartTS)
	if w.ShortValue != nil {
		dst = appendShortValue(dst, w.ShortValue)
	}
	if w.Overlapped {
		dst = append(dst, 'R')
	}
	if w.HasGCFence {
		dst = binary.BigEndian.AppendUint64(append(dst, 'F'), w.GCFence)
	}
	if w.LastChangeTS != 0 || w.LastChangeVersions != 0 {
		dst = binary.BigEndian.AppendUint64(append(dst, 'l'), w.LastChangeTS)
		dst = binary.AppendUvarint(dst, w.LastChangeVersions)
	}
	if w.TxnSource != 0 {
		dst = binary.AppendUvarint(append(dst, 'S'), w.TxnSource)
	}
	return dst
}

// ParseWrite reads a write record, allocating nothing. It stops at a part it does not know.
func ParseWrite(record []byte) (Write, error) {
	p := parts{b: record}
	w := Write{Type: WriteType(p.byte()), StartTS: p.varuint()}
	switch w.Type {
	case WritePut, WriteDelete, WriteLock, WriteRollback:
	default:
		p.fail(fmt.Sprintf("write of type %q", byte(w.Type)))
	}
	for len(p.b) > 0 && w.parsePart(&p) {
	}
	if p.err != nil {
		return Write{}, fmt.Errorf("write record: %w", p.err)
	}
	return w, nil
}

func (w *Write) parsePart(p *parts) (known bool) {
	switch p.byte() {
	case 'v':
		w.ShortValue = p.bytes(uint64(p.byte()))
	case 'R':
		w.Overlapped = true
	case 'F':
		w.HasGCFence, w.GCFence = true, p.uint64()
	case 'l':
		w.LastChangeTS, w.LastChangeVersions = p.uint64(), p.varuint()
	case 'S':
		w.TxnSource = p.varuint()
	default:
		return false
	}
	return true
}

// plainPut returns the value of a put that has a short value and no other part, which is what nearly every record
// is: a scan's way around ParseWrite.
func plainPut(record []byte) (val []byte, ok bool) {
	if len(record) == 0 || WriteType(record[0]) != WritePut {
		return nil, false
	}
	i := 1 + varuintLen(record[1:])
	if i+1 >= len(record) || record[i] != 'v' || i+2+int(record[i+1]) != len(record) {
		return nil, false
	}
	return record[i+2:], true
}

// varuintLen is the length of the variable-length integer at the start of b, or more than there is. Timestamps take nine
// bytes: eight are looked at together.
func varuintLen(b []byte) int {
	n := 0
	if len(b) >= 8 {
		ends := ^binary.LittleEndian.Uint64(b) & 0x8080808080808080
		if ends != 0 {
			return bits.TrailingZeros64(ends)/8 + 1
		}
		n = 8
	}
	for n < len(b) && b[n] >= 0x80 {
		n++
	}
	return n + 1
}

// Op returns the protocol's name of the type.
func (t WriteType) Op() kvrpcpb.Op {
	switch t {
	case WritePut:
		return kvrpcpb.Op_Put
	case WriteDelete:
		return kvrpcpb.Op_Del
	case WriteRollback:
		return kvrpcpb.Op_Rollback
	default:
		return kvrpcpb.Op_Lock
	}
}

// Exists tells whether the record, the newest that changes data, leaves the key with a value.
func (w *Write) Exists() bool { return w.Type == WritePut && !w.collected(TSMax) }
