package session

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// explain runs EXPLAIN, EXPLAIN ANALYZE and, for DESCRIBE, SHOW COLUMNS.
func (r *run) explain(stmt *ast.ExplainStmt, w *wire.Writer) error {
	if show, ok := stmt.Stmt.(*ast.ShowStmt); ok {
		return r.show(show, w)
	}
	if stmt.Stmt == nil {
		return errNotSupported("EXPLAIN of a digest")
	}
	q, err := r.planOf(stmt.Stmt)
	if err != nil {
		return err
	}
	switch strings.ToLower(stmt.Format) {
	case "", "row", "brief":
	case "dag":
		return r.explainDAG(q, w)
	default:
		return errNotSupported("EXPLAIN FORMAT='%s'", stmt.Format)
	}
	var stats *planner.RunStats
	if stmt.Analyze {
		if stats, err = r.measure(q, stmt.Stmt); err != nil {
			return err
		}
	}
	header, rows := q.ExplainRows(stats)
	t := newTable(header...)
	for _, row := range rows {
		vals := make(infoschema.Row, len(row))
		for i, v := range row {
			vals[i] = v
		}
		t.rows = append(t.rows, vals)
	}
	return r.reply(t, w)
}

// planOf plans a query, or the row source of a change.
func (r *run) planOf(stmt ast.StmtNode) (*planner.Query, error) {
	var (
		plan *planner.DMLPlan
		err  error
	)
	switch stmt := stmt.(type) {
	case *ast.UpdateStmt:
		plan, err = planner.PlanUpdate(r.planContext(), stmt)
	case *ast.DeleteStmt:
		plan, err = planner.PlanDelete(r.planContext(), stmt)
	case *ast.InsertStmt:
		if stmt.Select == nil {
			return nil, errNotSupported("EXPLAIN of INSERT ... VALUES")
		}
		return planner.PlanQuery(r.planContext(), stmt.Select)
	case ast.ResultSetNode:
		return planner.PlanQuery(r.planContext(), stmt)
	default:
		return nil, errNotSupported("EXPLAIN %T", stmt)
	}
	if err != nil {
		return nil, err
	}
	return plan.Query, nil
}

func (r *run) explainDAG(q *planner.Query, w *wire.Writer) error {
	docs, err := q.ExplainDAG()
	if err != nil {
		return err
	}
	t := newTable("DAG")
	for _, d := range docs {
		t.add(d)
	}
	return r.reply(t, w)
}

// measure runs a query and drops its rows.
func (r *run) measure(q *planner.Query, stmt ast.StmtNode) (*planner.RunStats, error) {
	if isChange(stmt) {
		return nil, errNotSupported("EXPLAIN ANALYZE of a data change")
	}
	stats := planner.NewRunStats(time.Now)
	op, err := q.Analyze(r.ctx, r, stats)
	if err != nil {
		return nil, err
	}
	for err == nil {
		_, err = op.Next(r.ctx)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return stats, errors.Join(err, op.Close())
}
