package expr

import (
	"context"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

// Functions of long strings, read or made, and of many matches in one, end soon when their query has. Short ones do not even
// ask.
func TestEndedQuery(t *testing.T) {
	text, bigint := ft(t, "varchar"), ft(t, "bigint")
	const rows = 1000
	batch := func(cell string) column.Batch {
		cells := make([]string, rows)
		for i := range cells {
			cells[i] = `"` + cell + `"`
		}
		return column.Batch{Cols: []arrow.Array{buildColumn(t, text, cells)}, Rows: rows}
	}
	for name, c := range map[string]struct {
		e    *tipb.Expr
		cell string
		asks bool
	}{
		"short": {call(tipb.ScalarFuncSig_Upper, text, colRef(0)), "a", false},
		"read":  {call(tipb.ScalarFuncSig_MD5, text, colRef(0)), strings.Repeat("a", 2000), true},
		"made":  {call(tipb.ScalarFuncSig_Repeat, text, colRef(0), intConst(10_000)), "a", true},
		"matches": {call(tipb.ScalarFuncSig_RegexpReplaceSig, text, strConst(strings.Repeat("ab", 10_000), text), strConst("a", text),
			colRef(0)), "c", true},
		"occurrence": {call(tipb.ScalarFuncSig_RegexpInStrSig, bigint, strConst(strings.Repeat("ab", 10_000), text), colRef(0),
			intConst(1), intConst(9_000)), "a", true},
	} {
		asked := 0
		ended := &Context{Err: func() error {
			if asked++; asked > 2 {
				return context.Canceled
			}
			return nil
		}}
		x, err := Compile(c.e, []*tipb.FieldType{text}, ended)
		require.NoError(t, err, name)
		_, err = x.Eval(batch(c.cell))
		if c.asks {
			require.ErrorIs(t, err, context.Canceled, name)
			require.Equal(t, 3, asked, name)
		} else {
			require.NoError(t, err, name)
			require.Zero(t, asked, name)
		}
	}
}
