package judge

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// aggregates are aggregate functions of a column, @.
var aggregates = strings.Split(`COUNT(@); COUNT(DISTINCT @); COUNT(DISTINCT @, c_n2); SUM(@); SUM(DISTINCT @); AVG(@); AVG(DISTINCT @); MIN(@); MAX(@); MIN(DISTINCT @);
	BIT_AND(@); BIT_OR(@); BIT_XOR(@); STD(@); STDDEV_SAMP(@); VAR_POP(@); VAR_SAMP(@); VARIANCE(@); SUM(@) / COUNT(@); SUM(@ * 2); AVG(@ / 3); SUM(@ > 0);
	GROUP_CONCAT(@ ORDER BY id); GROUP_CONCAT(DISTINCT @ ORDER BY @ SEPARATOR '|'); GROUP_CONCAT(@, '-', c_n1 ORDER BY id DESC SEPARATOR ''); GROUP_CONCAT(id ORDER BY @, id)`, ";")

// aggregateQueries group the corner table; the key comes first and names the row.
var aggregateQueries = []string{
	"SELECT 0, %s FROM %s",
	"SELECT 0, %s FROM %s WHERE id < 0",
	"SELECT IFNULL(c_n1, 'none'), %s FROM %s GROUP BY c_n1",
	"SELECT id %% 3, %s FROM %s GROUP BY id %% 3",
	"SELECT c_n2 > 0 AND c_n2 IS NOT NULL, %s FROM %s GROUP BY c_n2 > 0 AND c_n2 IS NOT NULL HAVING COUNT(*) > 1",
}

// sources of rows: the stores, which then aggregate a part each, or a LIMIT, above which the gateway does.
const (
	atStores  = "corner"
	atGateway = "(SELECT * FROM corner LIMIT 1000) corner"
)

// TestAggregates has both servers aggregate every column.
func TestAggregates(t *testing.T) {
	if *judgeDSN == "" {
		t.Skip("needs -judge")
	}
	ctx := context.Background()
	c := &court{t: t, ours: openOurs(t), judge: open(t, "judge", *judgeDSN), explained: map[string]int{}}
	table := newCorners(rand.New(rand.NewPCG(7, 7)))
	for _, s := range []*server{c.ours, c.judge} {
		setup(ctx, t, s, table.statements())
		require.NoError(t, s.exec(ctx, settings[0].statements(s == c.judge)...))
		require.NoError(t, s.exec(ctx, "SET SESSION group_concat_max_len = 100000"))
	}
	for _, col := range columns {
		for _, f := range aggregates {
			f = strings.ReplaceAll(strings.TrimSpace(f), "@", col.name)
			for _, q := range aggregateQueries {
				stores := c.ask(ctx, c.ours, fmt.Sprintf(q, f, atStores))
				gateway := c.ask(ctx, c.ours, fmt.Sprintf(q, f, atGateway))
				judge := c.ask(ctx, c.judge, fmt.Sprintf(q, f, atStores))
				c.evaluations += 2 * len(judge.rows)
				stores.warnings, gateway.warnings, judge.warnings = nil, nil, nil
				c.compare("stores and gateway", f, stores, gateway, func(verdict) *rule { return nil })
				c.compare(q, f, gateway, judge, explainAggregate)
			}
		}
	}
	c.sum()
}

// aggregateRules explain differences of aggregates.
var aggregateRules = []rule{
	{"digits of variances", "MySQL writes a DOUBLE as it is, MariaDB with as many digits as an average has; what is beyond DOUBLE is NULL here", re(`STD|VAR`), values(func(a, b string) bool { return roundsTo(a, b) || a == "NULL" })},
	{"sums of more than 65 digits", "are out of range; MariaDB prints them", re(`c_dx`), failed(1690)},
	{"averages of quotients", "MySQL adds up all digits of a quotient; a temporary table rounds them", re(`/ 3`), nil},
	{"NULL in the order of GROUP_CONCAT", "stands first in MySQL, as everywhere; MariaDB takes it for zero or the empty text", re(`GROUP_CONCAT.*ORDER BY c`), nil},
	{"BIT", "is bytes in texts of MySQL; MariaDB takes 64 bits for a signed number", re(`c_b(8|64)\b`), nil},
	{"a tab and a space", "TiDB compares texts without spaces at their end, MySQL as if they went on forever", re(`(MIN|MAX)\(.*c_sn`), nil},
	{"bits", "MySQL rounds DOUBLE half to even and times half up to the integer, and clamps it to the signed range; MariaDB cuts", re(`BIT_`), nil},
	{"distinct times", "of seconds' fractions MariaDB adds up DOUBLEs", re(`DISTINCT c_(d6|ts|t6)`), nil},
	{"ENUM and SET", "add up as DOUBLE in MySQL, as integers in MariaDB", re(`c_(en|se)\b`), nil},
	{"JSON", "has an order of its own and numbers in strings; MariaDB's is text", re(`c_js`), nil},
	{"order of JSON", "is not supported in GROUP_CONCAT", re(`ORDER BY c_js`), failed(1235)},
	{"FLOAT", "is added up as MariaDB writes it by one, as it is by the other", re(`c_fl`), nil},
}

// roundsTo reports whether a is b with more digits.
func roundsTo(a, b string) bool {
	x, errX := strconv.ParseFloat(strings.Trim(a, `"`), 64)
	y, errY := strconv.ParseFloat(strings.Trim(b, `"`), 64)
	return errX == nil && errY == nil && math.Abs(x-y) <= max(0.00006, 1e-9*math.Abs(x))
}

func explainAggregate(v verdict) *rule {
	for i := range aggregateRules {
		if aggregateRules[i].explains(v) {
			return &aggregateRules[i]
		}
	}
	return nil
}
