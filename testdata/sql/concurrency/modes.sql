# Deadlocks, autocommit, and optimistic transactions.

sql a
CREATE TABLE t (id INT PRIMARY KEY, n INT);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
BEGIN;
UPDATE t SET n = 10 WHERE id = 1;
----
OK, 0 rows affected
OK, 3 rows affected
OK, 0 rows affected
OK, 1 rows affected

sql b
BEGIN;
UPDATE t SET n = 20 WHERE id = 2;
----
OK, 0 rows affected
OK, 1 rows affected

start a
UPDATE t SET n = 11 WHERE id = 2
----
waits

# The one who closes the circle is rolled back, all of it.
sql b
UPDATE t SET n = 21 WHERE id = 1;
SELECT id, n FROM t ORDER BY id;
----
ERROR 1213
1	1
2	2
3	3

join a
----
OK, 1 rows affected

sql a
COMMIT;
SELECT id, n FROM t ORDER BY id;
----
OK, 0 rows affected
1	10
2	11
3	3

# Without autocommit, transactions begin by themselves.
sql a
SET autocommit = 0;
UPDATE t SET n = 0 WHERE id = 1;
----
OK, 0 rows affected
OK, 1 rows affected

start b
UPDATE t SET n = n + 1 WHERE id = 1
----
waits

sql a
COMMIT;
SET autocommit = 1;
----
OK, 0 rows affected
OK, 0 rows affected

join b
----
OK, 1 rows affected

sql b
SELECT n FROM t WHERE id = 1;
----
1

# Undone to a savepoint, and locked still.
sql a ours
BEGIN;
SAVEPOINT s;
UPDATE t SET n = 5 WHERE id = 1;
ROLLBACK TO s;
----
OK, 0 rows affected
OK, 0 rows affected
OK, 1 rows affected
OK, 0 rows affected

start b ours
DELETE FROM t WHERE id = 1
----
waits

sql a ours
SELECT n FROM t WHERE id = 1;
COMMIT;
----
1
OK, 0 rows affected

join b ours
----
OK, 1 rows affected

# Optimistic transactions learn of others at COMMIT, also of those who changed what they only locked.
sql a ours
BEGIN OPTIMISTIC;
SELECT n FROM t WHERE id = 3 FOR UPDATE;
UPDATE t SET n = 1 WHERE id = 2;
----
OK, 0 rows affected
3
OK, 1 rows affected

sql b ours
UPDATE t SET n = 4 WHERE id = 3;
----
OK, 1 rows affected

sql a ours
COMMIT;
SELECT * FROM t ORDER BY id;
SET tidb_txn_mode = 'optimistic';
BEGIN;
UPDATE t SET n = 1 WHERE id = 2;
----
ERROR 9007
2	11
3	4
OK, 0 rows affected
OK, 0 rows affected
OK, 1 rows affected

sql b ours
UPDATE t SET n = 5 WHERE id = 2;
----
OK, 1 rows affected

sql a ours
COMMIT;
BEGIN PESSIMISTIC;
UPDATE t SET n = n + 1 WHERE id = 2;
----
ERROR 9007
OK, 0 rows affected
OK, 1 rows affected

start b ours
UPDATE t SET n = n * 10 WHERE id = 2
----
waits

sql a ours
COMMIT;
----
OK, 0 rows affected

join b ours
----
OK, 1 rows affected

sql b ours
SELECT * FROM t ORDER BY id;
----
2	60
3	4
