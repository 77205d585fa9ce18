package raw

import (
	"errors"
	"fmt"
	"math"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/rawvalue"
	"github.com/scree-db/scree/storage"
)

// keyMode is the first byte of raw keys of API V2; three bytes of keyspace id follow it.
const keyMode = 'r'

// Refusals in the words of TiKV, which clients may look for.
var (
	errNoTTL    = errors.New("ttl is not enabled, but get put request with ttl")
	errTTLCount = errors.New("The length of ttls does not equal to the length of pairs") //nolint:staticcheck // TiKV's text
	errEmptyKey = errors.New("key is empty")
)

// form is how an API version lays out keys and values. Methods that take a clock's reading want seconds since 1970.
type form struct{ api kvrpcpb.APIVersion }

// expires says whether values may have a time to live.
func (f form) expires() bool { return f.api != kvrpcpb.APIVersion_V1 }

// accept refuses requests of another API version. Unmarked requests are V1; those are fit for V1 with TTL too.
func (f form) accept(pb *kvrpcpb.Context) error {
	asked := pb.GetApiVersion()
	if asked == f.api || f.api == kvrpcpb.APIVersion_V1TTL && asked == kvrpcpb.APIVersion_V1 {
		return nil
	}
	return fmt.Errorf("Api version in request does not match with TiKV storage, cmd: raw, storage: %s, request: %s", f.api, asked)
}

// checkKey refuses keys that are not raw keys of API V2.
func (f form) checkKey(key []byte) error {
	if f.api == kvrpcpb.APIVersion_V2 && (len(key) == 0 || key[0] != keyMode) {
		return fmt.Errorf("Key mode mismatched with the request mode, cmd: raw, storage: %s, key: %x", f.api, key)
	}
	return nil
}

// checkRange is checkKey for [start, end): in API V2 both bounds belong to raw keys, or end is the one behind all of them.
func (f form) checkRange(start, end []byte) error {
	if f.api != kvrpcpb.APIVersion_V2 {
		return nil
	}
	if len(start) > 0 && start[0] == keyMode && len(end) > 0 && (end[0] == keyMode || string(end) == string(rune(keyMode+1))) {
		return nil
	}
	return fmt.Errorf("Key mode mismatched with the request mode, cmd: raw, storage: %s, range: %x..%x", f.api, start, end)
}

// family returns where the pairs of the column family that a request names live.
func (f form) family(name string) (storage.CF, error) {
	if f.api == kvrpcpb.APIVersion_V2 && name != "" {
		return 0, fmt.Errorf("cf is deprecated in API V2, cf name: %s", name)
	}
	switch {
	case f.api == kvrpcpb.APIVersion_V2:
		return storage.CFRawV2, nil
	case name == "" || name == "default":
		return storage.CFRaw, nil
	case name == "lock":
		return storage.CFRawLock, nil
	case name == "write":
		return storage.CFRawWrite, nil
	}
	return 0, fmt.Errorf("invalid cf name: %s", name)
}

// families are those that have pairs.
func (f form) families() []storage.CF {
	if f.api == kvrpcpb.APIVersion_V2 {
		return []storage.CF{storage.CFRawV2}
	}
	return []storage.CF{storage.CFRaw, storage.CFRawLock, storage.CFRawWrite}
}

// key is the stored form of a key.
func (f form) key(key []byte) []byte {
	if f.api != kvrpcpb.APIVersion_V2 {
		return key
	}
	return memcmp.AppendBytes(make([]byte, 0, memcmp.EncodedLen(len(key))), key)
}

// bound is the stored form of the bound of a range; an empty one is open.
func (f form) bound(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	return f.key(key)
}

// userKey appends the key of a stored one to dst.
func (f form) userKey(dst, stored []byte) ([]byte, error) {
	if f.api != kvrpcpb.APIVersion_V2 {
		return append(dst, stored...), nil
	}
	key, rest, err := memcmp.DecodeBytes(stored, dst)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes behind it", memcmp.ErrInvalid, len(rest))
	}
	if err != nil {
		return nil, fmt.Errorf("stored raw key %x: %w", stored, err)
	}
	return key, nil
}

// value is the stored form of a value with a time to live in seconds, 0 for ever.
func (f form) value(value []byte, ttl, now uint64) []byte {
	if !f.expires() {
		return value
	}
	expiry := uint64(0)
	if ttl > 0 {
		expiry = now + min(ttl, math.MaxUint64-now)
	}
	return rawvalue.Append(make([]byte, 0, rawvalue.EncodedLen(len(value))), value, expiry)
}

// userValue takes a stored value apart, with which it shares memory. live is false if it has expired; ttl is what is left of
// its time, 0 for ever.
func (f form) userValue(stored []byte, now uint64) (value []byte, ttl uint64, live bool, err error) {
	if !f.expires() {
		return stored, 0, true, nil
	}
	value, expiry, err := rawvalue.Split(stored)
	switch {
	case err != nil:
		return nil, 0, false, err
	case expiry == 0:
		return value, 0, true, nil
	case expiry <= now:
		return nil, 0, false, nil
	}
	return value, expiry - now, true, nil
}

// ttls brings the times to live of n pairs to one for each: none, one for all, or n.
func (f form) ttls(ttls []uint64, n int) (func(i int) uint64, error) {
	for _, ttl := range ttls {
		if ttl > 0 && !f.expires() {
			return nil, errNoTTL
		}
	}
	switch len(ttls) {
	case 0:
		return func(int) uint64 { return 0 }, nil
	case 1:
		return func(int) uint64 { return ttls[0] }, nil
	case n:
		return func(i int) uint64 { return ttls[i] }, nil
	}
	return nil, errTTLCount
}
