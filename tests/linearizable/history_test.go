// Package linearizable checks that single keys behave like registers: raw compare-and-swap, and transactions of one row,
// on three stores whose regions split and whose leaders move. Porcupine judges the histories.
package linearizable

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// kind is what an operation does.
type kind int

const (
	read kind = iota
	write
	remove
	swap // writes value if the key has expect
)

// input is an operation on one key. The empty value is absence.
type input struct {
	kind          kind
	key           int
	value, expect string
}

// output is what came of it. An unknown one may have taken effect at any time after its call, or not at all.
type output struct {
	value   string // of a read, and what a swap found
	swapped bool
	unknown bool
}

// register is the model of a key: porcupine tries all orders that real time allows.
var register = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		var parts [][]porcupine.Operation
		for _, op := range history {
			for key := op.Input.(input).key; len(parts) <= key; {
				parts = append(parts, nil)
			}
			key := op.Input.(input).key
			parts[key] = append(parts[key], op)
		}
		return parts
	},
	Init:              func() []any { return []any{""} },
	Step:              func(state, in, out any) []any { return step(state.(string), in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}).ToModel()

// step is the states that may follow one; none if the output does not fit.
func step(state string, in input, out output) []any {
	next, fits := state, true
	switch in.kind {
	case read:
		fits = out.value == state
	case write:
		next = in.value
	case remove:
		next = ""
	case swap:
		if state == in.expect {
			next = in.value
		}
		fits = out.swapped == (state == in.expect) && out.value == state
	}
	switch {
	case out.unknown:
		return []any{state, next}
	case fits:
		return []any{next}
	}
	return nil
}

// recorder collects a history of many clients.
type recorder struct {
	begin time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

// describe says how much there is to judge, which must be something.
func (r *recorder) describe(t *testing.T) {
	unknown := 0
	for _, op := range r.ops {
		if op.Output.(output).unknown {
			unknown++
		}
	}
	t.Logf("%d operations, %d of them with an unknown outcome", len(r.ops), unknown)
	require.Greater(t, len(r.ops)-unknown, 20*clients)
}

// record runs an operation and notes when it was called and answered. Reads without an answer tell nothing.
func (r *recorder) record(client int, in input, run func() output) {
	op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(r.begin))}
	out := run()
	if op.Return = int64(time.Since(r.begin)); out.unknown {
		if in.kind == read {
			return
		}
		op.Return = math.MaxInt64
	}
	op.Output = out
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}
