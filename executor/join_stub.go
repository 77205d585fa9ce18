package executor

import "github.com/pingcap/tipb/go-tipb"

func newJoin(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	return nil, &UnsupportedError{What: "Join"}
}
