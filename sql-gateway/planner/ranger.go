package planner

import (
	"bytes"
	"math"
	"sort"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// rangeable reports whether conditions on a column of this type can be turned to key ranges. Keys hold TIMESTAMPs in UTC:
// the order of a zone with daylight saving is another one.
func rangeable(ft *tipb.FieldType, b *builder) bool {
	switch ft.Tp {
	case column.TypeEnum, column.TypeSet, column.TypeBit, column.TypeJSON, column.TypeFloat:
		return false
	case column.TypeTimestamp:
		return b.ctx.Expr == nil || b.ctx.Expr.Location == nil || b.ctx.Expr.Location == time.UTC
	}
	return true
}

// keyPrefix is what all keys of a path begin with.
func (p *accessPath) keyPrefix() []byte {
	if p.index == nil {
		return tablekey.RecordPrefix(p.table.ID)
	}
	return tablekey.IndexPrefix(p.table.ID, p.index.ID)
}

// intHandle reports whether the path's key is a bare integer, without datum flags.
func (p *accessPath) intHandle() bool { return p.index == nil && !p.table.CommonHandle }

func (p *accessPath) partType(part keyPart) *tipb.FieldType {
	if part.offset < 0 {
		return intType()
	}
	return p.table.Columns[part.offset].Type
}

// ranges cuts the key ranges of a path whose parts are constants by now. exact is false where the ranges hold more than
// the conditions leave.
func (p *accessPath) ranges() (list []kvclient.KeyRange, exact bool) {
	prefixes := [][]byte{p.keyPrefix()}
	exact = true
	for _, part := range p.parts {
		ft := p.partType(part)
		if !part.isPoint() {
			out := make([]kvclient.KeyRange, 0, len(prefixes))
			for _, pre := range prefixes {
				r, ok, sharp := p.bounded(pre, part, ft)
				exact = exact && sharp
				if ok {
					out = append(out, r)
				}
			}
			return out, exact
		}
		next := make([][]byte, 0, len(prefixes)*len(part.points))
		if len(prefixes)*len(part.points) > maxPoints {
			return prefixRanges(prefixes), false
		}
		for _, pre := range prefixes {
			for _, pt := range part.points {
				key, fit := p.appendPoint(pre, pt, ft)
				switch fit {
				case fits:
					next = append(next, key)
				case unknown:
					return prefixRanges(prefixes), false
				}
			}
		}
		prefixes = next
	}
	return prefixRanges(prefixes), exact
}

func prefixRanges(prefixes [][]byte) []kvclient.KeyRange {
	list := make([]kvclient.KeyRange, len(prefixes))
	for i, pre := range prefixes {
		list[i] = kvclient.KeyRange{Start: pre, End: tablekey.PrefixNext(pre)}
	}
	return sortRanges(list)
}

// sortRanges orders ranges and merges those that overlap or touch.
func sortRanges(list []kvclient.KeyRange) []kvclient.KeyRange {
	sort.Slice(list, func(i, k int) bool { return bytes.Compare(list[i].Start, list[k].Start) < 0 })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && bytes.Compare(r.Start, out[n-1].End) <= 0 {
			if bytes.Compare(r.End, out[n-1].End) > 0 {
				out[n-1].End = r.End
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// fit says how a value relates to a key column.
type fit uint8

const (
	fits    fit = iota
	never       // no value of the column equals it
	unknown     // it cannot be said in key form
)

// appendPoint appends the key form of a value that a column equals; pt nil is NULL itself.
func (p *accessPath) appendPoint(pre []byte, pt *Expr, ft *tipb.FieldType) ([]byte, fit) {
	pre = pre[:len(pre):len(pre)]
	if pt == nil {
		if p.intHandle() {
			return nil, never
		}
		return append(pre, 0), fits
	}
	if !pt.isConst() {
		return nil, unknown
	}
	if pt.isNull() {
		return nil, never
	}
	return p.appendDatum(pre, pt.val, ft)
}

// appendDatum appends the key form of a value that is not NULL.
func (p *accessPath) appendDatum(pre []byte, d datum.Datum, ft *tipb.FieldType) ([]byte, fit) {
	d, f := keyDatum(d, ft)
	if f != fits {
		return nil, f
	}
	if p.intHandle() {
		return memcmp.AppendInt64(pre, d.Int64()), fits
	}
	key, err := datum.AppendKey(pre, d, ft)
	if err != nil {
		return nil, unknown
	}
	return key, fits
}

// keyDatum brings a value to the kind that a column's keys have.
func keyDatum(d datum.Datum, ft *tipb.FieldType) (datum.Datum, fit) {
	switch evalOf(ft) {
	case evalInt:
		return keyInt(d, isUnsigned(ft))
	case evalDecimal:
		if d.Kind() != datum.Decimal {
			return d, unknown
		}
		scale := column.Scale(ft)
		up := d.Decimal().Rescale(scale)
		if up.Cmp(d.Decimal()) != 0 || !up.FitsIn(column.Precision(ft), scale) {
			return d, never
		}
		return datum.NewDecimal(up), fits
	case evalReal:
		if d.Kind() != datum.Float64 || !isFiniteFloat(d.Float64()) {
			return d, unknown
		}
	case evalTime:
		if d.Kind() != datum.Time {
			return d, unknown
		}
	case evalDuration:
		if d.Kind() != datum.Duration {
			return d, unknown
		}
	default:
		if d.Kind() != datum.Bytes {
			return d, unknown
		}
	}
	return d, fits
}

func keyInt(d datum.Datum, unsigned bool) (datum.Datum, fit) {
	switch d.Kind() {
	case datum.Int64:
		if !unsigned {
			return d, fits
		}
		if d.Int64() < 0 {
			return d, never
		}
		return datum.NewUint64(uint64(d.Int64())), fits
	case datum.Uint64:
		if unsigned {
			return d, fits
		}
		if d.Uint64() > math.MaxInt64 {
			return d, never
		}
		return datum.NewInt64(int64(d.Uint64())), fits
	}
	return d, unknown
}

// bounded cuts the range that bounds leave behind a prefix; ok is false for an empty one.
func (p *accessPath) bounded(pre []byte, part keyPart, ft *tipb.FieldType) (r kvclient.KeyRange, ok, exact bool) {
	r = kvclient.KeyRange{Start: pre, End: tablekey.PrefixNext(pre)}
	if !p.intHandle() {
		r.Start = append(pre[:len(pre):len(pre)], 1) // behind NULL
	}
	exact = true
	for _, c := range part.bounds {
		lo, hi, sharp := p.boundKeys(pre, c, ft)
		exact = exact && sharp
		if lo != nil && bytes.Compare(lo, r.Start) > 0 {
			r.Start = lo
		}
		if hi != nil && bytes.Compare(hi, r.End) < 0 {
			r.End = hi
		}
	}
	return r, bytes.Compare(r.Start, r.End) < 0, exact
}

// boundKeys are the keys between which a comparison holds; nil where it says nothing. Handles of unsigned columns are
// ordered as signed numbers, so that their bounds say nothing either.
func (p *accessPath) boundKeys(pre []byte, c *Expr, ft *tipb.FieldType) (lo, hi []byte, exact bool) {
	if p.intHandle() && isUnsigned(ft) {
		return nil, nil, false
	}
	if c.sig == tipb.ScalarFuncSig_LikeSig {
		return p.likeKeys(pre, c, ft)
	}
	info, _ := cmpOpOf(c.sig)
	v := c.args[1]
	if !v.isConst() {
		return nil, nil, false
	}
	if v.isNull() {
		return nil, []byte{}, true
	}
	d, op := v.val, info.op
	if evalOf(ft) == evalInt {
		var always, nothing bool
		if d, always, nothing = clampInt(d, op, isUnsigned(ft)); always {
			return nil, nil, true
		} else if nothing {
			return nil, []byte{}, true
		}
	}
	key, f := p.appendDatum(pre[:len(pre):len(pre)], d, ft)
	if f != fits {
		return nil, nil, false
	}
	switch op {
	case cmpLT:
		return nil, key, true
	case cmpLE:
		return nil, tablekey.PrefixNext(key), true
	case cmpGT:
		return tablekey.PrefixNext(key), nil, true
	}
	return key, nil, true
}

// clampInt brings a bound into the column's domain, or finds that it always or never holds.
func clampInt(d datum.Datum, op cmpOp, unsigned bool) (_ datum.Datum, always, nothing bool) {
	upper := op == cmpLT || op == cmpLE
	switch {
	case unsigned && d.Kind() == datum.Int64 && d.Int64() < 0:
		return d, !upper, upper
	case !unsigned && d.Kind() == datum.Uint64 && d.Uint64() > math.MaxInt64:
		return d, upper, !upper
	}
	return d, false, false
}

func (p *accessPath) likeKeys(pre []byte, c *Expr, ft *tipb.FieldType) (lo, hi []byte, exact bool) {
	prefix := likePrefix(c)
	lo, f := p.appendDatum(pre[:len(pre):len(pre)], datum.NewString(prefix), ft)
	if f != fits {
		return nil, nil, false
	}
	if next := tablekey.PrefixNext([]byte(prefix)); next != nil {
		if hi, f = p.appendDatum(pre[:len(pre):len(pre)], datum.NewBytes(next), ft); f != fits {
			hi = nil
		}
	}
	return lo, hi, false
}

// handleRanges are the record ranges of rows found through an index.
func handleRanges(t *catalog.Table, handles [][]byte) []kvclient.KeyRange {
	list := make([]kvclient.KeyRange, len(handles))
	for i, h := range handles {
		key := tablekey.AppendRecordKey(nil, t.ID, h)
		list[i] = kvclient.KeyRange{Start: key, End: tablekey.PrefixNext(key)}
	}
	return sortRanges(list)
}
