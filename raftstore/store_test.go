package raftstore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// machine is a disk with the two engines of a store on it.
type machine struct {
	t     testing.TB
	fs    vfs.FS
	data  *engine.Engine
	log   *engine.Engine
	store *raftstore.Store
}

// boot opens the engines on fs and a store on them, and starts it unless it has to be bootstrapped first.
func boot(t testing.TB, fs vfs.FS, cfg raftstore.Config, d raftstore.Deps) *machine {
	m := &machine{t: t, fs: fs}
	var err error
	m.data, err = engine.Open("data", engine.Options{FS: fs, CacheBytes: 8 << 20, DisableWAL: true, Logger: quiet})
	require.NoError(t, err)
	m.log, err = engine.Open("log", engine.Options{FS: fs, CacheBytes: 8 << 20, Logger: quiet})
	require.NoError(t, err)
	d.Data, d.Log = m.data, raftlog.New(m.log)
	if d.Logger == nil {
		d.Logger = quiet
	}
	m.store, err = raftstore.Open(cfg, d)
	require.NoError(t, err)
	return m
}

func (m *machine) stop() {
	require.NoError(m.t, m.store.Stop())
	require.NoError(m.t, m.data.Close())
	require.NoError(m.t, m.log.Close())
}

// firstRegion covers all keys with one peer on store 1.
func firstRegion() *metapb.Region {
	return &metapb.Region{
		Id: 1, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1},
		Peers: []*metapb.Peer{{Id: 2, StoreId: 1}},
	}
}

func bootSingle(t testing.TB, fs vfs.FS) *machine {
	m := boot(t, fs, raftstore.Config{StoreID: 1}, raftstore.Deps{})
	if len(m.store.Regions()) == 0 {
		require.NoError(t, m.store.Bootstrap(firstRegion()))
	}
	require.NoError(t, m.store.Start())
	awaitLeader(t, m.store, 1)
	return m
}

func awaitLeader(t testing.TB, s *raftstore.Store, region uint64) {
	require.Eventually(t, func() bool {
		r, ok := s.Region(region)
		return ok && r.IsLeader
	}, 10*time.Second, time.Millisecond)
}

func put(key, value string) storage.Modify {
	return storage.Modify{Op: storage.OpPut, CF: storage.CFWrite, Key: []byte(key), Value: []byte(value)}
}

// get reads a key through a snapshot; "" if absent.
func get(t testing.TB, s storage.Store, region uint64, key string) string {
	snap, err := s.Snapshot(context.Background(), storage.Region{ID: region})
	require.NoError(t, err)
	defer snap.Close()
	v, err := snap.Get(storage.CFWrite, []byte(key))
	require.NoError(t, err)
	return string(v)
}

func TestWriteThenRead(t *testing.T) {
	m := bootSingle(t, vfs.NewMem())
	defer m.stop()
	ctx, at := context.Background(), storage.Region{ID: 1}
	require.NoError(t, m.store.Write(ctx, at, []storage.Modify{put("a", "1"), put("b", "2"), put("c", "3")}))
	require.NoError(t, m.store.Write(ctx, at, []storage.Modify{
		{Op: storage.OpDelete, CF: storage.CFWrite, Key: []byte("a")},
		{Op: storage.OpDeleteRange, CF: storage.CFWrite, Key: []byte("c"), EndKey: []byte("d")},
	}))
	require.Empty(t, get(t, m.store, 1, "a"))
	require.Equal(t, "2", get(t, m.store, 1, "b"))
	require.Empty(t, get(t, m.store, 1, "c"))
}

// Every acknowledged write is in the next snapshot, and its version rises.
func TestSnapshotSeesAcknowledgedWrites(t *testing.T) {
	m := bootSingle(t, vfs.NewMem())
	defer m.stop()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			version := uint64(0)
			for i := range 50 {
				key := fmt.Sprintf("k%d", w)
				value := fmt.Sprint(i)
				if err := m.store.Write(context.Background(), storage.Region{ID: 1}, []storage.Modify{put(key, value)}); err != nil {
					t.Error(err)
					return
				}
				snap, err := m.store.Snapshot(context.Background(), storage.Region{ID: 1})
				if err != nil {
					t.Error(err)
					return
				}
				got, _ := snap.Get(storage.CFWrite, []byte(key))
				if string(got) != value || snap.DataVersion() <= version {
					t.Errorf("%s = %s at %d, want %s after %d", key, got, snap.DataVersion(), value, version)
				}
				version = snap.DataVersion()
				snap.Close()
			}
		}()
	}
	wg.Wait()
}

func TestRestart(t *testing.T) {
	fs := vfs.NewMem()
	m := bootSingle(t, fs)
	require.NoError(t, m.store.Write(context.Background(), storage.Region{ID: 1}, []storage.Modify{put("a", "1")}))
	m.stop()
	m = bootSingle(t, fs)
	defer m.stop()
	require.Equal(t, "1", get(t, m.store, 1, "a"))
}

// A power cut at a random moment under load loses nothing that was acknowledged, again and again.
func TestCrashLosesNothing(t *testing.T) {
	fs := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	for round := range 6 {
		m := bootSingle(t, fs)
		for key, value := range want {
			require.Equal(t, value, get(t, m.store, 1, key), "round %d, %s", round, key)
		}
		load := startLoad(m.store, fmt.Sprintf("r%d", round))
		load.await(t, 100+rng.IntN(200))
		if round%2 == 1 {
			require.NoError(t, m.data.Flush()) // some of it reaches the tables
			load.await(t, 400)
		}
		maps.Copy(want, load.acknowledged())
		fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(100), RNG: rng})
		load.stop()
		m.stop()
	}
}

// load writes distinct keys from several goroutines until stopped.
type load struct {
	mu    sync.Mutex
	acked map[string]string
	wg    sync.WaitGroup
	end   context.CancelFunc
}

func startLoad(s storage.Store, prefix string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{acked: map[string]string{}, end: cancel}
	for w := range 8 {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			for i := 0; ctx.Err() == nil; i++ {
				key, value := fmt.Sprintf("%s-%d-%d", prefix, w, i), fmt.Sprint(i)
				if s.Write(ctx, storage.Region{ID: 1}, []storage.Modify{put(key, value)}) != nil {
					continue
				}
				l.mu.Lock()
				l.acked[key] = value
				l.mu.Unlock()
			}
		}()
	}
	return l
}

func (l *load) acknowledged() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}

func (l *load) await(t testing.TB, n int) {
	require.Eventually(t, func() bool { return len(l.acknowledged()) >= n }, 10*time.Second, time.Millisecond)
}

func (l *load) stop() {
	l.end()
	l.wg.Wait()
}

// Who waits for a write learns that the store has stopped, at whatever point the write is then; it may still take effect.
func TestStopTellsWriters(t *testing.T) {
	c := replicated(t, raftstore.Config{ElectionTicks: 1000})
	leader := c.awaitLeader(1)
	c.net.isolate(leader.id(), true) // nothing commits any more
	var outcomes []<-chan error
	submit := func() error {
		outcome, err := leader.store.Submit(storage.Region{ID: 1}, []storage.Modify{put("a", "1")})
		if err == nil {
			outcomes = append(outcomes, outcome)
		}
		return err
	}
	for len(outcomes) < 100 && submit() == nil {
	}
	stopped := make(chan error, 1)
	go func() { stopped <- leader.store.Stop() }()
	for submit() == nil {
	}
	for _, outcome := range outcomes {
		require.ErrorIs(t, <-outcome, storage.ErrUndetermined)
	}
	require.NoError(t, <-stopped)
	require.ErrorIs(t, submit(), raftstore.ErrStopped)
}
