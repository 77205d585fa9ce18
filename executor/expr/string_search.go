package expr

import (
	"bytes"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// searchFunctions look for strings in strings, by the collation.
func searchFunctions() functions {
	out := functions{
		tipb.ScalarFuncSig_FindInSet: {spec: "ss:i", bind: bindFindInSet},
	}
	for sig, form := range map[tipb.ScalarFuncSig]locateForm{
		tipb.ScalarFuncSig_Instr:           {binary: true, swapped: true},
		tipb.ScalarFuncSig_InstrUTF8:       {swapped: true},
		tipb.ScalarFuncSig_Locate2Args:     {binary: true},
		tipb.ScalarFuncSig_Locate2ArgsUTF8: {},
	} {
		out[sig] = function{spec: "ss:i", bind: form.bind}
	}
	out[tipb.ScalarFuncSig_Locate3Args] = function{spec: "ssi:i", bind: locateForm{binary: true}.bind}
	out[tipb.ScalarFuncSig_Locate3ArgsUTF8] = function{spec: "ssi:i", bind: locateForm{}.bind}
	for letter, sig := range map[string]tipb.ScalarFuncSig{
		"i": tipb.ScalarFuncSig_FieldInt, "r": tipb.ScalarFuncSig_FieldReal, "s": tipb.ScalarFuncSig_FieldString,
	} {
		out[sig] = function{spec: letter + letter + "*:i", nulls: true, bind: bindField}
	}
	return out
}

// charsOf gives the characters of a function's collation.
func (f *frame) charsOf(binary bool) (*chars, error) {
	coll, err := f.collator()
	if err != nil {
		return nil, err
	}
	if binary {
		if coll, err = value.CollatorByID(-collationBinary); err != nil {
			return nil, err
		}
	}
	return newChars(coll, binary), nil
}

// locateForm distinguishes INSTR(s, sub) from LOCATE(sub, s [, from]), and bytes from characters.
type locateForm struct{ binary, swapped bool }

func (l locateForm) bind(f *frame) (kernel, error) {
	c, err := f.charsOf(l.binary)
	if err != nil {
		return nil, err
	}
	return eachRow(func(f *frame, i int) error {
		sub, s := f.a[0].str(i), f.a[1].str(i)
		if l.swapped {
			sub, s = s, sub
		}
		from := 0
		if len(f.a) == 3 {
			if from = f.count(2, i) - 1; from < 0 || from > c.count(s) {
				return f.setInt(i, 0)
			}
		}
		start := c.cut(s, from)
		at := c.index(s[start:], sub)
		if at < 0 {
			return f.setInt(i, 0)
		}
		return f.setInt(i, from+c.count(s[start:start+at])+1)
	}), nil
}

// bindFindInSet is the position of a string in a comma-separated list.
func bindFindInSet(f *frame) (kernel, error) {
	coll, err := f.collator()
	if err != nil {
		return nil, err
	}
	return eachRow(func(f *frame, i int) error {
		s, list := f.a[0].str(i), f.a[1].str(i)
		if len(list) == 0 || bytes.IndexByte(s, ',') >= 0 {
			return f.setInt(i, 0)
		}
		for n := 1; ; n++ {
			item, rest, more := bytes.Cut(list, []byte{','})
			if coll.Compare(s, item) == 0 && trailingSpaces(s) == trailingSpaces(item) {
				return f.setInt(i, n)
			}
			if !more {
				return f.setInt(i, 0)
			}
			list = rest
		}
	}), nil
}

// trailingSpaces counts spaces that most collations ignore, but not FIND_IN_SET.
func trailingSpaces(s []byte) int { return len(s) - len(value.TrimSpaces(s)) }

// bindField is the position of the first argument among the others; NULL is at none.
func bindField(f *frame) (kernel, error) {
	orders := make([]orderFn, len(f.args))
	for k := range f.args {
		var err error
		if orders[k], err = bindOrder(f, f.args[0], f.args[k]); err != nil {
			return nil, err
		}
	}
	return eachRow(func(f *frame, i int) error {
		for k := 1; k < len(f.a) && !f.a[0].null(i); k++ {
			if !f.a[k].null(i) && orders[k](f.a[0], f.a[k], i) == 0 {
				return f.setInt(i, k)
			}
		}
		return f.setInt(i, 0)
	}), nil
}
