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
// Transactions read snapshots. In pessimistic ones, which are the default, statements that change or lock rows read the newest
// instead, lock what they found, and run again if it has changed meanwhile (locking.go). Optimistic ones learn of conflicts at
// COMMIT, as error 9007. A statement outside a transaction is optimistic at first; one that is in others' way runs again with
// locks. A statement that fails undoes its own writes. DDL commits the running transaction first.
package session
