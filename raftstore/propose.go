package raftstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/metapb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
)

// proposal is a command on its way through the log.
type proposal struct {
	payload []byte
	kind    commandKind
	version uint64 // of the epoch it was made for
	wanted  uint64 // the term the caller believes in, 0: any
	change  *raftpb.ConfChangeV2
	charged *admission // that of a write
	size    int64      // bytes it counts for there

	term, seq uint64     // its name once proposed
	done      chan error // of capacity 1: gets the outcome once
	result    []*metapb.Region
}

func (p *proposal) finish(err error) {
	if p.charged != nil {
		p.charged.pending.Add(-p.size)
	}
	p.done <- err
}

// abandonAll ends proposals of a store that has stopped, those among them that have not been finished.
func abandonAll(proposals []*proposal, err error) {
	for _, p := range proposals {
		select {
		case p.done <- err:
		default:
		}
	}
}

// Bounds of the merging of small writes into one entry.
const (
	mergeBytesMax = 32 << 10  // of a write that is merged
	entryBytesMax = 256 << 10 // of the entry that results
)

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, at storage.Region, mods []storage.Modify) error {
	outcome, err := s.Submit(at, mods)
	if err != nil {
		return err
	}
	return s.await(ctx, outcome)
}

// Submit implements storage.Store.
func (s *Store) Submit(at storage.Region, mods []storage.Modify) (outcome <-chan error, err error) {
	p, region, err := s.leaderFor(at)
	if err != nil {
		return nil, err
	}
	if err := checkFlashback(region, at); err != nil {
		return nil, err
	}
	if err := checkKeys(region, mods); err != nil {
		return nil, err
	}
	size := writeBytes(mods)
	if size > s.cfg.EntryBytesMax {
		return nil, errEntryTooLarge(at.ID, size)
	}
	charged, err := s.enter(size, mods, at.DiskFullOpt)
	if err != nil {
		return nil, err
	}
	version, kind := region.RegionEpoch.Version, kindWrite
	if at.Flashback {
		kind = kindFlashbackWrite
	}
	pr := &proposal{
		payload: encodeWrite(kind, mods, version, size), kind: kind, version: version, wanted: at.Term,
		charged: &s.admission, size: charged, done: make(chan error, 1),
	}
	s.submit(p, pr)
	return pr.done, nil
}

// submit sends a command through the log. Its outcome is told in any case, also when the store stops.
func (s *Store) submit(p *peer, pr *proposal) {
	if !p.loop.box.put(event{p: p, proposal: pr}) {
		pr.finish(s.stoppedError())
	}
}

// propose sends a command through the log and waits for its outcome.
func (s *Store) propose(ctx context.Context, p *peer, pr *proposal) error {
	pr.done = make(chan error, 1)
	s.submit(p, pr)
	return s.await(ctx, pr.done)
}

func (s *Store) await(ctx context.Context, outcome <-chan error) error {
	s.letWait(ctx, outcome)
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", storage.ErrUndetermined, ctx.Err())
	}
}

// stoppedError is the error of a write that was under way when the store stopped.
func (s *Store) stoppedError() error {
	return errors.Join(fmt.Errorf("%w: %w", storage.ErrUndetermined, ErrStopped), s.failure())
}

// checkKeys returns KeyNotInRegion unless all changes lie in region.
func checkKeys(region *metapb.Region, mods []storage.Modify) error {
	for i := range mods {
		m := &mods[i]
		if !contains(region, m.Key) {
			return errKeyNotInRegion(m.Key, region)
		}
		if m.Op == storage.OpDeleteRange && !coversEnd(region, m.EndKey) {
			return errKeyNotInRegion(m.EndKey, region)
		}
		if m.Op > storage.OpDeleteRange || m.CF == cfLocal {
			return fmt.Errorf("raftstore: change with operation %d in family %q", m.Op, byte(m.CF))
		}
	}
	return nil
}

// coversEnd tells whether a range may end at end in region.
func coversEnd(region *metapb.Region, end []byte) bool {
	if len(region.EndKey) == 0 {
		return true
	}
	return len(end) > 0 && string(end) <= string(region.EndKey)
}

// propose puts the queued proposals into the log, merging neighbours that are small writes.
func (p *peer) propose() {
	queue := p.queue
	if len(queue) == 0 {
		return
	}
	for len(queue) > 0 {
		n := mergeable(queue)
		p.proposeEntry(queue[:n])
		queue = queue[n:]
	}
	clear(p.queue)
	p.queue = p.queue[:0]
}

// mergeable is how many proposals from the first on go into one entry.
func mergeable(queue []*proposal) int {
	first := queue[0]
	total := len(first.payload)
	if first.kind != kindWrite || total > mergeBytesMax {
		return 1
	}
	n := 1
	for ; n < len(queue); n++ {
		q := queue[n]
		total += len(q.payload)
		if q.kind != kindWrite || q.version != first.version || q.wanted != first.wanted ||
			len(q.payload) > mergeBytesMax || total > entryBytesMax {
			break
		}
	}
	return n
}

// proposeEntry proposes one entry for the proposals of a group.
func (p *peer) proposeEntry(group []*proposal) {
	first := group[0]
	if err := p.admit(first); err != nil {
		finishAll(group, err)
		return
	}
	payload := first.payload
	if len(group) > 1 {
		payload = merge(group)
	}
	p.seq++
	seal(payload, len(group), p.seq)
	for i, pr := range group {
		pr.payload = nil // raft has it now
		pr.term, pr.seq = p.term, p.seq+uint64(i)
	}
	p.seq += uint64(len(group) - 1)
	var err error
	if first.change != nil {
		first.change.Context = payload
		err = p.rn.ProposeConfChange(*first.change)
	} else {
		err = p.rn.Propose(payload)
	}
	if err != nil {
		if first.change != nil {
			p.changing = 0
		}
		finishAll(group, p.dropped(err))
		return
	}
	p.proposals = append(p.proposals, group...)
	p.store.metrics.proposals[first.kind].Inc()
	p.store.metrics.group.Observe(float64(len(group)))
}

func merge(group []*proposal) []byte {
	total := headerBytes
	for _, pr := range group {
		total += len(pr.payload) - headerBytes
	}
	b := append(make([]byte, 0, total), group[0].payload...)
	for _, pr := range group[1:] {
		b = append(b, pr.payload[headerBytes:]...)
	}
	return b
}

// admit tells why a proposal cannot be made, nil if it can.
func (p *peer) admit(pr *proposal) error {
	region := p.region.Load()
	switch {
	case p.stopped || region == nil:
		return errRegionNotFound(p.regionID)
	case !p.isLeader:
		return errNotLeader(p.regionID, p.findPeer(p.leaderID))
	case pr.wanted != 0 && pr.wanted != p.term:
		return errStaleCommand()
	case pr.version != region.RegionEpoch.Version:
		return p.epochNotMatch(pr.version)
	case pr.change != nil:
		return p.admitChange()
	}
	return nil
}

// dropped converts raft's refusal of a proposal.
func (p *peer) dropped(err error) error {
	if !errors.Is(err, raft.ErrProposalDropped) {
		return err
	}
	if p.raftState().LeadTransferee != raft.None {
		return errServerIsBusy("leadership is being transferred")
	}
	return errServerIsBusy("the raft log is behind")
}

// epochNotMatch is the error for a caller that knows version: with the regions that a split made of what it knew.
func (p *peer) epochNotMatch(version uint64) error {
	return p.store.epochNotMatch(p.region.Load(), version)
}

// siblingsMax bounds the regions told in an error.
const siblingsMax = 16

func (s *Store) epochNotMatch(region *metapb.Region, version uint64) error {
	n := 0
	if v := region.RegionEpoch.Version; v > version {
		n = int(min(v-version, siblingsMax))
	}
	regions := s.regions.siblings(region, n)
	if isReadable(region) { // and so is its client, perhaps, a transactional one
		regions = slices.DeleteFunc(regions, func(r *metapb.Region) bool { return !isReadable(r) })
	}
	return errEpochNotMatch(region.Id, regions)
}

// claim takes the proposals that entries settle off the list: those in them, which the apply loop will finish, and
// those that can no longer commit, because an entry of a later term is in their place.
func (p *peer) claim(entries []raftpb.Entry) []*proposal {
	if len(p.proposals) == 0 {
		return nil
	}
	last := &entries[len(entries)-1]
	n := 0
	for n < len(p.proposals) && p.proposals[n].term < last.Term {
		n++ // of a former term: in entries, or lost
	}
	if n == len(p.proposals) || p.proposals[n].term > last.Term {
		return p.takeProposals(n)
	}
	end := lastSeq(entries)
	for n < len(p.proposals) && p.proposals[n].term == last.Term && p.proposals[n].seq < end {
		n++
	}
	return p.takeProposals(n)
}

func (p *peer) takeProposals(n int) []*proposal {
	taken := p.proposals[:n:n]
	if p.proposals = p.proposals[n:]; len(p.proposals) == 0 {
		p.proposals = nil
	}
	return taken
}

// lastSeq is the sequence number after the last proposal of the last entry's term, 0 if there is none.
func lastSeq(entries []raftpb.Entry) uint64 {
	term := entries[len(entries)-1].Term
	for i := len(entries) - 1; i >= 0 && entries[i].Term == term; i-- {
		if h, ok := entryHeader(&entries[i]); ok {
			return h.seq + uint64(h.count)
		}
	}
	return 0
}

// entryHeader reads the header of an entry's payload; false if it has none.
func entryHeader(e *raftpb.Entry) (header, bool) {
	payload := e.Data
	if e.Type != raftpb.EntryNormal {
		cc, err := decodeChange(e)
		if err != nil {
			return header{}, false
		}
		payload = cc.Context
	}
	h, _, err := decodeHeader(payload)
	return h, err == nil
}

// tickProposals gives up on proposals of a former term: another leader's log will settle them, but it cannot be heard.
func (p *peer) tickProposals() {
	if p.isLeader || len(p.proposals) == 0 {
		return
	}
	if p.orphaned++; p.orphaned > 4*p.store.cfg.ElectionTicks {
		finishAll(p.proposals, fmt.Errorf("%w: leadership was lost", storage.ErrUndetermined))
		p.proposals = nil
	}
}

func (p *peer) failQueue(err error) {
	finishAll(p.queue, err)
	p.queue = nil
}

func finishAll(proposals []*proposal, err error) {
	for _, pr := range proposals {
		pr.finish(err)
	}
}
