package raftstore

// EvenKeys is evenKeys, for tests.
var EvenKeys = (*Store).evenKeys
