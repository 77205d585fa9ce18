package value

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func parseJSON(t require.TestingT, s string) []byte {
	b, err := ParseJSON([]byte(s))
	require.NoError(t, err, s)
	require.NoError(t, ValidateJSON(b), s)
	return b
}

func jsonText(t require.TestingT, b []byte) string {
	s, err := AppendJSONText(nil, b)
	require.NoError(t, err)
	return string(s)
}

func TestJSONText(t *testing.T) {
	for _, c := range [][2]string{
		{`null`, `null`}, {` true `, `true`}, {`-5`, `-5`}, {`18446744073709551615`, `18446744073709551615`}, {`1.50`, `1.5`}, {`1e3`, `1000.0`},
		{`1e300`, `1e300`}, {`1e-20`, `1e-20`}, {`99999999999999999999`, `1e20`}, {`"a\u00e9\n\"\ud83d\ude00\/"`, `"aé\n\"😀/"`}, {`[]`, `[]`}, {`{}`, `{}`},
		{`[1,"x",null,[true]]`, `[1, "x", null, [true]]`}, {`{"b":1,"a":{"c":[false]},"b":2}`, `{"a": {"c": [false]}, "b": 2}`}, {`"\u0001\u000b"`, `"\u0001\u000b"`},
	} {
		require.Equal(t, c[1], jsonText(t, parseJSON(t, c[0])), c[0])
	}
	for _, bad := range []string{``, `{`, `[1`, `[1,]`, `{"a"}`, `{"a":}`, `{1:2}`, `01`, `1.`, `1e`, `"a`, `"\x"`, `"\ud800"`, `tru`, `1 2`, "\"\x01\"", "\"\xff\"", `1e400`, `-`,
		strings.Repeat("[", 101) + strings.Repeat("]", 101)} {
		_, err := ParseJSON([]byte(bad))
		require.Error(t, err, bad)
	}
	parseJSON(t, strings.Repeat("[", 100)+strings.Repeat("]", 100))
}

// The layout byte by byte, with inlined literals and keys in order.
func TestJSONBinary(t *testing.T) {
	require.Equal(t, []byte{
		0x01, 2, 0, 0, 0, 40, 0, 0, 0, // an object of 2, 40 bytes
		30, 0, 0, 0, 1, 0, 31, 0, 0, 0, 1, 0, // keys of one byte at 30 and 31
		0x09, 32, 0, 0, 0, 0x04, 1, 0, 0, 0, // an int64 at 32, true
		'a', 'b', 7, 0, 0, 0, 0, 0, 0, 0,
	}, parseJSON(t, `{"b":true,"a":7}`))
	require.Equal(t, []byte{0x0c, 2, 'h', 'i'}, parseJSON(t, `"hi"`))
}

// Any document survives the way into the binary form and back.
func TestJSONRoundTrip(t *testing.T) {
	leaf := rapid.OneOf(rapid.Just("null"), rapid.Just("true"), rapid.Map(rapid.Int64(), func(v int64) string { return itoa64(v) }),
		rapid.Map(rapid.String(), func(s string) string { b, _ := json.Marshal(s); return string(b) }))
	var doc func(depth int) *rapid.Generator[string]
	doc = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf,
			rapid.Map(rapid.SliceOfN(doc(depth-1), 0, 4), func(s []string) string { return "[" + strings.Join(s, ",") + "]" }),
			rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z]{0,3}`), doc(depth-1), 0, 4), func(m map[string]string) string {
				var parts []string
				for k, v := range m {
					parts = append(parts, `"`+k+`":`+v)
				}
				return "{" + strings.Join(parts, ",") + "}"
			}))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := doc(3).Draw(t, "doc")
		bin := parseJSON(t, text)
		again := parseJSON(t, jsonText(t, bin))
		require.Equal(t, bin, again)
		require.JSONEq(t, text, jsonText(t, bin))
		c, err := CompareJSON(bin, again)
		require.NoError(t, err)
		require.Zero(t, c)
	})
}

func itoa64(v int64) string { return DecimalFromInt64(v).String() }

// Every value orders before all that follow.
func TestCompareJSON(t *testing.T) {
	ordered := []string{`null`, `-1e30`, `-5`, `0`, `0.5`, `9223372036854775807`, `9223372036854775808`, `1e20`, `"a"`, `"ab"`, `{"a":1}`, `{"a":1,"b":1}`, `{"a":1,"c":1}`,
		`[]`, `[1]`, `[1,2]`, `[2]`, `false`, `true`}
	for i, a := range ordered {
		for j, b := range ordered {
			c, err := CompareJSON(parseJSON(t, a), parseJSON(t, b))
			require.NoError(t, err)
			require.Equal(t, sign(i-j), c, "%s %s", a, b)
		}
	}
	c, err := CompareJSON(parseJSON(t, `1`), parseJSON(t, `1.0`))
	require.NoError(t, err)
	require.Zero(t, c)
}

func TestJSONPath(t *testing.T) {
	docs := parseJSON(t, `{"a":[{"b":"x"},{"b":[1,2,3]}],"c d":{"e":null},"k":5}`)
	for _, c := range [][2]string{
		{`$.a[0].b`, `"x"`}, {`$.a[1].b[last]`, `3`}, {`$.a[1].b[last-1]`, `2`}, {`$."c d".e`, `null`}, {`$.k[0]`, `5`}, {`$.k[1]`, ``},
		{`$.a[*].b`, `["x", [1, 2, 3]]`}, {`$**.b`, `["x", [1, 2, 3]]`}, {`$.*`, `[[{"b": "x"}, {"b": [1, 2, 3]}], {"e": null}, 5]`},
		{`$.a[1].b[1 to 2]`, `[2, 3]`}, {`$.nope`, ``}, {`$`, jsonText(t, docs)}, {` $ . k `, `5`}, {`$.a[7]`, ``}, {`$.a[last-9]`, ``},
	} {
		p, err := ParseJSONPath([]byte(c[0]))
		require.NoError(t, err, c[0])
		got, ok, err := ExtractJSON(docs, p)
		require.NoError(t, err)
		if require.Equal(t, c[1] != "", ok, c[0]); ok {
			require.Equal(t, c[1], jsonText(t, got), c[0])
		}
	}
	for _, bad := range []string{``, `a`, `$.`, `$[`, `$[a]`, `$[-1]`, `$**`, `$***.a`, `$.1a`, `$[3 to 1]`, `$.a x`} {
		_, err := ParseJSONPath([]byte(bad))
		require.Error(t, err, bad)
	}
	s, err := UnquoteJSON(nil, parseJSON(t, `"a\"b"`))
	require.NoError(t, err)
	require.Equal(t, `a"b`, string(s))
}

func TestJSONTypes(t *testing.T) {
	for _, c := range [][2]string{{`{}`, "OBJECT"}, {`[]`, "ARRAY"}, {`null`, "NULL"}, {`true`, "BOOLEAN"}, {`1`, "INTEGER"}, {`1.5`, "DOUBLE"}, {`"s"`, "STRING"},
		{`18446744073709551615`, "UNSIGNED INTEGER"}} {
		name, err := JSONTypeName(parseJSON(t, c[0]))
		require.NoError(t, err)
		require.Equal(t, c[1], name)
	}
	require.Equal(t, `"2024-01-02 03:04:05.000000"`, jsonText(t, JSONFromTime(MakeTime(2024, 1, 2, 3, 4, 5, 0), typeDatetime, 0)))
	require.Equal(t, `"01:00:00.000000"`, jsonText(t, JSONFromDuration(MakeDuration(false, 1, 0, 0, 0), 0)))
	require.Equal(t, `"base64:type252:aGk="`, jsonText(t, JSONFromOpaque(252, []byte("hi"))))
}

// Elements that share their bytes could grow without bound when printed; readers give up instead.
func TestJSONAliasedElements(t *testing.T) {
	bin := JSONFromInt64(1)
	for range 90 { // each array holds the one before twice, at one offset
		doubled, err := JSONArrayOf([][]byte{bin, JSONNull()})
		require.NoError(t, err)
		copy(doubled[1+jsonHeader+jsonValueEntry:], doubled[1+jsonHeader:1+jsonHeader+jsonValueEntry])
		bin = doubled
	}
	require.Error(t, ValidateJSON(bin))
	_, err := AppendJSONText(nil, bin)
	require.Error(t, err)
	_, err = CompareJSON(bin, bin)
	require.Error(t, err)
	p, err := ParseJSONPath([]byte(`$**.a`))
	require.NoError(t, err)
	_, _, err = ExtractJSON(bin, p)
	require.Error(t, err)
}

// Binary values from outside never crash a reader, and what validates prints.
func FuzzJSONBinary(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null]}`, `[[[]]]`, `"s"`} {
		b, _ := ParseJSON([]byte(s))
		f.Add(b)
	}
	paths := []*JSONPath{}
	for _, s := range []string{`$.a[0]`, `$**.a`, `$[*].*`} {
		p, err := ParseJSONPath([]byte(s))
		require.NoError(f, err)
		paths = append(paths, p)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		valid := ValidateJSON(b) == nil
		if _, err := AppendJSONText(nil, b); valid {
			require.NoError(t, err)
		}
		_, _, _ = ExtractJSON(b, paths...)
		_, _ = CompareJSON(b, b)
		_, _ = JSONTypeName(b)
		if bin, err := ParseJSON(b); err == nil {
			require.NoError(t, ValidateJSON(bin))
		}
		_, _ = ParseJSONPath(b)
	})
}
