package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// ident is who a store is, for as long as its directory lives.
type ident struct {
	ClusterID uint64 `json:"cluster_id"`
	StoreID   uint64 `json:"store_id"`
	// API is the version of the data.
	API kvrpcpb.APIVersion `json:"api_version"`
}

// loadIdent reads the identity of the store in dir; the zero ident if it is a new one.
func loadIdent(dir string) (ident, error) {
	var id ident
	b, err := os.ReadFile(filepath.Join(dir, "IDENT"))
	if errors.Is(err, fs.ErrNotExist) {
		return id, nil
	}
	if err != nil {
		return id, fmt.Errorf("store identity: %w", err)
	}
	if err := json.Unmarshal(b, &id); err != nil || id.ClusterID == 0 || id.StoreID == 0 {
		return id, fmt.Errorf("store identity in %s is damaged: %q", dir, b)
	}
	return id, nil
}

// save makes the identity durable.
func (id ident) save(dir string) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	if err := writeFileSync(filepath.Join(dir, "IDENT"), append(b, '\n')); err != nil {
		return fmt.Errorf("store identity: %w", err)
	}
	return nil
}

// writeFileSync writes a whole file so that after a crash it is there completely or not at all.
func writeFileSync(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeDir creates a directory where absent, so that it is there after a crash too.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
