package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a MySQL-speaking server that the benchmark starts and stops, on loopback ports that were free.
type server interface {
	name() string
	start() error
	stop() error
	pid() int
	dsn() string
	port() int
}

// process is what servers have in common.
type process struct {
	label   string
	mysql   int
	cmd     *exec.Cmd
	args    []string
	binary  string
	prepare func() error
	logFile string
}

func (p *process) name() string { return p.label }
func (p *process) pid() int     { return p.cmd.Process.Pid }
func (p *process) port() int    { return p.mysql }

func (p *process) dsn() string {
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/?multiStatements=true", p.mysql)
}

func (p *process) start() error {
	if p.prepare != nil {
		if err := p.prepare(); err != nil {
			return err
		}
	}
	out, err := os.Create(p.logFile)
	if err != nil {
		return err
	}
	defer out.Close()
	p.cmd = exec.Command(p.binary, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	return p.cmd.Start()
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// portMax is the greatest MySQL port that a --port-offset can give a playground.
const portMax = 44_000

// newScree is a playground; its ports are the default ones moved to where the MySQL port is free.
func newScree(binary, dir string) server {
	port := freePort()
	for port > portMax {
		port = freePort()
	}
	return &process{label: "Scree", mysql: port, binary: binary, logFile: dir + ".log",
		args: []string{"playground", "--data-dir", dir, "--port-offset", strconv.Itoa(port - 4000)}}
}

// newMariaDB is a throwaway MariaDB with full durability, or nil if there is none.
func newMariaDB(binary, dir string) server {
	if _, err := exec.LookPath(binary); err != nil {
		return nil
	}
	account, err := user.Current()
	if err != nil {
		return nil
	}
	port := freePort()
	p := &process{label: "MariaDB", mysql: port, binary: binary, logFile: dir + ".log", args: []string{
		"--no-defaults", "--user=" + account.Username, "--datadir=" + dir, "--socket=" + filepath.Join(dir, "s.sock"),
		"--port=" + strconv.Itoa(port), "--bind-address=127.0.0.1", "--local-infile=1",
		"--innodb-buffer-pool-size=4G", "--innodb-flush-log-at-trx-commit=1", "--innodb-log-file-size=1G",
		"--join-cache-level=8", "--join-buffer-size=256M", "--join-buffer-space-limit=2G",
		"--tmp-table-size=1G", "--max-heap-table-size=1G", "--sort-buffer-size=64M"}}
	p.prepare = func() error {
		out, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+dir, "--user="+account.Username,
			"--auth-root-authentication-method=normal").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	}
	return p
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// idleSettle and idleWatch are how long a server rests before it is watched, and how long it is watched.
const (
	idleSettle = 3 * time.Second
	idleWatch  = 5 * time.Second
)

// idle returns the resident memory of a resting server and the share of a core it uses.
func idle(pid int) (bytes int64, cpu float64, err error) {
	time.Sleep(idleSettle)
	_, before, err := usage(pid)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(idleWatch)
	bytes, after, err := usage(pid)
	return bytes, float64(after-before) / float64(idleWatch), err
}

// usage reads a process's resident memory and CPU time from /proc.
func usage(pid int) (rss int64, cpu time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var n [3]int64
	for i, f := range []int{11, 12, 21} { // utime, stime, rss: see proc(5), counted from the state
		if n[i], err = strconv.ParseInt(fields[f], 10, 64); err != nil {
			return 0, 0, err
		}
	}
	const tick = time.Second / 100
	return n[2] * int64(os.Getpagesize()), time.Duration(n[0]+n[1]) * tick, nil
}

// insertRate loads scale 1 with go-tpc's INSERT statements and returns rows a second.
func insertRate(ctx context.Context, goTPC string, s server, db *sql.DB) (float64, error) {
	if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS inserted"); err != nil {
		return 0, err
	}
	start := time.Now()
	out, err := exec.CommandContext(ctx, goTPC, "tpch", "prepare", "--sf", "1", "-T", "4", "-H", "127.0.0.1",
		"-P", strconv.Itoa(s.port()), "-U", "root", "-D", "inserted").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("go-tpc: %w: %s", err, out[max(0, len(out)-500):])
	}
	took := time.Since(start)
	var rows, n int64
	for _, t := range []string{"lineitem", "orders", "customer", "part", "partsupp", "supplier"} {
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM inserted."+t).Scan(&n); err != nil {
			return 0, err
		}
		rows += n
	}
	return float64(rows) / took.Seconds(), nil
}
