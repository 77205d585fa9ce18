# Two transactions want the same key.

sql a
CREATE TABLE t (id INT PRIMARY KEY, u INT, n INT, UNIQUE (u));
INSERT INTO t VALUES (1, 1, 1);
BEGIN;
INSERT INTO t VALUES (5, 50, 0);
----
OK, 0 rows affected
OK, 1 rows affected
OK, 0 rows affected
OK, 1 rows affected

start b
INSERT INTO t VALUES (5, 51, 0)
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
ERROR 1062

sql a
BEGIN;
INSERT INTO t VALUES (6, 60, 0);
----
OK, 0 rows affected
OK, 1 rows affected

sql b
BEGIN;
----
OK, 0 rows affected

start b
INSERT INTO t VALUES (7, 60, 0)
----
waits

sql a
ROLLBACK;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

sql b
COMMIT;
SELECT * FROM t ORDER BY id;
----
OK, 0 rows affected
1	1	1
5	50	0
7	60	0

# A key that is being freed.
sql a
BEGIN;
DELETE FROM t WHERE id = 1;
----
OK, 0 rows affected
OK, 1 rows affected

sql b
BEGIN;
----
OK, 0 rows affected

start b
INSERT INTO t VALUES (1, 1, 2)
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

# The transaction goes on after a duplicate, which undoes the whole of its own statement.
sql b
INSERT INTO t VALUES (8, 80, 0), (1, 81, 0);
INSERT INTO t VALUES (9, 90, 0);
COMMIT;
SELECT * FROM t ORDER BY id;
----
ERROR 1062
OK, 1 rows affected
OK, 0 rows affected
1	1	2
5	50	0
7	60	0
9	90	0

# What to do about a duplicate is decided once it is certain.
sql a
BEGIN;
UPDATE t SET n = 10 WHERE id = 1;
----
OK, 0 rows affected
OK, 1 rows affected

sql b
BEGIN;
----
OK, 0 rows affected

start b
INSERT INTO t VALUES (1, 0, 0) ON DUPLICATE KEY UPDATE n = n + 1
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 2 rows affected

sql b
COMMIT;
SELECT n FROM t WHERE id = 1;
----
OK, 0 rows affected
11

sql a
BEGIN;
DELETE FROM t WHERE id = 1;
----
OK, 0 rows affected
OK, 1 rows affected

sql b
BEGIN;
----
OK, 0 rows affected

start b
REPLACE INTO t VALUES (1, 100, 100)
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

sql b
COMMIT;
SELECT * FROM t ORDER BY id;
----
OK, 0 rows affected
1	100	100
5	50	0
7	60	0
9	90	0

# Insert, delete and insert again in one transaction.
sql a
BEGIN;
INSERT INTO t VALUES (20, 20, 1);
DELETE FROM t WHERE id = 20;
INSERT INTO t VALUES (20, 20, 2);
SELECT * FROM t WHERE id = 20 FOR UPDATE;
INSERT INTO t VALUES (20, 21, 3);
DELETE FROM t WHERE id = 20;
COMMIT;
SELECT COUNT(*) FROM t WHERE id = 20;
----
OK, 0 rows affected
OK, 1 rows affected
OK, 1 rows affected
OK, 1 rows affected
20	20	2
ERROR 1062
OK, 1 rows affected
OK, 0 rows affected
0
