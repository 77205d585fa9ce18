package coprocessor_test

import (
	"context"
	"testing"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/datum"
)

// analyze runs a full sampling of rows [from, to).
func (tb *table) analyze(from, to int64, in *tipb.AnalyzeColumnsReq) (*tipb.RowSampleCollector, string) {
	tb.Helper()
	in.ColumnsInfo = scan(false).Executors[0].TblScan.Columns
	data, err := (&tipb.AnalyzeReq{Tp: tipb.AnalyzeType_TypeFullSampling, ColReq: in}).Marshal()
	require.NoError(tb, err)
	req := tb.request(scan(false))
	req.Tp, req.Data, req.Ranges = 104, data, []*copb.KeyRange{{Start: key(from), End: key(to)}}
	resp := tb.cop.Handle(context.Background(), req)
	if resp.OtherError != "" {
		return nil, resp.OtherError
	}
	out := new(tipb.AnalyzeColumnsResp)
	require.NoError(tb, out.Unmarshal(resp.Data))
	return out.RowCollector, ""
}

// distinct is the estimate of a sketch.
func distinct(s *tipb.FMSketch) float64 { return float64(s.Mask+1) * float64(len(s.Hashset)) }

// A full sampling counts rows, NULLs, bytes and distinct values of columns and groups, and draws a sample without
// repetition.
func TestAnalyze(t *testing.T) {
	const rows = 3000
	tb := newBigTable(t, rows)
	groups := []*tipb.AnalyzeColumnGroup{{ColumnOffsets: []int64{1}}, {ColumnOffsets: []int64{0, 2}}}
	got, _ := tb.analyze(0, rows, &tipb.AnalyzeColumnsReq{SampleSize: 200, SketchSize: 500, ColumnGroups: groups})
	require.EqualValues(t, rows, got.Count)
	require.Equal(t, make([]int64, 5), got.NullCounts)
	require.Equal(t, []int64{8 * rows, 8 * rows}, got.TotalSize[:2])
	require.Len(t, got.FmSketch, 5)
	for i, s := range got.FmSketch {
		require.LessOrEqual(t, len(s.Hashset), 500)
		require.InEpsilon(t, rows, distinct(s), 0.15, "column or group %d", i)
	}
	require.Equal(t, got.FmSketch[1], got.FmSketch[3], "a group of one is its column")
	require.Len(t, got.Samples, 200)
	seen := map[int64]bool{}
	for _, s := range got.Samples {
		id, _, err := datum.Decode(s.Row[0])
		require.NoError(t, err)
		v, _, err := datum.Decode(s.Row[1])
		require.NoError(t, err)
		require.Equal(t, id.Int64()*10, v.Int64())
		require.False(t, seen[id.Int64()])
		seen[id.Int64()] = true
	}

	few, _ := tb.analyze(0, 7, &tipb.AnalyzeColumnsReq{SampleSize: 200})
	require.Len(t, few.Samples, 7)
	rate := 0.1
	some, _ := tb.analyze(0, rows, &tipb.AnalyzeColumnsReq{SampleRate: &rate})
	require.InDelta(t, rows/10, len(some.Samples), rows/20)
}

// Sketches of regions merge, as equal values have equal hashes; requests out of bounds are refused.
func TestAnalyzeParts(t *testing.T) {
	tb := newTable(t, 100)
	left, _ := tb.analyze(0, 60, &tipb.AnalyzeColumnsReq{})
	right, _ := tb.analyze(40, 100, &tipb.AnalyzeColumnsReq{})
	both := map[uint64]bool{}
	for _, h := range append(left.FmSketch[2].Hashset, right.FmSketch[2].Hashset...) {
		both[h] = true
	}
	require.Len(t, both, 100)

	_, err := tb.analyze(0, 1, &tipb.AnalyzeColumnsReq{SampleSize: 1 << 40})
	require.Contains(t, err, "out of bounds")
	_, err = tb.analyze(0, 1, &tipb.AnalyzeColumnsReq{ColumnGroups: []*tipb.AnalyzeColumnGroup{{ColumnOffsets: []int64{3}}}})
	require.Contains(t, err, "column group")
}
