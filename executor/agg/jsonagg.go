package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// jsonAgg is JSON_ARRAYAGG(value) and JSON_OBJECTAGG(key, value): the JSON values of a group's rows in the order of arrival,
// SQL's NULL as JSON's. Of equal keys the last one counts; NULL is no key. A group without rows is NULL. Partial state is a
// result; merging joins arrays and objects.
type jsonAgg struct {
	out    *tipb.FieldType
	keyed  bool
	groups [][]value.JSONMember // without keys for arrays
	size   int64
}

func newJSONAgg(f *tipb.Expr, args []*tipb.FieldType) (Accumulator, error) {
	j := &jsonAgg{out: f.FieldType, keyed: f.Tp == tipb.ExprType_JsonObjectAgg}
	want := 1
	if j.keyed && !merges(f) {
		want = 2
	}
	if len(args) != want || args[want-1].Tp != column.TypeJSON || f.FieldType.Tp != column.TypeJSON {
		return nil, unsupported(f, "of these types")
	}
	return j, nil
}

// memberBytes is what a member takes beside its key and value.
const memberBytes = 48

// codeNullJSONKey is MySQL's ER_JSON_DOCUMENT_NULL_KEY.
const codeNullJSONKey = 3158

func (j *jsonAgg) Resize(groups int) { j.groups = grow(j.groups, groups) }
func (j *jsonAgg) Bytes() int64      { return j.size + int64(24*cap(j.groups)) }

func (j *jsonAgg) Update(groups []uint32, args []arrow.Array) error {
	values := args[len(args)-1]
	for i, g := range groups {
		m := value.JSONMember{Value: value.JSONNull()}
		if j.keyed {
			if args[0].IsNull(i) {
				return value.Errorf(codeNullJSONKey, "JSON documents may not contain NULL member names.")
			}
			m.Key = append([]byte{}, datum.FromColumn(args[0], i, keyType).Bytes()...)
		}
		if !values.IsNull(i) {
			m.Value = append([]byte(nil), datum.FromColumn(values, i, j.out).Bytes()...)
		}
		j.add(g, m)
	}
	return nil
}

// keyType is how keys are read.
var keyType = &tipb.FieldType{Tp: column.TypeVarString, Flen: -1, Decimal: -1}

func (j *jsonAgg) add(group uint32, m value.JSONMember) {
	j.groups[group] = append(j.groups[group], m)
	j.size += int64(len(m.Key) + len(m.Value) + memberBytes)
}

func (j *jsonAgg) Merge(groups []uint32, state []arrow.Array) error {
	for i, g := range groups {
		if state[0].IsNull(i) {
			continue
		}
		members, err := value.JSONMembers(datum.FromColumn(state[0], i, j.out).Bytes())
		if err != nil {
			return err
		}
		for _, m := range members {
			j.add(g, m)
		}
	}
	return nil
}

func (j *jsonAgg) Partial(from, to int) ([]arrow.Array, error) {
	a, err := j.Final(from, to)
	return []arrow.Array{a}, err
}

func (j *jsonAgg) Final(from, to int) (arrow.Array, error) {
	docs := make([][]byte, to-from)
	for i, members := range j.groups[from:to] {
		if len(members) == 0 {
			continue
		}
		var err error
		if docs[i], err = j.document(members); err != nil {
			return nil, err
		}
		if len(docs[i]) > column.MaxData {
			return nil, value.Errorf(value.CodeJSONValueTooBig, "The JSON value is too big to be stored in a JSON column.")
		}
	}
	return stringColumn(j.out, docs), nil
}

func (j *jsonAgg) document(members []value.JSONMember) ([]byte, error) {
	if j.keyed {
		return value.JSONObjectOf(members)
	}
	elems := make([][]byte, len(members))
	for i, m := range members {
		elems[i] = m.Value
	}
	return value.JSONArrayOf(elems)
}
