package tpch

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// answerFiles have the right answers by scale, a line a query: its name, the number of rows, and their Digest. Those of 0.01 are
// MariaDB's, see testdata/tpch; those of 1 are the ones that go-tpc's --check holds against the published answers.
//
//go:embed answers/*.txt
var answerFiles embed.FS

// Digest is the SHA-256 of a query's rows in hexadecimal, whatever the order of the rows and the number of trailing zeros in
// decimals.
func Digest(rows []string) string {
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = normal(r)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// CheckAnswer compares the rows of a query with the right ones at scale s. known is false where these have not been
// recorded.
func CheckAnswer(s Scale, query string, rows []string) (known bool, err error) {
	text, err := answerFiles.ReadFile("answers/" + s.String() + ".txt")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(text)) {
		var name, digest string
		var n int
		if _, err := fmt.Sscan(line, &name, &n, &digest); err != nil {
			return false, fmt.Errorf("answers of scale %s: %w", s, err)
		}
		switch {
		case name != query:
		case n != len(rows):
			return true, fmt.Errorf("%d rows, not %d", len(rows), n)
		case digest != Digest(rows):
			return true, fmt.Errorf("the %d rows differ from the right ones", n)
		default:
			return true, nil
		}
	}
	return false, nil
}
