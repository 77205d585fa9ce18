package executor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// sortSpec is one item of an ORDER BY.
type sortSpec struct {
	ft   *tipb.FieldType
	desc bool
	coll value.Collator // of strings; nil: not a string
}

func newSortSpecs(items []*tipb.ByItem, types []*tipb.FieldType) ([]sortSpec, error) {
	specs := make([]sortSpec, len(items))
	for i, item := range items {
		specs[i] = sortSpec{ft: types[i], desc: item.Desc}
		if column.KindOf(types[i]) == column.Bytes && types[i].Tp != column.TypeJSON {
			coll, err := value.CollatorByID(types[i].Collate)
			if err != nil {
				return nil, err
			}
			specs[i].coll = coll
		}
	}
	return specs, nil
}

// Sorting works column by column on words. prefixes maps each value to a 64-bit word whose order never contradicts that
// of the values, descending order and NULLs included: numbers of 64 bits as they are, of longer ones and strings the head.
// Rows are sorted by the words of the first column; within a run of equal words, by the values themselves where a word
// does not tell all; and within a run of equal values by the next column, the same way. So the hot loops move pairs of
// word and row number, and look at values only where words tie.

// sortRows sorts row numbers by the columns. Rows that are equal in all columns keep the order of their numbers, if rows
// was in that order. It ends early, with the context's error, when that is done.
func sortRows(ctx context.Context, rows []int32, specs []sortSpec, cols []arrow.Array) error {
	s := sorter{stop: interrupt{ctx: ctx}, specs: specs, cols: cols, words: make([][]uint64, len(specs)), exact: make([]bool, len(specs)),
		compare: make([]func(i, j int) int, len(specs))}
	s.sort(rows, 0)
	return s.stop.err
}

// interrupt ends loops that have no way to return an error when their query is cancelled.
type interrupt struct {
	ctx   context.Context
	calls int
	err   error
}

// interruptEvery is how many calls of seldom make one look at the context: some 100 µs of comparisons.
const interruptEvery = 4096

// now reports whether to stop.
func (i *interrupt) now() bool {
	if i.err == nil {
		i.err = i.ctx.Err()
	}
	return i.err != nil
}

// seldom is now for tight loops.
func (i *interrupt) seldom() bool {
	if i.calls++; i.calls%interruptEvery == 0 {
		return i.now()
	}
	return i.err != nil
}

type sorter struct {
	stop  interrupt
	specs []sortSpec
	cols  []arrow.Array
	words [][]uint64 // of each column by row, made when first needed
	exact []bool     // equal words mean equal values
	// compare has the comparer of each column that needed one.
	compare []func(i, j int) int
	items   []wordRow
	spare   []wordRow
}

type wordRow struct {
	word uint64
	row  int32
}

func (s *sorter) sort(rows []int32, level int) {
	if level == len(s.specs) || len(rows) < 2 || s.stop.seldom() {
		return
	}
	if s.words[level] == nil {
		s.words[level], s.exact[level] = s.specs[level].prefixes(s.cols[level])
	}
	words := s.words[level]
	items := s.items[:0]
	for _, r := range rows {
		items = append(items, wordRow{words[r], r})
	}
	items, s.spare = sortWords(items, s.spare, s.stop.now)
	s.items = items
	for i, it := range items {
		rows[i] = it.row
	}
	for from := 0; from < len(rows) && s.stop.err == nil; {
		to := from + 1
		for to < len(rows) && words[rows[to]] == words[rows[from]] {
			to++
		}
		s.sortRun(rows[from:to], level)
		from = to
	}
}

// sortRun sorts rows that have the same word at level.
func (s *sorter) sortRun(rows []int32, level int) {
	if len(rows) < 2 {
		return
	}
	if s.exact[level] {
		s.sort(rows, level+1)
		return
	}
	if s.compare[level] == nil {
		s.compare[level] = s.specs[level].comparer(s.cols[level])
	}
	compare := s.compare[level]
	slices.SortStableFunc(rows, func(a, b int32) int {
		if s.stop.seldom() {
			return 0
		}
		return compare(int(a), int(b))
	})
	for from := 0; from < len(rows) && s.stop.err == nil; {
		to := from + 1
		for to < len(rows) && compare(int(rows[from]), int(rows[to])) == 0 {
			to++
		}
		s.sort(rows[from:to], level+1)
		from = to
	}
}

const radixMin = 512

// sortWords sorts items by word, stably, and returns them and memory for the next call. stop is asked from time to time.
func sortWords(items, spare []wordRow, stop func() bool) (sorted, other []wordRow) {
	if len(items) < radixMin {
		slices.SortFunc(items, func(a, b wordRow) int {
			if c := cmp.Compare(a.word, b.word); c != 0 {
				return c
			}
			return cmp.Compare(a.row, b.row) // stable where rows ascend
		})
		return items, spare
	}
	return radixSort(items, spare, stop)
}

// radixSort sorts by the bytes of the words from the least significant, and skips bytes that are the same everywhere.
func radixSort(items, spare []wordRow, stop func() bool) (sorted, other []wordRow) {
	if cap(spare) < len(items) {
		spare = make([]wordRow, len(items))
	}
	spare = spare[:len(items)]
	var counts [8][256]int32
	for _, it := range items {
		for d := range counts {
			counts[d][byte(it.word>>(8*d))]++
		}
	}
	for d := range counts {
		shift := 8 * d
		if counts[d][byte(items[0].word>>shift)] == int32(len(items)) {
			continue
		}
		if stop() {
			return items, spare
		}
		var at [256]int32
		sum := int32(0)
		for b, n := range counts[d] {
			at[b] = sum
			sum += n
		}
		for _, it := range items {
			b := byte(it.word >> shift)
			spare[at[b]] = it
			at[b]++
		}
		items, spare = spare, items
	}
	return items, spare
}

// prefixes returns the words of a column, and whether equal words mean equal values.
func (s *sortSpec) prefixes(a arrow.Array) (words []uint64, exact bool) {
	words = make([]uint64, a.Len())
	exact = s.putWords(words, a)
	if bits := column.NullBits(a); bits != nil {
		exact = false // the least word may be a value's too
		for i := range words {
			if !column.IsValid(bits, i) {
				words[i] = 0
			}
		}
	}
	if s.desc {
		for i := range words {
			words[i] = ^words[i]
		}
	}
	return words, exact
}

func (s *sortSpec) putWords(words []uint64, a arrow.Array) (exact bool) {
	switch a := a.(type) {
	case *array.Int64:
		for i, v := range a.Int64Values() {
			words[i] = signedWord(v)
		}
		return true
	case *array.Uint64:
		copy(words, a.Uint64Values())
		return true
	case *array.Float64:
		for i, v := range a.Float64Values() {
			words[i] = memcmp.FloatBits(v + 0) // the zeros are equal
		}
		return true
	case *array.Decimal128:
		for i, v := range a.Values() {
			words[i] = wideWord(decimal256.FromDecimal128(v))
		}
	case *array.Decimal256:
		for i, v := range a.Values() {
			words[i] = wideWord(v)
		}
	case *array.Binary:
		s.putStrings(words, a)
	}
	return false
}

func signedWord(v int64) uint64 { return uint64(v) ^ 1<<63 }

// wideWord saturates: most wide decimals hold small numbers.
func wideWord(v decimal256.Num) uint64 {
	if n, ok := column.CoefInt64(v); ok {
		return signedWord(n)
	}
	if v.Sign() < 0 {
		return 0
	}
	return math.MaxUint64
}

// putStrings takes the head of each string's sort key. JSON values have none: their words are all the same.
func (s *sortSpec) putStrings(words []uint64, a *array.Binary) {
	if s.coll == nil {
		return
	}
	var key []byte
	for i := range a.Len() {
		v := a.Value(i)
		if !s.coll.KeyIsIdentity() {
			key = s.coll.AppendKey(key[:0], v)
			v = key
		}
		if len(v) >= 8 {
			words[i] = binary.BigEndian.Uint64(v)
			continue
		}
		var head [8]byte
		copy(head[:], v)
		words[i] = binary.BigEndian.Uint64(head[:])
	}
}

// comparer compares two rows of a column: NULL first, or last where it descends.
func (s *sortSpec) comparer(a arrow.Array) func(i, j int) int {
	compare := s.valueComparer(a)
	if bits := column.NullBits(a); bits != nil {
		plain := compare
		compare = func(i, j int) int {
			vi, vj := column.IsValid(bits, i), column.IsValid(bits, j)
			switch {
			case vi && vj:
				return plain(i, j)
			case vi:
				return 1
			case vj:
				return -1
			}
			return 0
		}
	}
	if s.desc {
		return func(i, j int) int { return compare(j, i) }
	}
	return compare
}

func (s *sortSpec) valueComparer(a arrow.Array) func(i, j int) int {
	switch a := a.(type) {
	case *array.Int64:
		return func(i, j int) int { return cmp.Compare(a.Value(i), a.Value(j)) }
	case *array.Uint64:
		return func(i, j int) int { return cmp.Compare(a.Value(i), a.Value(j)) }
	case *array.Float64:
		return func(i, j int) int { return cmp.Compare(a.Value(i), a.Value(j)) }
	case *array.Decimal128:
		return func(i, j int) int { return a.Value(i).Cmp(a.Value(j)) }
	case *array.Decimal256:
		return func(i, j int) int { return a.Value(i).Cmp(a.Value(j)) }
	case *array.Binary:
		if s.coll != nil && s.coll.KeyIsIdentity() {
			return func(i, j int) int { return bytes.Compare(a.Value(i), a.Value(j)) }
		}
		return func(i, j int) int { return s.compareBytes(a.Value(i), a.Value(j)) }
	default:
		panic("executor: no such physical type " + a.DataType().String())
	}
}

func (s *sortSpec) compareBytes(a, b []byte) int {
	if s.coll != nil {
		return s.coll.Compare(a, b)
	}
	c, err := value.CompareJSON(a, b)
	if err != nil { // damaged values have some order too
		return bytes.Compare(a, b)
	}
	return c
}

// columnOffset reads the value of a column reference.
func columnOffset(val []byte) int {
	v, _, err := memcmp.DecodeInt64(val)
	if err != nil || v < 0 || v > math.MaxInt32 {
		return -1
	}
	return int(v)
}
