package kvclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
)

// What is left of ranges has every key that an interval has not, and no other.
func TestWithout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bounds := rapid.SliceOfNDistinct(rapid.ByteRange('b', 'y'), 2, 8, rapid.ID).Draw(t, "bounds")
		slices.Sort(bounds)
		var ranges []KeyRange
		for i := 0; i+1 < len(bounds); i += 2 {
			ranges = append(ranges, KeyRange{[]byte{bounds[i]}, []byte{bounds[i+1]}})
		}
		if rapid.Bool().Draw(t, "open") {
			ranges[len(ranges)-1].End = nil
		}
		from := rapid.ByteRange('a', 'z').Draw(t, "from")
		done := &coprocessor.KeyRange{Start: []byte{from}, End: []byte{rapid.ByteRange(from, 'z').Draw(t, "to")}}
		if rapid.Bool().Draw(t, "to the end") {
			done.End = nil
		}
		has := func(list []KeyRange, key []byte) bool {
			return slices.ContainsFunc(list, func(r KeyRange) bool { return r.contains(key) })
		}
		rest := without(ranges, done)
		for k := byte('a'); k <= 'z'; k++ {
			key := []byte{k}
			within := KeyRange{done.Start, done.End}.contains(key)
			require.Equal(t, has(ranges, key) && !within, has(rest, key), "%q", key)
		}
	})
}

// brittle is a store of rows '0' to '9' whose calls break after as many rows as breaks says, one after another, and that says
// how far it came unless it is mute.
type brittle struct {
	*stubCluster
	breaks []int
	mute   bool
	calls  int
}

var errBroken = errors.New("connection reset")

func (b *brittle) Dial(context.Context, string) (Store, error) { return b, nil }

func (b *brittle) Query(_ context.Context, req *coprocessor.Request, _ []*executor.Broadcast, sink func(executor.Batch) error) (*coprocessor.Response, error) {
	breakAfter := 100
	if b.calls < len(b.breaks) {
		breakAfter = b.breaks[b.calls]
	}
	b.calls++
	broken := new(coprocessor.Response)
	for _, r := range req.Ranges {
		for k := r.Start[0]; k < r.End[0]; k++ {
			if breakAfter--; breakAfter < 0 {
				return broken, errBroken
			}
			row := column.Primitive(column.Int64, 1, arrow.Int64Traits.CastToBytes([]int64{int64(k)}), nil, 0)
			if err := sink(executor.Batch{Cols: []arrow.Array{row}, Rows: 1}); err != nil {
				return nil, err
			}
			if !b.mute {
				broken.Range = &coprocessor.KeyRange{Start: req.Ranges[0].Start, End: []byte{k + 1}}
			}
		}
	}
	if breakAfter < 50 {
		return broken, errBroken
	}
	return new(coprocessor.Response), nil
}

// read asks for all rows until there are no more to ask for.
func (b *brittle) read(t *testing.T) (got string, err error) {
	sleep := func(context.Context, time.Duration) error { return nil }
	c := New(stubPlacement{b.stubCluster}, b, Options{Sleep: sleep, Rand: func() float64 { return 0.5 }})
	defer func() { require.NoError(t, c.Close()) }()
	ctx, bo := context.Background(), c.NewBackoff()
	for rest := []KeyRange{{[]byte("0"), []byte("4")}, {[]byte("5"), []byte(":")}}; len(rest) > 0; {
		tasks, err := c.Tasks(ctx, bo, rest)
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		_, rest, err = c.Snapshot(1<<18).Query(ctx, bo, tasks[0], new(coprocessor.Request), nil, func(batch executor.Batch) error {
			got += string(rune(batch.Cols[0].(*array.Int64).Value(0)))
			return nil
		})
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

// A stream that breaks goes on where it was, also behind its last row; one that does not know where that is fails, unless no row
// was out.
func TestBrokenStream(t *testing.T) {
	const all = "012356789"
	for _, breaks := range [][]int{nil, {0}, {3, 0, 1}, {4, 4}, {9}} {
		b := &brittle{stubCluster: newStub(1), breaks: breaks}
		got, err := b.read(t)
		require.NoError(t, err)
		require.Equal(t, all, got, fmt.Sprint(breaks))
	}
	b := &brittle{stubCluster: newStub(1), breaks: []int{0, 0, 3}, mute: true}
	got, err := b.read(t)
	var unavailable *RegionUnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, "012", got)
	require.Equal(t, 3, b.calls)
}
