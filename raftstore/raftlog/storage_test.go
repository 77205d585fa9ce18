package raftlog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage/engine"
)

func openLog(t require.TestingT, fs vfs.FS) (*Log, *engine.Engine) {
	e, err := engine.Open("log", engine.Options{FS: fs, CacheBytes: 1 << 20, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	return New(e), e
}

func entries(term uint64, first, last uint64) []raftpb.Entry {
	var out []raftpb.Entry
	for i := first; i <= last; i++ {
		out = append(out, raftpb.Entry{Term: term, Index: i, Data: fmt.Appendf(nil, "entry %d of term %d", i, term)})
	}
	return out
}

func TestLogSurvivesCrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l, e := openLog(t, fs)
	s, err := l.Open(7)
	require.NoError(t, err)
	b := l.NewBatch()
	s.Reset(b, 5, 5)
	require.NoError(t, s.Append(b, entries(6, 6, 20)))
	s.SetHardState(b, raftpb.HardState{Term: 6, Vote: 3, Commit: 18})
	b.SetMark(8, []byte("mark"))
	require.True(t, b.NeedSync())
	require.NoError(t, b.Commit())
	require.NoError(t, s.Append(b, entries(6, 21, 30))) // collected, not committed
	fs2 := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, b.Close())
	require.NoError(t, e.Close())

	l, e = openLog(t, fs2)
	defer e.Close()
	s, err = l.Open(7)
	require.NoError(t, err)
	last, _ := s.LastIndex()
	require.EqualValues(t, 20, last)
	require.Equal(t, raftpb.HardState{Term: 6, Vote: 3, Commit: 18}, s.HardState())
	got, err := s.Entries(6, 21, math.MaxUint64)
	require.NoError(t, err)
	require.Equal(t, entries(6, 6, 20), got)
	m, err := l.Mark(8)
	require.NoError(t, err)
	require.Equal(t, "mark", string(m))
	require.Positive(t, l.Bytes())
}

// A commit index alone waits for the next sync.
func TestCommitIndexDoesNotSync(t *testing.T) {
	l, e := openLog(t, vfs.NewMem())
	defer e.Close()
	s, err := l.Open(1)
	require.NoError(t, err)
	b := l.NewBatch()
	defer b.Close()
	s.SetHardState(b, raftpb.HardState{Term: 1, Vote: 1})
	require.True(t, b.NeedSync())
	require.NoError(t, b.Commit())
	s.SetHardState(b, raftpb.HardState{Term: 1, Vote: 1, Commit: 9})
	require.False(t, b.NeedSync())
	require.False(t, b.Empty())
}

func TestTruncationErrors(t *testing.T) {
	l, e := openLog(t, vfs.NewMem())
	defer e.Close()
	s, err := l.Open(1)
	require.NoError(t, err)
	b := l.NewBatch()
	defer b.Close()
	s.Reset(b, 5, 5)
	require.NoError(t, s.Append(b, entries(5, 6, 20)))
	require.NoError(t, b.Commit())
	require.NoError(t, s.Compact(b, 10))
	require.NoError(t, b.Commit())
	_, err = s.Entries(10, 12, math.MaxUint64)
	require.ErrorIs(t, err, raft.ErrCompacted)
	_, err = s.Entries(11, 22, math.MaxUint64)
	require.ErrorIs(t, err, raft.ErrUnavailable)
	_, err = s.Term(9)
	require.ErrorIs(t, err, raft.ErrCompacted)
	term, err := s.Term(10)
	require.NoError(t, err)
	require.EqualValues(t, 5, term)
	require.Error(t, s.Append(b, entries(5, 22, 22)), "a gap")
}

func TestChunks(t *testing.T) {
	l, e := openLog(t, vfs.NewMem())
	defer e.Close()
	for n := range uint64(3) {
		require.NoError(t, l.PutChunk(4, n, fmt.Appendf(nil, "chunk %d", n)))
	}
	require.NoError(t, l.PutChunk(5, 0, []byte("other")))
	r, err := l.Chunks(4)
	require.NoError(t, err)
	for n := range 3 {
		c, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("chunk %d", n), string(c))
	}
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, r.Close())
	greatest, err := l.DropChunks(map[uint64]bool{5: true})
	require.NoError(t, err)
	require.EqualValues(t, 5, greatest)
	r, err = l.Chunks(4)
	require.NoError(t, err)
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, r.Close())
}

// Whatever is appended, overwritten, truncated, trimmed from the cache and reopened: the log answers like raft's own
// in-memory storage.
func TestAgainstMemoryStorage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, e := openLog(t, vfs.NewMem())
		defer e.Close()
		s, err := l.Open(3)
		require.NoError(t, err)
		b := l.NewBatch()
		defer b.Close()
		model := raft.NewMemoryStorage()
		require.NoError(t, model.ApplySnapshot(raftpb.Snapshot{Metadata: raftpb.SnapshotMetadata{Index: 5, Term: 5}}))
		s.Reset(b, 5, 5)
		require.NoError(t, b.Commit())
		term := uint64(5)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			first, _ := model.FirstIndex()
			last, _ := model.LastIndex()
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				from := rapid.Uint64Range(first, last+1).Draw(t, "from")
				if from <= last {
					term++
				}
				es := entries(term, from, from+rapid.Uint64Range(0, 8).Draw(t, "n"))
				require.NoError(t, model.Append(es))
				require.NoError(t, s.Append(b, es))
				require.NoError(t, b.Commit())
			case 2:
				if at := rapid.Uint64Range(first-1, last).Draw(t, "compact"); at >= first {
					require.NoError(t, model.Compact(at))
					require.NoError(t, s.Compact(b, at))
					require.NoError(t, b.Commit())
				}
			case 3:
				s.TrimCache(rapid.Uint64Range(first, last+1).Draw(t, "trim"), rapid.IntRange(0, 100).Draw(t, "keep"))
			case 4:
				s, err = l.Open(3)
				require.NoError(t, err)
			}
			compare(t, model, s)
		}
	})
}

func compare(t *rapid.T, model raft.Storage, s *Storage) {
	first, _ := model.FirstIndex()
	last, _ := model.LastIndex()
	gotFirst, _ := s.FirstIndex()
	gotLast, _ := s.LastIndex()
	require.Equal(t, [2]uint64{first, last}, [2]uint64{gotFirst, gotLast})
	for i := first - 1; i <= last; i++ {
		want, err := model.Term(i)
		require.NoError(t, err)
		got, err := s.Term(i)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	if last < first {
		return
	}
	lo := rapid.Uint64Range(first, last).Draw(t, "lo")
	hi := rapid.Uint64Range(lo+1, last+1).Draw(t, "hi")
	size := rapid.SampledFrom([]uint64{0, 60, 200, math.MaxUint64}).Draw(t, "size")
	want, err := model.Entries(lo, hi, size)
	require.NoError(t, err)
	got, err := s.Entries(lo, hi, size)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func encodeEntry(e *raftpb.Entry) []byte {
	head := entryHead(e)
	return append(head[:], e.Data...)
}

func FuzzDecode(f *testing.F) {
	f.Add(encodeState(raftpb.HardState{Term: 1, Vote: 2, Commit: 3}, position{4, 5}))
	f.Add(encodeEntry(&raftpb.Entry{Term: 1, Data: []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := decodeState(b); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if e, err := decodeEntry(1, b); err == nil && string(encodeEntry(&e)) != string(b) {
			t.Fatal("not the same")
		}
	})
}
