package raftstore

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/stretchr/testify/require"
)

// atOnce runs tasks when they are given. Nobody may wait.
type atOnce struct{}

func (atOnce) Go(f func())                        { f() }
func (atOnce) Await(context.Context, func() bool) { panic("a task has to wait") }

// sent keeps what a store sends.
type sent struct {
	noTransport
	msgs []*raft_serverpb.RaftMessage
}

func (s *sent) Send(msg *raft_serverpb.RaftMessage) { s.msgs = append(s.msgs, msg) }

// runAll takes steps until none is due.
func runAll(t *testing.T, st *Stepper) {
	for due := st.Due(nil); len(due) > 0; due = st.Due(nil) {
		require.NoError(t, st.Do(due[0]))
	}
}

// A split may put a voter on a store that has no data of it yet. When its leader is gone, the others need its vote.
func TestPeerWithoutDataVotes(t *testing.T) {
	d := openDisk(t, vfs.NewMem())
	defer d.close(t)
	out := &sent{}
	s, err := Open(Config{StoreID: 1}, Deps{Data: d.data, Log: d.log, Transport: out, Tasks: atOnce{}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	st, err := s.StartStepped()
	require.NoError(t, err)
	hear := func(from uint64, m eraftpb.MessageType, term uint64) {
		s.Receive(&raft_serverpb.RaftMessage{
			RegionId: 1, FromPeer: &metapb.Peer{Id: from, StoreId: from}, ToPeer: &metapb.Peer{Id: 11, StoreId: 1},
			RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1},
			Message:     &eraftpb.Message{MsgType: m, From: from, To: 11, Term: term, Index: initialIndex, LogTerm: initialTerm},
		})
		runAll(t, st)
	}
	answer := func() eraftpb.MessageType { return out.msgs[len(out.msgs)-1].Message.MsgType }

	s.openedAt = s.openedAt.Add(-s.cfg.leaseDuration()) // else it may have promised something
	hear(2, eraftpb.MessageType_MsgHeartbeat, 6)
	hear(3, eraftpb.MessageType_MsgRequestPreVote, 7)
	require.Equal(t, eraftpb.MessageType_MsgHeartbeatResponse, answer(), "the leader has been heard of")
	for range s.cfg.ElectionTicks {
		st.Tick()
		runAll(t, st)
	}
	hear(3, eraftpb.MessageType_MsgRequestPreVote, 7)
	require.Equal(t, eraftpb.MessageType_MsgRequestPreVoteResponse, answer())
	require.NoError(t, st.Stop())
}

// A learner that was removed while it was away asks the others, which know it, and is told.
func TestSilentLearnerAsks(t *testing.T) {
	d := openDisk(t, vfs.NewMem())
	defer d.close(t)
	out := &sent{}
	s, err := Open(Config{StoreID: 1}, Deps{Data: d.data, Log: d.log, Transport: out, Tasks: atOnce{}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	region := testRegion()
	region.Peers[0].Role = metapb.PeerRole_Learner
	region.Peers = append(region.Peers, &metapb.Peer{Id: 3, StoreId: 3})
	require.NoError(t, s.Bootstrap(region))
	st, err := s.StartStepped()
	require.NoError(t, err)
	runAll(t, st)
	for range askElections * s.cfg.ElectionTicks {
		require.Empty(t, out.msgs)
		st.Tick()
		runAll(t, st)
	}
	require.Len(t, out.msgs, 1)
	require.Equal(t, uint64(3), out.msgs[0].ToPeer.Id)

	s.Receive(&raft_serverpb.RaftMessage{
		RegionId: 1, FromPeer: region.Peers[1], ToPeer: region.Peers[0], IsTombstone: true,
		RegionEpoch: &metapb.RegionEpoch{ConfVer: 2, Version: 1},
	})
	runAll(t, st)
	require.Empty(t, s.Regions())
	require.NoError(t, st.Stop())
}
