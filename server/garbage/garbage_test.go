package garbage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/txn"
)

// fakes is a store that notes what it is asked for.
type fakes struct {
	regions   []raftstore.RegionStatus
	versions  map[string]engine.Versions // by start key
	deletions map[string]uint64          // by start key, of CFWrite, among 3000 entries
	nextTS    uint64
	err       error
	ranges    int

	pd    uint64
	log   []string
	now   time.Time
	slept time.Duration
}

func (f *fakes) Versions(start, _ []byte, _ uint64) (engine.Versions, error) {
	f.log = append(f.log, fmt.Sprintf("versions %s", start))
	return f.versions[string(start)], nil
}

func (f *fakes) Deletions(cf storage.CF, start, _ []byte) (entries, deletions uint64, err error) {
	if cf != storage.CFWrite {
		return 0, 0, nil
	}
	return 3000, f.deletions[string(start)], nil
}

func (f *fakes) RangeDeletions() int { return f.ranges }
func (f *fakes) AsyncFlush() error   { f.log = append(f.log, "flush"); f.ranges = 0; return nil }

func (f *fakes) Compact(_ context.Context, cf storage.CF, start, end []byte) error {
	f.log = append(f.log, fmt.Sprintf("compact %c %s-%s", cf, start, end))
	return nil
}

func (f *fakes) collect(ctx context.Context, pb *kvrpcpb.Context, o txn.GCOptions) (txn.GCStats, error) {
	f.log = append(f.log, fmt.Sprintf("collect %d at %d", pb.RegionId, o.SafePoint))
	if f.err != nil {
		return txn.GCStats{}, f.err
	}
	f.now = f.now.Add(time.Second)
	return txn.GCStats{Versions: 7, NextTS: f.nextTS}, o.Pause(ctx, 1)
}

func region(id uint64, start, end string, leader bool) raftstore.RegionStatus {
	return raftstore.RegionStatus{IsLeader: leader, AppliedIndex: 10, Term: 6, Region: &metapb.Region{
		Id: id, StartKey: []byte(start), EndKey: []byte(end), RegionEpoch: &metapb.RegionEpoch{Version: 3},
	}}
}

// newFakes has three regions, of which the third is led elsewhere.
func newFakes() (*fakes, *Collector) {
	f := &fakes{
		regions:   []raftstore.RegionStatus{region(1, "", "b", true), region(2, "b", "c", true), region(3, "c", "", false)},
		versions:  map[string]engine.Versions{},
		deletions: map[string]uint64{},
		nextTS:    mvcc.TSMax,
	}
	c := New(Deps{
		SafePoint: func(context.Context) (uint64, error) { return f.pd, nil },
		Refuse:    func(ts uint64) { f.log = append(f.log, fmt.Sprintf("refuse %d", ts)) },
		Regions:   func() []raftstore.RegionStatus { return f.regions },
		Collect:   f.collect, Data: f,
	}, Options{
		Now:   func() time.Time { return f.now },
		Sleep: func(_ context.Context, d time.Duration) error { f.slept += d; return nil },
	})
	return f, c
}

// turn polls at a safe point, does a round, and returns what happened.
func (f *fakes) turn(t *testing.T, c *Collector, safePoint uint64) []string {
	t.Helper()
	f.pd, f.log = safePoint, nil
	require.NoError(t, c.Poll(context.Background()))
	require.NoError(t, c.Round(context.Background()))
	return f.log
}

func TestCollectsOnePollAfterRefusing(t *testing.T) {
	f, c := newFakes()
	f.versions["b"] = engine.Versions{Records: 100, Hidden: 10}
	f.versions["c"] = engine.Versions{Records: 100, Hidden: 90}
	require.Equal(t, []string{"refuse 50"}, f.turn(t, c, 50))
	require.Equal(t, []string{"refuse 60", "versions ", "versions b", "collect 2 at 50"}, f.turn(t, c, 60))
	require.Equal(t, 3*time.Second, f.slept, "a quarter of the time")
	require.Equal(t, Status{SafePoint: 50, Collections: 1, Versions: 7}, c.Status())
	// At 60 region 2 is known to have nothing left; nobody wrote to it.
	require.Equal(t, []string{"refuse 60", "versions "}, f.turn(t, c, 60))
	require.Equal(t, []string{"refuse 60"}, f.turn(t, c, 60), "no higher safe point, nothing to do")
}

func TestLooksAgainWhenItPays(t *testing.T) {
	f, c := newFakes()
	f.versions["b"] = engine.Versions{Records: 100, Layered: 50}
	f.nextTS = 75
	f.turn(t, c, 50)
	require.Contains(t, f.turn(t, c, 70), "collect 2 at 50")
	require.NotContains(t, f.turn(t, c, 75), "collect 2 at 70", "garbage begins at 75")
	require.Contains(t, f.turn(t, c, 76), "collect 2 at 75")
	f.regions[1].AppliedIndex++
	f.versions["b"] = engine.Versions{Records: 1000, Hidden: 50}
	require.Equal(t, []string{"refuse 77", "versions ", "versions b"}, f.turn(t, c, 77), "written to, but little")
	f.versions["b"] = engine.Versions{Records: 1_000_000, Hidden: 5000, MostOfRow: 2000}
	require.Contains(t, f.turn(t, c, 78), "collect 2 at 77", "little, but of one row")
}

func TestChangedRegionIsLeftToItsLeader(t *testing.T) {
	f, c := newFakes()
	f.versions[""], f.versions["b"] = engine.Versions{Records: 1, Hidden: 1}, engine.Versions{Records: 1, Hidden: 1}
	f.err = &storage.RegionError{Pb: &errorpb.Error{NotLeader: &errorpb.NotLeader{}}}
	f.turn(t, c, 50)
	require.Equal(t, []string{"refuse 50", "versions ", "collect 1 at 50", "versions b", "collect 2 at 50"}, f.turn(t, c, 50))

	f.err = errors.New("broken")
	f.pd = 60
	require.NoError(t, c.Poll(context.Background()))
	require.NoError(t, c.Poll(context.Background()))
	require.ErrorIs(t, c.Round(context.Background()), f.err)
	require.EqualValues(t, 50, c.Status().SafePoint, "to be tried again")
}

func TestRewritesWhatIsDense(t *testing.T) {
	f, c := newFakes()
	f.deletions[""], f.deletions["b"], f.deletions["c"] = denseDeletions, denseDeletions-1, 9000
	require.Equal(t, []string{"refuse 0", "compact w -b", "compact w c-"}, f.turn(t, c, 0))
	require.Equal(t, []string{"refuse 0"}, f.turn(t, c, 0), "nothing was written")
	f.deletions["b"] = denseDeletions
	for i := range f.regions {
		f.regions[i].AppliedIndex++
	}
	require.Equal(t, []string{"refuse 0", "compact w -"}, f.turn(t, c, 0), "neighbours in one go")
}

func TestFlushesRangeDeletions(t *testing.T) {
	f, c := newFakes()
	f.ranges = 1
	require.Equal(t, []string{"refuse 0", "flush"}, f.turn(t, c, 0))
	require.Equal(t, []string{"refuse 0"}, f.turn(t, c, 0))
}

func TestForgetsRegions(t *testing.T) {
	f, c := newFakes()
	f.versions["b"] = engine.Versions{Records: 1, Hidden: 1}
	f.turn(t, c, 50)
	f.turn(t, c, 60)
	require.Len(t, c.looked, 1)
	require.Len(t, c.seen, 3)
	f.regions = f.regions[:1]
	f.turn(t, c, 60)
	require.Empty(t, c.looked)
	require.Len(t, c.seen, 1)
}
