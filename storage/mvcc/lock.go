package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// LockType says what a lock's transaction does to the key.
type LockType byte

// The lock types. LockPessimistic protects a key of a transaction that has not prewritten it yet.
const (
	LockPut         LockType = 'P'
	LockDelete      LockType = 'D'
	LockLock        LockType = 'L' // changes nothing, conflicts with other writers
	LockPessimistic LockType = 'S'
)

// Lock is the record of CFLock. Its form is
//
//	type, compact(primary), varuint(start_ts), varuint(ttl), parts
//
// with optional parts, each behind a letter, in the order of the fields. Slices alias the record it was parsed from.
type Lock struct {
	Type    LockType
	Primary []byte // user key whose lock decides the transaction
	StartTS uint64
	TTL     uint64 // milliseconds after the physical part of StartTS

	ShortValue  []byte // nil: no value, or a long one in CFDefault at StartTS
	ForUpdateTS uint64
	TxnSize     uint64
	MinCommitTS uint64

	// AsyncCommit: the transaction is committed once all its locks are there. The primary's lock lists the other keys.
	AsyncCommit bool
	Secondaries [][]byte

	// RollbackTS are the start timestamps of other transactions rolled back on this key while it was locked. A commit
	// with one of them as commit_ts must carry the rollback along (Write.Overlapped).
	RollbackTS []uint64

	LastChangeTS, LastChangeVersions uint64
	TxnSource                        uint64
	LockedWithConflict               bool
	Generation                       uint64

	// OnePC marks in-memory locks of one-phase commits. It is not stored.
	OnePC bool
}

// Value returns the value a LockPut carries itself, ok false if it is long.
func (l *Lock) Value() (v []byte, ok bool) { return l.ShortValue, l.ShortValue != nil }

// Append appends the record to dst.
func (l *Lock) Append(dst []byte) []byte {
	dst = append(dst, byte(l.Type))
	dst = appendCompact(dst, l.Primary)
	dst = binary.AppendUvarint(dst, l.StartTS)
	dst = binary.AppendUvarint(dst, l.TTL)
	if l.ShortValue != nil {
		dst = appendShortValue(dst, l.ShortValue)
	}
	dst = appendUint64Part(dst, 'f', l.ForUpdateTS)
	dst = appendUint64Part(dst, 't', l.TxnSize)
	dst = appendUint64Part(dst, 'c', l.MinCommitTS)
	if l.AsyncCommit {
		dst = binary.AppendUvarint(append(dst, 'a'), uint64(len(l.Secondaries)))
		for _, s := range l.Secondaries {
			dst = appendCompact(dst, s)
		}
	}
	if len(l.RollbackTS) > 0 {
		dst = binary.AppendUvarint(append(dst, 'r'), uint64(len(l.RollbackTS)))
		for _, ts := range l.RollbackTS {
			dst = binary.BigEndian.AppendUint64(dst, ts)
		}
	}
	return l.appendRare(dst)
}

func (l *Lock) appendRare(dst []byte) []byte {
	if l.LastChangeTS != 0 || l.LastChangeVersions != 0 {
		dst = binary.BigEndian.AppendUint64(append(dst, 'l'), l.LastChangeTS)
		dst = binary.AppendUvarint(dst, l.LastChangeVersions)
	}
	if l.TxnSource != 0 {
		dst = binary.AppendUvarint(append(dst, 's'), l.TxnSource)
	}
	if l.LockedWithConflict {
		dst = append(dst, 'F')
	}
	return appendUint64Part(dst, 'g', l.Generation)
}

func appendUint64Part(dst []byte, letter byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.BigEndian.AppendUint64(append(dst, letter), v)
}

// ParseLock reads a lock record. Without secondaries and rollbacks it allocates nothing. An unknown part is an error,
// because a lock is rewritten by commands that must not lose it.
func ParseLock(record []byte) (Lock, error) {
	p := parts{b: record}
	l := Lock{Type: LockType(p.byte()), Primary: p.compact(), StartTS: p.varuint(), TTL: p.varuint()}
	switch l.Type {
	case LockPut, LockDelete, LockLock, LockPessimistic:
	default:
		p.fail(fmt.Sprintf("lock of type %q", byte(l.Type)))
	}
	for len(p.b) > 0 {
		l.parsePart(&p)
	}
	if p.err != nil {
		return Lock{}, fmt.Errorf("lock record: %w", p.err)
	}
	return l, nil
}

func (l *Lock) parsePart(p *parts) {
	switch letter := p.byte(); letter {
	case 'v':
		l.ShortValue = p.bytes(uint64(p.byte()))
	case 'f':
		l.ForUpdateTS = p.uint64()
	case 't':
		l.TxnSize = p.uint64()
	case 'c':
		l.MinCommitTS = p.uint64()
	case 'a':
		l.AsyncCommit = true
		l.Secondaries = make([][]byte, 0, p.count())
		for range cap(l.Secondaries) {
			l.Secondaries = append(l.Secondaries, p.compact())
		}
	case 'r':
		l.RollbackTS = make([]uint64, 0, p.count())
		for range cap(l.RollbackTS) {
			l.RollbackTS = append(l.RollbackTS, p.uint64())
		}
	case 'l':
		l.LastChangeTS, l.LastChangeVersions = p.uint64(), p.varuint()
	case 's':
		l.TxnSource = p.varuint()
	case 'F':
		l.LockedWithConflict = true
	case 'g':
		l.Generation = p.uint64()
	default:
		p.fail(fmt.Sprintf("unknown part %q", letter))
	}
}

// Info describes the lock of userKey to a client. It shares nothing with the lock.
func (l *Lock) Info(userKey []byte) *kvrpcpb.LockInfo {
	info := &kvrpcpb.LockInfo{
		PrimaryLock:     clone(l.Primary),
		LockVersion:     l.StartTS,
		Key:             clone(userKey),
		LockTtl:         max(l.TTL, 1), // clients take 0 as leave to resolve at once
		TxnSize:         l.TxnSize,
		LockType:        l.Type.Op(),
		LockForUpdateTs: l.ForUpdateTS,
		UseAsyncCommit:  l.AsyncCommit,
		MinCommitTs:     l.MinCommitTS,
	}
	for _, s := range l.Secondaries {
		info.Secondaries = append(info.Secondaries, clone(s))
	}
	return info
}

// Op returns the protocol's name of the type.
func (t LockType) Op() kvrpcpb.Op {
	switch t {
	case LockPut:
		return kvrpcpb.Op_Put
	case LockDelete:
		return kvrpcpb.Op_Del
	case LockPessimistic:
		return kvrpcpb.Op_PessimisticLock
	default:
		return kvrpcpb.Op_Lock
	}
}

// WriteType returns the type of the write record that commits the lock; a pessimistic lock has none.
func (t LockType) WriteType() (WriteType, bool) {
	switch t {
	case LockPut:
		return WritePut, true
	case LockDelete:
		return WriteDelete, true
	case LockLock:
		return WriteLock, true
	default:
		return 0, false
	}
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }
