package expr

import (
	"bytes"
	"math"
	"math/big"

	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

func (c *compareNode) selector() selectFn { return c.sel }

// kindOfArgs is the physical kind of what is compared.
func (c *compareNode) kindOfArgs() column.Kind { return column.KindOf(c.nums[0].typ()) }

// bindSelect finds the direct way for a comparison of a column with a constant, or nil. NULL constants have none.
func bindSelect(c *compareNode) selectFn {
	col, con, op := c.sides()
	if col == nil {
		return nil
	}
	switch column.KindOf(col.ft) {
	case column.Int64, column.Uint64, column.Decimal64:
		if r, ok := rangeOf(col, con, op); ok {
			return r.selector()
		}
	case column.Float64:
		return selectReals(col, con.out.f64[0], op)
	case column.Decimal128:
		if x, ok := exactAt(con, scaleOf(col.ft)); ok {
			return select128(col, x, op)
		}
	case column.Bytes:
		if evalType(col.ft) == etString {
			return selectStrings(&c.frame, col, con.out.str(0), op)
		}
	}
	return nil
}

// sides splits a comparison into column and constant, the column on the left; col is nil if it is not of that form.
func (c *compareNode) sides() (col *columnNode, con *constNode, op compareOp) {
	left, right, op := c.nums[0], c.nums[1], c.op
	if _, ok := left.(*constNode); ok {
		left, right, op = right, left, op.flip()
	}
	col, okCol := left.(*columnNode)
	con, okCon := right.(*constNode)
	if !okCol || !okCon || con.out.null(0) {
		return nil, nil, op
	}
	return col, con, op
}

// rangeNode is a condition on a column of words (integers, times, durations, short decimals): lo <= x <= hi, or not so.
//
// All of <, <=, =, >=, >, <> with a constant become such a range, and an AND of ranges over one column becomes one range.
// It serves selection only; as a node it is the column. One unsigned comparison tells membership: x - lo <= hi - lo, wrapping around, for signed and unsigned words alike.
type rangeNode struct {
	*columnNode
	signed bool
	lo, hi int64 // inclusive, in the column's signedness
	empty  bool
	invert bool
}

// rangeOf turns a comparison with a constant into a range.
func rangeOf(col *columnNode, con *constNode, op compareOp) (*rangeNode, bool) {
	r := &rangeNode{columnNode: col, signed: column.KindOf(col.ft) != column.Uint64}
	r.lo, r.hi = r.bounds()
	at, exact, below, ok := r.place(con)
	if !ok {
		return nil, false
	}
	switch {
	case below || at.above:
		// The constant lies outside of all values: every row is greater (below) or less (above).
		r.empty = op.holds(b2i(below)-b2i(at.above)) == 0
	case op == opEQ:
		r.lo, r.hi, r.empty = at.word, at.word, !exact
	case op == opNE:
		r.lo, r.hi, r.empty, r.invert = at.word, at.word, !exact, true
	case op == opLE || op == opLT && !exact:
		r.hi = at.word
	case op == opGT || op == opGE && !exact:
		r.lo, r.empty = at.word+1, at.word == r.hi
	case op == opLT:
		r.hi, r.empty = at.word-1, at.word == r.lo
	default:
		r.lo = at.word
	}
	return r, true
}

func (r *rangeNode) bounds() (lo, hi int64) {
	if r.signed {
		return math.MinInt64, math.MaxInt64
	}
	return 0, -1 // the bits of 2^64-1
}

// placement is where a constant lies among the words of a column: the greatest word not above it.
type placement struct {
	word  int64
	above bool
}

// place finds the constant's place. exact tells that it is a word itself, below that it lies below all words.
func (r *rangeNode) place(con *constNode) (at placement, exact, below, ok bool) {
	if evalType(con.ft) == etDecimal {
		return placeDecimal(con, scaleOf(r.ft))
	}
	if k := column.KindOf(con.ft); k != column.Int64 && k != column.Uint64 {
		return at, false, false, false
	}
	at.word = con.out.i64[0]
	unsigned := con.out.kind == column.Uint64
	switch {
	case r.signed && unsigned && at.word < 0:
		at.above = true
	case !r.signed && !unsigned && at.word < 0:
		below = true
	}
	return at, true, below, true
}

// placeDecimal scales a decimal constant to the column's scale, rounding towards minus infinity.
func placeDecimal(con *constNode, scale int) (at placement, exact, below, ok bool) {
	x, exact := floorAt(con.out.dec(0), scale)
	word, fits := narrow64(x)
	at = placement{word: word, above: !fits && !negative256(x)}
	return at, exact, !fits && negative256(x), true
}

// floorAt is the greatest coefficient at scale that is not above d.
func floorAt(d value.Decimal, scale int) (_ decimal256.Num, exact bool) {
	if int(d.Scale) <= scale {
		x := scaledBig(d, int32(scale))
		if x.BitLen() > 250 { // beyond every column; only its sign counts
			return value.Pow10Decimal256(75).Mul(decimal256.FromI64(int64(x.Sign()))), true
		}
		return decimal256.FromBigInt(x), true
	}
	q, rem := new(big.Int).DivMod(d.Coef.BigInt(), pow10Big(int(d.Scale)-scale), new(big.Int))
	return decimal256.FromBigInt(q), rem.Sign() == 0
}

// exactAt is a decimal constant at scale in 128 bits, if it is exactly that.
func exactAt(con *constNode, scale int) (decimal128.Num, bool) {
	x, exact := floorAt(con.out.dec(0), scale)
	n, fits := narrow128(x)
	return n, exact && fits
}

func (r *rangeNode) selector() selectFn {
	return func(in *input, dst []int32) ([]int32, error) {
		v, err := r.columnNode.eval(in)
		if err != nil {
			return nil, err
		}
		return dropNulls(v, r.choose(v.i64, in.rowset, dst)), nil
	}
}

func (r *rangeNode) choose(x []int64, rows rowset, dst []int32) []int32 {
	if r.empty && !r.invert {
		return dst[:0]
	}
	lo, width := uint64(r.lo), uint64(r.hi)-uint64(r.lo)
	flip := int(b2i(r.invert))
	if r.empty {
		width, flip = math.MaxUint64, 0
	}
	if rows.sel == nil {
		return denseRange(x[:rows.n], lo, width, flip, dst)
	}
	k := 0
	for _, i := range rows.sel {
		dst[k] = i
		k += int(b2i(uint64(x[i])-lo <= width)) ^ flip
	}
	return dst[:k]
}

// denseRange is the hot loop of filtering: no branch depends on the data.
func denseRange(x []int64, lo, width uint64, flip int, dst []int32) []int32 {
	dst = dst[:len(x)]
	k := 0
	for i, v := range x {
		dst[k] = int32(i)
		k += int(b2i(uint64(v)-lo <= width)) ^ flip
	}
	return dst[:k]
}

// dropNulls removes the NULL rows of v from rows.
func dropNulls(v *vec, rows []int32) []int32 {
	if v.valid == nil {
		return rows
	}
	k := 0
	for _, i := range rows {
		rows[k] = i
		k += int(b2i(bitutil.BitIsSet(v.valid, int(i))))
	}
	return rows[:k]
}

// fuseRanges turns comparisons of words into ranges and joins those over one column.
func fuseRanges(conds []condition) []condition {
	out := conds[:0]
	byColumn := map[int]*rangeNode{}
	for _, c := range conds {
		r := asRange(c.node)
		if r == nil {
			out = append(out, c)
			continue
		}
		if first := byColumn[r.offset]; first != nil && !r.invert && first.intersect(r) {
			continue
		}
		if !r.invert {
			byColumn[r.offset] = r
		}
		out = append(out, newCondition(r))
	}
	return out
}

func asRange(n node) *rangeNode {
	cmp, ok := n.(*compareNode)
	if !ok {
		return nil
	}
	col, con, op := cmp.sides()
	if col == nil {
		return nil
	}
	switch column.KindOf(col.ft) {
	case column.Int64, column.Uint64, column.Decimal64:
		r, _ := rangeOf(col, con, op)
		return r
	}
	return nil
}

func (r *rangeNode) intersect(o *rangeNode) bool {
	if r.signed != o.signed {
		return false
	}
	flip := int64(0)
	if !r.signed {
		flip = math.MinInt64 // brings unsigned words to signed order
	}
	r.lo = max(r.lo^flip, o.lo^flip) ^ flip
	r.hi = min(r.hi^flip, o.hi^flip) ^ flip
	r.empty = r.empty || o.empty || r.lo^flip > r.hi^flip
	return true
}

func selectReals(col *columnNode, y float64, op compareOp) selectFn {
	return func(in *input, dst []int32) ([]int32, error) {
		v, err := col.eval(in)
		if err != nil {
			return nil, err
		}
		k := 0
		for j := range in.len() {
			i := in.at(j)
			x := v.f64[i]
			dst[k] = int32(i)
			k += int(op.holds(b2i(x > y) - b2i(x < y)))
		}
		return dropNulls(v, dst[:k]), nil
	}
}

func select128(col *columnNode, y decimal128.Num, op compareOp) selectFn {
	return func(in *input, dst []int32) ([]int32, error) {
		v, err := col.eval(in)
		if err != nil {
			return nil, err
		}
		k := 0
		for j := range in.len() {
			i := in.at(j)
			dst[k] = int32(i)
			k += int(op.holds(int64(cmp128(v.d128[i], y))))
		}
		return dropNulls(v, dst[:k]), nil
	}
}

// stringTest is a condition on one string.
type stringTest func(s []byte) bool

func selectStrings(f *frame, col *columnNode, y []byte, op compareOp) selectFn {
	c, err := f.collator()
	if err != nil {
		return nil
	}
	return selectByTest(col, testString(c, y, op))
}

// testString compares with the constant y. Case-sensitive collations equate equal bytes, but for trailing spaces.
func testString(c value.Collator, y []byte, op compareOp) stringTest {
	switch {
	case isBytewise(c) && op == opEQ:
		return func(x []byte) bool { return string(x) == string(y) }
	case isBytewise(c):
		return func(x []byte) bool { return op.holds(int64(bytes.Compare(x, y))) != 0 }
	case !c.CaseInsensitive() && c.PadSpace() && (op == opEQ || op == opNE):
		y = bytes.TrimRight(y, " ")
		return func(x []byte) bool { return (string(trimPadding(x)) == string(y)) == (op == opEQ) }
	default:
		return func(x []byte) bool { return op.holds(int64(c.Compare(x, y))) != 0 }
	}
}

func trimPadding(s []byte) []byte {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// selectByTest selects the rows of a string column that pass a test.
func selectByTest(col *columnNode, test stringTest) selectFn {
	return func(in *input, dst []int32) ([]int32, error) {
		v, err := col.eval(in)
		if err != nil {
			return nil, err
		}
		k := 0
		for j := range in.len() {
			i := in.at(j)
			if v.null(i) || !test(v.data[v.offs[i]:v.offs[i+1]]) {
				continue
			}
			dst[k] = int32(i)
			k++
		}
		return dst[:k], nil
	}
}
