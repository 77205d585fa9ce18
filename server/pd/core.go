package pd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

// Config tunes the placement driver; zero values are replaced by defaults.
type Config struct {
	// MaxReplicas is the wanted number of voters of a region. While fewer stores are up the greatest odd number of them
	// is wanted. Default 3.
	MaxReplicas int
	// MaxStoreDownTime is after how long without a heartbeat a store's replicas are replaced. Default 30 min.
	MaxStoreDownTime time.Duration
	// OperatorTimeout is after how long an order that shows no effect is forgotten. Default 1 min.
	OperatorTimeout time.Duration
	// Keyspaces are made at the start where they are missing, beside the default one. They stay when they are no longer
	// named. See CheckKeyspaceName.
	Keyspaces []string
}

func (c Config) withDefaults() Config {
	if c.MaxReplicas <= 0 {
		c.MaxReplicas = 3
	}
	if c.MaxStoreDownTime <= 0 {
		c.MaxStoreDownTime = 30 * time.Minute
	}
	if c.OperatorTimeout <= 0 {
		c.OperatorTimeout = time.Minute
	}
	return c
}

// Core is the placement driver's knowledge and decisions. It starts no goroutines and reads only the clock that it was
// given; whoever runs it calls Tick now and then. Safe for concurrent use.
type Core struct {
	cfg       Config
	state     State
	now       func() time.Time
	clusterID uint64
	oracle    *Oracle
	ids       *idAllocator

	mu sync.Mutex // protects what follows
	// cluster is nil until Bootstrap.
	cluster   *metapb.Cluster
	stores    map[uint64]*storeInfo
	regions   *regionTree
	operators map[uint64]*operator // by region id
	dirty     map[uint64]struct{}  // ids of regions to write to or delete from state
	patrolKey []byte               // where the next patrol goes on
	gc        gcState
	keyspaces keyspaces
}

// NewCore loads what state holds. rng gives a new cluster its id.
func NewCore(ctx context.Context, cfg Config, state State, now func() time.Time, rng *rand.Rand) (*Core, error) {
	c := &Core{
		cfg: cfg.withDefaults(), state: state, now: now,
		stores: make(map[uint64]*storeInfo), regions: newRegionTree(),
		operators: make(map[uint64]*operator), dirty: make(map[uint64]struct{}),
	}
	for _, load := range []func(context.Context) error{
		func(ctx context.Context) error { return c.loadClusterID(ctx, rng) },
		c.loadAllocators, c.loadCluster, c.loadStores, c.loadRegions, c.loadGC, c.loadKeyspaces,
	} {
		if err := load(ctx); err != nil {
			return nil, fmt.Errorf("load the placement driver's state: %w", err)
		}
	}
	return c, nil
}

// ClusterID names the cluster; it is chosen once and never 0.
func (c *Core) ClusterID() uint64 { return c.clusterID }

// Oracle hands out timestamps.
func (c *Core) Oracle() *Oracle { return c.oracle }

// AllocID reserves count ids and returns the last.
func (c *Core) AllocID(ctx context.Context, count uint32) (uint64, error) {
	return c.ids.next(ctx, count)
}

func (c *Core) loadClusterID(ctx context.Context, rng *rand.Rand) error {
	id, err := loadInt(ctx, c.state, keyClusterID)
	if err != nil {
		return err
	}
	if id == 0 {
		// Seconds in the upper half keep ids of clusters apart even where the random numbers agree.
		id = uint64(c.now().Unix())<<32 | uint64(rng.Uint32())
		if err := c.state.Save(ctx, Pair{keyClusterID, strconv.AppendUint(nil, id, 10)}); err != nil {
			return err
		}
	}
	c.clusterID = id
	return nil
}

func (c *Core) loadAllocators(ctx context.Context) (err error) {
	if c.oracle, err = newOracle(ctx, c.state, c.now); err != nil {
		return err
	}
	c.ids, err = newIDAllocator(ctx, c.state)
	return err
}

func (c *Core) loadCluster(ctx context.Context) error {
	pairs, err := c.state.Load(ctx, keyCluster)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if p.Key != keyCluster {
			continue
		}
		c.cluster = new(metapb.Cluster)
		if err := c.cluster.Unmarshal(p.Value); err != nil {
			return fmt.Errorf("stored cluster: %w", err)
		}
	}
	return nil
}

// IsBootstrapped reports whether the cluster has its first store and region.
func (c *Core) IsBootstrapped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cluster != nil
}

// Bootstrap creates the cluster's first store and region.
func (c *Core) Bootstrap(ctx context.Context, store *metapb.Store, region *metapb.Region) error {
	if err := checkBootstrap(store, region); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster != nil {
		return refuse(pdpb.ErrorType_ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped")
	}
	store = cloneStore(store)
	store.State, store.NodeState = metapb.StoreState_Up, metapb.NodeState_Serving
	cluster := &metapb.Cluster{Id: c.clusterID, MaxPeerCount: uint32(c.cfg.MaxReplicas)}
	pairs, err := marshalPairs(
		message{keyCluster, cluster}, message{storeKey(store.Id), store}, message{regionKey(region.Id), region})
	if err != nil {
		return err
	}
	if err := c.state.Save(ctx, pairs...); err != nil {
		return err
	}
	c.cluster = cluster
	c.stores[store.Id] = &storeInfo{meta: store, lastHeartbeat: c.now(), heard: true}
	c.regions.put(&regionInfo{meta: region})
	return nil
}

func checkBootstrap(store *metapb.Store, region *metapb.Region) error {
	invalid := func(what string) error {
		return refuse(pdpb.ErrorType_INVALID_VALUE, "invalid bootstrap request: %s", what)
	}
	switch {
	case store.GetId() == 0:
		return invalid("store id is 0")
	case region.GetId() == 0:
		return invalid("region id is 0")
	case len(region.StartKey) > 0 || len(region.EndKey) > 0:
		return invalid("the first region must have empty bounds")
	case len(region.Peers) != 1:
		return invalid("the first region must have one peer")
	case region.Peers[0].GetStoreId() != store.Id || region.Peers[0].GetId() == 0:
		return invalid("the first peer must be on the first store and have an id")
	}
	return nil
}

// Tick does what time asks for: it moves the bound of timestamps ahead and writes what is known of regions. Call it
// about once a second.
func (c *Core) Tick(ctx context.Context) error {
	if err := c.oracle.refresh(ctx); err != nil {
		return err
	}
	return c.flushRegions(ctx)
}

// Close writes what Tick would have written later, and takes the bound of timestamps back to what was handed out, so
// that after an orderly stop time does not stand still.
func (c *Core) Close(ctx context.Context) error {
	return errors.Join(c.flushRegions(ctx), c.oracle.release(ctx))
}

type marshaler interface{ Marshal() ([]byte, error) }

type message struct {
	key string
	m   marshaler
}

func marshalPairs(msgs ...message) ([]Pair, error) {
	pairs := make([]Pair, len(msgs))
	for i, m := range msgs {
		b, err := m.m.Marshal()
		if err != nil {
			return nil, fmt.Errorf("marshal %s: %w", m.key, err)
		}
		pairs[i] = Pair{m.key, b}
	}
	return pairs, nil
}

func storeKey(id uint64) string  { return fmt.Sprintf("%s%020d", keyStores, id) }
func regionKey(id uint64) string { return fmt.Sprintf("%s%020d", keyRegions, id) }
