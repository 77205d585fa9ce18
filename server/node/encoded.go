package node

import (
	"context"
	"errors"
	"fmt"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
)

// encoded is a store that is asked for rows as TiKV's clients ask: one message for each request, in an encoding of theirs.
type encoded struct {
	remote
	encode tipb.EncodeType
}

// Query asks for encoded rows and hands them on as batches. Rows of receivers are in the request, or nowhere.
func (s encoded) Query(ctx context.Context, req *copb.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (*copb.Response, error) {
	if len(given) > 0 {
		return nil, errors.New("rows of receivers have to be in the request")
	}
	asked, fields, err := s.request(req)
	if err != nil {
		return nil, err
	}
	resp, err := s.rpc.Coprocessor(ctx, asked)
	if err != nil || resp.RegionError != nil || resp.Locked != nil || resp.OtherError != "" {
		return resp, err
	}
	rows := new(tipb.SelectResponse)
	if err := rows.Unmarshal(resp.Data); err != nil {
		return nil, fmt.Errorf("decode rows: %w", err)
	}
	decode := chunk.DecodeChunk
	if rows.EncodeType != tipb.EncodeType_TypeChunk {
		decode = chunk.DecodeDefault
	}
	for _, c := range rows.Chunks {
		batch, err := decode(c.RowsData, fields)
		if err != nil {
			return nil, fmt.Errorf("decode rows: %w", err)
		}
		if err := sink(batch); err != nil {
			return nil, err
		}
	}
	rows.Chunks = nil
	resp.Data, err = rows.Marshal()
	return resp, err
}

// request is req in s's encoding, with the types of the columns that it asks for.
func (s encoded) request(req *copb.Request) (*copb.Request, []*tipb.FieldType, error) {
	dag := new(tipb.DAGRequest)
	if err := dag.Unmarshal(req.Data); err != nil {
		return nil, nil, fmt.Errorf("decode DAG request: %w", err)
	}
	fields, err := coprocessor.Fields(dag)
	if err != nil {
		return nil, nil, err
	}
	dag.EncodeType = s.encode
	asked := *req
	asked.Data, err = dag.Marshal()
	return &asked, fields, err
}
