package coprocessor_test

import (
	"context"
	"errors"
	"testing"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
)

// message is one of a stream, decoded.
type message struct {
	*copb.Response
	stream tipb.StreamResponse
	rows   []string
}

// stream runs a request and decodes what comes.
func (tb *table) stream(req *copb.Request, fields ...*tipb.FieldType) (list []message) {
	tb.Helper()
	err := tb.cop.HandleStream(context.Background(), req, func(resp *copb.Response) error {
		m := message{Response: resp}
		require.NoError(tb, m.stream.Unmarshal(resp.Data))
		if len(m.stream.Data) > 0 {
			var c tipb.Chunk
			require.NoError(tb, c.Unmarshal(m.stream.Data))
			m.rows = tb.rows(&tipb.SelectResponse{Chunks: []tipb.Chunk{c}}, fields...)
		}
		list = append(list, m)
		return nil
	})
	require.NoError(tb, err)
	return list
}

// A stream has all rows, in messages of bounded size, and each says which keys it is the answer to: one after the other.
func TestHandleStream(t *testing.T) {
	const n, batchMax = 10_000, 4096
	tb := newBigTable(t, n)
	for _, desc := range []bool{false, true} {
		req := tb.request(scan(desc))
		req.PagingSize = 10 // is not for streams
		list := tb.stream(req, keyType, intType, textType)
		require.Greater(t, len(list), 3)
		var got []string
		at := req.Ranges[0].Start
		if desc {
			at = req.Ranges[0].End
		}
		for i, m := range list {
			require.LessOrEqual(t, len(m.rows), batchMax)
			require.Equal(t, i == len(list)-1, m.ExecDetailsV2 != nil, "the last has the details")
			got = append(got, m.rows...)
			if desc {
				require.Equal(t, at, m.Range.End)
				at = m.Range.Start
			} else {
				require.Equal(t, at, m.Range.Start)
				at = m.Range.End
			}
		}
		if desc {
			require.Equal(t, want(n, 0), got)
		} else {
			require.Equal(t, want(0, n), got)
		}
	}
}

// What a query says beside its rows comes with the last of them, or, if it is an error, after them.
func TestEndOfStream(t *testing.T) {
	tb := newTable(t, 300)
	text := &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: columnRef(2).Val, FieldType: textType}
	number := function(tipb.ScalarFuncSig_CastStringAsInt, intType, text) // of "row 7"
	dag := scan(false, &tipb.Executor{Tp: tipb.ExecType_TypeProjection, Projection: &tipb.Projection{Exprs: []*tipb.Expr{number}}})
	dag.OutputOffsets, dag.Flags = []uint32{0}, 2 // truncation is a warning
	list := tb.stream(tb.request(dag), intType)
	for i, m := range list {
		require.Equal(t, i == len(list)-1, m.stream.GetWarningCount() == 300)
	}
	dag.Flags = 0 // or an error
	list = tb.stream(tb.request(dag), intType)
	last := list[len(list)-1]
	require.EqualValues(t, 1292, last.stream.Error.GetCode())
	require.Empty(t, last.rows)

	empty := tb.stream(tb.request(scan(false, where(tipb.ScalarFuncSig_LTInt, 0))), keyType, intType, textType)
	require.Len(t, empty, 1)
	require.Empty(t, empty[0].rows)
	require.NotNil(t, empty[0].ExecDetailsV2)
}

// Errors that say that there are no rows come alone, and a receiver that gives up ends the query.
func TestStreamRefused(t *testing.T) {
	tb := newBigTable(t, 5000)
	wrong := tb.request(scan(false))
	wrong.Context.RegionId = 99
	list := tb.stream(wrong)
	require.Len(t, list, 1)
	require.NotNil(t, list[0].RegionError.GetRegionNotFound())

	checksum := tb.request(scan(false))
	checksum.Tp = 105
	require.Contains(t, tb.stream(checksum)[0].OtherError, "has no batches")

	gone := errors.New("gone")
	require.ErrorIs(t, tb.cop.HandleStream(context.Background(), tb.request(scan(false)), func(*copb.Response) error { return gone }), gone)

	tb.prewrite(4000, 4001)
	tb.ts++
	list = tb.stream(tb.request(scan(false)))
	require.Len(t, list, 1, "a lock at the end is met before the first row is sent")
	require.Equal(t, key(4000), list[0].Locked.GetKey())
	require.Empty(t, list[0].Data)
}
