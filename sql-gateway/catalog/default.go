package catalog

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// setDefault reads a DEFAULT clause into col and checks that the column can hold the value.
func setDefault(col *Column, expr ast.ExprNode) error {
	col.HasDefault, col.DefaultNull, col.Default, col.DefaultExpr = true, false, "", ""
	if fn, ok := expr.(*ast.FuncCallExpr); ok {
		return setDefaultNow(col, fn)
	}
	text, null, err := literalText(expr)
	if err != nil {
		return err
	}
	if null {
		if col.Type.Flag&column.FlagNotNull != 0 {
			return errCode(mysql.ErrInvalidDefault, col.Name)
		}
		col.DefaultNull = true
		return nil
	}
	if !utf8.ValidString(text) {
		return errNotSupported("DEFAULT with bytes that are not UTF-8")
	}
	switch col.Type.Tp {
	case column.TypeTinyBlob, column.TypeBlob, column.TypeMedBlob, column.TypeLongBlob, column.TypeJSON:
		return errCode(mysql.ErrBlobCantHaveDefault, col.Name)
	}
	d, err := ParseText(col.Type, text)
	if err != nil {
		return errCode(mysql.ErrInvalidDefault, col.Name)
	}
	col.Default = text
	if isTemporal(col.Type.Tp) || col.Type.Tp == column.TypeDecimal {
		col.Default = string(d.AppendText(nil, col.Type)) // in the column's own form, as SHOW CREATE TABLE prints it
	}
	return nil
}

func isTemporal(tp int32) bool {
	switch tp {
	case column.TypeDate, column.TypeDatetime, column.TypeTimestamp, column.TypeDuration:
		return true
	}
	return false
}

func setDefaultNow(col *Column, fn *ast.FuncCallExpr) error {
	fsp, ok := nowFsp(fn)
	if !ok {
		return errNotSupported("DEFAULT with an expression")
	}
	if col.Type.Tp != column.TypeTimestamp && col.Type.Tp != column.TypeDatetime || fsp != int(col.Type.Decimal) {
		return errCode(mysql.ErrInvalidDefault, col.Name)
	}
	col.DefaultExpr = nowText(fsp)
	return nil
}

func nowText(fsp int) string {
	if fsp == 0 {
		return "CURRENT_TIMESTAMP"
	}
	return fmt.Sprintf("CURRENT_TIMESTAMP(%d)", fsp)
}

// nowFsp recognises CURRENT_TIMESTAMP and its synonyms.
func nowFsp(fn *ast.FuncCallExpr) (int, bool) {
	switch fn.FnName.L {
	case "current_timestamp", "now", "localtime", "localtimestamp":
	default:
		return 0, false
	}
	if len(fn.Args) == 0 {
		return 0, true
	}
	v, ok := fn.Args[0].(*driver.ValueExpr)
	if !ok {
		return 0, false
	}
	fsp, err := strconv.Atoi(valueText(v))
	return fsp, err == nil && fsp >= 0 && fsp <= maxFsp
}

// literalText is the text of a literal, which may have a sign.
func literalText(expr ast.ExprNode) (text string, null bool, err error) {
	switch e := expr.(type) {
	case *driver.ValueExpr:
		if e.Kind() == driver.KindNull {
			return "", true, nil
		}
		return valueText(e), false, nil
	case *ast.UnaryOperationExpr:
		text, null, err = literalText(e.V)
		switch {
		case err != nil || null || e.Op == opcode.Plus:
			return text, null, err
		case e.Op == opcode.Minus:
			return "-" + text, false, nil
		}
	case *ast.ParenthesesExpr:
		return literalText(e.Expr)
	}
	return "", false, errNotSupported("DEFAULT with an expression")
}

func valueText(v *driver.ValueExpr) string {
	switch v.Kind() {
	case driver.KindInt64:
		return strconv.FormatInt(v.GetInt64(), 10)
	case driver.KindUint64:
		return strconv.FormatUint(v.GetUint64(), 10)
	case driver.KindFloat32, driver.KindFloat64:
		return strconv.FormatFloat(v.GetFloat64(), 'g', -1, 64)
	case driver.KindMysqlDecimal:
		return v.GetMysqlDecimal().String()
	case driver.KindBinaryLiteral, driver.KindMysqlBit:
		return new(big.Int).SetBytes(v.GetBytes()).String()
	default:
		return v.GetString()
	}
}

// ParseText reads the text of a DEFAULT as a value of a column type; errors say only that it is none.
func ParseText(ft *tipb.FieldType, text string) (datum.Datum, error) {
	switch column.KindOf(ft) {
	case column.Int64, column.Uint64:
		return parseWhole(ft, text)
	case column.Float64:
		v, err := strconv.ParseFloat(text, 64)
		return datum.NewFloat64(v), err
	case column.Decimal64, column.Decimal128, column.Decimal256:
		return parseDecimal(ft, text)
	}
	if ft.Tp == column.TypeJSON {
		b, err := value.ParseJSON([]byte(text))
		return datum.NewJSON(b), err
	}
	if ft.Flen >= 0 && len([]rune(text)) > int(ft.Flen) {
		return datum.Datum{}, fmt.Errorf("text is longer than %d", ft.Flen)
	}
	return datum.NewString(text), nil
}

func parseDecimal(ft *tipb.FieldType, text string) (datum.Datum, error) {
	d, whole, err := value.ParseDecimal([]byte(text))
	if err != nil || !whole {
		return datum.Datum{}, fmt.Errorf("%q is not a decimal: %w", text, err)
	}
	d = d.Rescale(column.Scale(ft))
	if !d.FitsIn(column.Precision(ft), column.Scale(ft)) {
		return datum.Datum{}, fmt.Errorf("%q does not fit", text)
	}
	return datum.NewDecimal(d), nil
}

// parseWhole reads the types that are whole numbers inside.
func parseWhole(ft *tipb.FieldType, text string) (datum.Datum, error) {
	switch ft.Tp {
	case column.TypeDate, column.TypeDatetime, column.TypeTimestamp:
		t, err := value.ParseTime([]byte(text), byte(ft.Tp), int(ft.Decimal), time.UTC, value.TimeMode{})
		return datum.NewTime(t), err
	case column.TypeDuration:
		d, err := value.ParseDuration([]byte(text), int(ft.Decimal))
		return datum.NewDuration(d), err
	case column.TypeEnum:
		return parseEnum(ft.Elems, text)
	case column.TypeSet:
		return parseSet(ft.Elems, text)
	case column.TypeYear:
		v, err := strconv.ParseInt(text, 10, 16)
		return datum.NewInt64(v), err
	case column.TypeBit:
		v, err := strconv.ParseUint(text, 10, int(min(max(ft.Flen, 1), 64)))
		return datum.NewUint64(v), err
	}
	bits := map[int32]int{column.TypeTiny: 8, column.TypeShort: 16, column.TypeInt24: 24, column.TypeLong: 32}[ft.Tp]
	if bits == 0 {
		bits = 64
	}
	if column.IsUnsigned(ft) {
		v, err := strconv.ParseUint(text, 10, bits)
		return datum.NewUint64(v), err
	}
	v, err := strconv.ParseInt(text, 10, bits)
	return datum.NewInt64(v), err
}

func parseEnum(elems []string, text string) (datum.Datum, error) {
	for i, e := range elems {
		if strings.EqualFold(e, text) {
			return datum.NewUint64(uint64(i + 1)), nil
		}
	}
	return datum.Datum{}, fmt.Errorf("%q is not an element", text)
}

func parseSet(elems []string, text string) (datum.Datum, error) {
	var mask uint64
	if text == "" {
		return datum.NewUint64(0), nil
	}
	for _, part := range strings.Split(text, ",") {
		d, err := parseEnum(elems, part)
		if err != nil {
			return d, err
		}
		mask |= 1 << (d.Uint64() - 1)
	}
	return datum.NewUint64(mask), nil
}
