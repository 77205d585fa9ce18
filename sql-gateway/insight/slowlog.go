package insight

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"
)

// LogFile says where a log is, and how much of it is kept.
type LogFile struct {
	Path string
	// MaxBytes is the size at which the file is renamed to Path.1, that one to Path.2 and so on; default 64 MiB. Backups is how
	// many of those stay; default 4.
	MaxBytes int64
	Backups  int
}

// SlowLog writes statements as TiDB does, in the form of MySQL's slow log:
//
//	# Time: 2026-11-20T10:00:00.123456789Z
//	# Txn_start_ts: 449012345678901234
//	# User@Host: root[root] @ 127.0.0.1 [127.0.0.1]
//	# Conn_ID: 7
//	# Query_time: 1.5
//	...
//	use test;
//	select ...;
//
// A line of a statement's text that begins with # gets a space before it, so that no text looks like the head of an entry.
// Safe for concurrent use.
type SlowLog struct {
	file   LogFile
	failed func(error)

	mu     sync.Mutex
	out    *os.File // nil: there is no log
	bytes  int64
	broken bool // writing has failed; told once
}

func openSlowLog(file LogFile, failed func(error)) (*SlowLog, error) {
	if file.MaxBytes <= 0 {
		file.MaxBytes = 64 << 20
	}
	if file.Backups <= 0 {
		file.Backups = 4
	}
	if failed == nil {
		failed = func(error) {}
	}
	l := &SlowLog{file: file, failed: failed}
	if file.Path == "" {
		return l, nil
	}
	return l, l.open()
}

// open opens the file to append to it.
func (l *SlowLog) open() error {
	f, err := os.OpenFile(l.file.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("slow log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("slow log: %w", err), f.Close())
	}
	l.out, l.bytes = f, info.Size()
	return nil
}

func (l *SlowLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		return nil
	}
	err := l.out.Close()
	l.out = nil
	return err
}

func (l *SlowLog) write(st *Statement) {
	entry := appendEntry(nil, st)
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.rotate(int64(len(entry)))
	if err == nil && l.out != nil {
		var n int
		n, err = l.out.Write(entry)
		l.bytes += int64(n)
	}
	if err != nil && !l.broken {
		l.failed(fmt.Errorf("slow log: %w", err))
	}
	l.broken = err != nil
}

// rotate makes room for an entry of so many bytes. After an error the file is opened again with the next entry.
func (l *SlowLog) rotate(more int64) error {
	if l.out != nil && l.bytes > 0 && l.bytes+more > l.file.MaxBytes {
		err := l.out.Close()
		l.out = nil
		if err := errors.Join(err, l.shift()); err != nil {
			return err
		}
	}
	if l.out == nil && l.file.Path != "" {
		return l.open()
	}
	return nil
}

// shift renames the files, the oldest first.
func (l *SlowLog) shift() error {
	name := func(i int) string {
		if i == 0 {
			return l.file.Path
		}
		return l.file.Path + "." + strconv.Itoa(i)
	}
	for i := l.file.Backups - 1; i >= 0; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// timeLayout is that of the log's times.
const timeLayout = "2006-01-02T15:04:05.999999999Z07:00"

// oneLine keeps names from breaking lines.
var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

func appendEntry(b []byte, st *Statement) []byte {
	seconds := func(d float64) string { return strconv.FormatFloat(d, 'f', -1, 64) }
	b = fmt.Appendf(b, "# Time: %s\n", st.Begin.Add(st.Took).Format(timeLayout))
	if st.StartTS != 0 {
		b = fmt.Appendf(b, "# Txn_start_ts: %d\n", st.StartTS)
	}
	user := oneLine.Replace(st.User)
	b = fmt.Appendf(b, "# User@Host: %s[%s] @ %s [%s]\n# Conn_ID: %d\n", user, user, hostName(st.Host), st.Host, st.Connection)
	b = fmt.Appendf(b, "# Query_time: %s\n# Parse_time: %s\n# Compile_time: %s\n", seconds(st.Took.Seconds()), seconds(st.Parse.Seconds()), seconds(st.Compile.Seconds()))
	if s := &st.Stores; s.Tasks > 0 {
		b = fmt.Appendf(b, "# Process_time: %s Wait_time: %s Request_count: %d Total_keys: %d Process_keys: %d\n",
			seconds(s.Process.Seconds()), seconds(s.Wait.Seconds()), s.Tasks, s.TotalKeys, s.ProcessedKeys)
	}
	if st.DB != "" {
		b = fmt.Appendf(b, "# DB: %s\n", oneLine.Replace(st.DB))
	}
	b = fmt.Appendf(b, "# Is_internal: %v\n# Digest: %s\n# Num_cop_tasks: %d\n# Mem_max: %d\n# Rows_sent: %d\n# Rows_affected: %d\n# Prepared: %v\n# Succ: %v\n",
		false, st.Digest.Hash, st.Stores.Tasks, st.MemoryMax, st.Rows, st.Affected, st.Prepared, st.Code == 0)
	if st.Plan != nil {
		b = fmt.Appendf(b, "# Plan: tidb_decode_plan('%s')\n", encodePlan(st.Plan()))
	}
	if st.DB != "" {
		b = fmt.Appendf(b, "use %s;\n", oneLine.Replace(st.DB))
	}
	text := strings.TrimRight(clip(st.Text), "; \n\t\r")
	b = append(b, strings.ReplaceAll("\n"+text, "\n#", "\n #")[1:]...)
	return append(b, ";\n"...)
}

// hostName is what stands before an address: localhost for the machine itself.
func hostName(addr string) string {
	if ip := net.ParseIP(addr); ip != nil && ip.IsLoopback() {
		return "localhost"
	}
	return addr
}

// encodePlan packs a plan into one line: snappy, as base64.
func encodePlan(plan string) string {
	return base64.StdEncoding.EncodeToString(s2.EncodeSnappy(nil, []byte(plan)))
}

// planMax bounds a plan that is unpacked, in bytes.
const planMax = 1 << 20

func decodePlan(packed string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		return "", err
	}
	if n, err := s2.DecodedLen(raw); err != nil || n > planMax {
		return "", fmt.Errorf("a plan of %d bytes: %w", n, err)
	}
	plan, err := s2.Decode(nil, raw)
	return string(plan), err
}
