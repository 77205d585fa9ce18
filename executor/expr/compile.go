package expr

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// compiler turns one tree into nodes, counting them.
type compiler struct {
	input []*tipb.FieldType
	ctx   *Context
	nodes int
}

func compileNode(e *tipb.Expr, input []*tipb.FieldType, ctx *Context) (node, error) {
	if ctx == nil {
		ctx = &Context{}
	}
	c := &compiler{input: input, ctx: ctx}
	return c.compile(e, 1)
}

func (c *compiler) compile(e *tipb.Expr, depth int) (node, error) {
	c.nodes++
	switch {
	case e == nil:
		return nil, fmt.Errorf("expr: missing expression")
	case depth > MaxDepth:
		return nil, fmt.Errorf("expr: expression is deeper than %d", MaxDepth)
	case c.nodes > maxNodes:
		return nil, fmt.Errorf("expr: expression has more than %d nodes", maxNodes)
	case e.Tp == tipb.ExprType_ScalarFunc:
		return c.call(e, depth)
	case e.Tp == tipb.ExprType_ColumnRef:
		return c.columnRef(e)
	default:
		return c.constant(e)
	}
}

func (c *compiler) columnRef(e *tipb.Expr) (node, error) {
	if len(e.Val) < 8 {
		return nil, fmt.Errorf("expr: column reference of %d bytes", len(e.Val))
	}
	offset := decodeInt(e.Val)
	if offset < 0 || offset >= int64(len(c.input)) {
		return nil, fmt.Errorf("expr: column %d of %d", offset, len(c.input))
	}
	ft := c.input[offset]
	return &columnNode{ft: ft, kind: column.KindOf(ft), offset: int(offset), out: vec{scale: scaleOf(ft)}}, nil
}

// callSite is a function call whose arguments are compiled and of the types that the function wants.
type callSite struct {
	*compiler
	fn   *function
	expr *tipb.Expr
	args []node
}

func (c *compiler) call(e *tipb.Expr, depth int) (node, error) {
	fn := registry()[e.Sig]
	if fn == nil {
		return nil, &UnsupportedError{What: e.Sig.String()}
	}
	if e.FieldType == nil {
		return nil, fmt.Errorf("expr: %s has no field type", e.Sig)
	}
	if !fn.accepts(len(e.Children)) {
		return nil, fmt.Errorf("expr: %s with %d arguments", e.Sig, len(e.Children))
	}
	if !resultFits(fn.result(), e.FieldType) {
		return nil, fmt.Errorf("expr: %s cannot give type %d", e.Sig, e.FieldType.Tp)
	}
	site := &callSite{compiler: c, fn: fn, expr: e, args: make([]node, len(e.Children))}
	for k, child := range e.Children {
		arg, err := c.compile(child, depth+1)
		if err != nil {
			return nil, err
		}
		want, _ := fn.letter(k, len(e.Children))
		if site.args[k], err = coerce(arg, want); err != nil {
			return nil, fmt.Errorf("expr: argument %d of %s: %w", k+1, e.Sig, err)
		}
	}
	n, err := site.node()
	if err != nil {
		return nil, err
	}
	return site.fold(n), nil
}

func (s *callSite) node() (node, error) {
	if s.fn.build != nil {
		return s.fn.build(s)
	}
	n := &callNode{ft: s.expr.FieldType, kind: column.KindOf(s.expr.FieldType), fn: s.fn}
	n.frame = frame{ctx: s.ctx, a: make([]*vec, len(s.args)), out: &n.res, expr: s.expr, nums: s.args}
	n.res.scale = scaleOf(n.ft)
	for _, a := range s.args {
		n.frame.args = append(n.frame.args, a.typ())
	}
	if s.fn.row != nil {
		n.run = eachRow(s.fn.row)
		return n, nil
	}
	var err error
	n.run, err = s.fn.bind(&n.frame)
	return n, err
}

// foldedBytesMax is the longest constant worth keeping in place of the call that makes it.
const foldedBytesMax = 64 << 10

// fold replaces a call of constants by its value, unless evaluation fails or warns: that belongs to the rows.
func (s *callSite) fold(n node) node {
	if s.fn.volatile {
		return n
	}
	for _, a := range s.args {
		if _, ok := a.(*constNode); !ok {
			return n
		}
	}
	kept := s.ctx.Warnings
	s.ctx.Warnings = &Warnings{}
	v, err := n.eval(&input{rowset: rowset{n: 1}})
	warned := s.ctx.Warnings.Count > 0
	s.ctx.Warnings = kept
	if err != nil || warned || v.kind == column.Bytes && len(v.str(0)) > foldedBytesMax {
		return n
	}
	c := newConst(n.typ())
	if !v.null(0) {
		out := c.notNull()
		out.copyRow(0, v)
	}
	return c
}

// evalType is the way values of a field type are computed with.
func evalType(ft *tipb.FieldType) etype {
	switch ft.Tp {
	case column.TypeTiny, column.TypeShort, column.TypeInt24, column.TypeLong, column.TypeLongLong, column.TypeYear,
		column.TypeBit, column.TypeNull:
		return etInt
	case column.TypeFloat, column.TypeDouble:
		return etReal
	case column.TypeDecimal:
		return etDecimal
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		return etTime
	case column.TypeDuration:
		return etDuration
	case column.TypeJSON:
		return etJSON
	case typeVector:
		return etVector
	default:
		return etString
	}
}

func isEnum(ft *tipb.FieldType) bool {
	return ft.Tp == column.TypeEnum || ft.Tp == column.TypeSet
}

func resultFits(want etype, ft *tipb.FieldType) bool {
	return evalType(ft) == want && !isEnum(ft)
}

var nullTypes = map[etype]*tipb.FieldType{
	etInt:      {Tp: column.TypeLongLong, Flen: 20},
	etReal:     {Tp: column.TypeDouble, Flen: -1, Decimal: -1},
	etDecimal:  {Tp: column.TypeDecimal, Flen: 1},
	etString:   {Tp: column.TypeVarString, Collate: -63},
	etTime:     {Tp: column.TypeDatetime},
	etDuration: {Tp: column.TypeDuration},
	etJSON:     {Tp: column.TypeJSON},
	etVector:   {Tp: typeVector},
}

// coerce fits an argument to the evaluation type that a function wants. Types must agree but for what MySQL does without
// a cast: NULL has every type, ENUM and SET are numbers where numbers and names where strings are wanted.
func coerce(n node, want etype) (node, error) {
	ft := n.typ()
	switch have := evalType(ft); {
	case want == etAny:
		return n, nil
	case ft.Tp == column.TypeNull || isNullConst(n) && have != want:
		return newConst(nullTypes[want]), nil
	case isEnum(ft) && want == etString:
		return newNames(n), nil
	case isEnum(ft) && want == etInt:
		return asNumber(n), nil
	case isEnum(ft):
		return nil, fmt.Errorf("ENUM or SET where %c is wanted", want)
	case have != want:
		return nil, fmt.Errorf("type %d where %c is wanted", ft.Tp, want)
	}
	return n, nil
}

func isNullConst(n node) bool {
	c, ok := n.(*constNode)
	return ok && c.out.null(0)
}

// asNumber gives an ENUM or SET the type of its number.
func asNumber(n node) node {
	ft := &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20, Flag: column.FlagUnsigned}
	switch n := n.(type) {
	case *columnNode:
		return &columnNode{ft: ft, kind: n.kind, offset: n.offset}
	case *constNode:
		return &constNode{ft: ft, out: n.out}
	default:
		return &typedNode{node: n, ft: ft}
	}
}

// typedNode is a node under another type of the same physical form.
type typedNode struct {
	node
	ft *tipb.FieldType
}

func (t *typedNode) typ() *tipb.FieldType { return t.ft }

// newNames turns ENUM and SET numbers to their names.
func newNames(n node) node {
	ft := n.typ()
	out := &tipb.FieldType{Tp: column.TypeVarString, Flen: ft.Flen, Collate: ft.Collate, Charset: ft.Charset}
	return newUnary(&function{spec: "x:s", row: func(f *frame, i int) error {
		num := f.a[0].uint(i)
		if ft.Tp == column.TypeEnum {
			return f.put(i, []byte(value.EnumName(ft.Elems, num)))
		}
		f.out.data = value.AppendSetNames(f.out.data, ft.Elems, num)
		f.out.end(i)
		return nil
	}}, out, n)
}

// newUnary makes a call that the compiler itself adds.
func newUnary(fn *function, ret *tipb.FieldType, arg node) node {
	call := &callNode{ft: ret, kind: column.KindOf(ret), fn: fn, run: eachRow(fn.row)}
	call.frame = frame{ctx: &Context{}, a: make([]*vec, 1), out: &call.res, expr: &tipb.Expr{FieldType: ret},
		args: []*tipb.FieldType{arg.typ()}, nums: []node{arg}}
	return call
}

func decodeInt(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

func decodeFloat(b []byte) float64 {
	u := binary.BigEndian.Uint64(b)
	if u&(1<<63) != 0 {
		u &^= 1 << 63
	} else {
		u = ^u
	}
	return math.Float64frombits(u)
}
