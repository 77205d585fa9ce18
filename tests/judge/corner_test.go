package judge

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
)

// column is a column of the table of corner values: its definition and the literals that its rows take, NULL beside them.
type column struct {
	name, class, definition string
	values                  []string
}

// Classes of expressions; a template's placeholder names one in braces.
//
//	i integers  u unsigned  n small integers  r floating point  d decimals  y YEAR  b BIT
//	s texts  x binary strings  D DATE  t DATETIME and TIMESTAMP  h TIME  e ENUM  z SET  j JSON
//	N any number  T any time  S any string  A anything but JSON  a anything
var classGroups = map[string]string{
	"N": "iuurddyb", "T": "Dtth", "S": "ssssxez", "A": "iurdsssxDthyezb", "a": "iurdsssxDthyezbj",
}

const (
	binText     = "VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	generalText = "VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
	unicodeText = "VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
)

var columns = []column{
	{"c_ti", "i", "TINYINT", list("0 1 -1 127 -128 5 10 12 77")},
	{"c_in", "i", "INT", list("0 1 -1 2147483647 -2147483648 20200229 101112 235959 19991231 3 60 100 2020 70")},
	{"c_bi", "i", "BIGINT", list("0 1 -1 9223372036854775807 -9223372036854775808 20200131235959 10000000000 999999999999 7 86400 1600000000")},
	{"c_ub", "u", "BIGINT UNSIGNED", list("0 1 18446744073709551615 9223372036854775808 9223372036854775807 2 255 20210630")},
	{"c_us", "u", "SMALLINT UNSIGNED", list("0 1 65535 13 366 2000")},
	{"c_n1", "n", "INT", list("0 1 2 3 4 5 7 -1 -2 10")},
	{"c_n2", "n", "INT", list("0 1 2 3 6 8 -1 -3 20")},
	{"c_db", "r", "DOUBLE", list("0 1 -1 0.5 -0.5 1.5 2.5 1e15 -1e15 1e16 123456789.123456 1e-7 1.7976931348623157e308 -1.7976931348623157e308 2.2250738585072014e-308 1e20 9.223372036854776e18 100 3.14159265358979")},
	{"c_fl", "r", "FLOAT", list("0 1 -1.5 0.1 3.4e38 1e-30 1677720 12.345")},
	{"c_d2", "d", "DECIMAL(10,2)", list("0 1.00 -1.00 0.01 -0.01 99999999.99 -99999999.99 12.50 2.50 -2.50 1.15 100.10")},
	{"c_d0", "d", "DECIMAL(20,0)", list("0 1 -1 99999999999999999999 -99999999999999999999 9223372036854775808 20200229")},
	{"c_dl", "d", "DECIMAL(40,20)", list("0 0.5 -0.5 1.00000000000000000001 12345678901234567890.12345678901234567890 -99999999999999999999.99999999999999999999 3.3333333333 0.00000000000000000001")},
	{"c_dx", "d", "DECIMAL(65,30)", list("0 1 99999999999999999999999999999999999.999999999999999999999999999999 -0.000000000000000000000000000001 1234567.891")},
	{"c_yr", "y", "YEAR", list("1901 1970 2000 2024 2155 0 1999")},
	{"c_b8", "b", "BIT(8)", list("b'0' b'1' b'11111111' b'1000001' b'110000'")},
	{"c_b64", "b", "BIT(64)", []string{"b'0'", "b'1'", "0xFFFFFFFFFFFFFFFF", "0x8000000000000000", "b'1010'"}},
	{"c_s1", "s", binText, words},
	{"c_s2", "s", binText, words},
	{"c_sn", "s", binText, quoted("0", "1", "-1", "12", " 7", "3.9", "-2.5", "1e3", "abc", "12abc", "", " ", "9223372036854775808", "18446744073709551616", "-9223372036854775809", "0x1F", "1.5e400", "+5", ".5", "5.", "--1", "99999999999999999999.5", "1e-400", "\\t8", "2,5")},
	{"c_sd", "s", binText, quoted("2020-02-29", "2021-02-29", "2020-02-29 23:59:59", "2020-02-29 23:59:59.999999", "0000-00-00", "0000-00-00 00:00:00", "1999-12-31", "20200102", "200102", "20200102030405", "2020-13-01", "2020-00-01", "2020-01-00", "2020/1/2", "2020.1.2 3:4:5", "12:34:56", "-838:59:59", "900:00:00", "1 2:3:4", "10:11:12.1234567", "not a date", "", "2020-01-01T10:20:30", "9999-12-31 23:59:59.9999999", "70-1-1", "69-1-1", "1:1:1", "2020-1-1 25:00:00", "-1:00:00", "2020-06-15 12:00:00+05:00", "10")},
	{"c_gc", "s", generalText, words},
	{"c_uc", "s", unicodeText, words},
	{"c_ch", "s", "CHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", words[:12]},
	{"c_tx", "s", "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", words},
	{"c_vb", "x", "VARBINARY(40)", []string{"''", "'a'", "'A'", "'abc'", "'abc '", "0x00", "0xFF", "0xC3A9", "'12'", "'2020-01-01'", "0xE4B8ADE69687"}},
	{"c_da", "D", "DATE", quoted("0000-00-00", "1000-01-01", "1970-01-01", "2000-02-29", "2020-12-31", "2021-01-01", "9999-12-31", "2024-02-29", "2016-01-03")},
	{"c_dt", "t", "DATETIME", quoted("0000-00-00 00:00:00", "1000-01-01 00:00:00", "1970-01-01 00:00:01", "2000-02-29 12:30:45", "2020-12-31 23:59:59", "9999-12-31 23:59:59", "2021-03-28 02:30:00", "2038-01-19 03:14:07")},
	{"c_d6", "t", "DATETIME(6)", quoted("1999-12-31 23:59:59.999999", "2020-02-29 00:00:00.000001", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.5", "2010-10-10 10:10:10.101010")},
	{"c_ts", "t", "TIMESTAMP(3) NULL", quoted("1970-01-02 00:00:01.000", "2020-07-01 12:00:00.500", "2037-12-31 23:59:59.999", "2001-09-09 01:46:40")},
	{"c_tm", "h", "TIME", quoted("00:00:00", "23:59:59", "838:59:59", "-838:59:59", "-00:00:01", "12:30:00", "100:00:01", "24:00:00")},
	{"c_t6", "h", "TIME(6)", quoted("00:00:00.000001", "-00:00:00.5", "23:59:59.999999", "838:59:58.999999", "01:02:03.040506")},
	{"c_en", "e", "ENUM('a','b','','12','Abc') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", quoted("a", "b", "", "12", "Abc")},
	{"c_se", "z", "SET('a','b','c','12') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", quoted("", "a", "b", "a,b", "a,b,c,12", "12")},
	{"c_js", "j", "JSON", quoted("null", "1", "-1.5", "true", "\"abc\"", "[]", "{}", "[1, 2, [3, \"x\"]]", "{\"a\": 1, \"b\": [1, 2, {\"c\": null}]}", "\"2020-01-01\"", "[\"a\", \"b\"]", "{\"a\": {\"b\": {\"c\": 3}}, \"k\": \"v\"}", "[1, 1.5, \"1\", null, true]", "\"\"", "18446744073709551615")},
}

var words = quoted("", "a", "A", "b", "abc", "ABC", "abc ", " abc", "a,b,c", "hello world", "%", "12", "a_c", "ÀÉÎ", "àéî", "ß", "ss", "中文字", "é", "日本\\n語", "😀", "a\\0b", "foo.bar.baz", "O'Reilly", "1.5", "x\\\\y", "ABCabc", "  ", "ñandú", "[a-c]+", "^a.*c$", "2020-02-30")

func list(s string) []string { return strings.Fields(s) }

func quoted(list ...string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return out
}

// cornerRows is the number of rows of the table.
const cornerRows = 48

// corners is the table's cells, by column and row.
type corners [][]string

// newCorners puts the values of each column in an order drawn from r, so that those of different columns meet.
func newCorners(r *rand.Rand) corners {
	cells := make(corners, len(columns))
	for i, c := range columns {
		cells[i] = shuffled(r, c.values)
	}
	return cells
}

// shuffled fills a column: each value comes about equally often, NULL in one row of twelve.
func shuffled(r *rand.Rand, values []string) []string {
	out := make([]string, cornerRows)
	for i := range out {
		out[i] = values[i%len(values)]
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	for range cornerRows / 12 {
		out[r.IntN(cornerRows)] = "NULL"
	}
	return out
}

// statements make the table.
func (c corners) statements() []string {
	defs := make([]string, len(columns))
	for i, col := range columns {
		defs[i] = col.name + " " + col.definition
	}
	out := []string{"CREATE TABLE corner (id INT PRIMARY KEY, " + strings.Join(defs, ", ") + ")"}
	for row := range cornerRows {
		values := make([]string, len(columns))
		for i := range columns {
			values[i] = c[i][row]
		}
		out = append(out, fmt.Sprintf("INSERT INTO corner VALUES (%d, %s)", row, strings.Join(values, ", ")))
	}
	return out
}

// literalOf puts literals of a row's values in the place of an expression's columns.
func (c corners) literalOf(e string, row int) string {
	return columnName.ReplaceAllStringFunc(e, func(name string) string {
		for i, col := range columns {
			if col.name == name {
				return literal(col.class, c[i][row])
			}
		}
		return name
	})
}

var columnName = regexp.MustCompile(`c_[a-z0-9]+`)

// literal writes a value of a class so that it stays of that class.
func literal(class, v string) string {
	if v == "NULL" {
		return v
	}
	switch class {
	case "D", "t", "h":
		if !strings.HasPrefix(v, "'0000") {
			return map[string]string{"D": "DATE", "t": "TIMESTAMP", "h": "TIME"}[class] + v
		}
	case "j":
		return "JSON_EXTRACT(" + v + ", '$')"
	}
	return v
}
