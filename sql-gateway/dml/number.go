package dml

import (
	"context"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

type fieldType = tipb.FieldType

// numberRows gives AUTO_INCREMENT values to the rows that ask for one, in order, and makes later values greater than those
// that rows bring with them. It returns the first generated value, 0 if there is none.
func (tg *target) numberRows(ctx context.Context, rows [][]datum.Datum) (first uint64, err error) {
	if tg.autoInc < 0 {
		return 0, nil
	}
	for i := 0; i < len(rows); {
		run := i
		for run < len(rows) && tg.wantsNumber(rows[run]) {
			run++
		}
		if run > i {
			got, err := tg.generate(ctx, rows[i:run])
			if err != nil {
				return 0, err
			}
			if first == 0 {
				first = got
			}
			i = run
			continue
		}
		var greatest uint64
		for ; i < len(rows) && !tg.wantsNumber(rows[i]); i++ {
			greatest = max(greatest, positive(tg.fields[tg.autoInc], rows[i][tg.autoInc]))
		}
		if greatest > 0 {
			if err := tg.env.IDs.BumpAutoInc(ctx, tg.table, greatest); err != nil {
				return 0, err
			}
		}
	}
	return first, nil
}

// wantsNumber holds for NULL, and for 0 unless NO_AUTO_VALUE_ON_ZERO is set.
func (tg *target) wantsNumber(r []datum.Datum) bool {
	d := r[tg.autoInc]
	if d.IsNull() {
		return true
	}
	zero := d.Uint64() == 0
	if d.Kind() == datum.Float64 {
		zero = d.Float64() == 0
	}
	return zero && !tg.env.mode(mysql.ModeNoAutoValueOnZero)
}

// positive is an explicit AUTO_INCREMENT value, 0 for negative ones.
func positive(f *field, d datum.Datum) uint64 {
	switch {
	case d.Kind() == datum.Float64:
		return uint64(max(d.Float64(), 0))
	case column.IsUnsigned(f.ft):
		return d.Uint64()
	default:
		return uint64(max(d.Int64(), 0))
	}
}

func (tg *target) generate(ctx context.Context, rows [][]datum.Datum) (uint64, error) {
	n := uint64(len(rows))
	first, err := tg.env.IDs.NextAutoInc(ctx, tg.table, n)
	if err != nil {
		return 0, err
	}
	f := tg.fields[tg.autoInc]
	last := first + n - 1
	most := uint64(f.hi)
	if column.IsUnsigned(f.ft) {
		most = f.uhi
	}
	if column.KindOf(f.ft) != column.Float64 && last > most {
		return 0, errorf(mysql.ErrAutoincReadFailed)
	}
	for i, r := range rows {
		r[tg.autoInc] = autoIncDatum(f, first+uint64(i))
	}
	return first, nil
}

func autoIncDatum(f *field, v uint64) datum.Datum {
	switch {
	case column.KindOf(f.ft) == column.Float64:
		return datum.NewFloat64(float64(v))
	case column.IsUnsigned(f.ft):
		return datum.NewUint64(v)
	default:
		return datum.NewInt64(int64(v))
	}
}

// rowIDs gets hidden row ids for n rows; 0 where the table has a clustered key.
func (tg *target) rowIDs(ctx context.Context, n int) (first int64, err error) {
	if len(tg.handles) > 0 || n == 0 {
		return 0, nil
	}
	return tg.env.IDs.NextRowID(ctx, tg.table, uint64(n))
}
