package raftstore

import (
	"encoding/binary"
	"fmt"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
)

// cfLocal is the family of the data engine that holds what belongs to no region's data. In one batch with the data it
// describes:
//
//	'a' region u64 -> applied index u64, its term u64
//	'r' region u64 -> raft_serverpb.RegionLocalState, the region as of the applied index; when the peer here has left it, with
//	                  that peer among the removed ones
const cfLocal storage.CF = 'm'

// A region begins with this applied index and term. Above zero, so that a peer that begins with nothing cannot match
// any entry and is sent a snapshot.
const (
	initialIndex = 5
	initialTerm  = 5
)

func appliedKey(region uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{'a'}, region)
}

func regionStateKey(region uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{'r'}, region)
}

// applied is how far a region's log is in its data.
type applied struct{ index, term uint64 }

func encodeApplied(dst []byte, a applied) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, a.index), a.term)
}

func decodeApplied(b []byte) (applied, error) {
	if len(b) != 16 {
		return applied{}, fmt.Errorf("applied state of %d bytes", len(b))
	}
	return applied{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

func encodeRegionState(region *metapb.Region, removed ...*metapb.Peer) ([]byte, error) {
	st := raft_serverpb.RegionLocalState{State: raft_serverpb.PeerState_Normal, Region: region, RemovedRecords: removed}
	return st.Marshal()
}

func decodeRegionState(b []byte) (*metapb.Region, error) {
	region, _, err := decodeRemoval(b)
	return region, err
}

// decodeRemoval also tells the peers that were removed.
func decodeRemoval(b []byte) (region *metapb.Region, removed []*metapb.Peer, err error) {
	var st raft_serverpb.RegionLocalState
	if err := st.Unmarshal(b); err != nil {
		return nil, nil, fmt.Errorf("region state: %w", err)
	}
	if st.Region == nil || st.Region.RegionEpoch == nil {
		return nil, nil, fmt.Errorf("region state without region")
	}
	return st.Region, st.RemovedRecords, nil
}

// getter is the reading half of an engine or of its snapshot.
type getter interface {
	Get(cf storage.CF, key []byte) ([]byte, error)
}

// loadState reads a region's applied state and descriptor from one view of the data; a nil region says there is none.
func loadState(from getter, id uint64) (*metapb.Region, applied, error) {
	raw, err := from.Get(cfLocal, regionStateKey(id))
	if err != nil || raw == nil {
		return nil, applied{}, err
	}
	region, err := decodeRegionState(raw)
	if err != nil {
		return nil, applied{}, err
	}
	if raw, err = from.Get(cfLocal, appliedKey(id)); err != nil {
		return nil, applied{}, err
	}
	a, err := decodeApplied(raw)
	return region, a, err
}

// confState is the membership of a region in raft's form.
func confState(region *metapb.Region) raftpb.ConfState {
	var cs raftpb.ConfState
	for _, p := range region.GetPeers() {
		if p.Role == metapb.PeerRole_Learner {
			cs.Learners = append(cs.Learners, p.Id)
		} else {
			cs.Voters = append(cs.Voters, p.Id)
		}
	}
	return cs
}

// cloneRegion copies what a change of a region touches. Descriptors are shared by readers and never changed in place.
func cloneRegion(r *metapb.Region) *metapb.Region {
	c := *r
	epoch := *r.RegionEpoch
	c.RegionEpoch = &epoch
	c.Peers = append([]*metapb.Peer(nil), r.Peers...)
	return &c
}

func peerOnStore(r *metapb.Region, store uint64) *metapb.Peer {
	for _, p := range r.GetPeers() {
		if p.StoreId == store {
			return p
		}
	}
	return nil
}

func peerByID(r *metapb.Region, id uint64) *metapb.Peer {
	for _, p := range r.GetPeers() {
		if p.Id == id {
			return p
		}
	}
	return nil
}

// The life-cycle marks in the raft log engine. They are written in the synced batch that makes them true, and win over
// what the data says: the data may be behind after a crash.
//
//	format u8 = 1, state u8, then
//	tombstone (1): peer id u64, conf_ver u64 of the epoch at which it was removed; the region descriptor follows until
//	               its data is cleared: raft's vote and log are gone
//	applying  (2): receipt u64, index u64, term u64, region descriptor: a snapshot is received whole and the log starts
//	               behind it, but the data may not be replaced yet
type mark struct {
	state   markState
	peerID  uint64 // tombstone
	confVer uint64 // tombstone
	receipt uint64 // applying
	at      applied
	region  *metapb.Region
}

type markState byte

const (
	markTombstone markState = 1
	markApplying  markState = 2
)

const markFormat = 1

func (m mark) encode() ([]byte, error) {
	b := []byte{markFormat, byte(m.state)}
	numbers := []uint64{m.peerID, m.confVer}
	if m.state == markApplying {
		numbers = []uint64{m.receipt, m.at.index, m.at.term}
	}
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	if m.region == nil {
		return b, nil
	}
	region, err := m.region.Marshal()
	return append(b, region...), err
}

func decodeMark(b []byte) (m mark, err error) {
	if len(b) < 2+16 || b[0] != markFormat {
		return m, fmt.Errorf("mark of %d bytes", len(b))
	}
	m.state = markState(b[1])
	at := func(i int) uint64 { return binary.BigEndian.Uint64(b[2+8*i:]) }
	rest := b[2+16:]
	switch {
	case m.state == markTombstone:
		m.peerID, m.confVer = at(0), at(1)
	case m.state == markApplying && len(b) > 2+24:
		m.receipt, m.at = at(0), applied{at(1), at(2)}
		rest = b[2+24:]
	default:
		return m, fmt.Errorf("mark of %d bytes in state %d", len(b), m.state)
	}
	if len(rest) > 0 {
		m.region = new(metapb.Region)
		err = m.region.Unmarshal(rest)
	}
	return m, err
}
