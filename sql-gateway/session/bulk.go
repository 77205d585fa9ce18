package session

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// wantsBulk reports whether a change is to be a bulk write, as tidb_dml_type says: one whose rows do not have to fit in
// memory, see kvclient.Client.BeginBulk. One that cannot be says so with a warning, and runs as usual.
func (s *Session) wantsBulk(stmt ast.StmtNode) bool {
	if s.vars["tidb_dml_type"] != "bulk" || s.contended {
		return false
	}
	why := ""
	switch {
	case s.inTransaction():
		why = "a statement of a transaction"
	case dml.Joins(stmt):
		why = "an UPDATE or DELETE with several tables" // it keeps the keys of all rows that it has met
	}
	if why == "" {
		return true
	}
	s.warn("Warning", mysql.ErrUnknown, "Pipelined DML can not be used for "+why+". Fallback to standard mode")
	return false
}

// sentError is why a bulk write failed that had sent a part of its rows: it is not run again for other transactions' locks and
// conflicts, as that would be to send all of them again.
type sentError struct{ error }

func (e *sentError) Unwrap() error { return e.error }

// sent marks the error of a transaction.
func sent(txn *kvclient.Txn, err error) error {
	if !txn.Flushed() {
		return err
	}
	return &sentError{err}
}
