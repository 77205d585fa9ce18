package coprocessor

import (
	"bytes"
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/executor"
)

// HandleStream answers a DAG request by messages with a batch of rows each, in TypeDefault: the data of one is a
// tipb.StreamResponse with a tipb.Chunk, and its range is what has been scanned since the one before, where the plan lets that
// be said. The last has warnings and execution details too. A region error or a lock comes alone, and before any rows; another
// error is the last message. The error returned is that of send, or the context's.
func (e *Endpoint) HandleStream(ctx context.Context, req *coprocessor.Request, send func(*coprocessor.Response) error) error {
	whole := *req
	whole.PagingSize = 0 // a stream needs no pages
	m := messages{send: send}
	resp, err := e.stream(ctx, &whole, nil, &batchSink{take: m.take, begin: m.begin, tracks: true})
	if err != nil {
		return err
	}
	return m.end(resp)
}

// messages makes messages of batches. It keeps one back: the last has more to say.
type messages struct {
	send     func(*coprocessor.Response) error
	fields   []*tipb.FieldType
	offsets  []uint32
	last     *tipb.StreamResponse  // not sent yet
	scanned  *coprocessor.KeyRange // by it
	reported *coprocessor.KeyRange // by all messages
}

// begin takes the types of the columns.
func (m *messages) begin(fields []*tipb.FieldType) {
	m.fields = fields
	for i := range fields {
		m.offsets = append(m.offsets, uint32(i))
	}
}

func (m *messages) take(b executor.Batch, scanned *coprocessor.KeyRange) error {
	if b.Len() == 0 {
		return nil
	}
	if err := m.flush(new(coprocessor.Response)); err != nil {
		return err
	}
	rows, err := chunk.AppendDefault(nil, b, m.offsets, m.fields)
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	c := tipb.Chunk{RowsData: rows}
	m.last = new(tipb.StreamResponse)
	if m.last.Data, err = c.Marshal(); err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	m.scanned = m.since(scanned)
	m.reported = scanned
	return nil
}

// since is what of a scanned range the messages so far have not reported. Scans go on at one end.
func (m *messages) since(scanned *coprocessor.KeyRange) *coprocessor.KeyRange {
	switch {
	case scanned == nil || m.reported == nil:
		return scanned
	case bytes.Equal(scanned.Start, m.reported.Start):
		return &coprocessor.KeyRange{Start: m.reported.End, End: scanned.End}
	default:
		return &coprocessor.KeyRange{Start: scanned.Start, End: m.reported.Start}
	}
}

// flush sends the message kept back, in resp.
func (m *messages) flush(resp *coprocessor.Response) error {
	if m.last == nil {
		return nil
	}
	data, err := m.last.Marshal()
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	resp.Data, resp.Range = data, m.scanned
	m.last = nil
	return m.send(resp)
}

// end sends the last message, with what the response without rows says.
func (m *messages) end(resp *coprocessor.Response) error {
	if resp.RegionError != nil || resp.Locked != nil || resp.OtherError != "" || resp.IsCacheHit {
		if err := m.flush(new(coprocessor.Response)); err != nil {
			return err
		}
		return m.send(resp)
	}
	var rest tipb.SelectResponse
	if err := rest.Unmarshal(resp.Data); err != nil {
		return fmt.Errorf("decode the end of a stream: %w", err)
	}
	if rest.Error != nil { // after the rows before it, not with them
		if err := m.flush(new(coprocessor.Response)); err != nil {
			return err
		}
	}
	if m.last == nil {
		m.last, m.scanned = new(tipb.StreamResponse), nil
	}
	m.last.Error, m.last.OutputCounts = rest.Error, rest.OutputCounts
	m.last.Warnings, m.last.WarningCount = rest.Warnings, rest.WarningCount
	return m.flush(resp)
}
