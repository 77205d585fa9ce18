// Package kvclient is the transaction client of the gateway: it finds regions, retries what routing errors and back-off
// can mend, reads at a timestamp, and commits in one phase where one region suffices, by async commit where keys are few,
// and in two phases otherwise.
//
//	Client     shared by all sessions: region cache, store connections, lock resolver
//	Snapshot   reads at one timestamp; resolves the locks it meets
//	Txn        a Snapshot and a buffer of writes; Lock takes pessimistic locks before, Commit runs the protocol of Percolator
//
// It talks tikvpb to any store that implements Store: a direct call in the same process, gRPC to another. Time and
// randomness come in through Options, so that a seeded simulation can run the same code.
//
// Source of the protocol: Peng and Dabek, "Large-scale Incremental Processing Using Distributed Transactions and
// Notifications" (OSDI 2010), with TiKV's additions (pessimistic locks, min_commit_ts, one-phase commit, async commit).
package kvclient
