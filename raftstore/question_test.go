package raftstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// guard notes what it is asked, and refuses what begins with "no".
type guard struct {
	mu    sync.Mutex
	asked map[string]int
}

type refusal string

func (r refusal) Error() string { return string(r) }

func (g *guard) Ask(question []byte) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = map[string]int{}
	}
	g.asked[string(question)]++
	if strings.HasPrefix(string(question), "no") {
		return question, nil
	}
	return nil, nil
}

func (g *guard) Refusal(answer []byte) error { return refusal(answer) }

func (g *guard) wasAsked(question string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[question] > 0
}

func follower(c *cluster, leader *machine) *machine { return c.live[leader.id()%3+1] }

// Reads at a follower ask the store of the leader, each its own question, and only those refused there fail.
func TestQuestionsOfFollowers(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	c.peersAgree(1, "a", "1")
	leader := c.awaitLeader(1)
	behind := follower(c, leader)
	var reads sync.WaitGroup
	for i := range 40 {
		reads.Add(1)
		go func() {
			defer reads.Done()
			question := fmt.Sprintf("%s %d", []string{"yes", "no"}[i%2], i)
			var v string
			err := readOn(behind, storage.Region{ID: 1, ReplicaRead: true, Question: []byte(question)}, "a", &v)
			var refused refusal
			if errors.As(err, &refused) {
				if question != string(refused) {
					t.Errorf("%q was refused for %q", question, refused)
				}
				return
			}
			if err == nil && (i%2 == 1 || v != "1") {
				t.Errorf("%q read %q", question, v)
			}
			if err == nil && !c.guards[leader.id()].wasAsked(question) {
				t.Errorf("%q was not asked", question)
			}
		}()
	}
	reads.Wait()
	var v string
	require.NoError(t, readOn(leader, storage.Region{ID: 1, ReplicaRead: true, Question: []byte("no")}, "a", &v),
		"who reads at the leader has asked already")
}

// An answer to a later round does not stand for a question that was lost on the way.
func TestLostQuestionIsAskedAgain(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	leader := c.awaitLeader(1)
	behind := follower(c, leader)
	var once sync.Once
	lost := make(chan struct{})
	c.net.mu.Lock()
	c.net.drop = func(msg *raft_serverpb.RaftMessage) (drop bool) {
		if msg.Message.GetMsgType() == eraftpb.MessageType_MsgReadIndex {
			once.Do(func() { drop = true; close(lost) })
		}
		return drop
	}
	c.net.mu.Unlock()
	first := make(chan error, 1)
	go func() {
		first <- readOn(behind, storage.Region{ID: 1, ReplicaRead: true, Question: []byte("no, first")}, "a", new(string))
	}()
	<-lost
	c.eventually("a later read", func() bool {
		return readOn(behind, storage.Region{ID: 1, ReplicaRead: true, Question: []byte("yes")}, "a", new(string)) == nil
	})
	require.ErrorIs(t, <-first, refusal("no, first"))
}

// Messages that no peer of ours sends are dropped.
func TestMalformedReadIndex(t *testing.T) {
	c := replicated(t, raftstore.Config{})
	c.write(1, put("a", "1"))
	leader := c.awaitLeader(1)
	r, _ := leader.store.Region(1)
	var from, to *metapb.Peer
	for _, p := range r.Region.Peers {
		if p.Id == r.PeerID {
			to = p
		} else {
			from = p
		}
	}
	name := string(make([]byte, 24))
	for _, entries := range [][]string{nil, {""}, {"short"}, {name + "q"}, {name + "q\x01"}, {name + "q\x00\xff\xff\x7f"}, {name, name}} {
		msg := &eraftpb.Message{MsgType: eraftpb.MessageType_MsgReadIndex, From: from.Id, To: to.Id}
		for _, data := range entries {
			msg.Entries = append(msg.Entries, &eraftpb.Entry{Data: []byte(data)})
		}
		leader.store.Receive(&raft_serverpb.RaftMessage{RegionId: 1, FromPeer: from, ToPeer: to, RegionEpoch: r.Region.RegionEpoch, Message: msg})
	}
	c.write(1, put("a", "2"))
	require.Equal(t, "2", c.read(1, "a"))
}
