package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/scree-db/scree/storage"
)

// The payload of a raft entry. An entry without data is raft's own (a new leader's first) and changes nothing. All others
// begin with a header of fixed length; numbers are big-endian:
//
//	offset  bytes
//	0       1      format, 1
//	1       1      kind: 1 write, 2 split, 3 membership, 4 write of a flashback, 5 begin of one, 6 end of one
//	2       4      count of the proposals merged into the entry
//	6       8      version of the region's epoch at the proposal
//	14      8      conf_ver of the region's epoch at the proposal
//	22      8      sequence number of the first proposal
//	30             body
//
// Whether the epoch still holds is decided when the entry is applied, equally on all replicas: a write needs the same
// version, the other kinds the same conf_ver too. So is whether the region's state of flashback lets the command pass. (term, sequence number) names a proposal on the leader that made it,
// which finds whom to answer by it.
//
// Body of a write: the changes of all its proposals, one behind the other.
//
//	1       operation: 0 put, 1 delete, 2 delete range
//	1       column family
//	uvarint length of key, key
//	uvarint length of value, value       (put)
//	uvarint length of end key, end key   (delete range)
//
// Body of a split, n new regions left of the region that keeps its id:
//
//	uvarint n, then n times:
//	  uvarint length of split key, split key   (end of the new region, ascending)
//	  uvarint region id
//	  uvarint count of peers, the peer ids as uvarints (in the order of the region's peers)
//
// Body of a membership change: the raftpb.ConfChangeV2 is the entry's data and this payload its context; the body is
//
//	uvarint peer id, uvarint store id, uvarint change: 0 add voter, 1 remove, 2 add learner
//
// Body of a flashback's begin: uvarint timestamp of its start. Its end has none.
const (
	commandFormat = 1
	headerBytes   = 30
)

type commandKind byte

const (
	kindWrite  commandKind = 1
	kindSplit  commandKind = 2
	kindMember commandKind = 3

	kindFlashbackWrite   commandKind = 4
	kindPrepareFlashback commandKind = 5
	kindFinishFlashback  commandKind = 6
)

// isWrite tells whether the body is changes of data.
func (k commandKind) isWrite() bool { return k == kindWrite || k == kindFlashbackWrite }

// errBadCommand is in the chain of errors about payloads that cannot be decoded.
var errBadCommand = errors.New("malformed raft command")

// header is the decoded fixed part of a payload.
type header struct {
	kind    commandKind
	count   uint32
	version uint64
	confVer uint64
	seq     uint64
}

// appendHeader writes h to dst.
func appendHeader(dst []byte, h header) []byte {
	dst = append(dst, commandFormat, byte(h.kind))
	dst = binary.BigEndian.AppendUint32(dst, h.count)
	dst = binary.BigEndian.AppendUint64(dst, h.version)
	dst = binary.BigEndian.AppendUint64(dst, h.confVer)
	return binary.BigEndian.AppendUint64(dst, h.seq)
}

// decodeHeader splits a payload. The body shares its memory.
func decodeHeader(b []byte) (h header, body []byte, err error) {
	if len(b) < headerBytes || b[0] != commandFormat {
		return h, nil, fmt.Errorf("%w: header of %d bytes", errBadCommand, len(b))
	}
	h = header{
		kind:    commandKind(b[1]),
		count:   binary.BigEndian.Uint32(b[2:]),
		version: binary.BigEndian.Uint64(b[6:]),
		confVer: binary.BigEndian.Uint64(b[14:]),
		seq:     binary.BigEndian.Uint64(b[22:]),
	}
	return h, b[headerBytes:], nil
}

// seal writes the parts of a payload's header that are known when it is proposed.
func seal(payload []byte, count int, seq uint64) {
	binary.BigEndian.PutUint32(payload[2:], uint32(count))
	binary.BigEndian.PutUint64(payload[22:], seq)
}

// writeBytes is the length of the payload of mods.
func writeBytes(mods []storage.Modify) int {
	n := headerBytes
	for i := range mods {
		m := &mods[i]
		n += 2 + uvarintLen(len(m.Key)) + len(m.Key)
		switch m.Op {
		case storage.OpPut:
			n += uvarintLen(len(m.Value)) + len(m.Value)
		case storage.OpDeleteRange:
			n += uvarintLen(len(m.EndKey)) + len(m.EndKey)
		}
	}
	return n
}

func uvarintLen(n int) int {
	l := 1
	for n >= 0x80 {
		n >>= 7
		l++
	}
	return l
}

// encodeWrite returns the payload of mods, of either kind of write; size is its writeBytes.
func encodeWrite(kind commandKind, mods []storage.Modify, version uint64, size int) []byte {
	b := appendHeader(make([]byte, 0, size), header{kind: kind, version: version})
	for i := range mods {
		m := &mods[i]
		b = append(b, byte(m.Op), byte(m.CF))
		b = appendBytes(b, m.Key)
		switch m.Op {
		case storage.OpPut:
			b = appendBytes(b, m.Value)
		case storage.OpDeleteRange:
			b = appendBytes(b, m.EndKey)
		}
	}
	return b
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// nextModify reads the first change of a write's body and returns the rest. Its slices share the body's memory.
func nextModify(body []byte) (m storage.Modify, rest []byte, err error) {
	if len(body) < 2 {
		return m, nil, fmt.Errorf("%w: truncated change", errBadCommand)
	}
	m.Op, m.CF = storage.Op(body[0]), storage.CF(body[1])
	if m.Key, rest, err = takeBytes(body[2:]); err != nil {
		return m, nil, err
	}
	switch m.Op {
	case storage.OpPut:
		m.Value, rest, err = takeBytes(rest)
	case storage.OpDelete:
	case storage.OpDeleteRange:
		m.EndKey, rest, err = takeBytes(rest)
	default:
		err = fmt.Errorf("%w: operation %d", errBadCommand, m.Op)
	}
	return m, rest, err
}

func takeBytes(b []byte) (val, rest []byte, err error) {
	n, b, err := takeUvarint(b)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", errBadCommand, len(b), n)
	}
	return b[:n:n], b[n:], nil
}

func takeUvarint(b []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: number", errBadCommand)
	}
	return v, b[n:], nil
}

// splitPart is one new region of a split command.
type splitPart struct {
	key      []byte // where the new region ends
	regionID uint64
	peerIDs  []uint64
}

// The most parts and peers that a split command may have: bounds of the decoder.
const (
	splitPartsMax = 1024
	peersMax      = 64
)

func encodeSplit(parts []splitPart, version, confVer uint64) []byte {
	b := appendHeader(nil, header{kind: kindSplit, version: version, confVer: confVer})
	b = binary.AppendUvarint(b, uint64(len(parts)))
	for _, p := range parts {
		b = appendBytes(b, p.key)
		b = binary.AppendUvarint(b, p.regionID)
		b = binary.AppendUvarint(b, uint64(len(p.peerIDs)))
		for _, id := range p.peerIDs {
			b = binary.AppendUvarint(b, id)
		}
	}
	return b
}

func decodeSplit(body []byte) ([]splitPart, error) {
	n, body, err := takeUvarint(body)
	if err != nil {
		return nil, err
	}
	if n == 0 || n > splitPartsMax {
		return nil, fmt.Errorf("%w: split into %d", errBadCommand, n)
	}
	parts := make([]splitPart, n)
	for i := range parts {
		if parts[i], body, err = takeSplitPart(body); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func takeSplitPart(body []byte) (p splitPart, rest []byte, err error) {
	if p.key, body, err = takeBytes(body); err != nil {
		return p, nil, err
	}
	if p.regionID, body, err = takeUvarint(body); err != nil {
		return p, nil, err
	}
	n, body, err := takeUvarint(body)
	if err != nil {
		return p, nil, err
	}
	if n > peersMax {
		return p, nil, fmt.Errorf("%w: %d peers", errBadCommand, n)
	}
	p.peerIDs = make([]uint64, n)
	for i := range p.peerIDs {
		if p.peerIDs[i], body, err = takeUvarint(body); err != nil {
			return p, nil, err
		}
	}
	return p, body, nil
}

// memberChange is the body of a membership change.
type memberChange struct {
	peerID, storeID uint64
	change          changeType
}

type changeType byte

const (
	addVoter   changeType = 0
	removePeer changeType = 1
	addLearner changeType = 2
)

func encodeMember(c memberChange, version, confVer uint64) []byte {
	b := appendHeader(nil, header{kind: kindMember, version: version, confVer: confVer})
	b = binary.AppendUvarint(b, c.peerID)
	b = binary.AppendUvarint(b, c.storeID)
	return binary.AppendUvarint(b, uint64(c.change))
}

func decodeMember(body []byte) (c memberChange, err error) {
	if c.peerID, body, err = takeUvarint(body); err != nil {
		return c, err
	}
	if c.storeID, body, err = takeUvarint(body); err != nil {
		return c, err
	}
	change, _, err := takeUvarint(body)
	if err == nil && change > uint64(addLearner) {
		err = fmt.Errorf("%w: membership change %d", errBadCommand, change)
	}
	c.change = changeType(change)
	return c, err
}
