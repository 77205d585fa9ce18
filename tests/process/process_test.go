// Package process drives the scree binary as its users do: real processes that are started, talked to over their ports,
// told to stop, and killed. The tests build the binary once; -short skips them.
package process

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
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

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// binary is the path of the scree under test.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for _, arg := range os.Args {
		if arg == "-test.short=true" {
			return 0 // every test here needs the binary
		}
	}
	dir, err := os.MkdirTemp("", "scree-process")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "scree")
	if err := noteSources("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", binary, "../../cmd/scree")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	// The driver logs every connection that a kill breaks.
	if err := mysql.SetLogger(log.New(io.Discard, "", 0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// noteSources lists the directories of the source. go test keeps results as long as what a test has looked at is the same,
// and does not see what the build reads.
func noteSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "scree-data") {
			return fs.SkipDir
		}
		return err
	})
}

// patience bounds everything that a test waits for; a process that takes longer hangs.
const patience = time.Minute

// process is a running playground, or a role of a cluster of several processes.
type process struct {
	cmd     *exec.Cmd
	stderr  bytes.Buffer // complete once exited is closed
	exited  chan struct{}
	mysql   string // host:port
	console string // its URL
	pd      string
}

// start starts a playground on a data directory and waits until it says that it is ready.
func start(t *testing.T, dir string, flags ...string) *process {
	t.Helper()
	return startRole(t, "playground", dir, flags...)
}

// startRole is start for a command that runs a part of a cluster.
func startRole(t *testing.T, role, dir string, flags ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	p.cmd = exec.Command(binary, append([]string{role, "--data-dir", dir}, flags...)...)
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.kill(t) })
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
func (p *process) read(out io.Reader, ready chan<- bool) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		label, text, _ := strings.Cut(lines.Text(), ":")
		words := strings.Fields(text)
		switch {
		case label == "Connect":
			p.mysql = net.JoinHostPort(words[2], words[4]) // mysql --host H --port P
		case label == "Console":
			p.console = strings.TrimSpace(text)
		case label == "PD (TiKV client)":
			p.pd = words[0]
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

// wait waits for the end of the process and returns its exit code, -1 for death by a signal.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.FailNow(t, "the process does not end")
		return 0
	}
}

// kill ends the process without a chance to tidy up.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		require.ErrorIs(t, err, os.ErrProcessDone)
	}
	p.wait(t)
}

// stop asks the process to end and returns its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.wait(t)
}

// open connects to the gateway.
func (p *process) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "root@tcp("+p.mysql+")/test")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// mustExec runs statements that must succeed.
func mustExec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}

// scree runs the binary to its end.
func scree(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.True(t, errors.As(err, &exit), "%v", err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// portsPerOffset is the distance of two offsets, enough for the stores to count up.
const portsPerOffset = 20

var nextOffset = struct {
	sync.Mutex
	n int
}{n: os.Getpid() % 500}

// freeOffset is a --port-offset whose ports nobody listens on, below the range that the system gives to clients.
func freeOffset(t *testing.T) string {
	t.Helper()
	nextOffset.Lock()
	defer nextOffset.Unlock()
	for range 600 {
		nextOffset.n = (nextOffset.n + 1) % 600
		if offset := nextOffset.n * portsPerOffset; portsFree(offset) {
			return strconv.Itoa(offset)
		}
	}
	require.FailNow(t, "no ports are free")
	return ""
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
