package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
)

// lateSource is a Scan over a source. What Load was not asked for has a value that no table has.
type lateSource struct {
	*source
	batch, all Batch
}

var _ Scan = (*lateSource)(nil)

func (s *lateSource) NextRows(ctx context.Context) (b Batch, err error) {
	if s.all, err = s.source.Next(ctx); err != nil {
		return Batch{}, err
	}
	s.batch = Batch{Cols: make([]arrow.Array, len(s.all.Cols)), Sel: s.all.Sel, Rows: s.all.Rows}
	return s.batch, nil
}

func (s *lateSource) Load(col int, sel []int32) error {
	b := column.NewBuilder(s.fields[col], s.all.Rows)
	for i := range s.all.Rows {
		if sel == nil || slices.Contains(sel, int32(i)) {
			b.AppendFrom(s.all.Cols[col], i)
		} else {
			b.AppendInt64(4711)
		}
	}
	s.batch.Cols[col] = b.Detach()
	return nil
}

// Joins in several goroutines that share a build side give together what nested loops give; where the probe side is a scan,
// rows that nobody loaded are looked at nowhere. In the end all memory has come back.
func TestBroadcastAgainstNestedLoops(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bit := rapid.Bool()
		s := joinSpec{
			tp: rapid.SampledFrom([]tipb.JoinType{tipb.JoinType_TypeInnerJoin, tipb.JoinType_TypeLeftOuterJoin, tipb.JoinType_TypeSemiJoin,
				tipb.JoinType_TypeAntiSemiJoin, tipb.JoinType_TypeLeftOuterSemiJoin, tipb.JoinType_TypeAntiLeftOuterSemiJoin}).Draw(rt, "type"),
			innerIdx: 1, keyless: rapid.IntRange(0, 4).Draw(rt, "keyless") == 0,
			leftCond: bit.Draw(rt, "left"), rightCond: bit.Draw(rt, "right"), other: bit.Draw(rt, "other"), inEq: bit.Draw(rt, "in"),
			nullAware: bit.Draw(rt, "null aware"),
		}
		if !s.valid() {
			s.nullAware = false
		}
		left, right := genPairs("l").Draw(rt, "left"), genPairs("r").Draw(rt, "right")
		want := s.nestedLoops(left, right)
		slices.Sort(want)
		root := s.plan()
		for range rapid.IntRange(0, 2).Draw(rt, "selections") { // that drop nothing
			small := call(tipb.ScalarFuncSig_LTInt, col(1, bigint), intConst(9))
			kids := root.Join.Children
			kids[0] = selectionOf(kids[0], call(tipb.ScalarFuncSig_LogicalOr, call(tipb.ScalarFuncSig_IntIsNull, col(1, bigint)), small))
		}
		memory := NewMemory(1 << 20)
		shared := broadcastFrom(t, tbl(types(bigint, bigint), text(right)...), memory)
		if bit.Draw(rt, "travels") {
			r := receiverOf(t, shared)
			shared.Close()
			var err error
			shared, err = ReadBroadcast(r, memory)
			require.NoError(rt, err)
		}
		late, sh := bit.Draw(rt, "late"), rapid.SampledFrom(shapes).Draw(rt, "shape")
		cut := rapid.IntRange(0, len(left)).Draw(rt, "cut")
		var got [2][]string
		var running errgroup.Group
		for i, part := range [][]pair{left[:cut], left[cut:]} {
			running.Go(func() (err error) {
				env := testEnv()
				env.Memory = memory
				op, err := Build(root, func(e *tipb.Executor) (Operator, error) {
					src := newSource(t, tbl(types(bigint, bigint), text(part)...), sh)
					switch {
					case e.TblScan.TableId == 1:
						return shared.Source(), nil
					case late:
						return &lateSource{source: src}, nil
					}
					return src, nil
				}, env)
				if err != nil {
					return err
				}
				if got[i], err = drain(t, op); err != nil {
					return err
				}
				return op.Close()
			})
		}
		require.NoError(rt, running.Wait())
		all := slices.Concat(got[0], got[1])
		slices.Sort(all)
		require.Equal(rt, want, all, "%+v", s)
		shared.Close()
		require.Zero(rt, memory.Used())
	})
}

func broadcastFrom(t *testing.T, in table, memory *Memory) *Broadcast {
	src := newSource(t, in, shape{3, true})
	var batches []Batch
	for len(src.rows) > 0 {
		b, err := src.Next(context.Background())
		require.NoError(t, err)
		batches = append(batches, column.Compact(b))
	}
	shared, err := NewBroadcast(in.fields, batches, memory)
	require.NoError(t, err)
	return shared
}

// The table is made once, and a join that does not get the memory for it fails and gives back what it had.
func TestBroadcastMemory(t *testing.T) {
	var rows []string
	for range 1000 {
		rows = append(rows, "1,2")
	}
	memory := NewMemory(0)
	shared := broadcastFrom(t, tbl(types(bigint, bigint), rows...), memory)
	rowsAlone := memory.Used()
	plan := joinSpec{tp: tipb.JoinType_TypeSemiJoin, innerIdx: 1}.plan()
	join := func(m *Memory) error {
		env := testEnv()
		env.Memory = m
		op, err := Build(plan, func(e *tipb.Executor) (Operator, error) {
			if e.TblScan.TableId == 1 {
				return shared.Source(), nil
			}
			return newSource(t, tbl(types(bigint, bigint), "1,1"), shape{1, false}), nil
		}, env)
		require.NoError(t, err)
		_, err = drain(t, op)
		require.NoError(t, op.Close())
		require.Zero(t, m.Used())
		return err
	}
	require.ErrorContains(t, join(NewMemory(100)), "memory limit")
	require.Equal(t, rowsAlone, memory.Used())
	require.NoError(t, join(NewMemory(1<<20)))
	withTable := memory.Used()
	require.Greater(t, withTable, rowsAlone)
	require.NoError(t, join(NewMemory(100)), "the table is there")
	require.Equal(t, withTable, memory.Used())
	shared.Close()
	require.Zero(t, memory.Used())
}

// receiverOf is a receiver that has the rows itself.
func receiverOf(t *testing.T, b *Broadcast) *tipb.ExchangeReceiver {
	r := &tipb.ExchangeReceiver{FieldTypes: b.fields}
	for _, batch := range b.batches {
		data, err := chunk.AppendChunk(nil, batch, identityOffsets(len(b.fields)), b.fields)
		require.NoError(t, err)
		r.EncodedTaskMeta = append(r.EncodedTaskMeta, data)
	}
	return r
}

func identityOffsets(n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = uint32(i)
	}
	return out
}

// place is where a test's copies are.
type place struct {
	made, closed int
	err          error
}

func (p *place) copy([]*tipb.FieldType, []Batch) (Copy, error) {
	p.made++
	return placed{p}, p.err
}

// placed is a copy, of which a place may have several one after another.
type placed struct{ at *place }

func (p placed) Close() { p.at.closed++ }

// A copy is made once for each place, again after it was lost, never again where there is no room, and closed with the rows.
func TestCopies(t *testing.T) {
	shared := broadcastFrom(t, tbl(types(bigint), "1", "2"), nil)
	here, there, full, broken := &place{}, &place{}, &place{err: fmt.Errorf("full: %w", ErrNoRoom)}, &place{err: errors.New("broken")}
	for range 2 {
		for _, p := range []*place{here, there, full, broken} {
			_, err := shared.CopyAt(p, p.copy)
			require.ErrorIs(t, err, p.err)
		}
	}
	lost, err := shared.CopyAt(here, here.copy)
	require.NoError(t, err)
	shared.DropCopy(here, lost)
	shared.DropCopy(there, lost) // not that one
	_, err = shared.CopyAt(here, here.copy)
	require.NoError(t, err)
	require.Equal(t, []place{{2, 1, nil}, {1, 0, nil}, {1, 0, full.err}, {2, 0, broken.err}}, []place{*here, *there, *full, *broken})
	shared.Close()
	require.Equal(t, []int{2, 1, 0, 0}, []int{here.closed, there.closed, full.closed, broken.closed})
}

// What is wrong with the rows of a receiver is said.
func TestReadBroadcastRefuses(t *testing.T) {
	shared := broadcastFrom(t, tbl(types(bigint), "1", "2"), nil)
	good := receiverOf(t, shared)
	for name, r := range map[string]*tipb.ExchangeReceiver{
		"nothing":   nil,
		"no types":  {EncodedTaskMeta: good.EncodedTaskMeta},
		"nil type":  {FieldTypes: []*tipb.FieldType{nil}},
		"truncated": {FieldTypes: good.FieldTypes, EncodedTaskMeta: [][]byte{good.EncodedTaskMeta[0][:9]}},
		"too long":  {FieldTypes: types(bigint), EncodedTaskMeta: [][]byte{append(slices.Clone(good.EncodedTaskMeta[0]), 0)}},
	} {
		_, err := ReadBroadcast(r, nil)
		require.Error(t, err, name)
	}
	_, err := ReadBroadcast(good, NewMemory(1))
	require.ErrorContains(t, err, "memory limit")
}

// A join of a scan with a tenth of its keys, from records to groups: the scan decodes what the join asks for, or everything.
func BenchmarkBroadcastOverScan(b *testing.B) {
	const rows = 1 << 16
	var kvs kvList
	var enc row.Encoder
	for i := range int64(rows) {
		enc.Reset()
		enc.AppendInt64(2, i*7%rows)
		for id := int64(3); id < 7; id++ {
			enc.AppendBytes(id, fmt.Appendf(nil, "text %d of row %d", id, i))
		}
		val, err := enc.Encode(nil)
		require.NoError(b, err)
		kvs = append(kvs, [2][]byte{tablekey.AppendRecordKey(nil, 44, tablekey.IntHandle(i)), val})
	}
	scan := &tipb.TableScan{Columns: []*tipb.ColumnInfo{info(2, bigint), info(3, varchar), info(4, varchar), info(5, varchar), info(6, varchar)}}
	keys := column.NewBuilder(bigint, 0)
	for i := range int64(rows / 10) {
		keys.AppendInt64(i * 10)
	}
	shared, err := NewBroadcast(types(bigint), []Batch{{Cols: []arrow.Array{keys.Detach()}, Rows: rows / 10}}, nil)
	require.NoError(b, err)
	root := aggOf(joinOf(tipb.JoinType_TypeInnerJoin, exprs(col(0, bigint)), exprs(col(0, bigint))), nil, fn(tipb.ExprType_Max, varchar, col(4, varchar)))
	for name, wrap := range map[string]func(Scan) Operator{
		"late":  func(s Scan) Operator { return s },
		"early": func(s Scan) Operator { return struct{ Operator }{s} },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				env := testEnv()
				op, err := Build(root, func(e *tipb.Executor) (Operator, error) {
					if e.TblScan.TableId == 1 {
						return shared.Source(), nil
					}
					s, err := NewTableScan(scan, kvs.iterator(), env.Expr)
					return wrap(s), err
				}, env)
				require.NoError(b, err)
				_, err = op.Next(context.Background())
				require.NoError(b, err)
				require.NoError(b, op.Close())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}

// A build side that would take more than half of the memory with its table is not for the stores, and gives everything back.
func TestBroadcastReserve(t *testing.T) {
	keys := column.NewBuilder(bigint, 1000)
	for i := range 1000 {
		keys.AppendInt64(int64(i))
	}
	batch := Batch{Cols: []arrow.Array{keys.Detach()}, Rows: 1000}
	size := column.Size(batch)
	for _, c := range []struct {
		limit   int64
		reserve bool
	}{{2 * (1 + tableCost) * size, true}, {2*(1+tableCost)*size - 2, false}, {0, true}} {
		process := NewMemory(c.limit)
		b, err := NewBroadcast(types(bigint), []Batch{batch}, process.Query(0))
		require.NoError(t, err)
		require.Equal(t, c.reserve, b.Reserve())
		b.Close()
		require.Zero(t, process.Used())
	}
}
