package clientsuite

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds everything that a test waits for; a process that takes longer hangs.
const patience = time.Minute

// Playground is a running `scree playground`.
type Playground struct {
	PD    string // host:port
	MySQL string

	cmd    *exec.Cmd
	stderr bytes.Buffer // complete once exited is closed
	exited chan struct{}
}

// Start starts a playground on a new data directory and waits until it is ready. The test's end stops it.
func Start(t *testing.T, flags ...string) *Playground {
	t.Helper()
	p := &Playground{exited: make(chan struct{})}
	args := append([]string{"playground", "--data-dir", t.TempDir(), "--port-offset", strconv.Itoa(freeOffset(t))}, flags...)
	p.cmd = exec.Command(scree(t), args...)
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.stop(t) })
	ready := make(chan bool, 1)
	go p.read(out, ready)
	select {
	case ok := <-ready:
		if !ok {
			<-p.exited
			require.FailNow(t, "the process ended before it was ready", p.stderr.String())
		}
	case <-time.After(patience):
		require.FailNow(t, "the process does not get ready")
	}
	return p
}

// read takes the addresses from what the process prints, and reaps it at the end of its output.
func (p *Playground) read(out io.Reader, ready chan<- bool) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		label, text, _ := strings.Cut(lines.Text(), ":")
		words := strings.Fields(text)
		switch {
		case label == "Connect":
			p.MySQL = net.JoinHostPort(words[2], words[4]) // mysql --host H --port P
		case label == "PD (TiKV client)":
			p.PD = words[0]
		case strings.HasPrefix(lines.Text(), "ready in"):
			ready <- true
		}
	}
	_ = p.cmd.Wait() // the exit code is in ProcessState
	close(p.exited)
	select {
	case ready <- false:
	default:
	}
}

// stop asks the process to end, which it has to do in order. What it logged is in the test's log if the test failed.
func (p *Playground) stop(t *testing.T) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		require.ErrorIs(t, err, os.ErrProcessDone)
	}
	select {
	case <-p.exited:
		require.Zero(t, p.cmd.ProcessState.ExitCode())
		if t.Failed() {
			t.Log(p.stderr.String())
		}
	case <-time.After(patience):
		require.NoError(t, p.cmd.Process.Kill())
		require.FailNow(t, "the process does not end")
	}
}

// built are the programs that tests have built from the tree around this module, by name, in dir.
var built = struct {
	sync.Mutex
	dir   string
	paths map[string]string
}{paths: make(map[string]string)}

// scree is the scree under test: $SCREE_BIN, or one built from the tree.
func scree(t *testing.T) string {
	if path := os.Getenv("SCREE_BIN"); path != "" {
		return path
	}
	return program(t, "scree", "./cmd/scree")
}

// program builds a program once.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if path := built.paths[name]; path != "" {
		return path
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "scree-clients")
		require.NoError(t, err)
		built.dir = dir
	}
	path := filepath.Join(built.dir, name)
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	built.paths[name] = path
	return path
}

// Main runs the tests of a module and removes what they built.
func Main(m *testing.M) int {
	code := m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// portsPerOffset is the distance of two offsets, enough for the stores to count up.
const portsPerOffset = 20

// freeOffset is a --port-offset whose ports nobody listens on, below the range that the system gives to clients.
func freeOffset(t *testing.T) int {
	t.Helper()
	for i := range 600 {
		offset := (os.Getpid() + i) % 600 * portsPerOffset
		if portsFree(offset) {
			return offset
		}
	}
	require.FailNow(t, "no ports are free")
	return 0
}

func portsFree(offset int) bool {
	for _, port := range []int{2379, 2380, 4000, 10080, 20160, 20161, 20162, 20180, 20181, 20182} {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}
