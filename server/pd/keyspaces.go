package pd

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/pingcap/kvproto/pkg/keyspacepb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

// A keyspace is a name for three bytes that clients of API V2 put before their keys. There is always the default one; the
// others are those that the configuration has named so far.
const (
	defaultKeyspace = "DEFAULT"
	keyspaceIDMax   = 1<<24 - 1
)

var keyspaceName = regexp.MustCompile(`^[-A-Za-z0-9_]{1,64}$`)

// CheckKeyspaceName says whether a keyspace may have the name.
func CheckKeyspaceName(name string) error {
	if !keyspaceName.MatchString(name) {
		return fmt.Errorf("keyspace name %q is not 1 to 64 letters, digits, - and _", name)
	}
	return nil
}

// keyspaces are protected by Core's mutex. A keyspacepb.KeyspaceMeta is replaced, never changed.
type keyspaces struct {
	byID   map[uint32]*keyspacepb.KeyspaceMeta
	byName map[string]*keyspacepb.KeyspaceMeta
	// changes lists the ids in the order of their changes, for those who watch; changed is closed at the next one.
	changes []uint32
	changed chan struct{}
}

func keyspaceKey(id uint32) string { return fmt.Sprintf("%s%08d", keyKeyspaces, id) }

// loadKeyspaces reads the keyspaces and makes those that are missing.
func (c *Core) loadKeyspaces(ctx context.Context) error {
	k := &c.keyspaces
	k.byID, k.byName = make(map[uint32]*keyspacepb.KeyspaceMeta), make(map[string]*keyspacepb.KeyspaceMeta)
	k.changed = make(chan struct{})
	pairs, err := c.state.Load(ctx, keyKeyspaces)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		meta := new(keyspacepb.KeyspaceMeta)
		if err := meta.Unmarshal(p.Value); err != nil {
			return fmt.Errorf("stored %s: %w", p.Key, err)
		}
		k.put(meta)
	}
	for _, name := range append([]string{defaultKeyspace}, c.cfg.Keyspaces...) {
		if err := c.ensureKeyspace(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// ensureKeyspace makes a keyspace unless there is one of the name. The first one has id 0, and the others follow.
func (c *Core) ensureKeyspace(ctx context.Context, name string) error {
	if err := CheckKeyspaceName(name); err != nil || c.keyspaces.byName[name] != nil {
		return err
	}
	id := uint32(len(c.keyspaces.byID)) // none is ever removed
	if id > keyspaceIDMax {
		return fmt.Errorf("keyspace %s: there are %d already", name, id)
	}
	now := c.now().Unix()
	return c.saveKeyspace(ctx, &keyspacepb.KeyspaceMeta{
		Keyspace: &keyspacepb.KeyspaceMeta_Id{Id: id}, Name: name, State: keyspacepb.KeyspaceState_ENABLED,
		CreatedAt: now, StateChangedAt: now,
	})
}

func (c *Core) saveKeyspace(ctx context.Context, meta *keyspacepb.KeyspaceMeta) error {
	pairs, err := marshalPairs(message{keyspaceKey(meta.GetId()), meta})
	if err != nil {
		return err
	}
	if err := c.state.Save(ctx, pairs...); err != nil {
		return err
	}
	c.keyspaces.put(meta)
	return nil
}

func (k *keyspaces) put(meta *keyspacepb.KeyspaceMeta) {
	k.byID[meta.GetId()], k.byName[meta.Name] = meta, meta
	k.changes = append(k.changes, meta.GetId())
	close(k.changed)
	k.changed = make(chan struct{})
}

// Keyspace finds a keyspace by its name.
func (c *Core) Keyspace(name string) (*keyspacepb.KeyspaceMeta, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if meta := c.keyspaces.byName[name]; meta != nil {
		return meta, nil
	}
	return nil, refuse(pdpb.ErrorType_ENTRY_NOT_FOUND, "keyspace %q does not exist", name)
}

// KeyspaceByID finds a keyspace by its id.
func (c *Core) KeyspaceByID(id uint32) (*keyspacepb.KeyspaceMeta, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if meta := c.keyspaces.byID[id]; meta != nil {
		return meta, nil
	}
	return nil, refuse(pdpb.ErrorType_ENTRY_NOT_FOUND, "keyspace %d does not exist", id)
}

// Keyspaces lists up to limit keyspaces from an id on; 0 is all.
func (c *Core) Keyspaces(from uint32, limit int) []*keyspacepb.KeyspaceMeta {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*keyspacepb.KeyspaceMeta
	for id := from; c.keyspaces.byID[id] != nil && (limit == 0 || len(out) < limit); id++ {
		out = append(out, c.keyspaces.byID[id])
	}
	return out
}

// keyspaceStates are the states that may follow each; every state may follow itself.
var keyspaceStates = map[keyspacepb.KeyspaceState][]keyspacepb.KeyspaceState{
	keyspacepb.KeyspaceState_ENABLED:  {keyspacepb.KeyspaceState_DISABLED},
	keyspacepb.KeyspaceState_DISABLED: {keyspacepb.KeyspaceState_ENABLED, keyspacepb.KeyspaceState_ARCHIVED},
	keyspacepb.KeyspaceState_ARCHIVED: {keyspacepb.KeyspaceState_TOMBSTONE},
}

// SetKeyspaceState changes the state of a keyspace; clients open enabled ones only. The default one stays enabled.
func (c *Core) SetKeyspaceState(ctx context.Context, id uint32, state keyspacepb.KeyspaceState) (*keyspacepb.KeyspaceMeta, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.keyspaces.byID[id]
	switch {
	case old == nil:
		return nil, refuse(pdpb.ErrorType_ENTRY_NOT_FOUND, "keyspace %d does not exist", id)
	case old.State == state:
		return old, nil
	case id == 0:
		return nil, refuse(pdpb.ErrorType_INVALID_VALUE, "cannot change the state of keyspace %s", defaultKeyspace)
	case !slices.Contains(keyspaceStates[old.State], state):
		return nil, refuse(pdpb.ErrorType_INVALID_VALUE, "keyspace %s cannot go from %s to %s", old.Name, old.State, state)
	}
	meta := *old
	meta.State, meta.StateChangedAt = state, c.now().Unix()
	if err := c.saveKeyspace(ctx, &meta); err != nil {
		return nil, err
	}
	return &meta, nil
}

// changedKeyspaces returns the keyspaces that have changed since the mark of an earlier call, 0 for all, the next mark, and
// what is closed when there is more.
func (c *Core) changedKeyspaces(since int) (changed []*keyspacepb.KeyspaceMeta, mark int, more <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &c.keyspaces
	ids := slices.Clone(k.changes[since:])
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		changed = append(changed, k.byID[id])
	}
	return changed, len(k.changes), k.changed
}
