package executor

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
)

// windowKey is an item of PARTITION BY or ORDER BY over the log's columns.
type windowKey struct {
	sortSpec
	place int
}

// edges finds where partitions begin, and groups of peers: rows of a partition that its order does not tell apart. Without
// an order all rows of a partition are peers.
type edges struct {
	partition, order []windowKey
	last             []arrow.Array // the keys of the last row, those of the partition first; nil: no rows yet
	// parts and peers have the first rows of partitions and of groups of peers, ascending, from those of the first row that
	// is not put out.
	parts, peers []int64
	peerNo       int64 // the number of peers[0] in its partition
	changed      []edge
	places       []int64 // scratch of place
}

type edge uint8

const (
	edgePeers edge = 1 << iota
	edgePartition
)

func (e *edges) bytes() int64 { return int64(8 * (cap(e.parts) + cap(e.peers))) }

// lastStarts are the first rows of the last partition and of the last group of peers.
func (e *edges) lastStarts() (part, peer int64) {
	return e.parts[len(e.parts)-1], e.peers[len(e.peers)-1]
}

// add looks at a batch whose first row is base.
func (e *edges) add(b Batch, base int64) {
	e.changed = append(e.changed[:0], make([]edge, b.Rows)...)
	keys := make([]arrow.Array, 0, len(e.partition)+len(e.order))
	for _, list := range [2][]windowKey{e.partition, e.order} {
		kind := edgePartition
		if len(keys) >= len(e.partition) {
			kind = edgePeers
		}
		for i := range list {
			var before arrow.Array
			if e.last != nil {
				before = e.last[len(keys)]
			}
			keys = append(keys, b.Cols[list[i].place])
			list[i].mark(e.changed, kind, keys[len(keys)-1], before)
		}
	}
	if e.last == nil {
		e.changed[0] |= edgePartition
		e.peerNo = 1
	}
	e.last = gatherAll(nil, keys, []int32{int32(b.Rows - 1)})
	if e.last == nil {
		e.last = []arrow.Array{}
	}
	for i, c := range e.changed {
		if c&edgePartition != 0 {
			e.parts = append(e.parts, base+int64(i))
		}
		if c != 0 {
			e.peers = append(e.peers, base+int64(i))
		}
	}
}

// mark notes the rows of a whose value is not that of the row before; before is the value before the first one, or nil.
func (k *windowKey) mark(changed []edge, kind edge, a, before arrow.Array) {
	words, exact := k.prefixes(a)
	var compare func(i, j int) int
	if !exact {
		compare = k.comparer(a)
	}
	for i := 1; i < len(words); i++ {
		if words[i] != words[i-1] || !exact && compare(i-1, i) != 0 {
			changed[i] |= kind
		}
	}
	if before != nil && k.compareAt(before, 0, a, 0) != 0 {
		changed[0] |= kind
	}
}

// place fills in the partitions and peers of a span, the first one that was not placed before. end is where the known rows
// end.
func (e *edges) place(s *span, end int64) {
	n := s.batch.Rows
	e.places = slices.Grow(e.places[:0], 5*n)[:5*n]
	places := e.places
	s.partFrom, s.partTo, s.peerFrom, s.peerTo, s.peerNo = places[:n], places[n:2*n], places[2*n:3*n], places[3*n:4*n], places[4*n:]
	part, peer := 0, 0
	for i := range n {
		row := s.base + int64(i)
		for peer+1 < len(e.peers) && e.peers[peer+1] <= row {
			peer++
			e.peerNo++
		}
		for part+1 < len(e.parts) && e.parts[part+1] <= row {
			part++
			e.peerNo = 1
		}
		s.partFrom[i], s.partTo[i] = e.parts[part], startAfter(e.parts, part, end)
		s.peerFrom[i], s.peerTo[i] = e.peers[peer], startAfter(e.peers, peer, end)
		s.peerNo[i] = e.peerNo
	}
	e.parts, e.peers = e.parts[part:], e.peers[peer:]
}

func startAfter(starts []int64, i int, end int64) int64 {
	if i+1 < len(starts) {
		return starts[i+1]
	}
	return end
}
