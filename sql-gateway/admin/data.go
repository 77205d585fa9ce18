package admin

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

var errNoKey = errors.New("a key is needed, not a range")

// MVCC tells all that is stored of a key: its lock, its versions, and long values, which are kept apart.
func (a *Admin) MVCC(ctx context.Context, key []byte) (*Table, error) {
	if len(key) == 0 {
		return nil, errNoKey
	}
	var info *kvrpcpb.MvccInfo
	err := a.kv.Do(ctx, key, func(st kvclient.Store, at *kvrpcpb.Context) (*errorpb.Error, error) {
		resp, err := st.MvccGetByKey(ctx, &kvrpcpb.MvccGetByKeyRequest{Context: at, Key: key})
		if err == nil && resp.Error != "" {
			err = errors.New(resp.Error)
		}
		info = resp.GetInfo()
		return resp.GetRegionError(), err
	})
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"record", "type", "start_ts", "commit_ts", "committed", "value", "notes"}}
	if l := info.GetLock(); l != nil {
		t.add("lock", l.Type.String(), l.StartTs, uint64(0), "", FormatKey(l.ShortValue), "primary "+FormatKey(l.Primary))
	}
	for _, w := range info.GetWrites() {
		notes := ""
		if w.HasOverlappedRollback {
			notes = "and a rollback"
		}
		t.add("write", w.Type.String(), w.StartTs, w.CommitTs, FormatTS(w.CommitTs), FormatKey(w.ShortValue), notes)
	}
	for _, v := range info.GetValues() {
		t.add("value", "", v.StartTs, uint64(0), "", FormatKey(v.Value), "")
	}
	return t, nil
}

// Scan lists up to limit keys of r with their values, as they are at ts; 0 is now.
func (a *Admin) Scan(ctx context.Context, r kvclient.KeyRange, ts uint64, limit int) (*Table, error) {
	if ts == 0 {
		var err error
		if ts, err = a.kv.TS(ctx); err != nil {
			return nil, err
		}
	}
	names, err := a.tableNames(ctx)
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"key", "of", "value"}}
	it := a.kv.Snapshot(ts).Scan(ctx, r, false)
	defer it.Close()
	for len(t.Rows) < limit {
		key, val, ok, err := it.Next()
		if err != nil || !ok {
			return t, err
		}
		t.add(FormatKey(key), names.place(key), FormatKey(val))
	}
	return t, nil
}

// Locks lists up to limit locks in r of transactions that began at or below ts; 0 is all.
func (a *Admin) Locks(ctx context.Context, r kvclient.KeyRange, ts uint64, limit int) (*Table, error) {
	if ts == 0 {
		ts = math.MaxUint64
	}
	names, err := a.tableNames(ctx)
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"key", "of", "type", "start_ts", "began", "ttl", "primary", "async_commit"}}
	locks, err := a.kv.Locks(ctx, r, ts, limit)
	for _, l := range locks {
		ttl := time.Duration(min(l.LockTtl, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
		t.add(FormatKey(l.Key), names.place(l.Key), l.LockType.String(), l.LockVersion, FormatTS(l.LockVersion),
			ttl.String(), FormatKey(l.PrimaryLock), l.UseAsyncCommit)
	}
	return t, err
}
