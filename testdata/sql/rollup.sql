sql
CREATE TABLE r (id INT PRIMARY KEY, year INT, city VARCHAR(10), item VARCHAR(10), amount DECIMAL(10,2), KEY (year));
INSERT INTO r VALUES (1, 2000, 'oslo', 'a', 10.50), (2, 2000, 'oslo', 'b', 1.00), (3, 2000, 'rome', 'a', 7.25), (4, 2001, 'rome', 'a', NULL), (5, 2001, 'rome', 'c', 3.00), (6, NULL, 'oslo', NULL, 4.00), (7, 2001, NULL, 'c', 0.50);
----
OK, 0 rows affected
OK, 7 rows affected

sql
SELECT * FROM (SELECT year, COUNT(*) n, SUM(amount), AVG(amount), MIN(item), MAX(amount) FROM r GROUP BY year WITH ROLLUP) x ORDER BY year, n;
SELECT * FROM (SELECT year, city, COUNT(*) n, SUM(amount) s FROM r GROUP BY year, city WITH ROLLUP) x ORDER BY year, city, n, s;
SELECT * FROM (SELECT year, city, item, SUM(amount) s, COUNT(item) c FROM r GROUP BY year, city, item WITH ROLLUP) x ORDER BY year, city, item, s, c;
SELECT * FROM (SELECT year + 1 y, UPPER(city) u, COUNT(*) n FROM r GROUP BY y, u WITH ROLLUP) x ORDER BY y, u, n;
SELECT * FROM (SELECT year, SUM(year), COUNT(DISTINCT city) n FROM r GROUP BY year WITH ROLLUP) x ORDER BY year, n;
SELECT * FROM (SELECT IFNULL(year, 'all') y, SUM(amount) s FROM r GROUP BY year WITH ROLLUP) x ORDER BY y, s;
SELECT * FROM (SELECT year, SUM(amount) s FROM r GROUP BY year WITH ROLLUP HAVING s > 12 OR year IS NULL) x ORDER BY year, s;
SELECT * FROM (SELECT a.year, b.city, COUNT(*) n FROM r a JOIN r b ON a.id = b.id GROUP BY a.year, b.city WITH ROLLUP) x ORDER BY year, city, n;
SELECT year, COUNT(*) FROM r WHERE id > 100 GROUP BY year WITH ROLLUP;
SELECT COUNT(*), SUM(n) FROM (SELECT city, COUNT(*) n FROM r GROUP BY city WITH ROLLUP) x;
SELECT * FROM (SELECT year, GROUP_CONCAT(item ORDER BY item) g FROM r GROUP BY year WITH ROLLUP) x ORDER BY year, g;
SELECT * FROM (SELECT year y, VARIANCE(amount) v FROM r WHERE year > 2000 GROUP BY year WITH ROLLUP) x ORDER BY y;
----
\N	1	4.00	4.000000	\N	4.00
\N	7	26.25	4.375000	a	10.50
2000	3	18.75	6.250000	a	10.50
2001	3	3.50	1.750000	a	3.00
\N	\N	1	4.00
\N	\N	7	26.25
\N	oslo	1	4.00
2000	\N	3	18.75
2000	oslo	2	11.50
2000	rome	1	7.25
2001	\N	1	0.50
2001	\N	3	3.50
2001	rome	2	3.00
\N	\N	\N	4.00	0
\N	\N	\N	26.25	6
\N	oslo	\N	4.00	0
\N	oslo	\N	4.00	0
2000	\N	\N	18.75	3
2000	oslo	\N	11.50	2
2000	oslo	a	10.50	1
2000	oslo	b	1.00	1
2000	rome	\N	7.25	1
2000	rome	a	7.25	1
2001	\N	\N	0.50	1
2001	\N	\N	3.50	3
2001	\N	c	0.50	1
2001	rome	\N	3.00	2
2001	rome	a	\N	1
2001	rome	c	3.00	1
\N	\N	1
\N	\N	7
\N	OSLO	1
2001	\N	3
2001	OSLO	2
2001	ROME	1
2002	\N	1
2002	\N	3
2002	ROME	2
\N	\N	1
\N	12003	2
2000	6000	2
2001	6003	1
2000	18.75
2001	3.50
all	4.00
all	26.25
\N	4.00
\N	26.25
2000	18.75
\N	\N	1
\N	\N	7
\N	oslo	1
2000	\N	3
2000	oslo	2
2000	rome	1
2001	\N	1
2001	\N	3
2001	rome	2
no rows
4	14
\N	\N
\N	a,a,a,b,c,c
2000	a,a,b
2001	a,c,c
\N	1.5625
2001	1.5625

ours
SELECT year, city, SUM(amount), GROUPING(year), GROUPING(city), GROUPING(year, city) FROM r GROUP BY year, city WITH ROLLUP ORDER BY GROUPING(year), year, GROUPING(city), city;
SELECT IF(GROUPING(year) = 1, 'total', year) y, COUNT(*) FROM r GROUP BY year WITH ROLLUP ORDER BY GROUPING(year), year;
SELECT year, COUNT(*) FROM r GROUP BY year WITH ROLLUP HAVING GROUPING(year) = 1;
SELECT year, RANK() OVER (PARTITION BY GROUPING(year) ORDER BY SUM(amount)) k FROM r GROUP BY year WITH ROLLUP ORDER BY GROUPING(year), k;
SELECT GROUPING(item) FROM r GROUP BY year WITH ROLLUP;
SELECT GROUPING(year) FROM r GROUP BY year;
SELECT year, city FROM r GROUP BY year WITH ROLLUP;
----
\N	oslo	4.00	0	0	0
\N	\N	4.00	0	1	1
2000	oslo	11.50	0	0	0
2000	rome	7.25	0	0	0
2000	\N	18.75	0	1	1
2001	\N	0.50	0	0	0
2001	rome	3.00	0	0	0
2001	\N	3.50	0	1	1
\N	\N	26.25	1	1	3
\N	1
2000	3
2001	3
total	7
\N	7
2001	1
\N	2
2000	3
\N	1
ERROR 3122
ERROR 1111
ERROR 1055
