package insight_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/insight"
)

func newRecorder(t *testing.T, o insight.Options) *insight.Recorder {
	t.Helper()
	o.Failed = func(err error) { t.Error(err) }
	r, err := insight.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// statement is one of root's on database test, with a little of everything.
func statement(r *insight.Recorder, text string, took time.Duration) *insight.Statement {
	return &insight.Statement{
		Type: "Select", Text: text, Digest: r.Digest(text), DB: "test", User: "root", Host: "127.0.0.1", Connection: 7, StartTS: 42,
		Begin: time.Date(2026, 11, 20, 10, 0, 0, 5000, time.UTC), Took: took, Parse: 2 * time.Microsecond, Compile: 30 * time.Microsecond,
		Stores:    insight.Stores{Tasks: 2, Process: took / 2, Wait: time.Millisecond, TotalKeys: 1000, ProcessedKeys: 900},
		MemoryMax: 4096, Rows: 3, Plan: func() string { return "Projection_1\troot\n└─Scan_2\tcop" },
	}
}

// What is written reads the same, whatever the text has in it; quick statements are not there.
func TestSlowLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slow.log")
	r := newRecorder(t, insight.Options{SlowLog: insight.LogFile{Path: path}, SlowAfter: time.Second})
	texts := []string{
		"SELECT 1",
		"SELECT 'semicolon;\nand # Time: 2026-01-01T00:00:00Z'\n# Time: 2027-01-01T00:00:00Z\nFROM t",
		"# Query_time: 99\nSELECT ';'",
		"use test",
	}
	for _, text := range texts {
		r.Observe(statement(r, text, 1500*time.Millisecond), r.SlowAfter())
		r.Observe(statement(r, "SELECT 'quick'", 999*time.Millisecond), r.SlowAfter())
	}
	got, err := r.Slow(1 << 20)
	require.NoError(t, err)
	require.Len(t, got, len(texts))
	first := got[0]
	require.Equal(t, "SELECT 1;", first.Query)
	require.True(t, first.Time.Equal(time.Date(2026, 11, 20, 10, 0, 1, 500_005_000, time.UTC)), first.Time)
	require.Equal(t, r.Digest("SELECT 1").Hash, first.Digest)
	require.Equal(t, "Projection_1\troot\n└─Scan_2\tcop", first.Plan)
	first.Time, first.Query, first.Digest, first.Plan = time.Time{}, "", "", ""
	require.Equal(t, insight.SlowQuery{
		StartTS: 42, User: "root", Host: "127.0.0.1", Connection: 7, QueryTime: 1.5, ParseTime: 2e-6, CompileTime: 3e-5,
		ProcessTime: 0.75, WaitTime: 1e-3, Requests: 2, TotalKeys: 1000, ProcessKeys: 900, DB: "test", CopTasks: 2, MemoryMax: 4096,
		Rows: 3, Succeeded: true,
	}, first)
	require.Equal(t, "SELECT 'semicolon;", got[1].Query, "a text ends with the first line that does")
	require.Equal(t, " # Query_time: 99\nSELECT ';';", got[2].Query)
	require.Equal(t, "use test;", got[3].Query)
}

// A log that has its size becomes a backup, of which so many stay; reading takes no more than it is told to.
func TestSlowLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slow.log")
	r := newRecorder(t, insight.Options{SlowLog: insight.LogFile{Path: path, MaxBytes: 4 << 10, Backups: 2}, SlowAfter: time.Second})
	for i := range 100 {
		r.Observe(statement(r, fmt.Sprintf("SELECT %d", i), time.Minute), r.SlowAfter())
	}
	for _, name := range []string{path, path + ".1", path + ".2"} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(4<<10))
	}
	require.NoFileExists(t, path+".3")
	all, err := r.Slow(1 << 20)
	require.NoError(t, err)
	require.Equal(t, "SELECT 99;", all[len(all)-1].Query)
	few, err := r.Slow(1 << 10)
	require.NoError(t, err)
	require.Less(t, len(few), len(all))
	require.Equal(t, "SELECT 99;", few[len(few)-1].Query)
}

// Statements of one kind count together, by database; the slowest is the sample.
func TestSummary(t *testing.T) {
	r := newRecorder(t, insight.Options{})
	for _, took := range []time.Duration{20, 50, 10} {
		r.Observe(statement(r, fmt.Sprintf("SELECT * FROM t WHERE a = %d", took), took*time.Millisecond), -1)
	}
	failed := statement(r, "SELECT * FROM t WHERE a = 'x'", time.Millisecond)
	failed.DB, failed.Code, failed.Plan = "other", 1146, nil
	r.Observe(failed, -1)
	list := r.Summaries()
	require.Len(t, list, 2)
	sum := list[0]
	require.Equal(t, "select * from `t` where `a` = ?", sum.Digest.Text)
	require.Equal(t, "SELECT * FROM t WHERE a = 50", sum.Sample)
	require.NotEmpty(t, sum.Plan)
	require.EqualValues(t, 3, sum.Count)
	require.Equal(t, insight.Spread{Sum: 80 * time.Millisecond, Min: 10 * time.Millisecond, Max: 50 * time.Millisecond}, sum.Latency)
	require.Equal(t, insight.Total{Sum: 3000, Max: 1000}, sum.TotalKeys)
	require.Zero(t, sum.Errors)
	require.Equal(t, "other", list[1].DB)
	require.EqualValues(t, 1, list[1].Errors)
	r.Summarise(false)
	r.Observe(failed, -1)
	require.Empty(t, r.Summaries())
}

// Quantiles lie where the times do, within a factor of two.
func TestLoad(t *testing.T) {
	r := newRecorder(t, insight.Options{})
	before := r.Load()
	require.Zero(t, before.Quantile(0.99))
	for i := range 100 {
		took := 100 * time.Microsecond
		if i >= 90 {
			took = 50 * time.Millisecond
		}
		r.Observe(statement(r, "SELECT 1", took), -1)
	}
	done := r.Load().Since(before)
	require.EqualValues(t, 100, done.Count)
	require.InDelta(t, 96e-6, done.Quantile(0.5).Seconds(), 32e-6)
	require.InDelta(t, 49e-3, done.Quantile(0.95).Seconds(), 17e-3)
	require.Zero(t, r.Load().Since(r.Load()).Count)
}

// There is room for so many kinds; those seen last are among them.
func TestSummaryIsBounded(t *testing.T) {
	r := newRecorder(t, insight.Options{})
	for i := range 5000 {
		st := statement(r, fmt.Sprintf("SELECT c%d", i), time.Microsecond)
		st.Begin = st.Begin.Add(time.Duration(i) * time.Second)
		r.Observe(st, -1)
	}
	list := r.Summaries()
	require.LessOrEqual(t, len(list), 3000)
	require.Contains(t, fmt.Sprint(list), "SELECT c4999")
	require.NotContains(t, fmt.Sprint(list), "SELECT c0 ")
}

func FuzzParseSlowLog(f *testing.F) {
	f.Add("# Time: 2026-11-20T10:00:00Z\n# User@Host: root[root] @ localhost [127.0.0.1]\n# Query_time: 1.5\n# DB: test\nuse test;\nSELECT 1;\n")
	f.Add("# Time: x\n# Plan: tidb_decode_plan('!!')\n;\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := insight.ParseSlowLog(strings.NewReader(text))
		require.NoError(t, err)
		for _, q := range list {
			require.True(t, strings.HasSuffix(q.Query, ";"))
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	r, err := insight.New(insight.Options{})
	require.NoError(b, err)
	st := statement(r, "SELECT c FROM t WHERE id = 1", 50*time.Microsecond)
	b.ReportAllocs()
	for b.Loop() {
		st.Digest = r.Digest(st.Text)
		r.Observe(st, r.SlowAfter())
	}
}
