package dml

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/tablekey"
)

// modelRow is a row of the model: an integer key, a unique number and a unique text without case.
type modelRow struct{ a, b, c string }

func (m modelRow) collides(o modelRow) bool {
	same := func(x, y string) bool { return x != "NULL" && strings.EqualFold(x, y) }
	return same(m.a, o.a) || same(m.b, o.b) || same(m.c, o.c)
}

// After any INSERT, INSERT IGNORE and REPLACE the rows are those of a naive model, and the index entries exactly those that the
// rows have.
func TestRowsAndEntriesAgree(t *testing.T) {
	for _, pk := range []string{"PRIMARY KEY (a)", "PRIMARY KEY (c, a)", "UNIQUE KEY ua (a)"} {
		t.Run(pk, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { checkAgainstModel(t, rt, pk) })
		})
	}
}

func checkAgainstModel(t *testing.T, rt *rapid.T, pk string) {
	w := newWorld(t)
	w.create("CREATE TABLE m (a INT NOT NULL, b INT, c VARCHAR(4) COLLATE utf8mb4_general_ci NOT NULL, " + pk + ", UNIQUE KEY ub (b), UNIQUE KEY uc (c), KEY kbc (b, c), KEY kp (c(1)))")
	uniqueA := pk != "PRIMARY KEY (c, a)"
	var model []modelRow
	for range rapid.IntRange(1, 6).Draw(rt, "statements") {
		verb := rapid.SampledFrom([]string{"INSERT", "INSERT IGNORE", "REPLACE"}).Draw(rt, "verb")
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 1, 5).Draw(rt, "rows")
		next, ok := applyModel(model, verb, rows, uniqueA)
		var list []string
		for _, r := range rows {
			list = append(list, fmt.Sprintf("(%s, %s, '%s')", r.a, r.b, r.c))
		}
		out := w.run(func(ctx context.Context, env *Env) (*Result, error) {
			env.CheckNow = true
			return Insert(ctx, env, parse(t, verb+" INTO m VALUES "+strings.Join(list, ", ")).(*ast.InsertStmt))
		})
		require.Equal(rt, ok, !strings.HasPrefix(out, "error"), out)
		if ok {
			model = next
		}
		require.ElementsMatch(rt, model, w.modelRows(rt))
	}
}

func drawRow(t *rapid.T) modelRow {
	return modelRow{
		rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "a"), rapid.SampledFrom([]string{"NULL", "1", "2", "3"}).Draw(t, "b"),
		rapid.SampledFrom([]string{"x", "X", "y", "yy", "z", "Zz"}).Draw(t, "c"),
	}
}

func applyModel(model []modelRow, verb string, rows []modelRow, uniqueA bool) ([]modelRow, bool) {
	model = slices.Clone(model)
	for _, r := range rows {
		hit := func(o modelRow) bool {
			if !uniqueA {
				o.a = "NULL"
			}
			return r.collides(o)
		}
		switch {
		case verb == "REPLACE":
			model = slices.DeleteFunc(model, hit)
		case slices.ContainsFunc(model, hit) && verb == "INSERT":
			return nil, false
		case slices.ContainsFunc(model, hit):
			continue
		}
		model = append(model, r)
	}
	return model, true
}

// modelRows reads the table and checks that its keys are those of its rows.
func (w *world) modelRows(t *rapid.T) (out []modelRow) {
	tg, err := newTarget(w.env(context.Background()), w.tables["m"])
	require.NoError(t, err)
	want := map[string]string{}
	w.each(func(k tablekey.Key, key, val []byte) {
		if k.Index {
			return
		}
		r, err := tg.read(k.Rest, val)
		require.NoError(t, err)
		e, err := tg.encode(r, rowIDOf(tg, k.Rest))
		require.NoError(t, err)
		for _, x := range append(e.indexes, e.record) {
			want[string(x.key)] = string(x.val)
		}
		text := func(d datum.Datum) string {
			if d.IsNull() {
				return "NULL"
			}
			return string(d.AppendText(nil, &fieldType{Tp: 8}))
		}
		out = append(out, modelRow{text(r[0]), text(r[1]), string(r[2].Bytes())})
	})
	got := map[string]string{}
	for k, v := range w.store.data {
		got[k] = string(v)
	}
	require.Equal(t, want, got)
	return out
}
