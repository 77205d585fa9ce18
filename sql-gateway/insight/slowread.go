package insight

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// SlowQuery is an entry of the slow log. Times are seconds.
type SlowQuery struct {
	Time                          time.Time // when it ended
	StartTS                       uint64
	User, Host                    string
	Connection                    uint64
	QueryTime, ParseTime          float64
	CompileTime                   float64
	ProcessTime, WaitTime         float64
	Requests                      uint64
	TotalKeys, ProcessKeys        uint64
	DB, Digest, Plan              string
	CopTasks, MemoryMax           uint64
	Rows, Affected                uint64
	Internal, Prepared, Succeeded bool
	Query                         string
}

// read reads the last entries of the file, as many as begin within maxBytes of its end.
func (l *SlowLog) read(maxBytes int64) ([]SlowQuery, error) {
	if l.file.Path == "" {
		return nil, nil
	}
	f, err := os.Open(l.file.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("slow log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("slow log: %w", err)
	}
	if _, err := f.Seek(max(info.Size()-maxBytes, 0), io.SeekStart); err != nil {
		return nil, fmt.Errorf("slow log: %w", err)
	}
	return ParseSlowLog(io.LimitReader(f, maxBytes))
}

// entryHead begins every entry.
const entryHead = "# Time: "

// ParseSlowLog reads entries as SlowLog, TiDB and MySQL write them. What precedes the first head, fields that are not known and an
// entry without an end are passed over.
func ParseSlowLog(r io.Reader) ([]SlowQuery, error) {
	var (
		out   []SlowQuery
		p     slowParser
		lines = bufio.NewReader(r)
	)
	for {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return out, fmt.Errorf("slow log: %w", err)
		}
		if q, done := p.line(strings.TrimRight(line, "\r\n")); done {
			out = append(out, q)
		}
		if err != nil {
			return out, nil
		}
	}
}

// slowParser puts an entry together line by line.
type slowParser struct {
	inside bool
	used   bool // the line that says which database has passed
	q      SlowQuery
	text   []string
}

// line takes a line in; done says that it was the last of the entry returned.
func (p *slowParser) line(line string) (q SlowQuery, done bool) {
	switch {
	case strings.HasPrefix(line, entryHead):
		at, err := time.Parse(time.RFC3339Nano, line[len(entryHead):])
		*p = slowParser{inside: err == nil, q: SlowQuery{Time: at, Succeeded: true}}
	case !p.inside:
	case strings.HasPrefix(line, "# "):
		p.field(line[2:])
	case !p.used && len(p.text) == 0 && p.q.DB != "" && line == "use "+p.q.DB+";":
		p.used = true
	default:
		p.text = append(p.text, line)
		if strings.HasSuffix(line, ";") {
			q, p.inside = p.q, false
			q.Query = strings.Join(p.text, "\n")
			return q, true
		}
	}
	return q, false
}

// field takes in a line of fields: names with a colon, each with its value.
func (p *slowParser) field(line string) {
	if user, found := strings.CutPrefix(line, "User@Host: "); found {
		p.user(user)
		return
	}
	if plan, found := strings.CutPrefix(line, "Plan: tidb_decode_plan('"); found {
		if text, err := decodePlan(strings.TrimSuffix(plan, "')")); err == nil {
			p.q.Plan = text
		}
		return
	}
	if db, found := strings.CutPrefix(line, "DB: "); found {
		p.q.DB = db
		return
	}
	words := strings.Fields(line)
	for i := 0; i+1 < len(words); i += 2 {
		p.set(strings.TrimSuffix(words[i], ":"), words[i+1])
	}
}

// user reads root[root] @ localhost [127.0.0.1].
func (p *slowParser) user(text string) {
	who, where, _ := strings.Cut(text, " @ ")
	p.q.User, _, _ = strings.Cut(who, "[")
	if _, addr, found := strings.Cut(where, "["); found {
		where = strings.TrimSuffix(addr, "]")
	}
	p.q.Host = strings.TrimSpace(where)
}

func (p *slowParser) set(name, val string) {
	var err error
	q := &p.q
	if to := q.number(name); to != nil {
		*to, err = strconv.ParseUint(val, 10, 64)
	} else if to := q.seconds(name); to != nil {
		*to, err = strconv.ParseFloat(val, 64)
	}
	switch name {
	case "Is_internal":
		q.Internal = val == "true"
	case "Prepared":
		q.Prepared = val == "true"
	case "Succ":
		q.Succeeded = val == "true"
	case "Digest":
		q.Digest = val
	}
	if err != nil {
		p.inside = false // not an entry to be trusted
	}
}

// number is where a field of whole numbers goes; nil: it is not known.
func (q *SlowQuery) number(name string) *uint64 {
	switch name {
	case "Txn_start_ts":
		return &q.StartTS
	case "Conn_ID":
		return &q.Connection
	case "Request_count":
		return &q.Requests
	case "Total_keys":
		return &q.TotalKeys
	case "Process_keys":
		return &q.ProcessKeys
	case "Num_cop_tasks":
		return &q.CopTasks
	case "Mem_max":
		return &q.MemoryMax
	case "Rows_sent":
		return &q.Rows
	case "Rows_affected":
		return &q.Affected
	}
	return nil
}

// seconds is where a field of a time goes; nil: it is not known.
func (q *SlowQuery) seconds(name string) *float64 {
	switch name {
	case "Query_time":
		return &q.QueryTime
	case "Parse_time":
		return &q.ParseTime
	case "Compile_time":
		return &q.CompileTime
	case "Process_time":
		return &q.ProcessTime
	case "Wait_time":
		return &q.WaitTime
	}
	return nil
}
