package session

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/insight"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// transaction is what runs between BEGIN and COMMIT, or around one statement.
type transaction struct {
	kv          *kvclient.Txn
	since       time.Time
	past        *past // nil: the present
	pessimistic bool
	// readCommitted: each statement sees what is committed when it begins. Pessimistic transactions only.
	readCommitted bool
	savepoints    []savepoint
	// rows are the changes of row counts by table id of the statements so far, counted when the transaction commits. A
	// statement outside of a transaction counts its own.
	rows map[int64]int64
}

type savepoint struct {
	name string // lower case
	at   int
	rows map[int64]int64 // transaction.rows as it was
}

// inTransaction reports whether statements are part of a transaction that a COMMIT ends.
func (s *Session) inTransaction() bool { return s.begun || !s.autocommit() }

// transaction returns the running transaction and starts one if there is none.
func (s *Session) transaction(ctx context.Context) (*transaction, error) {
	if s.txn != nil {
		return s.txn, nil
	}
	if s.inTransaction() {
		if ts := s.nextTS(); ts != 0 {
			err := s.goBack(ctx, ts)
			return s.txn, err
		}
	}
	txn := &transaction{pessimistic: s.locksEarly(), rows: make(map[int64]int64), since: time.Now()}
	begin := s.srv.client.Begin
	switch {
	case txn.pessimistic:
		begin = s.srv.client.BeginPessimistic
	case s.bulk:
		begin = s.srv.client.BeginBulk
	}
	var err error
	if txn.kv, err = begin(ctx); err != nil {
		return nil, err
	}
	if !s.inTransaction() {
		txn.kv.Single()
	} else {
		txn.readCommitted = txn.pessimistic && s.isolation() == "READ-COMMITTED"
	}
	txn.kv.SetFence(s.srv.catalog.Fence(s.holder))
	s.txn = txn
	s.startTS.Store(txn.kv.StartTS())
	if s.trace != nil {
		s.trace.startTS = txn.kv.StartTS()
	}
	return s.txn, nil
}

// isolation is the level of a transaction that begins now.
func (s *Session) isolation() string {
	if next := s.nextIsolation; next != "" {
		s.nextIsolation = ""
		return next
	}
	return s.vars["transaction_isolation"]
}

// commit ends the transaction. Its locks are released whatever comes of it.
func (s *Session) commit(ctx context.Context) error {
	txn := s.txn
	s.txn, s.begun, s.txnMode = nil, false, ""
	defer s.releaseLocks()
	if txn == nil {
		return nil
	}
	if txn.kv.Len() == 0 {
		txn.kv.Rollback()
		s.endTxn(txn, insight.Commit)
		return nil
	}
	err := txn.kv.Commit(ctx)
	s.endTxn(txn, endOf(err))
	if err != nil {
		return s.commitError(ctx, txn.kv, err)
	}
	s.srv.catalog.AddRows(txn.rows)
	return nil
}

// commitError names the row of a duplicate key, which stores know by its bytes alone.
func (s *Session) commitError(ctx context.Context, txn *kvclient.Txn, err error) error {
	var exists *kvclient.KeyExistsError
	if !errors.As(err, &exists) {
		return err
	}
	key, derr := tablekey.Decode(exists.Key)
	if derr != nil {
		return err
	}
	t := s.srv.catalog.Current().ByID(key.TableID)
	if t == nil {
		return err
	}
	val, gerr := txn.Get(ctx, exists.Key)
	if gerr != nil {
		val = nil // the message shows the key's bytes then
	}
	return dml.DuplicateError(t, exists.Key, val)
}

func (s *Session) rollback() {
	if s.txn != nil {
		s.txn.kv.Rollback()
		s.endTxn(s.txn, insight.Rollback)
	}
	s.txn, s.begun, s.txnMode = nil, false, ""
	s.releaseLocks()
}

// releaseLocks ends what a transaction keeps others from: DDL on its tables, and the collection of what it reads.
func (s *Session) releaseLocks() {
	s.startTS.Store(0)
	s.srv.catalog.Locks().Release(s.holder)
}

// begin is BEGIN: it commits what runs and starts a transaction with the next statement, or now if a snapshot is wanted. mode
// is OPTIMISTIC, PESSIMISTIC, or empty for what tidb_txn_mode says.
func (s *Session) begin(ctx context.Context, mode string, now bool) error {
	if err := s.commit(ctx); err != nil {
		return err
	}
	s.begun, s.txnMode = true, mode
	if !now && s.nextPast == 0 {
		return nil
	}
	_, err := s.transaction(ctx)
	return err
}

// setSavepoint is SAVEPOINT; a name used before moves.
func (s *Session) setSavepoint(ctx context.Context, name string) error {
	if !s.inTransaction() {
		return nil
	}
	txn, err := s.transaction(ctx)
	if err != nil {
		return err
	}
	name = strings.ToLower(name)
	if i := txn.findSavepoint(name); i >= 0 {
		txn.savepoints = append(txn.savepoints[:i], txn.savepoints[i+1:]...)
	}
	txn.savepoints = append(txn.savepoints, savepoint{name, txn.kv.Savepoint(), maps.Clone(txn.rows)})
	return nil
}

func (t *transaction) findSavepoint(name string) int {
	for i := range t.savepoints {
		if t.savepoints[i].name == name {
			return i
		}
	}
	return -1
}

// rollbackTo is ROLLBACK TO; savepoints after the named one are gone.
func (s *Session) rollbackTo(name string) error {
	i := -1
	if s.txn != nil {
		i = s.txn.findSavepoint(strings.ToLower(name))
	}
	if i < 0 {
		return errCode(mysql.ErrSpDoesNotExist, "SAVEPOINT", name)
	}
	s.txn.kv.RollbackTo(s.txn.savepoints[i].at)
	s.txn.rows = maps.Clone(s.txn.savepoints[i].rows)
	s.txn.savepoints = s.txn.savepoints[:i+1]
	return nil
}

func (s *Session) releaseSavepoint(name string) error {
	i := -1
	if s.txn != nil {
		i = s.txn.findSavepoint(strings.ToLower(name))
	}
	if i < 0 {
		return errCode(mysql.ErrSpDoesNotExist, "SAVEPOINT", name)
	}
	s.txn.savepoints = s.txn.savepoints[:i]
	return nil
}
