package dml

import (
	"context"
	"errors"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/sql-gateway/planner"
)

// Delete runs DELETE.
func Delete(ctx context.Context, env *Env, stmt *ast.DeleteStmt) (_ *Result, err error) {
	plan, err := planner.PlanDelete(env.Plan, stmt)
	if err != nil {
		return nil, err
	}
	src, err := openPlan(ctx, env, plan.Query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	tables, err := deletedTables(env, plan.Tables, stmt.IsMultiTable)
	if err != nil {
		return nil, err
	}
	res := newResult()
	err = src.each(ctx, func(b rowBatch) error {
		for _, rows := range tables {
			if err := deleteRows(rows, b, res); err != nil {
				return err
			}
		}
		return env.Txn.Relieve(ctx)
	})
	return res, err
}

// deletedTables finds the tables' rows in the output of a plan. A table may be named twice: its rows are deleted once.
func deletedTables(env *Env, list []planner.DMLTable, several bool) (tables []*tableRows, err error) {
	seen := map[int64]map[string]struct{}{}
	for i := range list {
		rows, err := newTableRows(env, &list[i], several)
		if err != nil {
			return nil, err
		}
		if before, ok := seen[rows.tg.table.ID]; ok {
			rows.seen = before
		}
		seen[rows.tg.table.ID] = rows.seen
		tables = append(tables, rows)
	}
	return tables, nil
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
