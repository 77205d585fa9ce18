package flight

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"google.golang.org/grpc/metadata"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
)

// The headers of a DoGet that make it answer as gateways want it.
const (
	// ColumnsHeader is Physical for columns as package column has them; without it they have Arrow's own types.
	ColumnsHeader = "scree-columns"
	Physical      = "physical"
	// GivenHeader, once for each receiver of the plan in its order, is what DoPut answered to its rows.
	GivenHeader = "scree-given"
)

func wantsPhysical(h metadata.MD) bool {
	v := h.Get(ColumnsHeader)
	return len(v) == 1 && v[0] == Physical
}

// getPhysical answers a DoGet in physical columns. The app metadata of a batch is a coprocessor.KeyRange: the keys that the
// batches so far answer for, or nothing where that is not known. The last message has no batch, and a coprocessor.Response
// for its app metadata.
func (s *Service) getPhysical(h metadata.MD, ticket []byte, stream flight.FlightService_DoGetServer) error {
	req, err := s.decodeRequest(ticket)
	if err != nil {
		return err
	}
	given, err := s.sides.take(h.Get(GivenHeader), req.Data)
	if err != nil {
		return err
	}
	defer given.release()
	var w *physicalWriter
	resp, err := s.d.Coprocessor.StreamScanned(stream.Context(), req, given.rows(), func(b executor.Batch, scanned *copb.KeyRange) error {
		if w == nil {
			w = newPhysicalWriter(stream, typesIn(b)) // those of the first batch are those of all
		}
		var done []byte
		if scanned != nil {
			var err error
			if done, err = scanned.Marshal(); err != nil {
				return err
			}
		}
		return w.write(b, done)
	})
	if err != nil {
		return asStatus(err)
	}
	data, err := resp.Marshal()
	if err != nil {
		return asStatus(fmt.Errorf("encode response: %w", err))
	}
	return stream.Send(&flight.FlightData{AppMetadata: data})
}

func typesIn(b executor.Batch) []arrow.DataType {
	types := make([]arrow.DataType, len(b.Cols))
	for i, c := range b.Cols {
		types[i] = c.DataType()
	}
	return types
}

// physicalWriter sends batches as they are.
type physicalWriter struct {
	to     flight.DataStreamWriter
	schema *arrow.Schema
	w      *flight.Writer
}

func newPhysicalWriter(to flight.DataStreamWriter, types []arrow.DataType) *physicalWriter {
	fields := make([]arrow.Field, len(types))
	for i, t := range types {
		fields[i] = arrow.Field{Name: "c" + strconv.Itoa(i), Type: t, Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return &physicalWriter{to, schema, flight.NewRecordWriter(to, ipc.WithSchema(schema))}
}

// write sends the selected rows of a batch; the schema goes before the first.
func (p *physicalWriter) write(b executor.Batch, metadata []byte) error {
	if b.Sel != nil {
		b = column.Compact(b)
	}
	return p.w.WriteWithAppMetadata(array.NewRecord(p.schema, b.Cols, int64(b.Rows)), metadata)
}
