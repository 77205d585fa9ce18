package raftstore

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// disk is the engines of a store, which may lose power.
type disk struct {
	data, logs *engine.Engine
	log        *raftlog.Log
}

func openDisk(t *testing.T, fs vfs.FS) disk {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	data, err := engine.Open("data", engine.Options{FS: fs, CacheBytes: 1 << 20, DisableWAL: true, Logger: quiet})
	require.NoError(t, err)
	logs, err := engine.Open("log", engine.Options{FS: fs, CacheBytes: 1 << 20, Logger: quiet})
	require.NoError(t, err)
	return disk{data, logs, raftlog.New(logs)}
}

func (d disk) open(t *testing.T) *Store {
	s, err := Open(Config{StoreID: 1}, Deps{Data: d.data, Log: d.log, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	return s
}

func (d disk) close(t *testing.T) {
	require.NoError(t, d.data.Close())
	require.NoError(t, d.logs.Close())
}

func (d disk) get(t *testing.T, cf storage.CF, key string) string {
	v, err := d.data.Get(cf, []byte(key))
	require.NoError(t, err)
	return string(v)
}

// A crash after a snapshot was accepted and before the data was replaced: opening the store replaces it.
func TestOpenFinishesSnapshot(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := openDisk(t, fs)
	s := d.open(t)
	require.NoError(t, s.Bootstrap(testRegion()))
	old := d.data.NewBatch()
	old.Put(storage.CFWrite, []byte("old"), []byte("x"))
	require.NoError(t, old.Commit(false))
	require.NoError(t, old.Close())

	chunk := appendBytes(appendBytes([]byte{byte(storage.CFLock)}, []byte("k")), []byte("lock"))
	chunk = append(chunk, byte(storage.CFWrite))
	chunk = appendBytes(appendBytes(chunk, []byte("k")), []byte("new"))
	region := cloneRegion(testRegion())
	region.RegionEpoch.Version = 9
	in := &receivedSnapshot{receipt: 3, at: applied{100, 7}, region: region}
	chunks := [][]byte{chunk}
	require.NoError(t, s.storeChunks(in, func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, io.EOF
		}
		c := chunks[0]
		chunks = nil
		return c, nil
	}))
	b := d.log.NewBatch()
	s.regions.get(1).log.Reset(b, 100, 7)
	raw, err := mark{state: markApplying, receipt: 3, at: in.at, region: region}.encode()
	require.NoError(t, err)
	b.SetMark(1, raw)
	require.NoError(t, b.Commit())
	require.NoError(t, b.Close())
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Stop())
	d.close(t)

	d = openDisk(t, crashed)
	defer d.close(t)
	s = d.open(t)
	require.Empty(t, d.get(t, storage.CFWrite, "old"))
	require.Equal(t, "new", d.get(t, storage.CFWrite, "k"))
	require.Equal(t, "lock", d.get(t, storage.CFLock, "k"))
	r, ok := s.Region(1)
	require.True(t, ok)
	require.EqualValues(t, 9, r.Region.RegionEpoch.Version)
	require.EqualValues(t, 100, r.AppliedIndex)
	raw, err = d.log.Mark(1)
	require.NoError(t, err)
	require.Nil(t, raw)
	require.NoError(t, s.Start())
	require.NoError(t, s.Stop())
}

// A crash after a peer was removed and before its data was cleared: opening the store clears it, and the peer stays away.
func TestOpenFinishesRemoval(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := openDisk(t, fs)
	s := d.open(t)
	require.NoError(t, s.Bootstrap(testRegion()))
	data := d.data.NewBatch()
	data.Put(storage.CFWrite, []byte("k"), []byte("x"))
	require.NoError(t, data.Commit(false))
	require.NoError(t, data.Close())
	require.NoError(t, d.data.Flush())
	b := d.log.NewBatch()
	s.regions.get(1).log.Destroy(b)
	raw, err := mark{state: markTombstone, peerID: 2, confVer: 4, region: testRegion()}.encode()
	require.NoError(t, err)
	b.SetMark(1, raw)
	require.NoError(t, b.Commit())
	require.NoError(t, b.Close())
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Stop())
	d.close(t)

	d = openDisk(t, crashed)
	defer d.close(t)
	s = d.open(t)
	require.Empty(t, s.Regions())
	require.Empty(t, d.get(t, storage.CFWrite, "k"))
	msg := &raft_serverpb.RaftMessage{
		RegionId: 1, FromPeer: &metapb.Peer{Id: 9, StoreId: 9}, ToPeer: &metapb.Peer{Id: 2, StoreId: 1},
		RegionEpoch: &metapb.RegionEpoch{ConfVer: 3, Version: 1}, Message: &eraftpb.Message{MsgType: eraftpb.MessageType_MsgHeartbeat},
	}
	l := s.loopOf(1)
	require.Nil(t, l.createFor(msg), "the removed peer")
	msg.ToPeer = &metapb.Peer{Id: 12, StoreId: 1}
	require.NotNil(t, l.createFor(msg), "a new peer")
	require.NoError(t, s.Stop())
}

// A crash after a removal was applied and before the tombstone was written: the peer, whose log and vote are forgotten, must
// not come back to life by a message on its way to it.
func TestOpenBuriesRemovedPeer(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := openDisk(t, fs)
	s := d.open(t)
	require.NoError(t, s.Bootstrap(testRegion()))
	rest := cloneRegion(testRegion())
	rest.RegionEpoch.ConfVer++
	rest.Peers = []*metapb.Peer{{Id: 9, StoreId: 9}}
	p, l := s.regions.get(1), newApplyLoop(s)
	l.mark(&p.applier)
	require.NoError(t, l.setRegion(&p.applier, rest))
	require.NoError(t, l.commit())
	require.NoError(t, l.batch.Close())
	require.NoError(t, d.data.Flush())
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Stop())
	d.close(t)

	d = openDisk(t, crashed)
	defer d.close(t)
	s = d.open(t)
	require.Empty(t, s.Regions())
	stale, err := s.loopOf(1).isTombstone(1, 2)
	require.NoError(t, err)
	require.True(t, stale, "the removed peer")
	stale, err = s.loopOf(1).isTombstone(1, 12)
	require.NoError(t, err)
	require.False(t, stale, "a new peer")
	require.NoError(t, s.Stop())
}

// A crash after the data with a new region was flushed, and before its log was begun: opening the store begins it.
func TestOpenBeginsLog(t *testing.T) {
	d := openDisk(t, vfs.NewMem())
	defer d.close(t)
	b := d.data.NewBatch()
	require.NoError(t, putRegion(b, testRegion(), applied{initialIndex, initialTerm}))
	require.NoError(t, b.Commit(false))
	require.NoError(t, b.Close())
	s := d.open(t)
	require.NoError(t, s.Start())
	awaitRole(t, s)
	require.NoError(t, s.Stop())
}

func awaitRole(t *testing.T, s *Store) {
	require.Eventually(t, func() bool { r, _ := s.Region(1); return r.IsLeader }, time.Minute, time.Millisecond)
}

// Snapshots that are not what they should be are refused whole, and leave nothing behind.
func TestMalformedSnapshots(t *testing.T) {
	d := openDisk(t, vfs.NewMem())
	defer d.close(t)
	s := d.open(t)
	require.NoError(t, s.Start())
	defer func() { require.NoError(t, s.Stop()) }()
	region := between(7, "b", "d")
	region.Peers = []*metapb.Peer{{Id: 8, StoreId: 1}}
	head := raft_serverpb.RaftSnapshotData{Region: region}
	data, err := head.Marshal()
	require.NoError(t, err)
	record := func(cf storage.CF, key string) []byte {
		return appendBytes(appendBytes([]byte{byte(cf)}, []byte(key)), nil)
	}
	for name, chunk := range map[string][]byte{
		"outside":   record(storage.CFWrite, "e"),
		"local":     record(cfLocal, "c"),
		"truncated": record(storage.CFWrite, "c")[:2],
		"order":     append(record(storage.CFWrite, "c"), record(storage.CFWrite, "c")...),
	} {
		msg := &raft_serverpb.RaftMessage{
			RegionId: 7, FromPeer: &metapb.Peer{Id: 9, StoreId: 9}, ToPeer: region.Peers[0], RegionEpoch: region.RegionEpoch,
			Message: &eraftpb.Message{MsgType: eraftpb.MessageType_MsgSnapshot, Snapshot: &eraftpb.Snapshot{
				Data: data, Metadata: &eraftpb.SnapshotMetadata{Index: 10, Term: 6},
			}},
		}
		err := s.ReceiveSnapshot(msg, func() ([]byte, error) { return chunk, nil })
		require.ErrorIs(t, err, errBadSnapshot, name)
		chunks, err := d.log.Chunks(s.receipts.Load())
		require.NoError(t, err)
		_, err = chunks.Next()
		require.ErrorIs(t, err, io.EOF, name)
		require.NoError(t, chunks.Close())
	}
	_, err = s.Snapshot(context.Background(), storage.Region{ID: 7})
	require.Error(t, err)
}
