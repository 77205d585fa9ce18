package judge

import (
	"math/rand/v2"
	"strings"
)

// template is an expression of one function or operator: its arguments are classes in braces, result the class it gives.
type template struct{ result, text string }

// family writes templates of one result class compactly, separated by ';'.
func family(result, texts string) []template {
	var out []template
	for _, t := range strings.Split(texts, ";") {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, template{result, t})
		}
	}
	return out
}

var templates = concat(
	arithmeticTemplates(), comparisonTemplates(), controlTemplates(), castTemplates(), stringTemplates(), mathTemplates(), timeTemplates(),
	jsonTemplates(), otherTemplates())

func concat(lists ...[]template) []template {
	var out []template
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

func arithmeticTemplates() []template {
	out := family("i", `{i} + {i}; {i} - {i}; {i} * {i}; {i} DIV {i}; {i} % {i}; {i} DIV {n}; {N} DIV {N}; -{i}; {n} + {n}; {n} * {n}; {i} + {n}; {i} - {n}`)
	out = append(out, family("u", `{u} + {i}; {u} - {n}; {u} * {n}; {u} DIV {i}; {u} % {i}; {i} % {u}; {A} & {A}; {A} | {A}; {A} ^ {A}; ~{A}; {A} << {n}; {A} >> {n}; {i} & {i}; {u} | {i}`)...)
	out = append(out, family("d", `{d} + {d}; {d} - {d}; {d} * {d}; {d} / {d}; {d} DIV {d}; {d} % {d}; {i} / {i}; {d} + {i}; {d} * {i}; {d} / {i}; {i} / {d}; -{d}; {d} % {i}; {i} % {d}; {u} / {n}; {n} / {n}`)...)
	return append(out, family("r", `{r} + {r}; {r} - {r}; {r} * {r}; {r} / {r}; {r} % {r}; {A} + {A}; {A} - {A}; {A} * {A}; {A} / {A}; {A} % {A}; -{A}; {s} + {i}; {T} + {n}; {T} * {n}; +{A}`)...)
}

func comparisonTemplates() []template {
	var texts []string
	for _, op := range []string{"=", "<=>", "<>", "<", "<=", ">", ">="} {
		for _, pair := range []string{"{A} %s {A}", "{s} %s {s}", "{N} %s {N}", "{i} %s {d}", "{u} %s {i}", "{t} %s {s}", "{D} %s {s}", "{h} %s {s}", "{T} %s {T}", "{i} %s {s}", "{d} %s {s}", "{T} %s {N}"} {
			texts = append(texts, strings.Replace(pair, "%s", op, 1))
		}
	}
	texts = append(texts, `{A} IN ({A}, {A}); {N} IN ({N}, {N}, {N}); {s} IN ({s}, {s}, {s}); {T} IN ({T}, {s}); {A} NOT IN ({A}, {A}); {N} BETWEEN {N} AND {N}; {s} BETWEEN {s} AND {s}; {T} BETWEEN {T} AND {T}; {A} NOT BETWEEN {A} AND {A};
		{a} IS NULL; {a} IS NOT NULL; {A} IS TRUE; {A} IS FALSE; {A} IS NOT TRUE; {A} IS UNKNOWN; NOT {A}; {A} AND {A}; {A} OR {A}; {A} XOR {A}; !{A};
		{s} LIKE {s}; {s} NOT LIKE {s}; {S} LIKE '%a%'; {S} LIKE 'a_c'; {s} LIKE '_'; {s} LIKE '%C'; {s} LIKE 'a|%' ESCAPE '|'; {s} REGEXP '^[a-c]+'; {s} RLIKE 'a.c$'; {s} REGEXP {s}; {s} NOT REGEXP 'B';
		STRCMP({s}, {s}); INTERVAL({N}, {N}, {N}); INTERVAL({n}, 1, 3, 5, 8); ISNULL({A}); ({A}, {n}) = ({A}, {n}); ({n}, {n}) < ({n}, {n})`)
	return family("i", strings.Join(texts, ";"))
}

func controlTemplates() []template {
	out := family("s", `IF({i}, {s}, {s}); IFNULL({s}, {A}); COALESCE({s}, {A}, {s}); CASE {A} WHEN {A} THEN {s} ELSE {s} END; CASE WHEN {A} THEN {A} WHEN {A} THEN {A} END; NULLIF({s}, {s}); GREATEST({s}, {s}); LEAST({s}, {s}, {s}); ELT({n}, {s}, {s}, {A})`)
	out = append(out, family("r", `IF({A}, {A}, {A}); IFNULL({A}, {A}); COALESCE({A}, {A}, {A}); NULLIF({A}, {A}); CASE WHEN {i} THEN {N} ELSE {N} END; GREATEST({N}, {N}); LEAST({N}, {N}, {N})`)...)
	out = append(out, family("i", `IF({A}, {i}, {i}); COALESCE({i}, {n}); GREATEST({i}, {i}, {i}); LEAST({i}, {u}); NULLIF({i}, {i}); NULLIF({n}, {n}); CASE {n} WHEN 1 THEN {i} WHEN 2 THEN {n} END`)...)
	out = append(out, family("t", `IF({n}, {T}, {T}); IFNULL({T}, {T}); COALESCE({T}, {T}); GREATEST({t}, {t}); LEAST({D}, {D}); GREATEST({h}, {h}); GREATEST({T}, {T}); LEAST({T}, {s}); CASE WHEN {i} THEN {D} ELSE {t} END`)...)
	return append(out, family("d", `IF({n}, {d}, {d}); IFNULL({d}, {i}); COALESCE({d}, {d}); CASE WHEN {n} THEN {d} ELSE {i} END; GREATEST({d}, {i}); LEAST({d}, {d})`)...)
}

func castTemplates() []template {
	out := family("i", `CAST({A} AS SIGNED); CAST({s} AS SIGNED); CAST({r} AS SIGNED); CAST({d} AS SIGNED); CAST({T} AS SIGNED); CAST({x} AS SIGNED)`)
	out = append(out, family("u", `CAST({A} AS UNSIGNED); CAST({s} AS UNSIGNED); CAST({r} AS UNSIGNED); CAST({d} AS UNSIGNED); CAST({i} AS UNSIGNED)`)...)
	out = append(out, family("d", `CAST({A} AS DECIMAL(10,2)); CAST({A} AS DECIMAL(30,10)); CAST({s} AS DECIMAL(20,5)); CAST({r} AS DECIMAL(20,5)); CAST({d} AS DECIMAL(10,3)); CAST({A} AS DECIMAL); CAST({T} AS DECIMAL(30,6)); CAST({A} AS DECIMAL(65,0))`)...)
	out = append(out, family("r", `CAST({A} AS DOUBLE); CAST({s} AS DOUBLE); CAST({A} AS FLOAT)`)...)
	out = append(out, family("s", `CAST({A} AS CHAR); CAST({A} AS CHAR(3)); CAST({r} AS CHAR); CAST({d} AS CHAR); CAST({T} AS CHAR); CONVERT({S} USING utf8mb4); CONVERT({s} USING latin1); CONVERT({s}, CHAR(2))`)...)
	out = append(out, family("x", `CAST({A} AS BINARY); CAST({s} AS BINARY(4)); BINARY {s}`)...)
	out = append(out, family("D", `CAST({A} AS DATE); CAST({s} AS DATE); CAST({T} AS DATE); CAST({i} AS DATE)`)...)
	out = append(out, family("t", `CAST({A} AS DATETIME); CAST({A} AS DATETIME(6)); CAST({s} AS DATETIME(3)); CAST({T} AS DATETIME); CAST({N} AS DATETIME(6))`)...)
	return append(out, family("h", `CAST({A} AS TIME); CAST({A} AS TIME(6)); CAST({s} AS TIME); CAST({s} AS TIME(3)); CAST({T} AS TIME(1)); CAST({N} AS TIME(6)); CAST({T} AS TIME)`)...)
}

func stringTemplates() []template {
	out := family("s", `CONCAT({s}, {s}); CONCAT({A}, {A}); CONCAT({s}, {A}, {N}); CONCAT_WS({s}, {s}, {A}); CONCAT_WS(',', {A}, {A}, {A}); LOWER({s}); UPPER({s}); LCASE({S}); UCASE({S}); REVERSE({s}); REVERSE({A});
		LEFT({s}, {n}); RIGHT({s}, {n}); LEFT({A}, {n}); RIGHT({S}, {i}); LPAD({s}, {n}, {s}); RPAD({s}, {n}, {s}); LPAD({A}, 10, '*'); LTRIM({s}); RTRIM({s}); TRIM({s}); TRIM(LEADING 'a' FROM {s}); TRIM(TRAILING {s} FROM {s}); TRIM(BOTH 'ab' FROM {s}); TRIM({A});
		REPEAT({s}, {n}); REPLACE({s}, {s}, {s}); REPLACE({s}, 'a', 'xyz'); SPACE({n}); QUOTE({s}); QUOTE({A}); SUBSTRING_INDEX({s}, {s}, {n}); SUBSTRING_INDEX('www.mysql.com', '.', {n}); SUBSTRING_INDEX({s}, 'a', {i}); SUBSTRING({s}, {n}); SUBSTRING({s}, {n}, {n}); SUBSTRING({s} FROM {n} FOR {n}); MID({A}, {n}, {n}); SUBSTR({x}, {n}, {n}); SUBSTRING({s}, {i}, {i});
		INSERT({s}, {n}, {n}, {s}); INSERT({A}, {n}, {n}, {s}); MAKE_SET({i}, {s}, {s}, {s}); MAKE_SET({n}, 'a', {A}, 'c'); HEX({A}); HEX({s}); HEX({i}); HEX({x}); OCT({A}); OCT({i}); BIN({A}); BIN({i}); TO_BASE64({s}); TO_BASE64({x}); FORMAT({N}, {n}); FORMAT({d}, {n}); FORMAT({A}, 2); MD5({s}); MD5({A}); SHA1({s}); SHA({A}); SHA2({s}, 256); SHA2({s}, {n}); SHA2({s}, 512);
		REGEXP_SUBSTR({s}, '[a-c]+'); REGEXP_REPLACE({s}, 'b', 'X'); REGEXP_REPLACE({s}, '([a-z])', '<\\1>'); EXPORT_SET({n}, 'Y', 'N', ',', 5); CONV({i}, 10, {n}); CONV({s}, 16, 10); CONV({A}, {n}, {n}); CONV({s}, {n}, 36); CONV('zz', 36, {n}); CONV({i}, 10, -16); LOWER({x}); UPPER({x}); CHAR({i}); CHAR({n}, {i}); CHAR(65, {n} USING utf8mb4);
		{s} COLLATE utf8mb4_general_ci`)
	out = append(out, family("x", `UNHEX({s}); UNHEX(HEX({s})); UNHEX({A}); FROM_BASE64({s}); FROM_BASE64(TO_BASE64({s})); UNCOMPRESS(COMPRESS({s})); INET6_ATON({s}); CONCAT({x}, {s}); LEFT({x}, {n}); REVERSE({x}); LPAD({x}, 5, {x}); FROM_BASE64('YWJj')`)...)
	return append(out, family("i", `ASCII({A}); ASCII({s}); ORD({s}); ORD({x}); BIT_LENGTH({S}); LENGTH({A}); LENGTH({s}); CHAR_LENGTH({s}); CHAR_LENGTH({A}); CHAR_LENGTH({x}); OCTET_LENGTH({S}); LOCATE({s}, {s}); LOCATE({s}, {s}, {n}); LOCATE('a', {S}, {n}); POSITION({s} IN {s}); INSTR({s}, {s}); INSTR({A}, {A}); FIND_IN_SET({s}, {s}); FIND_IN_SET('a', {z}); FIND_IN_SET({s}, 'a,b,abc,ABC'); FIELD({s}, {s}, {s}); FIELD({N}, {N}, {N}); FIELD({A}, {A}, {A}); FIELD({i}, {n}, {n}); REGEXP_INSTR({s}, 'b'); UNCOMPRESSED_LENGTH(COMPRESS({s})); UNCOMPRESSED_LENGTH({x})`)...)
}

func mathTemplates() []template {
	out := family("r", `SQRT({A}); SQRT({N}); EXP({N}); LN({N}); LOG({N}); LOG({N}, {N}); LOG2({N}); LOG10({N}); POW({N}, {n}); POW({N}, {N}); SIN({N}); COS({N}); TAN({N}); COT({N}); ASIN({N}); ACOS({N}); ATAN({N}); ATAN({N}, {N}); ATAN2({N}, {N}); DEGREES({N}); RADIANS({N}); PI(); RAND({n}); ABS({r}); CEIL({r}); FLOOR({r}); ROUND({r}); ROUND({r}, 2); TRUNCATE({r}, 1); ROUND({r}, -1); ROUND({r}, {n}); TRUNCATE({r}, {n}); ABS({A}); CEIL({A}); FLOOR({A}); ROUND({A}); ROUND({A}, {n}); TRUNCATE({A}, {n}); MOD({A}, {A})`)
	out = append(out, family("i", `SIGN({A}); SIGN({N}); CRC32({A}); CRC32({s}); BIT_COUNT({A}); BIT_COUNT({i}); ABS({i}); CEIL({i}); FLOOR({d}); CEIL({d}); ROUND({i}); ROUND({i}, {n}); TRUNCATE({i}, {n}); ROUND({i}, -1); MOD({i}, {n}); ROUND({u}, {n}); TRUNCATE({u}, {n}); ABS({u})`)...)
	return append(out, family("d", `ABS({d}); ROUND({d}); ROUND({d}, {n}); ROUND({d}, 1); ROUND({d}, 2); ROUND({d}, -1); TRUNCATE({d}, {n}); TRUNCATE({d}, 1); TRUNCATE({d}, -2); MOD({d}, {d})`)...)
}

func timeTemplates() []template {
	out := family("i", `YEAR({A}); MONTH({T}); MONTH({A}); DAY({T}); DAYOFMONTH({A}); DAYOFWEEK({T}); DAYOFWEEK({A}); DAYOFYEAR({T}); WEEKDAY({T}); WEEKDAY({s}); WEEKOFYEAR({T}); WEEK({T}); WEEK({T}, {n}); WEEK({s}, 3); YEARWEEK({T}); YEARWEEK({T}, {n}); QUARTER({A}); QUARTER({T}); TO_DAYS({T}); TO_DAYS({A}); TO_SECONDS({T}); TO_SECONDS({A}); HOUR({A}); HOUR({T}); MINUTE({A}); MINUTE({h}); SECOND({A}); SECOND({T}); MICROSECOND({T}); MICROSECOND({A}); DATEDIFF({T}, {T}); DATEDIFF({A}, {A}); TIME_TO_SEC({h}); TIME_TO_SEC({A}); PERIOD_ADD({i}, {n}); PERIOD_ADD(202001, {n}); PERIOD_DIFF({i}, {i}); PERIOD_DIFF(202012, 201911); UNIX_TIMESTAMP({t}); UNIX_TIMESTAMP({A}); UNIX_TIMESTAMP({D});
		YEAR({T}); YEAR({s}); HOUR({s}); EXTRACT(YEAR FROM {T}); EXTRACT(MONTH FROM {s}); EXTRACT(DAY FROM {T}); EXTRACT(HOUR FROM {h}); EXTRACT(MINUTE FROM {T}); EXTRACT(SECOND FROM {t}); EXTRACT(MICROSECOND FROM {t}); EXTRACT(QUARTER FROM {t}); EXTRACT(WEEK FROM {t}); EXTRACT(YEAR_MONTH FROM {t}); EXTRACT(DAY_HOUR FROM {t}); EXTRACT(DAY_MINUTE FROM {t}); EXTRACT(DAY_SECOND FROM {h}); EXTRACT(HOUR_MINUTE FROM {h}); EXTRACT(HOUR_SECOND FROM {T}); EXTRACT(MINUTE_SECOND FROM {t}); EXTRACT(DAY_MICROSECOND FROM {t}); EXTRACT(HOUR_MICROSECOND FROM {h}); EXTRACT(MINUTE_MICROSECOND FROM {t}); EXTRACT(SECOND_MICROSECOND FROM {h}); EXTRACT(DAY FROM {s}); EXTRACT(DAY_SECOND FROM {t}); EXTRACT(DAY_HOUR FROM {s});
		TIMESTAMPDIFF(MICROSECOND, {t}, {t}); TIMESTAMPDIFF(SECOND, {t}, {t}); TIMESTAMPDIFF(MINUTE, {T}, {T}); TIMESTAMPDIFF(HOUR, {t}, {D}); TIMESTAMPDIFF(DAY, {t}, {t}); TIMESTAMPDIFF(WEEK, {D}, {t}); TIMESTAMPDIFF(MONTH, {t}, {t}); TIMESTAMPDIFF(QUARTER, {t}, {t}); TIMESTAMPDIFF(YEAR, {t}, {t}); TIMESTAMPDIFF(DAY, {A}, {A})`)
	out = append(out, family("D", `DATE({A}); DATE({T}); DATE({s}); LAST_DAY({T}); LAST_DAY({A}); FROM_DAYS({i}); FROM_DAYS(730000 + {n}); FROM_DAYS({A}); MAKEDATE({i}, {i}); MAKEDATE({y}, {n}); MAKEDATE({n}, 60); STR_TO_DATE({s}, '%Y-%m-%d'); STR_TO_DATE({D}, '%Y-%m-%d'); {D} + INTERVAL c_n1 DAY; {D} - INTERVAL c_n1 MONTH; DATE_ADD({D}, INTERVAL {n} YEAR); DATE_ADD({D}, INTERVAL {i} DAY); DATE_SUB({D}, INTERVAL {n} QUARTER); DATE_ADD({D}, INTERVAL {n} WEEK); DATE_ADD({D}, INTERVAL '1-2' YEAR_MONTH)`)...)
	out = append(out, family("t", `TIMESTAMP({A}); TIMESTAMP({T}); TIMESTAMP({s}); TIMESTAMP({t}, {h}); TIMESTAMP({s}, {s}); TIMESTAMP({D}, {h}); FROM_UNIXTIME({i}); FROM_UNIXTIME({d}); FROM_UNIXTIME({r}); FROM_UNIXTIME({A}); STR_TO_DATE({s}, '%Y-%m-%d %H:%i:%s'); STR_TO_DATE({t}, '%Y-%m-%d %T'); STR_TO_DATE({t}, '%Y-%m-%d %H:%i:%s.%f'); CONVERT_TZ({t}, '+00:00', '+05:30'); CONVERT_TZ({A}, '+00:00', '-03:00'); CONVERT_TZ({t}, {s}, '+01:00');
		{t} + INTERVAL c_n1 DAY; {t} - INTERVAL c_n1 SECOND; DATE_ADD({t}, INTERVAL {n} MICROSECOND); DATE_ADD({t}, INTERVAL {n} HOUR); DATE_SUB({t}, INTERVAL {n} MINUTE); DATE_ADD({D}, INTERVAL {n} HOUR); DATE_ADD({t}, INTERVAL {n} MONTH); DATE_ADD({t}, INTERVAL {d} SECOND); DATE_ADD({t}, INTERVAL {r} SECOND); DATE_ADD({t}, INTERVAL {s} DAY_SECOND); DATE_ADD({t}, INTERVAL '1 2:3:4.5' DAY_MICROSECOND); DATE_ADD({t}, INTERVAL '-1:30' HOUR_MINUTE); DATE_SUB({t}, INTERVAL '1.5' SECOND_MICROSECOND); DATE_ADD({t}, INTERVAL {A} DAY); DATE_ADD({t}, INTERVAL '10:20' MINUTE_SECOND); DATE_ADD({t}, INTERVAL '3 4' DAY_HOUR); DATE_SUB({t}, INTERVAL {s} HOUR); TIMESTAMPADD(MINUTE, {n}, {t}); TIMESTAMPADD(WEEK, {n}, {D}); TIMESTAMPADD(MONTH, {i}, {t}); ADDDATE({t}, {n}); SUBDATE({D}, {n}); ADDDATE({D}, INTERVAL c_n2 DAY)`)...)
	out = append(out, family("h", `TIME({A}); TIME({t}); TIME({s}); TIME({h}); SEC_TO_TIME({i}); SEC_TO_TIME({n}); SEC_TO_TIME({d}); SEC_TO_TIME({r}); SEC_TO_TIME({A}); MAKETIME({n}, {n}, {n}); MAKETIME({i}, {n}, {d}); MAKETIME({n}, {i}, {r}); TIMEDIFF({h}, {h}); TIMEDIFF({t}, {t}); TIMEDIFF({s}, {s}); TIMEDIFF({A}, {A}); ADDTIME({h}, {h}); ADDTIME({t}, {h}); ADDTIME({s}, {s}); SUBTIME({h}, {h}); SUBTIME({t}, {h}); SUBTIME({s}, {s}); ADDTIME({A}, {A}); SUBTIME({A}, {A}); STR_TO_DATE({s}, '%H:%i:%s'); {h} + INTERVAL c_n1 SECOND; {h} - INTERVAL c_n1 MINUTE; DATE_ADD({h}, INTERVAL {n} HOUR); DATE_ADD({h}, INTERVAL {d} SECOND)`)...)
	return append(out, family("s", `DATE_FORMAT({T}, '%a %b %c %D %d %e %f %H %h %I %i %j %k'); DATE_FORMAT({t}, '%l %M %m %p %r %S %s %T %U %u %V %v %W %w %X %x %Y %y %%'); DATE_FORMAT({A}, '%Y-%m-%d'); DATE_FORMAT({s}, '%Y %j'); TIME_FORMAT({h}, '%H %k %h %I %l %i %r %T %S %s %p %f'); TIME_FORMAT({A}, '%T'); TIME_FORMAT({t}, '%H:%i'); DATE_FORMAT({t}, {s}); MONTHNAME({T}); MONTHNAME({A}); DAYNAME({T}); DAYNAME({s}); FROM_UNIXTIME({i}, '%Y-%m-%d %T'); FROM_UNIXTIME({n}, '%j'); DATE_ADD({s}, INTERVAL {n} DAY); DATE_ADD({s}, INTERVAL {n} SECOND); DATE_SUB({s}, INTERVAL {n} MONTH); DATE_ADD({A}, INTERVAL {n} DAY); GET_FORMAT(DATE, 'ISO'); DATE_ADD({s}, INTERVAL 1 MICROSECOND)`)...)
}

func jsonTemplates() []template {
	out := family("j", `JSON_EXTRACT({j}, '$.a'); JSON_EXTRACT({j}, '$[0]', '$[1]'); JSON_EXTRACT({j}, '$.*'); JSON_EXTRACT({j}, '$.b[2].c'); JSON_SET({j}, '$.a', {N}); JSON_SET({j}, '$[1]', {s}); JSON_INSERT({j}, '$.z', {s}); JSON_REPLACE({j}, '$.a', {n}); JSON_ARRAY_APPEND({j}, '$', {n}); JSON_REMOVE({j}, '$.a'); JSON_REMOVE({j}, '$[0]'); JSON_MERGE_PRESERVE({j}, {j}); JSON_MERGE_PATCH({j}, {j}); JSON_KEYS({j}); JSON_KEYS({j}, '$.a'); JSON_ARRAY({n}, {s}); JSON_ARRAY({A}, {A}); JSON_OBJECT('k', {A}); JSON_OBJECT('a', {n}, 'b', {s}); JSON_ARRAY_INSERT({j}, '$[0]', {n}); JSON_SEARCH({j}, 'one', 'a'); JSON_SEARCH({j}, 'all', '%')`)
	out = append(out, family("s", `JSON_UNQUOTE({j}); JSON_UNQUOTE({s}); JSON_TYPE({j}); JSON_QUOTE({s}); JSON_UNQUOTE(JSON_EXTRACT({j}, '$.a')); CAST({j} AS CHAR); JSON_PRETTY({j})`)...)
	return append(out, family("i", `JSON_VALID({a}); JSON_VALID({s}); JSON_DEPTH({j}); JSON_LENGTH({j}); JSON_LENGTH({j}, '$.b'); JSON_CONTAINS({j}, {j}); JSON_CONTAINS({j}, '1'); JSON_CONTAINS({j}, '1', '$.a'); JSON_CONTAINS_PATH({j}, 'one', '$.a', '$.b'); JSON_CONTAINS_PATH({j}, 'all', '$.a', '$.b'); {j} IS NULL`)...)
}

func otherTemplates() []template {
	out := family("i", `INET_ATON({s}); INET_ATON('10.0.5.9'); IS_IPV4({s}); IS_IPV6({s}); IS_IPV4('1.2.3.4'); IS_IPV4_COMPAT(INET6_ATON({s})); IS_IPV4_MAPPED(INET6_ATON('::ffff:1.2.3.4')); COERCIBILITY({s}); COERCIBILITY({A})`)
	return append(out, family("s", `INET_NTOA({i}); INET_NTOA({u}); INET6_NTOA({x}); INET6_NTOA(INET6_ATON('fe80::1')); CHARSET({A}); COLLATION({s}); NAME_CONST('x', 5); IS_UUID({s})`)...)
}

// generator draws expressions over the corner table's columns.
type generator struct {
	r       *rand.Rand
	byClass map[string][]string
	makers  map[string][]template
}

func newGenerator(r *rand.Rand) *generator {
	g := &generator{r: r, byClass: map[string][]string{}, makers: map[string][]template{}}
	for _, c := range columns {
		g.byClass[c.class] = append(g.byClass[c.class], c.name)
	}
	for _, t := range templates {
		g.makers[t.result] = append(g.makers[t.result], t)
	}
	return g
}

// expression fills in a template. Some arguments are of another class than the template says, some are calls, some
// literals.
func (g *generator) expression(t template, depth int) string {
	var b strings.Builder
	rest := t.text
	for {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			return b.String() + rest
		}
		shut := open + strings.IndexByte(rest[open:], '}')
		b.WriteString(rest[:open])
		b.WriteString(g.argument(rest[open+1:shut], depth))
		rest = rest[shut+1:]
	}
}

func (g *generator) argument(class string, depth int) string {
	if group, ok := classGroups[class]; ok {
		class = string(group[g.r.IntN(len(group))])
	}
	if g.r.IntN(12) == 0 && class != "j" {
		class = string(classGroups["A"][g.r.IntN(len(classGroups["A"]))])
	}
	switch names, makers := g.byClass[class], g.makers[class]; {
	case depth > 0 && len(makers) > 0 && g.r.IntN(6) == 0:
		return "(" + g.expression(makers[g.r.IntN(len(makers))], depth-1) + ")"
	case g.r.IntN(10) == 0:
		return g.literal(class)
	default:
		return names[g.r.IntN(len(names))]
	}
}

// literal is a constant of a class.
func (g *generator) literal(class string) string {
	var of []column
	for _, c := range columns {
		if c.class == class {
			of = append(of, c)
		}
	}
	c := of[g.r.IntN(len(of))]
	return literal(class, c.values[g.r.IntN(len(c.values))])
}
