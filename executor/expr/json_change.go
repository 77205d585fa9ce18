package expr

import (
	"bytes"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// jsonChangers make a new document of an old one at given paths.
func jsonChangers() functions {
	return functions{
		tipb.ScalarFuncSig_JsonSetSig:         {spec: "x*:j", nulls: true, build: buildPairs("j", "sj", changeRow(true, true))},
		tipb.ScalarFuncSig_JsonInsertSig:      {spec: "x*:j", nulls: true, build: buildPairs("j", "sj", changeRow(true, false))},
		tipb.ScalarFuncSig_JsonReplaceSig:     {spec: "x*:j", nulls: true, build: buildPairs("j", "sj", changeRow(false, true))},
		tipb.ScalarFuncSig_JsonArrayAppendSig: {spec: "x*:j", nulls: true, build: buildPairs("j", "sj", appendRow)},
		tipb.ScalarFuncSig_JsonObjectSig:      {spec: "x*:j", nulls: true, build: buildPairs("", "sj", objectRow)},
		tipb.ScalarFuncSig_JsonRemoveSig:      {spec: "js*:j", row: removeRow},
	}
}

// buildPairs is for functions whose arguments, after the first ones, repeat a group of types.
func buildPairs(first, group string, row rowFn) func(s *callSite) (node, error) {
	return func(s *callSite) (node, error) {
		call, fn := *s, *s.fn
		if len(s.args) < len(first) || (len(s.args)-len(first))%len(group) != 0 {
			return nil, value.Errorf(1582, "Incorrect parameter count in the call to native function '%s'", s.expr.Sig)
		}
		for k := range s.args {
			want := group[(k+len(group)-len(first)%len(group))%len(group)]
			if k < len(first) {
				want = first[k]
			}
			var err error
			if call.args[k], err = coerce(s.args[k], etype(want)); err != nil {
				return nil, err
			}
		}
		fn.build, fn.row = nil, row
		call.fn = &fn
		return call.node()
	}
}

// jsonStep is one leg of a path without wildcards: a member, or a cell counted from the first or the last.
type jsonStep struct {
	key      []byte
	cell     int
	isCell   bool
	fromLast bool
}

// pathAt parses argument k as a path without wildcards.
func (f *frame) pathAt(k, i int) ([]jsonStep, error) {
	text := f.a[k].str(i)
	p, err := value.ParseJSONPath(text)
	if err != nil {
		return nil, err
	}
	if p.HasWildcard() {
		return nil, value.Errorf(3149, "In this situation, path expressions may not contain the * and ** tokens or an array range.")
	}
	return splitPath(text), nil
}

// splitPath takes a path apart that is known to be well formed and without wildcards.
func splitPath(s []byte) (steps []jsonStep) {
	s = bytes.TrimLeft(s, " $")
	for s = trimSpaces(s); len(s) > 0; s = trimSpaces(s) {
		switch {
		case s[0] == '[':
			end := bytes.IndexByte(s, ']')
			steps = append(steps, cellStep(trimSpaces(s[1:end])))
			s = s[end+1:]
		default:
			s = trimSpaces(s[1:])
			end := keyEnd(s)
			key := s[:end]
			if key[0] == '"' {
				if plain, err := value.UnquoteJSONText(key); err == nil {
					key = plain
				}
			}
			steps = append(steps, jsonStep{key: key})
			s = s[end:]
		}
	}
	return steps
}

func keyEnd(s []byte) int {
	if s[0] == '"' {
		for k := 1; k < len(s); k++ {
			switch s[k] {
			case '\\':
				k++
			case '"':
				return k + 1
			}
		}
		return len(s)
	}
	if end := bytes.IndexAny(s, " .["); end >= 0 {
		return end
	}
	return len(s)
}

func cellStep(s []byte) jsonStep {
	step := jsonStep{isCell: true}
	if rest, ok := bytes.CutPrefix(s, []byte("last")); ok {
		step.fromLast = true
		s = bytes.TrimLeft(rest, " -")
	}
	// The path is well formed: what is not a number is empty, for zero.
	step.cell, _ = strconv.Atoi(string(trimSpaces(s)))
	return step
}

// in is the cell's position in an array of n.
func (s jsonStep) in(n int) int {
	if s.fromLast {
		return n - 1 - s.cell
	}
	return s.cell
}

// find is the position of a step's element, or -1.
func (t *jsonTree) find(s jsonStep) int {
	switch {
	case s.isCell && t.isArray():
		if at := s.in(len(t.elems)); at >= 0 && at < len(t.elems) {
			return at
		}
	case !s.isCell && t.isObject():
		return t.member(s.key)
	}
	return -1
}

// change puts v at a path: in place of what is there (replace), or new (insert). The result is the changed tree.
func (t *jsonTree) change(path []jsonStep, v *jsonTree, insert, replace bool) *jsonTree {
	if len(path) == 0 {
		if replace {
			return v
		}
		return t
	}
	step := path[0]
	if at := t.find(step); at >= 0 {
		t.elems[at] = t.elems[at].change(path[1:], v, insert, replace)
		return t
	}
	if step.isCell && !t.isArray() && step.in(1) == 0 { // a scalar is an array of itself
		return t.change(path[1:], v, insert, replace)
	}
	if len(path) > 1 || !insert {
		return t
	}
	switch {
	case !step.isCell && t.isObject():
		t.set(step.key, v)
	case step.isCell && t.isArray():
		if step.in(len(t.elems)) < 0 {
			t.elems = append([]*jsonTree{v}, t.elems...)
		} else {
			t.elems = append(t.elems, v)
		}
	case step.isCell:
		pair := []*jsonTree{t, v}
		if step.in(1) < 0 {
			pair = []*jsonTree{v, t}
		}
		return &jsonTree{kind: value.JSONArray, elems: pair}
	}
	return t
}

// at is the subtree at a path, or nil.
func (t *jsonTree) at(path []jsonStep) *jsonTree {
	for _, step := range path {
		at := t.find(step)
		switch {
		case at >= 0:
			t = t.elems[at]
		case step.isCell && !t.isArray() && step.in(1) == 0:
		default:
			return nil
		}
	}
	return t
}

// treeAt is argument k as a tree; SQL's NULL is JSON's.
func (f *frame) treeAt(k, i int) (*jsonTree, error) {
	if f.a[k].null(i) {
		return readJSON(value.JSONNull())
	}
	return readJSON(f.a[k].str(i))
}

// putTree stores a document.
func (f *frame) putTree(i int, t *jsonTree) error {
	doc, err := t.encode()
	if err != nil {
		return err
	}
	return f.put(i, doc)
}

// eachPath applies fn to the document in argument 0 for each pair of path and value after it.
func eachPath(f *frame, i int, fn func(t *jsonTree, path []jsonStep, v *jsonTree) *jsonTree) error {
	if f.a[0].null(i) {
		return f.setNull(i)
	}
	t, err := f.treeAt(0, i)
	if err != nil {
		return err
	}
	for k := 1; k < len(f.a); k += 2 {
		if f.a[k].null(i) {
			return f.setNull(i)
		}
		path, err := f.pathAt(k, i)
		if err != nil {
			return err
		}
		v, err := f.treeAt(k+1, i)
		if err != nil {
			return err
		}
		t = fn(t, path, v)
	}
	return f.putTree(i, t)
}

func changeRow(insert, replace bool) rowFn {
	return func(f *frame, i int) error {
		return eachPath(f, i, func(t *jsonTree, path []jsonStep, v *jsonTree) *jsonTree {
			return t.change(path, v, insert, replace)
		})
	}
}

// appendRow appends to the arrays at the paths; what is no array becomes one.
func appendRow(f *frame, i int) error {
	return eachPath(f, i, func(t *jsonTree, path []jsonStep, v *jsonTree) *jsonTree {
		at := t.at(path)
		switch {
		case at == nil:
		case at.isArray():
			at.elems = append(at.elems, v)
		default:
			old := *at
			*at = jsonTree{kind: value.JSONArray, elems: []*jsonTree{&old, v}}
		}
		return t
	})
}

func objectRow(f *frame, i int) error {
	t := &jsonTree{kind: value.JSONObject}
	for k := 0; k < len(f.a); k += 2 {
		if f.a[k].null(i) {
			return value.Errorf(3158, "JSON documents may not contain NULL member names.")
		}
		v, err := f.treeAt(k+1, i)
		if err != nil {
			return err
		}
		t.set(f.a[k].str(i), v)
	}
	return f.putTree(i, t)
}

func removeRow(f *frame, i int) error {
	t, err := f.treeAt(0, i)
	if err != nil {
		return err
	}
	for k := 1; k < len(f.a); k++ {
		path, err := f.pathAt(k, i)
		if err != nil {
			return err
		}
		if len(path) == 0 {
			return value.Errorf(3153, "The path expression '$' is not allowed in this context.")
		}
		last := path[len(path)-1]
		if parent := t.at(path[:len(path)-1]); parent != nil {
			if at := parent.find(last); at >= 0 {
				parent.remove(at)
			}
		}
	}
	return f.putTree(i, t)
}
