package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

const (
	compressedHeader = 7
	// compressMin is the size below which a payload is sent as it is.
	compressMin = 50
)

// compressed is the layer that CLIENT_COMPRESS puts below packets: frames of up to 16 MiB, each with its length,
// a sequence number of its own, and the length of its inside (0: not compressed).
type compressed struct {
	rw  io.ReadWriter
	seq uint8
	in  bytes.Reader
	buf []byte
	raw []byte
	z   io.ReadCloser
	zw  *zlib.Writer
	out bytes.Buffer
}

func newCompressed(rw io.ReadWriter) *compressed { return &compressed{rw: rw} }

// Read returns bytes of the inside of frames.
func (c *compressed) Read(p []byte) (int, error) {
	for c.in.Len() == 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	return c.in.Read(p)
}

func (c *compressed) fill() error {
	var h [compressedHeader]byte
	if _, err := io.ReadFull(c.rw, h[:]); err != nil {
		return err
	}
	c.seq = h[3] + 1
	size, inside := uint24(h[0:]), uint24(h[4:])
	var err error
	if c.raw, err = readBounded(c.rw, c.raw[:0], size); err != nil {
		return err
	}
	if inside == 0 {
		c.in.Reset(c.raw)
		return nil
	}
	return c.inflate(inside)
}

func (c *compressed) inflate(inside int) error {
	src := bytes.NewReader(c.raw)
	if c.z == nil {
		z, err := zlib.NewReader(src)
		if err != nil {
			return fmt.Errorf("compressed packet: %w", err)
		}
		c.z = z
	} else if err := c.z.(zlib.Resetter).Reset(src, nil); err != nil {
		return fmt.Errorf("compressed packet: %w", err)
	}
	var err error
	if c.buf, err = readBounded(c.z, c.buf[:0], inside); err != nil {
		return fmt.Errorf("compressed packet: %w", err)
	}
	c.in.Reset(c.buf)
	return nil
}

// readBounded appends size bytes of r to buf, growing it as they come.
func readBounded(r io.Reader, buf []byte, size int) ([]byte, error) {
	for size > 0 {
		n := min(size, readChunk)
		start := len(buf)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[start:]); err != nil {
			return buf, unexpected(err)
		}
		size -= n
	}
	return buf, nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// Write sends p in frames.
func (c *compressed) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), maxPayload)
		if err := c.writeFrame(p[:n]); err != nil {
			return written, err
		}
		written, p = written+n, p[n:]
	}
	return written, nil
}

func (c *compressed) writeFrame(p []byte) error {
	c.out.Reset()
	c.out.Write(make([]byte, compressedHeader))
	inside := 0
	if len(p) >= compressMin {
		inside = len(p)
		if err := c.deflate(p); err != nil {
			return err
		}
	}
	if inside == 0 || c.out.Len()-compressedHeader >= len(p) {
		inside = 0
		c.out.Truncate(compressedHeader)
		c.out.Write(p)
	}
	b := c.out.Bytes()
	size := len(b) - compressedHeader
	b[0], b[1], b[2], b[3] = byte(size), byte(size>>8), byte(size>>16), c.seq
	b[4], b[5], b[6] = byte(inside), byte(inside>>8), byte(inside>>16)
	c.seq++
	_, err := c.rw.Write(b)
	return err
}

func (c *compressed) deflate(p []byte) error {
	if c.zw == nil {
		c.zw = zlib.NewWriter(&c.out)
	} else {
		c.zw.Reset(&c.out)
	}
	_, err := c.zw.Write(p)
	return errors.Join(err, c.zw.Close())
}
