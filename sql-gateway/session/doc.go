// Package session executes statements: it is the gateway behind the MySQL protocol.
//
// A Server listens, keeps the registry of connections and what they share (catalog, transaction client, global
// variables). Each connection has a Session, which parses texts, runs statements one by one and answers through a
// wire.Writer. One execution of a statement is a run: it carries the statement's context, time and warnings, and is
// what the planner sees as schema, variables and runtime.
//
// Where a statement's work happens: planner plans and opens operators; dml encodes changed rows; catalog runs DDL;
// infoschema and the show files answer questions about the schema; the rest (transactions, variables, prepared
// statements, KILL) is here.
//
// Transactions are optimistic snapshots. A statement that fails undoes its own writes. A statement outside a
// transaction that meets a write conflict at its commit runs again, a bounded number of times; inside a transaction
// the conflict is error 9007 at COMMIT. DDL commits the running transaction first.
package session
