package expr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// constantTypes are the types of constants that come without one.
var constantTypes = map[tipb.ExprType]*tipb.FieldType{
	tipb.ExprType_Null:          {Tp: column.TypeNull},
	tipb.ExprType_Int64:         {Tp: column.TypeLongLong, Flen: 20},
	tipb.ExprType_Uint64:        {Tp: column.TypeLongLong, Flen: 20, Flag: column.FlagUnsigned},
	tipb.ExprType_Float32:       {Tp: column.TypeFloat, Flen: -1, Decimal: -1},
	tipb.ExprType_Float64:       {Tp: column.TypeDouble, Flen: -1, Decimal: -1},
	tipb.ExprType_String:        {Tp: column.TypeVarString, Flen: -1, Collate: -63},
	tipb.ExprType_Bytes:         {Tp: column.TypeVarString, Flen: -1, Collate: -63},
	tipb.ExprType_MysqlBit:      {Tp: column.TypeBit, Flen: 64, Flag: column.FlagUnsigned},
	tipb.ExprType_MysqlDecimal:  {Tp: column.TypeDecimal, Flen: -1, Decimal: -1},
	tipb.ExprType_MysqlDuration: {Tp: column.TypeDuration, Decimal: 6},
	tipb.ExprType_MysqlTime:     {Tp: column.TypeDatetime, Decimal: 6},
	tipb.ExprType_MysqlJson:     {Tp: column.TypeJSON},

	tipb.ExprType_TiDBVectorFloat32: {Tp: typeVector},
}

// constant decodes the constant e (protocol notes 7.2). The kind of constant must agree with the field type. A TIMESTAMP
// travels in UTC and is brought to the session's zone.
func (cc *compiler) constant(e *tipb.Expr) (node, error) {
	ft := e.FieldType
	if ft == nil {
		ft = constantTypes[e.Tp]
	}
	if ft == nil {
		return nil, &UnsupportedError{What: "expression of kind " + e.Tp.String()}
	}
	if e.Tp == tipb.ExprType_Null {
		return newConst(ft), nil
	}
	decode := constantDecoders[e.Tp]
	if decode == nil {
		return nil, &UnsupportedError{What: "constant of kind " + e.Tp.String()}
	}
	if ft.Tp == column.TypeDecimal && e.Tp == tipb.ExprType_MysqlDecimal {
		return decimalConstant(e.Val, ft)
	}
	c := newConst(ft)
	if err := decode(c, e.Val); err != nil {
		return nil, fmt.Errorf("expr: %s constant of type %d: %w", e.Tp, ft.Tp, err)
	}
	if ft.Tp == column.TypeTimestamp {
		t, err := value.Time(c.out.i64[0]).In(time.UTC, cc.ctx.zone())
		if err != nil {
			return nil, fmt.Errorf("expr: TIMESTAMP constant: %w", err)
		}
		c.out.i64[0] = int64(t)
	}
	return c, nil
}

var constantDecoders = map[tipb.ExprType]func(*constNode, []byte) error{
	tipb.ExprType_Int64:         intConstant(true),
	tipb.ExprType_Uint64:        intConstant(false),
	tipb.ExprType_MysqlEnum:     intConstant(false),
	tipb.ExprType_MysqlSet:      intConstant(false),
	tipb.ExprType_MysqlTime:     word(etTime, false),
	tipb.ExprType_MysqlDuration: word(etDuration, true),
	tipb.ExprType_Float32:       floatConstant,
	tipb.ExprType_Float64:       floatConstant,
	tipb.ExprType_String:        bytesConstant,
	tipb.ExprType_Bytes:         bytesConstant,
	tipb.ExprType_MysqlHex:      bytesConstant,
	tipb.ExprType_MysqlJson:     jsonConstant,
	tipb.ExprType_MysqlBit:      bitConstant,
	tipb.ExprType_MysqlDecimal:  func(*constNode, []byte) error { return errMismatch },

	tipb.ExprType_TiDBVectorFloat32: vectorConstant,
}

var (
	errMismatch = errors.New("value and type do not agree")
	errShort    = errors.New("value is too short")
)

// intConstant decodes i64cmp (signed) or u64be for any type held in an integer. The bits stay; the type tells the sign.
func intConstant(signed bool) func(*constNode, []byte) error {
	return func(c *constNode, val []byte) error {
		if evalType(c.ft) != etInt && !isEnum(c.ft) {
			return errMismatch
		}
		return setWord(c, val, signed)
	}
}

// word decodes eight bytes, memory-comparable if signed, for constants of one evaluation type.
func word(want etype, signed bool) func(*constNode, []byte) error {
	return func(c *constNode, val []byte) error {
		if evalType(c.ft) != want {
			return errMismatch
		}
		return setWord(c, val, signed)
	}
}

func setWord(c *constNode, val []byte, signed bool) error {
	if len(val) < 8 {
		return errShort
	}
	out := c.notNull()
	if signed {
		out.i64[0] = decodeInt(val)
	} else {
		out.i64[0] = int64(binary.BigEndian.Uint64(val))
	}
	return nil
}

func floatConstant(c *constNode, val []byte) error {
	if evalType(c.ft) != etReal {
		return errMismatch
	}
	if len(val) < 8 {
		return errShort
	}
	c.notNull().f64[0] = decodeFloat(val)
	return nil
}

func bytesConstant(c *constNode, val []byte) error {
	if evalType(c.ft) != etString || isEnum(c.ft) {
		return errMismatch
	}
	c.notNull().setStr(0, val)
	return nil
}

func jsonConstant(c *constNode, val []byte) error {
	if c.ft.Tp != column.TypeJSON {
		return errMismatch
	}
	if err := value.ValidateJSON(val); err != nil {
		return err
	}
	c.notNull().setStr(0, val)
	return nil
}

func bitConstant(c *constNode, val []byte) error {
	if evalType(c.ft) != etInt || len(val) > 8 {
		return errMismatch
	}
	n := uint64(0)
	for _, b := range val {
		n = n<<8 | uint64(b)
	}
	c.notNull().i64[0] = int64(n)
	return nil
}

// decimalConstant keeps the value exact: where the field type cannot hold it, the constant's type is widened.
func decimalConstant(val []byte, ft *tipb.FieldType) (node, error) {
	d, _, err := value.DecodeDecimalBinary(val)
	if err != nil {
		return nil, fmt.Errorf("expr: decimal constant: %w", err)
	}
	if ft.Decimal < 0 || int(d.Scale) > column.Scale(ft) || !d.FitsIn(column.Precision(ft), column.Scale(ft)) {
		ft = decimalType(d)
	}
	c := newConst(ft)
	if !c.notNull().setDec(0, d) {
		return nil, fmt.Errorf("expr: decimal constant %s is too large", d)
	}
	return c, nil
}

// decimalType is the narrowest type of d.
func decimalType(d value.Decimal) *tipb.FieldType {
	precision := max(int(d.Scale), 1)
	for precision < column.MaxPrecision && !d.FitsIn(precision, int(d.Scale)) {
		precision++
	}
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: int32(precision), Decimal: d.Scale}
}
