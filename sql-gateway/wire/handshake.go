package wire

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/mysql"
)

const (
	protocolVersion = 10
	saltSize        = 20
	// maxAttributes bounds the connection attributes that are kept.
	maxAttributes = 64
	// handshakeLimit bounds packets of clients that have not authenticated.
	handshakeLimit = 128 << 10
	// defaultCollation is utf8mb4_bin.
	defaultCollation = 46
)

// capabilities is what this server offers.
const capabilities = mysql.ClientLongPassword | mysql.ClientFoundRows | mysql.ClientLongFlag |
	mysql.ClientConnectWithDB | mysql.ClientNoSchema | mysql.ClientCompress | mysql.ClientODBC | mysql.ClientLocalFiles |
	mysql.ClientIgnoreSpace | mysql.ClientProtocol41 | mysql.ClientInteractive | mysql.ClientTransactions |
	mysql.ClientSecureConnection | mysql.ClientMultiStatements | mysql.ClientMultiResults | mysql.ClientPSMultiResults |
	mysql.ClientPluginAuth | mysql.ClientConnectAtts | mysql.ClientPluginAuthLenencClientData | mysql.ClientDeprecateEOF

// hello is the client's half of the handshake.
type hello struct {
	caps      uint32
	collation uint16
	user, db  string
	auth      []byte
	plugin    string
	attrs     map[string]string
}

// newSalt returns random bytes without NUL and '$', as the greeting and the stored hashes want them.
func newSalt() ([]byte, error) {
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("salt: %w", err)
	}
	for i, b := range salt {
		if b &= 0x7f; b == 0 || b == '$' {
			b++
		}
		salt[i] = b
	}
	return salt, nil
}

func (c *Conn) sendGreeting() error {
	p := c.io
	p.begin()
	p.out = append(p.out, protocolVersion)
	p.out = append(append(p.out, c.version...), 0)
	p.out = binary.LittleEndian.AppendUint32(p.out, uint32(c.id))
	p.out = append(append(p.out, c.salt[:8]...), 0)
	p.out = binary.LittleEndian.AppendUint16(p.out, uint16(capabilities&0xffff))
	p.out = append(p.out, defaultCollation)
	p.out = binary.LittleEndian.AppendUint16(p.out, mysql.ServerStatusAutocommit)
	p.out = binary.LittleEndian.AppendUint16(p.out, uint16(capabilities>>16))
	p.out = append(p.out, saltSize+1)
	p.out = append(p.out, make([]byte, 10)...)
	p.out = append(append(p.out, c.salt[8:]...), 0)
	p.out = append(append(p.out, mysql.AuthCachingSha2Password...), 0)
	if err := p.end(); err != nil {
		return err
	}
	return p.flush()
}

// parseHello decodes a HandshakeResponse41. Nothing in it aliases the packet.
func parseHello(b []byte) (*hello, error) {
	c := cursor{b: b}
	h := &hello{caps: c.uint32()}
	if !c.bad && h.caps&mysql.ClientProtocol41 == 0 {
		return nil, fmt.Errorf("%w: clients before MySQL 4.1 are not served", errMalformed)
	}
	c.uint32() // the client's own packet limit binds only what it sends
	h.collation = uint16(c.uint8())
	c.take(23)
	if len(c.b) == 0 && !c.bad && h.caps&mysql.ClientSSL != 0 {
		return nil, fmt.Errorf("%w: TLS is not offered", errMalformed)
	}
	h.user = c.nulString()
	h.auth = append([]byte(nil), c.authData(h.caps)...)
	if h.caps&mysql.ClientConnectWithDB != 0 && len(c.b) > 0 {
		h.db = c.nulString()
	}
	h.plugin = c.pluginName(h.caps)
	if h.caps&mysql.ClientConnectAtts != 0 && len(c.b) > 0 {
		h.attrs = c.attributes()
	}
	return h, c.err()
}

func (c *cursor) authData(caps uint32) []byte {
	switch {
	case caps&mysql.ClientPluginAuthLenencClientData != 0:
		return c.lenencBytes()
	case caps&mysql.ClientSecureConnection != 0:
		return c.take(int(c.uint8()))
	default:
		return []byte(c.nulString())
	}
}

func (c *cursor) pluginName(caps uint32) string {
	if caps&mysql.ClientPluginAuth == 0 || len(c.b) == 0 {
		return mysql.AuthNativePassword
	}
	return c.nulString()
}

func (c *cursor) attributes() map[string]string {
	in := cursor{b: c.lenencBytes()}
	attrs := make(map[string]string)
	for len(in.b) > 0 && !in.bad && len(attrs) < maxAttributes {
		key := string(in.lenencBytes())
		attrs[key] = string(in.lenencBytes())
	}
	c.bad = c.bad || in.bad
	return attrs
}
