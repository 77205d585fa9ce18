// Package kvclient is the transaction client: regions, back-off, snapshots, one- and two-phase commit, lock resolution,
// over stores that speak tikvpb.
package kvclient

import (
	"context"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/executor"
)

// Store is one storage node as the client calls it: tikvpb's unary methods, by direct call in the same process or over
// gRPC (BatchCommands) to another. Query is the coprocessor with batches by reference.
type Store interface {
	KvGet(context.Context, *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error)
	KvBatchGet(context.Context, *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error)
	KvScan(context.Context, *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error)
	KvPrewrite(context.Context, *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error)
	KvCommit(context.Context, *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error)
	KvBatchRollback(context.Context, *kvrpcpb.BatchRollbackRequest) (*kvrpcpb.BatchRollbackResponse, error)
	KvTxnHeartBeat(context.Context, *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error)
	KvCheckTxnStatus(context.Context, *kvrpcpb.CheckTxnStatusRequest) (*kvrpcpb.CheckTxnStatusResponse, error)
	KvCheckSecondaryLocks(context.Context, *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error)
	KvResolveLock(context.Context, *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error)
	KvScanLock(context.Context, *kvrpcpb.ScanLockRequest) (*kvrpcpb.ScanLockResponse, error)
	KvDeleteRange(context.Context, *kvrpcpb.DeleteRangeRequest) (*kvrpcpb.DeleteRangeResponse, error)
	SplitRegion(context.Context, *kvrpcpb.SplitRegionRequest) (*kvrpcpb.SplitRegionResponse, error)
	Coprocessor(context.Context, *coprocessor.Request) (*coprocessor.Response, error)
	// Query runs a DAG request and hands each batch to sink, which may use it until it returns (Compact to keep it).
	// The response carries region_error / locked / other_error, and in data a tipb.SelectResponse without chunks
	// (error, warnings, execution summaries). An error from sink stops the query and is returned.
	Query(ctx context.Context, req *coprocessor.Request, sink func(executor.Batch) error) (*coprocessor.Response, error)
}

// Placement is what the client asks of PD. *pd.Client adapters and the simulation's implement it.
type Placement interface {
	// TS returns a new timestamp.
	TS(ctx context.Context) (uint64, error)
	// Region finds the region of an encoded key, with its leader (nil if unknown).
	Region(ctx context.Context, encodedKey []byte) (*metapb.Region, *metapb.Peer, error)
	// Store finds a store by id.
	Store(ctx context.Context, id uint64) (*metapb.Store, error)
}

// Dialer connects to a store; connections are cached by address and closed with the client.
type Dialer interface {
	Dial(ctx context.Context, addr string) (Store, error)
}

// KeyRange is [Start, End) of plain user keys; nil End is unbounded.
type KeyRange struct{ Start, End []byte }

// Pair is a key and its value.
type Pair struct{ Key, Value []byte }

// Iterator walks pairs in key order (or reverse), merging a transaction's own writes where it comes from one. It
// satisfies executor.KVIterator.
type Iterator interface {
	Next() (key, val []byte, ok bool, err error)
	Close()
}

// Client is shared by all sessions of a gateway.
type Client struct{ _ int }

// Errors that callers act on (owner defines as types or sentinels in errors.go):
//   *WriteConflictError, *KeyExistsError{Key}, *UndeterminedError, *TxnTooLargeError, *RegionUnavailableError, *LockedTimeoutError, *GCTooEarlyError

// New makes a client.
func New(p Placement, d Dialer, opts Options) *Client { panic("contract") }

// Options tune a Client; the zero value is right for most.
type Options struct{ _ int }

// Close stops background work (heartbeats, asynchronous secondary commits) and waits for it.
func (c *Client) Close() error { panic("contract") }

// TS returns a new timestamp.
func (c *Client) TS(ctx context.Context) (uint64, error) { panic("contract") }

// Begin starts an optimistic transaction.
func (c *Client) Begin(ctx context.Context) (*Txn, error) { panic("contract") }

// Snapshot reads at ts; math.MaxUint64 is "latest" (only for a single key).
func (c *Client) Snapshot(ts uint64) *Snapshot { panic("contract") }

// Split splits at the given user keys and returns when the new regions serve.
func (c *Client) Split(ctx context.Context, keys [][]byte) error { panic("contract") }

// DeleteRange removes all versions in a range (after DROP or TRUNCATE TABLE).
func (c *Client) DeleteRange(ctx context.Context, r KeyRange) error { panic("contract") }

// Snapshot is a read view.
type Snapshot struct{ _ int }

func (s *Snapshot) TS() uint64 { panic("contract") }

// Get returns nil if the key does not exist.
func (s *Snapshot) Get(ctx context.Context, key []byte) ([]byte, error) { panic("contract") }

// BatchGet returns the existing ones of keys, in parallel over regions.
func (s *Snapshot) BatchGet(ctx context.Context, keys [][]byte) (map[string][]byte, error) {
	panic("contract")
}

// Scan iterates [r.Start, r.End), or backwards.
func (s *Snapshot) Scan(ctx context.Context, r KeyRange, reverse bool) Iterator { panic("contract") }

// Txn buffers writes until Commit. One goroutine.
type Txn struct{ _ int }

func (t *Txn) StartTS() uint64     { panic("contract") }
func (t *Txn) Snapshot() *Snapshot { panic("contract") }

// Get reads through the buffer.
func (t *Txn) Get(ctx context.Context, key []byte) ([]byte, error) { panic("contract") }
func (t *Txn) BatchGet(ctx context.Context, keys [][]byte) (map[string][]byte, error) {
	panic("contract")
}
func (t *Txn) Scan(ctx context.Context, r KeyRange, reverse bool) Iterator { panic("contract") }

// Set and Delete write to the buffer. Keys and values are not copied; empty values are not allowed.
func (t *Txn) Set(key, val []byte) error { panic("contract") }
func (t *Txn) Delete(key []byte) error   { panic("contract") }

// Insert is Set of a key that must not exist: checked in the buffer now (KeyExistsError), in the store at prewrite.
func (t *Txn) Insert(key, val []byte) error { panic("contract") }

// HasWrites reports whether the buffer has a write in r: then a scan must go through Scan, not through a pushed DAG.
func (t *Txn) HasWrites(r KeyRange) bool { panic("contract") }

// Savepoint and RollbackTo undo the buffer's later writes (statement rollback, SAVEPOINT).
func (t *Txn) Savepoint() int    { panic("contract") }
func (t *Txn) RollbackTo(sp int) { panic("contract") }

// Len and Bytes size the buffer.
func (t *Txn) Len() int   { panic("contract") }
func (t *Txn) Bytes() int { panic("contract") }

// Commit: 1PC if one region suffices, else 2PC with concurrent prewrites. After an error nothing is written, unless it is UndeterminedError.
func (t *Txn) Commit(ctx context.Context) error { panic("contract") }

// Rollback drops the buffer.
func (t *Txn) Rollback() { panic("contract") }
