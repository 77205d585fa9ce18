// Package insight remembers what a gateway has executed, for those who run it: counts and times for Prometheus, a summary of
// every kind of statement, and the slow statements in a log.
//
// The session reports each statement once, when it has ended, with Recorder.Observe. A statement's kind is its Digest: the text
// with its literals taken out. Names of metrics, columns and of the log's fields are TiDB's, so that its boards and tools, and
// those for MySQL's slow log, read them.
//
// Observing takes about a microsecond: what is costly is done once for each kind of statement, or for slow ones alone.
package insight
