// Package raftsim runs the stores of a cluster in one process and one order of events, which a seed determines: raftstore's
// own code with its engines, on disks in memory that lose what was not synced, and on a network that delays, loses, repeats
// and reorders. A seed that fails fails again, with a trace of what happened.
//
//	synctest.Test(t, func(t *testing.T) {
//		w := raftsim.NewWorld(seed, raftsim.Bubble{Wait: synctest.Wait, Sleep: time.Sleep, Now: time.Now})
//		c := raftsim.NewCluster(w, raftsim.Options{Machines: 4, Raft: cfg})
//		err := c.Start(region)                   // all machines boot
//		clients := raftsim.NewClients(c, 4, keys) // and are read and written
//		end := c.Torment(raftsim.Mischief{...})   // partitions, power cuts, stalls, splits, moves of leaders and peers
//		err = w.Run("a while", time.Minute, func() bool { return w.Now() > 10*time.Second })
//		...
//	})
//
// # How a run is one order of events
//
// A World has a queue of events: a turn of a loop (raftstore.Stepper), a message that arrives, a tick, a task that goes on,
// some mischief. It takes one, and waits until everything that this has set off has come to rest; then it looks at what there
// is to do next, and lets the seed's chance say when. Code that waits, as clients do, runs in Tasks, of which one goes on at a
// time. The rest that differs from run to run is kept away:
//
//   - Time is that of a bubble of testing/synctest, which stands still while anything runs. Each machine's clock goes at its
//     own rate.
//   - Raft draws its election timeouts from crypto/rand: testing/cryptotest.SetGlobalRandom makes those the seed's.
//   - Pebble flushes and compacts in goroutines of its own. They end within the step that set them off, as the bubble tells;
//     what the files look like differs, what they say does not.
//   - Maps have no order. What a step sends is sorted by receiver and region, and tasks that come to wait within one step by
//     their names.
//
// Left out is the admission of writes by the pressure on the engines, which depends on how far Pebble's goroutines are.
//
// # What is checked
//
// After each step: a term of a region has one leader, and what a peer has applied grows. After a boot: the log has all that
// the data has lost. In the end, when machines and network are well again, all replicas must be the same, and nothing is left
// of peers that were removed (Cluster.Agree); and what Clients were answered must fit one order of reads and writes.
//
// The power goes not only between steps, but also right before a sync of the raft log, or in the middle of a flush
// (Machine.CutAtSync): what was sent earlier in that step is on its way. So code that acknowledges before it syncs is caught.
package raftsim
