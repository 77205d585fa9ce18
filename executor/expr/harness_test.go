package expr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// ft reads a type as tests write it: bigint, ubigint, decimal(15,2), varchar, varchar(3), varchar@-45, enum(a|b) ...
func ft(t testing.TB, s string) *tipb.FieldType {
	t.Helper()
	out, err := parseType(s)
	require.NoError(t, err)
	return out
}

var typeCodes = map[string]tipb.FieldType{
	"bigint":    {Tp: column.TypeLongLong, Flen: 20},
	"ubigint":   {Tp: column.TypeLongLong, Flen: 20, Flag: column.FlagUnsigned},
	"bool":      {Tp: column.TypeTiny, Flen: 1, Flag: column.FlagIsBoolean},
	"year":      {Tp: column.TypeYear, Flen: 4},
	"bit":       {Tp: column.TypeBit, Flen: 64, Flag: column.FlagUnsigned},
	"double":    {Tp: column.TypeDouble, Flen: -1, Decimal: -1},
	"float":     {Tp: column.TypeFloat, Flen: -1, Decimal: -1},
	"decimal":   {Tp: column.TypeDecimal},
	"udecimal":  {Tp: column.TypeDecimal, Flag: column.FlagUnsigned},
	"varchar":   {Tp: column.TypeVarString, Flen: -1, Collate: -46, Charset: "utf8mb4"},
	"char":      {Tp: column.TypeString, Flen: -1, Collate: -46, Charset: "utf8mb4"},
	"varbinary": {Tp: column.TypeVarString, Flen: -1, Collate: -63, Charset: "binary"},
	"binary":    {Tp: column.TypeString, Flen: -1, Collate: -63, Charset: "binary"},
	"date":      {Tp: column.TypeDate, Flen: 10},
	"datetime":  {Tp: column.TypeDatetime},
	"timestamp": {Tp: column.TypeTimestamp},
	"time":      {Tp: column.TypeDuration},
	"json":      {Tp: column.TypeJSON, Flag: column.FlagBinary},
	"jsonparse": {Tp: column.TypeJSON, Flag: column.FlagBinary | column.FlagParseToJSON},
	"enum":      {Tp: column.TypeEnum, Collate: -46, Charset: "utf8mb4"},
	"set":       {Tp: column.TypeSet, Collate: -46, Charset: "utf8mb4"},
	"null":      {Tp: column.TypeNull},
	"vector":    {Tp: typeVector},
}

func parseType(s string) (*tipb.FieldType, error) {
	s, coll, _ := strings.Cut(s, "@")
	name, param, _ := strings.Cut(strings.TrimSuffix(s, ")"), "(")
	out, ok := typeCodes[name]
	if !ok {
		return nil, fmt.Errorf("no type %q", s)
	}
	if coll != "" {
		id, err := strconv.Atoi(coll)
		if err != nil {
			return nil, err
		}
		out.Collate = int32(id)
	}
	if isEnum(&out) {
		out.Elems = strings.Split(param, "|")
		return &out, nil
	}
	if param == "" {
		return &out, nil
	}
	first, second, _ := strings.Cut(param, ",")
	n, err := strconv.Atoi(first)
	if err != nil {
		return nil, err
	}
	m, _ := strconv.Atoi(second)
	switch evalType(&out) {
	case etTime, etDuration:
		out.Decimal = int32(n)
	case etReal:
		out.Flen, out.Decimal = int32(n), int32(m)
	default:
		out.Flen, out.Decimal = int32(n), int32(m)
	}
	return &out, nil
}

// appendCell parses a value as tests write it and appends it: NULL, numbers and times as SQL shows them, strings as Go
// literals or bare words.
func appendCell(b *column.Builder, text string) error {
	if text == "NULL" {
		b.AppendNull()
		return nil
	}
	if strings.HasPrefix(text, `"`) {
		s, err := strconv.Unquote(text)
		if err != nil {
			return err
		}
		text = s
	}
	switch evalType(b.Type) {
	case etReal:
		x, err := strconv.ParseFloat(text, 64)
		b.AppendFloat64(x)
		return err
	case etDecimal:
		return appendDecimal(b, text)
	case etTime:
		t, err := value.ParseTime([]byte(text), byte(b.Type.Tp), 6, time.UTC, value.TimeMode{})
		b.AppendUint64(uint64(t))
		return err
	case etDuration:
		d, err := value.ParseDuration([]byte(text), 6)
		b.AppendInt64(int64(d))
		return err
	case etVector:
		return appendVector(b, text)
	case etJSON:
		j, err := value.ParseJSON([]byte(text))
		b.AppendBytes(j)
		return err
	}
	switch b.Kind {
	case column.Int64:
		x, err := strconv.ParseInt(text, 10, 64)
		b.AppendInt64(x)
		return err
	case column.Uint64:
		x, err := strconv.ParseUint(text, 10, 64)
		b.AppendUint64(x)
		return err
	default:
		b.AppendBytes([]byte(text))
		return nil
	}
}

func appendVector(b *column.Builder, text string) error {
	v, err := EvalConst(call(tipb.ScalarFuncSig_VecFromTextSig, b.Type,
		&tipb.Expr{Tp: tipb.ExprType_String, Val: []byte(text)}), nil)
	if err == nil {
		b.AppendFrom(v, 0)
	}
	return err
}

func appendDecimal(b *column.Builder, text string) error {
	d, whole, err := value.ParseDecimal([]byte(text))
	if err != nil || !whole {
		return fmt.Errorf("decimal %q: %v", text, err)
	}
	d = d.Rescale(column.Scale(b.Type))
	switch b.Kind {
	case column.Decimal64:
		x, _ := narrow64(d.Coef)
		b.AppendInt64(x)
	case column.Decimal128:
		x, _ := narrow128(d.Coef)
		b.AppendDecimal128(x)
	default:
		b.AppendDecimal256(d.Coef)
	}
	return nil
}

// buildColumn makes a column of texts.
func buildColumn(t testing.TB, ft *tipb.FieldType, cells []string) arrow.Array {
	t.Helper()
	b := column.NewBuilder(ft, len(cells))
	for _, c := range cells {
		require.NoError(t, appendCell(b, c))
	}
	return b.Array()
}

// show writes row i as SQL would.
func show(a arrow.Array, ft *tipb.FieldType, i int) string {
	d := datum.FromColumn(a, i, ft)
	if d.IsNull() {
		return "NULL"
	}
	if ft.Tp == typeVector {
		return fmt.Sprintf("%x", d.Bytes())
	}
	text := string(d.AppendText(nil, ft))
	if evalType(ft) == etString {
		return strconv.Quote(text)
	}
	return text
}

func colRef(offset int) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: encodeInt(int64(offset))}
}

func encodeInt(v int64) []byte {
	u := uint64(v) ^ 1<<63
	return []byte{byte(u >> 56), byte(u >> 48), byte(u >> 40), byte(u >> 32), byte(u >> 24), byte(u >> 16), byte(u >> 8), byte(u)}
}

func call(sig tipb.ScalarFuncSig, ret *tipb.FieldType, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: sig, FieldType: ret, Children: args}
}

// intConst, decConst and so on make constants.
func intConst(v int64) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_Int64, Val: encodeInt(v), FieldType: &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}}
}

func strConst(s string, ft *tipb.FieldType) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_String, Val: []byte(s), FieldType: ft}
}

func timeConst(t testing.TB, s string, ft *tipb.FieldType) *tipb.Expr {
	v, err := value.ParseTime([]byte(s), byte(ft.Tp), 6, time.UTC, value.TimeMode{})
	require.NoError(t, err)
	u := encodeInt(int64(v))
	u[0] ^= 0x80
	return &tipb.Expr{Tp: tipb.ExprType_MysqlTime, Val: u, FieldType: ft}
}

func decConst(t testing.TB, s string, ft *tipb.FieldType) *tipb.Expr {
	d, _, err := value.ParseDecimal([]byte(s))
	require.NoError(t, err)
	return &tipb.Expr{Tp: tipb.ExprType_MysqlDecimal, FieldType: ft,
		Val: value.AppendDecimalBinary(nil, d.Rescale(column.Scale(ft)), column.Precision(ft), column.Scale(ft))}
}

// functionCase is a call of one signature with rows of arguments.
type functionCase struct {
	sig  tipb.ScalarFuncSig
	args []*tipb.FieldType
	ret  *tipb.FieldType
	rows [][]string
	ctx  Context
	base []arrow.Array // the rows as columns
}

func (c *functionCase) expr() *tipb.Expr {
	e := call(c.sig, c.ret)
	for k := range c.args {
		e.Children = append(e.Children, colRef(k))
	}
	return e
}

// compile gives the call with warnings of its own.
func (c *functionCase) compile() (Expr, *Warnings, error) {
	ctx := c.ctx
	ctx.Warnings = &Warnings{}
	x, err := Compile(c.expr(), c.args, &ctx)
	return x, ctx.Warnings, err
}

// batch makes columns whose row r has the arguments of rows[pick[r]]; -1 picks only NULLs.
func (c *functionCase) batch(t testing.TB, pick []int) column.Batch {
	if c.base == nil {
		for k, ft := range c.args {
			cells := make([]string, len(c.rows))
			for r := range cells {
				cells[r] = c.rows[r][k]
			}
			c.base = append(c.base, buildColumn(t, ft, cells))
		}
	}
	rows := make([]int32, len(pick))
	for r, p := range pick {
		rows[r] = int32(p)
	}
	b := column.Batch{Rows: len(pick)}
	for _, a := range c.base {
		b.Cols = append(b.Cols, column.Gather(a, rows))
	}
	return b
}

// single evaluates each row alone and tells its result, or its error, and its warnings.
func (c *functionCase) single(t testing.TB) (results []string, failed []bool) {
	for r := range c.rows {
		x, w, err := c.compile()
		if err != nil {
			return []string{"compile: " + err.Error()}, []bool{true}
		}
		a, err := x.Eval(c.batch(t, []int{r}))
		text := ""
		if err != nil {
			var ve *value.Error
			require.ErrorAs(t, err, &ve)
			text = fmt.Sprintf("error %d: %s", ve.Code, ve.Message)
		} else {
			text = show(a, x.Type(), 0)
		}
		for _, w := range w.List {
			text += fmt.Sprintf("  -- warning %d: %s", w.Code, w.Msg)
		}
		results, failed = append(results, text), append(failed, err != nil)
	}
	return results, failed
}

// verify evaluates the rows again in all the ways that must not matter: in batches of several sizes, dense and selected,
// with NULL rows and rows that fail lying unselected among them, twice over with the same Expr, and with constants in
// place of columns.
func (c *functionCase) verify(t testing.TB) {
	want, failed := c.single(t)
	good := []int{}
	for r := range c.rows {
		if !failed[r] {
			good = append(good, r)
			want[r], _, _ = strings.Cut(want[r], "  -- ")
		}
	}
	if len(good) == 0 {
		return
	}
	x, _, err := c.compile()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, uint64(c.sig)))
	for _, size := range []int{1, 3, 1024, 4096, 5} {
		dense := make([]int, size)
		for r := range dense {
			dense[r] = good[(r+rng.IntN(2))%len(good)]
		}
		c.check(t, x, dense, nil, want)
		mixed, sel := make([]int, size), []int32{}
		for r := range mixed {
			mixed[r] = rng.IntN(len(c.rows)+1) - 1
			if p := mixed[r]; p >= 0 && !failed[p] && rng.IntN(3) > 0 {
				sel = append(sel, int32(r))
			}
		}
		c.check(t, x, mixed, sel, want)
	}
}

func (c *functionCase) check(t testing.TB, x Expr, pick []int, sel []int32, want []string) {
	b := c.batch(t, pick)
	b.Sel = sel
	a, err := x.Eval(b)
	require.NoError(t, err, "%s over %d rows", c.sig, len(pick))
	require.Equal(t, b.Rows, a.Len())
	for k := range b.Len() {
		r := b.Row(k)
		require.Equal(t, want[pick[r]], show(a, x.Type(), r), "%s row %d of %d: %v", c.sig, r, len(pick), c.rows[pick[r]])
	}
}

// isUnsupported tells whether err is about a missing function.
func isUnsupported(err error) bool {
	var u *UnsupportedError
	return errors.As(err, &u)
}

func realConst(t testing.TB, s string) *tipb.Expr {
	x, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	u := math.Float64bits(x)
	if u>>63 == 0 {
		u |= 1 << 63
	} else {
		u = ^u
	}
	return &tipb.Expr{Tp: tipb.ExprType_Float64, Val: binary.BigEndian.AppendUint64(nil, u), FieldType: ft(t, "double")}
}
