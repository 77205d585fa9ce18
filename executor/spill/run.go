package spill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/codec/column"
)

const headerSize = 12

// Writer writes one file. After an error, or if the run is not wanted, call Abort.
type Writer struct {
	dir  *Dir
	run  Run
	file io.WriteCloser // nil: nothing written yet
}

// frameBuffers are the memory to make or read a frame in, which the files of a Dir lend each other: a query has dozens.
type frameBuffers struct{ body, out []byte }

func (d *Dir) frameBuffers() *frameBuffers {
	if buf, ok := d.buffers.Get().(*frameBuffers); ok {
		return buf
	}
	return new(frameBuffers)
}

// NewWriter makes a writer of batches of the given types. The file is made with the first batch.
func (d *Dir) NewWriter(types []*tipb.FieldType) *Writer {
	w := &Writer{dir: d, run: Run{dir: d}}
	for _, ft := range types {
		w.run.kinds = append(w.run.kinds, column.KindOf(ft))
	}
	return w
}

// Rows is the number of rows written.
func (w *Writer) Rows() int64 { return w.run.rows }

// Write appends a batch: dense columns of the writer's types. Empty batches leave no trace.
func (w *Writer) Write(b column.Batch) error {
	if b.Rows == 0 {
		return nil
	}
	if w.file == nil {
		name := w.dir.nextName()
		file, err := w.dir.fs.Create(name)
		if err != nil {
			return w.dir.failed(err)
		}
		w.file, w.run.name = file, name
	}
	buf := w.dir.frameBuffers()
	defer w.dir.buffers.Put(buf)
	buf.body = appendFrame(buf.body[:0], b)
	if need := headerSize + s2.MaxEncodedLen(len(buf.body)); need < headerSize {
		return w.dir.failed(fmt.Errorf("a batch of %d bytes", len(buf.body)))
	} else if cap(buf.out) < need {
		buf.out = make([]byte, need)
	}
	packed := s2.Encode(buf.out[headerSize:cap(buf.out)], buf.body)
	frame := buf.out[:headerSize+len(packed)]
	binary.LittleEndian.PutUint32(frame, uint32(len(packed)))
	binary.LittleEndian.PutUint64(frame[4:], xxh3.Hash(packed))
	if err := w.dir.grow(int64(len(frame))); err != nil {
		return err
	}
	w.run.bytes += int64(len(frame))
	if _, err := w.file.Write(frame); err != nil {
		return w.dir.failed(err)
	}
	w.run.rows += int64(b.Rows)
	w.run.maxFrame, w.run.maxBody = max(w.run.maxFrame, len(packed)), max(w.run.maxBody, len(buf.body))
	return nil
}

// Finish ends the file. Without rows there is none, and the run is empty.
func (w *Writer) Finish() (*Run, error) {
	if w.file == nil {
		return &w.run, nil
	}
	file := w.file
	w.file = nil
	if err := file.Close(); err != nil {
		return nil, errors.Join(w.dir.failed(err), w.run.Remove())
	}
	return &w.run, nil
}

// Abort removes what was written. It does nothing after Finish.
func (w *Writer) Abort() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return errors.Join(err, w.run.Remove())
}

// Run is a finished file.
type Run struct {
	dir               *Dir
	name              string // "": no file
	kinds             []column.Kind
	rows, bytes       int64
	maxFrame, maxBody int
}

// Rows is the number of rows in the run.
func (r *Run) Rows() int64 { return r.rows }

// FrameBytes is the most memory that one batch of the run takes.
func (r *Run) FrameBytes() int64 { return int64(r.maxBody) }

// Remove deletes the file. Readers of it must be closed.
func (r *Run) Remove() error {
	if r.name == "" {
		return nil
	}
	name := r.name
	r.name = ""
	r.dir.used.Add(-r.bytes)
	if err := r.dir.fs.Remove(name); err != nil {
		return r.dir.failed(err)
	}
	return nil
}

// Open reads the run from its beginning.
func (r *Run) Open() (*Reader, error) {
	if r.name == "" {
		return &Reader{run: r}, nil
	}
	file, err := r.dir.fs.Open(r.name)
	if err != nil {
		return nil, r.dir.failed(err)
	}
	return &Reader{run: r, file: file, left: r.rows}, nil
}

// Reader gives the batches of a run.
type Reader struct {
	run  *Run
	file io.ReadCloser
	left int64
}

// Next returns the next batch, which is the caller's; io.EOF ends.
func (r *Reader) Next() (column.Batch, error) {
	if r.left == 0 {
		return column.Batch{}, io.EOF
	}
	b, err := r.next()
	if err != nil {
		if err == io.EOF { // rows are missing
			err = io.ErrUnexpectedEOF
		}
		return column.Batch{}, r.run.dir.failed(fmt.Errorf("read %s: %w", r.run.name, err))
	}
	r.left -= int64(b.Rows)
	return b, nil
}

func (r *Reader) next() (column.Batch, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r.file, header[:]); err != nil {
		return column.Batch{}, err
	}
	size := int(binary.LittleEndian.Uint32(header[:]))
	if size > r.run.maxFrame {
		return column.Batch{}, fmt.Errorf("%w: %d bytes long", errFrame, size)
	}
	buf := r.run.dir.frameBuffers()
	defer r.run.dir.buffers.Put(buf)
	if cap(buf.out) < size {
		buf.out = make([]byte, r.run.maxFrame)
	}
	packed := buf.out[:size]
	if _, err := io.ReadFull(r.file, packed); err != nil {
		return column.Batch{}, err
	}
	if xxh3.Hash(packed) != binary.LittleEndian.Uint64(header[4:]) {
		return column.Batch{}, fmt.Errorf("%w: wrong checksum", errFrame)
	}
	return unpack(packed, r.run.maxBody, r.run.kinds, r.left)
}

// unpack bounds what a frame may claim before it allocates.
func unpack(packed []byte, maxBody int, kinds []column.Kind, maxRows int64) (column.Batch, error) {
	n, err := s2.DecodedLen(packed)
	if err != nil {
		return column.Batch{}, err
	}
	if n > maxBody {
		return column.Batch{}, fmt.Errorf("%w: %d bytes unpacked", errFrame, n)
	}
	body, err := s2.Decode(make([]byte, max(n, 16)), packed) // 16 and more bytes are aligned for words
	if err != nil {
		return column.Batch{}, err
	}
	b, err := decodeFrame(body, kinds)
	if err == nil && (b.Rows == 0 || int64(b.Rows) > maxRows) {
		err = errFrame
	}
	return b, err
}

// Close ends reading; the run stays.
func (r *Reader) Close() error {
	r.left = 0
	if r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	if err := file.Close(); err != nil {
		return r.run.dir.failed(err)
	}
	return nil
}
