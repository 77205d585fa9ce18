// Package txn runs the commands of distributed transactions on one store: the storage side of the Percolator protocol.
//
// A client's transaction writes in two phases. Prewrite puts its values behind locks on all its keys; one of them, the
// primary, decides. Commit turns locks into write records, the primary's first: with that the transaction is
// committed, whatever happens to its client. Who meets the lock of a client that has gone asks for the primary
// (CheckTxnStatus), which rolls an expired transaction back, and finishes the other keys accordingly (ResolveLock). Async
// commit and one-phase commit shorten this for small transactions; large ones flush, which is to prewrite as they go.
//
// Manager has one method for each RPC, named like it. A writing command
//
//	takes the latches of its keys -> takes a snapshot -> checks, and collects changes -> storage.Store.Submit -> releases
//
// so that commands on one key see each other's results, and each writes all or nothing. Concurrency guards
// transactions that choose their own commit timestamp against concurrent reads; every reader of the store has to pass by it.
//
// Outcomes that belong to the protocol (locks, conflicts) are inside the responses. The error of a method is a
// *storage.RegionError, the context's error, storage.ErrUndetermined, or a failure of the store.
package txn
