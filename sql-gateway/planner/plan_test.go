package planner

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

func explainText(q *Query) string {
	_, rows := q.ExplainRows(nil)
	width := 0
	for _, r := range rows {
		width = max(width, len([]rune(r[0])))
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(r[0] + strings.Repeat(" ", width-len([]rune(r[0]))))
		b.WriteString("  " + r[1] + "  " + r[2])
		for _, s := range r[3:] {
			if s != "" {
				b.WriteString("  " + s)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Plans of the TPC-H queries at scale factor 1.
func TestTPCHPlans(t *testing.T) {
	w := newTPCH(t)
	texts := map[string]string{}
	for _, q := range tpch.Queries() {
		texts[q.Name] = q.Text
	}
	datadriven.RunTest(t, "testdata/tpch", func(t *testing.T, d *datadriven.TestData) string {
		q, err := w.plan(texts[d.Cmd])
		if err != nil {
			return "error: " + err.Error()
		}
		return explainText(q)
	})
}
