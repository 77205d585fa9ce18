package expr

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

func inFunctions() functions {
	out := functions{}
	for letter, sig := range map[string]tipb.ScalarFuncSig{
		"i": tipb.ScalarFuncSig_InInt, "r": tipb.ScalarFuncSig_InReal, "d": tipb.ScalarFuncSig_InDecimal,
		"s": tipb.ScalarFuncSig_InString, "t": tipb.ScalarFuncSig_InTime, "u": tipb.ScalarFuncSig_InDuration,
		"j": tipb.ScalarFuncSig_InJson,
	} {
		out[sig] = function{spec: letter + letter + "*:i", nulls: true, build: buildIn}
	}
	return out
}

// memberFn reports whether row i of v is one of a set of constants.
type memberFn func(v *vec, i int) bool

// inNode is x IN (list). Constants of the list are in a set; what is not constant is compared one by one. The result is
// NULL where x is, and where no element equals x but one of them is NULL.
type inNode struct {
	callNode
	member memberFn // nil: no constants
	null   bool     // a NULL among the constants
	orders []orderFn
	others []int // arguments that are not constant; parallel to orders
	invert bool  // NOT IN
}

func buildIn(s *callSite) (node, error) {
	n := &inNode{}
	call := *s
	fn := *s.fn
	fn.build, fn.bind = nil, func(f *frame) (kernel, error) { return eachRow(n.row), n.bind(f) }
	call.fn = &fn
	c, err := call.node()
	if err != nil {
		return nil, err
	}
	n.callNode = *c.(*callNode)
	n.frame.out = &n.res
	return n, nil
}

func (n *inNode) bind(f *frame) error {
	var consts []*constNode
	for k, a := range f.nums[1:] {
		c, ok := a.(*constNode)
		switch {
		case ok && c.out.null(0):
			n.null = true
		case ok:
			consts = append(consts, c)
		default:
			order, err := bindOrder(f, f.args[0], f.args[k+1])
			if err != nil {
				return err
			}
			n.orders, n.others = append(n.orders, order), append(n.others, k+1)
		}
	}
	if len(consts) == 0 {
		return nil
	}
	var err error
	n.member, err = bindMember(f, f.args[0], consts)
	return err
}

func (n *inNode) row(f *frame, i int) error {
	x := f.a[0]
	if x.null(i) {
		f.out.setNull(i)
		return nil
	}
	f.out.setBool(i, !n.invert)
	if n.member != nil && n.member(x, i) {
		return nil
	}
	null := n.null
	for k, arg := range n.others {
		y := f.a[arg]
		if y.null(i) {
			null = true
		} else if n.orders[k](x, y, i) == 0 {
			return nil
		}
	}
	if f.out.setBool(i, n.invert); null {
		f.out.setNull(i)
	}
	return nil
}

func (n *inNode) negate(ft *tipb.FieldType) bool {
	n.ft, n.invert = ft, !n.invert
	return true
}

// selector tests a column against a list of constants without a boolean column.
func (n *inNode) selector() selectFn {
	col, ok := n.nums[0].(*columnNode)
	if !ok || len(n.others) > 0 || n.member == nil || n.invert && n.null {
		return nil
	}
	return func(in *input, dst []int32) ([]int32, error) {
		v, err := col.eval(in)
		if err != nil {
			return nil, err
		}
		k := 0
		for j := range in.len() {
			i := in.at(j)
			dst[k] = int32(i)
			k += int(b2i(!v.null(i) && n.member(v, i) != n.invert))
		}
		return dst[:k], nil
	}
}

// bindMember builds the set of constants in the form that suits x.
func bindMember(f *frame, x *tipb.FieldType, consts []*constNode) (memberFn, error) {
	switch evalType(x) {
	case etInt, etTime, etDuration:
		return memberInts(x, consts), nil
	case etReal:
		return memberReals(consts), nil
	case etDecimal:
		return memberDecimals(x, consts), nil
	case etJSON:
		return memberByOrder(func(a, b *vec, i int) int { return compareJSON(a.str(i), b.str(i)) }, consts), nil
	default:
		return memberStrings(f, consts)
	}
}

// fewMembers is the length up to which a list is faster to walk than to hash.
const fewMembers = 8

func memberInts(x *tipb.FieldType, consts []*constNode) memberFn {
	words := make([]int64, 0, len(consts))
	unsigned := column.KindOf(x) == column.Uint64
	for _, c := range consts {
		w := c.out.i64[0]
		if w < 0 && unsigned != (c.out.kind == column.Uint64) {
			continue // no value of x's sign has this number
		}
		words = append(words, w)
	}
	return memberWords(words)
}

func memberWords(words []int64) memberFn {
	if len(words) <= fewMembers {
		return func(v *vec, i int) bool {
			x, found := v.int(i), int64(0)
			for _, w := range words {
				found |= b2i(w == x)
			}
			return found != 0
		}
	}
	if low, high := slices.Min(words), slices.Max(words); uint64(high-low) < denseWords*uint64(len(words)) {
		return memberDense(words, low, uint64(high-low))
	}
	set := make(map[int64]struct{}, len(words))
	for _, w := range words {
		set[w] = struct{}{}
	}
	return func(v *vec, i int) bool {
		_, ok := set[v.int(i)]
		return ok
	}
}

// denseWords is how many times as long as the list the interval of its numbers may be for a bitmap of the interval to be
// smaller and faster than a hash table.
const denseWords = 512

func memberDense(words []int64, low int64, span uint64) memberFn {
	bits := make([]uint64, span/64+1)
	for _, w := range words {
		at := uint64(w - low)
		bits[at/64] |= 1 << (at % 64)
	}
	return func(v *vec, i int) bool {
		at := uint64(v.int(i) - low)
		return at <= span && bits[at/64]>>(at%64)&1 != 0
	}
}

func memberReals(consts []*constNode) memberFn {
	set := make(map[float64]struct{}, len(consts))
	for _, c := range consts {
		set[c.out.f64[0]] = struct{}{}
	}
	return func(v *vec, i int) bool {
		_, ok := set[v.real(i)]
		return ok
	}
}

// memberDecimals brings the constants to x's scale; those that are not exact there equal no value of x.
func memberDecimals(x *tipb.FieldType, consts []*constNode) memberFn {
	var words []int64
	set := make(map[decimal256.Num]struct{}, len(consts))
	for _, c := range consts {
		coef, exact := floorAt(c.out.dec(0), scaleOf(x))
		if !exact {
			continue
		}
		if w, ok := narrow64(coef); ok {
			words = append(words, w)
		}
		set[coef] = struct{}{}
	}
	if column.KindOf(x) == column.Decimal64 {
		return memberWords(words)
	}
	return func(v *vec, i int) bool {
		_, ok := set[v.wide(i)]
		return ok
	}
}

func memberByOrder(order orderFn, consts []*constNode) memberFn {
	return func(v *vec, i int) bool {
		for _, c := range consts {
			if order(v, &c.out, i) == 0 {
				return true
			}
		}
		return false
	}
}

// memberStrings keys the set by sort keys, or by the strings themselves where equality is that of bytes.
func memberStrings(f *frame, consts []*constNode) (memberFn, error) {
	c, err := f.collator()
	if err != nil {
		return nil, err
	}
	key := keyOf(c)
	set := make(map[string]struct{}, len(consts))
	for _, k := range consts {
		set[string(key(nil, k.out.str(0)))] = struct{}{}
	}
	var buf []byte
	return func(v *vec, i int) bool {
		buf = key(buf, v.str(i))
		_, ok := set[string(buf)]
		return ok
	}, nil
}

// keyOf gives a function from strings to bytes that are equal if and only if the strings are. It may use buf's memory.
func keyOf(c value.Collator) func(buf, s []byte) []byte {
	switch {
	case isBytewise(c):
		return func(_, s []byte) []byte { return s }
	case !c.CaseInsensitive() && c.PadSpace():
		return func(_, s []byte) []byte { return trimPadding(s) }
	default:
		return func(buf, s []byte) []byte { return c.AppendKey(buf[:0], s) }
	}
}
