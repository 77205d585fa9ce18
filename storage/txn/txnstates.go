package txn

import (
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// txnStates is what clients have told of their large transactions (BroadcastTxnStatus): readers that meet one of a million
// locks need not ask for its primary key. It is a help and not a record: it forgets, and a store that was started anew
// knows nothing.
//
// A client tells of a minimal commit timestamp once its primary lock has it, of a commit once that is done, and of a
// rollback once it will not commit: what is known here never contradicts the primary key.
type txnStates struct {
	mu     sync.RWMutex
	states map[uint64]mvcc.TxnState // by start_ts
	order  []uint64                 // their start_ts, as they came; those that completed are still in it
}

// txnStatesMax bounds the transactions that are known. The oldest make room.
const txnStatesMax = 1 << 14

func newTxnStates() txnStates { return txnStates{states: make(map[uint64]mvcc.TxnState)} }

// Known returns what is known of a transaction; see mvcc.ReadOptions.
func (t *txnStates) Known(startTS uint64) (s mvcc.TxnState, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s, ok = t.states[startTS]
	return s, ok
}

// Learn takes in what a client tells. A transaction without locks left is forgotten.
func (t *txnStates) Learn(told []*kvrpcpb.TxnStatus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range told {
		if s.IsCompleted {
			delete(t.states, s.StartTs)
			continue
		}
		t.learn(s)
	}
}

// learn never takes back what was known: messages may overtake each other.
func (t *txnStates) learn(told *kvrpcpb.TxnStatus) {
	s, known := t.states[told.StartTs]
	switch {
	case s.RolledBack || s.CommitTS > 0:
		return
	case told.RolledBack:
		s.RolledBack = true
	case told.CommitTs > 0:
		if told.CommitTs <= told.StartTs || told.CommitTs < s.MinCommitTS {
			return // no client that keeps to the protocol says so
		}
		s.CommitTS = told.CommitTs
	default:
		s.MinCommitTS = max(s.MinCommitTS, told.MinCommitTs)
	}
	if !known {
		t.makeRoom()
		t.order = append(t.order, told.StartTs)
	}
	t.states[told.StartTs] = s
}

func (t *txnStates) makeRoom() {
	for len(t.order) >= txnStatesMax {
		delete(t.states, t.order[0])
		t.order = t.order[1:]
	}
}
