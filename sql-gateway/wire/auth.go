package wire

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"sync"

	"github.com/pingcap/tidb/pkg/parser/auth"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// Account is what a Backend knows of a user: a plugin and the stored hash of the password, as mysql.user has them.
type Account struct {
	// Plugin is mysql_native_password or caching_sha2_password.
	Plugin string
	// Hash is "*" and 40 hexadecimal digits, or "$A$005$" and salt and digest; empty for no password.
	Hash string
}

// NewAccount hashes a password for caching_sha2_password; an empty password gives an account without one.
func NewAccount(password string) Account {
	a := Account{Plugin: mysql.AuthCachingSha2Password}
	if password != "" {
		a.Hash = auth.NewHashPassword(password, mysql.AuthCachingSha2Password)
	}
	return a
}

// Steps of caching_sha2_password in AuthMoreData packets.
const (
	authMoreData      = 0x01
	authSwitchRequest = 0xfe
	sha2RequestKey    = 0x02
	sha2FastOK        = 0x03
	sha2FullAuth      = 0x04
)

// authenticate checks the client against account, switching plugins where the client began with another.
func (c *Conn) authenticate(h *hello, account Account) (bool, error) {
	response := h.auth
	if h.plugin != account.Plugin && account.Hash != "" {
		var err error
		if response, err = c.switchPlugin(account.Plugin); err != nil {
			return false, err
		}
	}
	if account.Hash == "" {
		return len(trimNul(response)) == 0, nil
	}
	switch account.Plugin {
	case mysql.AuthNativePassword:
		return checkNative(c.salt, account.Hash, response), nil
	case mysql.AuthCachingSha2Password:
		return c.checkSha2(account.Hash, response)
	default:
		return false, fmt.Errorf("authentication plugin %q is not known", account.Plugin)
	}
}

func trimNul(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

func (c *Conn) switchPlugin(plugin string) ([]byte, error) {
	p := c.io
	p.begin()
	p.out = append(p.out, authSwitchRequest)
	p.out = append(append(p.out, plugin...), 0)
	p.out = append(append(p.out, c.salt...), 0)
	return c.ask()
}

// ask sends the open packet and returns a copy of the client's answer.
func (c *Conn) ask() ([]byte, error) {
	if err := c.io.end(); err != nil {
		return nil, err
	}
	if err := c.io.flush(); err != nil {
		return nil, err
	}
	b, err := c.io.read()
	return append([]byte(nil), b...), err
}

func checkNative(salt []byte, hash string, response []byte) bool {
	if len(hash) != 41 || len(response) != sha1.Size {
		return false
	}
	stored, err := auth.DecodePassword(hash)
	return err == nil && auth.CheckScrambledPassword(salt, stored, response)
}

// checkSha2 first tries the digest of an earlier login, which costs one round trip less; without one the password
// comes encrypted with this server's RSA key and is checked against the stored, salted hash.
func (c *Conn) checkSha2(hash string, response []byte) (bool, error) {
	response = trimSha2(response)
	if len(response) == 0 {
		return false, nil
	}
	if digest, ok := fastDigests.get(hash); ok {
		if checkScrambledSha2(c.salt, digest, response) {
			c.moreData(sha2FastOK)
			return true, c.io.end()
		}
		return false, nil
	}
	password, err := c.fullSha2()
	if err != nil {
		return false, err
	}
	ok, err := auth.CheckHashingPassword([]byte(hash), string(password), mysql.AuthCachingSha2Password)
	if err != nil || !ok {
		return false, err
	}
	fastDigests.put(hash, password)
	return true, nil
}

func trimSha2(response []byte) []byte {
	if len(response) == sha256.Size {
		return response
	}
	return trimNul(response)
}

// checkScrambledSha2 tests response = SHA256(pw) xor SHA256(digest + salt) with digest = SHA256(SHA256(pw)).
func checkScrambledSha2(salt, digest, response []byte) bool {
	if len(response) != sha256.Size {
		return false
	}
	mask := sha256.Sum256(append(append([]byte(nil), digest...), salt...))
	subtle.XORBytes(mask[:], mask[:], response)
	got := sha256.Sum256(mask[:])
	return subtle.ConstantTimeCompare(got[:], digest) == 1
}

func (c *Conn) moreData(data ...byte) {
	c.io.begin()
	c.io.out = append(append(c.io.out, authMoreData), data...)
}

// fullSha2 has the client send its password encrypted. There is no TLS here, so a plain password is never asked for.
func (c *Conn) fullSha2() ([]byte, error) {
	c.moreData(sha2FullAuth)
	answer, err := c.ask()
	if err != nil {
		return nil, err
	}
	key, err := serverKey()
	if err != nil {
		return nil, err
	}
	if len(answer) == 1 && answer[0] == sha2RequestKey {
		c.moreData(key.public...)
		if answer, err = c.ask(); err != nil {
			return nil, err
		}
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key.private, answer, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: password cannot be decrypted", errMalformed)
	}
	for i := range plain {
		plain[i] ^= c.salt[i%len(c.salt)]
	}
	return trimNul(plain), nil
}

type rsaKey struct {
	private *rsa.PrivateKey
	public  []byte // PEM
}

// serverKey makes this process's key pair when the first password has to be sent.
var serverKey = sync.OnceValues(func() (*rsaKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("RSA key for passwords: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("RSA key for passwords: %w", err)
	}
	return &rsaKey{private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil
})

// digestCache maps stored hashes to SHA256(SHA256(password)) of passwords that matched them: what "caching" in the
// plugin's name means. A changed password has a new stored hash and so never meets an old entry.
type digestCache struct {
	mu sync.Mutex
	m  map[string][]byte
}

const digestCacheSize = 10_000

var fastDigests = digestCache{m: make(map[string][]byte)}

func (d *digestCache) get(hash string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	digest, ok := d.m[hash]
	return digest, ok
}

func (d *digestCache) put(hash string, password []byte) {
	once := sha256.Sum256(password)
	twice := sha256.Sum256(once[:])
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.m) >= digestCacheSize {
		clear(d.m)
	}
	d.m[hash] = twice[:]
}
