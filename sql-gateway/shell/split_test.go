package shell

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSplit feeds texts in one piece and byte by byte: the statements must be the same.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []statement
	}{
		{"two", "select 1; select 2;", []statement{{text: "select 1"}, {text: "select 2"}}},
		{"no end mark", "select 1", []statement{{text: "select 1"}}},
		{"quotes", `select ';', "a;b", ` + "`c;d`;", []statement{{text: `select ';', "a;b", ` + "`c;d`"}}},
		{"escaped quote", `select 'it\'s;';x`, []statement{{text: `select 'it\'s;'`}, {text: "x"}}},
		{"doubled quote", `select 'it''s;';x`, []statement{{text: `select 'it''s;'`}, {text: "x"}}},
		{"comments", "select 1 -- a;b\n, 2 # c;d\n, /* e;f */ 3;", []statement{{text: "select 1 -- a;b\n, 2 # c;d\n, /* e;f */ 3"}}},
		{"vertical", `select 1\G select 2\g`, []statement{{text: "select 1", vertical: true}, {text: "select 2"}}},
		{"empty ones", ";;select 1;;", []statement{{text: "select 1"}}},
		{"lines", "select\n1\n;\n", []statement{{text: "select\n1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, split(c.in, len(c.in)))
		})
	}
	require.Equal(t, []statement{{text: "select 1"}, {quit: true}}, split("select 1; \\q select 2", 100))
	require.Equal(t, []statement{{quit: true}}, split("exit\n", 100))
}

func split(text string, chunk int) (out []statement) {
	var s splitter
	for len(text) > 0 {
		n := min(chunk, len(text))
		s.add(text[:n])
		text = text[n:]
	}
	s.finish()
	for {
		st, ok := s.next()
		if !ok || st.quit {
			if ok {
				out = append(out, st)
			}
			return out
		}
		out = append(out, st)
	}
}

func TestBox(t *testing.T) {
	var out bytes.Buffer
	b := &box{out: &out, right: []bool{true, false}}
	b.head([]string{"n", "text"})
	b.row([]string{"1", "日本"})
	b.row([]string{"100", "abc"})
	b.end()
	require.Equal(t, `+-----+------+
| n   | text |
+-----+------+
|   1 | 日本 |
| 100 | abc  |
+-----+------+
`, out.String())
}
