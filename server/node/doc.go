// Package node assembles processes. Store is one storage node: engines, raft, transactions, coprocessor and their gRPC
// service, registered with a placement driver. Cluster is a placement driver and several stores in one process, for the
// playground and for tests; who uses it from inside the process calls its stores directly.
//
//	DIR/LOCK            held while a process uses DIR
//	DIR/pd/             etcd
//	DIR/store-N/IDENT   who this store is
//	DIR/store-N/data/   the data database
//	DIR/store-N/raft/   the log database
package node
