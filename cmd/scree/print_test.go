package main

import (
	"context"
	"strings"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
)

// The same two rows in each format: NULL, quotes and unselected rows included.
func TestFormats(t *testing.T) {
	fields := []*tipb.FieldType{{Tp: column.TypeLongLong, Flen: 20}, {Tp: column.TypeVarchar, Flen: 20}}
	columns := make([]*column.Builder, 2)
	for i, ft := range fields {
		columns[i] = column.NewBuilder(ft, 3)
	}
	for _, r := range [][2]datum.Datum{
		{datum.NewInt64(1), datum.NewString(`say "hi", then go`)}, {datum.NewInt64(2), datum.NewString("not selected")}, {datum.NewInt64(-3), {}},
	} {
		require.NoError(t, r[0].AppendTo(columns[0]))
		require.NoError(t, r[1].AppendTo(columns[1]))
	}
	batch := executor.Batch{Rows: 3, Sel: []int32{0, 2}}
	for _, c := range columns {
		batch.Cols = append(batch.Cols, c.Array())
	}
	for format, want := range map[string]string{
		"table": "c0  c1\n1   say \"hi\", then go\n-3  NULL\n(2 rows)\n",
		"csv":   "c0,c1\n1,\"say \"\"hi\"\", then go\"\n-3,NULL\n",
		"json":  "[\"1\",\"say \\\"hi\\\", then go\"]\n[\"-3\",null]\n",
	} {
		print, err := printer(format)
		require.NoError(t, err)
		var out strings.Builder
		require.NoError(t, print(context.Background(), &out, executor.NewValues(fields, batch)))
		require.Equal(t, want, out.String(), format)
	}
	_, err := printer("xml")
	require.ErrorContains(t, err, "xml")
}
