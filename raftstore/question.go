package raftstore

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// What a read served by a follower asks of the leader's store, see ReadGuard, travels with raft's question for the read
// index, whose context raft returns with the answer:
//
//	bytes
//	16      name of the asker: peer id, time of opening
//	8       number of the round
//	1       'q' on the way to the leader, 'a' on the way back; absent with what follows if no read asks anything
//	uvarint place of the read in the round       (once for each question, or answer that does not consent)
//	uvarint length, question or answer
//
// The leader replaces the questions by the answers before raft takes the message: the read index is taken, and the
// leadership confirmed, after that.
const (
	readNameBytes    = 24
	questionsPayload = 'q'
	answersPayload   = 'a'
)

// appendQuestions adds what the reads ask, if anything.
func appendQuestions(dst []byte, reads []*read) []byte {
	began := false
	for i, rd := range reads {
		if rd.question == nil {
			continue
		}
		if !began {
			dst, began = append(dst, questionsPayload), true
		}
		dst = appendBytes(binary.AppendUvarint(dst, uint64(i)), rd.question)
	}
	return dst
}

// eachPlaced calls fn for the questions or answers of a payload.
func eachPlaced(payload []byte, fn func(place uint64, text []byte) error) error {
	for len(payload) > 0 {
		place, rest, err := takeUvarint(payload)
		if err != nil {
			return err
		}
		text, rest, err := takeBytes(rest)
		if err != nil {
			return err
		}
		if err := fn(place, text); err != nil {
			return err
		}
		payload = rest
	}
	return nil
}

// leads tells whether raft takes the peer for the leader now; isLeader follows with the next Ready.
func (p *peer) leads() bool { return p.raftState().RaftState == raft.StateLeader }

// answerQuestions replaces the questions in a message by their answers if this peer leads; else raft passes the message on
// to who does. The error says that the message cannot be read.
func (p *peer) answerQuestions(m *raftpb.Message) error {
	if len(m.Entries) != 1 || len(m.Entries[0].Data) < readNameBytes {
		return fmt.Errorf("%w: read index without name", errBadCommand)
	}
	name, payload := m.Entries[0].Data[:readNameBytes], m.Entries[0].Data[readNameBytes:]
	if len(payload) == 0 || payload[0] != questionsPayload || !p.leads() {
		return nil
	}
	data := append(append(make([]byte, 0, readNameBytes+1), name...), answersPayload)
	err := eachPlaced(payload[1:], func(place uint64, question []byte) error {
		answer, err := p.store.guard.Ask(question)
		if err == nil && answer != nil {
			data = appendBytes(binary.AppendUvarint(data, place), answer)
		}
		return err
	})
	m.Entries[0].Data = data
	return err
}

// answerHere puts the questions of a round to this store, which leads, and answers the reads that are refused.
func (p *peer) answerHere(round *readRound) {
	passed := round.reads[:0]
	for _, rd := range round.reads {
		if rd.question != nil {
			answer, err := p.store.guard.Ask(rd.question)
			switch {
			case err != nil:
				rd.done <- err
				continue
			case answer != nil:
				rd.done <- p.store.guard.Refusal(answer)
				continue
			}
		}
		passed = append(passed, rd)
	}
	round.reads = passed
}

// takeAnswers answers the reads of a round that the leader's store has refused. False if the leader was not asked.
func (p *peer) takeAnswers(round *readRound, payload []byte) bool {
	if len(payload) == 0 || payload[0] != answersPayload {
		return false
	}
	refused := make(map[uint64]error)
	err := eachPlaced(payload[1:], func(place uint64, answer []byte) error {
		refused[place] = p.store.guard.Refusal(answer)
		return nil
	})
	if err != nil {
		p.store.log.Warn("answer to a read index", "region", p.regionID, "err", err)
		return false
	}
	if len(refused) == 0 {
		return true
	}
	passed := make([]*read, 0, len(round.reads))
	for i, rd := range round.reads {
		if err := refused[uint64(i)]; err != nil {
			rd.done <- err
		} else {
			passed = append(passed, rd)
		}
	}
	round.reads = passed
	return true
}
