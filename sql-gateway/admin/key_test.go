package admin

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseKey(t *testing.T) {
	for text, want := range map[string]string{
		"":            "",
		"abc":         "abc",
		`t\200\x00\n`: "t\x80\x00\n",
		`say "hello"`: `say "hello"`,
		`back\\slash`: `back\slash`,
		"hex:7480ff":  "t\x80\xff",
		"hex:":        "",
		"\u00e9":      "\xc3\xa9",
	} {
		got, err := new(Admin).ParseKey(context.Background(), text)
		require.NoError(t, err, text)
		require.Equal(t, want, string(got), text)
	}
	for _, bad := range []string{"hex:7", "hex:xy", `\x0`, `trailing\`, `\q`} {
		_, err := new(Admin).ParseKey(context.Background(), bad)
		require.ErrorContains(t, err, "key ", bad)
	}
}

func TestRangeOfBeginning(t *testing.T) {
	_, r, err := new(Admin).ParseRange(context.Background(), `a\xff`)
	require.NoError(t, err)
	require.Equal(t, "a\xff", string(r.Start))
	require.Equal(t, "b", string(r.End))
}

// FuzzFormatKey: what is shown can be typed in again.
func FuzzFormatKey(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte(`"\x00\"`))
	f.Add([]byte("hex:00"))
	f.Add([]byte("t\x80\x00_r\xff\u2028"))
	f.Fuzz(func(t *testing.T, key []byte) {
		got, err := parseBytes(FormatKey(key))
		require.NoError(t, err, FormatKey(key))
		require.True(t, bytes.Equal(key, got), "%q became %q", key, got)
	})
}

func TestTableForms(t *testing.T) {
	table := &Table{Columns: []string{"key", "ts", "size"}}
	table.add("a<b", uint64(0), 7)
	table.add(string(bytes.Repeat([]byte("x"), 100)), uint64(5), 0)
	var text, json bytes.Buffer
	require.NoError(t, table.WriteText(&text))
	require.Equal(t, "key"+string(bytes.Repeat([]byte(" "), 87))+"ts  size\n"+
		"a<b"+string(bytes.Repeat([]byte(" "), 87))+"    7\n"+
		string(bytes.Repeat([]byte("x"), 80))+"...(100)  5   0\n(2 rows)\n", text.String())
	require.NoError(t, table.WriteJSON(&json))
	require.Contains(t, json.String(), `{"key":"a<b","size":7,"ts":0}`)
}
