package session

import (
	"context"
	"strconv"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/gcworker"
)

// gcVars are the variables of garbage collection. They belong to the cluster: SET GLOBAL writes them where every gateway
// reads them, and they outlive this one.
var gcVars = []sysVar{
	onOff("tidb_gc_enable", "ON").global(),
	duration("tidb_gc_life_time", "10m0s", gcTimeMin, gcTimeMax).global(),
	duration("tidb_gc_run_interval", "10m0s", gcTimeMin, gcTimeMax).global(),
	number("tidb_gc_max_wait_time", 86_400, 600, yearSeconds).global(),
}

// A life time has to exceed a few ticks of the worker: younger transactions do not hold the safe point back.
const (
	gcTimeMin = time.Minute
	gcTimeMax = yearSeconds * time.Second
)

// runGC moves the cluster's safe points until ctx ends.
func (s *Server) runGC(ctx context.Context) {
	if s.cfg.SafePoints == nil {
		return
	}
	gcworker.New(gcworker.Options{
		ID: s.cfg.GatewayID, Client: s.client, SafePoints: s.cfg.SafePoints,
		OldestTS: s.oldestTS, Apply: s.applyGC, Logger: s.log, Tick: s.cfg.GCTick,
	}).Run(ctx)
}

// oldestTS is the least start timestamp at or above from of all transactions under way, 0 if there is none.
func (s *Server) oldestTS(from uint64) (oldest uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.working {
		if ts := ses.startTS.Load(); ts != 0 && ts >= from && (oldest == 0 || ts < oldest) {
			oldest = ts
		}
	}
	return oldest
}

// applyGC shows the cluster's settings as variables.
func (s *Server) applyGC(set gcworker.Settings) {
	on := "OFF"
	if set.Enable {
		on = "ON"
	}
	s.globals.set("tidb_gc_enable", on)
	s.globals.set("tidb_gc_life_time", set.LifeTime.String())
	s.globals.set("tidb_gc_run_interval", set.RunInterval.String())
	s.globals.set("tidb_gc_max_wait_time", strconv.Itoa(int(set.MaxWait.Seconds())))
}

// setGC changes one of the cluster's settings; ok is false for other variables. val has the variable's form.
func (s *Server) setGC(ctx context.Context, name, val string) (ok bool, err error) {
	var change func(*gcworker.Settings)
	switch name {
	case "tidb_gc_enable":
		change = func(set *gcworker.Settings) { set.Enable = val == "ON" }
	case "tidb_gc_life_time", "tidb_gc_run_interval":
		d, err := time.ParseDuration(val)
		if err != nil {
			return true, err
		}
		change = func(set *gcworker.Settings) {
			if name == "tidb_gc_life_time" {
				set.LifeTime = d
			} else {
				set.RunInterval = d
			}
		}
	case "tidb_gc_max_wait_time":
		seconds, err := strconv.Atoi(val)
		if err != nil {
			return true, err
		}
		change = func(set *gcworker.Settings) { set.MaxWait = time.Duration(seconds) * time.Second }
	default:
		return false, nil
	}
	set, err := gcworker.ChangeSettings(ctx, s.client, change)
	if err == nil {
		s.applyGC(set)
	}
	return true, err
}

// duration is a variable in the form of Go's durations.
func duration(name, def string, low, high time.Duration) sysVar {
	return sysVar{name: name, value: def, kind: kindDuration, min: int64(low), max: int64(high)}
}

func (v sysVar) checkDuration(val string) (string, bool, error) {
	d, err := time.ParseDuration(val)
	if err != nil {
		return "", false, mysql.NewErr(mysql.ErrWrongTypeForVar, v.name)
	}
	in := min(max(d, time.Duration(v.min)), time.Duration(v.max))
	return in.String(), in != d, nil
}
