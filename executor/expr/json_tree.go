package expr

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/scree-db/scree/codec/value"
)

// jsonTree is a document taken apart, for functions that look into it or change it.
type jsonTree struct {
	kind   byte        // value.JSONObject, value.JSONArray, or the type of a scalar
	scalar []byte      // binary form of a scalar
	keys   [][]byte    // of an object, in its order; parallel to elems
	elems  []*jsonTree // of a container
}

// readJSON takes a document apart; it aliases doc.
func readJSON(doc []byte) (*jsonTree, error) {
	if err := value.ValidateJSON(doc); err != nil {
		return nil, err
	}
	return jsonAt(doc[0], doc[1:]), nil
}

const (
	jsonHeaderSize = 8 // count and size
	jsonKeySize    = 6 // offset and length
	jsonEntrySize  = 5 // type and offset or literal
)

// jsonAt reads a validated value of a type that begins with b.
func jsonAt(kind byte, b []byte) *jsonTree {
	t := &jsonTree{kind: kind}
	if kind != value.JSONObject && kind != value.JSONArray {
		t.scalar = append([]byte{kind}, b[:scalarSize(kind, b)]...)
		return t
	}
	count := int(binary.LittleEndian.Uint32(b))
	entries := b[jsonHeaderSize:]
	if kind == value.JSONObject {
		for k := range count {
			e := entries[k*jsonKeySize:]
			at, n := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint16(e[4:])
			t.keys = append(t.keys, b[at:at+uint32(n)])
		}
		entries = entries[count*jsonKeySize:]
	}
	for k := range count {
		e := entries[k*jsonEntrySize:]
		if e[0] == value.JSONLiteral {
			t.elems = append(t.elems, jsonAt(e[0], e[1:]))
		} else {
			t.elems = append(t.elems, jsonAt(e[0], b[binary.LittleEndian.Uint32(e[1:]):]))
		}
	}
	return t
}

// scalarSize is the number of bytes of a validated scalar.
func scalarSize(kind byte, b []byte) int {
	switch kind {
	case value.JSONLiteral:
		return 1
	case value.JSONString:
		n, k := binary.Uvarint(b)
		return k + int(n)
	case value.JSONOpaque:
		n, k := binary.Uvarint(b[1:])
		return 1 + k + int(n)
	case value.JSONDuration:
		return 12
	default:
		return 8
	}
}

// encode is the binary form.
func (t *jsonTree) encode() ([]byte, error) {
	switch t.kind {
	case value.JSONObject:
		members := make([]value.JSONMember, len(t.elems))
		for k, e := range t.elems {
			doc, err := e.encode()
			if err != nil {
				return nil, err
			}
			members[k] = value.JSONMember{Key: t.keys[k], Value: doc}
		}
		return value.JSONObjectOf(members)
	case value.JSONArray:
		elems := make([][]byte, len(t.elems))
		for k, e := range t.elems {
			var err error
			if elems[k], err = e.encode(); err != nil {
				return nil, err
			}
		}
		return value.JSONArrayOf(elems)
	default:
		return t.scalar, nil
	}
}

func (t *jsonTree) isArray() bool  { return t.kind == value.JSONArray }
func (t *jsonTree) isObject() bool { return t.kind == value.JSONObject }

func (t *jsonTree) isNull() bool { return t.kind == value.JSONLiteral && t.scalar[1] == 0 }

// member is the position of a key, or -1.
func (t *jsonTree) member(key []byte) int {
	return slices.IndexFunc(t.keys, func(k []byte) bool { return bytes.Equal(k, key) })
}

// set puts a member.
func (t *jsonTree) set(key []byte, v *jsonTree) {
	if k := t.member(key); k >= 0 {
		t.elems[k] = v
		return
	}
	t.keys, t.elems = append(t.keys, key), append(t.elems, v)
}

// remove takes element k out.
func (t *jsonTree) remove(k int) {
	t.elems = slices.Delete(t.elems, k, k+1)
	if t.isObject() {
		t.keys = slices.Delete(t.keys, k, k+1)
	}
}

func (t *jsonTree) depth() int {
	deepest := 0
	for _, e := range t.elems {
		deepest = max(deepest, e.depth())
	}
	return deepest + 1
}

// equals compares documents by value.
func (t *jsonTree) equals(o *jsonTree) bool {
	a, errA := t.encode()
	b, errB := o.encode()
	return errA == nil && errB == nil && compareJSON(a, b) == 0
}

// contains is JSON_CONTAINS: every part of o is found in t.
func (t *jsonTree) contains(o *jsonTree) bool {
	switch {
	case t.isObject() && o.isObject():
		for k, key := range o.keys {
			at := t.member(key)
			if at < 0 || !t.elems[at].contains(o.elems[k]) {
				return false
			}
		}
		return true
	case t.isArray() && o.isArray():
		for _, e := range o.elems {
			if !slices.ContainsFunc(t.elems, func(x *jsonTree) bool { return x.contains(e) }) {
				return false
			}
		}
		return true
	case t.isArray():
		return slices.ContainsFunc(t.elems, func(x *jsonTree) bool { return x.contains(o) })
	case t.isObject() || o.isObject() || o.isArray():
		return false
	default:
		return t.equals(o)
	}
}

// mergeTrees is JSON_MERGE_PRESERVE: arrays are joined, objects united, anything else made an array first.
func mergeTrees(a, b *jsonTree) *jsonTree {
	if a.isObject() && b.isObject() {
		for k, key := range b.keys {
			v := b.elems[k]
			if at := a.member(key); at >= 0 {
				v = mergeTrees(a.elems[at], v)
			}
			a.set(key, v)
		}
		return a
	}
	out := &jsonTree{kind: value.JSONArray}
	for _, t := range []*jsonTree{a, b} {
		if t.isArray() {
			out.elems = append(out.elems, t.elems...)
		} else {
			out.elems = append(out.elems, t)
		}
	}
	return out
}

// patchTree is JSON_MERGE_PATCH (RFC 7396).
func patchTree(target, patch *jsonTree) *jsonTree {
	if !patch.isObject() {
		return patch
	}
	if !target.isObject() {
		target = &jsonTree{kind: value.JSONObject}
	}
	for k, key := range patch.keys {
		at := target.member(key)
		switch {
		case !patch.elems[k].isNull():
			old := &jsonTree{kind: value.JSONLiteral}
			if at >= 0 {
				old = target.elems[at]
			}
			target.set(key, patchTree(old, patch.elems[k]))
		case at >= 0:
			target.remove(at)
		}
	}
	return target
}
