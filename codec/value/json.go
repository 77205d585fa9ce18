package value

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// JSON type bytes, the first byte of every binary value.
const (
	JSONObject    = 0x01
	JSONArray     = 0x03
	JSONLiteral   = 0x04
	JSONInt64     = 0x09
	JSONUint64    = 0x0a
	JSONDouble    = 0x0b
	JSONString    = 0x0c
	JSONOpaque    = 0x0d
	JSONDate      = 0x0e
	JSONDatetime  = 0x0f
	JSONTimestamp = 0x10
	JSONDuration  = 0x11
)

// The literals, one byte after JSONLiteral.
const (
	jsonNull  = 0x00
	jsonTrue  = 0x01
	jsonFalse = 0x02
)

// MaxJSONDepth bounds how deep arrays and objects nest.
const MaxJSONDepth = 100

const (
	jsonHeader     = 8 // element count and size, u32 each
	jsonKeyEntry   = 6 // offset u32, length u16
	jsonValueEntry = 5 // type u8, offset or inlined literal u32
)

var errCorruptJSON = errors.New("corrupt binary JSON")

// jsonValue is a value in place: its type and the bytes that begin with it. Bytes of containers may go on beyond it.
//
//	object   count u32, size u32, count × (key offset u32, key length u16), count × (type u8, value offset u32), keys, values
//	array    the same without keys
//	string   length varuint, UTF-8
//	opaque   MySQL type u8, length varuint, bytes
//	literal  one byte; inlined where a value entry has its offset
//
// Offsets count from the first byte after the container's type; the keys of an object are in byte order.
type jsonValue struct {
	typ  byte
	data []byte
}

func openJSON(bin []byte) (jsonValue, error) {
	if len(bin) < 2 {
		return jsonValue{}, errCorruptJSON
	}
	return jsonValue{bin[0], bin[1:]}, nil
}

func (v jsonValue) isContainer() bool { return v.typ == JSONObject || v.typ == JSONArray }

// count is the number of elements of a container.
func (v jsonValue) count() (int, error) {
	if len(v.data) < jsonHeader {
		return 0, errCorruptJSON
	}
	n, entry := int(binary.LittleEndian.Uint32(v.data)), jsonValueEntry
	if v.typ == JSONObject {
		entry += jsonKeyEntry
	}
	if n > (len(v.data)-jsonHeader)/entry {
		return 0, errCorruptJSON
	}
	return n, nil
}

// key is the i-th key of an object, which has been counted.
func (v jsonValue) key(i int) ([]byte, error) {
	e := v.data[jsonHeader+i*jsonKeyEntry:]
	at, n := int(binary.LittleEndian.Uint32(e)), int(binary.LittleEndian.Uint16(e[4:]))
	if at > len(v.data) || n > len(v.data)-at {
		return nil, errCorruptJSON
	}
	return v.data[at : at+n], nil
}

// at is the i-th element of a container of n.
func (v jsonValue) at(i, n int) (jsonValue, error) {
	entries := v.data[jsonHeader:]
	if v.typ == JSONObject {
		entries = entries[n*jsonKeyEntry:]
	}
	e := entries[i*jsonValueEntry:]
	if e[0] == JSONLiteral {
		return jsonValue{JSONLiteral, e[1:2]}, nil
	}
	at := int(binary.LittleEndian.Uint32(e[1:]))
	if at < jsonHeader || at > len(v.data) {
		return jsonValue{}, errCorruptJSON
	}
	return jsonValue{e[0], v.data[at:]}, nil
}

// fixedJSON is the size of scalars that have one.
var fixedJSON = map[byte]int{JSONLiteral: 1, JSONInt64: 8, JSONUint64: 8, JSONDouble: 8, JSONDate: 8, JSONDatetime: 8,
	JSONTimestamp: 8, JSONDuration: 12}

// body is exactly the bytes of the value.
func (v jsonValue) body() ([]byte, error) {
	switch n, fixed := fixedJSON[v.typ]; {
	case fixed:
		return head(v.data, n)
	case v.typ == JSONString:
		n, used := binary.Uvarint(v.data)
		if used <= 0 || n > uint64(len(v.data)) {
			return nil, errCorruptJSON
		}
		return head(v.data, used+int(n))
	case v.typ == JSONOpaque && len(v.data) > 1:
		n, used := binary.Uvarint(v.data[1:])
		if used <= 0 || n > uint64(len(v.data)) {
			return nil, errCorruptJSON
		}
		return head(v.data, 1+used+int(n))
	case v.isContainer() && len(v.data) >= jsonHeader:
		return head(v.data, int(binary.LittleEndian.Uint32(v.data[4:])))
	}
	return nil, errCorruptJSON
}

func head(b []byte, n int) ([]byte, error) {
	if n > len(b) {
		return nil, errCorruptJSON
	}
	return b[:n], nil
}

// text is the content of a string.
func (v jsonValue) text() ([]byte, error) {
	b, err := v.body()
	if err != nil || v.typ != JSONString {
		return nil, errCorruptJSON
	}
	_, used := binary.Uvarint(b)
	return b[used:], nil
}

// opaque is the MySQL type and content of an opaque value.
func (v jsonValue) opaque() (typ byte, content []byte, err error) {
	b, err := v.body()
	if err != nil || v.typ != JSONOpaque {
		return 0, nil, errCorruptJSON
	}
	_, used := binary.Uvarint(b[1:])
	return b[0], b[1+used:], nil
}

func (v jsonValue) u64() (uint64, error) {
	if len(v.data) < 8 {
		return 0, errCorruptJSON
	}
	return binary.LittleEndian.Uint64(v.data), nil
}

// appendTo appends the value as one of its own.
func (v jsonValue) appendTo(dst []byte) ([]byte, error) {
	b, err := v.body()
	if err != nil {
		return nil, err
	}
	return append(append(dst, v.typ), b...), nil
}

// ValidateJSON checks a binary value from outside: all that lies in it is inside, of known types, and at most MaxJSONDepth deep.
func ValidateJSON(bin []byte) error {
	v, err := openJSON(bin)
	if err != nil {
		return err
	}
	budget := len(bin) // offsets may alias; no honest value has more elements than bytes
	return v.validate(1, &budget)
}

func (v jsonValue) validate(depth int, budget *int) error {
	if depth > MaxJSONDepth {
		return errJSONDepth
	}
	b, err := v.body()
	if err != nil {
		return err
	}
	switch v.typ {
	case JSONString:
		if !utf8.Valid(b) {
			return errCorruptJSON
		}
		return nil
	case JSONLiteral:
		if b[0] > jsonFalse {
			return errCorruptJSON
		}
		return nil
	case JSONArray, JSONObject:
		return jsonValue{v.typ, b}.validateElements(depth, budget)
	}
	return nil
}

func (v jsonValue) validateElements(depth int, budget *int) error {
	n, err := v.count()
	if err != nil {
		return err
	}
	if *budget -= n; *budget < 0 {
		return errCorruptJSON
	}
	for i := range n {
		if v.typ == JSONObject {
			if _, err := v.key(i); err != nil {
				return err
			}
		}
		e, err := v.at(i, n)
		if err == nil {
			err = e.validate(depth+1, budget)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errJSONDepth = Errorf(CodeJSONDepth, "The JSON document exceeds the maximum depth.")

// CodeJSONDepth is MySQL's error for documents nested too deep.
const CodeJSONDepth = 3157

// JSONFromInt64 and its like make scalars.
func JSONFromInt64(v int64) []byte { return appendJSON64(JSONInt64, uint64(v)) }

// JSONFromUint64 makes an unsigned number.
func JSONFromUint64(v uint64) []byte { return appendJSON64(JSONUint64, v) }

// JSONFromFloat64 makes a double.
func JSONFromFloat64(v float64) []byte { return appendJSON64(JSONDouble, math.Float64bits(v)) }

// JSONFromBool makes true or false.
func JSONFromBool(v bool) []byte {
	if v {
		return []byte{JSONLiteral, jsonTrue}
	}
	return []byte{JSONLiteral, jsonFalse}
}

// JSONNull makes the JSON null.
func JSONNull() []byte { return []byte{JSONLiteral, jsonNull} }

// JSONFromString makes a string of valid UTF-8.
func JSONFromString(s []byte) []byte {
	b := binary.AppendUvarint(append(make([]byte, 0, len(s)+6), JSONString), uint64(len(s)))
	return append(b, s...)
}

// JSONFromOpaque makes a value of bytes of a MySQL type (blobs, BIT).
func JSONFromOpaque(typ byte, s []byte) []byte {
	return append(binary.AppendUvarint([]byte{JSONOpaque, typ}, uint64(len(s))), s...)
}

// JSONFromTime makes a date, datetime or timestamp.
func JSONFromTime(t Time, typ byte, fsp int) []byte {
	kind := byte(JSONDatetime)
	switch typ {
	case typeDate:
		kind = JSONDate
	case typeTimestamp:
		kind = JSONTimestamp
	}
	return appendJSON64(kind, t.ToChunk(typ, fsp))
}

// JSONFromDuration makes a time.
func JSONFromDuration(d Duration, fsp int) []byte {
	return binary.LittleEndian.AppendUint32(appendJSON64(JSONDuration, uint64(d)), uint32(fsp))
}

func appendJSON64(typ byte, v uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{typ}, v) }

// JSONTypeName is JSON_TYPE.
func JSONTypeName(bin []byte) (string, error) {
	v, err := openJSON(bin)
	if err != nil {
		return "", err
	}
	switch v.typ {
	case JSONObject:
		return "OBJECT", nil
	case JSONArray:
		return "ARRAY", nil
	case JSONLiteral:
		if v.data[0] == jsonNull {
			return "NULL", nil
		}
		return "BOOLEAN", nil
	case JSONInt64:
		return "INTEGER", nil
	case JSONUint64:
		return "UNSIGNED INTEGER", nil
	case JSONDouble:
		return "DOUBLE", nil
	case JSONString:
		return "STRING", nil
	case JSONOpaque:
		return opaqueName(v)
	case JSONDate:
		return "DATE", nil
	case JSONDatetime, JSONTimestamp:
		return "DATETIME", nil
	case JSONDuration:
		return "TIME", nil
	}
	return "", errCorruptJSON
}

func opaqueName(v jsonValue) (string, error) {
	typ, _, err := v.opaque()
	switch {
	case err != nil:
		return "", err
	case typ == 16:
		return "BIT", nil
	case typ >= 0xf9:
		return "BLOB", nil
	}
	return "OPAQUE", nil
}

// JSONLength is JSON_LENGTH: elements of a container, 1 for a scalar.
func JSONLength(bin []byte) (int, error) {
	v, err := openJSON(bin)
	if err != nil || !v.isContainer() {
		return 1, err
	}
	return v.count()
}
