package transport

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that codec falls back to
	"google.golang.org/grpc/mem"
)

// generated is what messages of kvproto and tipb are: with marshalling code of their own.
type generated interface {
	Size() int
	MarshalToSizedBuffer(b []byte) (int, error)
	Unmarshal(b []byte) error
}

// codec marshals generated messages by their own code and leaves all others to gRPC's codec. Messages are decoded from a
// copy that they own: some keep references into it (sharedbytes.SharedBytes), while gRPC reuses its buffers.
type codec struct{ other encoding.CodecV2 }

var _ encoding.CodecV2 = codec{}

// Codec returns the codec named "proto" that every server and connection of ours uses.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(generated)
	if !ok {
		return c.other.Marshal(v)
	}
	size := m.Size()
	if mem.IsBelowBufferPoolingThreshold(size) {
		b := make([]byte, size)
		if err := marshalInto(m, b); err != nil {
			return nil, err
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	pool := mem.DefaultBufferPool()
	b := pool.Get(size)
	if err := marshalInto(m, (*b)[:size]); err != nil {
		pool.Put(b)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(b, pool)}, nil
}

// marshalInto fills b, which has the message's size.
func marshalInto(m generated, b []byte) error {
	n, err := m.MarshalToSizedBuffer(b)
	if err == nil && n != len(b) {
		err = fmt.Errorf("marshal %T: %d bytes instead of %d: changed meanwhile", m, n, len(b))
	}
	return err
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(generated)
	if !ok {
		return c.other.Unmarshal(data, v)
	}
	return m.Unmarshal(data.Materialize())
}
