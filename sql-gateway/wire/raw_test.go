package wire

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// rawClient sends bytes of the test's choice.
type rawClient struct {
	t *testing.T
	*packets
	net net.Conn
}

func dialRaw(t *testing.T, f *fakeServer) *rawClient {
	nc, err := net.Dial("tcp", f.addr)
	require.NoError(t, err)
	t.Cleanup(func() { nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(10*time.Second)))
	c := &rawClient{t, newPackets(nc, 1<<20), nc}
	greeting := c.get()
	require.Equal(t, byte(protocolVersion), greeting[0])
	return c
}

// login answers the greeting as a client of the given capabilities.
func (c *rawClient) login(caps uint32) {
	b := binary.LittleEndian.AppendUint32(nil, caps|mysql.ClientProtocol41|mysql.ClientSecureConnection|mysql.ClientPluginAuth)
	b = binary.LittleEndian.AppendUint32(b, 1<<24)
	b = append(b, 45)
	b = append(b, make([]byte, 23)...)
	b = append(b, "root\x00\x00"...)
	b = append(b, mysql.AuthNativePassword+"\x00"...)
	c.put(b)
	require.Equal(c.t, byte(mysql.OKHeader), c.get()[0])
}

func (c *rawClient) put(payload []byte) {
	c.begin()
	c.out = append(c.out, payload...)
	require.NoError(c.t, c.end())
	require.NoError(c.t, c.flush())
}

// command sends a command and returns the first packet of its answer.
func (c *rawClient) command(code byte, arg []byte) []byte {
	c.resetSequence()
	c.put(append([]byte{code}, arg...))
	return c.get()
}

func (c *rawClient) get() []byte {
	b, err := c.read()
	require.NoError(c.t, err)
	return append([]byte(nil), b...)
}

// TestCursor fetches a result in pieces of three rows.
func TestCursor(t *testing.T) {
	f := startFake(t)
	res := fakeResult{cols: []Column{{Name: "n", Type: typeOf(column.TypeLongLong)}}}
	for i := range int64(7) {
		res.rows = append(res.rows, []datum.Datum{number(i)})
	}
	f.results["seven"] = res
	c := dialRaw(t, f)
	c.login(0)
	prepared := c.command(mysql.ComStmtPrepare, []byte("seven"))
	id := prepared[1:5]
	c.get() // column
	c.get() // EOF
	head := c.command(mysql.ComStmtExecute, append(append([]byte(nil), id...), cursorReadOnly, 1, 0, 0, 0))
	require.Equal(t, []byte{1}, head)
	c.get()
	require.NotZero(t, statusOfEOF(c.get())&mysql.ServerStatusCursorExists)
	var got []uint64
	for _, want := range []int{3, 3, 1} {
		p := c.command(mysql.ComStmtFetch, append(append([]byte(nil), id...), 3, 0, 0, 0))
		n := 0
		for ; p[0] == 0; p = c.get() {
			got = append(got, binary.LittleEndian.Uint64(p[2:]))
			n++
		}
		require.Equal(t, want, n)
		last := statusOfEOF(p)&mysql.ServerStatusLastRowSend != 0
		require.Equal(t, want < 3, last)
	}
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6}, got)
	require.Equal(t, mysql.ErrHeader, c.command(mysql.ComStmtFetch, append(append([]byte(nil), id...), 3, 0, 0, 0))[0])
}

func statusOfEOF(p []byte) uint16 { return binary.LittleEndian.Uint16(p[3:]) }

// TestCommandBytes checks commands that no Go client sends.
func TestCommandBytes(t *testing.T) {
	f := startFake(t)
	c := dialRaw(t, f)
	c.login(0)
	s := <-f.opened
	require.Equal(t, "Uptime: 1", string(c.command(mysql.ComStatistics, nil)))
	require.Equal(t, mysql.OKHeader, c.command(mysql.ComProcessKill, []byte{9, 0, 0, 0})[0])
	require.Equal(t, []uint64{9}, s.killed)
	require.Equal(t, mysql.EOFHeader, c.command(mysql.ComSetOption, []byte{0, 0})[0])
	require.True(t, s.conn.Has(mysql.ClientMultiStatements))
	require.Equal(t, mysql.OKHeader, c.command(mysql.ComResetConnection, nil)[0])
	require.Equal(t, mysql.OKHeader, c.command(mysql.ComChangeUser, []byte("root\x00\x00db3\x00"))[0])
	require.Equal(t, "db3", s.db)
	require.Equal(t, 2, s.resets)
	for _, bad := range [][]byte{{200}, {mysql.ComSetOption, 1}, {mysql.ComStmtExecute, 1}, {mysql.ComFieldList, 'x'},
		{mysql.ComStmtFetch, 9, 0, 0, 0, 1, 0, 0, 0}, {mysql.ComProcessKill, 1}, {mysql.ComChangeUser, 'a'}} {
		require.Equal(t, mysql.ErrHeader, c.command(bad[0], bad[1:])[0], "command % x", bad)
	}
	require.Equal(t, mysql.OKHeader, c.command(mysql.ComPing, nil)[0])
}

// TestBrokenStreams sends what no client should: the connection ends, with an error where one can be told.
func TestBrokenStreams(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"length that lies": {0xff, 0xff, 0x01, 1, 'x'},
		"too long":         {0xff, 0xff, 0xff, 1},
		"sequence":         {1, 0, 0, 7, 'x'},
		"empty":            {0, 0, 0, 1},
		"short":            {3, 0, 0, 1, 1, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t)
			c := dialRaw(t, f)
			_, err := c.net.Write(bytes)
			require.NoError(t, err)
			require.NoError(t, c.net.(*net.TCPConn).CloseWrite())
			_, err = io.Copy(io.Discard, c.net)
			require.NoError(t, err) // the server closes its side
		})
	}
}

// TestFrames packs and unpacks packets around the sizes at which they are split.
func TestFrames(t *testing.T) {
	for _, size := range []int{0, 1, 250, maxPayload - 1, maxPayload, maxPayload + 1, 2 * maxPayload} {
		var wire loop
		w := newPackets(&wire, 1<<30)
		w.begin()
		w.out = append(w.out, make([]byte, size)...)
		require.NoError(t, w.end())
		require.NoError(t, w.flush())
		r := newPackets(&wire, 1<<30)
		got, err := r.read()
		require.NoError(t, err)
		require.Len(t, got, size)
		require.Equal(t, w.seq, r.seq)
		require.Empty(t, wire)
	}
}

// loop is a stream that reads what was written to it.
type loop []byte

func (l *loop) Write(p []byte) (int, error) {
	*l = append(*l, p...)
	return len(p), nil
}

func (l *loop) Read(p []byte) (int, error) {
	if len(*l) == 0 {
		return 0, io.EOF
	}
	n := copy(p, *l)
	*l = (*l)[n:]
	return n, nil
}
