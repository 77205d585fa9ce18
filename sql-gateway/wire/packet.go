package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

const (
	headerSize    = 4
	maxPayload    = 1<<24 - 1
	flushSize     = 64 << 10
	readChunk     = 64 << 10
	keepInputSize = 1 << 20
)

// errSequence and errTooLarge end a connection: what follows on the stream cannot be trusted or will not be read.
var (
	errSequence = errors.New("packets out of order")
	errTooLarge = errors.New("packet is larger than max_allowed_packet")
)

// packets frames packets over a stream. Reads reuse one buffer; writes gather in another until it is worth a system
// call or flush is called.
//
// A packet under construction starts with begin, is appended to through the out field, and is sealed with end:
//
//	out: | sealed packets ... | header (4, blank) payload so far |
//	                          ^ open
type packets struct {
	r   *bufio.Reader
	w   io.Writer
	in  []byte
	out []byte
	// open is where the packet under construction starts.
	open int
	seq  uint8
	// limit bounds the payload of one logical packet, in bytes.
	limit int
}

func newPackets(rw io.ReadWriter, limit int) *packets {
	return &packets{r: bufio.NewReaderSize(rw, 16<<10), w: rw, limit: limit}
}

// read returns the payload of the next logical packet, valid until the next read. Memory grows with what has really
// arrived, never with what a header promises.
func (p *packets) read() ([]byte, error) {
	if cap(p.in) > keepInputSize {
		p.in = nil
	}
	p.in = p.in[:0]
	for {
		size, err := p.readHeader()
		if err != nil {
			return nil, err
		}
		if len(p.in)+size > p.limit {
			return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, p.limit)
		}
		if err := p.readPayload(size); err != nil {
			return nil, err
		}
		if size < maxPayload {
			return p.in, nil
		}
	}
}

func (p *packets) readHeader() (int, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(p.r, h[:]); err != nil {
		return 0, err
	}
	if h[3] != p.seq {
		return 0, fmt.Errorf("%w: got %d, want %d", errSequence, h[3], p.seq)
	}
	p.seq++
	return int(h[0]) | int(h[1])<<8 | int(h[2])<<16, nil
}

func (p *packets) readPayload(size int) error {
	for size > 0 {
		n := min(size, readChunk)
		start := len(p.in)
		p.in = append(p.in, make([]byte, n)...)
		if _, err := io.ReadFull(p.r, p.in[start:]); err != nil {
			return unexpected(err)
		}
		size -= n
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// begin starts a packet.
func (p *packets) begin() {
	p.open = len(p.out)
	p.out = append(p.out, 0, 0, 0, 0)
}

// end seals the packet that begin started, and sends what has gathered if it is much.
func (p *packets) end() error {
	payload := len(p.out) - p.open - headerSize
	if payload >= maxPayload {
		p.split()
	} else {
		p.putHeader(p.open, payload)
	}
	if len(p.out) >= flushSize {
		return p.flush()
	}
	return nil
}

// abort drops the packet that begin started.
func (p *packets) abort() { p.out = p.out[:p.open] }

func (p *packets) putHeader(at, size int) {
	h := p.out[at : at+headerSize]
	h[0], h[1], h[2], h[3] = byte(size), byte(size>>8), byte(size>>16), p.seq
	p.seq++
}

// split cuts an open packet of 16 MiB or more into full packets and a shorter, perhaps empty, last one.
func (p *packets) split() {
	payload := append([]byte(nil), p.out[p.open+headerSize:]...)
	p.out = p.out[:p.open]
	for {
		n := min(len(payload), maxPayload)
		at := len(p.out)
		p.out = append(append(p.out, 0, 0, 0, 0), payload[:n]...)
		p.putHeader(at, n)
		payload = payload[n:]
		if n < maxPayload {
			return
		}
	}
}

// flush sends the sealed packets.
func (p *packets) flush() error {
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.w.Write(p.out)
	if cap(p.out) > keepInputSize {
		p.out = nil
	}
	p.out = p.out[:0]
	return err
}

// resetSequence starts a new command.
func (p *packets) resetSequence() { p.seq = 0 }
