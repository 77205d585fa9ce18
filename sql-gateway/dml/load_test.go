package dml

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// scanAll reads all records; NULLs are shown as \N.
func scanAll(f loadFormat, r io.Reader) (records [][]string, err error) {
	s := newLoadScanner(r, f)
	for {
		fields, err := s.next()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		var rec []string
		for _, x := range fields {
			if x.null {
				rec = append(rec, `\N`)
			} else {
				rec = append(rec, string(x.text))
			}
		}
		records = append(records, rec)
	}
}

// Records written with any format read back, however the input is cut into pieces.
func TestLoadScannerRoundTrip(t *testing.T) {
	formats := map[string]loadFormat{
		"tabs":     {[]byte("\t"), nil, []byte("\n"), -1, '\\'},
		"csv":      {[]byte(","), nil, []byte("\r\n"), '"', '"'},
		"pipes":    {[]byte("||"), []byte(">"), []byte("|\n"), -1, '\\'},
		"escaped":  {[]byte(","), nil, []byte("\n"), '\'', '\\'},
		"overlong": {[]byte("<->"), []byte("start:"), []byte("<--end-->"), '"', '\\'},
	}
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				text := rapid.StringMatching(`[ab"'\\,|\t\n<>-]{0,6}`)
				records := rapid.SliceOfN(rapid.SliceOfN(text, 2, 4), 0, 6).Draw(t, "records")
				var in bytes.Buffer
				for _, rec := range records {
					writeRecord(&in, f, rec)
				}
				got, err := scanAll(f, bytes.NewReader(in.Bytes()))
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%q", records), fmt.Sprintf("%q", got), "%q", in.String())
				got, err = scanAll(f, iotest.OneByteReader(bytes.NewReader(in.Bytes())))
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%q", records), fmt.Sprintf("%q", got))
			})
		})
	}
}

func writeRecord(w *bytes.Buffer, f loadFormat, rec []string) {
	w.Write(f.lineStart)
	for i, s := range rec {
		if i > 0 {
			w.Write(f.fieldEnd)
		}
		if f.enclosed >= 0 {
			w.WriteByte(byte(f.enclosed))
		}
		for j := range len(s) {
			special := int(s[j]) == f.escaped || int(s[j]) == f.enclosed || f.enclosed < 0 && strings.IndexByte("|\t\n<>-,", s[j]) >= 0
			if special && f.escaped >= 0 {
				w.WriteByte(byte(f.escaped))
			}
			w.WriteByte(s[j])
		}
		if f.enclosed >= 0 {
			w.WriteByte(byte(f.enclosed))
		}
	}
	w.Write(f.lineEnd)
}

func FuzzLoadScanner(f *testing.F) {
	f.Add([]byte("a\t\\N\tb\\tc\n\\"), byte('\t'), byte(0), byte('\\'))
	f.Add([]byte("\"a\"\"b\",NULL,\"x\n\"\n"), byte(','), byte('"'), byte('"'))
	f.Fuzz(func(t *testing.T, in []byte, sep, quote, esc byte) {
		format := loadFormat{fieldEnd: []byte{sep}, lineEnd: []byte("\n"), enclosed: int(quote) - 1, escaped: int(esc) - 1}
		whole, err := scanAll(format, bytes.NewReader(in))
		require.NoError(t, err)
		pieces, err := scanAll(format, iotest.OneByteReader(bytes.NewReader(in)))
		require.NoError(t, err)
		require.Equal(t, whole, pieces)
	})
}

const lineitem = `CREATE TABLE lineitem (l_orderkey BIGINT NOT NULL, l_partkey BIGINT NOT NULL, l_suppkey BIGINT NOT NULL, l_linenumber BIGINT NOT NULL,
	l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL,
	l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
	l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))`

func lineitems(sep, quote string, n int) string {
	var b strings.Builder
	for i := range n {
		row := []string{fmt.Sprint(i / 4), "155190", "7706", fmt.Sprint(i%4 + 1), "17", "21168.23", "0.04", "0.02", quote + "N" + quote, quote + "O" + quote,
			quote + "1996-03-13" + quote, quote + "1996-02-12" + quote, quote + "1996-03-22" + quote, quote + "DELIVER IN PERSON" + quote, quote + "TRUCK" + quote,
			quote + "egular courts above the" + quote}
		b.WriteString(strings.Join(row, sep))
		b.WriteString("\n")
	}
	return b.String()
}

func BenchmarkLoadLineitem(b *testing.B) {
	const rows = 10_000
	in := lineitems("|", "", rows)
	for _, local := range []string{"", "LOCAL "} {
		b.Run("load"+local, func(b *testing.B) {
			w := newWorld(b)
			w.create(lineitem)
			stmt := parse(b, "LOAD DATA "+local+"INFILE 'x' INTO TABLE lineitem FIELDS TERMINATED BY '|'").(*ast.LoadDataStmt)
			for b.Loop() {
				env := w.env(context.Background())
				env.Flush = nil
				res, err := LoadData(context.Background(), env, stmt, strings.NewReader(in))
				require.NoError(b, err)
				require.EqualValues(b, rows, res.Affected)
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkInsertLineitem(b *testing.B) {
	for _, rows := range []int{1, 1000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) { benchmarkInsert(b, rows) })
	}
}

func BenchmarkInsertBulk(b *testing.B) {
	const rows = 1000
	w := newWorld(b)
	w.create(lineitem)
	list := strings.TrimSuffix(strings.ReplaceAll(lineitems(",", "'", rows), "\n", "),("), ",(")
	for b.Loop() {
		stmt, ok := cutAndParse(b, "INSERT INTO lineitem VALUES ("+list, 0)
		require.True(b, ok)
		_, err := InsertBulk(context.Background(), w.env(context.Background()), stmt)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func benchmarkInsert(b *testing.B, rows int) {
	w := newWorld(b)
	w.create(lineitem)
	list := strings.TrimSuffix(strings.ReplaceAll(lineitems(",", "'", rows), "\n", "),("), ",(")
	stmt := parse(b, "INSERT INTO lineitem VALUES ("+list).(*ast.InsertStmt)
	for b.Loop() {
		_, err := Insert(context.Background(), w.env(context.Background()), stmt)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// Flushes come in the middle of a load; what they commit is the whole input.
func TestLoadFlushes(t *testing.T) {
	w := newWorld(t)
	w.create(lineitem)
	const rows = 45_000
	flushes := 0
	env := w.env(context.Background())
	flush := env.Flush
	env.Flush = func(ctx context.Context) error { flushes++; return flush(ctx) }
	stmt := parse(t, "LOAD DATA INFILE 'x' INTO TABLE lineitem FIELDS TERMINATED BY '|'").(*ast.LoadDataStmt)
	res, err := LoadData(context.Background(), env, stmt, strings.NewReader(lineitems("|", "", rows)))
	require.NoError(t, err)
	require.EqualValues(t, rows, res.Affected)
	require.EqualValues(t, rows, res.RowDelta[100])
	require.Len(t, w.store.data, rows)
	require.Greater(t, flushes, 2)
	first := memcmp.AppendInt64(nil, 0)
	require.Contains(t, w.store.keys()[0], string(first))
}

// lagging has env commit each batch only when the next is flushed or settled, as a session may.
func lagging(w *world, env *Env) {
	var pending *kvclient.Txn
	wait := func(ctx context.Context) {
		if pending != nil {
			w.commit(ctx, pending)
		}
		pending = nil
	}
	renew := func(ctx context.Context) (err error) {
		env.Txn, err = w.client.Begin(ctx)
		return err
	}
	env.Flush = func(ctx context.Context) error {
		wait(ctx)
		pending = env.Txn
		return renew(ctx)
	}
	env.Settle = func(ctx context.Context) error {
		require.Zero(w.t, env.Txn.Len())
		wait(ctx)
		return renew(ctx)
	}
}

// Whatever the order of the rows, and whichever of them collide: commits in the background change nothing.
func TestLoadWithCommitsUnderWay(t *testing.T) {
	const rows = 24_000 // the second batch begins with row 20,480
	orders := map[string]func(i int) (id, code int){
		"ascending":           func(i int) (int, int) { return i, i },
		"descending":          func(i int) (int, int) { return rows - i, rows - i },
		"in turns":            func(i int) (int, int) { return i % 7_000, i },
		"some come again":     func(i int) (int, int) { return i - i%1_003/1_002*i/2, i },
		"again in the index":  func(i int) (int, int) { return i, i - i%21_001/21_000*19_000 },
		"again at the border": func(i int) (int, int) { return i - i/20_480, i },
	}
	for name, order := range orders {
		var in strings.Builder
		for i := range rows {
			id, code := order(i)
			fmt.Fprintf(&in, "%d\t%d\n", id, code)
		}
		for _, how := range []string{"", "REPLACE "} {
			t.Run(name+" "+how, func(t *testing.T) {
				var worlds [2]*world
				var results [2]*Result
				for i := range worlds {
					w := newWorld(t)
					worlds[i] = w
					w.create("CREATE TABLE t (id BIGINT NOT NULL, code BIGINT NOT NULL, PRIMARY KEY (id), UNIQUE KEY (code))")
					env := w.env(t.Context())
					if i == 1 {
						lagging(w, env)
					}
					stmt := parse(t, "LOAD DATA LOCAL INFILE 'x' "+how+"INTO TABLE t").(*ast.LoadDataStmt)
					var err error
					results[i], err = LoadData(t.Context(), env, stmt, strings.NewReader(in.String()))
					require.NoError(t, err)
				}
				require.Equal(t, results[0], results[1])
				require.Equal(t, worlds[0].warnings.Count, worlds[1].warnings.Count)
				require.True(t, maps.EqualFunc(worlds[0].store.data, worlds[1].store.data, bytes.Equal))
			})
		}
	}
}

func TestQuickConversionAgreesWithTheFull(t *testing.T) {
	w := newWorld(t)
	table := w.create(`CREATE TABLE t (a TINYINT NOT NULL, b BIGINT UNSIGNED NOT NULL, c DECIMAL(5,2) NOT NULL, d DECIMAL(18,3) UNSIGNED NOT NULL,
		e DECIMAL(40,20) NOT NULL, f CHAR(3) NOT NULL, g VARCHAR(4) NOT NULL, h VARBINARY(3) NOT NULL)`)
	env := w.env(t.Context())
	tg, err := newTarget(env, table)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.OneOf(rapid.StringMatching(`-?[0-9]{0,20}(\.[0-9]{0,5})?`), rapid.StringMatching(`[a-zé .-]{0,5}`)).Draw(t, "text"))
		f := tg.fields[rapid.IntRange(0, len(tg.fields)-1).Draw(t, "column")]
		var quick datum.Datum
		if !f.quick(&quick, text) {
			return
		}
		before := env.warnings()
		full, err := newConverter(env, false).convert(f, datum.NewBytes(text), nil)
		require.NoError(t, err)
		require.Equal(t, before, env.warnings(), "%q in %s", text, f.Name)
		require.Equal(t, full, quick, "%q in %s", text, f.Name)
	})
}
