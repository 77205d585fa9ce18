package expr

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/cockroachdb/datadriven"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

// TestFunctions runs the scripts of testdata: a command such as
//
//	eval sig=PlusInt args=(bigint,bigint) ret=bigint
//
// whose input has one row of arguments a line, and whose output is the result of each, with warnings. Every command is
// then verified under all batch shapes (functionCase.verify).
func TestFunctions(t *testing.T) {
	datadriven.Walk(t, "testdata/functions", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			require.Equal(t, "eval", d.Cmd)
			c, err := readCase(d)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			results, _ := c.single(t)
			c.verify(t)
			return strings.Join(results, "\n") + "\n"
		})
	})
}

func readCase(d *datadriven.TestData) (*functionCase, error) {
	c := &functionCase{ctx: Context{
		Flags: FlagTruncateAsWarning | FlagOverflowAsWarning | FlagInSelect, Location: time.UTC, DivPrecisionIncrement: 4,
		Now: func() time.Time { return time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC) },
	}}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "sig":
			num, ok := tipb.ScalarFuncSig_value[arg.Vals[0]]
			if !ok {
				return nil, fmt.Errorf("no signature %s", arg.Vals[0])
			}
			c.sig = tipb.ScalarFuncSig(num)
		case "args":
			for _, s := range splitTypes(strings.Join(arg.Vals, ",")) {
				ft, err := parseType(s)
				if err != nil {
					return nil, err
				}
				c.args = append(c.args, ft)
			}
		case "ret":
			var err error
			if c.ret, err = parseType(strings.Join(arg.Vals, ",")); err != nil {
				return nil, err
			}
		case "flags":
			c.ctx.Flags, _ = strconv.ParseUint(arg.Vals[0], 10, 64)
		case "mode":
			c.ctx.SQLMode, _ = strconv.ParseUint(arg.Vals[0], 10, 64)
		}
	}
	for _, line := range strings.Split(d.Input, "\n") {
		row := splitCells(line)
		if len(row) != len(c.args) {
			return nil, fmt.Errorf("row %q has %d cells, not %d", line, len(row), len(c.args))
		}
		c.rows = append(c.rows, row)
	}
	return c, nil
}

// splitTypes cuts a list at the commas outside of parentheses.
func splitTypes(s string) (out []string) {
	depth, from := 0, 0
	for i, c := range s {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			out, from = append(out, strings.TrimSpace(s[from:i])), i+1
		}
	}
	if rest := strings.TrimSpace(s[from:]); rest != "" {
		out = append(out, rest)
	}
	return out
}

// splitCells cuts a row at its bars; a line of "-" has no cells.
func splitCells(line string) (out []string) {
	if line == "-" {
		return nil
	}
	for _, cell := range strings.Split(line, " | ") {
		out = append(out, strings.TrimSpace(cell))
	}
	return out
}

// TestTimestampConstant reads a TIMESTAMP constant, which travels in UTC, in the session's zone.
func TestTimestampConstant(t *testing.T) {
	typ := ft(t, "timestamp")
	ctx := &Context{Location: time.FixedZone("", 8*3600)}
	a, err := EvalConst(timeConst(t, "2024-02-29 01:02:03", typ), ctx)
	require.NoError(t, err)
	require.Equal(t, "2024-02-29 09:02:03", show(a, typ, 0))
}

// TestJSONCondition filters by documents: the number 0 is false, all else but NULL true.
func TestJSONCondition(t *testing.T) {
	typ := ft(t, "json")
	f, err := NewFilter([]*tipb.Expr{colRef(0)}, []*tipb.FieldType{typ}, &Context{})
	require.NoError(t, err)
	rows, err := f.Apply(column.Batch{Rows: 4, Cols: []arrow.Array{buildColumn(t, typ, []string{"0", "1", "NULL", `"\"a\""`})}})
	require.NoError(t, err)
	require.Equal(t, []int32{1, 3}, rows)
}
