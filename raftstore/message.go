package raftstore

import (
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"go.etcd.io/raft/v3/raftpb"
)

// The wire carries raft messages as eraftpb, which numbers fields and types like raftpb for all that travels. Data is
// shared, not copied.

func toWire(m *raftpb.Message) *eraftpb.Message {
	w := &eraftpb.Message{
		MsgType: eraftpb.MessageType(m.Type), To: m.To, From: m.From, Term: m.Term, LogTerm: m.LogTerm, Index: m.Index,
		Commit: m.Commit, Reject: m.Reject, RejectHint: m.RejectHint, Context: m.Context,
	}
	if len(m.Entries) > 0 {
		entries := make([]eraftpb.Entry, len(m.Entries))
		w.Entries = make([]*eraftpb.Entry, len(m.Entries))
		for i := range m.Entries {
			e := &m.Entries[i]
			entries[i] = eraftpb.Entry{EntryType: eraftpb.EntryType(e.Type), Term: e.Term, Index: e.Index, Data: e.Data}
			w.Entries[i] = &entries[i]
		}
	}
	if m.Snapshot != nil {
		meta := &m.Snapshot.Metadata
		w.Snapshot = &eraftpb.Snapshot{Data: m.Snapshot.Data, Metadata: &eraftpb.SnapshotMetadata{
			Index: meta.Index, Term: meta.Term,
			ConfState: &eraftpb.ConfState{Voters: meta.ConfState.Voters, Learners: meta.ConfState.Learners},
		}}
	}
	return w
}

func fromWire(w *eraftpb.Message) raftpb.Message {
	m := raftpb.Message{
		Type: raftpb.MessageType(w.MsgType), To: w.To, From: w.From, Term: w.Term, LogTerm: w.LogTerm, Index: w.Index,
		Commit: w.Commit, Reject: w.Reject, RejectHint: w.RejectHint, Context: w.Context,
	}
	if len(w.Entries) > 0 {
		m.Entries = make([]raftpb.Entry, len(w.Entries))
		for i, e := range w.Entries {
			m.Entries[i] = raftpb.Entry{Type: raftpb.EntryType(e.EntryType), Term: e.Term, Index: e.Index, Data: e.Data}
		}
	}
	if s := w.Snapshot; s != nil && s.Metadata != nil {
		m.Snapshot = &raftpb.Snapshot{Data: s.Data, Metadata: raftpb.SnapshotMetadata{
			Index: s.Metadata.Index, Term: s.Metadata.Term,
			ConfState: raftpb.ConfState{
				Voters: s.Metadata.GetConfState().GetVoters(), Learners: s.Metadata.GetConfState().GetLearners(),
			},
		}}
	}
	return m
}

// travels tells whether a message of this type may come from another store.
func travels(t eraftpb.MessageType) bool {
	switch raftpb.MessageType(t) {
	case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgSnap, raftpb.MsgHeartbeat,
		raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow, raftpb.MsgReadIndex, raftpb.MsgReadIndexResp, raftpb.MsgPreVote,
		raftpb.MsgPreVoteResp:
		return true
	}
	return false
}
