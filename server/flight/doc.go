// Package flight serves coprocessor requests over Arrow Flight, beside tikvpb on a store's gRPC port, for clients that
// work on Arrow columns. docs/flight.md shows them how.
//
//	GetFlightInfo(cmd)   cmd is a coprocessor.Request without a region: a DAG and key ranges. The answer has an endpoint
//	                     for each region that they touch, in key order: the leader's address, and a ticket
//	GetSchema(cmd)       the columns alone
//	DoGet(ticket)        the ticket is a coprocessor.Request of one region; its rows come as record batches
//
// Columns have Arrow's own types here; see typeOf for which MySQL type becomes which. All of them may hold NULL.
//
// Flight has no place for a store's refusals but the status. Unavailable means: ask GetFlightInfo again and repeat; the
// status' details have the errorpb.Error of a region that has moved, or the kvrpcpb.LockInfo of a lock in the way.
// InvalidArgument means that repeating does not help; an error of evaluation has its tipb.Error in the details. Both come
// before the first row, except errors of evaluation.
package flight
