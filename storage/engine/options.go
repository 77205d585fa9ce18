package engine

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configure an engine. Zero values stand for the defaults named.
type Options struct {
	// FS is the file system, the operating system's by default.
	FS vfs.FS
	// CacheBytes bounds the cache of uncompressed blocks, 256 MiB by default. It fills as blocks are read.
	CacheBytes int64
	// MemTableBytes is the size at which a memtable is flushed, 64 MiB by default; the first ones are smaller. Up to
	// 256 MiB of them, but two at least, may be in memory before writers wait.
	MemTableBytes int64
	// DisableWAL trades the durability of single commits for speed; see the package comment.
	DisableWAL bool
	// Uncompressed leaves tables as they are: for data that is deleted soon after it was written.
	Uncompressed bool
	// LateCompactions has compactions wait for StartCompactions: what there is to do first after a start shall have the machine
	// for itself.
	LateCompactions bool
	// Logger receives errors, stalls and, at debug level, flushes and compactions. slog.Default() by default.
	Logger *slog.Logger
}

const (
	defaultCacheBytes    = 256 << 20
	defaultMemTableBytes = 64 << 20

	memTablesBytes = 256 << 20
	blockBytes     = 32 << 10 // large blocks: scans matter more here than cold point reads
	indexBytes     = 256 << 10
	filterBitsKey  = 10
	fileBytes      = 16 << 20 // on the level below L0; doubling from level to level
	levelBaseBytes = 128 << 20
	compactionsMax = 2
)

func (o Options) withDefaults() Options {
	o.CacheBytes = cmp.Or(o.CacheBytes, defaultCacheBytes)
	o.MemTableBytes = cmp.Or(o.MemTableBytes, defaultMemTableBytes)
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// pebbleOptions are the options of the database; the caller adds the directory lock.
func (o Options) pebbleOptions() *pebble.Options {
	po := &pebble.Options{
		FS:                          frugalFS{o.FS},
		CacheSize:                   o.CacheBytes,
		Comparer:                    mvccComparer,
		DisableWAL:                  o.DisableWAL,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: int(max(2, memTablesBytes/o.MemTableBytes)),
		LBaseMaxBytes:               levelBaseBytes,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		FlushSplitBytes:             2 * o.MemTableBytes,
		CompactionConcurrencyRange:  func() (int, int) { return 1, compactionsMax },
		BlockPropertyCollectors:     []func() pebble.BlockPropertyCollector{newCommitTSCollector, newVersionCollector},
		Logger:                      pebbleLogger{o.Logger},
	}
	// A flush makes one table of each family: a single table that overlaps with nothing moves down as it is, several are
	// rewritten.
	po.TargetFileSizes[0] = o.MemTableBytes
	for i := 1; i < len(po.TargetFileSizes); i++ {
		po.TargetFileSizes[i] = fileBytes << (i - 1)
	}
	po.Experimental.SpanPolicyFunc = splitAtFamilies
	po.Experimental.EnableColumnarBlocks = func() bool { return true }
	// An ingested table joins the queue of memtables only by way of the write-ahead log.
	po.Experimental.DisableIngestAsFlushable = func() bool { return o.DisableWAL }
	for i := range po.Levels {
		po.Levels[i] = pebble.LevelOptions{
			BlockSize:      blockBytes,
			IndexBlockSize: indexBytes,
			FilterPolicy:   bloom.FilterPolicy(filterBitsKey),
			Compression:    o.compression,
		}
	}
	return po
}

func (o Options) compression() *sstable.CompressionProfile {
	if o.Uncompressed {
		return sstable.NoCompression
	}
	return sstable.FastestCompression
}

// splitAtFamilies gives each family tables of its own. Families are written side by side, so tables that held several
// would overlap with all others: rows that arrive in the order of their keys, whose tables can go down the levels as they
// are, would be rewritten on each.
func splitAtFamilies(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	if len(start) > 0 && start[0] < math.MaxUint8 {
		end = []byte{start[0] + 1}
	}
	return policy, end, nil
}

// pebbleLogger passes Pebble's own messages on.
type pebbleLogger struct{ log *slog.Logger }

// Infof implements pebble.Logger.
func (l pebbleLogger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

// Errorf implements pebble.Logger.
func (l pebbleLogger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf implements pebble.Logger. Pebble calls it where it cannot go on, such as a failed write of its manifest, and
// relies on its not returning.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	l.log.Error(msg)
	panic("storage engine: " + msg)
}

// events logs what an operator wants to know, and tells the size estimate about flushes.
func (e *Engine) events() *pebble.EventListener {
	log := e.log
	return &pebble.EventListener{
		BackgroundError: func(err error) { log.Error("storage engine background error", "err", err) },
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			log.Error("storage engine found corrupt data", "path", i.Path, "err", i.Details)
		},
		DiskSlow:     func(i pebble.DiskSlowInfo) { log.Warn("disk is slow", "info", i.String()) },
		LowDiskSpace: func(i pebble.LowDiskSpaceInfo) { log.Warn("disk space is low", "info", i.String()) },
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			e.stalls.Add(1)
			log.Warn("writes are stalled", "reason", i.Reason)
		},
		WriteStallEnd: func() { log.Info("writes go on") },
		FlushBegin:    func(pebble.FlushInfo) { e.unflushed.flushBegin() },
		FlushEnd: func(i pebble.FlushInfo) {
			e.unflushed.flushEnd(i.Err)
			select {
			case e.flushed <- struct{}{}:
			default:
			}
			log.Debug("flushed", "info", i.String())
		},
		CompactionEnd: func(i pebble.CompactionInfo) { log.Debug("compacted", "info", i.String()) },
		TableIngested: func(i pebble.TableIngestInfo) { log.Debug("ingested", "info", i.String()) },
	}
}
