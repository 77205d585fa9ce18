package raftstore

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage"
)

func drawModify(t *rapid.T) storage.Modify {
	bytes := rapid.SliceOfN(rapid.Byte(), 0, 200)
	m := storage.Modify{
		Op: storage.Op(rapid.IntRange(0, 2).Draw(t, "op")), CF: rapid.SampledFrom(dataFamilies).Draw(t, "cf"), Key: bytes.Draw(t, "key"),
	}
	switch m.Op {
	case storage.OpPut:
		m.Value = bytes.Draw(t, "value")
	case storage.OpDeleteRange:
		m.EndKey = bytes.Draw(t, "end")
	}
	return m
}

// What is encoded is decoded, in the size that was computed, merged or alone.
func TestWriteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mods := rapid.SliceOfN(rapid.Custom(drawModify), 0, 10).Draw(t, "mods")
		cut := rapid.IntRange(0, len(mods)).Draw(t, "cut")
		var group []*proposal
		for _, part := range [][]storage.Modify{mods[:cut], mods[cut:]} {
			size := writeBytes(part)
			payload := encodeWrite(kindWrite, part, 7, size)
			require.Len(t, payload, size)
			group = append(group, &proposal{payload: payload})
		}
		payload := merge(group)
		seal(payload, 2, 99)
		h, body, err := decodeHeader(payload)
		require.NoError(t, err)
		require.Equal(t, header{kind: kindWrite, count: 2, version: 7, seq: 99}, h)
		for _, want := range mods {
			var got storage.Modify
			got, body, err = nextModify(body)
			require.NoError(t, err)
			require.Equal(t, want.Op, got.Op)
			require.Equal(t, want.CF, got.CF)
			require.Equal(t, string(want.Key), string(got.Key))
			require.Equal(t, string(want.Value), string(got.Value))
			require.Equal(t, string(want.EndKey), string(got.EndKey))
		}
		require.Empty(t, body)
	})
}

func TestAdminRoundTrip(t *testing.T) {
	parts := []splitPart{{key: []byte("k"), regionID: 300, peerIDs: []uint64{1, 1 << 40}}, {key: []byte("l"), regionID: 301, peerIDs: []uint64{2, 3}}}
	h, body, err := decodeHeader(encodeSplit(parts, 4, 5))
	require.NoError(t, err)
	require.Equal(t, header{kind: kindSplit, version: 4, confVer: 5}, h)
	got, err := decodeSplit(body)
	require.NoError(t, err)
	require.Equal(t, parts, got)

	change := memberChange{peerID: 1 << 33, storeID: 7, change: addLearner}
	_, body, err = decodeHeader(encodeMember(change, 4, 5))
	require.NoError(t, err)
	c, err := decodeMember(body)
	require.NoError(t, err)
	require.Equal(t, change, c)
}

// No payload may crash the decoders or make them allocate beyond its size.
func FuzzDecodeCommand(f *testing.F) {
	f.Add(encodeWrite(kindWrite, []storage.Modify{{Op: storage.OpPut, CF: 'w', Key: []byte("a"), Value: []byte("b")}}, 1, 64))
	f.Add(encodeSplit([]splitPart{{key: []byte("k"), regionID: 3, peerIDs: []uint64{1}}}, 1, 1))
	f.Add(encodeMember(memberChange{peerID: 1, storeID: 2}, 1, 1))
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, body, err := decodeHeader(payload)
		if err != nil {
			return
		}
		for rest := body; len(rest) > 0 && err == nil; {
			before := len(rest)
			if _, rest, err = nextModify(rest); err == nil && len(rest) >= before {
				t.Fatal("no progress")
			}
		}
		_, _ = decodeSplit(body)
		_, _ = decodeMember(body)
		_, _ = decodeMark(body)
		_ = eachRecord(body, func(storage.CF, []byte, []byte) error { return nil })
	})
}

func TestMarkRoundTrip(t *testing.T) {
	for _, m := range []mark{
		{state: markTombstone, peerID: 5, confVer: 6},
		{state: markApplying, receipt: 1, at: applied{2, 3}, region: childRegion(testRegion(), splitPart{key: []byte("m"), regionID: 9, peerIDs: []uint64{8}})},
	} {
		raw, err := m.encode()
		require.NoError(t, err)
		got, err := decodeMark(raw)
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
}
