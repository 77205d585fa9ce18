package flight

import (
	"bytes"
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/memory"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/coprocessor"
)

const (
	// endpointsMax bounds the regions of one answer.
	endpointsMax = 1 << 14
	// ticketBytesMax bounds the tickets of one answer together.
	ticketBytesMax = 256 << 20
)

// GetFlightInfo implements flight.FlightServer. A request without a timestamp gets a new one, the same in all tickets.
func (s *Service) GetFlightInfo(ctx context.Context, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	req, schema, err := s.command(d)
	if err != nil {
		return nil, err
	}
	if req.StartTs == 0 {
		if req.StartTs, err = s.d.Placement.TS(ctx); err != nil {
			return nil, asStatus(fmt.Errorf("timestamp: %w", err))
		}
	}
	c := cutter{s: s, stores: make(map[uint64]string)}
	parts, err := c.cut(ctx, req.Ranges)
	if err != nil {
		return nil, err
	}
	info := &flight.FlightInfo{
		Schema: flight.SerializeSchema(schema, memory.DefaultAllocator), FlightDescriptor: d, TotalRecords: -1, TotalBytes: -1,
	}
	size := 0
	for _, p := range parts {
		ticket, err := p.request(req, s.d.ClusterID).Marshal()
		if err != nil {
			return nil, status.Errorf(codes.Internal, "encode ticket: %v", err)
		}
		if size += len(ticket); size > ticketBytesMax {
			return nil, status.Error(codes.ResourceExhausted, "the tickets are too large together: ask for fewer ranges")
		}
		info.Endpoint = append(info.Endpoint, &flight.FlightEndpoint{
			Ticket: &flight.Ticket{Ticket: ticket}, Location: []*flight.Location{{Uri: "grpc+tcp://" + p.addr}},
		})
	}
	return info, nil
}

// GetSchema implements flight.FlightServer.
func (s *Service) GetSchema(_ context.Context, d *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	_, schema, err := s.command(d)
	if err != nil {
		return nil, err
	}
	return &flight.SchemaResult{Schema: flight.SerializeSchema(schema, memory.DefaultAllocator)}, nil
}

// command reads a descriptor: a request, and the schema of its answer.
func (s *Service) command(d *flight.FlightDescriptor) (*copb.Request, *arrow.Schema, error) {
	if d.GetType() != flight.DescriptorCMD {
		return nil, nil, status.Error(codes.InvalidArgument, "the descriptor must be a command: a coprocessor request without a region")
	}
	req, dag, err := s.decode(d.GetCmd())
	if err != nil {
		return nil, nil, err
	}
	fields, err := coprocessor.Fields(dag)
	if err != nil {
		return nil, nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if req.StartTs == 0 {
		req.StartTs = dag.GetStartTsFallback()
	}
	schema, _ := schemaOf(fields)
	return req, schema, nil
}

// part is what one region has of a request.
type part struct {
	region *metapb.Region
	leader *metapb.Peer
	addr   string
	ranges []*copb.KeyRange
}

// request is whole for this region alone.
func (p *part) request(whole *copb.Request, clusterID uint64) *copb.Request {
	rc := kvrpcpb.Context{}
	if whole.Context != nil {
		rc = *whole.Context
	}
	rc.ClusterId, rc.RegionId, rc.RegionEpoch, rc.Peer = clusterID, p.region.Id, p.region.RegionEpoch, p.leader
	own := *whole
	own.Context, own.Ranges = &rc, p.ranges
	return &own
}

// cutter cuts key ranges at the bounds of regions.
type cutter struct {
	s      *Service
	stores map[uint64]string // addresses known
	parts  []*part
}

// cut gives the parts of ascending ranges in key order.
func (c *cutter) cut(ctx context.Context, ranges []*copb.KeyRange) ([]*part, error) {
	for _, r := range ranges {
		for start, done := r.Start, false; !done; {
			p, err := c.partOf(ctx, start)
			if err != nil {
				return nil, err
			}
			end := r.End
			regionEnd := memcmp.Ceil(p.region.EndKey) // raw keys may have made it
			done = len(regionEnd) == 0 || len(end) > 0 && bytes.Compare(end, regionEnd) <= 0
			if !done {
				end = regionEnd
			}
			p.ranges = append(p.ranges, &copb.KeyRange{Start: start, End: end})
			start = end
		}
	}
	return c.parts, nil
}

// partOf is the part of the region that has key: the last one, or a new one.
func (c *cutter) partOf(ctx context.Context, key []byte) (*part, error) {
	encoded := memcmp.AppendBytes(nil, key)
	if n := len(c.parts); n > 0 && contains(c.parts[n-1].region, encoded) {
		return c.parts[n-1], nil
	}
	if len(c.parts) == endpointsMax {
		return nil, status.Errorf(codes.ResourceExhausted, "the ranges touch more than %d regions", endpointsMax)
	}
	region, leader, err := c.s.d.Placement.Region(ctx, encoded)
	if err != nil {
		return nil, asStatus(fmt.Errorf("find the region of key %x: %w", key, err))
	}
	if region == nil || leader.GetId() == 0 || !contains(region, encoded) {
		return nil, status.Errorf(codes.Unavailable, "the region of key %x has no leader now", key)
	}
	addr, err := c.addr(ctx, leader.StoreId)
	if err != nil {
		return nil, err
	}
	p := &part{region: region, leader: leader, addr: addr}
	c.parts = append(c.parts, p)
	return p, nil
}

func contains(r *metapb.Region, encoded []byte) bool {
	return bytes.Compare(r.StartKey, encoded) <= 0 && (len(r.EndKey) == 0 || bytes.Compare(encoded, r.EndKey) < 0)
}

func (c *cutter) addr(ctx context.Context, storeID uint64) (string, error) {
	if a := c.stores[storeID]; a != "" {
		return a, nil
	}
	store, err := c.s.d.Placement.Store(ctx, storeID)
	if err != nil {
		return "", asStatus(fmt.Errorf("find store %d: %w", storeID, err))
	}
	c.stores[storeID] = store.GetAddress()
	return store.GetAddress(), nil
}
