package planner

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

var tpchTables = []string{
	`CREATE TABLE nation (n_nationkey BIGINT NOT NULL PRIMARY KEY, n_name CHAR(25) NOT NULL, n_regionkey BIGINT NOT NULL, n_comment VARCHAR(152))`,
	`CREATE TABLE region (r_regionkey BIGINT NOT NULL PRIMARY KEY, r_name CHAR(25) NOT NULL, r_comment VARCHAR(152))`,
	`CREATE TABLE supplier (s_suppkey BIGINT NOT NULL PRIMARY KEY, s_name CHAR(25) NOT NULL, s_address VARCHAR(40) NOT NULL,
		s_nationkey BIGINT NOT NULL, s_phone CHAR(15) NOT NULL, s_acctbal DECIMAL(15,2) NOT NULL, s_comment VARCHAR(101) NOT NULL)`,
	`CREATE TABLE customer (c_custkey BIGINT NOT NULL PRIMARY KEY, c_name VARCHAR(25) NOT NULL, c_address VARCHAR(40) NOT NULL,
		c_nationkey BIGINT NOT NULL, c_phone CHAR(15) NOT NULL, c_acctbal DECIMAL(15,2) NOT NULL, c_mktsegment CHAR(10) NOT NULL, c_comment VARCHAR(117) NOT NULL)`,
	`CREATE TABLE part (p_partkey BIGINT NOT NULL PRIMARY KEY, p_name VARCHAR(55) NOT NULL, p_mfgr CHAR(25) NOT NULL, p_brand CHAR(10) NOT NULL,
		p_type VARCHAR(25) NOT NULL, p_size BIGINT NOT NULL, p_container CHAR(10) NOT NULL, p_retailprice DECIMAL(15,2) NOT NULL, p_comment VARCHAR(23) NOT NULL)`,
	`CREATE TABLE partsupp (ps_partkey BIGINT NOT NULL, ps_suppkey BIGINT NOT NULL, ps_availqty BIGINT NOT NULL,
		ps_supplycost DECIMAL(15,2) NOT NULL, ps_comment VARCHAR(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey))`,
	`CREATE TABLE orders (o_orderkey BIGINT NOT NULL PRIMARY KEY, o_custkey BIGINT NOT NULL, o_orderstatus CHAR(1) NOT NULL,
		o_totalprice DECIMAL(15,2) NOT NULL, o_orderdate DATE NOT NULL, o_orderpriority CHAR(15) NOT NULL,
		o_clerk CHAR(15) NOT NULL, o_shippriority BIGINT NOT NULL, o_comment VARCHAR(79) NOT NULL)`,
	`CREATE TABLE lineitem (l_orderkey BIGINT NOT NULL, l_partkey BIGINT NOT NULL, l_suppkey BIGINT NOT NULL, l_linenumber BIGINT NOT NULL,
		l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL,
		l_tax DECIMAL(15,2) NOT NULL, l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL,
		l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
		l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))`,
}

// rowsSF1 are the sizes of the tables at scale factor 1.
var rowsSF1 = map[string]float64{"lineitem": 6001215, "orders": 1500000, "partsupp": 800000, "part": 200000,
	"customer": 150000, "supplier": 10000, "nation": 25, "region": 5}

func newTPCH(t testing.TB) *world {
	w := newWorld(t)
	for _, ddl := range tpchTables {
		w.ddl(ddl)
	}
	for name, n := range rowsSF1 {
		w.rows[name] = n
	}
	return w
}

// The 22 queries on generated rows give the reference answers. The plans are those of scale factor 1, so that the index
// joins run that a small table would not get.
func TestTPCHAnswers(t *testing.T) {
	if os.Getenv("SCREE_TPCH") == "" {
		t.Skip("set SCREE_TPCH=1: the generator takes 300 MB and half a minute")
	}
	w := newTPCH(t)
	scale, err := tpch.ParseScale("0.01")
	require.NoError(t, err)
	gen := tpch.NewGenerator(scale)
	for _, group := range tpch.Tables {
		bufs, out := map[string]*bytes.Buffer{}, map[string]io.Writer{}
		for _, name := range group {
			bufs[name] = &bytes.Buffer{}
			out[name] = bufs[name]
		}
		require.NoError(t, gen.Generate(group, out))
		for _, name := range group {
			table, err := w.Table("test", name)
			require.NoError(t, err)
			for _, line := range strings.Split(strings.TrimSpace(bufs[name].String()), "\n") {
				w.insertRow(table, strings.Split(strings.TrimSuffix(line, "|"), "|"))
			}
		}
	}
	w.sort()
	for _, q := range tpch.Queries() {
		t.Run(q.Name, func(t *testing.T) {
			got, err := w.query(q.Text)
			require.NoError(t, err)
			ref, err := os.ReadFile(fmt.Sprintf("../../testdata/tpch/sf0.01/%s.tsv", q.Name))
			require.NoError(t, err)
			want := strings.Split(strings.TrimRight(string(ref), "\n"), "\n")
			require.Empty(t, tpch.Diff(got, want))
		})
	}
}

// Whether row counts are known or nothing is, no plan joins customers and suppliers by their nation alone: that would give
// millions of rows.
func TestNoJoinOfRepeatedKeys(t *testing.T) {
	var q5 string
	for _, q := range tpch.Queries() {
		if q.Name == "q05" {
			q5 = q.Text
		}
	}
	known := newTPCH(t)
	unknown := newWorld(t)
	for _, ddl := range tpchTables {
		unknown.ddl(ddl)
	}
	for _, w := range []*world{known, unknown} {
		q, err := w.plan(q5)
		require.NoError(t, err)
		text := explainText(q)
		require.NotContains(t, text, "equal:[eq(customer.c_nationkey, supplier.s_nationkey)]")
		require.NotContains(t, text, "equal:[eq(supplier.s_nationkey, customer.c_nationkey)]")
	}
	known.rows = map[string]float64{"customer": 150000, "supplier": 10000, "orders": 1500000}
	q, err := known.plan("SELECT COUNT(*) FROM customer, supplier, orders WHERE c_nationkey = s_nationkey AND o_custkey = c_custkey AND o_orderkey = s_suppkey")
	require.NoError(t, err)
	require.NotContains(t, explainText(q), "equal:[eq(customer.c_nationkey, supplier.s_nationkey)]")
}
