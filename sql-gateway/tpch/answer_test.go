package tpch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The recorded digests are those of the rows that MariaDB gave.
func TestAnswersAreThoseOfMariaDB(t *testing.T) {
	for _, q := range Queries() {
		text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "tpch", "sf0.01", q.Name+".tsv"))
		require.NoError(t, err)
		rows := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
		known, err := CheckAnswer(0.01, q.Name, rows)
		require.NoError(t, err, "%s: %d rows, digest %s", q.Name, len(rows), Digest(rows))
		require.True(t, known, "%s %d %s", q.Name, len(rows), Digest(rows))
	}
}

func TestWrongAnswers(t *testing.T) {
	known, err := CheckAnswer(0.01, "q06", []string{"1"})
	require.True(t, known)
	require.ErrorContains(t, err, "differ")
	known, err = CheckAnswer(0.01, "q06", nil)
	require.True(t, known)
	require.ErrorContains(t, err, "0 rows, not 1")
	known, err = CheckAnswer(0.5, "q06", nil)
	require.NoError(t, err)
	require.False(t, known, "nobody has recorded this scale")
}

func TestDigestIgnoresOrderAndZeros(t *testing.T) {
	require.Equal(t, Digest([]string{"a\t1.50", "b\t2"}), Digest([]string{"b\t2", "a\t1.5"}))
	require.NotEqual(t, Digest([]string{"a\t1.51"}), Digest([]string{"a\t1.5"}))
}
