package pd

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

// storeInfo is what is known of one store. meta is replaced, never changed.
type storeInfo struct {
	meta          *metapb.Store
	stats         *pdpb.StoreStats
	lastHeartbeat time.Time
	// heard: the store has registered or spoken since this placement driver started.
	heard bool
}

// disconnectAfter is after how long without a heartbeat a store gets no new replicas or leaders.
const disconnectAfter = 20 * time.Second

func (s *storeInfo) serving() bool { return s.meta.State == metapb.StoreState_Up }

func (c *Core) loadStores(ctx context.Context) error {
	pairs, err := c.state.Load(ctx, keyStores)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		meta := new(metapb.Store)
		if err := meta.Unmarshal(p.Value); err != nil {
			return fmt.Errorf("stored %s: %w", p.Key, err)
		}
		// Nobody has spoken yet; counting from now gives every store its full time to come back.
		c.stores[meta.Id] = &storeInfo{meta: meta, lastHeartbeat: c.now()}
	}
	return nil
}

// PutStore registers a store or changes its description.
func (c *Core) PutStore(ctx context.Context, store *metapb.Store) error {
	if store.GetId() == 0 {
		return refuse(pdpb.ErrorType_INVALID_VALUE, "invalid put store %v", store)
	}
	if _, err := majorMinor(store.Version); err != nil {
		return refuse(pdpb.ErrorType_INVALID_VALUE, "store version: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return errNotBootstrapped
	}
	if err := c.checkStore(store); err != nil {
		return err
	}
	store = cloneStore(store)
	if old := c.stores[store.Id]; old != nil {
		store.State, store.NodeState = old.meta.State, old.meta.NodeState
	} else {
		store.State, store.NodeState = metapb.StoreState_Up, metapb.NodeState_Serving
	}
	return c.saveStore(ctx, store)
}

// checkStore refuses ids that are buried, addresses in use and versions older than the cluster's.
func (c *Core) checkStore(store *metapb.Store) error {
	if old := c.stores[store.Id]; old != nil && old.meta.State == metapb.StoreState_Tombstone {
		return refuse(pdpb.ErrorType_STORE_TOMBSTONE, "store is tombstone")
	}
	for id, other := range c.stores {
		// After a restart an address belongs to nobody until its owner has spoken: stores may have changed places.
		if id != store.Id && other.heard && other.meta.State != metapb.StoreState_Tombstone && other.meta.Address == store.Address {
			return refuse(pdpb.ErrorType_DUPLICATED_ENTRY,
				"duplicated store address: id %d address %s, already registered by id %d", store.Id, store.Address, id)
		}
	}
	mine, err := majorMinor(store.Version)
	if err != nil {
		return err
	}
	if cluster := c.clusterVersion(); mine < cluster {
		return refuse(pdpb.ErrorType_INCOMPATIBLE_VERSION,
			"version %s should be compatible with the cluster's, at least %d.%d", store.Version, cluster>>32, cluster&0xffffffff)
	}
	return nil
}

func (c *Core) saveStore(ctx context.Context, store *metapb.Store) error {
	pairs, err := marshalPairs(message{storeKey(store.Id), store})
	if err != nil {
		return err
	}
	if err := c.state.Save(ctx, pairs...); err != nil {
		return err
	}
	info := c.stores[store.Id]
	if info == nil {
		info = &storeInfo{lastHeartbeat: c.now()}
		c.stores[store.Id] = info
	}
	info.meta, info.heard = store, true
	return nil
}

// clusterVersion is the least version of the living stores, major<<32 | minor.
func (c *Core) clusterVersion() uint64 {
	least := uint64(0)
	for _, s := range c.stores {
		v, err := majorMinor(s.meta.Version)
		if err != nil || s.meta.State == metapb.StoreState_Tombstone {
			continue
		}
		if least == 0 || v < least {
			least = v
		}
	}
	return least
}

// clusterVersionText is the cluster's version as heartbeats tell it.
func (c *Core) clusterVersionText() string {
	v := c.clusterVersion()
	return fmt.Sprintf("%d.%d.0", v>>32, v&0xffffffff)
}

// majorMinor reads the first two parts of a semantic version; an empty one is 1.0.
func majorMinor(version string) (uint64, error) {
	if version == "" {
		return 1 << 32, nil
	}
	core, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	core, _, _ = strings.Cut(core, "+")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return 0, fmt.Errorf("%q is not a semantic version", version)
	}
	var n [3]uint64
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is not a semantic version", version)
		}
		n[i] = v
	}
	return n[0]<<32 | n[1], nil
}

// Store returns a store and its last statistics (nil before its first heartbeat).
func (c *Core) Store(id uint64) (*metapb.Store, *pdpb.StoreStats, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return nil, nil, errNotBootstrapped
	}
	s := c.stores[id]
	if s == nil {
		return nil, nil, refuse(pdpb.ErrorType_UNKNOWN, "invalid store ID %d, not found", id)
	}
	return s.described(), s.stats, nil
}

// Stores lists stores by id.
func (c *Core) Stores(excludeTombstone bool) ([]*metapb.Store, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return nil, errNotBootstrapped
	}
	var out []*metapb.Store
	for _, s := range c.stores {
		if !excludeTombstone || s.meta.State != metapb.StoreState_Tombstone {
			out = append(out, s.described())
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Id < out[j].Id })
	return out, nil
}

// described is the store's description with the time of its last heartbeat.
func (s *storeInfo) described() *metapb.Store {
	m := cloneStore(s.meta)
	m.LastHeartbeat = s.lastHeartbeat.UnixNano()
	return m
}

// StoreHeartbeat takes in a store's statistics.
func (c *Core) StoreHeartbeat(stats *pdpb.StoreStats) (*pdpb.StoreHeartbeatResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return nil, errNotBootstrapped
	}
	s := c.stores[stats.GetStoreId()]
	switch {
	case s == nil:
		return nil, refuse(pdpb.ErrorType_UNKNOWN, "invalid store ID %d, not found", stats.GetStoreId())
	case s.meta.State == metapb.StoreState_Tombstone:
		return nil, refuse(pdpb.ErrorType_STORE_TOMBSTONE, "store is tombstone")
	}
	s.stats, s.lastHeartbeat, s.heard = stats, c.now(), true
	return &pdpb.StoreHeartbeatResponse{ClusterVersion: c.clusterVersionText(), State: s.meta.NodeState}, nil
}

// cloneStore copies the message itself; what it points to is never changed.
func cloneStore(s *metapb.Store) *metapb.Store {
	c := *s
	return &c
}
