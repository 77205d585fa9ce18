package session

import (
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

// What the parser would make a deep tree of is refused, however it is written; wide statements and long strings pass.
func TestCheckNesting(t *testing.T) {
	const n = maxLiveTokens
	for name, text := range map[string]string{
		"parentheses": "SELECT " + strings.Repeat("(", n),
		"calls":       "SELECT " + strings.Repeat("abs(1,", n),
		"sum":         "SELECT 1" + strings.Repeat("+1", n),
		"unary":       "SELECT " + strings.Repeat("-", n) + "1",
		"words":       "SELECT " + strings.Repeat("NOT ", n) + "1",
		"after":       "SELECT '\\'' " + strings.Repeat("!", n),
		"hint":        "SELECT /*! " + strings.Repeat("!", n) + " */ 1",
		"closed":      "SELECT " + strings.Repeat("(1)+", n) + "1",
	} {
		err := checkNesting(text, false)
		require.ErrorContains(t, err, "tokens", name)
		require.EqualValues(t, mysql.ErrStackOverrunNeedMore, toSQLError(t.Context(), err).Code)
	}
	for name, text := range map[string]string{
		"rows":       "INSERT INTO t VALUES " + strings.Repeat("(1,'a (b',-2),", n),
		"list":       "SELECT 1 IN (1" + strings.Repeat(",-1", n) + ")",
		"string":     "SELECT '" + strings.Repeat("((\\'''", n) + "'",
		"name":       "SELECT `" + strings.Repeat("((\\", n) + "`",
		"comment":    "SELECT /* " + strings.Repeat("((", n) + " */ 1 -- " + strings.Repeat("((", n) + "\n# " + strings.Repeat("((", n),
		"open":       "SELECT /* " + strings.Repeat("((", n),
		"statements": strings.Repeat("SELECT (((1;", n),
		"closing":    strings.Repeat(")", 2*n) + strings.Repeat(",", n),
		"word":       "SELECT " + strings.Repeat("ab_1", n),
	} {
		if name != "closing" {
			require.NoError(t, checkNesting(text, false), name)
		}
		require.NotPanics(t, func() { _ = checkNesting(text, true) }, name)
	}
	require.NoError(t, checkNesting(`SELECT '\', `+strings.Repeat("1,", n), true))
}
