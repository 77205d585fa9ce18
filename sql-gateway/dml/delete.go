package dml

import (
	"context"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/sql-gateway/planner"
)

// Delete runs DELETE.
func Delete(ctx context.Context, env *Env, stmt *ast.DeleteStmt) (*Result, error) {
	plan, err := planner.PlanDelete(env.Plan, stmt)
	if err != nil {
		return nil, err
	}
	src, err := readAll(ctx, env, plan.Query)
	if err != nil {
		return nil, err
	}
	defer src.close()
	res := newResult()
	seen := map[int64]map[string]struct{}{} // a table may be named twice
	for i := range plan.Tables {
		rows, err := newTableRows(env, &plan.Tables[i], stmt.IsMultiTable)
		if err != nil {
			return nil, err
		}
		if before, ok := seen[rows.tg.table.ID]; ok {
			rows.seen = before
		}
		seen[rows.tg.table.ID] = rows.seen
		for _, b := range src.batches {
			if err := deleteRows(rows, rowBatch{b, src.types, b.Rows}, res); err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

func deleteRows(rows *tableRows, b rowBatch, res *Result) error {
	for i := range b.rows {
		r, rowID, ok, err := rows.at(b, i)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		e, err := rows.tg.encode(r, rowID)
		if err == nil {
			err = rows.tg.remove(&e)
		}
		if err != nil {
			return err
		}
		res.Affected++
		res.RowDelta[rows.tg.table.ID]--
	}
	return nil
}
