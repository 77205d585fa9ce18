package judge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

// collations are those that both have, each with the letters of its words. (utf8mb4_0900_ai_ci is not among MariaDB's: codec/value
// holds it against Unicode's table.)
var collations = map[string]string{
	"utf8mb4_bin": wideLetters, "utf8mb4_general_ci": wideLetters, "utf8mb4_unicode_ci": wideLetters,
	"utf8mb3_bin": "aAbBéÉß中文 ", "utf8mb3_general_ci": "aAbBéÉßÀ中文 ", "utf8mb3_unicode_ci": "aAbBéÉßÀ中文 ",
	"latin1_bin": "aAbBéÉßñÑ !", "ascii_bin": "aAbBcC !_", "gbk_bin": "aAbB中文国亞啊Ａａα ", "gbk_chinese_ci": "aAbB中文国亞啊Ａａα ",
}

const wideLetters = "aAbBcCéÉàÀßsñи\u0306йωΩ中文가😀 _-"

// collateQueries tell how a collation compares, groups and sorts; %s is a word.
var collateQueries = []string{
	"SELECT GROUP_CONCAT(id ORDER BY id) g FROM w GROUP BY s ORDER BY g",
	"SELECT id FROM w ORDER BY s, id",
	"SELECT id FROM w ORDER BY s DESC, id LIMIT 20",
	"SELECT COUNT(DISTINCT s), COUNT(DISTINCT LOWER(s)) FROM w",
	"SELECT a.id, b.id FROM w a JOIN w b ON a.s = b.s WHERE a.id < b.id ORDER BY a.id, b.id",
	"SELECT id FROM w WHERE s = (SELECT MIN(s) FROM w) OR s = (SELECT MAX(s) FROM w) ORDER BY id",
	"SELECT id FROM w WHERE s = %s ORDER BY id",
	"SELECT id FROM w FORCE INDEX (s) WHERE s = %s ORDER BY id",
	"SELECT id FROM w IGNORE INDEX (s) WHERE s > %s ORDER BY id",
	"SELECT id FROM w FORCE INDEX (s) WHERE s > %s ORDER BY id",
	"SELECT id FROM w WHERE s <= %s ORDER BY id",
	"SELECT id FROM w WHERE s IN (%s, 'a', 'B') ORDER BY id",
	"SELECT id FROM w WHERE s LIKE CONCAT('%%', %s, '%%') ORDER BY id",
	"SELECT id FROM w WHERE s LIKE CONCAT(%s, '_') ORDER BY id",
	"SELECT id, STRCMP(s, %s) FROM w ORDER BY id",
	"SELECT id, GREATEST(s, %s) = s FROM w ORDER BY id",
	"SELECT id, FIELD(s, %s, 'a') FROM w ORDER BY id",
}

// TestCollations has both servers sort, group, find and compare the same words.
func TestCollations(t *testing.T) {
	if *judgeDSN == "" {
		t.Skip("needs -judge")
	}
	ctx := context.Background()
	ours, judge := openOurs(t), open(t, "judge", *judgeDSN)
	compared := 0
	for collation, letters := range collations {
		words := randomWords(rand.New(rand.NewPCG(*seed, 3)), []rune(letters))
		charset, _, _ := strings.Cut(collation, "_")
		for _, s := range []*server{ours, judge} {
			setup(ctx, t, s, nil)
			require.NoError(t, s.exec(ctx, "SET SESSION group_concat_max_len = 100000",
				fmt.Sprintf("CREATE TABLE w (id INT PRIMARY KEY, s VARCHAR(20) CHARACTER SET %s COLLATE %s, KEY s (s))", charset, collation)), collation)
			for i, w := range words {
				require.NoError(t, s.exec(ctx, fmt.Sprintf("INSERT INTO w VALUES (%d, %s)", i, w)))
			}
		}
		for _, q := range collateQueries {
			for _, w := range words[:1+11*strings.Count(q, "%s")] {
				text := strings.ReplaceAll(strings.ReplaceAll(q, "%s", w), "%%", "%")
				want, err := tpch.Rows(ctx, judge.conn, text)
				require.NoError(t, err, text)
				got, err := tpch.Rows(ctx, ours.conn, text)
				require.NoError(t, err, text)
				compared += len(want)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: %s:\n%v, not\n%v", collation, text, got, want)
				}
			}
		}
	}
	t.Logf("%d rows compared", compared)
}

// randomWords makes words of a few letters, with repetitions, as literals.
func randomWords(r *rand.Rand, letters []rune) []string {
	out := make([]string, 150)
	for i := range out {
		var b strings.Builder
		for range r.IntN(5) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		out[i] = "'" + b.String() + "'"
	}
	return out
}
