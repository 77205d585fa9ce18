package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/zaplog"
	"github.com/scree-db/scree/sql-gateway/console"
	"github.com/scree-db/scree/sql-gateway/insight"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/session"
)

const password = "s3cret"

// The tests share a cluster of one store, with a gateway whose root has a password, and one whose root has none.
var locked, open *httptest.Server

func TestMain(m *testing.M) {
	zaplog.ReplaceGlobals(slog.New(slog.DiscardHandler))
	code, err := withConsoles(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withConsoles(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "console-test")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	cluster, err := node.StartCluster(ctx, node.ClusterOptions{Dir: dir, Stores: 1})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	if err := cluster.WaitReady(ctx); err != nil {
		return 1, err
	}
	kv := kvclient.New(cluster.Placement(), cluster.Dialer(), kvclient.Options{})
	defer func() { err = errors.Join(err, kv.Close()) }()
	for i, at := range []**httptest.Server{&open, &locked} {
		cfg := session.Config{Addr: "127.0.0.1:0", Client: kv, Version: "test", GatewayID: fmt.Sprint(i), Cluster: cluster.PD(),
			SlowLog: insight.LogFile{Path: fmt.Sprintf("%s/slow-%d.log", dir, i)}}
		if i == 1 {
			cfg.RootPassword = password
		}
		server, err := session.NewServer(cfg)
		if err != nil {
			return 1, err
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(ctx) }()
		c, err := console.New(console.Options{Server: server, Hosts: []string{"db.example"}})
		if err != nil {
			return 1, err
		}
		*at = httptest.NewServer(c)
		defer func() { (*at).Close(); c.Close(); err = errors.Join(err, server.Close(), <-served) }()
	}
	return run(), nil
}

// ask sends a request as the page does; change may alter it.
func ask(t *testing.T, s *httptest.Server, path, body string, change func(*http.Request)) (status int, text string) {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("X-Scree-Console", "1")
	if change != nil {
		change(r)
	}
	resp, err := s.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

type result struct {
	Columns   []struct{ Name, Type string }
	Rows      [][]*string
	Affected  *int64
	Truncated bool
}

// run executes a statement, which must succeed.
func run(t *testing.T, text string, limit int) (r result) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"sql": text, "db": "test", "limit": limit})
	require.NoError(t, err)
	status, answer := ask(t, open, "/api/query", string(body), nil)
	require.Equal(t, http.StatusOK, status, answer)
	require.NoError(t, json.Unmarshal([]byte(answer), &r))
	return r
}

// values are the rows, NULL for null.
func (r result) values() (out []string) {
	for _, row := range r.Rows {
		var cells []string
		for _, v := range row {
			text := "NULL"
			if v != nil {
				text = *v
			}
			cells = append(cells, text)
		}
		out = append(out, strings.Join(cells, "|"))
	}
	return out
}

// Rows come as text, NULL as null, bytes as digits; changes tell how many rows they changed, errors their code.
func TestQuery(t *testing.T) {
	r := run(t, "SELECT 9007199254740993 AS big, NULL AS nothing, x'ff00' AS bytes, 'é' AS text, 1.50 AS exact", 0)
	require.Equal(t, []string{"9007199254740993|NULL|0xff00|é|1.50"}, r.values())
	require.Equal(t, "big", r.Columns[0].Name)
	require.Equal(t, "BIGINT", r.Columns[0].Type)
	run(t, "CREATE TABLE console_rows (a INT PRIMARY KEY)", 0)
	require.EqualValues(t, 4, *run(t, "INSERT INTO console_rows VALUES (1), (2), (3), (4)", 0).Affected)
	few := run(t, "SELECT a FROM console_rows ORDER BY a", 3)
	require.Equal(t, []string{"1", "2", "3"}, few.values())
	require.True(t, few.Truncated)
	require.False(t, run(t, "SELECT a FROM console_rows", 4).Truncated)
	wide := run(t, "SELECT REPEAT('x', 60000) FROM console_rows a, console_rows b, console_rows c, console_rows d, console_rows e", 10_000)
	require.True(t, wide.Truncated, "there is a bound in bytes, too")
	status, answer := ask(t, open, "/api/query", `{"sql": "SELECT nothing FROM console_rows", "db": "test"}`, nil)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.JSONEq(t, `{"code": 1054, "state": "42S22", "message": "Unknown column 'nothing' in 'field list'"}`, answer)
	status, _ = ask(t, open, "/api/query", `{"sql": `, nil)
	require.Equal(t, http.StatusBadRequest, status)
}

// Every part of the page gets what it asks for, and what the page asks does not count as work.
func TestViews(t *testing.T) {
	run(t, "SELECT 'counts'", 0)
	for _, view := range []string{"cluster", "stores", "memory", "databases", "statements", "slow", "running", "regions"} {
		status, answer := ask(t, open, "/api/"+view, "", nil)
		require.Equal(t, http.StatusOK, status, answer)
		var r result
		require.NoError(t, json.Unmarshal([]byte(answer), &r))
		require.NotEmpty(t, r.Columns, view)
		if view != "slow" && view != "running" {
			require.NotEmpty(t, r.Rows, view)
		}
	}
	_, statements := ask(t, open, "/api/statements", "", nil)
	require.Contains(t, statements, "SELECT 'counts'")
	require.NotContains(t, statements, "MEMORY_USAGE")
	status, answer := ask(t, open, "/api/load", "", nil)
	require.Equal(t, http.StatusOK, status)
	require.True(t, json.Valid([]byte(answer)))
	status, _ = ask(t, open, "/api/secrets", "", nil)
	require.Equal(t, http.StatusNotFound, status)
}

// A statement ends when the browser leaves, and when somebody kills it.
func TestCancel(t *testing.T) {
	running := func() (id string) {
		for _, row := range run(t, "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(1000)%'", 0).values() {
			id = row
		}
		return id
	}
	const body = `{"sql": "SELECT SLEEP(1000)"}`
	start := func(ctx context.Context) <-chan error {
		done := make(chan error, 1)
		go func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, open.URL+"/api/query", strings.NewReader(body))
			if err == nil {
				r.Header.Set("X-Scree-Console", "1")
				var resp *http.Response
				if resp, err = open.Client().Do(r); err == nil {
					err = resp.Body.Close()
				}
			}
			done <- err
		}()
		return done
	}
	ctx, leave := context.WithCancel(context.Background())
	left := start(ctx)
	require.Eventually(t, func() bool { return running() != "" }, time.Minute, 5*time.Millisecond)
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	require.Eventually(t, func() bool { return running() == "" }, time.Minute, 5*time.Millisecond)

	killed := start(context.Background())
	require.Eventually(t, func() bool { return running() != "" }, time.Minute, 5*time.Millisecond)
	status, answer := ask(t, open, "/api/kill", `{"id": `+running()+`}`, nil)
	require.Equal(t, http.StatusOK, status, answer)
	require.NoError(t, <-killed)
	status, _ = ask(t, open, "/api/kill", `{"id": 999999}`, nil)
	require.Equal(t, http.StatusUnprocessableEntity, status)
}

// A request runs as the user that it names; where root has a password, nobody gets in without.
func TestLogin(t *testing.T) {
	for _, path := range []string{"/api/stores", "/api/load"} {
		status, _ := ask(t, locked, path, "", nil)
		require.Equal(t, http.StatusUnauthorized, status)
		status, _ = ask(t, locked, path, "", func(r *http.Request) { r.SetBasicAuth("root", "wrong") })
		require.Equal(t, http.StatusUnauthorized, status)
		status, answer := ask(t, locked, path, "", func(r *http.Request) { r.SetBasicAuth("root", password) })
		require.Equal(t, http.StatusOK, status, answer)
	}
}

// Requests that other pages could have a browser send are refused.
func TestGuard(t *testing.T) {
	const harmless = `{"sql": "SELECT 1"}`
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"without the header":     {header("X-Scree-Console", ""), http.StatusForbidden},
		"from another site":      {header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		"from a sister site":     {header("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		"typed by hand":          {header("Sec-Fetch-Site", "none"), http.StatusForbidden},
		"of another origin":      {header("Origin", "http://evil.example"), http.StatusForbidden},
		"of a hidden origin":     {header("Origin", "null"), http.StatusForbidden},
		"by a stranger's name":   {func(r *http.Request) { r.Host = "evil.example:10080" }, http.StatusMisdirectedRequest},
		"by a name of ours":      {func(r *http.Request) { r.Host = "DB.example:10080" }, http.StatusOK},
		"by localhost":           {func(r *http.Request) { r.Host = "localhost:10080" }, http.StatusOK},
		"by an address":          {func(r *http.Request) { r.Host = "[::1]:10080" }, http.StatusOK},
		"from the page":          {header("Sec-Fetch-Site", "same-origin"), http.StatusOK},
		"from the page's origin": {func(r *http.Request) { r.Header.Set("Origin", "http://"+r.URL.Host) }, http.StatusOK},
	} {
		status, answer := ask(t, open, "/api/query", harmless, c.change)
		require.Equal(t, c.status, status, "%s: %s", name, answer)
	}
	status, _ := ask(t, open, "/", "", func(r *http.Request) { r.Host = "evil.example" })
	require.Equal(t, http.StatusMisdirectedRequest, status)
}

// The page comes with a policy that it keeps: no part of it names another origin, or has styles and scripts in line.
func TestPage(t *testing.T) {
	resp, err := open.Client().Get(open.URL + "/")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(body), "<title>Scree</title>")
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
	foreign := regexp.MustCompile(`https?://|//[a-z]+\.|style=|onclick=|innerHTML|eval\(`)
	err = fs.WalkDir(os.DirFS("web"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile("web/" + path)
		text = bytes.ReplaceAll(text, []byte("http://www.w3.org/2000/svg"), nil)
		require.NotRegexp(t, foreign, string(text), path)
		status, served := ask(t, open, "/"+strings.TrimSuffix(path, "index.html"), "", nil)
		require.Equal(t, http.StatusOK, status)
		require.NotEmpty(t, served)
		return err
	})
	require.NoError(t, err)
}
