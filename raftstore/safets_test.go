package raftstore

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever news come in whatever order, a timestamp is never safe before the index told with it, or one told with a
// higher timestamp, is applied; and it does not go back.
func TestSafeTS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s safeTS
		told := map[uint64]uint64{0: 0} // timestamp -> index
		applied, last := uint64(0), uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) { applied += rapid.Uint64Range(1, 5).Draw(t, "entries") },
			"tell": func(t *rapid.T) {
				ts := rapid.Uint64Range(1, 1000).Draw(t, "ts")
				if _, ok := told[ts]; !ok {
					told[ts] = applied + rapid.Uint64Range(0, 10).Draw(t, "ahead")
				}
				s.advance(told[ts], ts, applied)
			},
			"": func(t *rapid.T) {
				got := s.read(applied)
				require.GreaterOrEqual(t, got, last)
				require.Contains(t, told, got)
				require.LessOrEqual(t, told[got], applied)
				last = got
			},
		})
	})
}

// A peer that is always behind still gets on.
func TestSafeTSOfLaggingPeer(t *testing.T) {
	var s safeTS
	for i := uint64(1); i <= 100; i++ {
		s.advance(10*i, 1000*i, 10*i-15)
	}
	require.Greater(t, s.read(985), uint64(90_000))
}
