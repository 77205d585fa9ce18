// Package transport is how processes of a cluster talk to the storage nodes: the gRPC codec, server options and Dial
// that every connection of ours uses, and the Transport that carries raft messages and snapshots between stores.
//
//	t := transport.New(resolve, transport.Options{})
//	store, err := raftstore.Open(cfg, raftstore.Deps{Transport: t, ...}) // binds the store to t
//	server := grpc.NewServer(transport.ServerOptions()...)               // its tikvpb service passes Raft, BatchRaft
//	                                                                     // and Snapshot streams to t
//
// Messages to a store wait in one bounded queue and travel over one BatchRaft stream; what is lost, raft repeats. A
// snapshot has a stream of its own.
package transport
