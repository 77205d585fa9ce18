package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// analyze runs ANALYZE TABLE: one scan per table, in which every column goes through a sketch of fixed size that
// estimates its number of distinct values.
func (r *run) analyze(stmt *ast.AnalyzeTableStmt) error {
	if len(stmt.PartitionNames) > 0 || stmt.HistogramOperation != ast.HistogramOperationNop {
		return errNotSupported("this form of ANALYZE TABLE")
	}
	if r.s.snapshot != nil {
		return errSnapshotWrite
	}
	if err := r.s.commit(r.ctx); err != nil {
		return err
	}
	for _, name := range stmt.TableNames {
		t, err := r.Table(name.Schema.O, name.Name.O)
		if err != nil {
			return err
		}
		if t.View != nil || t.Virtual {
			return errCode(mysql.ErrWrongObject, t.DB, t.Name, "BASE TABLE")
		}
		if err := r.analyzeTable(t); err != nil {
			return err
		}
	}
	return nil
}

// analyzeTable measures a table in a transaction of its own and makes the result known.
func (r *run) analyzeTable(t *catalog.Table) error {
	before, _ := r.s.srv.catalog.Stats(t.ID)
	st, err := r.measureTable(t)
	if err != nil {
		return err
	}
	if err := r.s.srv.catalog.SetStats(r.ctx, st, before); err != nil {
		return err
	}
	return r.s.commit(r.ctx)
}

func (r *run) measureTable(t *catalog.Table) (*catalog.TableStats, error) {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = catalog.Quote(c.Name)
	}
	text := fmt.Sprintf("SELECT %s FROM %s.%s", strings.Join(names, ","), catalog.Quote(t.DB), catalog.Quote(t.Name))
	stmts, err := r.s.parse(text)
	if err != nil {
		return nil, err
	}
	q, err := planner.PlanQuery(r.planContext(), stmts[0].(ast.ResultSetNode))
	if err != nil {
		return nil, err
	}
	op, err := q.Open(r.ctx, r)
	if err != nil {
		return nil, err
	}
	st, err := sketchAll(r.ctx, op, t)
	return st, errors.Join(err, op.Close())
}

func sketchAll(ctx context.Context, op executor.Operator, t *catalog.Table) (*catalog.TableStats, error) {
	st := &catalog.TableStats{TableID: t.ID, Distinct: make(map[int64]float64, len(t.Columns))}
	sketches := make([]sketch, len(t.Columns))
	for {
		b, err := op.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		st.Rows += int64(b.Len())
		for i := range sketches {
			sketches[i].addColumn(b, b.Cols[i])
		}
	}
	for i, c := range t.Columns {
		st.Distinct[c.ID] = min(sketches[i].estimate(), float64(st.Rows))
	}
	return st, nil
}

const (
	sketchBits = 12
	sketchSize = 1 << sketchBits
)

// sketch is a HyperLogLog with 4096 registers: the error is some 1.6 percent.
type sketch struct {
	registers [sketchSize]uint8
}

func (s *sketch) add(hash uint64) {
	rank := uint8(bits.LeadingZeros64(hash<<sketchBits|1<<(sketchBits-1)) + 1)
	if r := &s.registers[hash>>(64-sketchBits)]; *r < rank {
		*r = rank
	}
}

// addColumn adds the values of a column that are selected and not NULL.
func (s *sketch) addColumn(b column.Batch, a arrow.Array) {
	hash := s.hasher(a)
	nulls := column.NullBits(a)
	for i, n := 0, b.Len(); i < n; i++ {
		if row := b.Row(i); column.IsValid(nulls, row) {
			s.add(hash(row))
		}
	}
}

func (s *sketch) hasher(a arrow.Array) func(row int) uint64 {
	switch a := a.(type) {
	case *array.Int64:
		vals := a.Int64Values()
		return func(row int) uint64 { return mix(uint64(vals[row])) }
	case *array.Uint64:
		vals := a.Uint64Values()
		return func(row int) uint64 { return mix(vals[row]) }
	case *array.Float64:
		vals := a.Float64Values()
		return func(row int) uint64 { return mix(math.Float64bits(vals[row])) }
	case *array.Decimal128:
		vals := a.Values()
		return func(row int) uint64 { return hash128(vals[row]) }
	case *array.Decimal256:
		vals := a.Values()
		return func(row int) uint64 { return s.hash256(vals[row]) }
	case *array.Binary:
		ends, data := a.ValueOffsets(), a.ValueBytes()
		return func(row int) uint64 { return xxh3.Hash(data[ends[row]:ends[row+1]]) }
	default:
		return func(int) uint64 { return 0 }
	}
}

// mix spreads the bits of a number (the finaliser of MurmurHash3).
func mix(v uint64) uint64 {
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	v *= 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}

func hash128(v decimal128.Num) uint64 { return mix(v.LowBits() ^ mix(uint64(v.HighBits()))) }

func (s *sketch) hash256(v decimal256.Num) uint64 {
	h := uint64(0)
	for _, word := range v.Array() {
		h = mix(h ^ word)
	}
	return h
}

// estimate is the number of distinct values, by linear counting where many registers are empty.
func (s *sketch) estimate() float64 {
	sum, empty := 0.0, 0
	for _, r := range s.registers {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	const m = float64(sketchSize)
	e := 0.7213 / (1 + 1.079/m) * m * m / sum
	if e <= 2.5*m && empty > 0 {
		return math.Round(m * math.Log(m/float64(empty)))
	}
	return math.Round(e)
}
