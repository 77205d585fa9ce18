sql
CREATE TABLE t (id INT PRIMARY KEY, k INT, v VARCHAR(20), UNIQUE KEY uk (k), KEY iv (v));
INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three');
INSERT INTO t VALUES (4, 10, 'dup');
INSERT IGNORE INTO t VALUES (4, 10, 'dup'), (5, 50, 'five');
INSERT INTO t VALUES (1, 99, 'x') ON DUPLICATE KEY UPDATE v = CONCAT(v, '!'), k = k + 1;
INSERT INTO t VALUES (6, 20, 'y') ON DUPLICATE KEY UPDATE v = VALUES(v);
REPLACE INTO t VALUES (3, 30, 'drei');
REPLACE INTO t VALUES (7, 50, 'sieben');
SELECT * FROM t ORDER BY id;
----
OK, 0 rows affected
OK, 3 rows affected
ERROR 1062
OK, 1 rows affected
OK, 2 rows affected
OK, 2 rows affected
OK, 2 rows affected
OK, 2 rows affected
1	11	one!
2	20	y
3	30	drei
7	50	sieben

sql
UPDATE t SET v = 'x' WHERE id = 1;
UPDATE t SET v = 'x' WHERE id = 1;
UPDATE t SET k = k + 100 WHERE k > 15 ORDER BY id DESC LIMIT 2;
UPDATE t SET k = 11 WHERE id = 2;
SELECT * FROM t ORDER BY id;
DELETE FROM t WHERE v = 'x';
DELETE FROM t ORDER BY id LIMIT 1;
SELECT * FROM t ORDER BY id;
SELECT id FROM t WHERE v = 'drei';
SELECT id FROM t WHERE k = 150;
----
OK, 1 rows affected
OK, 0 rows affected
OK, 2 rows affected
ERROR 1062
1	11	x
2	20	y
3	130	drei
7	150	sieben
OK, 1 rows affected
OK, 1 rows affected
3	130	drei
7	150	sieben
3
7

sql
CREATE TABLE a (x INT, y INT, PRIMARY KEY (x, y));
INSERT INTO a SELECT id, k FROM t;
INSERT INTO a VALUES (1, 1), (1, 2), (2, 1);
INSERT INTO a VALUES (1, 2);
SELECT * FROM a ORDER BY x, y;
SELECT * FROM a WHERE x = 1 AND y > 1;
SELECT * FROM a WHERE (x, y) IN ((1, 1), (2, 1)) ORDER BY x;
UPDATE a SET y = 9 WHERE x = 2;
SELECT COUNT(*), SUM(y) FROM a;
DELETE FROM a;
SELECT COUNT(*) FROM a;
----
OK, 0 rows affected
OK, 2 rows affected
OK, 3 rows affected
ERROR 1062
1	1
1	2
2	1
3	130
7	150
1	2
1	1
2	1
OK, 1 rows affected
5	292
OK, 5 rows affected
0

sql
BEGIN;
INSERT INTO a VALUES (5, 5), (6, 6);
SELECT * FROM a ORDER BY x;
UPDATE a SET y = 7 WHERE x = 6;
SELECT SUM(y) FROM a;
ROLLBACK;
SELECT COUNT(*) FROM a;
BEGIN;
INSERT INTO a VALUES (5, 5);
SAVEPOINT s1;
INSERT INTO a VALUES (6, 6);
ROLLBACK TO s1;
COMMIT;
SELECT * FROM a;
----
OK, 0 rows affected
OK, 2 rows affected
5	5
6	6
OK, 1 rows affected
12
OK, 0 rows affected
0
OK, 0 rows affected
OK, 1 rows affected
OK, 0 rows affected
OK, 1 rows affected
OK, 0 rows affected
OK, 0 rows affected
5	5

sql
CREATE TABLE nopk (v INT);
INSERT INTO nopk VALUES (1), (1), (2);
DELETE FROM nopk WHERE v = 1 LIMIT 1;
SELECT * FROM nopk ORDER BY v;
TRUNCATE TABLE nopk;
SELECT COUNT(*) FROM nopk;
INSERT INTO nopk VALUES (7);
SELECT * FROM nopk;
----
OK, 0 rows affected
OK, 3 rows affected
OK, 1 rows affected
1
2
OK, 0 rows affected
0
OK, 1 rows affected
7

sql
CREATE TABLE m1 (id INT PRIMARY KEY, v INT);
CREATE TABLE m2 (id INT PRIMARY KEY, w INT);
INSERT INTO m1 VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO m2 VALUES (1, 100), (3, 300);
UPDATE m1 JOIN m2 ON m1.id = m2.id SET m1.v = m2.w;
SELECT * FROM m1 ORDER BY id;
DELETE m1 FROM m1 JOIN m2 ON m1.id = m2.id WHERE m2.w > 200;
SELECT * FROM m1 ORDER BY id;
----
OK, 0 rows affected
OK, 0 rows affected
OK, 3 rows affected
OK, 2 rows affected
OK, 2 rows affected
1	100
2	2
3	300
OK, 1 rows affected
1	100
2	2
