package expr

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"
)

// miscFunctions has ANY_VALUE and the functions of network addresses.
func miscFunctions() functions {
	out := functions{
		tipb.ScalarFuncSig_InetAton:     {spec: "s:i", row: inetAtonRow},
		tipb.ScalarFuncSig_InetNtoa:     {spec: "i:s", row: inetNtoaRow},
		tipb.ScalarFuncSig_Inet6Aton:    {spec: "s:s", row: inet6AtonRow},
		tipb.ScalarFuncSig_Inet6Ntoa:    {spec: "s:s", row: inet6NtoaRow},
		tipb.ScalarFuncSig_IsIPv4:       {spec: "s:i", nulls: true, row: testRow(isIPv4)},
		tipb.ScalarFuncSig_IsIPv6:       {spec: "s:i", nulls: true, row: testRow(isIPv6)},
		tipb.ScalarFuncSig_IsIPv4Compat: {spec: "s:i", nulls: true, row: testRow(isIPv4Compat)},
		tipb.ScalarFuncSig_IsIPv4Mapped: {spec: "s:i", nulls: true, row: testRow(isIPv4Mapped)},
	}
	for letter, sig := range map[string]tipb.ScalarFuncSig{
		"i": tipb.ScalarFuncSig_IntAnyValue, "r": tipb.ScalarFuncSig_RealAnyValue, "d": tipb.ScalarFuncSig_DecimalAnyValue,
		"s": tipb.ScalarFuncSig_StringAnyValue, "t": tipb.ScalarFuncSig_TimeAnyValue,
		"u": tipb.ScalarFuncSig_DurationAnyValue, "j": tipb.ScalarFuncSig_JSONAnyValue,
	} {
		out[sig] = function{spec: letter + ":" + letter, row: func(f *frame, i int) error {
			if !f.out.copyRow(i, f.a[0]) {
				return outOfRange("DECIMAL", "%s", f.a[0].dec(i))
			}
			return nil
		}}
	}
	return out
}

// testRow is 1 where a string passes, else 0, also for NULL.
func testRow(test func(s []byte) bool) rowFn {
	return func(f *frame, i int) error {
		f.out.setBool(i, !f.a[0].null(i) && test(f.a[0].str(i)))
		return nil
	}
}

// inetAtonRow reads one to four numbers: the last one fills what the others leave.
func inetAtonRow(f *frame, i int) error {
	parts := bytes.Split(f.a[0].str(i), []byte{'.'})
	if len(parts) > 4 {
		return f.setNull(i)
	}
	n := uint64(0)
	for k, p := range parts {
		b, err := strconv.ParseUint(string(p), 10, 8)
		if err != nil || p[0] == '+' {
			return f.setNull(i)
		}
		if k == len(parts)-1 {
			n <<= 8 * (4 - len(parts))
		}
		n = n<<8 | b
	}
	f.out.i64[i] = int64(n)
	return nil
}

func inetNtoaRow(f *frame, i int) error {
	n := f.a[0].uint(i)
	if n > 1<<32-1 {
		return f.setNull(i)
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	f.out.data = netip.AddrFrom4(b).AppendTo(f.out.data)
	f.out.end(i)
	return nil
}

// parseAddr reads an address without zone.
func parseAddr(s []byte) (netip.Addr, bool) {
	a, err := netip.ParseAddr(string(s))
	return a, err == nil && a.Zone() == ""
}

func inet6AtonRow(f *frame, i int) error {
	a, ok := parseAddr(f.a[0].str(i))
	if !ok {
		return f.setNull(i)
	}
	return f.put(i, a.AsSlice())
}

func inet6NtoaRow(f *frame, i int) error {
	a, ok := netip.AddrFromSlice(f.a[0].str(i))
	if !ok {
		return f.setNull(i)
	}
	f.out.data = a.AppendTo(f.out.data)
	f.out.end(i)
	return nil
}

func isIPv4(s []byte) bool {
	a, ok := parseAddr(s)
	return ok && a.Is4()
}

func isIPv6(s []byte) bool {
	a, ok := parseAddr(s)
	return ok && a.Is6()
}

// isIPv4Compat tests the 16 bytes of an address: twelve zeros, then an address of its own that is not 0.0.0.0 or 0.0.0.1.
func isIPv4Compat(s []byte) bool {
	return len(s) == 16 && bytes.Count(s[:12], []byte{0}) == 12 && binary.BigEndian.Uint32(s[12:]) > 1
}

func isIPv4Mapped(s []byte) bool {
	return len(s) == 16 && bytes.Count(s[:10], []byte{0}) == 10 && s[10] == 0xff && s[11] == 0xff
}
