// Package coprocessor runs what clients push down to the data: DAG requests of tipb executors, statistics, and checksums. It brings
// the executors, which know nothing of storage, together with a region's snapshot, which knows nothing of rows.
//
// An Endpoint has two entrances for the same work. Handle answers a request with one message in the encodings of TiKV's
// clients; Stream hands the batches of columns by reference to a sink, for a gateway in the same process. The path:
//
//	bound the message -> decode -> check in-memory locks, raise max_ts -> snapshot -> leaf scan -> executor.Build
//	-> pull batches, yielding the processor in between -> encode or hand over
//
// A scan of many rows may find them copied by columns (storage/columnar): columnScan reads such a copy as far as it is good, and
// segments decide what is copied, by what scans have read.
//
// A request answers with exactly one of: data, region_error, locked, other_error. Errors of evaluation (overflow, a bad
// cast) are data: they stand inside the SelectResponse with their MySQL code.
package coprocessor
