// Package kvbatch holds many key-value pairs in one piece of memory: what a scan of an engine hands to a decoder, so that
// both work in loops of their own.
//
//	Pairs    keys and values, appended pair by pair and forgotten together
//	Strings  byte strings, one behind the other
package kvbatch

// FullBytes is the size of a batch's values at which whoever fills it stops: one that stays in a core's own cache between
// being copied and being decoded, beside the columns that it is decoded to.
const FullBytes = 256 << 10

// Pairs is a list of pairs. The zero value is empty and ready. Slices of it are valid until Reset.
type Pairs struct {
	Keys, Values Strings
}

// Append copies a pair.
func (p *Pairs) Append(key, val []byte) {
	p.Keys.Append(key)
	p.Values.Append(val)
}

// Len is the number of pairs.
func (p *Pairs) Len() int { return p.Values.Len() }

// Full tells whether the values have reached FullBytes.
func (p *Pairs) Full() bool { return len(p.Values.Data) >= FullBytes }

// Bytes is the length of all keys and values.
func (p *Pairs) Bytes() int { return len(p.Keys.Data) + len(p.Values.Data) }

// Reset forgets the pairs and keeps the memory, unless single values have made it much larger than a batch needs.
func (p *Pairs) Reset() {
	if cap(p.Values.Data) > 8*FullBytes {
		p.Values = Strings{}
	}
	p.Keys.reset()
	p.Values.reset()
}

// Strings is a list of byte strings. Readers in tight loops may use the fields.
type Strings struct {
	Data []byte
	// Ends has the end of each string in Data, behind a leading 0; it is empty where no string was ever appended.
	Ends []int
}

// Append copies a string.
func (s *Strings) Append(v []byte) {
	s.Data = append(s.Data, v...)
	s.End()
}

// End makes the bytes appended to Data since the last string the next one.
func (s *Strings) End() {
	if len(s.Ends) == 0 {
		s.Ends = append(s.Ends, 0)
	}
	s.Ends = append(s.Ends, len(s.Data))
}

// Len is the number of strings.
func (s *Strings) Len() int { return max(len(s.Ends)-1, 0) }

// At is the i-th string.
func (s *Strings) At(i int) []byte { return s.Data[s.Ends[i]:s.Ends[i+1]:s.Ends[i+1]] }

func (s *Strings) reset() { s.Data, s.Ends = s.Data[:0], s.Ends[:min(1, len(s.Ends))] }
