package coprocessor

import (
	"testing"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/executor/expr"
)

// nested is an encoded DAG whose selection has an expression of the given depth.
func nested(depth int) []byte {
	e := []byte{}
	for range depth {
		e = lengthDelimited(3, e) // Expr.children
	}
	e = lengthDelimited(1, e) // Selection.conditions
	e = lengthDelimited(4, e) // Executor.selection
	return lengthDelimited(2, e)
}

func lengthDelimited(field int, content []byte) []byte {
	out := appendVarint([]byte{}, uint64(field<<3|2))
	out = appendVarint(out, uint64(len(content)))
	return append(out, content...)
}

func appendVarint(dst []byte, v uint64) []byte {
	for ; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}

// Messages may nest as deep as the deepest expression that is evaluated, and not much deeper; what the check lets pass
// can be decoded.
func TestMessageDepth(t *testing.T) {
	deep := nested(expr.MaxDepth)
	require.NoError(t, checkMessage(deep, dagType))
	require.NoError(t, new(tipb.DAGRequest).Unmarshal(deep))
	require.ErrorIs(t, checkMessage(nested(depthMax), dagType), errDepth)
	require.ErrorIs(t, checkMessage(nested(10_000), dagType), errDepth)
}

// Bytes that only look like messages do not count: a constant may hold anything.
func TestBytesAreNoMessages(t *testing.T) {
	value := []byte{}
	for range 5000 {
		value = lengthDelimited(3, value)
	}
	dag := &tipb.DAGRequest{Executors: []*tipb.Executor{{Selection: &tipb.Selection{
		Conditions: []*tipb.Expr{{Tp: tipb.ExprType_String, Val: value}},
	}}}}
	data, err := dag.Marshal()
	require.NoError(t, err)
	require.NoError(t, checkMessage(data, dagType))
}

// The check ends on any input, and whatever it lets pass the decoder survives.
func FuzzMessage(f *testing.F) {
	f.Add(nested(3))
	f.Add(nested(2000))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkMessage(data, dagType) == nil {
			_ = new(tipb.DAGRequest).Unmarshal(data) // must return; what it returns is its business
		}
	})
}

// Which ranges hold one key at most.
func TestIsPoint(t *testing.T) {
	for _, c := range []struct {
		start, end string
		any, same  bool // point for keys of any length, of the start's length
	}{
		{"a", "a\x00", true, true},
		{"a", "b", false, true},
		{"a", "c", false, false},
		{"a\xff", "b\x00", false, true},
		{"a\xff", "b\x01", false, false},
		{"\xff", "\x00", false, false},
		{"a", "a\x01", false, false},
		{"a", "", false, false},
		{"", "", false, false},
		{"", "\x00", true, true},
	} {
		r := &coprocessor.KeyRange{Start: []byte(c.start), End: []byte(c.end)}
		require.Equal(t, c.any, isPoint(r, 0), "%q", c)
		require.Equal(t, c.same, isPoint(r, len(c.start)), "%q", c)
		require.Equal(t, c.any, isPoint(r, len(c.start)+1), "%q", c)
	}
}
