package value

import "bytes"

// EnumName is the 1-based element n of elems, "" for 0.
func EnumName(elems []string, n uint64) string {
	if n == 0 || n > uint64(len(elems)) {
		return ""
	}
	return elems[n-1]
}

// AppendSetNames appends the comma-separated elements of mask.
func AppendSetNames(dst []byte, elems []string, mask uint64) []byte {
	first := true
	for i, e := range elems {
		if mask>>i&1 == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		dst, first = append(dst, e...), false
	}
	return dst
}

// ParseEnum finds the 1-based number of an element by name under a collation, or else by a number in the string; ok is false
// where neither is an element.
func ParseEnum(elems []string, name []byte, c Collator) (n uint64, ok bool) {
	if n, ok = enumByName(elems, name, c); ok {
		return n, true
	}
	n, ok = parseIndex(name)
	return n, ok && n >= 1 && n <= uint64(len(elems))
}

func enumByName(elems []string, name []byte, c Collator) (uint64, bool) {
	name = TrimSpaces(name)
	for i, e := range elems {
		if e == string(name) {
			return uint64(i + 1), true
		}
	}
	for i, e := range elems {
		if c.Compare([]byte(e), name) == 0 {
			return uint64(i + 1), true
		}
	}
	return 0, false
}

// parseIndex reads an unsigned number that is all of s.
func parseIndex(s []byte) (uint64, bool) {
	if len(s) == 0 || len(s) > 20 || digitRun(s) != len(s) {
		return 0, false
	}
	d, _, err := ParseDecimal(s)
	if err != nil {
		return 0, false
	}
	return d.Uint64()
}

// ParseSet finds the mask of comma-separated names under a collation, or else of a number in the string; ok is false
// where something is neither, and mask then holds what was found.
func ParseSet(elems []string, names []byte, c Collator) (mask uint64, ok bool) {
	if len(names) == 0 {
		return 0, true
	}
	if n, isNumber := parseIndex(names); isNumber {
		if _, named := enumByName(elems, names, c); !named {
			return n & SetMask(elems), n&^SetMask(elems) == 0
		}
	}
	ok = true
	for rest, more := names, true; more; {
		var name []byte
		name, rest, more = bytes.Cut(rest, []byte{','})
		n, found := enumByName(elems, name, c)
		if found {
			mask |= 1 << (n - 1)
		}
		ok = ok && found
	}
	return mask, ok
}

// SetMask has a bit for every element.
func SetMask(elems []string) uint64 {
	if len(elems) >= 64 {
		return 1<<64 - 1
	}
	return 1<<len(elems) - 1
}
