package planner

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// windowFrame checks and builds a frame. The key of a RANGE with offsets, and what it is compared with, get one type: the
// order of n changes to the key in that type.
func (c *clause) windowFrame(s *windowSpec, n *windowNode) (*windowFrame, error) {
	if s.frame == nil {
		return nil, nil
	}
	if s.frame.Type == ast.Groups {
		return nil, errNotSupported("GROUPS frames")
	}
	start, end := &s.frame.Extent.Start, &s.frame.Extent.End
	switch {
	case start.UnBounded && start.Type == ast.Following:
		return nil, errCode(mysql.ErrWindowFrameStartIllegal, s.name)
	case end.UnBounded && end.Type == ast.Preceding:
		return nil, errCode(mysql.ErrWindowFrameEndIllegal, s.name)
	case start.Type == ast.Following && end.Type != ast.Following, start.Type == ast.CurrentRow && end.Type == ast.Preceding:
		return nil, errCode(mysql.ErrWindowFrameIllegal, s.name)
	}
	f := &windowFrame{rows: s.frame.Type == ast.Rows}
	f.start = windowBound{tp: start.Type, unbounded: start.UnBounded}
	f.end = windowBound{tp: end.Type, unbounded: end.UnBounded}
	for _, b := range []struct {
		from *ast.FrameBound
		to   *windowBound
	}{{start, &f.start}, {end, &f.end}} {
		if err := c.windowBound(s, n, f, b.from, b.to); err != nil {
			return nil, err
		}
	}
	f.text = map[bool]string{true: "rows", false: "range"}[f.rows] + " between " + f.start.text + " and " + f.end.text
	return f, c.b.alignRange(f, n)
}

func (c *clause) windowBound(s *windowSpec, n *windowNode, f *windowFrame, from *ast.FrameBound, to *windowBound) error {
	side := map[ast.BoundType]string{ast.Preceding: " preceding", ast.Following: " following"}[from.Type]
	switch {
	case from.Type == ast.CurrentRow:
		to.text = "current row"
		return nil
	case from.UnBounded:
		to.text = "unbounded" + side
		return nil
	}
	if f.rows && from.Unit != ast.TimeUnitInvalid {
		return errCode(mysql.ErrWindowRowsIntervalUse, s.name)
	}
	amount, err := c.build(from.Expr)
	if err != nil {
		return err
	}
	if !amount.isConst() {
		return errCode(mysql.ErrWindowRangeBoundNotConstant, s.name)
	}
	to.text = constText(amount) + side
	if from.Unit != ast.TimeUnitInvalid {
		to.text = "interval " + constText(amount) + " " + from.Unit.String() + side
	}
	if f.rows {
		var ok bool
		if to.rows, ok = countConst(amount); !ok {
			return errCode(mysql.ErrWindowFrameIllegal, s.name)
		}
		return nil
	}
	if amount.isNull() || strings.HasPrefix(constText(amount), "-") {
		return errCode(mysql.ErrWindowFrameIllegal, s.name)
	}
	to.value, err = c.rangeValue(s, n, from, amount)
	return err
}

// rangeValue is the key plus or minus an amount: minus for what precedes, unless the order descends.
func (c *clause) rangeValue(s *windowSpec, n *windowNode, from *ast.FrameBound, amount *Expr) (*Expr, error) {
	if len(n.order) != 1 {
		return nil, errCode(mysql.ErrWindowRangeFrameOrderType, s.name)
	}
	key := n.order[0]
	add := (from.Type == ast.Following) != key.desc
	switch et := evalOf(key.expr.Type); {
	case isNumeric(key.expr.Type) && !isEnumSet(key.expr.Type):
		if from.Unit != ast.TimeUnitInvalid {
			return nil, errCode(mysql.ErrWindowRangeFrameNumericType, s.name)
		}
		return c.b.numberValue(key.expr, amount, add)
	case et == evalTime || et == evalDuration:
		if from.Unit == ast.TimeUnitInvalid {
			return nil, errCode(mysql.ErrWindowRangeFrameTemporalType, s.name)
		}
		return c.b.dateArith(key.expr, amount, from.Unit, add)
	}
	return nil, errCode(mysql.ErrWindowRangeFrameOrderType, s.name)
}

// numberValue computes with decimals where the key is an integer: these do not overflow.
func (b *builder) numberValue(key, amount *Expr, add bool) (*Expr, error) {
	var err error
	if evalOf(key.Type) == evalInt {
		if key, err = b.as(key, evalDecimal); err != nil {
			return nil, err
		}
	}
	if add {
		return b.arithmetic(opcode.Plus, key, amount)
	}
	return b.arithmetic(opcode.Minus, key, amount)
}

func (f *windowFrame) hasValues() bool { return f.start.value != nil || f.end.value != nil }

// alignRange brings the key and the values that it is compared with to one type.
func (b *builder) alignRange(f *windowFrame, n *windowNode) error {
	if !f.hasValues() {
		return nil
	}
	var ft *tipb.FieldType
	for _, e := range []*Expr{f.start.value, f.end.value} {
		switch {
		case e == nil:
		case ft == nil:
			ft = e.Type
		default:
			ft = mergeTypes(ft, e.Type)
		}
	}
	ft = nullable(ft)
	for _, e := range []**Expr{&f.start.value, &f.end.value, &n.order[0].expr} {
		if *e == nil {
			continue
		}
		var err error
		if *e, err = b.castTo(*e, ft); err != nil {
			return err
		}
	}
	return nil
}

// key tells frames apart; the default's is empty.
func (f *windowFrame) key() string {
	if f == nil {
		return ""
	}
	k := f.text
	for _, e := range []*Expr{f.start.value, f.end.value} {
		if e != nil {
			k += "/" + e.key()
		}
	}
	return k
}

// pb describes the frame over the columns of an operator's input.
func (f *windowFrame) pb(o *opener, input []*Column) (*tipb.WindowFrame, error) {
	if f == nil {
		return nil, nil
	}
	out := &tipb.WindowFrame{Type: tipb.WindowFrameType_Ranges}
	if f.rows {
		out.Type = tipb.WindowFrameType_Rows
	}
	var err error
	if out.Start, err = f.start.pb(o, input); err != nil {
		return nil, err
	}
	out.End, err = f.end.pb(o, input)
	return out, err
}

func (b *windowBound) pb(o *opener, input []*Column) (*tipb.WindowFrameBound, error) {
	out := &tipb.WindowFrameBound{Unbounded: b.unbounded}
	out.Type = map[ast.BoundType]tipb.WindowBoundType{ast.Following: tipb.WindowBoundType_Following,
		ast.Preceding: tipb.WindowBoundType_Preceding, ast.CurrentRow: tipb.WindowBoundType_CurrentRow}[b.tp]
	switch {
	case b.value != nil:
		list, err := o.exprs([]*Expr{b.value}, input)
		if err != nil {
			return nil, err
		}
		out.FrameRange = list[0]
		cmp := rangeCmpType(b.value.Type)
		out.CmpDataType = &cmp
	case !b.unbounded && b.tp != ast.CurrentRow:
		out.Offset = &b.rows
	}
	return out, nil
}

// rangeCmpType names the class of the values for readers of the DAG.
func rangeCmpType(ft *tipb.FieldType) tipb.RangeCmpDataType {
	switch column.KindOf(ft) {
	case column.Float64:
		return tipb.RangeCmpDataType_Float
	case column.Decimal64, column.Decimal128, column.Decimal256:
		return tipb.RangeCmpDataType_Decimal
	}
	switch evalOf(ft) {
	case evalTime:
		return tipb.RangeCmpDataType_DateTime
	case evalDuration:
		return tipb.RangeCmpDataType_Duration
	}
	return tipb.RangeCmpDataType_Int
}
