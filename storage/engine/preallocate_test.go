package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// roomFS notes how much its last file has been given.
type roomFS struct {
	vfs.FS
	room int64
}

type roomFile struct {
	vfs.File
	fs *roomFS
}

func (fs *roomFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return roomFile{f, fs}, err
}

func (f roomFile) Preallocate(offset, length int64) error {
	f.fs.room = max(f.fs.room, offset+length)
	return nil
}

// A file gets little room at first, and all that was asked for before it is full.
func TestRoomOfFiles(t *testing.T) {
	fs := &roomFS{FS: vfs.NewMem()}
	f, err := frugalFS{fs}.Create("log", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	require.NoError(t, f.Preallocate(0, 100<<20))
	require.EqualValues(t, preallocateFirst, fs.room)
	block := make([]byte, 1<<20)
	for written := 0; written < 12<<20; written += len(block) {
		_, err := f.Write(block)
		require.NoError(t, err)
		require.Equal(t, written+len(block) > preallocateFirst/2, fs.room == 100<<20)
	}
	require.NoError(t, f.Preallocate(100<<20, 100<<20))
	require.EqualValues(t, 100<<20, fs.room)
	_, err = f.Write(make([]byte, 90<<20))
	require.NoError(t, err)
	require.EqualValues(t, 200<<20, fs.room)
	require.NoError(t, f.Close())
}
