package txn

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
)

// args reads the arguments of a script's command.
type args struct {
	t *testing.T
	d *datadriven.TestData
}

func (a args) str(name string) (v string) {
	if a.d.HasArg(name) {
		a.d.ScanArgs(a.t, name, &v)
	}
	return v
}

func (a args) ts(name string) uint64 { return a.parse(a.str(name)) }

func (a args) parse(s string) uint64 {
	switch {
	case s == "":
		return 0
	case s == "max":
		return math.MaxUint64
	}
	seconds, isSeconds := strings.CutSuffix(s, "s")
	n, err := strconv.ParseUint(seconds, 10, 64)
	require.NoError(a.t, err)
	if isSeconds {
		return n * 1000 << 18
	}
	return n
}

func (a args) timestamps(name string) (list []uint64) {
	for _, s := range a.list(name) {
		list = append(list, a.parse(s))
	}
	return list
}

func (a args) keys() (keys [][]byte) {
	for _, s := range a.list("keys") {
		keys = append(keys, []byte(s))
	}
	return keys
}

func (a args) list(name string) []string {
	for _, c := range a.d.CmdArgs {
		if c.Key == name {
			return c.Vals
		}
	}
	return nil
}

func (a args) mutation(f []string) (*kvrpcpb.Mutation, kvrpcpb.PrewriteRequest_PessimisticAction) {
	ops := map[string]kvrpcpb.Op{"put": kvrpcpb.Op_Put, "insert": kvrpcpb.Op_Insert, "del": kvrpcpb.Op_Del, "lock": kvrpcpb.Op_Lock, "check-not-exists": kvrpcpb.Op_CheckNotExists}
	op, ok := ops[f[0]]
	require.True(a.t, ok, "mutation %q", f)
	mu := &kvrpcpb.Mutation{Op: op, Key: []byte(f[1])}
	rest := f[2:]
	if op == kvrpcpb.Op_Put || op == kvrpcpb.Op_Insert {
		v := f[2]
		if c, long := strings.CutPrefix(v, "long:"); long {
			v = strings.Repeat(c, 300)
		}
		mu.Value, rest = []byte(v), f[3:]
	}
	var action kvrpcpb.PrewriteRequest_PessimisticAction
	for _, w := range rest {
		switch w {
		case "exist":
			mu.Assertion = kvrpcpb.Assertion_Exist
		case "not-exist":
			mu.Assertion = kvrpcpb.Assertion_NotExist
		case "held":
			action = kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK
		case "constraint":
			action = kvrpcpb.PrewriteRequest_DO_CONSTRAINT_CHECK
		}
	}
	return mu, action
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
