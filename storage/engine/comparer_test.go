package engine

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/storage"
)

func versionKey(user string, ts uint64) []byte {
	return memcmp.AppendUint64Desc(memcmp.AppendBytes(nil, []byte(user)), ts)
}

func TestSplit(t *testing.T) {
	key := familyKey(nil, storage.CFWrite, versionKey("user key", 7))
	require.Equal(t, len(key)-8, split(key))
	require.Equal(t, len(key)-8, split(key[:len(key)-8]), "a prefix is its own prefix")
	require.Equal(t, 1, split([]byte("w")))
	require.Zero(t, split(nil))
	lock := familyKey(nil, storage.CFLock, versionKey("user key", 7))
	require.Equal(t, len(lock), split(lock), "other families are not split")
}

// Pebble's demands on a comparer with prefixes, for any bytes.
func TestComparerLaws(t *testing.T) {
	anyKey := rapid.Custom(func(t *rapid.T) []byte {
		key := []byte{rapid.SampledFrom([]byte("wdl")).Draw(t, "family")}
		if rapid.Bool().Draw(t, "well-formed") {
			user := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00")), 0, 10, -1).Draw(t, "user")
			return append(key, versionKey(user, rapid.Uint64Range(0, 3).Draw(t, "ts"))...)
		}
		return append(key, rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 0xF7, 0xFE, 0xFF}), 0, 30).Draw(t, "bytes")...)
	})
	c := mvccComparer
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyKey.Draw(t, "a"), anyKey.Draw(t, "b")
		if rapid.Bool().Draw(t, "related") {
			b = append(bytes.Clone(a[:rapid.IntRange(1, len(a)).Draw(t, "cut")]), b...)
		}
		pa, pb := a[:c.Split(a)], b[:c.Split(b)]
		require.Equal(t, len(pa), c.Split(pa))
		if prefixes := bytes.Compare(pa, pb); prefixes != 0 {
			require.Equal(t, prefixes, c.Compare(a, b))
		} else {
			require.Equal(t, c.Compare(a, b), c.ComparePointSuffixes(a[len(pa):], b[len(pb):]))
		}
		if c.Compare(a, b) < 0 {
			s := c.Separator(nil, a, b)
			require.LessOrEqual(t, c.Compare(a, s), 0)
			require.Negative(t, c.Compare(s, b))
		}
		next := c.ImmediateSuccessor(nil, pa)
		require.Equal(t, len(next), c.Split(next))
		require.Negative(t, c.Compare(a, next), "behind all versions")
	})
}

func TestPrefixIteratorStaysOnItsKey(t *testing.T) {
	e := openMem(t)
	for _, user := range []string{"a", "b"} {
		put(t, e, storage.CFWrite, string(versionKey(user, 1)), user+"1", string(versionKey(user, 2)), user+"2")
	}
	require.NoError(t, e.Flush())
	it, err := e.NewIterator(storage.IterOptions{CF: storage.CFWrite, Prefix: true})
	require.NoError(t, err)
	require.True(t, it.SeekGE(versionKey("a", math.MaxUint64)))
	require.Equal(t, "a2", string(it.Value()))
	require.True(t, it.Next())
	require.Equal(t, "a1", string(it.Value()))
	require.False(t, it.Next())
	require.False(t, it.SeekGE(versionKey("absent", math.MaxUint64)))
	require.True(t, it.SeekGE(versionKey("b", 1)))
	require.NoError(t, it.Close())
}

// A scan bounded by time does not read blocks of older versions.
func TestMinTSSkipsBlocks(t *testing.T) {
	e := openMem(t)
	const keys = 20_000
	commit(t, e, func(b *Batch) {
		for i := range keys {
			ts := uint64(100)
			if i == keys/2 {
				ts = 200
			}
			b.Put(storage.CFWrite, versionKey(fmt.Sprintf("key%06d", i), ts), make([]byte, 50))
		}
		b.Put(storage.CFWrite, []byte("no timestamp"), nil)
		b.Put(storage.CFRaw, []byte("other family"), nil)
	})
	require.NoError(t, e.Flush())
	all := dump(t, e, storage.IterOptions{CF: storage.CFWrite})
	require.Len(t, all, keys+1)
	newer := dump(t, e, storage.IterOptions{CF: storage.CFWrite, MinTS: 101})
	require.Less(t, len(newer), keys/10)
	require.NotEmpty(t, newer)
	last := dump(t, e, storage.IterOptions{CF: storage.CFWrite, MinTS: math.MaxUint64})
	require.Less(t, len(last), keys/10, "only the block with the malformed key")
	require.Len(t, dump(t, e, storage.IterOptions{CF: storage.CFRaw, MinTS: 101}), 1)
}
