// Package value holds the scalar values of MySQL: decimals, packed times, durations, JSON, and collations. Pure
// functions, no clock, no I/O.
package value

// ParseJSON parses JSON text to the binary form with its leading type byte. Depth is bounded (100).
func ParseJSON(text []byte) ([]byte, error) { panic("contract") }

// AppendJSONText prints the binary form as MySQL prints JSON.
func AppendJSONText(dst, bin []byte) ([]byte, error) { panic("contract") }
