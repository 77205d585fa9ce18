package session

import (
	"context"
	"errors"

	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// batches commits what a long statement writes in one transaction after the other, each in the background while rows for
// the next are made: Flush and Settle of its dml.Env. Table locks stay until the statement ends.
type batches struct {
	s    *Session
	env  *dml.Env
	kv   *kvclient.Txn // being committed, or nil
	done chan error    // of capacity 1: gets the outcome
}

// flush begins to commit what is buffered. One commit at a time is under way; an error of the one before is returned here.
func (b *batches) flush(ctx context.Context) error {
	if err := b.await(ctx); err != nil {
		return err
	}
	if txn := b.s.txn; txn != nil && txn.kv.Len() > 0 {
		b.kv, b.done = txn.kv, make(chan error, 1)
		go func(kv *kvclient.Txn, done chan<- error) { done <- kv.Commit(ctx) }(b.kv, b.done)
	}
	if err := b.renew(ctx); err != nil {
		return errors.Join(b.await(ctx), err)
	}
	return nil
}

// settle waits for the commit and starts a transaction that sees it, in place of one without writes.
func (b *batches) settle(ctx context.Context) error {
	if err := b.await(ctx); err != nil {
		return err
	}
	return b.renew(ctx)
}

// await waits for the commit, also when ctx has ended: then it ends soon, and nothing is left behind.
func (b *batches) await(ctx context.Context) error {
	kv := b.kv
	if kv == nil {
		return nil
	}
	b.kv = nil
	if err := <-b.done; err != nil {
		return b.s.commitError(ctx, kv, err)
	}
	return nil
}

func (b *batches) renew(ctx context.Context) error {
	b.s.txn = nil
	txn, err := b.s.transaction(ctx)
	if err == nil {
		b.env.Txn = txn.kv
	}
	return err
}
