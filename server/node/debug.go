package node

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/debugpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/storage"
)

// debugService is the part of TiKV's debugging interface that a store has: what it does not have answers Unimplemented.
type debugService struct {
	debugpb.UnimplementedDebugServer
	s *Store
}

// families are the column families by the names of the protocol.
var families = map[string]storage.CF{"default": storage.CFDefault, "lock": storage.CFLock, "write": storage.CFWrite}

// Compact implements debugpb.DebugServer: it rewrites a range of encoded keys of one family, in which empty bounds are
// open, and returns when that is done. Keys begin with TiKV's prefix for data.
func (d *debugService) Compact(ctx context.Context, req *debugpb.CompactRequest) (*debugpb.CompactResponse, error) {
	cf, ok := families[req.Cf]
	if !ok || req.Db != debugpb.DB_KV {
		return nil, status.Errorf(codes.InvalidArgument, "no family %q in database %s", req.Cf, req.Db)
	}
	from, err := dataKey(req.FromKey)
	if err != nil {
		return nil, err
	}
	to, err := dataKey(req.ToKey)
	if err != nil {
		return nil, err
	}
	if err := d.s.data.Compact(ctx, cf, from, to); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &debugpb.CompactResponse{}, nil
}

// dataPrefix is what TiKV has before keys of its data.
const dataPrefix = 'z'

func dataKey(key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, nil
	}
	if key[0] != dataPrefix {
		return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("key %x does not begin with %q", key, dataPrefix))
	}
	return key[1:], nil
}
