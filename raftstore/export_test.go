package raftstore

import "github.com/scree-db/scree/storage"

// EvenKeys is evenKeys, for tests.
var EvenKeys = (*Store).evenKeys

// Fence is fence, for tests.
var Fence = (*Store).fence

// IsLazy tells whether a snapshot takes its view with the first look.
func IsLazy(s storage.Snapshot) bool {
	_, is := s.(*lazyView)
	return is
}
