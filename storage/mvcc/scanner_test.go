package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

// history is what a naive reader looks at: all versions and locks of a few keys.
type history struct {
	keys     []string // ascending
	versions map[string][]histVersion
	locks    map[string]Lock
}

// histVersion is a write record with its value in full.
type histVersion struct {
	Write
	commitTS uint64
	value    string
}

// drawHistory makes up keys with runs of versions long enough to be jumped over, and a few locks.
func drawHistory(t *rapid.T) history {
	h := history{versions: make(map[string][]histVersion), locks: make(map[string]Lock)}
	h.keys = rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]{1,2}|[a-c]{8,9}`), 1, 8, rapid.ID).Draw(t, "keys")
	slices.Sort(h.keys)
	for _, k := range h.keys {
		ts := uint64(0)
		for range rapid.SampledFrom([]int{0, 1, 1, 2, 12, 25}).Draw(t, "versions") {
			ts += rapid.Uint64Range(2, 5).Draw(t, "gap")
			v := histVersion{commitTS: ts, Write: Write{StartTS: ts - 1}}
			v.Type = rapid.SampledFrom([]WriteType{WritePut, WritePut, WritePut, WriteDelete, WriteLock, WriteRollback}).Draw(t, "type")
			v.Overlapped = rapid.IntRange(0, 9).Draw(t, "overlapped") == 0
			if v.Type == WritePut {
				v.value = fmt.Sprintf("%s@%d", k, ts)
				v.ShortValue = []byte(v.value)
				if rapid.IntRange(0, 4).Draw(t, "long") == 0 {
					v.ShortValue = nil
				}
			}
			h.versions[k] = append([]histVersion{v}, h.versions[k]...) // newest first
		}
		if rapid.IntRange(0, 3).Draw(t, "locked") == 0 {
			h.locks[k] = Lock{
				Type:    rapid.SampledFrom([]LockType{LockPut, LockDelete, LockLock, LockPessimistic}).Draw(t, "lock"),
				Primary: []byte(rapid.SampledFrom(h.keys).Draw(t, "primary")), StartTS: ts + rapid.Uint64Range(1, 20).Draw(t, "start"),
				ShortValue: []byte("locked"), AsyncCommit: rapid.Bool().Draw(t, "async"),
				MinCommitTS: rapid.SampledFrom([]uint64{0, 0, 40}).Draw(t, "min commit"),
			}
		}
	}
	return h
}

func (h *history) mods() (mods []storage.Modify) {
	put := func(cf storage.CF, key, val []byte) {
		mods = append(mods, storage.Modify{CF: cf, Key: key, Value: val})
	}
	for _, cf := range []storage.CF{storage.CFLock, storage.CFWrite, storage.CFDefault} {
		mods = append(mods, storage.Modify{Op: storage.OpDeleteRange, CF: cf})
	}
	for k, versions := range h.versions {
		for _, v := range versions {
			encoded := EncodeKey([]byte(k))
			put(storage.CFWrite, VersionKey(encoded, v.commitTS), v.Append(nil))
			if v.Type == WritePut && v.ShortValue == nil {
				put(storage.CFDefault, VersionKey(encoded, v.StartTS), []byte(v.value))
			}
		}
	}
	for k, l := range h.locks {
		put(storage.CFLock, EncodeKey([]byte(k)), l.Append(nil))
	}
	return mods
}

// read is the definition of what a reader sees at a key.
func (h *history) read(key string, o ReadOptions) (val string, ok bool, blocked error) {
	if l, locked := h.locks[key]; locked {
		accessed, err := o.check(&l, []byte(key))
		if err != nil {
			return "", false, err
		}
		if accessed && l.Type == LockPut {
			return "locked", true, nil
		}
		if accessed {
			return "", false, nil
		}
	}
	for _, v := range h.versions[key] {
		if v.commitTS > o.TS {
			if err := o.newer(&v.Write, v.commitTS, []byte(key)); err != nil && o.checksNewer() {
				return "", false, err
			}
			continue
		}
		if v.ChangesData() {
			return v.value, v.Type == WritePut, nil
		}
	}
	return "", false, nil
}

// expect lists what a scan of [start, end) sees.
func (h *history) expect(start, end string, o ReadOptions) (rows []string) {
	keys := slices.Clone(h.keys)
	if o.Desc {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if k < start || (end != "" && k >= end) {
			continue
		}
		val, ok, blocked := h.read(k, o)
		switch {
		case blocked != nil:
			rows = append(rows, k+" blocked")
		case ok && o.KeyOnly:
			rows = append(rows, k+"=")
		case ok:
			rows = append(rows, k+"="+val)
		}
	}
	return rows
}

func drawOptions(t *rapid.T) ReadOptions {
	some := rapid.SliceOfN(rapid.Uint64Range(1, 60), 0, 20)
	return ReadOptions{
		TS:        rapid.OneOf(rapid.Uint64Range(0, 80), rapid.Just(uint64(TSMax))).Draw(t, "ts"),
		Isolation: rapid.SampledFrom([]kvrpcpb.IsolationLevel{kvrpcpb.IsolationLevel_SI, kvrpcpb.IsolationLevel_SI, kvrpcpb.IsolationLevel_RC, kvrpcpb.IsolationLevel_RCCheckTS}).Draw(t, "isolation"),
		Desc:      rapid.Bool().Draw(t, "desc"), KeyOnly: rapid.Bool().Draw(t, "key only"),
		BypassLocks: some.Draw(t, "bypass"), AccessLocks: some.Draw(t, "access"),
	}
}

// TestReadsMatchDefinition compares scans in both directions, and point reads, with the definition.
func TestReadsMatchDefinition(t *testing.T) {
	store := storagetest.New(t)
	at := storage.Region{ID: storagetest.RegionID}
	rapid.Check(t, func(t *rapid.T) {
		h, o := drawHistory(t), drawOptions(t)
		require.NoError(t, store.Write(context.Background(), at, h.mods()))
		snap, err := store.Snapshot(context.Background(), at)
		require.NoError(t, err)
		defer func() { require.NoError(t, snap.Close()) }()

		start, end := rapid.StringMatching(`[ab]{0,2}`).Draw(t, "from"), rapid.StringMatching(`|[b-c]{1,2}`).Draw(t, "to")
		rows, metNewer := scanAll(t, snap, start, end, o)
		require.Equal(t, h.expect(start, end, o), rows)
		require.Equal(t, h.hasNewer(start, end, o), metNewer)
		require.Equal(t, rows, scanBatches(t, snap, start, end, o, rapid.IntRange(1, 5).Draw(t, "batch")))
		checkRanges(t, snap, &h, o)

		p := NewPointReader(snap, o)
		for _, k := range append(slices.Clone(h.keys), "absent") {
			val, _, err := p.Get([]byte(k))
			want, ok, blocked := h.read(k, o)
			require.Equal(t, blocked, err)
			require.Equal(t, ok, val != nil)
			require.Equal(t, want, string(val))
		}
		require.NoError(t, p.Close())
		checkReader(t, snap, &h)
	})
}

// checkRanges compares one scanner that is turned to range after range with the definition.
func checkRanges(t *rapid.T, snap storage.Snapshot, h *history, o ReadOptions) {
	o.Desc = false
	bounds := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c]{1,2}|[a-c]{8}`), 2, 8, rapid.ID).Draw(t, "bounds")
	slices.Sort(bounds)
	s, err := NewSpanScanner(snap, []byte(bounds[0]), []byte(bounds[1]), []byte(bounds[len(bounds)-1]), o)
	require.NoError(t, err)
	for i := 1; ; {
		require.Equal(t, h.expect(bounds[i-1], bounds[i], o), drainScanner(t, s, o))
		i += rapid.IntRange(1, 2).Draw(t, "step") // ranges side by side, or with a gap between them
		if i >= len(bounds) {
			break
		}
		require.NoError(t, s.NextRange([]byte(bounds[i-1]), []byte(bounds[i])))
	}
	require.NoError(t, s.Close())
}

// hasNewer tells whether a version above the timestamp, or a lock that is looked at, is in the range.
func (h *history) hasNewer(start, end string, o ReadOptions) bool {
	return slices.ContainsFunc(h.keys, func(k string) bool {
		_, locked := h.locks[k]
		newer := slices.ContainsFunc(h.versions[k], func(v histVersion) bool { return v.commitTS > o.TS })
		return k >= start && (end == "" || k < end) && (newer || locked && o.Isolation != kvrpcpb.IsolationLevel_RC)
	})
}

func scanAll(t require.TestingT, snap storage.Snapshot, start, end string, o ReadOptions) (rows []string, metNewer bool) {
	s, err := NewScanner(snap, []byte(start), []byte(end), o)
	require.NoError(t, err)
	rows = drainScanner(t, s, o)
	metNewer = s.Stats().MetNewer
	require.NoError(t, s.Close())
	return rows, metNewer
}

func drainScanner(t require.TestingT, s *Scanner, o ReadOptions) (rows []string) {
	for {
		key, val, ok, err := s.Next()
		switch {
		case err != nil:
			rows = append(rows, blockedRow(t, err))
		case !ok:
			return rows
		default:
			require.Equal(t, o.KeyOnly, val == nil)
			rows = append(rows, string(key)+"="+string(val))
		}
	}
}

func blockedRow(t require.TestingT, err error) string {
	var locked *LockedError
	var conflict *ConflictError
	if errors.As(err, &locked) {
		return string(locked.Info.Key) + " blocked"
	}
	require.ErrorAs(t, err, &conflict)
	return string(conflict.Pb.Key) + " blocked"
}

// scanBatches is scanAll by batches of size pairs. What it counts must be what a scan pair by pair does.
func scanBatches(t require.TestingT, snap storage.Snapshot, start, end string, o ReadOptions, size int) (rows []string) {
	s, err := NewScanner(snap, []byte(start), []byte(end), o)
	require.NoError(t, err)
	var b kvbatch.Pairs
	for more := true; more; {
		b.Reset()
		more, err = s.NextBatch(&b, size)
		for i := range b.Len() {
			rows = append(rows, string(b.Keys.At(i))+"="+string(b.Values.At(i)))
		}
		if err != nil {
			rows, more = append(rows, blockedRow(t, err)), true
			continue
		}
		require.True(t, !more || b.Len() == size)
	}
	require.NoError(t, s.Close())
	return rows
}

// checkReader asks a reader of either kind, whose answers must not depend on what was asked before.
func checkReader(t *rapid.T, snap storage.Snapshot, h *history) {
	r := NewReader(snap)
	if rapid.Bool().Draw(t, "sorted reader") {
		r = NewSortedReader(snap, EncodeKey(nil), EncodeKey([]byte("zz")))
	}
	defer func() { require.NoError(t, r.Close()) }()
	for range rapid.IntRange(0, 15).Draw(t, "questions") {
		k := rapid.SampledFrom(append(slices.Clone(h.keys), "absent", "aab")).Draw(t, "key")
		encoded, versions := EncodeKey([]byte(k)), h.versions[k]
		ts := rapid.Uint64Range(0, 80).Draw(t, "ts")
		switch rapid.IntRange(0, 2).Draw(t, "question") {
		case 0:
			lock, err := r.Lock(encoded)
			require.NoError(t, err)
			want, ok := h.locks[k]
			require.Equal(t, ok, lock != nil)
			if ok {
				require.Equal(t, want.StartTS, lock.StartTS)
			}
		case 1:
			i := slices.IndexFunc(versions, func(v histVersion) bool { return v.commitTS <= ts })
			v, ok, err := r.Newest(encoded, ts)
			require.NoError(t, err)
			for ; i >= 0 && i < len(versions); i++ {
				require.True(t, ok)
				require.Equal(t, versions[i].commitTS, v.CommitTS)
				require.Equal(t, versions[i].Type, v.Type)
				if rapid.Bool().Draw(t, "enough") {
					return
				}
				v, ok, err = r.Older(encoded)
				require.NoError(t, err)
			}
			require.False(t, ok)
		default:
			o, err := r.Outcome(encoded, ts)
			require.NoError(t, err)
			require.Equal(t, wantFate(versions, ts), o.Fate)
		}
	}
}

func wantFate(versions []histVersion, startTS uint64) Fate {
	for _, v := range versions {
		switch {
		case v.StartTS == startTS && v.Type == WriteRollback:
			return FateRolledBack
		case v.StartTS == startTS:
			return FateCommitted
		}
	}
	for _, v := range versions {
		if v.commitTS == startTS && v.Overlapped {
			return FateRolledBack
		}
	}
	return FateUnknown
}

func TestScanStatsTellOfNewerVersions(t *testing.T) {
	store := storagetest.New(t)
	at := storage.Region{ID: storagetest.RegionID}
	h := history{versions: map[string][]histVersion{"a": {{Write: Write{Type: WritePut, StartTS: 9, ShortValue: []byte{}}, commitTS: 10}}}}
	stats := func(ts uint64) ScanStats {
		require.NoError(t, store.Write(context.Background(), at, h.mods()))
		snap, err := store.Snapshot(context.Background(), at)
		require.NoError(t, err)
		s, err := NewScanner(snap, nil, nil, ReadOptions{TS: ts})
		require.NoError(t, err)
		for ok := true; ok; {
			_, _, ok, err = s.Next()
			require.NoError(t, err)
		}
		require.NoError(t, errors.Join(s.Close(), snap.Close()))
		return s.Stats()
	}
	require.Equal(t, ScanStats{ProcessedKeys: 1, TotalKeys: 1}, stats(10))
	require.Equal(t, ScanStats{TotalKeys: 1, MetNewer: true}, stats(9))
	h.locks = map[string]Lock{"b": {Type: LockLock, StartTS: 20}}
	require.True(t, stats(10).MetNewer)
}

// Damaged records are errors that end the scan, whatever they are.
func TestCorruptionIsReported(t *testing.T) {
	at := storage.Region{ID: storagetest.RegionID}
	key := EncodeKey([]byte("k"))
	for _, m := range []storage.Modify{
		{CF: storage.CFWrite, Key: []byte("short"), Value: []byte("P\x01v\x00")},
		{CF: storage.CFWrite, Key: bytes.Repeat([]byte{0xFF}, 30), Value: []byte("P\x01v\x00")},
		{CF: storage.CFWrite, Key: VersionKey(key, 5), Value: []byte("?")},
		{CF: storage.CFWrite, Key: VersionKey(key, 5), Value: []byte("P\x01")}, // long value is missing
		{CF: storage.CFLock, Key: key, Value: []byte("P")},
		{CF: storage.CFLock, Key: []byte("k"), Value: []byte("P\x00\x01\x01")},
	} {
		store := storagetest.New(t)
		require.NoError(t, store.Write(context.Background(), at, []storage.Modify{m}))
		snap, err := store.Snapshot(context.Background(), at)
		require.NoError(t, err)
		for _, desc := range []bool{false, true} {
			s, err := NewScanner(snap, nil, nil, ReadOptions{TS: 10, Desc: desc})
			require.NoError(t, err)
			for range 2 {
				_, _, ok, err := s.Next()
				require.False(t, ok)
				require.Error(t, err, "%q", m)
			}
			require.NoError(t, s.Close())
		}
		require.NoError(t, snap.Close())
	}
}
