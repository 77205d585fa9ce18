// Package mvcc reads and describes versioned data: the records of the Percolator protocol, the keys they live under, and
// what a transaction sees of them at a timestamp.
//
// A key's versions are spread over three families (package storage):
//
//	CFLock     mce(key)               at most one: the transaction that is changing the key
//	CFWrite    mce(key) + ^commit_ts  one for each commit or rollback, newest first
//	CFDefault  mce(key) + ^start_ts   values longer than 255 bytes; shorter ones ride in the lock and write record
//
// Lock and Write are the records. Scanner walks the visible values of a range in either direction and is what table scans
// sit on; PointReader and Get look at single keys. Both obey locks and isolation as ReadOptions says and return the
// typed errors of this package, which KeyError turns into their protocol form. Reader answers the questions that
// transaction commands ask. Nothing here writes.
//
// In-memory locks and the highest timestamp read are the business of package txn: a reader consults
// txn.Concurrency before it takes the snapshot it hands in here.
package mvcc
