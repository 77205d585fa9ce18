package mvcc

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawBytes(t *rapid.T, name string, lenMax int) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, lenMax).Draw(t, name)
}

func drawLock(t *rapid.T) Lock {
	l := Lock{
		Type:    rapid.SampledFrom([]LockType{LockPut, LockDelete, LockLock, LockPessimistic}).Draw(t, "type"),
		Primary: drawBytes(t, "primary", 40), StartTS: rapid.Uint64().Draw(t, "start"), TTL: rapid.Uint64().Draw(t, "ttl"),
	}
	if rapid.Bool().Draw(t, "value") {
		l.ShortValue = drawBytes(t, "short value", ShortValueMax)
	}
	for _, p := range []*uint64{&l.ForUpdateTS, &l.TxnSize, &l.MinCommitTS, &l.LastChangeTS, &l.LastChangeVersions, &l.TxnSource, &l.Generation} {
		*p = rapid.SampledFrom([]uint64{0, 0, 1, math.MaxUint64}).Draw(t, "part")
	}
	if l.AsyncCommit = rapid.Bool().Draw(t, "async"); l.AsyncCommit {
		l.Secondaries = [][]byte{}
		for range rapid.IntRange(0, 3).Draw(t, "secondaries") {
			l.Secondaries = append(l.Secondaries, drawBytes(t, "secondary", 10))
		}
	}
	if n := rapid.IntRange(0, 3).Draw(t, "rollbacks"); n > 0 {
		l.RollbackTS = rapid.SliceOfN(rapid.Uint64(), n, n).Draw(t, "rollbacks")
	}
	l.LockedWithConflict = rapid.Bool().Draw(t, "conflict")
	return l
}

func TestLockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLock(t)
		record := l.Append(nil)
		got, err := ParseLock(record)
		require.NoError(t, err)
		require.Equal(t, l, got)
		for n := range record { // no prefix makes a reader fail hard
			_, _ = ParseLock(record[:n])
		}
	})
}

func TestWriteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Write{
			Type:    rapid.SampledFrom([]WriteType{WritePut, WriteDelete, WriteLock, WriteRollback}).Draw(t, "type"),
			StartTS: rapid.Uint64().Draw(t, "start"), Overlapped: rapid.Bool().Draw(t, "overlapped"), HasGCFence: rapid.Bool().Draw(t, "fence"),
			LastChangeTS: rapid.SampledFrom([]uint64{0, 7}).Draw(t, "last"), TxnSource: rapid.SampledFrom([]uint64{0, 300}).Draw(t, "source"),
		}
		if rapid.Bool().Draw(t, "value") {
			w.ShortValue = drawBytes(t, "short value", ShortValueMax)
		}
		if w.HasGCFence {
			w.GCFence = rapid.Uint64().Draw(t, "fence")
		}
		record := w.Append(nil)
		got, err := ParseWrite(record)
		require.NoError(t, err)
		require.Equal(t, w, got)
		got, err = ParseWrite(append(record, 0xEE, 1, 2))
		require.NoError(t, err, "a reader stops at a part it does not know")
		require.Equal(t, w, got)

		val, plain := plainPut(record)
		simple := Write{Type: WritePut, StartTS: w.StartTS, ShortValue: w.ShortValue}
		require.Equal(t, w.ShortValue != nil && bytes.Equal(record, simple.Append(nil)), plain)
		if plain {
			require.Equal(t, w.ShortValue, val)
		}
	})
}

// The bytes on disk, as reference/protocol.md has them.
func TestRecordBytes(t *testing.T) {
	l := Lock{
		Type: LockPut, Primary: []byte("pk"), StartTS: 300, TTL: 5, ShortValue: []byte("val"), ForUpdateTS: 1, TxnSize: 2,
		MinCommitTS: 3, AsyncCommit: true, Secondaries: [][]byte{[]byte("s")}, RollbackTS: []uint64{9}, LastChangeTS: 4,
		LastChangeVersions: 300, TxnSource: 1, LockedWithConflict: true, Generation: 6,
	}
	z := strings.Repeat("\x00", 7)
	require.Equal(t, "P\x04pk\xac\x02\x05v\x03valf"+z+"\x01t"+z+"\x02c"+z+"\x03a\x01\x02sr\x01"+z+"\x09l"+z+"\x04\xac\x02s\x01Fg"+z+"\x06", string(l.Append(nil)))
	w := Write{Type: WriteDelete, StartTS: 300, Overlapped: true, HasGCFence: true, GCFence: 7}
	require.Equal(t, "D\xac\x02RF"+z+"\x07", string(w.Append(nil)))
	w = NewRollback(1, true)
	require.Equal(t, "R\x01v\x01p", string(w.Append(nil)))
	require.True(t, w.Protected())
}

func TestParsingAllocatesNothing(t *testing.T) {
	l := Lock{Type: LockPut, Primary: []byte("primary"), StartTS: 1 << 58, TTL: 3000, ShortValue: make([]byte, 100), MinCommitTS: 1}
	w := Write{Type: WritePut, StartTS: 1 << 58, ShortValue: make([]byte, 100)}
	lock, write := l.Append(nil), w.Append(nil)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := ParseLock(lock); err != nil {
			t.Error(err)
		}
		if _, err := ParseWrite(write); err != nil {
			t.Error(err)
		}
	}))
}

func FuzzParseLock(f *testing.F) {
	l := Lock{Type: LockPut, Primary: []byte("p"), StartTS: 300, AsyncCommit: true, Secondaries: [][]byte{nil}, RollbackTS: []uint64{1}}
	f.Add(l.Append(nil))
	f.Add([]byte("P\x00\x00\x00a\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, record []byte) {
		l, err := ParseLock(record)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		again, err := ParseLock(l.Append(nil))
		require.NoError(t, err)
		require.Equal(t, l.Append(nil), again.Append(nil))
	})
}

func FuzzParseWrite(f *testing.F) {
	w := Write{Type: WritePut, StartTS: 300, ShortValue: []byte("v"), Overlapped: true, HasGCFence: true}
	f.Add(w.Append(nil))
	f.Add([]byte("P\xff"))
	f.Fuzz(func(t *testing.T, record []byte) {
		w, err := ParseWrite(record)
		val, plain := plainPut(record)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		if plain {
			require.Equal(t, w.ShortValue, val)
		}
		again, err := ParseWrite(w.Append(nil))
		require.NoError(t, err)
		require.Equal(t, w, again)
	})
}
