package coprocessor

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor"
)

// sampler collects the statistics of rows. Columns come first, groups of columns after them.
type sampler struct {
	fields    []*tipb.FieldType
	collators []value.Collator // nil for columns that are not strings
	groups    []*tipb.AnalyzeColumnGroup
	random    *rand.Rand
	// size is how many rows to keep of those with the greatest weights; 0: keep each row with probability rate.
	size int
	rate float64

	rows    int64
	nulls   []int64
	bytes   []int64
	sketch  []*sketch
	samples samples
	held    int // bytes of samples
	max     int

	vals, keys [][]byte // of the row at hand: encoded, and as values that compare equal are equal
	group      []byte
}

// newSampler checks a request's bounds. Equal seeds draw equal samples of equal rows.
func newSampler(in *tipb.AnalyzeColumnsReq, fields []*tipb.FieldType, seed uint64, bytesMax int) (*sampler, error) {
	if in.SampleSize < 0 || in.SampleSize > samplesMax || in.SketchSize < 0 || in.SketchSize > sketchMax {
		return nil, fmt.Errorf("a sample of %d rows with sketches of %d hashes is out of bounds", in.SampleSize, in.SketchSize)
	}
	n := len(fields) + len(in.ColumnGroups)
	s := &sampler{
		fields: fields, groups: in.ColumnGroups, random: rand.New(rand.NewPCG(seed, 0)), size: int(in.SampleSize), rate: in.GetSampleRate(),
		nulls: make([]int64, n), bytes: make([]int64, n), sketch: make([]*sketch, n), max: bytesMax,
		collators: make([]value.Collator, len(fields)), vals: make([][]byte, len(fields)), keys: make([][]byte, len(fields)),
	}
	for i := range s.sketch {
		s.sketch[i] = newSketch(int(in.SketchSize))
	}
	for i, ft := range fields {
		if column.KindOf(ft) != column.Bytes || ft.Tp == column.TypeJSON {
			continue
		}
		var err error
		if s.collators[i], err = value.CollatorByID(ft.Collate); err != nil {
			return nil, err
		}
	}
	for _, g := range in.ColumnGroups {
		for _, at := range g.ColumnOffsets {
			if at < 0 || at >= int64(len(fields)) {
				return nil, fmt.Errorf("column group with column %d of %d", at, len(fields))
			}
		}
	}
	return s, nil
}

// add takes a row of a batch.
func (s *sampler) add(b executor.Batch, row int) error {
	for i, ft := range s.fields {
		d := datum.FromColumn(b.Cols[i], row, ft)
		var err error
		if s.vals[i], err = datum.AppendResponse(s.vals[i][:0], d, ft); err != nil {
			return err
		}
		s.keys[i] = append(s.keys[i][:0], s.vals[i]...)
		if c := s.collators[i]; c != nil && !d.IsNull() {
			s.keys[i] = c.AppendKey(s.keys[i][:1], d.Bytes())
		}
		s.count(i, d.IsNull(), len(s.vals[i])-1, s.keys[i])
	}
	for i, g := range s.groups {
		s.addGroup(len(s.fields)+i, g.ColumnOffsets)
	}
	s.rows++
	return s.choose()
}

// count notes a value of a column, or of a group of one.
func (s *sampler) count(at int, null bool, size int, key []byte) {
	if null {
		s.nulls[at]++
		return
	}
	s.bytes[at] += int64(size)
	s.sketch[at].add(hash(key))
}

func (s *sampler) addGroup(at int, columns []int64) {
	null := func(c int64) bool { return s.vals[c][0] == datum.FlagNull }
	if len(columns) == 1 {
		c := columns[0]
		s.count(at, null(c), len(s.vals[c])-1, s.keys[c])
		return
	}
	s.group = s.group[:0]
	for _, c := range columns {
		// The length keeps neighbours apart.
		s.group = append(append(s.group, s.keys[c]...), byte(len(s.keys[c])), byte(len(s.keys[c])>>8))
		s.bytes[at] += int64(len(s.vals[c]) - 1)
	}
	s.sketch[at].add(hash(s.group))
}

// choose decides whether the row belongs to the sample.
func (s *sampler) choose() error {
	weight := s.random.Int64()
	switch {
	case s.size == 0:
		if s.random.Float64() >= s.rate {
			return nil
		}
	case len(s.samples) == s.size:
		if weight <= s.samples[0].Weight {
			return nil
		}
		s.held -= sampleBytes(heap.Pop(&s.samples).(*tipb.RowSample))
	}
	one := &tipb.RowSample{Weight: weight, Row: make([][]byte, len(s.vals))}
	for i, v := range s.vals {
		one.Row[i] = bytes.Clone(v)
	}
	heap.Push(&s.samples, one)
	if s.held += sampleBytes(one); s.held > s.max {
		return fmt.Errorf("the sample exceeds %d bytes: ask for fewer rows", s.max)
	}
	return nil
}

func sampleBytes(r *tipb.RowSample) (n int) {
	for _, v := range r.Row {
		n += len(v)
	}
	return n
}

func (s *sampler) collector() *tipb.RowSampleCollector {
	out := &tipb.RowSampleCollector{Samples: s.samples, NullCounts: s.nulls, Count: s.rows, TotalSize: s.bytes}
	for _, k := range s.sketch {
		out.FmSketch = append(out.FmSketch, k.proto())
	}
	return out
}

// samples is a heap with the least weight on top.
type samples []*tipb.RowSample

func (s samples) Len() int           { return len(s) }
func (s samples) Less(i, j int) bool { return s[i].Weight < s[j].Weight }
func (s samples) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *samples) Push(x any)        { *s = append(*s, x.(*tipb.RowSample)) }
func (s *samples) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	*s = (*s)[:last]
	return x
}
