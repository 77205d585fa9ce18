package pd

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	pdhttp "github.com/tikv/pd/client/http"
)

// apiPrefix begins the paths of PD's HTTP interface.
const apiPrefix = "/pd/api/v1/"

// regionsLimit is how many regions one request is answered with at most, unless it asks for all.
const regionsLimit = 10240

// api is the part of PD's HTTP interface that looks at stores and regions. etcd serves it on its port. It answers 503 until the
// state is loaded.
func (s *Server) api() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string]func(c *Core, r *http.Request) (any, error){
		"version": func(c *Core, _ *http.Request) (any, error) { return c.versionInfo(), nil },
		"health": func(*Core, *http.Request) (any, error) {
			return []any{map[string]any{"name": s.service.self.Name, "member_id": s.service.self.MemberId, "client_urls": s.service.self.ClientUrls, "health": true}}, nil
		},
		"members": func(*Core, *http.Request) (any, error) {
			members := []*pdpb.Member{s.service.self}
			return map[string]any{"members": members, "leader": s.service.self, "etcd_leader": s.service.self}, nil
		},
		"stores":             func(c *Core, _ *http.Request) (any, error) { return c.storesInfo(), nil },
		"store/{id}":         func(c *Core, r *http.Request) (any, error) { return c.storeInfo(r.PathValue("id")) },
		"regions":            func(c *Core, _ *http.Request) (any, error) { return regionsInfo(c.scanInfo(nil, nil, 0)), nil },
		"regions/key":        regionsByKey,
		"regions/store/{id}": func(c *Core, r *http.Request) (any, error) { return c.regionsOfStore(r.PathValue("id")) },
		"region/id/{id}":     func(c *Core, r *http.Request) (any, error) { return c.regionInfoByID(r.PathValue("id")) },
		"region/key/{key}":   func(c *Core, r *http.Request) (any, error) { return c.regionInfoAt([]byte(r.PathValue("key"))) },
	} {
		mux.HandleFunc("GET "+apiPrefix+path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, answer) })
	}
	return mux
}

// errNotFound is answered with 404.
var errNotFound = errors.New("not found")

func (s *Server) answer(w http.ResponseWriter, r *http.Request, answer func(*Core, *http.Request) (any, error)) {
	select {
	case <-s.loaded:
	default:
		http.Error(w, "the placement driver is starting", http.StatusServiceUnavailable)
		return
	}
	if s.core == nil {
		http.Error(w, "the placement driver could not start", http.StatusServiceUnavailable)
		return
	}
	doc, err := answer(s.core, r)
	switch {
	case errors.Is(err, errNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		s.log.Debug("answer over HTTP", "path", r.URL.Path, "err", err)
	}
}

func (c *Core) versionInfo() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]string{"version": "v" + c.clusterVersionText()}
}

func parseID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not an id", text)
	}
	return id, nil
}

// regionsByKey lists regions from a key on: ?key=&end_key=&limit=, of which 0 or less is all.
func regionsByKey(c *Core, r *http.Request) (any, error) {
	q := r.URL.Query()
	limit := regionsLimit
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("limit %q is not a number", text)
		}
		limit = max(n, 0)
	}
	return regionsInfo(c.scanInfo([]byte(q.Get("key")), []byte(q.Get("end_key")), limit)), nil
}

func regionsInfo(list []pdhttp.RegionInfo) *pdhttp.RegionsInfo {
	return &pdhttp.RegionsInfo{Count: int64(len(list)), Regions: list}
}

// scanInfo lists regions in key order, from the one with start on, as far as end; limit 0 is no bound.
func (c *Core) scanInfo(start, end []byte, limit int) (list []pdhttp.RegionInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.regions.find(start); r != nil {
		start = r.meta.StartKey
	}
	c.regions.ascend(start, func(r *regionInfo) bool {
		if len(end) > 0 && string(r.meta.StartKey) >= string(end) {
			return false
		}
		list = append(list, r.info())
		return limit == 0 || len(list) < limit
	})
	return list
}

func (c *Core) regionsOfStore(text string) (any, error) {
	id, err := parseID(text)
	if err != nil {
		return nil, err
	}
	all := c.scanInfo(nil, nil, 0)
	return regionsInfo(slices.DeleteFunc(all, func(r pdhttp.RegionInfo) bool {
		return !slices.ContainsFunc(r.Peers, func(p pdhttp.RegionPeer) bool { return uint64(p.StoreID) == id })
	})), nil
}

func (c *Core) regionInfoByID(text string) (any, error) {
	id, err := parseID(text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.regions.byID[id]; r != nil {
		return r.info(), nil
	}
	return nil, fmt.Errorf("region %d: %w", id, errNotFound)
}

func (c *Core) regionInfoAt(key []byte) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.regions.find(key); r != nil {
		return r.info(), nil
	}
	return nil, fmt.Errorf("region of key %x: %w", key, errNotFound)
}

// info is the region as PD's HTTP interface shows it.
func (r *regionInfo) info() pdhttp.RegionInfo {
	const mebibyte = 1 << 20
	info := pdhttp.RegionInfo{
		ID: int64(r.meta.Id), StartKey: hexKey(r.meta.StartKey), EndKey: hexKey(r.meta.EndKey),
		Epoch:           pdhttp.RegionEpoch{ConfVer: int64(r.meta.RegionEpoch.GetConfVer()), Version: int64(r.meta.RegionEpoch.GetVersion())},
		ApproximateSize: int64((r.size + mebibyte - 1) / mebibyte), ApproximateKeys: int64(r.keys),
		Leader: peerInfo(r.leader),
	}
	for _, p := range r.meta.Peers {
		info.Peers = append(info.Peers, peerInfo(p))
	}
	for _, p := range r.pending {
		info.PendingPeers = append(info.PendingPeers, peerInfo(p))
	}
	for _, d := range r.down {
		info.DownPeers = append(info.DownPeers, pdhttp.RegionPeerStat{Peer: peerInfo(d.GetPeer()), DownSec: int64(d.GetDownSeconds())})
	}
	return info
}

func peerInfo(p *metapb.Peer) pdhttp.RegionPeer {
	return pdhttp.RegionPeer{ID: int64(p.GetId()), StoreID: int64(p.GetStoreId()), IsLearner: p.GetRole() == metapb.PeerRole_Learner}
}

func hexKey(key []byte) string { return strings.ToUpper(hex.EncodeToString(key)) }

func (c *Core) storesInfo() *pdhttp.StoresInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := new(pdhttp.StoresInfo)
	for _, s := range c.stores {
		if s.meta.State != metapb.StoreState_Tombstone {
			info.Stores = append(info.Stores, c.describeStore(s))
		}
	}
	slices.SortFunc(info.Stores, func(a, b pdhttp.StoreInfo) int { return int(a.Store.ID - b.Store.ID) })
	info.Count = len(info.Stores)
	return info
}

func (c *Core) storeInfo(text string) (any, error) {
	id, err := parseID(text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.stores[id]; s != nil {
		return c.describeStore(s), nil
	}
	return nil, fmt.Errorf("store %d: %w", id, errNotFound)
}

func (c *Core) describeStore(s *storeInfo) pdhttp.StoreInfo {
	info := pdhttp.StoreInfo{
		Store: pdhttp.MetaStore{
			ID: int64(s.meta.Id), Address: s.meta.Address, State: int64(s.meta.State), StateName: c.stateName(s), Version: s.meta.Version,
			StatusAddress: s.meta.StatusAddress, GitHash: s.meta.GitHash, StartTimestamp: s.meta.StartTimestamp,
		},
		Status: pdhttp.StoreStatus{
			Capacity: sizeText(s.stats.GetCapacity()), Available: sizeText(s.stats.GetAvailable()),
			LeaderCount: int64(c.regions.leaders[s.meta.Id]), LeaderWeight: 1,
			RegionCount: int64(c.regions.peers[s.meta.Id]), RegionWeight: 1, RegionSize: int64(s.stats.GetUsedSize() >> 20),
			StartTS: time.Unix(s.meta.StartTimestamp, 0), LastHeartbeatTS: s.lastHeartbeat,
			Uptime: c.now().Sub(time.Unix(s.meta.StartTimestamp, 0)).Truncate(time.Second).String(),
		},
	}
	for _, l := range s.meta.Labels {
		info.Store.Labels = append(info.Store.Labels, pdhttp.StoreLabel{Key: l.Key, Value: l.Value})
	}
	return info
}

// stateName is Up, Offline or Tombstone, and of those that should be up Disconnected or Down where nothing is heard.
func (c *Core) stateName(s *storeInfo) string {
	switch {
	case !s.serving() || c.connected(s):
		return s.meta.State.String()
	case c.downTooLong(s):
		return "Down"
	}
	return "Disconnected"
}

// sizeText is a number of bytes with a unit, as PD writes it.
func sizeText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + units[i]
}
