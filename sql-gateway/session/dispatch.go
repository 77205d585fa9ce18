package session

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// dispatch runs a statement that is not a data change, and answers it.
func (r *run) dispatch(w *wire.Writer) error {
	switch stmt := r.stmt.(type) {
	case *ast.SelectStmt:
		return r.selectStmt(stmt, w)
	case *ast.SetOprStmt:
		return r.query(stmt, w)
	case *ast.ShowStmt:
		return r.show(stmt, w)
	case *ast.ExplainStmt:
		return r.explain(stmt, w)
	case *ast.SplitRegionStmt:
		return r.splitTable(stmt, w)
	case *ast.PrepareStmt, *ast.ExecuteStmt, *ast.DeallocateStmt:
		return r.preparedText(w)
	}
	ok, err := r.command()
	if err != nil {
		return err
	}
	r.s.rowCount = int64(ok.Affected)
	ok.Warnings = r.s.warningCount()
	return w.OK(ok)
}

func (r *run) selectStmt(stmt *ast.SelectStmt, w *wire.Writer) error {
	if stmt.SelectIntoOpt != nil {
		return errNotSupported("SELECT ... INTO")
	}
	if r.wantsLocks(stmt) {
		return r.lockingSelect(stmt, w)
	}
	return r.query(stmt, w)
}

// command runs the statements that are answered with OK.
func (r *run) command() (wire.OK, error) {
	if isDDL(r.stmt) {
		return r.ddl()
	}
	s := r.s
	switch stmt := r.stmt.(type) {
	case *ast.BeginStmt:
		if stmt.AsOf != nil {
			return wire.OK{}, r.beginAt(stmt.AsOf.TsExpr)
		}
		return wire.OK{}, s.begin(r.ctx, stmt.Mode, strings.Contains(strings.ToUpper(r.text), "SNAPSHOT"))
	case *ast.CommitStmt:
		return wire.OK{}, s.commit(r.ctx)
	case *ast.RollbackStmt:
		if stmt.SavepointName != "" {
			return wire.OK{}, s.rollbackTo(stmt.SavepointName)
		}
		s.rollback()
		return wire.OK{}, nil
	case *ast.SavepointStmt:
		return wire.OK{}, s.setSavepoint(r.ctx, stmt.Name)
	case *ast.ReleaseSavepointStmt:
		return wire.OK{}, s.releaseSavepoint(stmt.Name)
	case *ast.UseStmt:
		return wire.OK{}, s.Use(r.ctx, stmt.DBName)
	case *ast.SetStmt:
		return wire.OK{}, r.set(stmt)
	case *ast.DoStmt:
		return wire.OK{}, r.do(stmt)
	default:
		return r.administer()
	}
}

// administer runs statements about the server.
func (r *run) administer() (wire.OK, error) {
	switch stmt := r.stmt.(type) {
	case *ast.KillStmt:
		return wire.OK{}, r.kill(stmt)
	case *ast.AnalyzeTableStmt:
		return wire.OK{}, r.analyze(stmt)
	case *ast.FlushStmt:
		// There is nothing to flush: no tables are open, no logs are kept here. FLUSH TABLES WITH READ LOCK would promise
		// more; dumps use it before a consistent snapshot, which is what protects them here.
		return wire.OK{}, nil
	case *ast.LockTablesStmt:
		r.s.warn("Warning", mysql.ErrNotSupportedYet, "LOCK TABLES is accepted and locks nothing: transactions read snapshots")
		return wire.OK{}, nil
	case *ast.UnlockTablesStmt:
		return wire.OK{}, nil
	default:
		return wire.OK{}, errNotSupported("%s", firstWords(r.text))
	}
}

// firstWords names a statement by how it begins.
func firstWords(text string) string {
	fields := strings.Fields(text)
	return strings.ToUpper(strings.Join(fields[:min(len(fields), 2)], " "))
}

func (r *run) kill(stmt *ast.KillStmt) error {
	id := stmt.ConnectionID
	if stmt.Expr != nil {
		text, null, err := r.evalText(stmt.Expr)
		if err != nil {
			return err
		}
		if id, err = parseID(text); err != nil || null {
			return errNoSuchThread(0)
		}
	}
	return r.s.srv.kill(id, stmt.Query)
}

// do evaluates expressions for their effects.
func (r *run) do(stmt *ast.DoStmt) error {
	for _, e := range stmt.Exprs {
		if _, _, err := r.evalText(e); err != nil {
			return err
		}
	}
	return nil
}

// columnless is the input of expressions that have none.
var columnless = column.Batch{Rows: 1}

// eval computes an expression without columns.
func (r *run) eval(node ast.ExprNode) (userVar, error) {
	e, err := planner.BuildScalar(r.planContext(), node, nil, nil)
	if err != nil {
		return userVar{}, err
	}
	arr, err := expr.EvalConst(e, r.env.Expr)
	if err != nil {
		return userVar{}, err
	}
	ft := e.FieldType
	if ft == nil {
		ft = &tipb.FieldType{Tp: column.TypeNull}
	}
	return varFromColumn(arr, ft), nil
}

// evalText computes an expression to text.
func (r *run) evalText(node ast.ExprNode) (text string, null bool, err error) {
	v, err := r.eval(node)
	if err != nil || v.val.IsNull() {
		return "", true, err
	}
	return string(v.val.AppendText(nil, v.ft)), false, nil
}
