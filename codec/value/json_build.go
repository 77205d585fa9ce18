package value

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// JSONArrayOf makes an array of binary values.
func JSONArrayOf(elems [][]byte) ([]byte, error) { return buildJSON(JSONArray, nil, elems) }

// JSONMember is a key of an object and its binary value.
type JSONMember struct{ Key, Value []byte }

// JSONObjectOf makes an object. Of equal keys the last one counts; members is sorted in place.
func JSONObjectOf(members []JSONMember) ([]byte, error) {
	slices.SortStableFunc(members, func(a, b JSONMember) int { return bytes.Compare(a.Key, b.Key) })
	keys, elems := make([][]byte, 0, len(members)), make([][]byte, 0, len(members))
	for i, m := range members {
		if len(m.Key) > math.MaxUint16 {
			return nil, Errorf(CodeJSONKeyTooBig, "The JSON object contains a key name that is too long.")
		}
		if i+1 < len(members) && bytes.Equal(m.Key, members[i+1].Key) {
			continue
		}
		keys, elems = append(keys, m.Key), append(elems, m.Value)
	}
	return buildJSON(JSONObject, keys, elems)
}

// JSONMembers are the elements of an array, without keys, or the members of an object, in copies of their own.
func JSONMembers(bin []byte) ([]JSONMember, error) {
	v, err := openJSON(bin)
	if err != nil {
		return nil, err
	}
	if !v.isContainer() {
		return nil, errCorruptJSON
	}
	n, err := v.count()
	if err != nil {
		return nil, err
	}
	out := make([]JSONMember, n)
	for i := range out {
		if v.typ == JSONObject {
			key, err := v.key(i)
			if err != nil {
				return nil, err
			}
			out[i].Key = append([]byte{}, key...)
		}
		e, err := v.at(i, n)
		if err != nil {
			return nil, err
		}
		if out[i].Value, err = e.appendTo(nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CodeJSONKeyTooBig and CodeJSONValueTooBig are MySQL's errors for what the binary form cannot hold.
const (
	CodeJSONKeyTooBig   = 3151
	CodeJSONValueTooBig = 3150
)

// buildJSON lays out a container; see jsonValue.
func buildJSON(typ byte, keys, elems [][]byte) ([]byte, error) {
	at := jsonHeader + len(keys)*jsonKeyEntry + len(elems)*jsonValueEntry
	size := at
	for _, k := range keys {
		size += len(k)
	}
	for _, e := range elems {
		if len(e) < 2 {
			return nil, errCorruptJSON
		}
		if e[0] != JSONLiteral {
			size += len(e) - 1
		}
	}
	if size > math.MaxUint32 {
		return nil, Errorf(CodeJSONValueTooBig, "The JSON value is too big to be stored in a JSON column.")
	}
	out := append(make([]byte, 0, size+1), typ)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(elems)))
	out = binary.LittleEndian.AppendUint32(out, uint32(size))
	for _, k := range keys {
		out = binary.LittleEndian.AppendUint32(out, uint32(at))
		out = binary.LittleEndian.AppendUint16(out, uint16(len(k)))
		at += len(k)
	}
	return appendElements(out, at, keys, elems), nil
}

func appendElements(out []byte, at int, keys, elems [][]byte) []byte {
	for _, e := range elems {
		out = append(out, e[0])
		if e[0] == JSONLiteral {
			out = append(out, e[1], 0, 0, 0)
			continue
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(at))
		at += len(e) - 1
	}
	for _, k := range keys {
		out = append(out, k...)
	}
	for _, e := range elems {
		if e[0] != JSONLiteral {
			out = append(out, e[1:]...)
		}
	}
	return out
}
