package value

import (
	"bytes"
	"strings"
)

// Collator compares and hashes strings of one collation. Collators are shared: they have no state.
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

// RuneMatcher is implemented by case-insensitive collators: LIKE compares character by character.
type RuneMatcher interface {
	// SameRune reports whether two characters are equal under the collation.
	SameRune(a, b rune) bool
}

// CollatorByID returns the collator of tipb.FieldType.Collate: negative ids are new collations (absolute value = MySQL
// id), others compare bytes. An unknown id is an error.
func CollatorByID(id int32) (Collator, error) {
	if id >= 0 {
		return binaryCollator{}, nil
	}
	c, ok := collationsByID[-id]
	if !ok || c.collator == nil {
		return nil, Errorf(CodeUnknownCollation, "Unknown collation: '%s'", CollationName(-id))
	}
	return c.collator, nil
}

// CodeUnknownCollation and CodeUnknownCharset are the errors of names that nothing is known about.
const (
	CodeUnknownCollation = 1273 // Unknown collation: '%s'
	CodeUnknownCharset   = 1115 // Unknown character set: '%s'
)

// Collation is an entry of information_schema.COLLATIONS.
type Collation struct {
	ID        int32 // MySQL's, positive
	Name      string
	Charset   string
	IsDefault bool // of its character set
	Padding   string
	collator  Collator // nil: known by name only
}

// Supported reports whether strings can be compared by it.
func (c *Collation) Supported() bool { return c.collator != nil }

// FieldTypeID is the number that tipb.FieldType.Collate carries.
func (c *Collation) FieldTypeID() int32 { return -c.ID }

// Collations lists what is known, by id. It must not be changed.
func Collations() []Collation { return collations }

var collations = []Collation{
	{8, "latin1_swedish_ci", "latin1", false, "PAD SPACE", nil},
	{11, "ascii_general_ci", "ascii", false, "PAD SPACE", generalCI},
	{28, "gbk_chinese_ci", "gbk", true, "PAD SPACE", gbkChinese},
	{33, "utf8_general_ci", "utf8", false, "PAD SPACE", generalCI},
	{45, "utf8mb4_general_ci", "utf8mb4", false, "PAD SPACE", generalCI},
	{46, "utf8mb4_bin", "utf8mb4", true, "PAD SPACE", paddedBinary{}},
	{47, "latin1_bin", "latin1", true, "PAD SPACE", paddedBinary{}},
	{63, "binary", "binary", true, "NO PAD", binaryCollator{}},
	{65, "ascii_bin", "ascii", true, "PAD SPACE", paddedBinary{}},
	{83, "utf8_bin", "utf8", true, "PAD SPACE", paddedBinary{}},
	{87, "gbk_bin", "gbk", false, "PAD SPACE", gbkBinary},
	{192, "utf8_unicode_ci", "utf8", false, "PAD SPACE", unicodeCI},
	{224, "utf8mb4_unicode_ci", "utf8mb4", false, "PAD SPACE", unicodeCI},
	{255, "utf8mb4_0900_ai_ci", "utf8mb4", false, "NO PAD", unicode0900},
	{278, "utf8mb4_0900_as_cs", "utf8mb4", false, "NO PAD", nil},
	{305, "utf8mb4_0900_as_ci", "utf8mb4", false, "NO PAD", nil},
	{309, "utf8mb4_0900_bin", "utf8mb4", false, "NO PAD", binaryCollator{}},
}

var collationsByID, collationsByName = func() (map[int32]*Collation, map[string]*Collation) {
	ids, names := map[int32]*Collation{}, map[string]*Collation{}
	for i := range collations {
		c := &collations[i]
		ids[c.ID], names[c.Name] = c, c
	}
	return ids, names
}()

// CollationByName finds a collation, in any case; utf8mb3 is utf8.
func CollationByName(name string) (*Collation, error) {
	key := strings.ToLower(name)
	if rest, ok := strings.CutPrefix(key, "utf8mb3_"); ok {
		key = "utf8_" + rest
	}
	c, ok := collationsByName[key]
	if !ok {
		return nil, Errorf(CodeUnknownCollation, "Unknown collation: '%s'", name)
	}
	return c, nil
}

// CollationByID finds a collation by id of either sign.
func CollationByID(id int32) (*Collation, bool) {
	if id < 0 {
		id = -id
	}
	c, ok := collationsByID[id]
	return c, ok
}

// CollationName is the name of an id of either sign, or its number where there is none.
func CollationName(id int32) string {
	if c, ok := CollationByID(id); ok {
		return c.Name
	}
	return DecimalFromInt64(int64(id)).String()
}

// CharsetOf is the character set of a collation id of either sign, "" if unknown.
func CharsetOf(id int32) string {
	if c, ok := CollationByID(id); ok {
		return c.Charset
	}
	return ""
}

// CharsetName normalizes a character set's name: lower case, utf8mb3 is utf8.
func CharsetName(charset string) string {
	charset = strings.ToLower(charset)
	if charset == "utf8mb3" {
		return "utf8"
	}
	return charset
}

// DefaultCollation is the collation of a character set where none is named: the binary ones.
func DefaultCollation(charset string) (*Collation, error) {
	name := CharsetName(charset)
	for i := range collations {
		if c := &collations[i]; c.Charset == name && c.IsDefault {
			return c, nil
		}
	}
	return nil, Errorf(CodeUnknownCharset, "Unknown character set: '%s'", charset)
}

// binaryCollator compares bytes; nothing is ignored.
type binaryCollator struct{}

func (binaryCollator) Compare(a, b []byte) int        { return bytes.Compare(a, b) }
func (binaryCollator) AppendKey(dst, s []byte) []byte { return append(dst, s...) }
func (binaryCollator) KeyIsIdentity() bool            { return true }
func (binaryCollator) PadSpace() bool                 { return false }
func (binaryCollator) CaseInsensitive() bool          { return false }

// paddedBinary compares bytes without trailing spaces.
type paddedBinary struct{}

func (paddedBinary) Compare(a, b []byte) int        { return bytes.Compare(TrimSpaces(a), TrimSpaces(b)) }
func (paddedBinary) AppendKey(dst, s []byte) []byte { return append(dst, TrimSpaces(s)...) }
func (paddedBinary) KeyIsIdentity() bool            { return false }
func (paddedBinary) PadSpace() bool                 { return true }
func (paddedBinary) CaseInsensitive() bool          { return false }

// TrimSpaces cuts trailing spaces.
func TrimSpaces(s []byte) []byte {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// The interface is met by value, so that a comparison of collators is one of types.
var (
	_ Collator    = binaryCollator{}
	_ Collator    = paddedBinary{}
	_ RuneMatcher = (*weightCollator)(nil)
	_ RuneMatcher = (*gbkCollator)(nil)
)
