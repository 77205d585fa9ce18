package agg

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

var (
	jsonType = &tipb.FieldType{Tp: column.TypeJSON, Collate: -63}
	textType = &tipb.FieldType{Tp: column.TypeVarchar, Flen: 10, Collate: -46}
)

// jsonColumn holds JSON texts; "" is NULL.
func jsonColumn(t *testing.T, texts ...string) arrow.Array {
	docs := make([][]byte, len(texts))
	for i, s := range texts {
		if s != "" {
			var err error
			docs[i], err = value.ParseJSON([]byte(s))
			require.NoError(t, err)
		}
	}
	return stringColumn(jsonType, docs)
}

func jsonTexts(t *testing.T, a arrow.Array) []string {
	out := make([]string, a.Len())
	for i := range out {
		out[i] = "NULL"
		if !a.IsNull(i) {
			text, err := value.AppendJSONText(nil, datum.FromColumn(a, i, jsonType).Bytes())
			require.NoError(t, err)
			out[i] = string(text)
		}
	}
	return out
}

// Two accumulators see a part of the rows each; a third merges what they have, and knows a group that neither saw.
func TestJSONAggregates(t *testing.T) {
	keys := stringColumn(textType, [][]byte{[]byte("b"), []byte("a"), []byte("b"), []byte("c")})
	values := jsonColumn(t, `1`, `"x"`, ``, `{"k": [true]}`)
	for _, c := range []struct {
		tp    tipb.ExprType
		types []*tipb.FieldType
		args  []arrow.Array
		whole []string // of all rows
		want  []string // of all rows twice
	}{
		{tipb.ExprType_JsonArrayAgg, []*tipb.FieldType{jsonType}, []arrow.Array{values},
			[]string{`[1, "x", null]`, `[{"k": [true]}]`, "NULL"},
			[]string{`[1, "x", null, 1, "x", null]`, `[{"k": [true]}, {"k": [true]}]`, "NULL"}},
		{tipb.ExprType_JsonObjectAgg, []*tipb.FieldType{textType, jsonType}, []arrow.Array{keys, values},
			[]string{`{"a": "x", "b": null}`, `{"c": {"k": [true]}}`, "NULL"},
			[]string{`{"a": "x", "b": null}`, `{"c": {"k": [true]}}`, "NULL"}},
	} {
		mode := tipb.AggFunctionMode_FinalMode
		merged, err := New(&tipb.Expr{Tp: c.tp, FieldType: jsonType, AggFuncMode: &mode}, []*tipb.FieldType{jsonType}, nil)
		require.NoError(t, err)
		merged.Resize(3)
		for range 2 {
			part, err := New(&tipb.Expr{Tp: c.tp, FieldType: jsonType}, c.types, nil)
			require.NoError(t, err)
			part.Resize(3)
			require.NoError(t, part.Update([]uint32{0, 0, 0, 1}, c.args))
			require.Positive(t, part.Bytes())
			state, err := part.Partial(0, 3)
			require.NoError(t, err)
			require.Equal(t, c.whole, jsonTexts(t, state[0]))
			require.NoError(t, merged.Merge([]uint32{0, 1, 2}, state))
		}
		final, err := merged.Final(0, 3)
		require.NoError(t, err)
		require.Equal(t, c.want, jsonTexts(t, final))
	}
}

func TestJSONObjectAggOfNullKey(t *testing.T) {
	a, err := New(&tipb.Expr{Tp: tipb.ExprType_JsonObjectAgg, FieldType: jsonType}, []*tipb.FieldType{textType, jsonType}, nil)
	require.NoError(t, err)
	a.Resize(1)
	err = a.Update([]uint32{0}, []arrow.Array{stringColumn(textType, [][]byte{nil}), jsonColumn(t, `1`)})
	require.ErrorContains(t, err, "NULL member names")
	_, err = New(&tipb.Expr{Tp: tipb.ExprType_JsonArrayAgg, FieldType: jsonType}, []*tipb.FieldType{textType}, nil)
	require.Error(t, err)
}
