package node

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/scree-db/scree/executor/spill"
)

// spillFS is a directory for what queries cannot hold in memory.
type spillFS string

// openSpill makes the directory and removes what a process before has left there.
func openSpill(path string) (*spill.Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("directory of temporary files: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("directory of temporary files: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), spill.Suffix) {
			continue
		}
		if err := os.Remove(filepath.Join(path, e.Name())); err != nil {
			return nil, fmt.Errorf("empty the directory of temporary files: %w", err)
		}
	}
	return spill.NewDir(spillFS(path), path, 0), nil
}

func (s spillFS) Create(name string) (io.WriteCloser, error) {
	return os.OpenFile(filepath.Join(string(s), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func (s spillFS) Open(name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(s), name))
}

func (s spillFS) Remove(name string) error { return os.Remove(filepath.Join(string(s), name)) }
