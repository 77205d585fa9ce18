package mvcc

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
)

// Every error has its variant in the protocol, wherever it is in a tree of errors. Two carry a text as well, where clients look
// that do not know the variant yet; what has no variant is text alone.
func TestKeyErrors(t *testing.T) {
	info := &kvrpcpb.LockInfo{Key: []byte("k"), LockVersion: 5}
	cases := []struct {
		err  error
		want kvrpcpb.KeyError
	}{
		{&LockedError{info}, kvrpcpb.KeyError{Locked: info}},
		{&ConflictError{&kvrpcpb.WriteConflict{StartTs: 5, Primary: []byte("p")}},
			kvrpcpb.KeyError{Conflict: &kvrpcpb.WriteConflict{StartTs: 5, Primary: []byte("p")}, Retryable: "text"}},
		{&ExistsError{[]byte("k")}, kvrpcpb.KeyError{AlreadyExist: &kvrpcpb.AlreadyExist{Key: []byte("k")}}},
		{&DeadlockError{&kvrpcpb.Deadlock{LockTs: 5}}, kvrpcpb.KeyError{Deadlock: &kvrpcpb.Deadlock{LockTs: 5}}},
		{&CommitTSExpiredError{&kvrpcpb.CommitTsExpired{StartTs: 5}}, kvrpcpb.KeyError{CommitTsExpired: &kvrpcpb.CommitTsExpired{StartTs: 5}}},
		{&TxnNotFoundError{5, []byte("p")}, kvrpcpb.KeyError{TxnNotFound: &kvrpcpb.TxnNotFound{StartTs: 5, PrimaryKey: []byte("p")}}},
		{&AssertionError{&kvrpcpb.AssertionFailed{StartTs: 5}}, kvrpcpb.KeyError{AssertionFailed: &kvrpcpb.AssertionFailed{StartTs: 5}}},
		{&PrimaryMismatchError{info}, kvrpcpb.KeyError{PrimaryMismatch: &kvrpcpb.PrimaryMismatch{LockInfo: info}}},
		{&LockNotFoundError{5, []byte("k")}, kvrpcpb.KeyError{TxnLockNotFound: &kvrpcpb.TxnLockNotFound{Key: []byte("k")}, Retryable: "text"}},
		{&CollectedError{5, 6}, kvrpcpb.KeyError{Abort: "text"}},
		{&AbortError{"reason"}, kvrpcpb.KeyError{Abort: "text"}},
	}
	for _, c := range cases {
		for _, err := range []error{c.err, fmt.Errorf("context: %w", c.err), errors.Join(errors.New("other"), c.err)} {
			pb, ok := KeyError(err)
			require.True(t, ok, "%T", c.err)
			got := *pb
			for _, text := range []*string{&got.Retryable, &got.Abort} {
				if *text == c.err.Error() {
					*text = "text"
				}
			}
			require.Equal(t, c.want, got, "%T", c.err)
		}
	}
	for _, err := range []error{nil, errors.New("other"), ErrCorrupt} {
		_, ok := KeyError(err)
		require.False(t, ok)
	}
}
