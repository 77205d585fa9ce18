package executor

import "github.com/pingcap/tipb/go-tipb"

func newTopN(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	return nil, &UnsupportedError{What: "TopN"}
}
func newSort(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	return nil, &UnsupportedError{What: "Sort"}
}
func newJoin(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	return nil, &UnsupportedError{What: "Join"}
}
