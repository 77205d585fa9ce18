package dagjson

import (
	"strings"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
)

func sample() *Document {
	unique := true
	return &Document{
		Table:  "test.t",
		Ranges: []Range{{Start: []byte("t\x80a"), End: []byte("t\x80b")}, {Start: []byte{0}, End: []byte{0xff}}},
		DAG: &tipb.DAGRequest{
			Executors: []*tipb.Executor{
				{Tp: tipb.ExecType_TypeIndexScan, IdxScan: &tipb.IndexScan{TableId: -7, IndexId: 1, Unique: &unique}},
				{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{Conditions: []*tipb.Expr{{
					Tp: tipb.ExprType_ScalarFunc, Sig: tipb.ScalarFuncSig_LTInt,
					Children: []*tipb.Expr{{Tp: tipb.ExprType_ColumnRef, Val: []byte{0x80, 0, 0, 0, 0, 0, 0, 1}}},
				}}}},
			},
			OutputOffsets: []uint32{1, 0},
		},
		Fields: []*tipb.FieldType{{Tp: 8, Flen: 20, Collate: -46, Charset: "utf8mb4"}},
	}
}

// What Marshal writes, Unmarshal reads back the same.
func TestRoundTrip(t *testing.T) {
	want := sample()
	text, err := Marshal(want)
	require.NoError(t, err)
	require.Contains(t, string(text), `"start": "748061"`)
	got, err := Unmarshal(text)
	require.NoError(t, err)
	require.Equal(t, want.Table, got.Table)
	require.Equal(t, want.Ranges, got.Ranges)
	require.Equal(t, want.DAG.String(), got.DAG.String())
	require.Equal(t, want.Fields[0].String(), got.Fields[0].String())
}

func TestUnmarshalRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"not JSON":       {`{"table`, ErrInvalid},
		"no dag":         {`{"table":"t"}`, ErrInvalid},
		"unknown member": {`{"dag":{},"tabel":"t"}`, ErrInvalid},
		"bad hex":        {`{"dag":{},"ranges":[{"start":"0","end":""}]}`, ErrInvalid},
		"unknown proto":  {`{"dag":{"executers":[]}}`, ErrInvalid},
		"too deep":       {`{"dag":` + strings.Repeat(`[`, MaxDepth+1), ErrTooLarge},
		"too large":      {strings.Repeat(" ", MaxBytes+1), ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Unmarshal([]byte(tc.text))
			require.ErrorIs(t, err, tc.want)
		})
	}
}

// Whatever the bytes, Unmarshal returns; what it accepts can be written again.
func FuzzUnmarshal(f *testing.F) {
	text, err := Marshal(sample())
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"dag":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Unmarshal(text)
		if err != nil {
			return
		}
		_, err = Marshal(d)
		require.NoError(t, err)
	})
}
