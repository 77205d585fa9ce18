package planner

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

func mathFunctions() map[string]fnDef {
	m := map[string]fnDef{
		"abs": {"x", abs}, "round": {"x?i", round}, "truncate": {"xi", truncate},
		"ceil": {"x", ceilOrFloor}, "floor": {"x", ceilOrFloor},
		"log":  byCount("r?r", 1, typed(realType), tipb.ScalarFuncSig_Log1Arg, tipb.ScalarFuncSig_Log2Args),
		"atan": byCount("r?r", 1, typed(realType), tipb.ScalarFuncSig_Atan1Arg, tipb.ScalarFuncSig_Atan2Args),
		"pow":  fixed("rr", tipb.ScalarFuncSig_Pow, realType), "atan2": fixed("rr", tipb.ScalarFuncSig_Atan2Args, realType),
		"pi": fixed("", tipb.ScalarFuncSig_PI, func() *tipb.FieldType { return shownReal(6) }), "sign": fixed("r", tipb.ScalarFuncSig_Sign, intType),
		"crc32": fixed("s", tipb.ScalarFuncSig_CRC32, uintType), "conv": {"xii", conv},
		"rand": {"?i", func(b *builder, name string, a []*Expr) (*Expr, error) {
			if len(a) == 0 {
				return b.volatileCall(tipb.ScalarFuncSig_Rand, name, realType())
			}
			return b.volatileCall(tipb.ScalarFuncSig_RandWithSeedFirstGen, name, realType(), a...)
		}},
		"bit_count": fixed("i", tipb.ScalarFuncSig_BitCount, intType),
	}
	for name, sig := range map[string]tipb.ScalarFuncSig{
		"ln": tipb.ScalarFuncSig_Log1Arg, "log2": tipb.ScalarFuncSig_Log2, "log10": tipb.ScalarFuncSig_Log10, "exp": tipb.ScalarFuncSig_Exp,
		"sqrt": tipb.ScalarFuncSig_Sqrt, "sin": tipb.ScalarFuncSig_Sin, "cos": tipb.ScalarFuncSig_Cos, "tan": tipb.ScalarFuncSig_Tan,
		"cot": tipb.ScalarFuncSig_Cot, "asin": tipb.ScalarFuncSig_Asin, "acos": tipb.ScalarFuncSig_Acos,
		"degrees": tipb.ScalarFuncSig_Degrees, "radians": tipb.ScalarFuncSig_Radians,
	} {
		m[name] = fixed("r", sig, realType)
	}
	return m
}

// conv is CONV(digits, from, to); of a BIT or a hexadecimal literal the digits are those of its number.
func conv(b *builder, name string, a []*Expr) (*Expr, error) {
	digits := a[0]
	switch {
	case digits.hex:
		digits = hexNumber(digits)
	case digits.Type.Tp == column.TypeBit:
		var err error
		if digits, err = b.call(tipb.ScalarFuncSig_CastIntAsInt, "cast", uintType(), digits); err != nil {
			return nil, err
		}
	}
	digits, err := b.as(digits, evalString)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_Conv, name, stringType(64, b.connType), digits, a[1], a[2])
}

// number converts e to the class in which arithmetic takes it.
func (b *builder) number(e *Expr) (*Expr, evalType, error) {
	et := numberClass(e)
	e, err := b.as(e, et)
	return e, et, err
}

func abs(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	switch {
	case et == evalReal:
		return b.call(tipb.ScalarFuncSig_AbsReal, name, realType(), e)
	case et == evalDecimal:
		return b.call(tipb.ScalarFuncSig_AbsDecimal, name, decimalType(decimalShape(e.Type)), e)
	case isUnsigned(e.Type):
		return b.call(tipb.ScalarFuncSig_AbsUInt, name, uintType(), e)
	}
	return b.call(tipb.ScalarFuncSig_AbsInt, name, intType(), e)
}

// round rounds to a number of digits; of a decimal by a constant the result's scale is that number.
func round(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	if len(a) == 1 {
		switch et {
		case evalReal:
			return b.call(tipb.ScalarFuncSig_RoundReal, name, shownReal(0), e)
		case evalDecimal:
			p, s := decimalShape(e.Type)
			return b.call(tipb.ScalarFuncSig_RoundDec, name, decimalType(p-s+1, 0), e)
		}
		return b.call(tipb.ScalarFuncSig_RoundInt, name, sameInt(e.Type), e)
	}
	switch et {
	case evalReal:
		return b.call(tipb.ScalarFuncSig_RoundWithFracReal, name, roundedReal(a[1]), e, a[1])
	case evalDecimal:
		return b.call(tipb.ScalarFuncSig_RoundWithFracDec, name, roundedShape(e.Type, a[1], 1), e, a[1])
	}
	return b.call(tipb.ScalarFuncSig_RoundWithFracInt, name, sameInt(e.Type), e, a[1])
}

func truncate(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	switch {
	case et == evalReal:
		return b.call(tipb.ScalarFuncSig_TruncateReal, name, roundedReal(a[1]), e, a[1])
	case et == evalDecimal:
		return b.call(tipb.ScalarFuncSig_TruncateDecimal, name, roundedShape(e.Type, a[1], 0), e, a[1])
	case isUnsigned(e.Type):
		return b.call(tipb.ScalarFuncSig_TruncateUint, name, uintType(), e, a[1])
	}
	return b.call(tipb.ScalarFuncSig_TruncateInt, name, intType(), e, a[1])
}

func sameInt(ft *tipb.FieldType) *tipb.FieldType {
	if isUnsigned(ft) {
		return uintType()
	}
	return intType()
}

// shownReal is a DOUBLE that is written with a fixed number of fraction digits.
func shownReal(digits int) *tipb.FieldType {
	ft := realType()
	ft.Decimal = int32(digits)
	return ft
}

// roundedReal is the type of a DOUBLE rounded to digits.
func roundedReal(digits *Expr) *tipb.FieldType {
	if !digits.isConst() || digits.isNull() || digits.val.Int64() > column.MaxScale {
		return realType()
	}
	return shownReal(int(max(digits.val.Int64(), 0)))
}

func roundedShape(ft *tipb.FieldType, digits *Expr, carry int) *tipb.FieldType {
	p, s := decimalShape(ft)
	if !digits.isConst() || digits.isNull() {
		return decimalType(p+carry, s)
	}
	to := int(min(max(digits.val.Int64(), 0), column.MaxScale))
	if to >= s {
		carry = 0
	}
	return decimalType(p-s+to+carry, to)
}

func ceilOrFloor(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	sigs := map[string][4]tipb.ScalarFuncSig{
		"ceil":  {tipb.ScalarFuncSig_CeilReal, tipb.ScalarFuncSig_CeilDecToInt, tipb.ScalarFuncSig_CeilDecToDec, tipb.ScalarFuncSig_CeilIntToInt},
		"floor": {tipb.ScalarFuncSig_FloorReal, tipb.ScalarFuncSig_FloorDecToInt, tipb.ScalarFuncSig_FloorDecToDec, tipb.ScalarFuncSig_FloorIntToInt},
	}
	if name == "ceiling" {
		name = "ceil"
	}
	s := sigs[name]
	switch et {
	case evalReal:
		return b.call(s[0], name, shownReal(0), e)
	case evalDecimal:
		p, scale := decimalShape(e.Type)
		if p-scale+1 < 18 {
			return b.call(s[1], name, intType(), e)
		}
		return b.call(s[2], name, decimalType(p-scale+1, 0), e)
	}
	return b.call(s[3], name, sameInt(e.Type), e)
}
