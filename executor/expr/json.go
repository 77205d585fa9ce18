package expr

import (
	"bytes"
	"errors"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// jsonFunctions look into documents.
func jsonFunctions() functions {
	return functions{
		tipb.ScalarFuncSig_JsonExtractSig:       {spec: "js*:j", row: jsonExtractRow},
		tipb.ScalarFuncSig_JsonUnquoteSig:       {spec: "s:s", row: jsonUnquoteRow},
		tipb.ScalarFuncSig_JsonQuoteSig:         {spec: "s:s", row: jsonQuoteRow},
		tipb.ScalarFuncSig_JsonTypeSig:          {spec: "j:s", row: jsonTypeRow},
		tipb.ScalarFuncSig_JsonValidJsonSig:     {spec: "j:i", row: func(f *frame, i int) error { return f.setInt(i, 1) }},
		tipb.ScalarFuncSig_JsonValidOthersSig:   {spec: "x:i", row: func(f *frame, i int) error { return f.setInt(i, 0) }},
		tipb.ScalarFuncSig_JsonValidStringSig:   {spec: "s:i", row: jsonValidRow},
		tipb.ScalarFuncSig_JsonLengthSig:        {spec: "j?s:i", row: jsonLengthRow},
		tipb.ScalarFuncSig_JsonDepthSig:         {spec: "j:i", row: jsonDepthRow},
		tipb.ScalarFuncSig_JsonKeysSig:          {spec: "j:j", row: jsonKeysRow},
		tipb.ScalarFuncSig_JsonKeys2ArgsSig:     {spec: "js:j", row: jsonKeysRow},
		tipb.ScalarFuncSig_JsonContainsSig:      {spec: "jj?s:i", row: jsonContainsRow},
		tipb.ScalarFuncSig_JsonMemberOfSig:      {spec: "jj:i", row: jsonMemberOfRow},
		tipb.ScalarFuncSig_JsonArraySig:         {spec: "j*:j", nulls: true, row: jsonArrayRow},
		tipb.ScalarFuncSig_JsonMergeSig:         {spec: "jj*:j", row: jsonMergeRow},
		tipb.ScalarFuncSig_JsonMergePreserveSig: {spec: "jj*:j", row: jsonMergeRow},
		tipb.ScalarFuncSig_JsonMergePatchSig:    {spec: "jj*:j", nulls: true, row: jsonPatchRow},
	}
}

// compareJSON orders two documents; damaged ones, which have no value, compare as bytes.
func compareJSON(a, b []byte) int {
	order, err := value.CompareJSON(a, b)
	if err != nil {
		return bytes.Compare(a, b)
	}
	return order
}

var jsonZero = value.JSONFromInt64(0)

// jsonIsZero reports whether a document equals the number 0, MySQL's false.
func jsonIsZero(doc []byte) bool { return compareJSON(doc, jsonZero) == 0 }

func jsonExtractRow(f *frame, i int) error {
	paths := make([]*value.JSONPath, len(f.a)-1)
	for k := range paths {
		var err error
		if paths[k], err = value.ParseJSONPath(f.a[k+1].str(i)); err != nil {
			return err
		}
	}
	doc, ok, err := value.ExtractJSON(f.a[0].str(i), paths...)
	if err != nil || !ok {
		f.out.setNull(i)
		return err
	}
	return f.put(i, doc)
}

// jsonUnquoteRow takes the quotes off a string that has them on both sides.
func jsonUnquoteRow(f *frame, i int) error {
	s := f.a[0].str(i)
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return f.put(i, s)
	}
	text, err := value.UnquoteJSONText(s)
	if err != nil {
		return err
	}
	return f.put(i, text)
}

func jsonQuoteRow(f *frame, i int) error {
	f.out.data = value.AppendJSONQuoted(f.out.data, f.a[0].str(i))
	f.out.end(i)
	return nil
}

func jsonTypeRow(f *frame, i int) error {
	name, err := value.JSONTypeName(f.a[0].str(i))
	if err != nil {
		return err
	}
	return f.put(i, []byte(name))
}

func jsonValidRow(f *frame, i int) error {
	_, err := value.ParseJSON(f.a[0].str(i))
	f.out.setBool(i, err == nil)
	return nil
}

// docAt is the document in argument 0, or its part at the path in argument k where there is one; ok is false where
// nothing is at the path.
func (f *frame) docAt(k, i int) (doc []byte, ok bool, err error) {
	doc = f.a[0].str(i)
	if len(f.a) <= k {
		return doc, true, nil
	}
	path, err := value.ParseJSONPath(f.a[k].str(i))
	if err != nil {
		return nil, false, err
	}
	if path.HasWildcard() {
		return nil, false, value.Errorf(3149, "In this situation, path expressions may not contain the * and ** tokens or an array range.")
	}
	return value.ExtractJSON(doc, path)
}

func jsonLengthRow(f *frame, i int) error {
	doc, ok, err := f.docAt(1, i)
	if err != nil || !ok {
		f.out.setNull(i)
		return err
	}
	n, err := value.JSONLength(doc)
	f.out.i64[i] = int64(n)
	return err
}

func jsonDepthRow(f *frame, i int) error {
	t, err := f.treeAt(0, i)
	if err != nil {
		return err
	}
	return f.setInt(i, t.depth())
}

func jsonKeysRow(f *frame, i int) error {
	doc, ok, err := f.docAt(1, i)
	if err != nil || !ok {
		f.out.setNull(i)
		return err
	}
	t, err := readJSON(doc)
	if err != nil {
		return err
	}
	if !t.isObject() {
		return f.setNull(i)
	}
	keys := make([][]byte, len(t.keys))
	for k, key := range t.keys {
		keys[k] = value.JSONFromString(key)
	}
	out, err := value.JSONArrayOf(keys)
	if err != nil {
		return err
	}
	return f.put(i, out)
}

func jsonContainsRow(f *frame, i int) error {
	doc, ok, err := f.docAt(2, i)
	if err != nil || !ok {
		f.out.setNull(i)
		return err
	}
	t, errT := readJSON(doc)
	o, errO := f.treeAt(1, i)
	if err := errors.Join(errT, errO); err != nil {
		return err
	}
	f.out.setBool(i, t.contains(o))
	return nil
}

func jsonMemberOfRow(f *frame, i int) error {
	v, errV := f.treeAt(0, i)
	t, errT := f.treeAt(1, i)
	if err := errors.Join(errV, errT); err != nil {
		return err
	}
	found := !t.isArray() && t.equals(v)
	for _, e := range t.elems {
		found = found || t.isArray() && e.equals(v)
	}
	f.out.setBool(i, found)
	return nil
}

func jsonArrayRow(f *frame, i int) error {
	t := &jsonTree{kind: value.JSONArray}
	for k := range f.a {
		e, err := f.treeAt(k, i)
		if err != nil {
			return err
		}
		t.elems = append(t.elems, e)
	}
	return f.putTree(i, t)
}

func jsonMergeRow(f *frame, i int) error {
	t, err := f.treeAt(0, i)
	for k := 1; k < len(f.a) && err == nil; k++ {
		var o *jsonTree
		if o, err = f.treeAt(k, i); err == nil {
			t = mergeTrees(t, o)
		}
	}
	if err != nil {
		return err
	}
	return f.putTree(i, t)
}

// jsonPatchRow: a NULL argument makes the result NULL, unless a later one, not being an object, replaces all before it.
func jsonPatchRow(f *frame, i int) error {
	var t *jsonTree
	for k := range f.a {
		if f.a[k].null(i) {
			t = nil
			continue
		}
		patch, err := f.treeAt(k, i)
		if err != nil {
			return err
		}
		switch {
		case k == 0 || !patch.isObject():
			t = patch
		case t != nil:
			t = patchTree(t, patch)
		}
	}
	if t == nil {
		return f.setNull(i)
	}
	return f.putTree(i, t)
}
