package raftsim

import (
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a file system in memory that forgets what was not synced when its power is cut. The power can be cut right before
// a sync: then the disk keeps what was synced until then, but those who write to it do not learn of it before their step is
// over. Nothing of what they say after the cut may be heard.
type Disk struct {
	vfs.FS
	mem *vfs.MemFS

	mu    sync.Mutex
	dir   string     // of the files whose sync is awaited
	left  int        // syncs there until the power is cut; 0: it is not
	image *vfs.MemFS // what the cut has left
}

// NewDisk makes an empty disk.
func NewDisk() *Disk { return diskOf(vfs.NewCrashableMem()) }

func diskOf(mem *vfs.MemFS) *Disk { return &Disk{FS: mem, mem: mem} }

// CutAtSync cuts the power before the n-th sync, from 1 on, of a file below dir.
func (d *Disk) CutAtSync(n int, dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.dir = n, dir
}

// Spare takes back CutAtSync if nothing has happened.
func (d *Disk) Spare() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = 0
}

// Cut tells whether the power is cut.
func (d *Disk) Cut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.image != nil
}

// Reboot is the disk after its power was cut, at the latest now.
func (d *Disk) Reboot() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.image == nil {
		d.image = d.mem.CrashClone(vfs.CrashCloneCfg{})
	}
	return diskOf(d.image)
}

func (d *Disk) beforeSync(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 || !strings.HasPrefix(name, d.dir) {
		return
	}
	if d.left--; d.left == 0 {
		d.image = d.mem.CrashClone(vfs.CrashCloneCfg{})
	}
}

func (d *Disk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d, name}, nil
}

// Create implements vfs.FS.
func (d *Disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return d.wrap(name, f, err)
}

// OpenReadWrite implements vfs.FS.
func (d *Disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, c, opts...)
	return d.wrap(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (d *Disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	return d.wrap(to, f, err)
}

// OpenDir implements vfs.FS.
func (d *Disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	return d.wrap(name, f, err)
}

// Unwrap implements vfs.FS.
func (d *Disk) Unwrap() vfs.FS { return d.FS }

// diskFile is an open file or directory.
type diskFile struct {
	vfs.File
	d    *Disk
	name string
}

// Sync implements vfs.File.
func (f *diskFile) Sync() error {
	f.d.beforeSync(f.name)
	return f.File.Sync()
}

// SyncData implements vfs.File.
func (f *diskFile) SyncData() error {
	f.d.beforeSync(f.name)
	return f.File.SyncData()
}
