package expr

import (
	"strings"
	"sync"

	"github.com/pingcap/tipb/go-tipb"
)

// function describes how a signature is evaluated: by build if it is set, else by row or by bind.
// See the package comment.
type function struct {
	// spec has one letter per argument, then ':' and the result's: i integer, r real, d decimal, s string, t time,
	// u duration, j JSON, v vector, x anything. '*' after a letter repeats it any number of times (also zero); letters after '?'
	// are optional.
	spec  string
	row   rowFn
	bind  func(f *frame) (kernel, error)
	build func(call *callSite) (node, error)

	nulls    bool // sees rows where arguments are NULL
	total    bool // neither fails nor warns whatever the bits: may be run on any row
	volatile bool // not to be folded
}

// functions is one family's table.
type functions map[tipb.ScalarFuncSig]function

// families are the tables of all functions; no signature is in two of them.
func families() []functions {
	return []functions{
		compareFunctions(), inFunctions(), arithFunctions(), logicFunctions(), controlFunctions(), mathFunctions(),
		castFromNumbers(), castFromStrings(), castFromTimes(), castJSON(),
		stringFunctions(), searchFunctions(), likeFunctions(), regexpFunctions(), reportFunctions(),
		timeFunctions(), dateAddFunctions(), timeAddFunctions(), timeMakers(), extremeFunctions(),
		jsonFunctions(), jsonChangers(), jsonReports(), vectorFunctions(), cryptoFunctions(), miscFunctions(), randomFunctions(),
	}
}

// registry maps every known signature to its function.
var registry = sync.OnceValue(func() map[tipb.ScalarFuncSig]*function {
	out := map[tipb.ScalarFuncSig]*function{}
	for _, family := range families() {
		for sig, f := range family {
			out[sig] = &f
		}
	}
	return out
})

// etype is the way a value is computed with, as a letter of function.spec.
type etype byte

const (
	etInt      etype = 'i'
	etReal     etype = 'r'
	etDecimal  etype = 'd'
	etString   etype = 's'
	etTime     etype = 't'
	etDuration etype = 'u'
	etJSON     etype = 'j'
	etVector   etype = 'v'
	etAny      etype = 'x' // of an argument that the function itself looks at
)

// letter is the type of argument k of n; ok is false where the spec has no such argument.
func (f *function) letter(k, n int) (_ etype, ok bool) {
	args, _, _ := strings.Cut(f.spec, ":")
	if must, may, optional := strings.Cut(args, "?"); optional {
		if k >= n || n < len(must) || n > len(must)+len(may) {
			return 0, false
		}
		return etype((must + may)[k]), true
	}
	fixed, repeated, variadic := strings.Cut(args, "*")
	if !variadic {
		if k >= len(args) || n != len(args) {
			return 0, false
		}
		return etype(args[k]), true
	}
	// "ss*" is one s and then any number more; letters after the star stand at the end.
	head, last := fixed[:len(fixed)-1], fixed[len(fixed)-1]
	switch {
	case n < len(head)+len(repeated):
		return 0, false
	case k < len(head):
		return etype(head[k]), true
	case k >= n-len(repeated):
		return etype(repeated[k-(n-len(repeated))]), true
	default:
		return etype(last), true
	}
}

func (f *function) result() etype { return etype(f.spec[len(f.spec)-1]) }

// accepts reports whether the spec admits n arguments.
func (f *function) accepts(n int) bool {
	if n == 0 {
		args, _, _ := strings.Cut(f.spec, ":")
		return args == "" || len(args) == 2 && args[1] == '*'
	}
	_, ok := f.letter(0, n)
	return ok
}
