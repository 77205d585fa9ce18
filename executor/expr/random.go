package expr

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// randomFunctions need Context.Random; without it they fail with an *UnsupportedError when they are evaluated.
func randomFunctions() functions {
	return functions{
		tipb.ScalarFuncSig_Rand:          {spec: ":r", row: randRow, volatile: true},
		tipb.ScalarFuncSig_RandomBytes:   {spec: "i:s", row: randomBytesRow, volatile: true},
		tipb.ScalarFuncSig_UUID:          {spec: ":s", bind: bindUUID, volatile: true},
		tipb.ScalarFuncSig_IsUUID:        {spec: "s:i", row: testRow(isUUID)},
		tipb.ScalarFuncSig_UUIDVersion:   {spec: "s:i", row: uuidVersionRow},
		tipb.ScalarFuncSig_UUIDTimestamp: {spec: "s:d", row: uuidTimestampRow},
	}
}

// random is the next random word.
func (f *frame) random() (uint64, error) {
	if f.ctx.Random == nil {
		return 0, &UnsupportedError{What: f.expr.Sig.String() + " without a source of random numbers"}
	}
	return f.ctx.Random(), nil
}

func randRow(f *frame, i int) error {
	x, err := f.random()
	f.out.f64[i] = float64(x>>11) / (1 << 53)
	return err
}

// randomBytesMax is the longest string of RANDOM_BYTES.
const randomBytesMax = 1024

func randomBytesRow(f *frame, i int) error {
	n := f.a[0].int(i)
	if n < 1 || n > randomBytesMax {
		return outOfRange("length", "random_bytes")
	}
	for ; n > 0; n -= 8 {
		x, err := f.random()
		if err != nil {
			return err
		}
		word := binary.LittleEndian.AppendUint64(nil, x)
		f.out.data = append(f.out.data, word[:min(n, 8)]...)
	}
	f.out.end(i)
	return nil
}

// uuidEpoch is the Unix epoch in the 100 ns ticks of UUIDs, which count from 15 October 1582.
const uuidEpoch = 122192928000000000

// bindUUID makes UUIDs of version 1: the statement's time, one tick further with each, and a random node.
func bindUUID(*frame) (kernel, error) {
	ticks, node := uint64(0), uint64(0)
	return eachRow(func(f *frame, i int) error {
		if ticks == 0 {
			var err error
			if node, err = f.random(); err != nil {
				return err
			}
			if f.ctx.Now == nil {
				return &UnsupportedError{What: "UUID without a clock"}
			}
			ticks = uint64(f.ctx.Now().UnixNano()/100) + uuidEpoch + node>>52
		}
		ticks++
		var b [16]byte
		binary.BigEndian.PutUint32(b[0:], uint32(ticks))
		binary.BigEndian.PutUint16(b[4:], uint16(ticks>>32))
		binary.BigEndian.PutUint16(b[6:], uint16(ticks>>48)&0x0fff|0x1000)
		binary.BigEndian.PutUint64(b[8:], node&0x3fff01ffffffffff|0x8000010000000000) // variant, and a node that is no hardware address
		for k, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
			if k > 0 {
				f.out.data = append(f.out.data, '-')
			}
			f.out.data = hex.AppendEncode(f.out.data, part)
		}
		f.out.end(i)
		return nil
	}), nil
}

// isUUID accepts 32 hexadecimal digits, with the usual dashes or without, in braces or not.
func isUUID(s []byte) bool { return len(uuidBytes(s)) == 16 }

// uuidBytes reads a UUID; nil if it is none.
func uuidBytes(s []byte) []byte {
	if len(s) == 38 && s[0] == '{' && s[37] == '}' {
		s = s[1:37]
	}
	digits := make([]byte, 0, 32)
	for k, c := range s {
		if dash := k == 8 || k == 13 || k == 18 || k == 23; len(s) == 36 && dash {
			if c != '-' {
				return nil
			}
			continue
		}
		digits = append(digits, c)
	}
	out, err := hex.DecodeString(string(digits))
	if err != nil || len(out) != 16 {
		return nil
	}
	return out
}

// uuidAt is the UUID in argument 0, or the error that there is none.
func (f *frame) uuidAt(i int) ([]byte, error) {
	s := f.a[0].str(i)
	if b := uuidBytes(s); b != nil {
		return b, nil
	}
	return nil, value.Errorf(1411, "Incorrect string value: %s for function uuid", strconv.Quote(string(s)))
}

func uuidVersionRow(f *frame, i int) error {
	b, err := f.uuidAt(i)
	if err != nil {
		return err
	}
	return f.setInt(i, int(b[6]>>4))
}

// uuidTimestampRow is the Unix time in a UUID of version 1, 6 or 7; others have none.
func uuidTimestampRow(f *frame, i int) error {
	b, err := f.uuidAt(i)
	if err != nil {
		return err
	}
	low, mid, high := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint16(b[4:])), uint64(binary.BigEndian.Uint16(b[6:]))&0x0fff
	switch b[6] >> 4 {
	case 1:
		return f.putTicks(i, high<<48|mid<<32|low)
	case 6:
		return f.putTicks(i, low<<28|mid<<12|high)
	case 7:
		return f.putDec(i, value.DecimalFromScaled(int64(low<<16|mid), 3), true)
	default:
		return f.setNull(i)
	}
}

func (f *frame) putTicks(i int, ticks uint64) error {
	return f.putDec(i, value.DecimalFromScaled(int64(ticks)-uuidEpoch, 7), true)
}
