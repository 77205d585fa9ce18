package pd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdState keeps State in etcd.
type etcdState struct{ kv clientv3.KV }

var _ State = etcdState{}

func (s etcdState) Load(ctx context.Context, prefix string) ([]Pair, error) {
	resp, err := s.kv.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read %s from etcd: %w", prefix, err)
	}
	out := make([]Pair, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		out[i] = Pair{string(kv.Key), kv.Value}
	}
	return out, nil
}

func (s etcdState) Save(ctx context.Context, pairs ...Pair) error {
	ops := make([]clientv3.Op, len(pairs))
	for i, p := range pairs {
		if p.Value == nil {
			ops[i] = clientv3.OpDelete(p.Key)
		} else {
			ops[i] = clientv3.OpPut(p.Key, string(p.Value))
		}
	}
	if _, err := s.kv.Txn(ctx).Then(ops...).Commit(); err != nil {
		return fmt.Errorf("write to etcd: %w", err)
	}
	return nil
}
