package engine

// Metrics is a reading of an engine's state. Sizes are bytes.
type Metrics struct {
	DiskBytes, DiskBytesObsolete uint64
	MemTableBytes                uint64
	MemTables                    int64
	CacheBytes                   int64
	CacheHits, CacheMisses       int64
	Flushes, Compactions         int64
	CompactionDebtBytes          uint64
	CompactionsRunning           int64
	ReadAmplification            int
	WALBytes                     uint64
	WALBytesWritten              uint64
	WriteStalls                  int64
	SnapshotsOpen                int
	IteratorsOpen                int64
	Levels                       []LevelMetrics
	text                         string
}

// LevelMetrics describes one level of the tree.
type LevelMetrics struct {
	Files int64
	Bytes int64
	Score float64 // above 1: wants compaction
}

// String is the engine's own table of its state, for people.
func (m *Metrics) String() string { return m.text }

// Metrics reads the engine's state.
func (e *Engine) Metrics() *Metrics {
	p := e.db.Metrics()
	m := &Metrics{
		DiskBytes:           p.DiskSpaceUsage(),
		DiskBytesObsolete:   p.Table.ObsoleteSize,
		MemTableBytes:       p.MemTable.Size,
		MemTables:           p.MemTable.Count,
		CacheBytes:          p.BlockCache.Size,
		CacheHits:           p.BlockCache.Hits,
		CacheMisses:         p.BlockCache.Misses,
		Flushes:             p.Flush.Count,
		Compactions:         p.Compact.Count,
		CompactionDebtBytes: p.Compact.EstimatedDebt,
		CompactionsRunning:  p.Compact.NumInProgress,
		ReadAmplification:   p.ReadAmp(),
		WALBytes:            p.WAL.Size,
		WALBytesWritten:     p.WAL.BytesWritten,
		WriteStalls:         e.stalls.Load(),
		SnapshotsOpen:       p.Snapshots.Count,
		IteratorsOpen:       p.TableIters,
		text:                p.String(),
	}
	for i := range p.Levels {
		l := &p.Levels[i]
		m.Levels = append(m.Levels, LevelMetrics{Files: l.TablesCount, Bytes: l.TablesSize, Score: l.Score})
	}
	return m
}
