package raftsim

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"

	"github.com/scree-db/scree/raftstore"
)

// Weather is how bad the network is, beside the links that are cut. Chances are in thousandths.
type Weather struct {
	Loss, Twice, Late int
	LateBy            time.Duration // at most
}

// network carries messages between machines, as bytes. What a step sends is sorted by receiver and region before chance
// decides about it: the order of regions among each other is the one thing that a step may leave open.
type network struct {
	c       *Cluster
	weather Weather
	cut     map[link]bool
	outbox  []parcel
}

type link struct{ from, to uint64 }

// parcel is a message on its way; chunks and done belong to snapshots.
type parcel struct {
	from     *port
	to       uint64
	region   uint64
	bytes    []byte
	kind     string
	snapshot bool
	chunks   [][]byte
	done     func(error)
}

// port is the end of the network of a machine, from boot to crash.
type port struct {
	n *network
	m *Machine
	*life
}

var _ raftstore.Transport = (*port)(nil)

// Bind implements raftstore.Transport.
func (p *port) Bind(raftstore.Receiver) {}

// Send implements raftstore.Transport.
func (p *port) Send(msg *raft_serverpb.RaftMessage) {
	p.put(msg, parcel{kind: kindOf(msg)})
}

func kindOf(msg *raft_serverpb.RaftMessage) string {
	if msg.IsTombstone {
		return "tombstone"
	}
	return eraftpb.MessageType_name[int32(msg.GetMessage().GetMsgType())]
}

func (p *port) put(msg *raft_serverpb.RaftMessage, parcel parcel) {
	if p.over() {
		return
	}
	raw, err := msg.Marshal()
	if err != nil {
		p.n.c.w.Fail(err)
		return
	}
	parcel.from, parcel.to, parcel.region, parcel.bytes = p, msg.ToPeer.StoreId, msg.RegionId, raw
	p.n.outbox = append(p.n.outbox, parcel)
}

// SendSnapshot implements raftstore.Transport.
func (p *port) SendSnapshot(msg *raft_serverpb.RaftMessage, src raftstore.SnapshotSource, done func(error)) {
	var chunks [][]byte
	chunk, err := src.Next()
	for ; err == nil; chunk, err = src.Next() {
		chunks = append(chunks, bytes.Clone(chunk))
	}
	if err = errors.Join(src.Close(), notEOF(err)); err != nil {
		p.n.c.w.Fail(err)
	}
	p.put(msg, parcel{kind: "snapshot", snapshot: true, chunks: chunks, done: done})
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// look lets chance decide about what was sent in this step.
func (n *network) look() {
	slices.SortStableFunc(n.outbox, func(a, b parcel) int {
		return cmp.Or(cmp.Compare(a.from.m.ID, b.from.m.ID), cmp.Compare(a.to, b.to), cmp.Compare(a.region, b.region))
	})
	for _, p := range n.outbox {
		n.post(p)
	}
	clear(n.outbox)
	n.outbox = n.outbox[:0]
}

func (n *network) post(p parcel) {
	copies := 1
	switch {
	case n.chance(n.weather.Loss):
		copies = 0
	case n.chance(n.weather.Twice) && !p.snapshot:
		copies = 2
	}
	for range copies {
		d := n.c.w.Delay()
		if n.chance(n.weather.Late) {
			d += time.Duration(n.c.w.rng.Int64N(int64(n.weather.LateBy)))
		}
		n.c.w.After(d, func() { n.deliver(p) })
	}
	if copies == 0 {
		n.lost(p)
	}
}

func (n *network) chance(thousandths int) bool {
	return thousandths > 0 && n.c.w.rng.IntN(1000) < thousandths
}

var errLost = errors.New("the message got lost")

// lost is a message that does not arrive. Of a snapshot the sender learns that; of others only at times.
func (n *network) lost(p parcel) {
	n.c.w.Note("lost %d>%d region %d %s", p.from.m.ID, p.to, p.region, p.kind)
	if p.snapshot {
		n.answer(p, errLost)
	}
}

func (n *network) answer(p parcel, err error) {
	n.c.w.After(n.c.w.Delay(), func() {
		if !p.from.over() {
			p.done(err)
		}
	})
}

// deliver hands a message over, if there is a way to its receiver.
func (n *network) deliver(p parcel) {
	var msg raft_serverpb.RaftMessage
	if err := msg.Unmarshal(p.bytes); err != nil {
		n.c.w.Fail(err)
		return
	}
	to := n.c.machine(p.to)
	if n.cut[link{p.from.m.ID, p.to}] || to == nil || !to.Up() {
		n.lost(p)
		if !p.from.over() && !p.snapshot {
			p.from.m.Raft.ReportUnreachable(p.region, msg.ToPeer.Id)
		}
		return
	}
	n.c.w.Note("%d>%d region %d %s term %d index %d commit %d, %d entries", p.from.m.ID, p.to, p.region, p.kind, msg.GetMessage().GetTerm(),
		msg.GetMessage().GetIndex(), msg.GetMessage().GetCommit(), len(msg.GetMessage().GetEntries()))
	if !p.snapshot {
		to.Raft.Receive(&msg)
		return
	}
	chunks := p.chunks
	n.answer(p, to.Raft.ReceiveSnapshot(&msg, func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, io.EOF
		}
		var next []byte
		next, chunks = chunks[0], chunks[1:]
		return next, nil
	}))
}
