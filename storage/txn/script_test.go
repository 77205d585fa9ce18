package txn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

// script runs the commands of a testdata file against a manager. Timestamps written as "5s" have that physical part, "max"
// is the latest. Values written as "long:x" are 300 bytes.
type script struct {
	t     *testing.T
	store *storagetest.Store
	m     *Manager
}

// TestScripts tells histories: what each command answers, and with "dump" what it leaves behind.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{t: t}
		s.reset(false)
		datadriven.RunTest(t, path, s.run)
	})
}

func newManager(t testing.TB) (*storagetest.Store, *Manager) {
	store := storagetest.New(t)
	return store, newManagerOn(store)
}

func newManagerOn(store storage.Store) *Manager {
	conc := NewConcurrency()
	conc.SetSynced(storagetest.RegionID, storagetest.Term, 0)
	return NewManager(store, conc, ManagerOptions{})
}

// reset begins anew. Pessimistic locks are stored, to be seen in dumps, unless the script is about memory.
func (s *script) reset(memory bool) {
	s.store, s.m = newManager(s.t)
	if !memory {
		s.m.memory.bytesMax = 0
	}
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	ctx := context.Background()
	a := args{t, d}
	pb := storagetest.Context()
	pb.ResolvedLocks, pb.CommittedLocks = a.timestamps("resolved"), a.timestamps("committed")
	pb.ReplicaRead = d.HasArg("replica")
	pb.IsolationLevel = kvrpcpb.IsolationLevel(kvrpcpb.IsolationLevel_value[a.str("isolation")])
	switch d.Cmd {
	case "reset":
		s.reset(d.HasArg("memory"))
		return ""
	case "max-ts":
		return fmt.Sprintln(s.m.conc.MaxTS())
	case "dump":
		return s.dump()
	case "prewrite":
		return s.prewrite(ctx, pb, a)
	case "commit":
		r, err := s.m.Commit(ctx, &kvrpcpb.CommitRequest{Context: pb, StartVersion: a.ts("start"), CommitVersion: a.ts("commit"), Keys: a.keys()})
		return s.answer(err, r.GetError(), "committed at %s", stamp(r.GetCommitVersion()))
	case "rollback":
		r, err := s.m.BatchRollback(ctx, &kvrpcpb.BatchRollbackRequest{Context: pb, StartVersion: a.ts("start"), Keys: a.keys()})
		return s.answer(err, r.GetError(), "rolled back")
	case "cleanup":
		r, err := s.m.Cleanup(ctx, &kvrpcpb.CleanupRequest{Context: pb, StartVersion: a.ts("start"), CurrentTs: a.ts("current"), Key: []byte(a.str("key"))})
		return s.answer(err, r.GetError(), "commit_version=%s", stamp(r.GetCommitVersion()))
	case "heartbeat":
		r, err := s.m.TxnHeartBeat(ctx, &kvrpcpb.TxnHeartBeatRequest{Context: pb, StartVersion: a.ts("start"), PrimaryLock: []byte(a.str("key")), AdviseLockTtl: a.ts("ttl"), MinCommitTs: a.ts("min-commit")})
		return s.answer(err, r.GetError(), "ttl=%d", r.GetLockTtl())
	case "check-txn":
		return s.checkTxn(ctx, pb, a)
	case "check-secondaries":
		r, err := s.m.CheckSecondaryLocks(ctx, &kvrpcpb.CheckSecondaryLocksRequest{Context: pb, StartVersion: a.ts("start"), Keys: a.keys()})
		return s.answer(err, r.GetError(), "commit_ts=%s%s", stamp(r.GetCommitTs()), locks(r.GetLocks()))
	case "resolve":
		req := &kvrpcpb.ResolveLockRequest{Context: pb, StartVersion: a.ts("start"), CommitVersion: a.ts("commit"), Keys: a.keys()}
		for _, t := range a.list("txns") {
			start, commit, _ := strings.Cut(t, ":")
			req.TxnInfos = append(req.TxnInfos, &kvrpcpb.TxnInfo{Txn: a.parse(start), Status: a.parse(commit)})
		}
		r, err := s.m.ResolveLock(ctx, req)
		return s.answer(err, r.GetError(), "resolved")
	case "scan-lock":
		r, err := s.m.ScanLock(ctx, &kvrpcpb.ScanLockRequest{Context: pb, MaxVersion: a.ts("max"), Limit: uint32(a.ts("limit")), StartKey: []byte(a.str("from")), EndKey: []byte(a.str("to"))})
		return s.answer(err, r.GetError(), "%d locks%s", len(r.GetLocks()), locks(r.GetLocks()))
	case "get":
		r, err := s.m.Get(ctx, &kvrpcpb.GetRequest{Context: pb, Key: []byte(a.str("key")), Version: a.ts("ts"), NeedCommitTs: true})
		if r.GetNotFound() {
			return "not found\n"
		}
		return s.answer(err, r.GetError(), "%s @%s", short(r.GetValue()), stamp(r.GetCommitTs()))
	case "batch-get":
		r, err := s.m.BatchGet(ctx, &kvrpcpb.BatchGetRequest{Context: pb, Keys: a.keys(), Version: a.ts("ts")})
		return s.answer(err, r.GetError(), "%d pairs%s", len(r.GetPairs()), pairs(r.GetPairs()))
	case "scan":
		r, err := s.m.Scan(ctx, &kvrpcpb.ScanRequest{Context: pb, StartKey: []byte(a.str("from")), EndKey: []byte(a.str("to")),
			Version: a.ts("ts"), Limit: uint32(max(a.ts("limit"), 100*b2u(!d.HasArg("limit")))), Reverse: d.HasArg("reverse"),
			KeyOnly: d.HasArg("key-only"), SampleStep: uint32(a.ts("step"))})
		return s.answer(err, r.GetError(), "%d pairs%s", len(r.GetPairs()), pairs(r.GetPairs()))
	case "gc":
		stats, err := s.m.GC(ctx, pb, GCOptions{SafePoint: a.ts("safe-point")})
		return s.answer(err, nil, "keys=%d versions=%d next=%s", stats.Keys, stats.Versions, stamp(stats.NextTS))
	case "raise-safe-point":
		s.m.conc.RaiseSafePoint(a.ts("to"))
		return ""
	case "pessimistic-lock":
		return s.pessimisticLock(ctx, pb, a)
	case "pessimistic-rollback":
		r, err := s.m.PessimisticRollback(ctx, &kvrpcpb.PessimisticRollbackRequest{Context: pb, StartVersion: a.ts("start"), ForUpdateTs: a.ts("for-update"), Keys: a.keys()})
		require.Empty(t, r.GetErrors())
		return s.answer(err, nil, "unlocked")
	case "flush":
		return s.flush(ctx, pb, a)
	case "buffer-get":
		r, err := s.m.BufferBatchGet(ctx, &kvrpcpb.BufferBatchGetRequest{Context: pb, Keys: a.keys(), Version: a.ts("start")})
		return s.answer(err, r.GetError(), "%d pairs%s", len(r.GetPairs()), pairs(r.GetPairs()))
	case "tell":
		s.m.Learn([]*kvrpcpb.TxnStatus{{StartTs: a.ts("start"), MinCommitTs: a.ts("min-commit"), CommitTs: a.ts("commit"),
			RolledBack: d.HasArg("rolled-back"), IsCompleted: d.HasArg("completed")}})
		return ""
	case "delete-range":
		r, err := s.m.DeleteRange(ctx, &kvrpcpb.DeleteRangeRequest{Context: pb, StartKey: []byte(a.str("from")), EndKey: []byte(a.str("to"))})
		require.Empty(t, r.GetError())
		return s.answer(err, nil, "deleted")
	case "prepare-flashback":
		r, err := s.m.PrepareFlashbackToVersion(ctx, &kvrpcpb.PrepareFlashbackToVersionRequest{Context: pb, Version: a.ts("version"),
			StartTs: a.ts("start"), StartKey: []byte(a.str("from")), EndKey: []byte(a.str("to"))})
		return s.answer(errors.Join(err, texted(r.GetError())), nil, "prepared")
	case "flashback":
		r, err := s.m.FlashbackToVersion(ctx, &kvrpcpb.FlashbackToVersionRequest{Context: pb, Version: a.ts("version"),
			StartTs: a.ts("start"), CommitTs: a.ts("commit"), StartKey: []byte(a.str("from")), EndKey: []byte(a.str("to"))})
		return s.answer(errors.Join(err, texted(r.GetError())), nil, "done")
	case "mvcc":
		if d.HasArg("start") {
			r, err := s.m.MvccGetByStartTs(ctx, &kvrpcpb.MvccGetByStartTsRequest{Context: pb, StartTs: a.ts("start")})
			return s.answer(err, nil, "key=%s %v", r.GetKey(), r.GetInfo())
		}
		r, err := s.m.MvccGetByKey(ctx, &kvrpcpb.MvccGetByKeyRequest{Context: pb, Key: []byte(a.str("key"))})
		return s.answer(err, nil, "%v", r.GetInfo())
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return ""
}

// prewrite reads one mutation a line: put KEY VALUE, insert KEY VALUE, del KEY, lock KEY, check-not-exists KEY, each
// with an optional exist, not-exist, held or constraint behind it, and want=TS at the end: the for_update_ts of its lock.
func (s *script) prewrite(ctx context.Context, pb *kvrpcpb.Context, a args) string {
	req := &kvrpcpb.PrewriteRequest{
		Context: pb, StartVersion: a.ts("start"), PrimaryLock: []byte(a.str("primary")), LockTtl: max(a.ts("ttl"), 3000*b2u(!a.d.HasArg("ttl"))),
		UseAsyncCommit: a.d.HasArg("async"), TryOnePc: a.d.HasArg("1pc"), MaxCommitTs: a.ts("max-commit"),
		MinCommitTs: a.ts("min-commit"), ForUpdateTs: a.ts("for-update"), AssertionLevel: kvrpcpb.AssertionLevel_Strict,
		SkipConstraintCheck: a.d.HasArg("skip-check"),
	}
	if a.d.HasArg("level") {
		req.AssertionLevel = kvrpcpb.AssertionLevel(kvrpcpb.AssertionLevel_value[a.str("level")])
	}
	for _, k := range strings.FieldsFunc(a.str("secondaries"), func(r rune) bool { return r == '/' }) {
		req.Secondaries = append(req.Secondaries, []byte(k))
	}
	for _, line := range strings.Split(strings.TrimSpace(a.d.Input), "\n") {
		line, want, constrained := strings.Cut(line, " want=")
		if constrained {
			req.ForUpdateTsConstraints = append(req.ForUpdateTsConstraints, &kvrpcpb.PrewriteRequest_ForUpdateTSConstraint{
				Index: uint32(len(req.Mutations)), ExpectedForUpdateTs: a.parse(want),
			})
		}
		mu, action := a.mutation(strings.Fields(line))
		req.Mutations = append(req.Mutations, mu)
		if req.ForUpdateTs > 0 {
			req.PessimisticActions = append(req.PessimisticActions, action)
		}
	}
	r, err := s.m.Prewrite(ctx, req)
	if err != nil {
		return s.answer(err, nil, "")
	}
	if len(r.Errors) > 0 {
		var out strings.Builder
		for _, e := range r.Errors {
			out.WriteString(keyErrorText(e) + "\n")
		}
		return out.String()
	}
	return s.answer(nil, nil, "ok min_commit_ts=%s 1pc=%s", stamp(r.MinCommitTs), stamp(r.OnePcCommitTs))
}

// flush reads mutations as prewrite does.
func (s *script) flush(ctx context.Context, pb *kvrpcpb.Context, a args) string {
	req := &kvrpcpb.FlushRequest{
		Context: pb, StartTs: a.ts("start"), PrimaryKey: []byte(a.str("primary")), Generation: a.ts("generation"),
		MinCommitTs: a.ts("start") + 1, LockTtl: max(a.ts("ttl"), 3000), AssertionLevel: kvrpcpb.AssertionLevel_Strict,
	}
	for _, line := range strings.Split(strings.TrimSpace(a.d.Input), "\n") {
		mu, _ := a.mutation(strings.Fields(line))
		req.Mutations = append(req.Mutations, mu)
	}
	r, err := s.m.Flush(ctx, req)
	var out strings.Builder
	for _, e := range r.GetErrors() {
		out.WriteString(keyErrorText(e) + "\n")
	}
	if out.Len() > 0 {
		return out.String()
	}
	return s.answer(err, nil, "ok")
}

// pessimisticLock does not wait.
func (s *script) pessimisticLock(ctx context.Context, pb *kvrpcpb.Context, a args) string {
	req := &kvrpcpb.PessimisticLockRequest{
		Context: pb, StartVersion: a.ts("start"), ForUpdateTs: a.ts("for-update"), PrimaryLock: []byte(a.str("primary")),
		LockTtl: 3000, WaitTimeout: -1, ReturnValues: a.d.HasArg("values"), CheckExistence: a.d.HasArg("existence"),
		LockOnlyIfExists: a.d.HasArg("if-exists"),
	}
	if a.d.HasArg("force") {
		req.WakeUpMode = kvrpcpb.PessimisticLockWakeUpMode_WakeUpModeForceLock
	}
	for _, k := range a.keys() {
		mu := &kvrpcpb.Mutation{Op: kvrpcpb.Op_PessimisticLock, Key: k}
		if a.d.HasArg("not-exist") {
			mu.Assertion = kvrpcpb.Assertion_NotExist
		}
		req.Mutations = append(req.Mutations, mu)
	}
	r, err := s.m.PessimisticLock(ctx, req)
	if len(r.GetErrors()) > 0 {
		return s.answer(err, r.Errors[0], "")
	}
	text := "locked"
	for _, v := range r.GetValues() {
		text += " " + short(v)
	}
	if r.GetNotFounds() != nil {
		text += fmt.Sprintf(" not_found=%v", r.NotFounds)
	}
	for _, x := range r.GetResults() {
		text += fmt.Sprintf(" %s %s exists=%v conflict=%s", x.Type, short(x.Value), x.Existence, stamp(x.LockedWithConflictTs))
	}
	return s.answer(err, nil, "%s", text)
}

func (s *script) checkTxn(ctx context.Context, pb *kvrpcpb.Context, a args) string {
	r, err := s.m.CheckTxnStatus(ctx, &kvrpcpb.CheckTxnStatusRequest{
		Context: pb, PrimaryKey: []byte(a.str("key")), LockTs: a.ts("start"), CallerStartTs: a.ts("caller"), CurrentTs: a.ts("current"),
		RollbackIfNotExist: a.d.HasArg("rollback"), ForceSyncCommit: a.d.HasArg("force-sync"),
		ResolvingPessimisticLock: a.d.HasArg("resolving-pessimistic"), VerifyIsPrimary: a.d.HasArg("verify"),
	})
	text := fmt.Sprintf("%s ttl=%d commit_version=%s", r.GetAction(), r.GetLockTtl(), stamp(r.GetCommitVersion()))
	if r.GetLockInfo() != nil {
		text += locks([]*kvrpcpb.LockInfo{r.LockInfo})
	}
	return s.answer(err, r.GetError(), "%s", text)
}

// texted is the error of a response that has no more than a text.
func texted(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

func (s *script) answer(err error, failed *kvrpcpb.KeyError, format string, v ...any) string {
	if err != nil {
		return "failed: " + err.Error() + "\n"
	}
	if failed != nil {
		return keyErrorText(failed) + "\n"
	}
	return fmt.Sprintf(format, v...) + "\n"
}
