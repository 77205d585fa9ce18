package judge

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// court brings the answers of both servers together and keeps the minutes.
type court struct {
	t           *testing.T
	ours, judge *server
	report      io.Writer
	evaluations int
	explained   map[string]int // differences by the rule that explains them
	unexplained int
}

// unexplainedMax is how many differences are logged.
const unexplainedMax = 200

// stored shows that both servers hold the same table. FLOAT is written differently, JSON is text to the judge.
func (c *court) stored(ctx context.Context) {
	for _, col := range columns {
		if col.class != "j" && col.name != "c_fl" {
			ours, err := c.ours.ask(ctx, fmt.Sprintf(plain, col.name))
			require.NoError(c.t, err)
			judge, err := c.judge.ask(ctx, fmt.Sprintf(plain, col.name))
			require.NoError(c.t, err)
			require.Equal(c.t, judge.rows, ours.rows, col.name)
		}
	}
}

// columns has an expression over columns evaluated for every row, in both modes.
func (c *court) columns(ctx context.Context, e string) {
	root := c.ask(ctx, c.ours, fmt.Sprintf(root, e))
	pushed := c.ask(ctx, c.ours, fmt.Sprintf(pushed, e))
	judge := c.ask(ctx, c.judge, fmt.Sprintf(plain, e))
	c.evaluations += 2 * len(judge.rows)
	if isSubset(pushed.warnings, root.warnings) { // a store sends the first of them
		pushed.warnings = root.warnings
	}
	if !strings.Contains(e, "RAND(") {
		c.compare("pushed and root", e, pushed, root, func(verdict) *rule { return nil })
	}
	c.compare("judge", e, root, judge, explain)
}

func isSubset(some, all []int) bool {
	return !slices.ContainsFunc(some, func(code int) bool { return !slices.Contains(all, code) })
}

// literals has an expression of literals evaluated.
func (c *court) literals(ctx context.Context, e string) {
	// With a table: without one MariaDB keeps the warnings of the statement before.
	query := "SELECT id, " + e + " FROM corner WHERE id = 0"
	ours := c.ask(ctx, c.ours, query)
	judge := c.ask(ctx, c.judge, query)
	c.evaluations++
	c.compare("literals", e, ours, judge, explain)
}

func (c *court) ask(ctx context.Context, s *server, query string) answer {
	a, err := s.ask(ctx, query)
	require.NoError(c.t, err)
	return a
}

// compare takes the first difference of two answers to trial.
func (c *court) compare(what, e string, a, b answer, explain func(verdict) *rule) {
	v, ok := differ(e, a, b)
	if !ok {
		return
	}
	name := "UNEXPLAINED"
	if r := explain(v); r != nil {
		name = r.name
		c.explained[name]++
	} else if c.unexplained++; c.unexplained <= unexplainedMax {
		c.t.Errorf("%s: %s: %s", what, e, v)
	}
	if c.report != nil {
		fmt.Fprintf(c.report, "%s\t%s\t%s\t%s\n", name, what, e, v)
	}
}

func (c *court) sum() {
	total := 0
	for _, name := range slices.Sorted(maps.Keys(c.explained)) {
		total += c.explained[name]
		c.t.Logf("%6d  %s", c.explained[name], name)
	}
	c.t.Logf("%d evaluations; %d differences explained by %d rules, %d not explained", c.evaluations, total, len(c.explained), c.unexplained)
}

// verdict is a difference between two answers to one expression: of a row's values, of errors, or of warnings.
type verdict struct {
	expr        string
	kind        string // "value", "error" or "warnings"
	row         string
	ours, judge string    // values as the client shows them
	errs        [2]uint16 // 0 is none
	warnings    [2][]int
}

func (v verdict) String() string {
	switch v.kind {
	case "error":
		return fmt.Sprintf("error %d, not %d", v.errs[0], v.errs[1])
	case "value":
		return fmt.Sprintf("row %s: %s, not %s", v.row, v.ours, v.judge)
	default:
		return fmt.Sprintf("warnings %v, not %v", v.warnings[0], v.warnings[1])
	}
}

// differ finds the first difference of two answers.
func differ(e string, a, b answer) (_ verdict, found bool) {
	if a.err != b.err {
		return verdict{expr: e, kind: "error", errs: [2]uint16{a.err, b.err}}, true
	}
	for _, id := range slices.Sorted(maps.Keys(b.rows)) {
		if x, y := a.rows[id], b.rows[id]; !same(x, y) {
			return verdict{expr: e, kind: "value", row: id, ours: x.String(), judge: y.String()}, true
		}
	}
	if !slices.Equal(a.warnings, b.warnings) {
		return verdict{expr: e, kind: "warnings", warnings: [2][]int{a.warnings, b.warnings}}, true
	}
	return verdict{}, false
}

// same reports whether two results are equal: as texts, or as floating numbers up to the last digits that the
// mathematical functions of two libraries agree in.
func same(a, b cell) bool {
	if a == b || a.null || b.null {
		return a == b
	}
	x, errX := strconv.ParseFloat(a.text, 64)
	y, errY := strconv.ParseFloat(b.text, 64)
	if errX != nil || errY != nil {
		return false
	}
	inexact := strings.ContainsAny(a.text+b.text, "eE") || len(a.text) > 15 && strings.Contains(a.text, ".") && !strings.HasSuffix(a.text, "0")
	return inexact && math.Abs(x-y) <= 1e-12*max(math.Abs(x), math.Abs(y))
}
