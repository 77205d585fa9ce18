// Package raftlog keeps the raft logs of all regions of a store in one synced storage engine.
//
// A Log wraps the engine. Open returns the Storage of one region, which implements raft.Storage: entries, hard state and
// the truncated position, with the newest entries cached in memory. Changes of any number of regions are collected in
// one Batch and committed with one sync; that is the group commit of the store:
//
//	b := log.NewBatch()
//	for each region with work { storage.Append(b, entries); storage.SetHardState(b, hs) }
//	b.Commit()
//
// A Storage changes its memory when the change is collected, and the engine when the batch commits. If the commit fails
// the two disagree and the store must stop.
//
// # Format
//
// Numbers are big-endian. Keys are inside the family named; every value begins with or consists of what is shown.
//
//	'g' region u64, index u64   -> entry type u8, term u64, data
//	'h' region u64              -> format u8 = 1, term u64, vote u64, commit u64, truncated index u64, truncated term u64
//	'p' region u64              -> mark: bytes of the caller, the life-cycle note of a peer
//	's' receipt u64, number u64 -> chunk of a received snapshot
//
// Pebble's own checksums cover all of it.
package raftlog
