package pd

import (
	"context"
	"errors"

	meta "github.com/pingcap/kvproto/pkg/meta_storagepb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metaService is meta_storagepb.MetaStorage: a plain door to etcd, through which clients look for further services and
// for settings, and keep some of their own.
type metaService struct {
	meta.UnimplementedMetaStorageServer
	clusterID uint64
	etcd      *clientv3.Client
}

var _ meta.MetaStorageServer = (*metaService)(nil)

func (s *metaService) check(h *meta.RequestHeader) error {
	if id := h.GetClusterId(); id != 0 && id != s.clusterID {
		return status.Errorf(codes.FailedPrecondition, "mismatch cluster id, need %d but got %d", s.clusterID, id)
	}
	return nil
}

func (s *metaService) header(revision int64, err error) *meta.ResponseHeader {
	h := &meta.ResponseHeader{ClusterId: s.clusterID, Revision: revision}
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		h.Error = &meta.Error{Type: meta.ErrorType_DATA_COMPACTED, Message: err.Error()}
	case err != nil:
		h.Error = &meta.Error{Type: meta.ErrorType_UNKNOWN, Message: err.Error()}
	}
	return h
}

// Get reads a key or a range.
func (s *metaService) Get(ctx context.Context, req *meta.GetRequest) (*meta.GetResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	opts := rangeOption(req.RangeEnd)
	opts = append(opts, clientv3.WithLimit(req.Limit), clientv3.WithRev(req.Revision))
	resp, err := s.etcd.Get(ctx, string(req.Key), opts...)
	if err != nil {
		return &meta.GetResponse{Header: s.header(0, err)}, nil
	}
	out := &meta.GetResponse{Header: s.header(resp.Header.Revision, nil), More: resp.More, Count: resp.Count}
	for _, kv := range resp.Kvs {
		out.Kvs = append(out.Kvs, metaKV(kv))
	}
	return out, nil
}

// Put writes a key.
func (s *metaService) Put(ctx context.Context, req *meta.PutRequest) (*meta.PutResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	opts := []clientv3.OpOption{clientv3.WithLease(clientv3.LeaseID(req.Lease))}
	if req.PrevKv {
		opts = append(opts, clientv3.WithPrevKV())
	}
	resp, err := s.etcd.Put(ctx, string(req.Key), string(req.Value), opts...)
	if err != nil {
		return &meta.PutResponse{Header: s.header(0, err)}, nil
	}
	return &meta.PutResponse{Header: s.header(resp.Header.Revision, nil), PrevKv: metaKV(resp.PrevKv)}, nil
}

// Delete removes a key or a range.
func (s *metaService) Delete(ctx context.Context, req *meta.DeleteRequest) (*meta.DeleteResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	opts := rangeOption(req.RangeEnd)
	if req.PrevKv {
		opts = append(opts, clientv3.WithPrevKV())
	}
	resp, err := s.etcd.Delete(ctx, string(req.Key), opts...)
	if err != nil {
		return &meta.DeleteResponse{Header: s.header(0, err)}, nil
	}
	out := &meta.DeleteResponse{Header: s.header(resp.Header.Revision, nil), Deleted: resp.Deleted}
	for _, kv := range resp.PrevKvs {
		out.PrevKvs = append(out.PrevKvs, metaKV(kv))
	}
	return out, nil
}

// Watch sends changes of a key or a range until the client goes.
func (s *metaService) Watch(req *meta.WatchRequest, stream meta.MetaStorage_WatchServer) error {
	if err := s.check(req.GetHeader()); err != nil {
		return err
	}
	opts := append(rangeOption(req.RangeEnd), clientv3.WithRev(req.StartRevision))
	if req.PrevKv {
		opts = append(opts, clientv3.WithPrevKV())
	}
	for resp := range s.etcd.Watch(stream.Context(), string(req.Key), opts...) {
		out := &meta.WatchResponse{
			Header: s.header(resp.Header.Revision, resp.Err()), CompactRevision: resp.CompactRevision,
		}
		for _, e := range resp.Events {
			event := &meta.Event{Kv: metaKV(e.Kv), PrevKv: metaKV(e.PrevKv)}
			if e.Type == mvccpb.DELETE {
				event.Type = meta.Event_DELETE
			}
			out.Events = append(out.Events, event)
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
	return stream.Context().Err()
}

func rangeOption(end []byte) []clientv3.OpOption {
	if len(end) == 0 {
		return nil
	}
	return []clientv3.OpOption{clientv3.WithRange(string(end))}
}

func metaKV(kv *mvccpb.KeyValue) *meta.KeyValue {
	if kv == nil {
		return nil
	}
	return &meta.KeyValue{
		Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision,
		Version: kv.Version, Lease: kv.Lease,
	}
}
