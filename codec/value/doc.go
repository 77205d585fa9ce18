// Package value holds the scalar values of MySQL: decimals, packed times, durations, JSON, ENUM and SET, and collations.
// Pure functions, no clock, no I/O.
//
// A [Decimal] computes in up to 256 bits and has a 64-bit way through wherever the digits allow. A [Time] is one integer that
// orders as time does; a [Duration] is nanoseconds. JSON is bytes: a type byte and the binary value, read in place.
// A [Collator] comes from the collation id of a field type. Errors that a client sees are [Error] with MySQL's code.
package value
