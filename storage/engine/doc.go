// Package engine keeps ordered bytes on disk. It is the only user of Pebble; above it the project speaks of column
// families and of the types of package storage.
//
// An Engine is one database directory. Keys belong to a family, storage.CF, which is stored as one prefix byte, so
// families lie behind one another in the key space and one Batch moves several of them atomically. The families that
// package storage names hold the data of regions; other bytes are free for what their owner keeps beside it (the raft log,
// region descriptors, applied indexes).
//
// The database knows a little about transactional keys, those of storage.CFWrite and storage.CFDefault:
//
//	family byte | mce(user key) | ^timestamp, 8 bytes big-endian
//
// The comparer splits them before the timestamp. This gives bloom filters over user keys, which an iterator opened with
// storage.IterOptions.Prefix uses, and lets old versions' values live apart from what a scan reads. Each block of
// CFWrite also records the interval of its commit timestamps; storage.IterOptions.MinTS skips blocks by it.
//
// A store opens two engines: one with a synced write-ahead log for the raft log, and one with Options.DisableWAL for the
// data. Without a write-ahead log a crash takes back everything since the last flush, and exactly that: what survives
// is a prefix of the batches in commit order. GetDurable reads what would survive now.
package engine
