package value

import (
	"bytes"
	"cmp"
	"math"
)

// jsonRank orders values of different types: BLOB > BIT > OPAQUE > DATETIME > TIME > DATE > BOOLEAN > ARRAY > OBJECT > STRING >
// numbers > NULL.
func (v jsonValue) rank() int {
	switch v.typ {
	case JSONLiteral:
		if v.data[0] == jsonNull {
			return 0
		}
		return 5
	case JSONInt64, JSONUint64, JSONDouble:
		return 1
	case JSONString:
		return 2
	case JSONObject:
		return 3
	case JSONArray:
		return 4
	case JSONDate:
		return 6
	case JSONDuration:
		return 7
	case JSONDatetime, JSONTimestamp:
		return 8
	default:
		return 9
	}
}

// CompareJSON orders binary values as MySQL does; corrupt ones are an error.
func CompareJSON(a, b []byte) (int, error) {
	x, err := openJSON(a)
	if err != nil {
		return 0, err
	}
	y, err := openJSON(b)
	if err != nil {
		return 0, err
	}
	c := jsonComparer{budget: max(len(a), len(b))}
	return c.compare(x, y, 1)
}

// jsonComparer counts down the pairs it may still compare; see jsonPrinter.
type jsonComparer struct{ budget int }

func (c *jsonComparer) compare(x, y jsonValue, depth int) (int, error) {
	if depth > MaxJSONDepth {
		return 0, errJSONDepth
	}
	if r := cmp.Compare(x.rank(), y.rank()); r != 0 {
		return r, nil
	}
	switch x.typ {
	case JSONArray, JSONObject:
		return c.containers(x, y, depth)
	case JSONLiteral: // true is 1 and above false, which is 2
		return cmp.Compare(y.data[0], x.data[0]), nil
	case JSONString:
		s, err := x.text()
		if err != nil {
			return 0, err
		}
		t, err := y.text()
		return bytes.Compare(s, t), err
	case JSONOpaque:
		_, s, err := x.opaque()
		if err != nil {
			return 0, err
		}
		_, t, err := y.opaque()
		return bytes.Compare(s, t), err
	}
	u, err := x.u64()
	if err != nil {
		return 0, err
	}
	v, err := y.u64()
	if err != nil {
		return 0, err
	}
	return compareJSONScalars(x.typ, u, y.typ, v), nil
}

func compareJSONScalars(xt byte, u uint64, yt byte, v uint64) int {
	switch xt {
	case JSONInt64, JSONUint64, JSONDouble:
		return compareNumbers(xt, u, yt, v)
	case JSONDuration:
		return cmp.Compare(int64(u), int64(v))
	default:
		return cmp.Compare(TimeFromChunk(u), TimeFromChunk(v))
	}
}

// compareNumbers compares without loss: integers as such, a double with an integer as doubles and then by the
// integer that the double may stand for.
func compareNumbers(xt byte, u uint64, yt byte, v uint64) int {
	switch {
	case xt == JSONDouble && yt == JSONDouble:
		return cmp.Compare(math.Float64frombits(u), math.Float64frombits(v))
	case xt == JSONDouble:
		return compareFloatInt(math.Float64frombits(u), yt, v)
	case yt == JSONDouble:
		return -compareFloatInt(math.Float64frombits(v), xt, u)
	}
	xneg, yneg := xt == JSONInt64 && int64(u) < 0, yt == JSONInt64 && int64(v) < 0
	if xneg != yneg {
		return boolInt(yneg) - boolInt(xneg)
	}
	return cmp.Compare(u, v)
}

func compareFloatInt(f float64, typ byte, n uint64) int {
	if typ == JSONInt64 {
		if c := cmp.Compare(f, float64(int64(n))); c != 0 || f >= 1<<63 {
			return c
		}
		return cmp.Compare(int64(f), int64(n))
	}
	if c := cmp.Compare(f, float64(n)); c != 0 || f >= 1<<64 {
		return c
	}
	return cmp.Compare(uint64(f), n)
}

// containers compares arrays by elements, objects by number of members and then by keys and values.
func (c *jsonComparer) containers(x, y jsonValue, depth int) (int, error) {
	n, err := x.count()
	if err != nil {
		return 0, err
	}
	m, err := y.count()
	if err != nil {
		return 0, err
	}
	if x.typ == JSONObject && n != m {
		return cmp.Compare(n, m), nil
	}
	if c.budget -= min(n, m); c.budget < 0 {
		return 0, errCorruptJSON
	}
	for i := range min(n, m) {
		if r, err := c.elements(x, y, i, n, m, depth); r != 0 || err != nil {
			return r, err
		}
	}
	return cmp.Compare(n, m), nil
}

func (c *jsonComparer) elements(x, y jsonValue, i, n, m, depth int) (int, error) {
	if x.typ == JSONObject {
		k, err := x.key(i)
		if err != nil {
			return 0, err
		}
		l, err := y.key(i)
		if r := bytes.Compare(k, l); r != 0 || err != nil {
			return r, err
		}
	}
	a, err := x.at(i, n)
	if err != nil {
		return 0, err
	}
	b, err := y.at(i, m)
	if err != nil {
		return 0, err
	}
	return c.compare(a, b, depth+1)
}
