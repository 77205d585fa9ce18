// Package raftstore replicates regions by raft. It moves bytes: it knows no rows and no transactions.
//
// A Store holds the peers of one node. It implements storage.Store for what lies above, and speaks to the peers on other
// stores through a Transport, to the placement driver through a Placement. It keeps its state in two engines: the raft
// log, synced, and the data, without write-ahead log.
//
//	s, err := raftstore.Open(cfg, deps)   // regions and logs from disk
//	err = s.Bootstrap(region)             // only the first store of a new cluster
//	err = s.Start()
//	defer s.Stop()
//	err = s.Write(ctx, storage.Region{ID: region.Id}, mods)
//
// # The path of a write
//
//	Write -> mailbox of the region's write loop -> propose -> Ready of all touched regions
//	      -> one raft log batch, one sync          (appends to followers leave before it; the next batch gathers meanwhile)
//	      -> committed entries to the region's apply loop
//	      -> one engine batch: changes and applied index
//	      -> answer
//
// Each region belongs to one write loop and one apply loop, so peers need no mutex, and one sync serves every region that
// had work. See writeLoop and applyLoop.
//
// # What holds
//
//   - A write is acknowledged when its entry is synced on a majority and applied here.
//   - Data, applied index and region descriptor move in one batch. A crash takes the data back to an earlier batch; the
//     log has all that came after, for it is cut only below what the data has flushed.
//   - An entry made for another epoch of its region is rejected when it is applied, by all replicas alike.
//   - A read sees all that was acknowledged before it: the view is taken while this leader cannot have been replaced (the
//     only voter; a lease), or after a quorum has confirmed it (read index).
//
// The commands in the log are described at the head of command.go, the local state in state.go.
package raftstore
