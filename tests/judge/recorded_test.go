package judge

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

var record = flag.Bool("record", false, "have the judge answer the sample of TestRecorded anew")

const (
	recordedFile = "testdata/answers.jsonl"
	// recordedRows is the condition of the rows for which answers are kept.
	recordedRows = " WHERE id IN (0, 17, 33)"
)

// recorded is a line of the file: what the judge says to an expression, texts in Go's quotes, NULL as null.
type recorded struct {
	Expr     string             `json:"expr"`
	Err      uint16             `json:"err,omitempty"`
	Rows     map[string]*string `json:"rows,omitempty"`
	Warnings []int              `json:"warnings,omitempty"`
}

func (r recorded) answer(t *testing.T) answer {
	a := answer{err: r.Err, warnings: r.Warnings}
	for id, text := range r.Rows {
		if a.rows == nil {
			a.rows = map[string]cell{}
		}
		if text == nil {
			a.rows[id] = cell{null: true}
			continue
		}
		s, err := strconv.Unquote(*text)
		require.NoError(t, err)
		a.rows[id] = cell{text: s}
	}
	return a
}

func recordOf(e string, a answer) recorded {
	r := recorded{Expr: e, Err: a.err, Warnings: a.warnings}
	for id, c := range a.rows {
		if r.Rows == nil {
			r.Rows = map[string]*string{}
		}
		r.Rows[id] = nil
		if !c.null {
			text := strconv.QuoteToASCII(c.text)
			r.Rows[id] = &text
		}
	}
	return r
}

// TestRecorded compares one expression of each template with what the judge said to it once.
func TestRecorded(t *testing.T) {
	ctx := context.Background()
	table := newCorners(rand.New(rand.NewPCG(7, 7)))
	if *record {
		recordSample(ctx, t, table)
	}
	file, err := os.Open(recordedFile)
	require.NoError(t, err)
	defer file.Close()
	c := &court{t: t, ours: openOurs(t), explained: map[string]int{}}
	setup(ctx, t, c.ours, table.statements())
	require.NoError(t, c.ours.exec(ctx, settings[0].statements(false)...))
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r recorded
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		for mode, query := range map[string]string{"pushed": pushed, "root": root} {
			ours := c.ask(ctx, c.ours, fmt.Sprintf(sample(query), r.Expr))
			c.compare(mode, r.Expr, ours, r.answer(t), explain)
		}
		c.evaluations += 2 * len(r.Rows)
	}
	require.NoError(t, lines.Err())
	c.sum()
}

// sample is a query of all rows cut down to those that are recorded.
func sample(query string) string {
	const table = "FROM corner"
	at := len("SELECT id, %s ")
	if query == pushed {
		at = len("SELECT id, ANY_VALUE(%s) ")
	}
	return query[:at+len(table)] + recordedRows + query[at+len(table):]
}

func recordSample(ctx context.Context, t *testing.T, table corners) {
	require.NotEmpty(t, *judgeDSN, "needs -judge")
	judge := open(t, "judge", *judgeDSN)
	setup(ctx, t, judge, table.statements())
	require.NoError(t, judge.exec(ctx, settings[0].statements(true)...))
	g := newGenerator(rand.New(rand.NewPCG(42, 1)))
	file, err := os.Create(recordedFile)
	require.NoError(t, err)
	out := json.NewEncoder(file)
	out.SetEscapeHTML(false)
	for _, tm := range templates {
		e := g.expression(tm, 0)
		a, err := judge.ask(ctx, fmt.Sprintf(sample(plain), e))
		require.NoError(t, err)
		require.NoError(t, out.Encode(recordOf(e, a)))
	}
	require.NoError(t, file.Close())
}
