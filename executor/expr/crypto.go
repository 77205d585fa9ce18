package expr

import (
	"bytes"
	"compress/zlib"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"io"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// cryptoFunctions has digests and compression.
func cryptoFunctions() functions {
	return functions{
		tipb.ScalarFuncSig_MD5: {spec: "s:s", row: func(f *frame, i int) error {
			sum := md5.Sum(f.a[0].str(i))
			return f.putHex(i, sum[:])
		}},
		tipb.ScalarFuncSig_SHA1: {spec: "s:s", row: func(f *frame, i int) error {
			sum := sha1.Sum(f.a[0].str(i))
			return f.putHex(i, sum[:])
		}},
		tipb.ScalarFuncSig_SHA2:               {spec: "si:s", row: sha2Row},
		tipb.ScalarFuncSig_Password:           {spec: "s:s", row: passwordRow},
		tipb.ScalarFuncSig_Compress:           {spec: "s:s", row: compressRow},
		tipb.ScalarFuncSig_Uncompress:         {spec: "s:s", row: uncompressRow},
		tipb.ScalarFuncSig_UncompressedLength: {spec: "s:i", row: uncompressedLengthRow},
	}
}

// putHex stores bytes as lower-case hexadecimal digits.
func (f *frame) putHex(i int, b []byte) error {
	f.out.data = hex.AppendEncode(f.out.data, b)
	f.out.end(i)
	return nil
}

func sha2Row(f *frame, i int) error {
	s := f.a[0].str(i)
	switch f.a[1].int(i) {
	case 0, 256:
		sum := sha256.Sum256(s)
		return f.putHex(i, sum[:])
	case 224:
		sum := sha256.Sum224(s)
		return f.putHex(i, sum[:])
	case 384:
		sum := sha512.Sum384(s)
		return f.putHex(i, sum[:])
	case 512:
		sum := sha512.Sum512(s)
		return f.putHex(i, sum[:])
	default:
		return f.setNull(i)
	}
}

// passwordRow is the hash of mysql_native_password.
func passwordRow(f *frame, i int) error {
	s := f.a[0].str(i)
	if len(s) == 0 {
		return f.put(i, nil)
	}
	first := sha1.Sum(s)
	second := sha1.Sum(first[:])
	f.out.data = appendHex(append(f.out.data, '*'), second[:])
	f.out.end(i)
	return nil
}

// compressRow is the length, four bytes little-endian, and a zlib stream; a stream that ends with a space gets a dot, as
// trailing spaces may be lost in CHAR columns.
func compressRow(f *frame, i int) error {
	s := f.a[0].str(i)
	if len(s) == 0 {
		return f.put(i, nil)
	}
	var buf bytes.Buffer
	buf.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	w := zlib.NewWriter(&buf)
	if _, err := w.Write(s); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	out := buf.Bytes()
	if out[len(out)-1] == ' ' {
		out = append(out, '.')
	}
	return f.put(i, out)
}

var errUncompress = value.Errorf(1259, "ZLIB: Input data corrupted")

func uncompressRow(f *frame, i int) error {
	s := f.a[0].str(i)
	if len(s) == 0 {
		return f.put(i, nil)
	}
	corrupt := func() error {
		f.ctx.Warnings.Add(errUncompress)
		return f.setNull(i)
	}
	if len(s) <= 4 {
		return corrupt()
	}
	size := int64(binary.LittleEndian.Uint32(s) & 0x3fffffff)
	if size > int64(f.ctx.packet()) {
		return f.tooLong(i, "uncompress")
	}
	r, err := zlib.NewReader(bytes.NewReader(s[4:]))
	if err != nil {
		return corrupt()
	}
	out, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil || int64(len(out)) > size {
		return corrupt()
	}
	return f.put(i, out)
}

func uncompressedLengthRow(f *frame, i int) error {
	s := f.a[0].str(i)
	switch {
	case len(s) == 0:
		return f.setInt(i, 0)
	case len(s) <= 4:
		f.ctx.Warnings.Add(errUncompress)
		return f.setInt(i, 0)
	default:
		return f.setInt(i, int(binary.LittleEndian.Uint32(s)&0x3fffffff))
	}
}
