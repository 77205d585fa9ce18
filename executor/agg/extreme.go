package agg

import (
	"bytes"
	"cmp"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// extreme is MIN or MAX of values held as T. NULLs do not count; a group without values has NULL.
type extreme[T any] struct {
	in, out *tipb.FieldType
	best    []T
	seen    []bool
	values  func(arrow.Array) []T
	better  func(a, b T) bool
	build   func(b *column.Builder, v T)
}

func newExtreme(f *tipb.Expr, in *tipb.FieldType) (Accumulator, error) {
	isMax := f.Tp == tipb.ExprType_Max
	switch in.Tp {
	case column.TypeJSON:
		return &extremeBytes{in: in, out: f.FieldType, better: wants(isMax, compareJSON)}, nil
	case column.TypeEnum, column.TypeSet:
		compare, err := compareNames(in)
		return &extreme[uint64]{in: in, out: f.FieldType, values: uint64s, better: wants(isMax, compare),
			build: (*column.Builder).AppendUint64}, err
	}
	switch column.KindOf(in) {
	case column.Int64, column.Decimal64:
		return newOrdered(f, in, isMax, int64s, (*column.Builder).AppendInt64), nil
	case column.Uint64:
		return newOrdered(f, in, isMax, uint64s, (*column.Builder).AppendUint64), nil
	case column.Float64:
		return newOrdered(f, in, isMax, float64s, (*column.Builder).AppendFloat64), nil
	case column.Decimal128:
		return &extreme[decimal128.Num]{in: in, out: f.FieldType, build: (*column.Builder).AppendDecimal128,
			values: func(a arrow.Array) []decimal128.Num { return a.(*array.Decimal128).Values() },
			better: wants(isMax, decimal128.Num.Cmp)}, nil
	case column.Decimal256:
		return &extreme[decimal256.Num]{in: in, out: f.FieldType, build: (*column.Builder).AppendDecimal256,
			values: func(a arrow.Array) []decimal256.Num { return a.(*array.Decimal256).Values() },
			better: wants(isMax, decimal256.Num.Cmp)}, nil
	default:
		coll, err := value.CollatorByID(in.Collate)
		if err != nil {
			return nil, err
		}
		return &extremeBytes{in: in, out: f.FieldType, better: wants(isMax, coll.Compare)}, nil
	}
}

// compareJSON orders damaged values by their bytes.
func compareJSON(a, b []byte) int {
	c, err := value.CompareJSON(a, b)
	if err != nil {
		return bytes.Compare(a, b)
	}
	return c
}

// compareNames orders values of ENUM and SET by their names, not their numbers.
func compareNames(ft *tipb.FieldType) (func(a, b uint64) int, error) {
	coll, err := value.CollatorByID(ft.Collate)
	if err != nil {
		return nil, err
	}
	var bufA, bufB []byte
	return func(a, b uint64) int {
		if a == b {
			return 0
		}
		bufA = datum.NewUint64(a).AppendText(bufA[:0], ft)
		bufB = datum.NewUint64(b).AppendText(bufB[:0], ft)
		return coll.Compare(bufA, bufB)
	}, nil
}

func int64s(a arrow.Array) []int64     { return a.(*array.Int64).Int64Values() }
func uint64s(a arrow.Array) []uint64   { return a.(*array.Uint64).Uint64Values() }
func float64s(a arrow.Array) []float64 { return a.(*array.Float64).Float64Values() }

func wants[T any](isMax bool, compare func(a, b T) int) func(a, b T) bool {
	if isMax {
		return func(a, b T) bool { return compare(a, b) > 0 }
	}
	return func(a, b T) bool { return compare(a, b) < 0 }
}

func newOrdered[T cmp.Ordered](f *tipb.Expr, in *tipb.FieldType, isMax bool, values func(arrow.Array) []T,
	build func(*column.Builder, T)) Accumulator {
	better := func(a, b T) bool { return a < b }
	if isMax {
		better = func(a, b T) bool { return a > b }
	}
	return &extreme[T]{in: in, out: f.FieldType, values: values, better: better, build: build}
}

func (e *extreme[T]) Resize(groups int) { e.best, e.seen = grow(e.best, groups), grow(e.seen, groups) }
func (e *extreme[T]) Bytes() int64      { return int64(33 * cap(e.best)) }

func (e *extreme[T]) Update(groups []uint32, args []arrow.Array) error {
	vals, valid := e.values(args[0]), column.NullBits(args[0])
	for i, g := range groups {
		if !column.IsValid(valid, i) {
			continue
		}
		if v := vals[i]; !e.seen[g] || e.better(v, e.best[g]) {
			e.best[g], e.seen[g] = v, true
		}
	}
	return nil
}

func (e *extreme[T]) Merge(groups []uint32, state []arrow.Array) error {
	return e.Update(groups, state)
}

func (e *extreme[T]) Partial(from, to int) ([]arrow.Array, error) {
	a, err := e.Final(from, to)
	return []arrow.Array{a}, err
}

func (e *extreme[T]) Final(from, to int) (arrow.Array, error) {
	b := column.NewBuilder(e.in, to-from)
	for g := from; g < to; g++ {
		if e.seen[g] {
			e.build(b, e.best[g])
		} else {
			b.AppendNull()
		}
	}
	return retype(b.Detach(), e.in, e.out)
}

// extremeBytes is MIN or MAX of strings in the order of their collation.
type extremeBytes struct {
	in, out *tipb.FieldType
	best    [][]byte // nil: none yet
	size    int64    // of all best
	better  func(a, b []byte) bool
}

func (e *extremeBytes) Resize(groups int) { e.best = grow(e.best, groups) }
func (e *extremeBytes) Bytes() int64      { return e.size + int64(24*cap(e.best)) }

func (e *extremeBytes) Update(groups []uint32, args []arrow.Array) error {
	a := args[0].(*array.Binary)
	valid := column.NullBits(a)
	for i, g := range groups {
		if !column.IsValid(valid, i) {
			continue
		}
		v, best := a.Value(i), e.best[g]
		if best == nil || e.better(v, best) {
			e.size += int64(len(v) - len(best))
			e.best[g] = append(append(best[:0], v...), 0)[:len(v)] // never nil
		}
	}
	return nil
}

func (e *extremeBytes) Merge(groups []uint32, state []arrow.Array) error {
	return e.Update(groups, state)
}

func (e *extremeBytes) Partial(from, to int) ([]arrow.Array, error) {
	a, err := e.Final(from, to)
	return []arrow.Array{a}, err
}

func (e *extremeBytes) Final(from, to int) (arrow.Array, error) {
	return retype(stringColumn(e.in, e.best[from:to]), e.in, e.out)
}

// stringColumn makes a column of strings, nil ones NULL.
func stringColumn(ft *tipb.FieldType, vals [][]byte) arrow.Array {
	b := column.NewBuilder(ft, len(vals))
	for _, v := range vals {
		if v == nil {
			b.AppendNull()
		} else {
			b.AppendBytes(v)
		}
	}
	return b.Detach()
}
