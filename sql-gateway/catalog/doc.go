// Package catalog knows databases, tables, views and indexes, keeps them in the cluster's meta key space, and changes them.
//
// A Catalog holds the present schema as an immutable Snapshot behind an atomic pointer: statements take Current() once
// and look names up in it without locks. A DDL statement edits a copy inside a transaction on the meta keys and
// publishes the copy after the commit, so what is published is durable and what is durable gets published.
//
// DDL and the statements of this gateway are kept apart by metadata locks (Locks): a transaction holds the tables it
// touched shared until it ends, a change of a table holds it exclusively. Over several gateways the same holds by
// records in the cluster (see membership): a change waits for the transactions of all of them, and is known to all when
// its statement returns.
//
// Beside the schema a Catalog allocates AUTO_INCREMENT values and hidden row ids (in ranges that are persistent before
// use), and keeps row counts and numbers of distinct values for the planner (Stats).
package catalog
