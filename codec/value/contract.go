// Package value holds the scalar values of MySQL: decimals, packed times, durations, JSON, and collations. Pure
// functions, no clock, no I/O.
package value

// --- the contract that other packages build on; bodies belong to the owner of this package ---

// ParseJSON parses JSON text to the binary form with its leading type byte. Depth is bounded (100).
func ParseJSON(text []byte) ([]byte, error) { panic("contract") }

// AppendJSONText prints the binary form as MySQL prints JSON.
func AppendJSONText(dst, bin []byte) ([]byte, error) { panic("contract") }

// Collator compares and hashes strings of one collation.
type Collator interface {
	// Compare orders a and b.
	Compare(a, b []byte) int
	// AppendKey appends the sort key: bytes whose plain order is the collation's order.
	AppendKey(dst, s []byte) []byte
	// KeyIsIdentity reports whether AppendKey only ever copies (binary).
	KeyIsIdentity() bool
	// PadSpace reports whether trailing spaces are ignored by Compare.
	PadSpace() bool
	// CaseInsensitive reports whether LIKE and friends must fold case.
	CaseInsensitive() bool
}

// CollatorByID returns the collator of tipb.FieldType.Collate: negative ids are new collations (absolute value = MySQL
// id), others compare bytes. An unknown id is an error.
func CollatorByID(id int32) (Collator, error) { panic("contract") }

// EnumName is the 1-based element n of elems, "" for 0.
func EnumName(elems []string, n uint64) string { panic("contract") }

// AppendSetNames appends the comma-separated elements of mask.
func AppendSetNames(dst []byte, elems []string, mask uint64) []byte { panic("contract") }
