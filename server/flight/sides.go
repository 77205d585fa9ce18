package flight

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/zeebo/xxh3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/executor"
)

// sides are the build sides that gateways have put here for joins on this store. One lives as long as the DoPut that brought it:
// a gateway that ends or dies takes its sides along.
type sides struct {
	memory *executor.Memory // of all sides together

	mu   sync.Mutex
	byID map[string]*side
}

// side is one build side. It belongs to the plan that asks for it first, as its hash table has the keys of that plan's join.
type side struct {
	rows  *executor.Broadcast
	plan  uint64 // hash of the plan; once it is used
	used  bool
	users int
	gone  bool // closed when nobody uses it any more
}

func newSides(memory *executor.Memory) *sides {
	return &sides{memory: memory, byID: map[string]*side{}}
}

// add returns the name of a side, which nobody can guess.
func (s *sides) add(rows *executor.Broadcast) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = &side{rows: rows}
	return id
}

// remove ends a side, after those who use it.
func (s *sides) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	side := s.byID[id]
	delete(s.byID, id)
	side.gone = true
	side.closeUnused()
}

func (d *side) closeUnused() {
	if d.gone && d.users == 0 {
		d.rows.Close()
	}
}

// taken are the sides that a request uses.
type taken struct {
	from *sides
	list []*side
}

// take finds the sides of a plan's receivers. NotFound says that they have to be put again.
func (s *sides) take(ids []string, plan []byte) (*taken, error) {
	t := &taken{from: s}
	if len(ids) == 0 {
		return t, nil
	}
	hash := xxh3.Hash(plan)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		d := s.byID[id]
		switch {
		case d == nil:
			return nil, status.Errorf(codes.NotFound, "no rows are here under the name of %q", id)
		case d.used && d.plan != hash:
			return nil, status.Error(codes.InvalidArgument, "rows of a receiver are for one plan")
		}
		t.list = append(t.list, d)
	}
	for _, d := range t.list {
		d.used, d.plan = true, hash
		d.users++
	}
	return t, nil
}

func (t *taken) rows() []*executor.Broadcast {
	var out []*executor.Broadcast
	for _, d := range t.list {
		out = append(out, d.rows)
	}
	return out
}

func (t *taken) release() {
	t.from.mu.Lock()
	defer t.from.mu.Unlock()
	for _, d := range t.list {
		d.users--
		d.closeUnused()
	}
}

// DoPut implements flight.FlightServer: it takes the rows of a plan's receiver, in physical columns. The descriptor is a command, a
// tipb.ExchangeReceiver with the types of the columns. When the client has sent all, it is answered the name of the rows, for
// GivenHeader; they stay until it ends the call. ResourceExhausted says that they do not fit.
func (s *Service) DoPut(stream flight.FlightService_DoPutServer) error {
	rows, err := s.sides.receive(stream)
	if err != nil {
		return asStatus(err)
	}
	id := s.sides.add(rows)
	defer s.sides.remove(id)
	if err := stream.Send(&flight.PutResult{AppMetadata: []byte(id)}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// receive reads rows to the end of a stream.
func (s *sides) receive(stream flight.FlightService_DoPutServer) (*executor.Broadcast, error) {
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	fields, err := receiverFields(first.GetFlightDescriptor())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	rows, err := executor.NewBroadcast(fields, nil, s.memory)
	if err != nil {
		return nil, err
	}
	err = fill(rows, typesOf(fields), &physicalReader{from: stream, first: first})
	if err == nil && !rows.Reserve() {
		err = executor.ErrNoRoom
	}
	if err != nil {
		rows.Close()
	}
	if errors.Is(err, executor.ErrNoRoom) {
		err = status.Error(codes.ResourceExhausted, err.Error())
	}
	return rows, err
}

// receiverFields are the types that a descriptor tells of.
func receiverFields(d *flight.FlightDescriptor) ([]*tipb.FieldType, error) {
	if d.GetType() != flight.DescriptorCMD {
		return nil, errors.New("the descriptor must be a command: a receiver of a plan")
	}
	receiver := new(tipb.ExchangeReceiver)
	if err := receiver.Unmarshal(d.GetCmd()); err != nil {
		return nil, fmt.Errorf("decode receiver: %w", err)
	}
	if len(receiver.FieldTypes) == 0 {
		return nil, errors.New("a receiver without columns")
	}
	for i, ft := range receiver.FieldTypes {
		if ft == nil {
			return nil, fmt.Errorf("column %d of the receiver has no type", i)
		}
	}
	return receiver.FieldTypes, nil
}

// fill adds what r reads to rows.
func fill(rows *executor.Broadcast, types []arrow.DataType, r *physicalReader) error {
	for {
		b, _, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(b.Cols) != len(types) {
			return status.Errorf(codes.InvalidArgument, "%d columns instead of %d", len(b.Cols), len(types))
		}
		for i, c := range b.Cols {
			if !arrow.TypeEqual(c.DataType(), types[i]) {
				return status.Errorf(codes.InvalidArgument, "column %d is %s instead of %s", i, c.DataType(), types[i])
			}
		}
		if b.Rows == 0 {
			continue
		}
		if err := rows.Add(b); err != nil {
			return err
		}
	}
}
