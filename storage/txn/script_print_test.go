package txn

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// dump prints all records.
func (s *script) dump() string {
	var out strings.Builder
	each := func(cf storage.CF, print func(key string, ts uint64, val []byte)) {
		it, err := s.store.Engine.NewIterator(storage.IterOptions{CF: cf})
		require.NoError(s.t, err)
		for ok := it.First(); ok; ok = it.Next() {
			encoded, ts := it.Key(), uint64(0)
			if cf != storage.CFLock {
				encoded, ts, err = mvcc.SplitVersion(encoded)
				require.NoError(s.t, err)
			}
			key, err := mvcc.DecodeKey(nil, encoded)
			require.NoError(s.t, err)
			print(string(key), ts, it.Value())
		}
		require.NoError(s.t, it.Close())
	}
	each(storage.CFLock, func(key string, _ uint64, val []byte) {
		l, err := mvcc.ParseLock(val)
		require.NoError(s.t, err)
		printLock(&out, "lock ", key, &l)
	})
	inMemory, _ := s.m.memory.between(storagetest.RegionID, nil, nil)
	for _, l := range inMemory {
		key, err := mvcc.DecodeKey(nil, l.key)
		require.NoError(s.t, err)
		printLock(&out, "memory", string(key), l.lock)
	}
	each(storage.CFWrite, func(key string, ts uint64, val []byte) {
		w, err := mvcc.ParseWrite(val)
		require.NoError(s.t, err)
		fmt.Fprintf(&out, "write %s @%s %c start=%s", key, stamp(ts), w.Type, stamp(w.StartTS))
		if w.Overlapped {
			out.WriteString(" overlapped")
		}
		fmt.Fprintf(&out, " %s\n", short(w.ShortValue))
	})
	each(storage.CFDefault, func(key string, ts uint64, val []byte) {
		fmt.Fprintf(&out, "value %s @%s %s\n", key, stamp(ts), short(val))
	})
	return out.String()
}

func printLock(out *strings.Builder, where, key string, l *mvcc.Lock) {
	fmt.Fprintf(out, "%s %s %c start=%s primary=%s ttl=%d", where, key, l.Type, stamp(l.StartTS), l.Primary, l.TTL)
	optional(out, "min_commit", l.MinCommitTS)
	optional(out, "for_update", l.ForUpdateTS)
	if l.LockedWithConflict {
		out.WriteString(" forced")
	}
	if l.Generation > 0 {
		fmt.Fprintf(out, " generation=%d", l.Generation)
	}
	if l.AsyncCommit {
		fmt.Fprintf(out, " async%q", l.Secondaries)
	}
	if len(l.RollbackTS) > 0 {
		fmt.Fprintf(out, " rollbacks=%d", l.RollbackTS)
	}
	fmt.Fprintf(out, " %s\n", short(l.ShortValue))
}

func optional(out *strings.Builder, name string, ts uint64) {
	if ts > 0 {
		fmt.Fprintf(out, " %s=%s", name, stamp(ts))
	}
}

func keyErrorText(e *kvrpcpb.KeyError) string {
	switch {
	case e.Locked != nil:
		return "locked" + locks([]*kvrpcpb.LockInfo{e.Locked})
	case e.Conflict != nil:
		c := e.Conflict
		return fmt.Sprintf("conflict %s key=%s start=%s with start=%s commit=%s", c.Reason, c.Key, stamp(c.StartTs), stamp(c.ConflictTs), stamp(c.ConflictCommitTs))
	case e.AlreadyExist != nil:
		return fmt.Sprintf("already exists %s", e.AlreadyExist.Key)
	case e.CommitTsExpired != nil:
		return fmt.Sprintf("commit_ts expired key=%s min_commit=%s", e.CommitTsExpired.Key, stamp(e.CommitTsExpired.MinCommitTs))
	case e.TxnNotFound != nil:
		return fmt.Sprintf("txn %s not found on %s", stamp(e.TxnNotFound.StartTs), e.TxnNotFound.PrimaryKey)
	case e.TxnLockNotFound != nil:
		return fmt.Sprintf("lock not found on %s", e.TxnLockNotFound.Key)
	case e.AssertionFailed != nil:
		f := e.AssertionFailed
		return fmt.Sprintf("assertion %s failed key=%s existing=%s..%s", f.Assertion, f.Key, stamp(f.ExistingStartTs), stamp(f.ExistingCommitTs))
	case e.PrimaryMismatch != nil:
		return "primary mismatch" + locks([]*kvrpcpb.LockInfo{e.PrimaryMismatch.LockInfo})
	case e.Deadlock != nil:
		return fmt.Sprintf("deadlock lock_ts=%s key=%s", stamp(e.Deadlock.LockTs), e.Deadlock.LockKey)
	default:
		return "abort: " + e.Abort
	}
}

func locks(infos []*kvrpcpb.LockInfo) string {
	var out strings.Builder
	for _, l := range infos {
		fmt.Fprintf(&out, "\n  %s %s start=%s primary=%s ttl=%d", l.Key, l.LockType, stamp(l.LockVersion), l.PrimaryLock, l.LockTtl)
		optional(&out, "min_commit", l.MinCommitTs)
		if l.UseAsyncCommit {
			fmt.Fprintf(&out, " async%q", l.Secondaries)
		}
	}
	return out.String()
}

func pairs(ps []*kvrpcpb.KvPair) string {
	var out strings.Builder
	for _, p := range ps {
		if p.Error != nil {
			fmt.Fprintf(&out, "\n  %s: %s", p.Key, strings.ReplaceAll(keyErrorText(p.Error), "\n", ""))
			continue
		}
		fmt.Fprintf(&out, "\n  %s=%s", p.Key, short(p.Value))
	}
	return out.String()
}

func short(val []byte) string {
	switch {
	case val == nil:
		return "-"
	case len(val) > 20:
		return fmt.Sprintf("%s...(%d)", val[:6], len(val))
	default:
		return strconv.Quote(string(val))
	}
}

// stamp prints timestamps as they are written in scripts.
func stamp(ts uint64) string {
	switch {
	case ts == math.MaxUint64:
		return "max"
	case ts >= 1000<<18:
		return fmt.Sprintf("%ds+%d", ts>>18/1000, ts-ts>>18/1000*1000<<18)
	default:
		return strconv.FormatUint(ts, 10)
	}
}
