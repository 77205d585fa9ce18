package executor

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/agg"
	"github.com/scree-db/scree/executor/spill"
)

const (
	splitBits = 4
	fanOut    = 1 << splitBits
	// maxSplits bounds how often rows are split. Then they have the same key, or so nearly that more files do not help.
	maxSplits = 4
)

// partitions splits rows by a hash of their keys into fanOut files. Rows are staged until there is a frame of them.
type partitions struct {
	hasher *agg.Hasher
	shift  int // where the bits of the hash are that choose the file
	frame  int64
	hashes []uint64
	rows   [fanOut][]int32
	files  [fanOut]partition
}

type partition struct {
	*spill.Writer
	stage []*column.Builder
}

// bytes is the memory of the stage, filled the part of it that is in use.
func (p *partition) bytes() (n int64) {
	for _, b := range p.stage {
		n += b.Bytes()
	}
	return n
}

func (p *partition) filled() (n int64) {
	for _, b := range p.stage {
		n += int64(8*b.Len() + len(b.Data))
	}
	return n
}

// newPartitions splits rows of the given types that have been split depth times before.
func newPartitions(a *account, types, keys []*tipb.FieldType, depth int) (*partitions, error) {
	hasher, err := agg.NewHasher(keys)
	if err != nil {
		return nil, err
	}
	p := &partitions{hasher: hasher, shift: 64 - splitBits*(depth+1), frame: a.memory.Share(8*fanOut, frameBytes/4)}
	for i := range p.files {
		f := &p.files[i]
		f.Writer = a.dir.NewWriter(types)
		for _, ft := range types {
			f.stage = append(f.stage, column.NewBuilder(ft, 0))
		}
	}
	return p, nil
}

// bytes is the memory of what is staged.
func (p *partitions) bytes() int64 {
	if p == nil {
		return 0
	}
	n := int64(0)
	for i := range p.files {
		n += p.files[i].bytes()
	}
	return n
}

// add takes the selected rows of b, whose keys are dense columns.
func (p *partitions) add(b Batch, keys []arrow.Array) error {
	p.hashes = p.hasher.Hash(keys, b.Len(), p.hashes)
	for i := range p.rows {
		p.rows[i] = p.rows[i][:0]
	}
	for i, h := range p.hashes {
		at := h >> p.shift % fanOut
		p.rows[at] = append(p.rows[at], int32(b.Row(i)))
	}
	for i, rows := range p.rows {
		if err := p.put(i, b.Cols, rows); err != nil {
			return err
		}
	}
	return nil
}

func (p *partitions) put(i int, cols []arrow.Array, rows []int32) error {
	if len(rows) == 0 {
		return nil
	}
	f := &p.files[i]
	for c, b := range f.stage {
		if err := appendBounded(b, cols[c], rows); err != nil {
			return err
		}
	}
	if f.stage[0].Len() >= column.BatchSize || f.filled() >= p.frame {
		return p.flush(i)
	}
	return nil
}

func (p *partitions) flush(i int) error {
	stage := p.files[i].stage
	err := p.files[i].Write(Batch{Cols: arrays(stage), Rows: stage[0].Len()})
	for _, b := range stage {
		b.Reset()
	}
	return err
}

// finish returns the files that have rows. The caller removes them, after an error too.
func (p *partitions) finish() ([]*spill.Run, error) {
	runs, err := p.finishAll()
	var filled []*spill.Run
	for _, r := range runs {
		if r != nil && r.Rows() > 0 {
			filled = append(filled, r)
		}
	}
	return filled, err
}

// finishAll returns all files, by number; after an error some are missing.
func (p *partitions) finishAll() ([]*spill.Run, error) {
	runs := make([]*spill.Run, fanOut)
	for i := range p.files {
		err := p.flush(i)
		if err == nil {
			runs[i], err = p.files[i].Finish()
		}
		if err != nil {
			return runs, errors.Join(err, p.abort())
		}
	}
	return runs, nil
}

// abort removes the files that are not finished.
func (p *partitions) abort() error {
	if p == nil {
		return nil
	}
	var errs []error
	for i := range p.files {
		errs = append(errs, p.files[i].Abort())
	}
	return errors.Join(errs...)
}

// runSource is an operator over a run.
type runSource struct {
	*spill.Reader
	fields []*tipb.FieldType
}

func newRunSource(fields []*tipb.FieldType, run *spill.Run) (*runSource, error) {
	r, err := run.Open()
	return &runSource{Reader: r, fields: fields}, err
}

func (s *runSource) Fields() []*tipb.FieldType { return s.fields }

func (s *runSource) Next(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	return s.Reader.Next()
}

// readRun gives the batches of a run to use.
func readRun(ctx context.Context, run *spill.Run, use func(Batch) error) error {
	in, err := run.Open()
	if err != nil {
		return err
	}
	for err == nil {
		var b Batch
		if err = ctx.Err(); err != nil {
			break
		}
		if b, err = in.Next(); err == nil {
			err = use(b)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, in.Close())
}
