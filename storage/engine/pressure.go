package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pressure tells how far writes are ahead of flushes and compactions.
type Pressure struct {
	// MemTables is how full memory for memtables is: at 1 writers wait for a flush.
	MemTables float64
	// Sublevels is the depth of level 0: how many tables a read of one key has to look at there.
	Sublevels int
	// DebtBytes is what compactions have to rewrite until all levels have their sizes.
	DebtBytes uint64
}

// Pressure reads the engine's state.
func (e *Engine) Pressure() Pressure {
	m := e.db.Metrics()
	limit := float64(e.options.MemTableStopWritesThreshold) * float64(e.options.MemTableSize)
	return Pressure{
		MemTables: float64(m.MemTable.Size) / limit, Sublevels: int(m.Levels[0].Sublevels), DebtBytes: m.Compact.EstimatedDebt,
	}
}

// Space is what the file system of an engine holds, in bytes.
type Space struct{ Total, Free uint64 }

// Space asks the file system; false if it has no answer.
func (e *Engine) Space() (Space, bool, error) {
	u, err := e.fs.GetDiskUsage(e.dir)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
		return Space{}, false, nil
	case err != nil:
		return Space{}, false, fmt.Errorf("disk space of %s: %w", e.dir, err)
	}
	return Space{Total: u.TotalBytes, Free: u.AvailBytes}, true, nil
}
