# READ COMMITTED: each statement sees what is committed when it begins.

sql a
CREATE TABLE t (id INT PRIMARY KEY, n INT);
INSERT INTO t VALUES (1, 1), (2, 2);
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
BEGIN;
SELECT n FROM t ORDER BY id;
----
OK, 0 rows affected
OK, 2 rows affected
OK, 0 rows affected
OK, 0 rows affected
1
2

sql b
UPDATE t SET n = n + 10;
----
OK, 2 rows affected

sql a
SELECT n FROM t ORDER BY id;
SELECT n FROM t WHERE id = 1;
UPDATE t SET n = n + 100 WHERE id = 1;
SELECT n FROM t ORDER BY id;
----
11
12
11
OK, 1 rows affected
111
12

start b
UPDATE t SET n = 0 WHERE id = 1
----
waits

sql a
COMMIT;
----
OK, 0 rows affected

join b
----
OK, 1 rows affected

sql a
SELECT n FROM t ORDER BY id;
----
0
12

# The level was that one transaction's.
sql a
BEGIN;
SELECT n FROM t WHERE id = 2;
----
OK, 0 rows affected
12

sql b
UPDATE t SET n = 5 WHERE id = 2;
----
OK, 1 rows affected

sql a
SELECT n FROM t WHERE id = 2;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
COMMIT;
----
12
ERROR 1568
OK, 0 rows affected
