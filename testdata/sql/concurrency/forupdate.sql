# SELECT ... FOR UPDATE reads the newest rows, and keeps them.

sql a
CREATE TABLE t (id INT PRIMARY KEY, g INT, n INT, KEY (g));
CREATE TABLE s (name VARCHAR(10) PRIMARY KEY, t INT);
CREATE TABLE h (x INT, y INT);
INSERT INTO t VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);
INSERT INTO s VALUES ('one', 1), ('none', 9);
INSERT INTO h VALUES (1, 1), (2, 2);
----
OK, 0 rows affected
OK, 0 rows affected
OK, 0 rows affected
OK, 3 rows affected
OK, 2 rows affected
OK, 2 rows affected

sql b
BEGIN;
SELECT n FROM t WHERE id = 1;
----
OK, 0 rows affected
10

sql a
UPDATE t SET n = 11 WHERE id = 1;
BEGIN;
SELECT n, id + 1, 'x' FROM t WHERE id = 2 FOR UPDATE;
----
OK, 1 rows affected
OK, 0 rows affected
20	3	x

sql b
SELECT n FROM t WHERE id = 1;
SELECT n FROM t WHERE id = 1 FOR UPDATE;
SELECT n FROM t WHERE id = 1;
----
10
11
10

start b
SELECT id, n FROM t WHERE id <= 2 ORDER BY n DESC FOR UPDATE
----
waits

sql a
UPDATE t SET n = 5 WHERE id = 2;
COMMIT;
----
OK, 1 rows affected
OK, 0 rows affected

join b
----
1	11
2	5

sql b
SELECT id, n FROM t ORDER BY id;
UPDATE t SET n = n + 1 WHERE id = 2;
COMMIT;
SELECT id, n FROM t ORDER BY id;
----
1	10
2	20
3	30
OK, 1 rows affected
OK, 0 rows affected
1	11
2	6
3	30

# Joins lock the rows of all tables that they found.
sql a
BEGIN;
SELECT name, n FROM s LEFT JOIN t ON t.id = s.t ORDER BY name FOR UPDATE;
----
OK, 0 rows affected
none	\N
one	11

start b
UPDATE s SET t = 2 WHERE name = 'none'
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

# Only the named table's, with OF.
sql a ours
BEGIN;
SELECT name, n FROM s JOIN t ON t.id = s.t ORDER BY name FOR UPDATE OF t;
----
OK, 0 rows affected
none	6
one	11

sql b ours
UPDATE s SET t = 1 WHERE name = 'none';
SELECT id FROM t WHERE id = 1 FOR UPDATE;
BEGIN;
SELECT id FROM t WHERE id = 1 FOR UPDATE NOWAIT;
SELECT id FROM t WHERE id = 3 FOR UPDATE NOWAIT;
SELECT id FROM t WHERE id = 3 FOR UPDATE SKIP LOCKED;
SELECT id FROM t FOR UPDATE OF nowhere;
ROLLBACK;
----
OK, 1 rows affected
1
OK, 0 rows affected
ERROR 3572
3
3
ERROR 3568
OK, 0 rows affected

sql a ours
COMMIT;
----
OK, 0 rows affected

# Groups lock the rows that they are made of.
sql a
BEGIN;
SELECT g, SUM(n) FROM t WHERE g = 1 GROUP BY g FOR UPDATE;
SELECT DISTINCT g FROM t WHERE g = 1 FOR UPDATE;
----
OK, 0 rows affected
1	17
1

start b
UPDATE t SET n = n + 1 WHERE id = 2
----
waits

sql a
ROLLBACK;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

# Tables without a key.
sql a
BEGIN;
SELECT * FROM h ORDER BY x LIMIT 1 FOR UPDATE;
----
OK, 0 rows affected
1	1

start b
UPDATE h SET y = 9 WHERE x = 1
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

# FOR SHARE takes the same locks.
sql a ours
BEGIN;
SELECT n FROM t WHERE id = 1 LOCK IN SHARE MODE;
----
OK, 0 rows affected
11

sql b ours
SELECT n FROM t WHERE id = 1 FOR SHARE;
BEGIN;
SELECT n FROM t WHERE id = 1 FOR SHARE NOWAIT;
SET tidb_enable_shared_lock_promotion = OFF;
SELECT n FROM t WHERE id = 1 FOR SHARE;
SET tidb_enable_noop_functions = ON;
SELECT n FROM t WHERE id = 1 FOR SHARE;
ROLLBACK;
----
11
OK, 0 rows affected
ERROR 3572
OK, 0 rows affected
ERROR 1235
OK, 0 rows affected
11
OK, 0 rows affected

sql a ours
COMMIT;
----
OK, 0 rows affected

# Locks where they cannot be had are refused.
sql a ours
BEGIN;
SELECT * FROM (SELECT id FROM t FOR UPDATE) x;
INSERT INTO h SELECT id, id FROM t FOR UPDATE;
COMMIT;
SELECT * FROM (SELECT id FROM t FOR UPDATE) x ORDER BY id;
----
OK, 0 rows affected
ERROR 1235
ERROR 1235
OK, 0 rows affected
1
2
3

# A query with a window locks its rows, too.
sql a ours
BEGIN;
SELECT id, SUM(n) OVER (ORDER BY id) FROM t WHERE id = 3 FOR UPDATE;
----
OK, 0 rows affected
3	30

sql b ours
BEGIN;
SELECT id FROM t WHERE id = 3 FOR UPDATE NOWAIT;
ROLLBACK;
----
OK, 0 rows affected
ERROR 3572
OK, 0 rows affected

sql a ours
COMMIT;
----
OK, 0 rows affected
