package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/scree-db/scree/codec/memcmp"
)

const (
	// ShortValueMax is the length up to which values ride in lock and write records.
	ShortValueMax = 255

	// TSMax as a read timestamp means "the latest".
	TSMax = math.MaxUint64

	tsSize        = 8
	physicalShift = 18
)

// ErrCorrupt is in the chain of errors about stored bytes that no version of this package has written.
var ErrCorrupt = errors.New("corrupt transactional data")

// PhysicalMS returns the milliseconds of a timestamp.
func PhysicalMS(ts uint64) uint64 { return ts >> physicalShift }

// AppendKey appends the encoded form of a user key, as it stands in CFLock and begins keys of the other families.
func AppendKey(dst, userKey []byte) []byte { return memcmp.AppendBytes(dst, userKey) }

// EncodeKey returns the encoded form of a user key.
func EncodeKey(userKey []byte) []byte {
	return AppendKey(make([]byte, 0, memcmp.EncodedLen(len(userKey))+tsSize), userKey)
}

// DecodeKey appends the user key of an encoded key without timestamp to dst.
func DecodeKey(dst, encoded []byte) ([]byte, error) {
	key, rest, err := memcmp.DecodeBytes(encoded, dst)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow", len(rest))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: key %x: %w", ErrCorrupt, encoded, err)
	}
	return key, nil
}

// AppendVersion appends the key of one version: its place in CFWrite (commit_ts) or CFDefault (start_ts).
func AppendVersion(dst, encoded []byte, ts uint64) []byte {
	dst = append(dst, encoded...)
	return binary.BigEndian.AppendUint64(dst, ^ts)
}

// VersionKey returns a fresh AppendVersion.
func VersionKey(encoded []byte, ts uint64) []byte {
	return AppendVersion(make([]byte, 0, len(encoded)+tsSize), encoded, ts)
}

// SplitVersion cuts a key of CFWrite or CFDefault. A key too short to hold a timestamp is corrupt.
func SplitVersion(key []byte) (encoded []byte, ts uint64, err error) {
	n := len(key) - tsSize
	if n <= 0 {
		return nil, 0, fmt.Errorf("%w: versioned key of %d bytes", ErrCorrupt, len(key))
	}
	return key[:n], ^binary.BigEndian.Uint64(key[n:]), nil
}
