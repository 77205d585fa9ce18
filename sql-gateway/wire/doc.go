// Package wire speaks the server side of MySQL's client/server protocol.
//
// A Server-side connection is made with NewConn over an accepted net.Conn and run with Conn.Serve, which shakes hands,
// authenticates against the Backend's accounts, and then turns each command packet into a call on the Session that the
// Backend opened. Sessions answer through a Writer: an OK packet, or a result set that is streamed batch by batch, or
// several of them for a text of several statements; an error that a Session returns becomes an ERR packet.
//
//	packet.go     framing: sequence numbers, 16 MiB splitting, bounded reads, buffered writes
//	compress.go   the zlib layer below packets
//	handshake.go  greeting, handshake response, connection attributes
//	auth.go       mysql_native_password, caching_sha2_password (with RSA), switching between them
//	command.go    the command loop
//	statement.go  prepared statements, long data, cursors; execute.go decodes their parameters
//	writer.go     OK, ERR, EOF, result sets; row.go encodes rows from column batches
//
// What the protocol has and this server does not offer: TLS, zstd compression, session tracking, query attributes,
// replication. The capability flags of the greeting say so, and clients act on them.
package wire
