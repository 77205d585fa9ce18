package raftstore

// EvenKeys is evenKeys, for tests.
var EvenKeys = (*Store).evenKeys

// Fence is fence, for tests.
var Fence = (*Store).fence
