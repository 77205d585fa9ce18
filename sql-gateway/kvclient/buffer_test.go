package kvclient

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// newTxn is a transaction without a cluster: enough for what stays in memory.
func newTxn() *Txn {
	c := &Client{}
	c.opts.fill()
	return &Txn{c: c, snap: c.Snapshot(1)}
}

// TestBufferAgainstMap runs random writes, savepoints and rollbacks against a map that is copied at each savepoint.
func TestBufferAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		txn, model := newTxn(), map[string]string{}
		type saved struct {
			sp    int
			model map[string]string
		}
		var saves []saved
		key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k, v := key.Draw(t, "k"), rapid.StringMatching("[a-z]{1,9}").Draw(t, "v")
				require.NoError(t, txn.Set([]byte(k), []byte(v)))
				model[k] = v
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "k")
				require.NoError(t, txn.Delete([]byte(k)))
				model[k] = ""
			},
			"save": func(*rapid.T) { saves = append(saves, saved{txn.Savepoint(), clone(model)}) },
			"rollback": func(t *rapid.T) {
				if len(saves) == 0 {
					t.Skip("no savepoint")
				}
				s := saves[len(saves)-1]
				txn.RollbackTo(s.sp)
				model, saves = clone(s.model), saves[:len(saves)-1]
			},
			"": func(t *rapid.T) {
				size := 0
				for _, k := range []string{"a", "b", "c", "d", "e"} {
					want, written := model[k]
					e := txn.buf.get([]byte(k))
					require.Equal(t, written, e != nil)
					require.Equal(t, written, txn.HasWrites(KeyRange{[]byte(k), []byte(k + "\x00")}))
					if written {
						require.Equal(t, want, string(e.val))
					}
					size += len(want)
				}
				require.Equal(t, size, txn.Bytes()-keyBytes(&txn.buf))
			},
		})
	})
}

func clone(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func keyBytes(b *buffer) (n int) {
	for i := range b.entries {
		n += len(b.entries[i].key)
	}
	return n
}

// TestInsertRemembersTheCheck follows a key that must be free through later writes: the store has to be asked in any case.
func TestInsertRemembersTheCheck(t *testing.T) {
	key, val := []byte("k"), []byte("v")
	op := func(steps ...func(*Txn) error) kvrpcpb.Op {
		txn := newTxn()
		for _, s := range steps {
			require.NoError(t, s(txn))
		}
		muts := txn.newCommitter().request([]int32{0}).Mutations
		require.Len(t, muts, 1)
		return muts[0].Op
	}
	insert := func(t *Txn) error { return t.Insert(key, val) }
	set := func(t *Txn) error { return t.Set(key, val) }
	del := func(t *Txn) error { return t.Delete(key) }

	require.Equal(t, kvrpcpb.Op_Insert, op(insert))
	require.Equal(t, kvrpcpb.Op_Insert, op(insert, set))
	require.Equal(t, kvrpcpb.Op_CheckNotExists, op(insert, del))
	require.Equal(t, kvrpcpb.Op_Insert, op(insert, del, insert))
	require.Equal(t, kvrpcpb.Op_Put, op(del, insert), "deleted here: nothing left to check")

	txn := newTxn()
	require.NoError(t, txn.Set(key, val))
	var exists *KeyExistsError
	require.ErrorAs(t, txn.Insert(key, val), &exists)
}

func TestBufferLimit(t *testing.T) {
	txn := newTxn()
	txn.c.opts.TxnBytesMax = 10
	require.NoError(t, txn.Set([]byte("k"), []byte("12345678")))
	var large *TxnTooLargeError
	require.ErrorAs(t, txn.Set([]byte("l"), []byte("1")), &large)
	require.ErrorIs(t, txn.Set([]byte("m"), nil), ErrEmptyValue)
}

// listIterator is a snapshot scan over pairs in memory.
type listIterator struct{ pairs [][2]string }

func (l *listIterator) Close() {}

func (l *listIterator) Next() (key, val []byte, ok bool, err error) {
	if len(l.pairs) == 0 {
		return nil, nil, false, nil
	}
	p := l.pairs[0]
	l.pairs = l.pairs[1:]
	return []byte(p[0]), []byte(p[1]), true, nil
}

// TestMergedAgainstMap lays random writes over random pairs and compares the walk, both ways, with a map's.
func TestMergedAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching("[a-f]{1,2}"), rapid.ID[string])
		under := keys.Draw(t, "under")
		slices.Sort(under)
		var pairs [][2]string
		model := map[string]string{}
		for _, k := range under {
			pairs = append(pairs, [2]string{k, "old"})
			model[k] = "old"
		}
		txn := newTxn()
		for i, k := range keys.Draw(t, "written") {
			if i%3 == 0 {
				require.NoError(t, txn.Delete([]byte(k)))
				delete(model, k)
			} else {
				require.NoError(t, txn.Set([]byte(k), fmt.Appendf(nil, "new%d", i)))
				model[k] = fmt.Sprintf("new%d", i)
			}
		}
		reverse := rapid.Bool().Draw(t, "reverse")
		own := slices.Clone(txn.buf.order())
		if reverse {
			slices.Reverse(pairs)
			slices.Reverse(own)
		}
		it := &merged{b: &txn.buf, own: own, under: &listIterator{pairs}, reverse: reverse}
		got := map[string]string{}
		var last []byte
		for {
			k, v, ok, err := it.Next()
			require.NoError(t, err)
			if !ok {
				break
			}
			if last != nil {
				require.Equal(t, reverse, bytes.Compare(last, k) > 0, "in order")
			}
			last = bytes.Clone(k)
			got[string(k)] = string(v)
		}
		require.Equal(t, model, got)
	})
}

func TestEmptyCommit(t *testing.T) {
	require.NoError(t, newTxn().Commit(context.Background()))
}
