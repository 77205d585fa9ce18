package main

import (
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/agg"
)

// kernel is a plan over one table, measured against memory: rowBytes are those that it must read a row.
type kernel struct {
	name     string
	table    *table
	rowBytes int
	plan     *tipb.Executor
}

func (k *kernel) measure(runs int) (time.Duration, error) {
	return fastest(runs, func() error {
		_, err := drain(k.plan, []*table{k.table})
		return err
	})
}

// allocations counts those of one run, by batches read.
func (k *kernel) allocations() float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := drain(k.plan, []*table{k.table}); err != nil {
		return 0
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(len(k.table.batches))
}

func kernels() []kernel {
	const rows = 2 << 20
	wide := decimal(18, 2)
	numbers := newTable(rows, []*tipb.FieldType{bigint, bigint, wide, wide, date}, func(i int, out []*column.Builder) {
		out[0].AppendInt64(int64(i) * 7919 % 1000)
		out[1].AppendInt64(int64(i))
		out[2].AppendInt64(int64(i) * 31 % 1_000_000)
		out[3].AppendInt64(int64(i) % 11)
		out[4].AppendUint64(uint64(value.MakeTime(1992+i%7, 1+i%12, 1+i%28, 0, 0, 0, 0)))
	})
	codes := newTable(rows, []*tipb.FieldType{bigint, money}, func(i int, out []*column.Builder) {
		out[0].AppendInt64(int64(i) * 7 % 4)
		out[1].AppendInt64(int64(i) % 100_000)
	})
	flags := newTable(rows, []*tipb.FieldType{varchar, varchar, money}, func(i int, out []*column.Builder) {
		out[0].AppendBytes([]byte{"AR"[i*7919>>3&1]})
		out[1].AppendBytes([]byte{"FO"[i&1]})
		out[2].AppendInt64(int64(i) % 100_000)
	})
	sum := decimal(37, 2)
	return []kernel{
		{"int64 < constant", numbers, 8, selection(scan(0), call(tipb.ScalarFuncSig_LTInt, bigint, col(0, bigint), number(500)))},
		{"int64 < int64", numbers, 16, selection(scan(0), call(tipb.ScalarFuncSig_LTInt, bigint, col(0, bigint), col(1, bigint)))},
		{"int64 + int64", numbers, 16, projection(scan(0), call(tipb.ScalarFuncSig_PlusInt, bigint, col(0, bigint), col(1, bigint)))},
		{"int64 * int64", numbers, 16, projection(scan(0), call(tipb.ScalarFuncSig_MultiplyInt, bigint, col(0, bigint), col(1, bigint)))},
		{"decimal(18,2) + decimal(18,2)", numbers, 16, projection(scan(0), call(tipb.ScalarFuncSig_PlusDecimal, decimal(18, 2), col(2, wide), col(3, wide)))},
		{"decimal(18,2) * decimal(18,2)", numbers, 16, projection(scan(0), call(tipb.ScalarFuncSig_MultiplyDecimal, decimal(36, 4), col(2, wide), col(3, wide)))},
		{"YEAR(date)", numbers, 8, projection(scan(0), call(tipb.ScalarFuncSig_Year, bigint, col(4, date)))},
		{"MONTH(date)", numbers, 8, projection(scan(0), call(tipb.ScalarFuncSig_Month, bigint, col(4, date)))},
		{"SUM in 4 groups by int64", codes, 16, aggregation(scan(0), list(col(0, bigint)), aggregate(tipb.ExprType_Sum, sum, col(1, money)))},
		{"SUM in 4 groups by two strings", flags, 18, aggregation(scan(0), list(col(0, varchar), col(1, varchar)), aggregate(tipb.ExprType_Sum, sum, col(2, money)))},
	}
}

// operator is a plan over tables, and what makes and asks for the same in DuckDB: query gives the number of rows and one
// more value, for which all columns are needed.
type operator struct {
	name   string
	tables []*table
	plan   *tipb.Executor
	work   func() (rows int, err error) // instead of a plan; nil: there is one
	rows   int                          // that come out
	create []string
	query  string
}

func (o *operator) measure(runs int) (time.Duration, error) {
	return fastest(runs, func() error {
		rows, err := o.run()
		if err == nil && rows != o.rows {
			err = fmt.Errorf("%d rows, not %d", rows, o.rows)
		}
		return err
	})
}

func (o *operator) run() (rows int, err error) {
	if o.work != nil {
		return o.work()
	}
	return drain(o.plan, o.tables)
}

func (o *operator) measureDuckDB(db *sql.DB, runs int) (time.Duration, error) {
	for _, s := range o.create {
		if _, err := db.Exec(s); err != nil {
			return 0, err
		}
	}
	return fastest(runs, func() error {
		var rows int
		var rest any
		err := db.QueryRow(o.query).Scan(&rows, &rest)
		if err == nil && rows != o.rows {
			err = fmt.Errorf("%d rows, not %d", rows, o.rows)
		}
		return err
	})
}

// operatorRows is the number of rows that an operator reads.
const operatorRows = 4 << 20

func operators() []operator {
	return []operator{manyGroups(), stringGroups(), distinctStrings(), hashedStrings(), joinProbe("sparse", 1000), joinProbe("dense", 1), like()}
}

// manyGroups sums in a million groups, whose keys rows pass in an order that no cache likes.
func manyGroups() operator {
	const groups = 1 << 20
	key := func(i int) int64 { return int64(i) * 2654435761 % groups * 32 }
	t := newTable(operatorRows, []*tipb.FieldType{bigint, money}, func(i int, out []*column.Builder) {
		out[0].AppendInt64(key(i))
		out[1].AppendInt64(int64(i) % 10_000)
	})
	return operator{
		name: "SUM in a million groups by int64", tables: []*table{t}, rows: groups,
		plan: aggregation(scan(0), list(col(0, bigint)), aggregate(tipb.ExprType_Sum, decimal(37, 2), col(1, money))),
		create: []string{fmt.Sprintf("CREATE TABLE many AS SELECT i * 2654435761 %% %d * 32 AS k, (i %% 10000 / 100)::DECIMAL(15,2) AS v FROM range(%d) r(i)",
			groups, operatorRows)},
		query: "SELECT COUNT(*), MAX(v) FROM (SELECT k, SUM(v) AS v FROM many GROUP BY k)",
	}
}

// stringGroups counts in a hundred thousand groups by strings: hashing and comparing them is the work.
func stringGroups() operator {
	const groups = 100_000
	return operator{
		name: "COUNT in 100,000 groups by string", tables: []*table{customers(groups)}, rows: groups,
		plan:   aggregation(scan(0), list(col(0, varchar)), aggregate(tipb.ExprType_Count, bigint, number(1))),
		create: createCustomers("names", groups),
		query:  "SELECT COUNT(*), MAX(n) FROM (SELECT s, COUNT(*) AS n FROM names GROUP BY s)",
	}
}

// customers are strings of 18 bytes, of which some are the same.
func customers(different int) *table {
	return newTable(operatorRows, []*tipb.FieldType{varchar}, func(i int, out []*column.Builder) {
		out[0].AppendBytes(fmt.Appendf(nil, "Customer#%09d", i*7919%different))
	})
}

func createCustomers(name string, different int) []string {
	return []string{fmt.Sprintf("CREATE TABLE %s AS SELECT 'Customer#' || lpad((i * 7919 %% %d)::VARCHAR, 9, '0') AS s FROM range(%d) r(i)",
		name, different, operatorRows)}
}

// distinctStrings counts a million different strings.
func distinctStrings() operator {
	const different = 1_000_000
	count := aggregate(tipb.ExprType_Count, bigint, col(0, varchar))
	count.HasDistinct = true
	return operator{
		name: "COUNT(DISTINCT) of a million strings", tables: []*table{customers(different)}, rows: 1,
		plan:   aggregation(scan(0), nil, count),
		create: createCustomers("different", different),
		query:  "SELECT 1, COUNT(DISTINCT s) FROM different",
	}
}

// hashedStrings hashes strings and nothing else, as where rows are split by their keys.
func hashedStrings() operator {
	t := customers(operatorRows)
	return operator{
		name: "hash of strings of 18 bytes", rows: 1,
		work: func() (int, error) {
			h, err := agg.NewHasher([]*tipb.FieldType{varchar})
			if err != nil {
				return 0, err
			}
			sum := uint64(0)
			var hashes []uint64
			for _, b := range t.batches {
				hashes = h.Hash(b.Cols, b.Rows, hashes)
				for _, v := range hashes {
					sum ^= v
				}
			}
			return int(min(sum, 1)), nil
		},
		create: createCustomers("hashed", operatorRows),
		query:  "SELECT 1, BIT_XOR(hash(s)) FROM hashed",
	}
}

// joinProbe looks rows up in a hash table of 300,000, of which every second one is met.
func joinProbe(name string, spread int64) operator {
	const built = 300_000
	build := newTable(built, []*tipb.FieldType{bigint, money}, func(i int, out []*column.Builder) {
		out[0].AppendInt64(int64(i) * spread)
		out[1].AppendInt64(int64(i) % 100)
	})
	probe := newTable(operatorRows, []*tipb.FieldType{bigint, money}, func(i int, out []*column.Builder) {
		out[0].AppendInt64(int64(i) * 2654435761 % (2 * built) * spread)
		out[1].AppendInt64(int64(i) % 100)
	})
	joined := join(scan(0), scan(1), col(0, bigint), col(0, bigint))
	return operator{
		name: "join probe, keys " + name, tables: []*table{probe, build}, rows: 1,
		plan: aggregation(joined, nil, aggregate(tipb.ExprType_Sum, decimal(37, 2), col(1, money)), aggregate(tipb.ExprType_Sum, decimal(37, 2), col(3, money))),
		create: []string{
			fmt.Sprintf("CREATE TABLE build_%s AS SELECT i * %d AS k, (i %% 100 / 100)::DECIMAL(15,2) AS v FROM range(%d) r(i)", name, spread, built),
			fmt.Sprintf("CREATE TABLE probe_%s AS SELECT i * 2654435761 %% %d * %d AS k, (i %% 100 / 100)::DECIMAL(15,2) AS v FROM range(%d) r(i)",
				name, 2*built, spread, operatorRows),
		},
		query: fmt.Sprintf("SELECT 1, SUM(p.v) + SUM(b.v) FROM probe_%s p JOIN build_%s b ON p.k = b.k", name, name),
	}
}

// like searches comments such as TPC-H has them for two words.
func like() operator {
	words := strings.Fields("carefully final deposits detect slyly again special packages sleep requests blithely furiously ironic pending accounts")
	at := func(i, k int) string { return words[(i*7919>>uint(k)+i*k)%len(words)] }
	comment := func(i int) string {
		return strings.Join([]string{at(i, 0), at(i, 1), at(i, 2), at(i, 3), at(i, 4)}, " ")
	}
	matches := 0
	t := newTable(operatorRows/2, []*tipb.FieldType{varchar}, func(i int, out []*column.Builder) {
		c := comment(i)
		out[0].AppendBytes([]byte(c))
		if _, rest, ok := strings.Cut(c, "special"); ok && strings.Contains(rest, "requests") {
			matches++
		}
	})
	var parts []string
	for k := range 5 {
		parts = append(parts, fmt.Sprintf("words[((i * 7919 >> %d) + i * %d) %% %d + 1]", k, k, len(words)))
	}
	return operator{
		name: "LIKE '%special%requests%'", tables: []*table{t}, rows: matches,
		plan: selection(scan(0), call(tipb.ScalarFuncSig_LikeSig, bigint, col(0, varchar), text("%special%requests%"), number('\\'))),
		create: []string{fmt.Sprintf("CREATE TABLE comments AS SELECT concat_ws(' ', %s) AS s FROM (SELECT i, ['%s'] AS words FROM range(%d) r(i))",
			strings.Join(parts, ", "), strings.Join(words, "', '"), operatorRows/2)},
		query: "SELECT COUNT(*), MAX(length(s)) FROM comments WHERE s LIKE '%special%requests%'",
	}
}
