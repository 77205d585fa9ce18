package engine

import "github.com/cockroachdb/pebble/v2/vfs"

// preallocateFirst is how much of a file is allocated before it is known to grow. Pebble gives each write-ahead log the
// room of a full memtable at once, which keeps syncs fast; but the memtables of a new database begin small and double,
// each with a log of its own, so that some megabytes of data would take a gigabyte.
const preallocateFirst = 16 << 20

// frugalFS is a file system whose files get room in two steps.
type frugalFS struct{ vfs.FS }

// Create implements vfs.FS.
func (fs frugalFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	return &frugalFile{File: f}, nil
}

// Unwrap implements vfs.FS.
func (fs frugalFS) Unwrap() vfs.FS { return fs.FS }

// frugalFile is a file that is written from its beginning on, by one goroutine at a time.
type frugalFile struct {
	vfs.File
	written   int64
	allocated int64
	wanted    int64 // what Preallocate asked for
}

// Preallocate implements vfs.File: all but the first part waits until the file grows.
func (f *frugalFile) Preallocate(offset, length int64) error {
	f.wanted = max(f.wanted, offset+length)
	return f.allocate(min(f.wanted, preallocateFirst))
}

// Write implements vfs.File.
func (f *frugalFile) Write(p []byte) (int, error) {
	if f.written+int64(len(p)) > f.allocated-preallocateFirst/2 {
		_ = f.allocate(f.wanted) // it is for speed; a disk that is full says so when it is written
	}
	n, err := f.File.Write(p)
	f.written += int64(n)
	return n, err
}

func (f *frugalFile) allocate(end int64) error {
	if end <= f.allocated {
		return nil
	}
	err := f.File.Preallocate(f.allocated, end-f.allocated)
	f.allocated = end
	return err
}
