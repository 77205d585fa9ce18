package pd

import (
	"strconv"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/prometheus/client_golang/prometheus"
)

// The figures of a Core, under PD's names where they mean the same. They are read when somebody asks.
var (
	clusterStatus = prometheus.NewDesc("pd_cluster_status", "Stores by their state, regions, and the space of all stores.", []string{"type"}, nil)
	regionsStatus = prometheus.NewDesc("pd_regions_status", "Regions that lack something.", []string{"type"}, nil)
	storeStatus   = prometheus.NewDesc("pd_scheduler_store_status", "What each store has.", []string{"address", "store", "type"}, nil)
	operatorCount = prometheus.NewDesc("pd_schedule_operators_count", "Orders to regions that are under way.", nil, nil)
	tsoPhysical   = prometheus.NewDesc("pd_tso_tso", "Physical part of the last timestamp, in milliseconds.", []string{"type"}, nil)
	tsoCount      = prometheus.NewDesc("scree_pd_timestamps_total", "Timestamps given out since the start.", nil, nil)
)

var _ prometheus.Collector = (*Core)(nil)

// Describe implements prometheus.Collector.
func (c *Core) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{clusterStatus, regionsStatus, storeStatus, operatorCount, tsoPhysical, tsoCount} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Core) Collect(ch chan<- prometheus.Metric) {
	last, given := c.oracle.given()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(tsoPhysical, float64(last.Physical()), "tso")
	ch <- prometheus.MustNewConstMetric(tsoCount, prometheus.CounterValue, float64(given))
	c.mu.Lock()
	defer c.mu.Unlock()
	gauge(operatorCount, float64(len(c.operators)))
	c.collectStores(gauge)
	c.collectRegions(gauge)
}

type gaugeFunc func(d *prometheus.Desc, v float64, labels ...string)

func (c *Core) collectStores(gauge gaugeFunc) {
	var up, disconnected, down, tombstone, used, capacity float64
	for id, s := range c.stores {
		switch {
		case s.meta.State == metapb.StoreState_Tombstone:
			tombstone++
			continue
		case c.connected(s):
			up++
		case c.downTooLong(s):
			down++
		default:
			disconnected++
		}
		labels := func(kind string) []string { return []string{s.meta.Address, strconv.FormatUint(id, 10), kind} }
		gauge(storeStatus, float64(c.regions.peers[id]), labels("region_count")...)
		gauge(storeStatus, float64(c.regions.leaders[id]), labels("leader_count")...)
		gauge(storeStatus, float64(s.stats.GetCapacity()), labels("store_capacity")...)
		gauge(storeStatus, float64(s.stats.GetAvailable()), labels("store_available")...)
		used += float64(s.stats.GetUsedSize())
		capacity += float64(s.stats.GetCapacity())
	}
	gauge(clusterStatus, up, "store_up_count")
	gauge(clusterStatus, disconnected, "store_disconnected_count")
	gauge(clusterStatus, down, "store_down_count")
	gauge(clusterStatus, tombstone, "store_tombstone_count")
	gauge(clusterStatus, used, "storage_size")
	gauge(clusterStatus, capacity, "storage_capacity")
}

func (c *Core) collectRegions(gauge gaugeFunc) {
	var leaders, missing, down, pending, leaderless float64
	want := c.wantedReplicas()
	for _, r := range c.regions.byID {
		if r.leader == nil {
			leaderless++
		} else {
			leaders++
		}
		missing += oneIf(len(r.meta.Peers) < want)
		down += oneIf(len(r.down) > 0)
		pending += oneIf(len(r.pending) > 0)
	}
	gauge(clusterStatus, float64(len(c.regions.byID)), "region_count")
	gauge(clusterStatus, leaders, "leader_count")
	gauge(regionsStatus, missing, "miss-peer-region-count")
	gauge(regionsStatus, down, "down-peer-region-count")
	gauge(regionsStatus, pending, "pending-peer-region-count")
	gauge(regionsStatus, leaderless, "no-leader-region-count")
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
