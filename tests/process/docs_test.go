package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// codeBlock is the one code block of a language in a page.
func codeBlock(t *testing.T, page, language string) string {
	t.Helper()
	_, text, ok := strings.Cut(page, "\n```"+language+"\n")
	require.True(t, ok, "the page has no block of %s", language)
	text, _, ok = strings.Cut(text, "\n```\n")
	require.True(t, ok)
	return text + "\n"
}

// docs/dag.md tells the truth: its request and its program give what it says.
func TestDAGPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/dag.md")
	require.NoError(t, err)
	page := string(text)
	p := start(t, t.TempDir(), "--port-offset", freeOffset(t))
	mustExec(t, p.open(t), "CREATE TABLE orders (id BIGINT PRIMARY KEY, amount BIGINT)",
		"INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30), (4, NULL)")
	out, stderr, code := scree(t, shellArgs(t, p, "-NB", "-e", "SELECT tidb_table_id FROM information_schema.tables WHERE table_schema = 'test' AND table_name = 'orders'")...)
	require.Equal(t, 0, code, stderr)
	table, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	require.NoError(t, err)

	// The page's table is 111, 6f in hexadecimal.
	document := strings.NewReplacer(`"111"`, `"`+strconv.FormatInt(table, 10)+`"`, "6f5f72", strconv.FormatInt(table, 16)+"5f72",
		"6f5f73", strconv.FormatInt(table, 16)+"5f73").Replace(codeBlock(t, page, "json"))
	file := filepath.Join(t.TempDir(), "q.json")
	require.NoError(t, os.WriteFile(file, []byte(document), 0o644))
	out, stderr, code = scree(t, "dag", "--pd", p.pd, "-f", file)
	require.Equal(t, 0, code, stderr)
	require.Equal(t, "c0\n2\n(1 rows)\n", out)

	program := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(program, []byte(codeBlock(t, page, "go")), 0o644))
	run := exec.Command("go", "run", program, p.pd, strconv.FormatInt(table, 10), "15")
	answer, err := run.CombinedOutput()
	require.NoError(t, err, string(answer))
	require.Equal(t, "2\n", string(answer))
}
