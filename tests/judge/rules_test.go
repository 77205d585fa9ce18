package judge

import (
	"regexp"
	"slices"
	"strings"
)

// rule explains differences: what MySQL documents, or does in its newest source, and MariaDB does otherwise; or where we
// follow TiDB on purpose.
type rule struct {
	name string
	why  string
	expr *regexp.Regexp       // of the expression; nil is any
	when func(v verdict) bool // nil is any difference of values
}

func (r *rule) explains(v verdict) bool {
	when := r.when
	if when == nil {
		when = isValue
	}
	return when(v) && (r.expr == nil || r.expr.MatchString(v.expr))
}

// explain finds the first rule that explains a difference, nil if there is none.
func explain(v verdict) *rule {
	for i := range rules {
		if rules[i].explains(v) {
			return &rules[i]
		}
	}
	return nil
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

func isValue(v verdict) bool  { return v.kind == "value" }
func warned(v verdict) bool   { return v.kind == "warnings" }
func anything(v verdict) bool { return true }

// values is a predicate of what both say, as text in quotes or NULL.
func values(f func(ours, judge string) bool) func(verdict) bool {
	return func(v verdict) bool { return isValue(v) && f(v.ours, v.judge) }
}

func oursNull(ours, judge string) bool  { return ours == "NULL" }
func judgeNull(ours, judge string) bool { return judge == "NULL" }

// failed is where only we fail, judgeFailed where only the judge does.
// butFor is where both warn alike but for some codes.
func butFor(codes ...int) func(verdict) bool {
	return func(v verdict) bool {
		rest := func(list []int) []int {
			return slices.DeleteFunc(plainCodes(list), func(code int) bool { return slices.Contains(codes, code) })
		}
		return warned(v) && slices.Equal(rest(v.warnings[0]), rest(v.warnings[1]))
	}
}

// plainCodes are warnings without those that only MariaDB has, or TiDB for a changed sign (1105), by the code that MariaDB has for them, in order.
func plainCodes(codes []int) []int {
	var out []int
	for _, c := range codes {
		switch c {
		case 1105, 1259, 1300, 1583, 1916, 1958, 1977, 4038:
			continue
		case 3020:
			c = 1365
		case 1411:
			c = 1292
		}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

func failed(codes ...uint16) func(verdict) bool {
	return func(v verdict) bool { return v.kind == "error" && slices.Contains(codes, v.errs[0]) && v.errs[1] == 0 }
}

func judgeFailed(codes ...uint16) func(verdict) bool {
	return func(v verdict) bool { return v.kind == "error" && slices.Contains(codes, v.errs[1]) }
}

var (
	longFraction = re(`\.\d{31,}`)
	zeroSign     = re(`-(0*(\.0+)?|00:00:00(\.0+)?)("|$|[^\d.:])`)
	// calendar matches functions and columns of dates and times.
	calendar = `DATE|TIME|DAY|YEAR|MONTH|QUARTER|WEEK|HOUR|MINUTE|SECOND|EXTRACT|INTERVAL|_TZ|c_(da|dt|d6|ts|tm|t6)\b`
	// texts matches columns and literals of strings.
	texts  = `c_(s[1nd2]|gc|uc|ch|tx|vb|en|se)\b|'`
	hybrid = `c_(en|se|b8|b64|vb|yr)\b|0x|b'`
)

func unsignedZero(s string) string { return zeroSign.ReplaceAllString(s, "$1$4") }

// digits are a result without its fraction and quotes.
func withoutFraction(s string) string {
	whole, _, _ := strings.Cut(strings.Trim(s, `"`), ".")
	return whole
}

var rules = []rule{
	// Errors and warnings.
	{"codes of warnings", "MySQL has codes of its own (3020 for logarithms, 1292 for texts that MariaDB has 1411 for) and none for MariaDB's 1259, 1300, 1583, 1916, 1958, 1977 and 4038", nil,
		func(v verdict) bool {
			return warned(v) && slices.Equal(plainCodes(v.warnings[0]), plainCodes(v.warnings[1]))
		}},
	{"warnings of division by zero", "come in every SELECT, as in TiDB; MySQL and MariaDB ask sql_mode", re(`/|DIV|%|MOD|LN|LOG`), butFor(1365, 1292)},
	{"warnings about dates", "TiDB warns of dates without a day and of times beyond the bound, MariaDB of numbers compared with times and of what a conversion cuts off", re(calendar + `|c_yr`), butFor(1292, 1411, 1441)},
	{"warnings about numbers", "MySQL warns of a DOUBLE that an integer or DECIMAL cannot hold with 1292 or 1264, MariaDB with notes; of text in front of which there is a number both, but not in the same functions", nil, butFor(1292, 1264, 1690)},
	{"names of functions", "MariaDB 10.11 does not know them", re(`IS_UUID|ANY_VALUE`), judgeFailed(1305)},
	{"patterns that are none", "are an error of MySQL (ICU), a warning of MariaDB", re(`REGEXP|RLIKE`), failed(3685, 3688, 3691, 3692, 3696)},
	{"groups of patterns", "are $1 in ICU's replacements and \\\\1 in MariaDB's; no match gives NULL in MySQL, the empty text in MariaDB", re(`REGEXP_(REPLACE|SUBSTR)`), nil},
	{"periods", "MySQL 8: PERIOD_ADD and PERIOD_DIFF of what is no period is an error", re(`PERIOD_`), failed(1210)},
	{"results of more than 65 digits", "are out of range; MariaDB clamps or prints them", re(`c_d[lx0]|\d{18}|c_b64|c_ub|0xFF`), failed(1690)},
	{"results beyond the integers", "MySQL 8 fails where ROUND or TRUNCATE leave the range, and counts hexadecimal literals and BIT as unsigned", re(`(ROUND|TRUNCATE)\(|0x|b'|c_b|c_u[bs]`), failed(1690)},
	{"integers made of ENUM, SET, BIT", "in arithmetic MySQL takes the first two as DOUBLE, MariaDB as signed integers, which overflow", re(hybrid + `|` + calendar), judgeFailed(1690)},
	{"mixed collations", "MySQL and TiDB refuse to compare more of them, with 1267 for pairs; MariaDB has 1270 and resolves by a third", nil,
		func(v verdict) bool {
			return v.kind == "error" && (slices.Contains([]uint16{1267, 1271}, v.errs[0]) || slices.Contains([]uint16{1267, 1270, 1271, 1300, 1253}, v.errs[1]))
		}},
	{"memory", "a statement is bounded by its memory quota", re(`PAD\(|REPEAT\(|SPACE\(`), failed(8175)},

	// Forms of results.
	{"zero with a sign", "is less than zero in MariaDB where MOD of decimals made it", re(`%|MOD`), values(func(a, b string) bool { return len(a) == 3 && len(b) == 3 })},
	{"sign of zero", "MySQL keeps the sign of a floating zero and drops that of an exact one; MariaDB the other way round", nil, values(func(a, b string) bool { return unsignedZero(a) == unsignedZero(b) })},
	{"fraction of 30 digits", "is MySQL's longest; MariaDB's has 38", nil, values(func(a, b string) bool { return longFraction.MatchString(b) || strings.Contains(b, "0000000000000") })},
	{"longer results", "max_allowed_packet bounds them, which differs", re(`REPEAT|SPACE|PAD|REPLACE`), values(func(a, b string) bool { return strings.Contains(a, "... of") })},
	{"text of FLOAT", "has the digits that tell it from its neighbours, as in TiDB; MariaDB's has six", re(`c_fl|FLOAT|\d[eE]`), nil},
	{"fractions of seconds of text", "MySQL writes them in texts where they are not zero, in times six digits for every text; MariaDB by what it sees", re(calendar), values(func(a, b string) bool { return withoutFraction(a) == withoutFraction(b) && a != "NULL" })},
	{"JSON", "MariaDB's is text: numbers keep their spelling, dates and binary values are strings, scalars compare as texts, a missing path is false", re(`JSON_|c_js`), anything},
	{"text in latin1", "MariaDB's numbers and times are, and become garbage beside other text; we hold latin1 as UTF-8", re(`(INSERT|CONVERT|ORD|LENGTH|MAKE_SET)\(|USING latin1`), nil},
	{"bytes that are no text", "NULL in MySQL, question marks in MariaDB", re(`c_vb|c_b64|c_b8|0x|b'|USING|CHAR|UNHEX|BASE64|BINARY|INET6`), values(func(a, b string) bool { return a == "NULL" || strings.Contains(b, "?") })},
	{"CAST AS BINARY(n)", "counts bytes in MySQL, characters in MariaDB", re(`AS BINARY\(`), nil},
	{"coercibility", "MySQL: of a number 5", re(`COERCIBILITY`), nil},

	// Numbers.
	{"BIT and hexadecimal literals", "unsigned in MySQL, signed or text in MariaDB; they make an integer DOUBLE or BIT in other ways", re(`c_b64|c_b8|0x|b'`), nil},
	{"ENUM and SET as numbers", "DOUBLE in MySQL; integers in MariaDB", re(`c_(en|se)\b`), nil},
	{"halves and bounds", "MySQL rounds a DOUBLE to an integer half to even and clamps it to the signed range; MariaDB half away and to the unsigned one", re(`[|&^~]|<<|>>|BIT_COUNT|HEX|BIN|OCT|CONV|SIGNED|DIV|INTERVAL|(ROUND|TRUNCATE)\(`), nil},
	{"last digit of logarithms", "depends on the library", re(`REVERSE\(.*(LOG|LN|EXP|POW|SIN|COS|TAN)`), nil},
	{"bounds of floating numbers", "are written with all digits by MySQL where their fraction is fixed", re(`(CEIL|FLOOR|ROUND|TRUNCATE|FORMAT)\(`), values(func(a, b string) bool { return len(a) > 17 || len(b) > 17 })},
	{"exponents", "an integer in front of a text ends before its exponent and at the bound in MySQL", re(`c_sn|'[^']*e`), nil},
	{"sequences of RAND", "RAND(n) of a constant starts anew in every row; MySQL's goes on", re(`RAND\(`), nil},
	{"counts beyond 32 bits", "MySQL and TiDB differ in what they wrap", re(`SUBSTRING_INDEX`), nil},
	{"quotients", "MySQL computes on with all digits of a quotient, MariaDB rounds it in places", re(`/`), nil},
	{"GREATEST and LEAST of mixed types", "MySQL and TiDB compare text with numbers as text; MariaDB has other types", re(`GREATEST|LEAST`), nil},
	{"BETWEEN and IN of mixed types", "TiDB compares pair by pair, MySQL and MariaDB in one type for all", re(`BETWEEN|IN \(|INTERVAL\(|FIELD`), nil},

	// Text.
	{"NULL arguments", "make NULL in MySQL: REPLACE of what does not occur, the mode of WEEK, the length of SHA2", re(`REPLACE|WEEK\(|SHA2\(`), values(oursNull)},
	{"nothing to pad with", "gives the empty text in MySQL 8, NULL in MariaDB", re(`PAD\(`), nil},
	{"length of what is not compressed", "0 in MySQL, NULL in MariaDB", re(`UNCOMPRESSED_LENGTH`), nil},
	{"empty text beyond the end", "LOCATE finds it up to the end in MySQL", re(`LOCATE|POSITION`), nil},
	{"addresses", "MySQL: '.5' and '1.' are none", re(`INET`), values(oursNull)},
	{"characters below the space", "a text is equal to itself with spaces at the end, as in TiDB by cutting them; MySQL pads, and a NUL is less than a space", re(texts), values(func(a, b string) bool { return len(a) <= 4 && len(b) <= 4 && a != "NULL" && b != "NULL" })},

	// Dates and times.
	{"Unix time", "MySQL's reaches to 3001 and is 0 beyond; MariaDB's to 2038 and is NULL", re(`UNIX`), nil},
	{"seconds of TIME_TO_SEC", "whole in MySQL", re(`TIME_TO_SEC`), nil},
	{"hours of EXTRACT", "MySQL: all hours of a TIME; MariaDB: those beside whole days", re(`EXTRACT\((HOUR|DAY)`), nil},
	{"greatest TIME", "MySQL's is 838:59:59 and MariaDB's 838:59:59.999999; sums beyond are clamped by one, NULL by the other", nil, values(func(a, b string) bool { return strings.Contains(a+b, "8:59:5") || strings.Contains(a+b, "85958") })},
	{"YEAR among dates", "MySQL reads it as the number that it is, MariaDB as the zeroth day of the year", re(`c_yr`), anything},
	{"text that is no date", "has other valid prefixes: MySQL takes '10:11:12.1234567' for a date where one is wanted, '2020-02-30' for a time, compares an impossible date as zero, reads offsets of time zones", re(`(` + calendar + `).*(` + texts + `)|(` + texts + `).*(` + calendar + `)`), nil},
	{"numbers that are no date", "MySQL: a time beyond the bound is none; a decimal less than one is the zero date", re(calendar), values(func(a, b string) bool { return a == "NULL" || b == "NULL" })},
	{"times and numbers", "MySQL compares them as numbers, MariaDB as times; it also gives back a time that one rounds", re(calendar), values(func(a, b string) bool {
		return len(a) <= 4 && len(b) <= 4 || strings.ContainsAny(b, ":") || strings.Count(b, "-") > 1
	})},
	{"dates without a day", "MySQL keeps a zero date in a column whatever NO_ZERO_DATE says, and answers NULL to questions about it; MariaDB the other way round", re(calendar), values(func(a, b string) bool {
		return a == "NULL" || b == "NULL" || strings.Contains(a+b, "00-00") || strings.Contains(b, "613566757")
	})},
	{"fractions of seconds as integers", "MySQL rounds, MariaDB cuts", re(`c_d6|c_ts|c_t6|\.\d+'|` + calendar), nil},
}
