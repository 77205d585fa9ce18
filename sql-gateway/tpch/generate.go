// Package tpch generates, loads and runs TPC-H against any MySQL server. Rows come from go-tpc's generator; they reach
// the server through LOAD DATA LOCAL INFILE, so loading takes the same path as a user's data.
package tpch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"sync"

	"github.com/pingcap/go-tpc/tpch/dbgen"
)

// Scale is a scale factor: a whole number, or a fraction below 1.
//
// The generator knows whole scales only. A fraction takes the first rows of scale 1 and folds their keys into the
// smaller key spaces by the benchmark's own formulas, so that every foreign key finds its row.
type Scale float64

// ParseScale reads a scale factor such as "0.01" or "1".
func ParseScale(s string) (Scale, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0.001) || f > 1000 || f > 1 && f != math.Trunc(f) {
		return 0, fmt.Errorf("scale factor %q: want a fraction from 0.001 up, or a whole number up to 1000", s)
	}
	return Scale(f), nil
}

func (s Scale) String() string { return strconv.FormatFloat(float64(s), 'f', -1, 64) }

func (s Scale) rows(base int) int64 { return int64(math.Round(float64(s) * float64(base))) }

// whole is the scale at which the generator runs.
func (s Scale) whole() int64 { return int64(math.Ceil(float64(s))) }

// Rows is the number of rows of a table, for lineitem an estimate.
func (s Scale) Rows(table string) int64 {
	switch table {
	case "nation":
		return 25
	case "region":
		return 5
	default:
		return s.rows(baseRows[table])
	}
}

var baseRows = map[string]int{
	"supplier": 10_000, "customer": 150_000, "part": 200_000, "partsupp": 800_000, "orders": 1_500_000, "lineitem": 6_001_215,
}

// Tables in loading order. Tables of one group are generated together. Region comes last: its rows say that a load is
// complete.
var Tables = [][]string{{"nation"}, {"supplier"}, {"customer"}, {"part", "partsupp"}, {"orders", "lineitem"}, {"region"}}

// Generator makes the rows of one scale. The generator underneath keeps its state in package variables, among them a
// pool of text of 300 MB that takes seconds to fill, and permutations that a second initialisation does not reset: a
// process should make one Generator, and end after it. The rows of a second one would differ.
type Generator struct {
	scale Scale
	mu    sync.Mutex
}

var _ Source = (*Generator)(nil)

// NewGenerator prepares the generator of the process for scale s.
func NewGenerator(s Scale) *Generator {
	dbgen.InitDbGen(s.whole())
	return &Generator{scale: s}
}

// Generate writes the rows of one group of Tables, one line a row with fields separated by '|', to the writers of the
// tables' names. Each group can be generated once.
func (gen *Generator) Generate(group []string, out map[string]io.Writer) error {
	gen.mu.Lock()
	defer gen.mu.Unlock()
	defer quiet()()
	g := &sink{scale: gen.scale, out: map[string]*lineWriter{}}
	for _, t := range group {
		g.out[t] = &lineWriter{w: bufio.NewWriterSize(out[t], 1<<18)}
	}
	tnum, rows := g.plan(group[0])
	g.left = rows
	err := dbgen.DbGen(map[dbgen.Table]dbgen.Loader{tnum: g}, []dbgen.Table{tnum})
	if g.err != nil {
		return g.err
	}
	if err != nil && g.left > 0 {
		return err
	}
	for _, w := range g.out {
		if err := w.w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// quiet keeps the generator's own progress lines off standard output until the returned function is called.
func quiet() (restore func()) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return func() {}
	}
	stdout := os.Stdout
	os.Stdout = null
	return func() { os.Stdout = stdout; _ = null.Close() }
}

// sink receives the generator's items and writes them as lines.
type sink struct {
	scale Scale
	out   map[string]*lineWriter
	left  int64 // items still wanted
	err   error
}

// errEnough stops the generator.
var errEnough = errors.New("enough rows")

func (g *sink) plan(first string) (dbgen.Table, int64) {
	switch first {
	case "nation":
		return dbgen.TNation, math.MaxInt64
	case "region":
		return dbgen.TRegion, math.MaxInt64
	case "supplier":
		return dbgen.TSupp, g.scale.Rows("supplier")
	case "customer":
		return dbgen.TCust, g.scale.Rows("customer")
	case "part":
		return dbgen.TPartPsupp, g.scale.Rows("part")
	default:
		return dbgen.TOrderLine, g.scale.Rows("orders")
	}
}

// Flush implements dbgen.Loader.
func (g *sink) Flush() error { return nil }

// Load implements dbgen.Loader.
func (g *sink) Load(item any) error {
	if g.left == 0 {
		return errEnough
	}
	g.left--
	switch it := item.(type) {
	case *dbgen.Nation:
		g.err = g.out["nation"].row(int64(it.Code), it.Text, int64(it.Join), it.Comment)
	case *dbgen.Region:
		g.err = g.out["region"].row(int64(it.Code), it.Text, it.Comment)
	case *dbgen.Supp:
		g.err = g.out["supplier"].row(int64(it.SuppKey), it.Name, it.Address, int64(it.NationCode), it.Phone, dbgen.FmtMoney(it.Acctbal), it.Comment)
	case *dbgen.Cust:
		g.err = g.out["customer"].row(int64(it.CustKey), it.Name, it.Address, int64(it.NationCode), it.Phone, dbgen.FmtMoney(it.Acctbal), it.MktSegment, it.Comment)
	case *dbgen.Part:
		g.err = g.part(it)
	case *dbgen.Order:
		g.err = g.order(it)
	default:
		g.err = fmt.Errorf("the generator made a %T", item)
	}
	return g.err
}

func (g *sink) part(p *dbgen.Part) error {
	err := g.out["part"].row(int64(p.PartKey), p.Name, p.Mfgr, p.Brand, p.Type, int64(p.Size), p.Container, dbgen.FmtMoney(p.RetailPrice), p.Comment)
	for i := range p.S {
		ps := &p.S[i]
		if err == nil {
			err = g.out["partsupp"].row(int64(ps.PartKey), g.supplierOf(int64(ps.PartKey), int64(i)), int64(ps.Qty), dbgen.FmtMoney(ps.SCost), ps.Comment)
		}
	}
	return err
}

func (g *sink) order(o *dbgen.Order) error {
	cust := fold(int64(o.CustKey), g.scale.Rows("customer"))
	err := g.out["orders"].row(int64(o.OKey), cust, o.Status, dbgen.FmtMoney(o.TotalPrice), o.Date, o.OrderPriority, o.Clerk, o.ShipPriority, o.Comment)
	for i := range o.Lines {
		if err != nil {
			return err
		}
		l := &o.Lines[i]
		part := fold(int64(l.PartKey), g.scale.Rows("part"))
		supp := int64(l.SuppKey)
		if g.scale < 1 {
			supp = g.supplierOf(part, supp%suppliersPerPart)
		}
		err = g.out["lineitem"].row(int64(l.OKey), part, supp, int64(l.LCnt), int64(l.Quantity), dbgen.FmtMoney(l.EPrice),
			dbgen.FmtMoney(l.Discount), dbgen.FmtMoney(l.Tax), l.RFlag, l.LStatus, l.SDate, l.CDate, l.RDate, l.ShipInstruct, l.ShipMode, l.Comment)
	}
	return err
}

// fold maps a key into 1..n, as it is where it fits.
func fold(key, n int64) int64 { return (key-1)%n + 1 }

const suppliersPerPart = 4

// supplierOf is the i-th supplier of a part (TPC-H specification, clause 4.2.3, PS_SUPPKEY).
func (g *sink) supplierOf(part, i int64) int64 {
	s := g.scale.Rows("supplier")
	return (part+i*(s/suppliersPerPart+(part-1)/s))%s + 1
}

// lineWriter writes rows as lines.
type lineWriter struct {
	w   *bufio.Writer
	buf []byte
}

func (w *lineWriter) row(fields ...any) error {
	b := w.buf[:0]
	for i, f := range fields {
		if i > 0 {
			b = append(b, '|')
		}
		switch f := f.(type) {
		case int64:
			b = strconv.AppendInt(b, f, 10)
		case string:
			b = append(b, f...)
		}
	}
	w.buf = append(b, '\n')
	_, err := w.w.Write(w.buf)
	return err
}
