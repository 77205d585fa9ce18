package session

import (
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// recordRead is what a prepared statement keeps from one execution to the next if it reads columns of one record by its key: most
// statements of many applications, for which planning and assembling operators took more time than all the rest. The zero
// value knows nothing.
type recordRead struct {
	plan    *planner.PointPlan // nil: the statement has to be planned
	db      string             // the session's when it was planned, where names without one look
	columns []wire.Column

	zone    *time.Location // what decoder converts to
	decoder *row.Decoder
	out     []*column.Builder
	pairs   kvbatch.Pairs
}

// learn takes over what of a plan can be used again.
func (l *recordRead) learn(db string, q *planner.Query) {
	*l = recordRead{plan: q.Point(), db: db}
	if l.plan != nil {
		l.columns = wireColumns(q.Fields)
	}
}

// readRecord reads the record if the statement is known to want one; nil says that it has to be planned.
func (r *run) readRecord() (executor.Operator, error) {
	l := r.known
	if l == nil || l.plan == nil || l.db != r.s.db || r.s.reading() != nil {
		return nil, nil
	}
	key, ok := l.plan.Key(r.params())
	if !ok {
		return nil, nil
	}
	t := l.plan.Table
	if now, err := r.Table(t.DB, t.Name); err != nil || now != t {
		l.plan = nil
		return nil, nil // planning finds the error, too
	}
	get, err := r.getter(r.ctx, true)
	if err != nil {
		return nil, err
	}
	val, err := get(r.ctx, key)
	if err != nil {
		return nil, err
	}
	return l.decode(key, val, r.s.location)
}

// decode makes a result of the record, or an empty one where val is nil.
func (l *recordRead) decode(key, val []byte, zone *time.Location) (executor.Operator, error) {
	if val == nil {
		return executor.NewValues(nil), nil
	}
	if l.decoder == nil || l.zone != zone {
		if err := l.compile(zone); err != nil {
			return nil, err
		}
	}
	l.pairs.Reset()
	l.pairs.Append(key, val)
	if err := l.decoder.Start(&l.pairs); err != nil {
		return nil, fmt.Errorf("record %x: %w", key, err)
	}
	b := executor.Batch{Rows: 1, Cols: make([]arrow.Array, len(l.out))}
	for i, out := range l.out {
		out.Reset()
		if err := l.decoder.Load(i, nil, out); err != nil {
			return nil, fmt.Errorf("record %x: %w", key, err)
		}
		b.Cols[i] = out.Detach()
	}
	return executor.NewValues(nil, b), nil
}

func (l *recordRead) compile(zone *time.Location) (err error) {
	l.zone, l.out = zone, nil
	for _, c := range l.plan.Columns() {
		l.out = append(l.out, column.NewBuilder(c.Type, 1))
	}
	l.decoder, err = row.NewDecoder(l.plan.Columns(), l.plan.PrimaryIDs(), zone)
	return err
}

// params are the statement's parameters as the planner takes them.
func (r *run) params() (values []datum.Datum, types []*tipb.FieldType) {
	for _, a := range r.args {
		values, types = append(values, a.Value), append(types, a.Type)
	}
	return values, types
}
