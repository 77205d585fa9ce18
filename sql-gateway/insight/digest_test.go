package insight

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/stretchr/testify/require"
)

func TestShape(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT  a1 FROM t2\n WHERE b = 12.5": "SELECT a1 FROM t2 WHERE b = 0.0",
		`x='it''s' AND y="a\"b" AND 1`:        "x=' AND y=' AND 0",
		"SELECT `a 1`, 1e5, 0x1F, 2nd":        "SELECT `a 1`, 1e5, 0x1F, 2nd",
		"/* trace 17 */ SELECT /*+ h(1) */ 1": " SELECT /*+ h(0) */ 0",
		"unfinished 'string 1":                "unfinished 'string 1",
		"unfinished /* comment 1":             "unfinished /* comment 0",
		"unfinished `name":                    "unfinished `name",
		`'\`:                                  `'\`,
	} {
		require.Equal(t, want, string(appendShape(nil, text)), text)
	}
}

// Texts of one shape have one digest: the parser's, whatever pieces they are made of.
func TestShapeDecidesDigest(t *testing.T) {
	pieces := []string{
		"select", " ", "\n", "a", "t1", "`q 1`", "1", "23.5", ".5", "1e5", "0x1f", "1a", "'x'", "'it''s'", `"y"`, `'\''`, "=", "-", "+",
		"(", ")", ",", "/* c */", "/*+ h() */", "/*!40000 x */", "--", "#", "in", "from", "?", "@v", "x'1f'", "b'01'", "*", "/",
	}
	seen := make(map[string]string)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		var text strings.Builder
		for range 1 + rng.IntN(8) {
			text.WriteString(pieces[rng.IntN(len(pieces))])
		}
		shape := string(appendShape(nil, text.String()))
		_, hash := parser.NormalizeDigest(text.String())
		if before, ok := seen[shape]; ok {
			_, same := parser.NormalizeDigest(before)
			require.Equal(t, same.String(), hash.String(), "%q and %q have the shape %q", before, text.String(), shape)
		}
		seen[shape] = text.String()
	}
}

func TestDigest(t *testing.T) {
	d := newDigests()
	one := d.of("SELECT * FROM t WHERE a = 1 AND b IN ('x', 'y')")
	require.Equal(t, "select * from `t` where `a` = ? and `b` in ( ... )", one.Text)
	require.Same(t, one, d.of("SELECT * FROM t WHERE a = 22 AND b IN ('z', 'it''s')"))
	require.Len(t, one.Hash, 64)
	for i := range shapesMax + 10 {
		d.of("SELECT c" + strings.Repeat("x", i%100) + " FROM t" + strings.Repeat("y", i/100))
	}
	require.LessOrEqual(t, len(d.byShape), shapesMax)
	d.of("SELECT '" + strings.Repeat("long ", 1<<16))
}

func BenchmarkDigest(b *testing.B) {
	d := newDigests()
	const text = "SELECT c FROM sbtest1 WHERE id=499284 AND k BETWEEN 100 AND 200 AND pad='abcdefghijklmnop'"
	b.Run("shape", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.of(text)
		}
	})
	b.Run("parser", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			parser.NormalizeDigest(text)
		}
	})
}
