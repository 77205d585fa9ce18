package catalog

import (
	"context"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Store is the cluster as the catalog uses it.
type Store interface {
	Begin(ctx context.Context) (Txn, error)
	// BeginAt gives a transaction that reads what was committed at or before ts.
	BeginAt(ts uint64) Txn
	TS(ctx context.Context) (uint64, error)
	Split(ctx context.Context, keys [][]byte) error
	DeleteRange(ctx context.Context, r kvclient.KeyRange) error
	Flashback(ctx context.Context, f kvclient.Flashback) error
}

// Txn is a transaction on meta keys.
type Txn interface {
	Get(ctx context.Context, key []byte) ([]byte, error)
	Scan(ctx context.Context, r kvclient.KeyRange, reverse bool) kvclient.Iterator
	Set(key, val []byte) error
	Delete(key []byte) error
	SetFence(kvclient.Fence)
	Commit(ctx context.Context) error
	Rollback()
}

// FromClient gives a transaction client as a Store.
func FromClient(c *kvclient.Client) Store { return clientStore{c} }

type clientStore struct{ *kvclient.Client }

func (s clientStore) Begin(ctx context.Context) (Txn, error) {
	txn, err := s.Client.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return txn, nil
}

func (s clientStore) BeginAt(ts uint64) Txn { return s.Client.BeginAt(ts) }
