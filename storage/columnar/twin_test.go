package columnar_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// The twin of a plan is the row scanner: whatever happens to a table, its rows read by plans are those that a scan of the
// same snapshot gives. Builds, reads and removals are cut into their steps, and the steps interleave.
func TestPlansReadWhatScansRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer w.close(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"put":      w.put,
			"write":    w.write,
			"lock":     w.lock,
			"resolve":  w.resolve,
			"collect":  w.collect,
			"collapse": w.collapse,
			"drop":     w.dropRange,
			"flush":    func(t *rapid.T) { require.NoError(t, w.rows.Engine.Flush()) },
			"remove":   w.remove,
			"clear":    w.removeAll,
			"begin":    w.begin,
			"finish":   w.finish,
			"build":    w.build,
			"extend":   w.extend,
			"open":     w.open,
			"read":     w.read,
			"read all": w.readAll,
			"ahead":    w.readAhead,
			"":         w.check,
		})
	})
}

const worldKeys = 20

// world is a table of up to worldKeys rows: a store of rows, one of columns, and what is under way between the two.
type world struct {
	rows    *storagetest.Store
	columns *columnar.Store
	clock   uint64 // the timestamp handed out last
	safe    uint64 // no reads below
	locked  map[int]mvcc.Lock
	// removals in their order; the first may have been told of, or be applied too
	removals []*removal
	builds   []*building
	readers  []*reader
}

type removal struct {
	mods   []storage.Modify
	erased func() // told
	gone   bool   // applied
}

type building struct {
	b    *columnar.Build
	snap storage.Snapshot
	keys []columnar.ColumnKey
	ts   uint64
	from []byte
	to   []byte
}

type reader struct {
	snap    storage.Snapshot
	ts      uint64
	horizon uint64
}

func newWorld(t testing.TB) *world {
	w := &world{rows: storagetest.New(t), locked: map[int]mvcc.Lock{}, clock: 10}
	var err error
	w.columns, err = columnar.Open(columnar.Options{
		FS: vfs.NewMem(), Dir: "columns", CacheMax: 2000, Allocated: func() uint64 { return w.clock },
	})
	require.NoError(t, err)
	return w
}

func (w *world) close(t *rapid.T) {
	for _, b := range w.builds {
		b.b.Abort()
		require.NoError(t, b.snap.Close())
	}
	for _, r := range w.readers {
		require.NoError(t, r.snap.Close())
	}
	require.NoError(t, w.columns.Close())
	require.Zero(t, w.columns.Stats().DiskBytes)
}

func key(i int) []byte { return fmt.Appendf(nil, "t_key%03d", i) }

func (w *world) tick() uint64 { w.clock++; return w.clock }

func (w *world) apply(t require.TestingT, mods ...storage.Modify) {
	require.NoError(t, w.rows.Write(context.Background(), storage.Region{ID: storagetest.RegionID}, mods))
}

func (w *world) snapshot(t require.TestingT) storage.Snapshot {
	snap, err := w.rows.Snapshot(context.Background(), storage.Region{ID: storagetest.RegionID})
	require.NoError(t, err)
	return snap
}

func put(cf storage.CF, key, value []byte) storage.Modify {
	return storage.Modify{Op: storage.OpPut, CF: cf, Key: key, Value: value}
}

// put commits many rows, as a load does.
func (w *world) put(t *rapid.T) {
	from := rapid.IntRange(0, worldKeys-1).Draw(t, "from")
	n := rapid.IntRange(1, worldKeys-from).Draw(t, "n")
	start, commit := w.tick(), w.tick()
	var mods []storage.Modify
	for i := from; i < from+n; i++ {
		if _, locked := w.locked[i]; !locked {
			mods = append(mods, record(i, commit, mvcc.Write{Type: mvcc.WritePut, StartTS: start, ShortValue: fmt.Appendf(nil, "%d@%d", i, commit)}))
		}
	}
	w.apply(t, mods...)
}

func record(key_ int, ts uint64, w mvcc.Write) storage.Modify {
	return put(storage.CFWrite, mvcc.VersionKey(mvcc.EncodeKey(key(key_)), ts), w.Append(nil))
}

func drawKey(t *rapid.T) int { return rapid.IntRange(0, worldKeys-1).Draw(t, "key") }

// write commits one record of any type.
func (w *world) write(t *rapid.T) {
	k := drawKey(t)
	if _, locked := w.locked[k]; locked {
		t.Skip("locked")
	}
	start, commit := w.tick(), w.tick()
	switch rapid.IntRange(0, 4).Draw(t, "type") {
	case 0:
		w.apply(t, record(k, start, mvcc.NewRollback(start, false)))
	case 1:
		w.apply(t, record(k, commit, mvcc.Write{Type: mvcc.WriteLock, StartTS: start}))
	case 2:
		w.apply(t, record(k, commit, mvcc.Write{Type: mvcc.WriteDelete, StartTS: start}))
	case 3:
		w.apply(t, record(k, commit, mvcc.Write{Type: mvcc.WritePut, StartTS: start}),
			put(storage.CFDefault, mvcc.VersionKey(mvcc.EncodeKey(key(k)), start), []byte(strings.Repeat("long", 70)+fmt.Sprint(commit))))
	default:
		w.apply(t, record(k, commit, mvcc.Write{Type: mvcc.WritePut, StartTS: start, ShortValue: fmt.Append(nil, commit)}))
	}
}

// lock prewrites a put.
func (w *world) lock(t *rapid.T) {
	k := drawKey(t)
	if _, locked := w.locked[k]; locked {
		t.Skip("locked")
	}
	l := mvcc.Lock{Type: mvcc.LockPut, Primary: []byte("elsewhere"), StartTS: w.tick(), ShortValue: []byte("locked")}
	w.locked[k] = l
	w.apply(t, put(storage.CFLock, mvcc.EncodeKey(key(k)), l.Append(nil)))
}

// resolve commits or rolls back what is locked.
func (w *world) resolve(t *rapid.T) {
	if len(w.locked) == 0 {
		t.Skip("no locks")
	}
	k := rapid.SampledFrom(slices.Sorted(maps.Keys(w.locked))).Draw(t, "key")
	l := w.locked[k]
	delete(w.locked, k)
	r := record(k, l.StartTS, mvcc.NewRollback(l.StartTS, false))
	if rapid.Bool().Draw(t, "commit") {
		r = record(k, w.tick(), mvcc.Write{Type: mvcc.WritePut, StartTS: l.StartTS, ShortValue: l.ShortValue})
	}
	w.apply(t, r, storage.Modify{Op: storage.OpDelete, CF: storage.CFLock, Key: mvcc.EncodeKey(key(k))})
}

// collect is garbage collection: what the safe point hides is to be removed, delete marks too. Each key is a removal of its own, in
// any form that a removal may have.
func (w *world) collect(t *rapid.T) {
	if w.safe = w.clock; rapid.Bool().Draw(t, "not all") {
		w.safe = rapid.Uint64Range(w.safe, w.clock).Draw(t, "safe point")
	}
	snap := w.snapshot(t)
	defer snap.Close()
	for k := range worldKeys {
		if garbage := w.garbage(t, snap, k); len(garbage) > 0 {
			w.removals = append(w.removals, &removal{mods: garbage})
		}
	}
}

func (w *world) garbage(t *rapid.T, snap storage.Snapshot, k int) (mods []storage.Modify) {
	encoded := mvcc.EncodeKey(key(k))
	it, err := snap.NewIterator(storage.IterOptions{CF: storage.CFWrite, Lower: encoded, Upper: append(slices.Clone(encoded), 0xff)})
	require.NoError(t, err)
	defer it.Close()
	kept := false
	for valid := it.First(); valid; valid = it.Next() {
		at, ts, err := mvcc.SplitVersion(it.Key())
		require.NoError(t, err)
		if string(at) != string(encoded) || ts > w.safe {
			continue
		}
		rec, err := mvcc.ParseWrite(it.Value())
		require.NoError(t, err)
		if kept || rec.Type == mvcc.WriteDelete {
			mods = append(mods, storage.Modify{Op: storage.OpDelete, CF: storage.CFWrite, Key: slices.Clone(it.Key())})
		}
		kept = kept || rec.ChangesData()
	}
	if len(mods) > 1 && rapid.Bool().Draw(t, "as a range") {
		return []storage.Modify{{Op: storage.OpDeleteRange, CF: storage.CFWrite, Key: mods[0].Key, EndKey: append(mods[len(mods)-1].Key, 0)}}
	}
	return mods
}

// collapse removes a rollback record, as a later rollback does.
func (w *world) collapse(t *rapid.T) {
	k, ts := drawKey(t), w.tick()
	w.apply(t, record(k, ts, mvcc.NewRollback(ts, false)))
	w.removals = append(w.removals, &removal{mods: []storage.Modify{
		{Op: storage.OpDelete, CF: storage.CFWrite, Key: mvcc.VersionKey(mvcc.EncodeKey(key(k)), ts)},
	}})
}

// dropRange removes everything between two keys.
func (w *world) dropRange(t *rapid.T) {
	from := drawKey(t)
	to := rapid.IntRange(from+1, worldKeys).Draw(t, "to")
	var mods []storage.Modify
	for _, cf := range []storage.CF{storage.CFWrite, storage.CFDefault} {
		mods = append(mods, storage.Modify{Op: storage.OpDeleteRange, CF: cf, Key: mvcc.EncodeKey(key(from)), EndKey: mvcc.EncodeKey(key(to))})
	}
	w.removals = append(w.removals, &removal{mods: mods})
}

// remove takes the first removal one step further: told, applied, over.
func (w *world) remove(t *rapid.T) {
	if len(w.removals) == 0 {
		t.Skip("nothing to remove")
	}
	switch r := w.removals[0]; {
	case r.erased == nil:
		r.erased = w.columns.Erasing(slices.DeleteFunc(slices.Clone(r.mods), func(m storage.Modify) bool { return m.CF != storage.CFWrite }))
	case !r.gone:
		r.gone = true
		w.apply(t, r.mods...)
	default:
		r.erased()
		w.removals = w.removals[1:]
	}
}

// removeAll takes all removals to their ends.
func (w *world) removeAll(t *rapid.T) {
	for len(w.removals) > 0 {
		w.remove(t)
	}
}

var types = []*tipb.FieldType{{Tp: column.TypeVarchar}, {Tp: column.TypeVarchar}}

// The columns of the table are the key and the value.
var columnKeys = []columnar.ColumnKey{"key", "value"}

func drawRange(t *rapid.T) (start, end []byte) {
	if rapid.Bool().Draw(t, "all") {
		return key(0), key(worldKeys)
	}
	from := drawKey(t)
	return key(from), key(rapid.IntRange(from+1, worldKeys).Draw(t, "end"))
}

// begin starts a build, up to its snapshot.
func (w *world) begin(t *rapid.T) {
	b := &building{keys: columnKeys, ts: rapid.Uint64Range(w.safe, w.clock).Draw(t, "ts")}
	if rapid.Bool().Draw(t, "one column") {
		b.keys = columnKeys[1:]
	}
	b.from, b.to = drawRange(t)
	w.start(t, b)
}

func (w *world) start(t *rapid.T, b *building) {
	if b.b = w.columns.Begin(b.from, b.to, b.ts, b.keys, types[:len(b.keys)]); b.b == nil {
		t.Skip("no build now")
	}
	b.snap = w.snapshot(t)
	if b.ts < w.safe {
		b.b.Abort()
		require.NoError(t, b.snap.Close())
		return
	}
	w.builds = append(w.builds, b)
}

// build builds all columns of the whole table as of now.
func (w *world) build(t *rapid.T) {
	b := &building{keys: columnKeys, ts: w.clock, from: key(0), to: key(worldKeys)}
	n := len(w.builds)
	if w.start(t, b); len(w.builds) > n {
		w.end(t, n)
	}
}

// extend starts a build of the columns that a segment has not.
func (w *world) extend(t *rapid.T) {
	segments := w.columns.Segments(nil, nil)
	if len(segments) == 0 {
		t.Skip("no segments")
	}
	s := rapid.SampledFrom(segments).Draw(t, "segment")
	b := &building{ts: s.TS, from: s.Start, to: s.End}
	for _, c := range columnKeys {
		if !slices.Contains(s.Columns, c) {
			b.keys = append(b.keys, c)
		}
	}
	if len(b.keys) == 0 || b.ts < w.safe {
		t.Skip("nothing to add")
	}
	w.start(t, b)
}

// finish copies the rows of a build's snapshot. A lock ends it.
func (w *world) finish(t *rapid.T) {
	if len(w.builds) == 0 {
		t.Skip("no builds")
	}
	w.end(t, rapid.IntRange(0, len(w.builds)-1).Draw(t, "build"))
}

func (w *world) end(t *rapid.T, i int) {
	b := w.builds[i]
	w.builds = slices.Delete(w.builds, i, i+1)
	err := b.copy(2)
	var locked *mvcc.LockedError
	if !errors.As(err, &locked) && !errors.Is(err, columnar.ErrDoomed) {
		require.NoError(t, err)
	}
	b.b.Abort()
	require.NoError(t, b.snap.Close())
}

func (b *building) copy(size int) error {
	rows, err := scan(b.snap, b.from, b.to, b.ts)
	if err != nil {
		return err
	}
	for block := range slices.Chunk(rows, size) {
		var cols []arrow.Array
		for _, c := range b.keys {
			cols = append(cols, arrayOf(c, block))
		}
		if err := b.b.Add([]byte(block[0].key), cols, len(block)); err != nil {
			return err
		}
	}
	return b.b.Finish()
}

// pair is a row.
type pair struct{ key, value string }

func arrayOf(c columnar.ColumnKey, rows []pair) arrow.Array {
	b := column.NewBuilder(types[0], len(rows))
	for _, r := range rows {
		if c == "key" {
			b.AppendBytes([]byte(r.key))
		} else {
			b.AppendBytes([]byte(r.value))
		}
	}
	return b.Array()
}

// scan reads rows up to an error.
func scan(snap storage.Snapshot, start, end []byte, ts uint64) (rows []pair, err error) {
	s, err := mvcc.NewScanner(snap, start, end, mvcc.ReadOptions{TS: ts, Isolation: kvrpcpb.IsolationLevel_SI})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for {
		k, v, ok, err := s.Next()
		if err != nil || !ok {
			return rows, err
		}
		rows = append(rows, pair{string(k), string(v)})
	}
}

// open takes the snapshot of a read.
func (w *world) open(t *rapid.T) {
	r := &reader{horizon: w.columns.Horizon(), ts: rapid.Uint64Range(w.safe, w.clock).Draw(t, "ts")}
	r.snap = w.snapshot(t)
	w.readers = append(w.readers, r)
}

// read plans a read that is open, and compares.
func (w *world) read(t *rapid.T) {
	if len(w.readers) == 0 {
		w.open(t)
	}
	i := rapid.IntRange(0, len(w.readers)-1).Draw(t, "reader")
	r := w.readers[i]
	w.readers = slices.Delete(w.readers, i, i+1)
	start, end := drawRange(t)
	w.compare(t, r, start, end, rapid.Bool().Draw(t, "advance"))
}

// readAll reads the whole table as of now, and has segments advance.
func (w *world) readAll(t *rapid.T) {
	r := &reader{horizon: w.columns.Horizon(), ts: w.clock, snap: w.snapshot(t)}
	w.compare(t, r, key(0), key(worldKeys), true)
}

// readAhead reads at a timestamp that is made up: others will commit below it.
func (w *world) readAhead(t *rapid.T) {
	r := &reader{horizon: w.columns.Horizon(), ts: w.clock + 3, snap: w.snapshot(t)}
	w.compare(t, r, key(0), key(worldKeys), true)
}

// check reads the whole table as of now, and of the earliest time at which it can be read.
func (w *world) check(t *rapid.T) {
	for _, ts := range []uint64{w.clock, w.safe} {
		w.compare(t, &reader{ts: ts, snap: w.snapshot(t)}, key(0), key(worldKeys), false)
	}
}

// compare plans a read, and reads it both ways.
func (w *world) compare(t *rapid.T, r *reader, start, end []byte, advance bool) {
	defer r.snap.Close()
	want, wantErr := scan(r.snap, start, end, r.ts)
	p, ok, err := w.columns.Plan(r.snap, start, end, columnKeys, r.ts)
	require.NoError(t, err)
	if !ok {
		return
	}
	defer p.Close()
	if advance {
		p.Advance(r.horizon)
	}
	got, gotErr := readPlan(t, p, r, start, end)
	require.Equal(t, want, got, "at %d", r.ts)
	require.Equal(t, fmt.Sprint(wantErr), fmt.Sprint(gotErr))
}

// readPlan reads the spans, which must cover the range.
func readPlan(t require.TestingT, p *columnar.Plan, r *reader, start, end []byte) (rows []pair, err error) {
	at := start
	for _, s := range p.Spans {
		require.Equal(t, string(at), string(s.Start))
		at = s.End
		if s.Blocks == nil {
			more, err := scan(r.snap, s.Start, s.End, r.ts)
			if rows = append(rows, more...); err != nil {
				return rows, err
			}
		}
		for _, b := range s.Blocks {
			rows = append(rows, readBlock(t, b)...)
		}
	}
	require.Equal(t, string(end), string(at))
	return rows, nil
}

func readBlock(t require.TestingT, b *columnar.Block) (rows []pair) {
	keys, err := b.Column(0)
	require.NoError(t, err)
	values, err := b.Column(1)
	require.NoError(t, err)
	for i := range b.Rows() {
		rows = append(rows, pair{keys.(*array.Binary).ValueString(i), values.(*array.Binary).ValueString(i)})
	}
	z := b.Zone(0)
	require.True(t, z.Bounded)
	require.LessOrEqual(t, string(z.Min.Bytes), rows[0].key)
	require.GreaterOrEqual(t, string(z.Max.Bytes), rows[len(rows)-1].key)
	return rows
}
