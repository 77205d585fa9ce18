package engine

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/scree-db/scree/storage"
)

const (
	// A memory-comparable string consists of groups of eight bytes and a marker; all markers but the last are groupFull.
	groupSize = 9
	groupFull = 0xFF

	timestampSize = 8
)

// mvccComparer orders keys by their bytes and splits versioned keys after the memory-comparable user key.
//
// Pebble asks that prefixes order keys before suffixes do. Plain byte order satisfies this for every input, including
// malformed keys and the shortened separators of index blocks, because split cuts where the first complete
// memory-comparable string ends, whatever follows: complete strings are never prefixes of one another, and an incomplete
// one that is a prefix of a complete one has no suffix and sorts before it.
var mvccComparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "scree.mvcc.v1"
	c.Compare = bytes.Compare
	c.Equal = bytes.Equal
	c.Split = split
	c.ComparePointSuffixes = bytes.Compare
	c.CompareRangeSuffixes = bytes.Compare
	c.ImmediateSuccessor = immediateSuccessor
	return &c
}()

// split returns the length of the part of key that all versions of one user key share.
func split(key []byte) int {
	if len(key) == 0 || !versioned(storage.CF(key[0])) {
		return len(key)
	}
	for end := 1 + groupSize; end <= len(key); end += groupSize {
		if key[end-1] != groupFull {
			return end
		}
	}
	return len(key)
}

func versioned(cf storage.CF) bool { return cf == storage.CFWrite || cf == storage.CFDefault }

// immediateSuccessor appends the smallest prefix above prefix. A complete user key's versions all begin with it, so its
// successor ends in the next marker; appending a zero, as byte order would have it, names a version of the same key.
func immediateSuccessor(dst, prefix []byte) []byte {
	dst = append(dst, prefix...)
	complete := len(prefix) > 1 && versioned(storage.CF(prefix[0])) &&
		(len(prefix)-1)%groupSize == 0 && prefix[len(prefix)-1] != groupFull
	if complete {
		dst[len(dst)-1]++
		return dst
	}
	return append(dst, 0)
}
