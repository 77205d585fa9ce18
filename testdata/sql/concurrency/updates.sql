# A row belongs to the transaction that changed it first; others wait, and then see what it left.

sql a
CREATE TABLE t (id INT PRIMARY KEY, n INT, u INT, UNIQUE (u));
INSERT INTO t VALUES (1, 10, 1), (2, 20, 2), (3, 30, 3);
----
OK, 0 rows affected
OK, 3 rows affected

sql b
BEGIN;
SELECT id, n FROM t ORDER BY id;
----
OK, 0 rows affected
1	10
2	20
3	30

sql a
BEGIN;
UPDATE t SET n = n + 1 WHERE id = 1;
----
OK, 0 rows affected
OK, 1 rows affected

start b
UPDATE t SET n = n + 5 WHERE id = 1
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

# The update has read the newest row; what the transaction did not change is as in its snapshot.
sql b
SELECT n FROM t WHERE id = 1;
COMMIT;
SELECT n FROM t WHERE id = 1;
----
16
OK, 0 rows affected
16

# A rollback lets the other go on from the old row.
sql a
BEGIN;
UPDATE t SET n = 0 WHERE id > 1;
----
OK, 0 rows affected
OK, 2 rows affected

start b
UPDATE t SET n = n * 2 WHERE id = 3
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
SELECT id, n FROM t ORDER BY id;
----
1	16
2	20
3	60

# Rows that come to match, or no longer do, while a statement waits.
sql a
BEGIN;
UPDATE t SET n = 100 WHERE id = 2;
----
OK, 0 rows affected
OK, 1 rows affected

sql b
BEGIN;
----
OK, 0 rows affected

start b
UPDATE t SET n = n + 1 WHERE n = 20
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 0 rows affected

sql b
COMMIT;
SELECT id, n FROM t ORDER BY id;
----
OK, 0 rows affected
1	16
2	100
3	60

# A delete holds its row, too.
sql a
BEGIN;
DELETE FROM t WHERE id = 3;
----
OK, 0 rows affected
OK, 1 rows affected

start b
UPDATE t SET n = -1 WHERE id = 3
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 0 rows affected

# An update that changes nothing locks what it has found.
sql a
BEGIN;
UPDATE t SET n = n WHERE id = 1;
----
OK, 0 rows affected
OK, 0 rows affected

sql b
SET innodb_lock_wait_timeout = 1;
BEGIN;
UPDATE t SET n = 7 WHERE id = 2;
----
OK, 0 rows affected
OK, 0 rows affected
OK, 1 rows affected

# Time is up: the statement fails, the transaction goes on.
sql b
UPDATE t SET n = 7 WHERE id = 1;
SELECT n FROM t WHERE id = 2;
COMMIT;
----
ERROR 1205
7
OK, 0 rows affected

sql a
ROLLBACK;
SELECT id, n FROM t ORDER BY id;
----
OK, 0 rows affected
1	16
2	7
