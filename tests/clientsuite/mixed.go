package clientsuite

import (
	"bufio"
	"fmt"
	"io"
	"math/rand"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// peer is a process with Scree's own transaction client (tests/kvpeer).
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// peer starts one. The test's end ends it.
func (s *suite) peer(t *testing.T) *peer {
	t.Helper()
	p := &peer{cmd: exec.Command(program(t, "kvpeer", "./tests/kvpeer"), s.cluster.PD)}
	var err error
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewScanner(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.in.Close() // it may be dead
		for p.out.Scan() {
		}
		_ = p.cmd.Wait()
	})
	return p
}

// ask sends a command and returns the answer; "" if the process is dead.
func (p *peer) ask(t testing.TB, format string, args ...any) string {
	_, err := fmt.Fprintf(p.in, format+"\n", args...)
	require.NoError(t, err)
	for p.out.Scan() {
		if line := p.out.Text(); len(line) == 0 || line[0] != '[' { // the placement driver's client logs here
			return line
		}
	}
	return ""
}

// mixed runs two kinds of clients on the same keys: each sees what the other commits, respects its locks, and clears up
// after it when it died.
func (s *suite) mixed(t *testing.T) {
	s.put(t, "mixed/a", "1", "mixed/b", "1")
	s.cut(t, "mixed/b", "mixed/c")
	p := s.peer(t)
	require.Equal(t, "1", p.ask(t, "get mixed/a"))
	require.Equal(t, "ok", p.ask(t, "put mixed/a 2 mixed/b 2"))
	require.Equal(t, []string{"2", "2"}, []string{s.get(t, "mixed/a"), s.get(t, "mixed/b")})

	t.Run("locks", func(t *testing.T) {
		holder := s.beginPessimistic(t)
		_, err := s.lock(t, holder, -1, "mixed/a")
		require.NoError(t, err)
		require.Contains(t, p.ask(t, "lock mixed/b 3 mixed/a 3"), "could not be acquired")
		require.NoError(t, holder.Rollback())
		require.Equal(t, "ok", p.ask(t, "lock mixed/b 3 mixed/a 3"))
		require.Equal(t, "3", s.get(t, "mixed/b"))
	})
	for _, step := range []string{"prewrite", "prewritten", "commit", "committed"} {
		t.Run("their client dies at "+step, func(t *testing.T) {
			a, b := "mixed/"+step+"/a", "mixed/"+step+"/b"
			s.cut(t, b)
			s.put(t, a, "old", b, "old")
			require.Empty(t, s.peer(t).ask(t, "die %s %s new %s new", step, a, b))
			got := []string{s.get(t, a), s.get(t, b)}
			require.Equal(t, got[0], got[1], "all or nothing")
			switch step {
			case "prewrite":
				require.Equal(t, "old", got[0])
			case "commit", "committed":
				require.Equal(t, "new", got[0])
			}
		})
	}
	for mode, points := range map[string]map[string]string{"two phases": beforeCommit, "async commit": afterAsyncCommit} {
		t.Run("this client dies in "+mode, func(t *testing.T) {
			a, b := "mixed/"+mode[:3]+"/a", "mixed/"+mode[:3]+"/b"
			s.put(t, a, "old", b, "old")
			commits := mode == "async commit"
			s.die(t, points, commitModes[mode], []string{a, b}, "new", commits)
			want := map[bool]string{true: "new", false: "old"}[commits]
			require.Equal(t, []string{want, want}, []string{p.ask(t, "get %s", a), p.ask(t, "get %s", b)})
		})
	}
	t.Run("bank", func(t *testing.T) { s.mixedBank(t, p) })
}

// mixedBank moves money by both clients at once.
func (s *suite) mixedBank(t *testing.T, p *peer) {
	const accounts, transfers, each = 6, 40, 100
	var pairs []string
	for i := range accounts {
		pairs = append(pairs, fmt.Sprintf("mixed/bank/%d", i), strconv.Itoa(each))
	}
	s.put(t, pairs...)
	s.cut(t, "mixed/bank/3")
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range transfers {
			if answer := p.ask(t, "move mixed/bank/%d mixed/bank/%d", i%accounts, (i+1+i/accounts%(accounts-1))%accounts); answer != "ok" {
				t.Errorf("the peer answers %q", answer)
				return
			}
		}
	})
	rng := rand.New(rand.NewSource(1))
	for done := 0; done < transfers && !t.Failed(); {
		from, to := rng.Intn(accounts), rng.Intn(accounts)
		if from == to || s.transfer(t, key("mixed/bank/%d", from), key("mixed/bank/%d", to), commitModes["async commit"]) {
			done++
		}
		require.Equal(t, accounts*each, s.sum(t, "mixed/bank/", "mixed/bank0"))
	}
}
