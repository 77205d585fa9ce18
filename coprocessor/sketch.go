package coprocessor

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pingcap/tipb/go-tipb"
)

// sketch estimates how many values differ (Flajolet and Martin): it keeps the hashes whose low bits are 0, and whenever they
// become too many it asks for one more bit. Each hash kept then stands for mask + 1 values.
type sketch struct {
	max    int
	mask   uint64 // the low bits that must be 0
	hashes map[uint64]struct{}
}

func newSketch(size int) *sketch {
	return &sketch{max: cmp.Or(size, sketchDefault), hashes: make(map[uint64]struct{})}
}

func (s *sketch) add(h uint64) {
	if h&s.mask != 0 {
		return
	}
	s.hashes[h] = struct{}{}
	for len(s.hashes) > s.max {
		s.mask = s.mask<<1 | 1
		maps.DeleteFunc(s.hashes, func(h uint64, _ struct{}) bool { return h&s.mask != 0 })
	}
}

func (s *sketch) proto() *tipb.FMSketch {
	return &tipb.FMSketch{Mask: s.mask, Hashset: slices.Sorted(maps.Keys(s.hashes))}
}

// hash is FNV-1a, with its bits mixed, as a sketch looks at the lowest. It is the same everywhere and at all times, or
// the sketches of several stores could not be merged.
func hash(b []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
