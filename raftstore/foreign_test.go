package raftstore_test

import (
	"context"
	"testing"

	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// Messages for another store, for a peer that is gone, of a former term, or of a peer that was removed, change nothing.
func TestMessagesForOthersAreDropped(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	leader := c.awaitLeader(1)
	status, _ := leader.store.Region(1)
	epoch := status.Region.RegionEpoch
	self := &metapb.Peer{Id: status.PeerID, StoreId: leader.id()}
	var other *metapb.Peer
	for _, p := range status.Region.Peers {
		if p.Id != status.PeerID {
			other = p
		}
	}
	// A message of a later term makes a leader step down.
	later := func(from, to *metapb.Peer) *eraftpb.Message {
		return &eraftpb.Message{MsgType: eraftpb.MessageType_MsgHeartbeatResponse, From: from.Id, To: to.Id, Term: status.Term + 9}
	}
	stranger, gone := &metapb.Peer{Id: 3, StoreId: 99}, &metapb.Peer{Id: 1, StoreId: self.StoreId}
	old := &metapb.RegionEpoch{ConfVer: 1, Version: epoch.Version}
	for name, msg := range map[string]*raft_serverpb.RaftMessage{
		"another store":       {FromPeer: other, ToPeer: &metapb.Peer{Id: self.Id, StoreId: 99}, RegionEpoch: epoch, Message: later(other, self)},
		"a peer that is gone": {FromPeer: other, ToPeer: gone, RegionEpoch: epoch, Message: later(other, gone)},
		"a removed peer":      {FromPeer: stranger, ToPeer: self, RegionEpoch: old, Message: later(stranger, self)},
		"a removal long ago":  {FromPeer: other, ToPeer: self, RegionEpoch: old, IsTombstone: true},
		"a former term":       {FromPeer: other, ToPeer: self, RegionEpoch: epoch, Message: &eraftpb.Message{MsgType: eraftpb.MessageType_MsgAppend, From: other.Id, To: self.Id, Term: 1}},
		"local to raft":       {FromPeer: other, ToPeer: self, RegionEpoch: epoch, Message: &eraftpb.Message{MsgType: eraftpb.MessageType_MsgHup, From: other.Id, To: self.Id}},
		"no sender":           {ToPeer: self, RegionEpoch: epoch, Message: later(other, self)},
		"no message":          {FromPeer: other, ToPeer: self},
	} {
		msg.RegionId = 1
		leader.store.Receive(msg)
		require.NoError(t, leader.store.Write(context.Background(), storage.Region{ID: 1, Term: status.Term}, []storage.Modify{put("b", name)}), name)
		require.Equal(t, "1", get(t, leader.store, 1, "a"), name)
	}
	leader.store.Receive(&raft_serverpb.RaftMessage{RegionId: 1, FromPeer: other, ToPeer: self, RegionEpoch: epoch, Message: later(other, self)})
	err := leader.store.Write(context.Background(), storage.Region{ID: 1, Term: status.Term}, []storage.Modify{put("b", "late")})
	require.Error(t, err, "one that is meant for the peer is heard")
}

// A peer that was put on a store, and has no data yet, says so.
func TestRegionNotInitialized(t *testing.T) {
	c := newCluster(t, 2, raftstore.Config{})
	c.awaitLeader(1)
	c.live[2].store.Receive(&raft_serverpb.RaftMessage{
		RegionId: 77, FromPeer: &metapb.Peer{Id: 100, StoreId: 1}, ToPeer: &metapb.Peer{Id: 101, StoreId: 2},
		RegionEpoch: &metapb.RegionEpoch{ConfVer: 2, Version: 1}, StartKey: []byte("x"), EndKey: []byte("y"),
		Message: &eraftpb.Message{MsgType: eraftpb.MessageType_MsgHeartbeat, From: 100, To: 101, Term: 6},
	})
	at := storage.Region{ID: 77}
	c.eventually("a peer without data", func() bool {
		_, err := c.live[2].store.Snapshot(context.Background(), at)
		return raftstore.RefusalOf(err).GetRegionNotInitialized().GetRegionId() == 77
	})
	err := c.live[2].store.Write(context.Background(), at, []storage.Modify{put("x1", "1")})
	require.NotNil(t, raftstore.RefusalOf(err).GetRegionNotInitialized())
}
