package spill

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// MemFS is an FS in memory, for tests. The zero value is empty.
type MemFS struct {
	// WriteErr, when not nil, is asked before every write: total is the number of bytes written so far.
	WriteErr func(total int) error

	mu    sync.Mutex
	files map[string]*bytes.Buffer
	total int
}

type memFile struct {
	fs   *MemFS
	data *bytes.Buffer
}

// Create makes an empty file.
func (m *MemFS) Create(name string) (io.WriteCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = map[string]*bytes.Buffer{}
	}
	if m.files[name] != nil {
		return nil, fmt.Errorf("create %s: %w", name, fs.ErrExist)
	}
	m.files[name] = &bytes.Buffer{}
	return &memFile{m, m.files[name]}, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.WriteErr != nil {
		if err := f.fs.WriteErr(f.fs.total); err != nil {
			return 0, err
		}
	}
	f.fs.total += len(p)
	return f.data.Write(p)
}

func (f *memFile) Close() error { return nil }

// Open reads a file as it is now.
func (m *MemFS) Open(name string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	if f == nil {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(f.Bytes())), nil
}

// Remove deletes a file.
func (m *MemFS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] == nil {
		return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
	}
	delete(m.files, name)
	return nil
}

// Len is the number of files.
func (m *MemFS) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.files)
}

// Written is the number of bytes ever written.
func (m *MemFS) Written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}
