// Package console is the gateway's web page, and the JSON that it lives on: what the cluster does, a SQL editor, statements,
// slow queries, running statements and regions. New makes its http.Handler:
//
//	GET  /             the page: embedded files, without a build step, that load nothing from elsewhere
//	GET  /api/load     what was executed in the last minutes, by intervals
//	GET  /api/VIEW     a fixed query on information_schema, see views
//	POST /api/query    {"sql", "db", "limit"}: runs one statement; it ends when the request does
//	POST /api/kill     {"id"}: ends the statement of a connection
//
// The console is a client of MySQL's protocol, over connections within the process: a request runs as the user that it names by
// basic authentication, root without a password if it names none. What keeps other people's pages out of it is in guard.go.
package console
