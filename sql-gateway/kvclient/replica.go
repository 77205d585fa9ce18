package kvclient

import (
	"context"
	"errors"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/metapb"
)

// ReadFrom says which replicas a snapshot reads from.
type ReadFrom uint8

const (
	// FromLeader is the default: the leader knows without asking.
	FromLeader ReadFrom = iota
	// FromFollower takes load off leaders. A follower asks its leader how far it has to have got: what is read is as fresh.
	FromFollower
	// FromAny lets leader and followers take turns.
	FromAny
	// FromAnyStale is FromAny without asking the leader: for timestamps some seconds old, which replicas know to be complete.
	FromAnyStale
)

// From makes reads go to other replicas than leaders, where these can serve them. To be called before the first read.
func (s *Snapshot) From(from ReadFrom) *Snapshot {
	s.from = from
	return s
}

// replicasAgeMax is how old the news of a region may be for its replicas to be chosen from. Leaders do not tell of new ones: a
// leader that is asked is the right one, whatever others there are.
const replicasAgeMax = 5 * time.Second

// shunFor is how long a store that could not be reached is left out of reads that others can serve.
const shunFor = 5 * time.Second

// replica is r with the peer to ask in its leader's place; nil to ask the leader.
func (s *Snapshot) replica(r *Region) *Region {
	if s.from == FromLeader {
		return nil
	}
	now := s.c.opts.Now()
	if now.Sub(r.since) > replicasAgeMax {
		s.c.regions.drop(r) // the next read asks
	}
	peers := r.Meta.Peers
	for range peers {
		p := peers[s.c.turn.Add(1)%uint64(len(peers))]
		leads := p.Id == r.Leader.GetId()
		if p.Role != metapb.PeerRole_Voter || p.IsWitness || leads && s.from == FromFollower || s.c.stores.shuns(p.StoreId, now) {
			continue
		}
		if leads && s.from == FromAny {
			return nil
		}
		return &Region{Meta: r.Meta, Leader: p, Range: r.Range, replicaRead: s.from != FromAnyStale, staleRead: s.from == FromAnyStale}
	}
	return nil
}

// sendTo sends a read to r: to the replica whose turn it is, to the next one at once where a store cannot be reached, and to
// the leader where replicas cannot serve it. done is that of Client.sendTo.
func (s *Snapshot) sendTo(ctx context.Context, bo *Backoff, r *Region, do func(Store, *Region) (*errorpb.Error, error)) (done bool, err error) {
	for range r.Meta.Peers {
		other := s.replica(r)
		if other == nil {
			break
		}
		served, err := s.tryReplica(ctx, other, do)
		if p := (permanent{}); errors.As(err, &p) {
			return false, p.error
		}
		if served {
			return true, nil
		}
		if err == nil || ctx.Err() != nil {
			break
		}
		s.c.stores.shun(other.Leader.StoreId, s.c.opts.Now().Add(shunFor))
	}
	return s.c.sendTo(ctx, bo, r, do)
}

// tryReplica asks one peer. The error is that of the call; one that answers with a region error has not served.
func (s *Snapshot) tryReplica(ctx context.Context, r *Region, do func(Store, *Region) (*errorpb.Error, error)) (served bool, err error) {
	st, err := s.c.stores.get(ctx, r.Leader.StoreId)
	if err != nil {
		return false, err
	}
	refusal, err := do(st, r)
	return err == nil && refusal == nil, err
}

// send is sendTo for the region of key, until the read gets through.
func (s *Snapshot) send(ctx context.Context, bo *Backoff, key []byte, do func(Store, *Region) (*errorpb.Error, error)) error {
	for {
		r, err := s.c.regions.locate(ctx, bo, key)
		if err != nil {
			return err
		}
		if done, err := s.sendTo(ctx, bo, r, do); done || err != nil {
			return unavailable(key, err)
		}
	}
}
