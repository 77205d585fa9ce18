package coprocessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"
)

// crcTable is of CRC-64/XZ.
var crcTable = crc64.MakeTable(crc64.ECMA)

// checksumSlice is how many pairs are read before others get their turn.
const checksumSlice = 4096

// checksum answers a checksum request: the exclusive or of the CRCs of key‖value over all visible pairs, so that it does
// not depend on how the data is cut into regions.
func (e *Endpoint) checksum(ctx context.Context, req *coprocessor.Request) (*coprocessor.Response, error) {
	if err := checkMessage(req.Data, checksumType); err != nil {
		return nil, err
	}
	in := new(tipb.ChecksumRequest)
	if err := in.Unmarshal(req.Data); err != nil {
		return nil, fmt.Errorf("decode checksum request: %w", err)
	}
	if in.Algorithm != tipb.ChecksumAlgorithm_Crc64_Xor {
		return nil, fmt.Errorf("checksum algorithm %s is not supported", in.Algorithm)
	}
	v, err := e.open(ctx, req, in.GetStartTsFallback())
	if err != nil {
		return nil, err
	}
	reader := newRangeReader(v.snap, req.Ranges, 0, v.opts)
	out, err := e.sum(ctx, req.GetContext(), reader, in.Rule)
	if err := errors.Join(err, reader.close(), v.snap.Close()); err != nil {
		return nil, err
	}
	data, err := out.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode checksum response: %w", err)
	}
	return &coprocessor.Response{Data: data}, nil
}

func (e *Endpoint) sum(ctx context.Context, pb *kvrpcpb.Context, reader *rangeReader, rule *tipb.ChecksumRewriteRule) (*tipb.ChecksumResponse, error) {
	turn, err := e.slots.queue(pb)
	if err != nil {
		return nil, err
	}
	if err := turn.take(ctx); err != nil {
		return nil, err
	}
	defer turn.give()
	out := new(tipb.ChecksumResponse)
	for n := 1; ; n++ {
		key, val, ok, err := reader.Next()
		if err != nil || !ok {
			return out, err
		}
		prefix := []byte(nil)
		if rule != nil {
			if !bytes.HasPrefix(key, rule.NewPrefix) {
				return nil, fmt.Errorf("key %x does not begin with the rewrite rule's prefix %x", key, rule.NewPrefix)
			}
			prefix, key = rule.OldPrefix, key[len(rule.NewPrefix):]
		}
		out.Checksum ^= crc64.Update(crc64.Update(crc64.Update(0, crcTable, prefix), crcTable, key), crcTable, val)
		out.TotalKvs++
		out.TotalBytes += uint64(len(prefix) + len(key) + len(val))
		if n%checksumSlice == 0 {
			if err := errors.Join(ctx.Err(), turn.yield(ctx)); err != nil {
				return nil, err
			}
		}
	}
}
