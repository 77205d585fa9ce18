package node

import "syscall"

// space is what a file system holds, in bytes.
type space struct{ total, free uint64 }

func diskSpace(dir string) (space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return space{}, err
	}
	unit := uint64(st.Bsize)
	return space{total: st.Blocks * unit, free: st.Bavail * unit}, nil
}
