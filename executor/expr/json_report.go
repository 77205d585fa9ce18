package expr

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// jsonReports are the functions about documents as wholes.
func jsonReports() functions {
	return functions{
		tipb.ScalarFuncSig_JsonStorageSizeSig:  {spec: "j:i", row: func(f *frame, i int) error { return f.setInt(i, len(f.a[0].str(i))) }},
		tipb.ScalarFuncSig_JsonStorageFreeSig:  {spec: "j:i", row: func(f *frame, i int) error { return f.setInt(i, 0) }},
		tipb.ScalarFuncSig_JsonContainsPathSig: {spec: "jss*:i", row: jsonContainsPathRow},
		tipb.ScalarFuncSig_JsonArrayInsertSig:  {spec: "x*:j", nulls: true, build: buildPairs("j", "sj", arrayInsertRow)},
	}
}

// oneOrAll reads the word that JSON_CONTAINS_PATH and JSON_SEARCH take.
func (f *frame) oneOrAll(i int) (all bool, err error) {
	switch string(lowerText(nil, f.a[1].str(i))) {
	case "one":
		return false, nil
	case "all":
		return true, nil
	default:
		return false, value.Errorf(3154, "The oneOrAll argument to json_contains_path may take these values: 'one' or 'all'.")
	}
}

func jsonContainsPathRow(f *frame, i int) error {
	all, err := f.oneOrAll(i)
	if err != nil {
		return err
	}
	found := all
	for k := 2; k < len(f.a) && found == all; k++ {
		path, err := value.ParseJSONPath(f.a[k].str(i))
		if err != nil {
			return err
		}
		if _, found, err = value.ExtractJSON(f.a[0].str(i), path); err != nil {
			return err
		}
	}
	f.out.setBool(i, found)
	return nil
}

// arrayInsertRow puts values into arrays, moving what follows; paths must end with a cell.
func arrayInsertRow(f *frame, i int) error {
	for k := 1; k < len(f.a); k += 2 {
		if f.a[k].null(i) {
			continue
		}
		if path, err := f.pathAt(k, i); err == nil && (len(path) == 0 || !path[len(path)-1].isCell) {
			return value.Errorf(3165, "A path expression is not a path to a cell in an array.")
		}
	}
	return eachPath(f, i, func(t *jsonTree, path []jsonStep, v *jsonTree) *jsonTree {
		parent := t.at(path[:len(path)-1])
		if parent == nil || !parent.isArray() {
			return t
		}
		at := min(max(path[len(path)-1].in(len(parent.elems)), 0), len(parent.elems))
		parent.elems = append(parent.elems[:at:at], append([]*jsonTree{v}, parent.elems[at:]...)...)
		return t
	})
}

func jsonPrettyRow(f *frame, i int) error {
	t, err := f.treeAt(0, i)
	if err != nil {
		return err
	}
	out, err := t.appendPretty(f.out.data, 0)
	if err != nil {
		return err
	}
	f.out.data = out
	f.out.end(i)
	return nil
}

// appendPretty writes one element a line, indented by two spaces a level.
func (t *jsonTree) appendPretty(dst []byte, level int) ([]byte, error) {
	brackets := "{}"
	switch {
	case t.isArray():
		brackets = "[]"
	case !t.isObject():
		return value.AppendJSONText(dst, t.scalar)
	}
	if len(t.elems) == 0 {
		return append(dst, brackets...), nil
	}
	line := func(level int) { dst = append(append(dst, '\n'), bytes.Repeat([]byte("  "), level)...) }
	dst = append(dst, brackets[0])
	for k, e := range t.elems {
		if k > 0 {
			dst = append(dst, ',')
		}
		if line(level + 1); t.isObject() {
			dst = append(value.AppendJSONQuoted(dst, t.keys[k]), ": "...)
		}
		var err error
		if dst, err = e.appendPretty(dst, level+1); err != nil {
			return nil, err
		}
	}
	line(level)
	return append(dst, brackets[1]), nil
}

// jsonSearch walks a document for strings that match a LIKE pattern.
type jsonSearch struct {
	match stringTest
	all   bool
	paths [][]byte
}

// bindJSONSearch is JSON_SEARCH(doc, one_or_all, pattern [, escape [, path]]).
func bindJSONSearch(f *frame) (kernel, error) {
	coll, err := value.CollatorByID(-46)
	if err != nil {
		return nil, err
	}
	c := newChars(coll, false)
	return eachRow(func(f *frame, i int) error {
		for k, a := range f.a {
			if k != 3 && a.null(i) {
				return f.setNull(i)
			}
		}
		all, err := f.oneOrAll(i)
		if err != nil {
			return err
		}
		escape := int64('\\')
		if len(f.a) > 3 && !f.a[3].null(i) && len(f.a[3].str(i)) > 0 {
			escape = int64(f.a[3].str(i)[0])
		}
		s := &jsonSearch{match: compileLike(f.a[2].str(i), escape, c), all: all}
		t, err := f.treeAt(0, i)
		if err != nil {
			return err
		}
		prefix := []byte{'$'}
		if len(f.a) > 4 {
			steps, err := f.pathAt(4, i)
			if err != nil {
				return err
			}
			if t = t.at(steps); t == nil {
				return f.setNull(i)
			}
			prefix = f.a[4].str(i)
		}
		s.walk(t, prefix)
		return s.put(f, i)
	}), nil
}

func (s *jsonSearch) walk(t *jsonTree, path []byte) {
	if len(s.paths) > 0 && !s.all {
		return
	}
	if t.kind == value.JSONString {
		if n, k := binary.Uvarint(t.scalar[1:]); s.match(t.scalar[1+k : 1+k+int(n)]) {
			s.paths = append(s.paths, bytes.Clone(path))
		}
	}
	for k, e := range t.elems {
		at := path[:len(path):len(path)]
		if t.isObject() {
			at = appendKey(append(at, '.'), t.keys[k])
		} else {
			at = append(strconv.AppendInt(append(at, '['), int64(k), 10), ']')
		}
		s.walk(e, at)
	}
}

// appendKey writes a member's name as paths do: quoted unless it is an identifier.
func appendKey(dst, key []byte) []byte {
	for k, c := range key {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c >= 0x80
		if !letter && (k == 0 || !isDigit(c)) {
			return value.AppendJSONQuoted(dst, key)
		}
	}
	if len(key) == 0 {
		return append(dst, '"', '"')
	}
	return append(dst, key...)
}

// put stores the paths found: one as a string, several as an array, none as NULL.
func (s *jsonSearch) put(f *frame, i int) error {
	switch len(s.paths) {
	case 0:
		return f.setNull(i)
	case 1:
		return f.put(i, value.JSONFromString(s.paths[0]))
	}
	docs := make([][]byte, len(s.paths))
	for k, p := range s.paths {
		docs[k] = value.JSONFromString(p)
	}
	out, err := value.JSONArrayOf(docs)
	if err != nil {
		return err
	}
	return f.put(i, out)
}
