// Package pd is the placement driver: it knows which stores there are and where every region lives, hands out
// timestamps and ids, and keeps the wanted number of replicas alive by ordering membership changes.
//
// Core is the whole of it without goroutines, clocks or network: protobuf values in, protobuf values out, with its
// durable part behind the State interface (etcd in production, memory in simulations). Service puts Core behind the
// pdpb.PD gRPC interface, with keyspacepb.Keyspace beside it, and Server runs both inside an embedded etcd, whose own KV and
// Cluster services answer on the same port, as PD's clients expect.
//
//	TiKV clients, stores --gRPC--> Service --> Core --> State --> etcd
//	same process ----------------------------^  (Server.Core: timestamps without a round trip)
package pd
