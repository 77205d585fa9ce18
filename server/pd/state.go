package pd

import (
	"context"
	"sort"
	"strings"
	"sync"
)

// State is where the placement driver keeps what has to survive a restart: a map with ordered keys and atomic writes.
// Safe for concurrent use.
type State interface {
	// Load returns the pairs whose key begins with prefix, in key order.
	Load(ctx context.Context, prefix string) ([]Pair, error)
	// Save applies all pairs at once and returns when they are durable. A nil Value deletes the key.
	Save(ctx context.Context, pairs ...Pair) error
}

// Pair is a key and its value.
type Pair struct {
	Key   string
	Value []byte
}

// saveMax is the greatest number of pairs of one Save: the limit of an etcd transaction.
const saveMax = 128

// MemoryState is a State that lives as long as the process.
type MemoryState struct {
	mu sync.Mutex
	m  map[string][]byte
}

var _ State = (*MemoryState)(nil)

// NewMemoryState makes an empty state.
func NewMemoryState() *MemoryState { return &MemoryState{m: make(map[string][]byte)} }

// Load implements State.
func (s *MemoryState) Load(_ context.Context, prefix string) ([]Pair, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Pair
	for k, v := range s.m {
		if strings.HasPrefix(k, prefix) {
			out = append(out, Pair{k, v})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, nil
}

// Save implements State.
func (s *MemoryState) Save(_ context.Context, pairs ...Pair) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pairs {
		if p.Value == nil {
			delete(s.m, p.Key)
		} else {
			s.m[p.Key] = append([]byte{}, p.Value...)
		}
	}
	return nil
}

// The keys. Everything is below one prefix, next to the keys that PD's clients keep in the same etcd.
const (
	keyRoot      = "/scree/pd/"
	keyClusterID = keyRoot + "cluster_id" // decimal
	keyTSO       = keyRoot + "tso"        // decimal ms: the upper bound of timestamps handed out
	keyIDs       = keyRoot + "ids"        // decimal: the upper bound of ids handed out
	keyCluster   = keyRoot + "cluster"    // metapb.Cluster, present once bootstrapped
	keyStores    = keyRoot + "store/"     // + id: metapb.Store
	keyRegions   = keyRoot + "region/"    // + id: metapb.Region
	keyKeyspaces = keyRoot + "keyspace/"  // + id: keyspacepb.KeyspaceMeta
	keyGC        = keyRoot + "gc/"        // safe points and barriers, see gc.go
)
