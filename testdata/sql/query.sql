sql
CREATE TABLE emp (id INT PRIMARY KEY, dept INT, name VARCHAR(20), salary DECIMAL(10,2), hired DATE, boss INT, KEY (dept));
CREATE TABLE dept (id INT PRIMARY KEY, name VARCHAR(20));
INSERT INTO dept VALUES (1, 'eng'), (2, 'ops'), (3, 'empty');
INSERT INTO emp VALUES (1, 1, 'ann', 100.50, '2020-01-01', NULL), (2, 1, 'bob', 90.25, '2021-06-15', 1), (3, 2, 'cid', 80.00, '2019-03-03', 1), (4, 2, 'dan', 120.00, '2022-12-31', 3), (5, NULL, 'eve', 70.10, '2018-07-07', 1);
----
OK, 0 rows affected
OK, 0 rows affected
OK, 3 rows affected
OK, 5 rows affected

sql
SELECT d.name, COUNT(e.id), SUM(e.salary), AVG(e.salary) FROM dept d LEFT JOIN emp e ON e.dept = d.id GROUP BY d.name ORDER BY d.name;
SELECT e.name, b.name FROM emp e JOIN emp b ON e.boss = b.id ORDER BY e.name;
SELECT name FROM emp WHERE dept IN (SELECT id FROM dept WHERE name = 'eng') ORDER BY name;
SELECT name FROM emp WHERE dept NOT IN (SELECT id FROM dept WHERE name = 'eng') ORDER BY name;
SELECT name FROM dept WHERE NOT EXISTS (SELECT 1 FROM emp WHERE emp.dept = dept.id);
SELECT name FROM emp e WHERE salary > (SELECT AVG(salary) FROM emp WHERE dept = e.dept) ORDER BY name;
SELECT name, (SELECT COUNT(*) FROM emp b WHERE b.boss = e.id) AS n FROM emp e ORDER BY n DESC, name;
SELECT dept, COUNT(*) c FROM emp GROUP BY dept HAVING c > 1 ORDER BY dept;
SELECT DISTINCT dept FROM emp ORDER BY dept;
SELECT COUNT(DISTINCT dept), COUNT(DISTINCT boss, dept) FROM emp;
SELECT name FROM emp ORDER BY salary DESC LIMIT 2 OFFSET 1;
SELECT dept, MAX(hired) FROM emp GROUP BY dept ORDER BY 2 DESC;
SELECT name FROM emp WHERE name LIKE '%a%' OR salary BETWEEN 75 AND 85 ORDER BY 1;
SELECT UPPER(name), SUBSTRING(name, 2), CONCAT(name, '-', dept) FROM emp ORDER BY id;
SELECT CASE WHEN salary > 100 THEN 'high' WHEN salary > 80 THEN 'mid' ELSE 'low' END AS band, COUNT(*) FROM emp GROUP BY band ORDER BY band;
SELECT IF(dept IS NULL, 'none', dept), IFNULL(dept, -1), COALESCE(dept, boss) FROM emp ORDER BY id;
SELECT EXTRACT(YEAR FROM hired) y, COUNT(*) FROM emp GROUP BY y ORDER BY y;
SELECT 1 + 1, 7 DIV 2, 7 % 3, 7 / 2, 1 = 1.0, 'a' < 'b', NULL IS NULL, NOT 0;
SELECT * FROM (SELECT dept, SUM(salary) s FROM emp GROUP BY dept) x WHERE s > 100 ORDER BY s;
SELECT id FROM emp UNION SELECT id FROM dept ORDER BY id;
SELECT id FROM dept UNION ALL SELECT id FROM dept ORDER BY id;
WITH x AS (SELECT dept, COUNT(*) n FROM emp GROUP BY dept) SELECT * FROM x WHERE n = 2 ORDER BY dept;
SELECT COUNT(*) FROM emp, dept;
SELECT GROUP_CONCAT(name ORDER BY name) FROM emp;
SELECT e.name FROM emp e RIGHT JOIN dept d ON e.dept = d.id AND e.salary > 95 ORDER BY d.id;
SELECT SUM(salary) FROM emp WHERE 1 = 0;
SELECT COUNT(*) FROM emp WHERE 1 = 0 GROUP BY dept;
SELECT MIN(name), MAX(name), BIT_AND(id), BIT_OR(id), BIT_XOR(id) FROM emp;
SELECT dept FROM emp WHERE dept <=> NULL;
SELECT name FROM emp WHERE (dept, boss) = (2, 1);
SELECT name FROM emp WHERE id IN (1, 3, 99) ORDER BY id DESC;
----
empty	0	\N	\N
eng	2	190.75	95.375000
ops	2	200.00	100.000000
bob	ann
cid	ann
dan	cid
eve	ann
ann
bob
cid
dan
empty
ann
dan
ann	3
cid	1
bob	0
dan	0
eve	0
1	2
2	2
\N
1
2
2	3
ann
bob
2	2022-12-31
1	2021-06-15
\N	2018-07-07
ann
cid
dan
ANN	nn	ann-1
BOB	ob	bob-1
CID	id	cid-2
DAN	an	dan-2
EVE	ve	\N
high	2
low	2
mid	1
1	1	1
1	1	1
2	2	2
2	2	2
none	-1	1
2018	1
2019	1
2020	1
2021	1
2022	1
2	3	1	3.5000	1	1	1	1
1	190.75
2	200.00
1
2
3
4
5
1
1
2
2
3
3
1	2
2	2
15
ann,bob,cid,dan,eve
ann
dan
\N
\N
no rows
ann	eve	0	7	1
\N
cid
cid
ann

sql
SELECT nosuch FROM emp;
SELECT * FROM nosuch;
SELECT id FROM emp, dept;
SELECT name, COUNT(*) FROM emp;
SELECT FROM emp;
SELECT SUM(SUM(id)) FROM emp;
SELECT nosuchfunction(1);
SELECT id FROM emp WHERE id = (SELECT id FROM emp);
SELECT (SELECT id, name FROM emp LIMIT 1);
SELECT * FROM emp LIMIT 1 OFFSET -1;
USE nosuchdb;
DROP TABLE nosuch;
CREATE TABLE emp (id INT);
SELECT 18446744073709551615 + 1;
SELECT 9223372036854775807 + 1;
----
ERROR 1054
ERROR 1146
ERROR 1052
ERROR 1140
ERROR 1064
ERROR 1111
ERROR 1305
ERROR 1242
ERROR 1241
ERROR 1064
ERROR 1049
ERROR 1051
ERROR 1050
ERROR 1690
ERROR 1690

sql
CREATE VIEW v AS SELECT dept, COUNT(*) AS n FROM emp GROUP BY dept;
SELECT * FROM v ORDER BY dept;
SELECT d.name, v.n FROM v JOIN dept d ON d.id = v.dept ORDER BY d.name;
DROP VIEW v;
SELECT * FROM v;
----
OK, 0 rows affected
\N	1
1	2
2	2
eng	2
ops	2
OK, 0 rows affected
ERROR 1146

sql
SELECT d.name, e.name FROM dept d LEFT JOIN emp e ON e.dept = d.id AND e.id IN (SELECT boss FROM emp) ORDER BY 1, 2;
SELECT d.name, e.name FROM dept d LEFT JOIN emp e ON e.dept = d.id AND NOT EXISTS (SELECT 1 FROM emp b WHERE b.boss = e.id) ORDER BY 1, 2;
SELECT d.name, e.name FROM dept d LEFT JOIN emp e ON e.salary > (SELECT AVG(salary) FROM emp b WHERE b.dept = d.id) ORDER BY 1, 2;
SELECT d.name, e.name FROM emp e RIGHT JOIN dept d ON e.dept = d.id AND e.salary >= ALL (SELECT salary FROM emp b WHERE b.dept = d.id) ORDER BY 1, 2;
SELECT d.name, COUNT(e.id) FROM dept d LEFT JOIN emp e ON d.id = 1 AND d.id <= (SELECT COUNT(*) FROM emp b WHERE b.boss = e.boss) GROUP BY d.name ORDER BY 1;
----
empty	\N
eng	ann
ops	cid
empty	\N
eng	bob
ops	dan
empty	\N
eng	ann
eng	dan
ops	ann
ops	dan
empty	\N
eng	ann
ops	dan
empty	0
eng	4
ops	0

sql
CREATE INDEX isal ON emp (salary);
SELECT name FROM emp WHERE salary > 95 ORDER BY salary;
SELECT salary FROM emp WHERE salary < 85 ORDER BY salary DESC;
DROP INDEX isal ON emp;
SELECT name FROM emp WHERE salary > 95 ORDER BY salary;
CREATE UNIQUE INDEX udept ON emp (dept);
ALTER TABLE emp ADD COLUMN note VARCHAR(10) DEFAULT 'n/a';
SELECT id, note FROM emp ORDER BY id LIMIT 2;
INSERT INTO emp (id, note) VALUES (9, 'new');
SELECT id, note FROM emp WHERE note = 'n/a' ORDER BY id LIMIT 2;
ALTER TABLE emp DROP COLUMN note;
SELECT * FROM emp WHERE id = 9;
----
OK, 0 rows affected
ann
dan
80.00
70.10
OK, 0 rows affected
ann
dan
ERROR 1062
OK, 0 rows affected
1	n/a
2	n/a
OK, 1 rows affected
1	n/a
2	n/a
OK, 0 rows affected
9	\N	\N	\N	\N	\N
