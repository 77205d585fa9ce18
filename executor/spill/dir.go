// Package spill keeps batches in temporary files, for operators whose rows outgrow their memory.
//
// A Dir is a directory of such files, one for a process. An operator writes batches with a Writer and gets a Run, which
// it reads, in the order written, as often as it likes, and removes:
//
//	w := dir.NewWriter(types); w.Write(batch) ...; run, err := w.Finish()
//	r, err := run.Open(); batch, err := r.Next() ... io.EOF
//
// A file is a sequence of frames, one for each batch:
//
//	4 bytes  length of the body, little-endian
//	8 bytes  xxh3 of the body
//	body     an s2 block: number of rows, then for each column its validity bitmap and buffers (see frame.go)
//
// Files mean nothing to another process: a process empties its directory before it makes a Dir of it.
package spill

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/scree-db/scree/codec/value"
)

// FS is where files are. Names have no directories in them. Safe for concurrent use.
type FS interface {
	Create(name string) (io.WriteCloser, error)
	Open(name string) (io.ReadCloser, error)
	Remove(name string) error
}

// Dir hands out files. Safe for concurrent use.
type Dir struct {
	fs    FS
	path  string
	limit int64
	names atomic.Uint64
	used  atomic.Int64
	// buffers has *frameBuffers.
	buffers sync.Pool
}

// NewDir uses fs, which is empty. path is what errors call it; limit bounds the bytes of all files together, 0 does not.
func NewDir(fs FS, path string, limit int64) *Dir { return &Dir{fs: fs, path: path, limit: limit} }

// Used is the size of all files together in bytes.
func (d *Dir) Used() int64 { return d.used.Load() }

// Suffix ends the name of every file.
const Suffix = ".run"

func (d *Dir) nextName() string { return strconv.FormatUint(d.names.Add(1), 36) + Suffix }

// grow counts n bytes more.
func (d *Dir) grow(n int64) error {
	if used := d.used.Add(n); d.limit > 0 && used > d.limit {
		d.used.Add(-n)
		return value.Errorf(value.CodeMemoryQuota, "Your query has been cancelled due to exceeding the allowed memory limit "+
			"for a single SQL query, and the limit of %d bytes for temporary files in %s", d.limit, d.path)
	}
	return nil
}

// failed says which directory cannot take what memory cannot hold either.
func (d *Dir) failed(err error) error {
	return &Error{Dir: d.path, err: err}
}

// Error is a temporary file that could not be written or read back.
type Error struct {
	Dir string
	err error
}

func (e *Error) Error() string { return fmt.Sprintf("temporary files in %s: %v", e.Dir, e.err) }

// Unwrap gives MySQL error 8175, for clients, and the cause.
func (e *Error) Unwrap() []error {
	return []error{value.Errorf(value.CodeMemoryQuota, "Your query has been cancelled due to exceeding the allowed memory "+
		"limit for a single SQL query, and %s", e.Error()), e.err}
}
