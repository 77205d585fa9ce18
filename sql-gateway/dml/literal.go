package dml

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// literal reads a value that needs no evaluation: a constant of the statement's text, with a sign perhaps. Strings alias the
// statement. A hexadecimal or bit literal is a number to number columns, and bytes to all others.
func literal(f *field, node ast.ExprNode) (d datum.Datum, ok bool) {
	switch n := node.(type) {
	case *driver.ValueExpr:
		return literalValue(f, n)
	case *ast.UnaryOperationExpr:
		if n.Op != opcode.Minus {
			return d, false
		}
		if v, isValue := n.V.(*driver.ValueExpr); isValue {
			return negative(v)
		}
	}
	return d, false
}

func literalValue(f *field, v *driver.ValueExpr) (d datum.Datum, ok bool) {
	switch v.Kind() {
	case driver.KindNull:
		return datum.Datum{}, true
	case driver.KindInt64:
		return datum.NewInt64(v.GetInt64()), true
	case driver.KindUint64:
		return datum.NewUint64(v.GetUint64()), true
	case driver.KindFloat32, driver.KindFloat64:
		return datum.NewFloat64(v.GetFloat64()), true
	case driver.KindString, driver.KindBytes:
		return datum.NewBytes(v.GetBytes()), true
	case driver.KindMysqlDecimal:
		dec, _, err := value.ParseDecimal(v.GetMysqlDecimal().ToString())
		return datum.NewDecimal(dec), err == nil
	case driver.KindBinaryLiteral:
		raw := v.GetBytes()
		if f.coll == nil {
			n, fits := bigEndian(raw)
			return datum.NewUint64(n), fits
		}
		return datum.NewBytes(raw), true
	}
	return d, false
}

func negative(v *driver.ValueExpr) (d datum.Datum, ok bool) {
	switch v.Kind() {
	case driver.KindInt64:
		n := v.GetInt64()
		return datum.NewInt64(-n), n > 0
	case driver.KindFloat32, driver.KindFloat64:
		return datum.NewFloat64(-v.GetFloat64()), true
	case driver.KindMysqlDecimal:
		dec, _, err := value.ParseDecimal(v.GetMysqlDecimal().ToString())
		return datum.NewDecimal(dec.Neg()), err == nil
	}
	return d, false
}
