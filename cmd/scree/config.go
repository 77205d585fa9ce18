package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/server/pd"
	"github.com/scree-db/scree/sql-gateway/insight"
)

// config is what a configuration file may say. etc/scree.toml has every key with its default and meaning.
type config struct {
	DataDir string `toml:"data-dir"`
	Host    string `toml:"host"`
	// AdvertiseHost is what other processes dial; empty: Host.
	AdvertiseHost string `toml:"advertise-host"`
	PortOffset    int    `toml:"port-offset"`
	Stores        int    `toml:"stores"`
	// MemoryLimit is the soft limit of the Go runtime; 0 derives it from the machine.
	MemoryLimit size `toml:"memory-limit"`
	// QueryMemoryLimit is what all statements and pushed queries hold together; 0 derives it from the memory limit.
	QueryMemoryLimit size `toml:"query-memory-limit"`

	Log         logConfig         `toml:"log"`
	PD          pdConfig          `toml:"pd"`
	Storage     storageConfig     `toml:"storage"`
	Raft        raftConfig        `toml:"raft"`
	Coprocessor coprocessorConfig `toml:"coprocessor"`
	Columnar    columnarConfig    `toml:"columnar"`
}

type logConfig struct {
	Level string `toml:"level"`
	// SlowQueryFile is the slow log's path, in the data directory unless it is absolute; empty: there is none.
	SlowQueryFile string `toml:"slow-query-file"`
	// SlowThreshold is the time from which on a statement is slow.
	SlowThreshold duration `toml:"slow-threshold"`
	// SlowQueryFileSize is the size at which the file is renamed and a new one begun.
	SlowQueryFileSize size `toml:"slow-query-file-size"`
}

// slowLog is the file of slow statements.
func (l *logConfig) slowLog(dataDir string) insight.LogFile {
	path := l.SlowQueryFile
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(dataDir, path)
	}
	return insight.LogFile{Path: path, MaxBytes: int64(l.SlowQueryFileSize)}
}

type pdConfig struct {
	// Endpoints are where stores and gateways of other processes find it.
	Endpoints        []string `toml:"endpoints"`
	MaxReplicas      int      `toml:"max-replicas"`
	MaxStoreDownTime duration `toml:"max-store-down-time"`
	// Keyspaces are made at the start where they are missing; they are never removed.
	Keyspaces []string `toml:"keyspaces"`
}

type storageConfig struct {
	BlockCache size `toml:"block-cache"`
	// ReserveSpace is kept free on the disk: with less, writes are refused.
	ReserveSpace size `toml:"reserve-space"`
	// APIVersion and EnableTTL are TiKV's: 1, 1 with TTL for raw keys alone, or 2, which has it anyway.
	APIVersion           int      `toml:"api-version"`
	EnableTTL            bool     `toml:"enable-ttl"`
	TTLCheckPollInterval duration `toml:"ttl-check-poll-interval"`
	// GCCPUPercent is the part of one processor that a store collects old versions with.
	GCCPUPercent int `toml:"gc-cpu-percent"`
}

type raftConfig struct {
	RegionSplitSize size `toml:"region-split-size"`
	RegionMaxSize   size `toml:"region-max-size"`
}

type coprocessorConfig struct {
	Concurrency int  `toml:"concurrency"`
	MemoryLimit size `toml:"memory-limit"`
}

// columnarConfig is of the copies of tables by columns.
type columnarConfig struct {
	Enabled bool `toml:"enabled"`
	// Cache and Disk bound what is in memory and in files; 0 derives them at the start.
	Cache size `toml:"cache"`
	Disk  size `toml:"disk"`
	// MinRows is what a scan reads of a region for columns to be worth the while.
	MinRows int `toml:"min-rows"`
}

// defaultConfig is what holds where neither file nor flags say otherwise. Zeros are derived at start.
func defaultConfig() config {
	return config{
		DataDir: "./scree-data", Host: "127.0.0.1", Stores: 1,
		Log:         logConfig{Level: "info", SlowQueryFile: "scree-slow.log", SlowThreshold: duration(insight.DefaultSlowAfter), SlowQueryFileSize: 64 << 20},
		Storage:     storageConfig{ReserveSpace: 1 << 30, APIVersion: 1, TTLCheckPollInterval: duration(time.Hour), GCCPUPercent: 25},
		PD:          pdConfig{Endpoints: []string{"127.0.0.1:2379"}, MaxReplicas: 3, MaxStoreDownTime: duration(30 * time.Minute), Keyspaces: []string{}},
		Raft:        raftConfig{RegionSplitSize: 96 << 20, RegionMaxSize: 144 << 20},
		Coprocessor: coprocessorConfig{MemoryLimit: 1 << 30},
		Columnar:    columnarConfig{Enabled: true, MinRows: 16 << 10},
	}
}

// loadConfig reads a file over defaults. Keys that it does not know are refused by name.
func loadConfig(path string, c config) (config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("config: %w", err)
	}
	meta, err := toml.Decode(string(text), &c)
	if err != nil {
		return c, fmt.Errorf("config %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, k := range unknown {
			names[i] = k.String()
		}
		return c, fmt.Errorf("config %s: unknown key %s", path, strings.Join(names, ", "))
	}
	return c, nil
}

// portOffsetMax keeps every port below 65536, with room for the stores to count up.
const portOffsetMax = 40000

// check refuses values out of range; the error names each key.
func (c *config) check() error {
	var errs []error
	within := func(key string, v, low, high int64) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s = %d is out of range [%d, %d]", key, v, low, high))
		}
	}
	within("port-offset", int64(c.PortOffset), 0, portOffsetMax)
	within("stores", int64(c.Stores), 1, 16)
	within("pd.max-replicas", int64(c.PD.MaxReplicas), 1, 9)
	within("pd.max-store-down-time (seconds)", int64(time.Duration(c.PD.MaxStoreDownTime).Seconds()), 10, 7*24*3600)
	within("storage.api-version", int64(c.Storage.APIVersion), 1, 2)
	within("storage.ttl-check-poll-interval (ms)", time.Duration(c.Storage.TTLCheckPollInterval).Milliseconds(), 10, 365*24*3600*1000)
	within("storage.gc-cpu-percent", int64(c.Storage.GCCPUPercent), 1, 100)
	for _, name := range c.PD.Keyspaces {
		if err := pd.CheckKeyspaceName(name); err != nil {
			errs = append(errs, fmt.Errorf("pd.keyspaces: %w", err))
		}
	}
	within("storage.reserve-space", int64(c.Storage.ReserveSpace), 1<<20, 1<<40)
	within("raft.region-split-size", int64(c.Raft.RegionSplitSize), 1<<20, 10<<30)
	within("raft.region-max-size", int64(c.Raft.RegionMaxSize), int64(c.Raft.RegionSplitSize), 20<<30)
	within("coprocessor.concurrency", int64(c.Coprocessor.Concurrency), 0, 1024)
	within("coprocessor.memory-limit", int64(c.Coprocessor.MemoryLimit), 1<<20, math.MaxInt64)
	within("columnar.min-rows", int64(c.Columnar.MinRows), 1, math.MaxInt32)
	within("query-memory-limit", int64(c.QueryMemoryLimit), 0, math.MaxInt64)
	within("log.slow-threshold (ms)", time.Duration(c.Log.SlowThreshold).Milliseconds(), 1, 24*3600*1000)
	within("log.slow-query-file-size", int64(c.Log.SlowQueryFileSize), 64<<10, 1<<40)
	if c.DataDir == "" {
		errs = append(errs, errors.New("data-dir is empty"))
	}
	for _, addr := range c.PD.Endpoints {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("pd.endpoints: %w", err))
		}
	}
	if _, err := c.Log.level(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// api is the version that the stores speak.
func (s *storageConfig) api() kvrpcpb.APIVersion {
	switch {
	case s.APIVersion == 2:
		return kvrpcpb.APIVersion_V2
	case s.EnableTTL:
		return kvrpcpb.APIVersion_V1TTL
	}
	return kvrpcpb.APIVersion_V1
}

// sql says whether stores of this version take what the gateway needs.
func (s *storageConfig) sql() bool { return s.api() != kvrpcpb.APIVersion_V1TTL }

func (l logConfig) level() (slog.Level, error) {
	var v slog.Level
	if err := v.UnmarshalText([]byte(l.Level)); err != nil {
		return 0, fmt.Errorf("log.level = %q is none of debug, info, warn, error", l.Level)
	}
	return v, nil
}

// size is a number of bytes, written as a number or with a unit: "64MiB".
type size int64

// sizeUnits, the longest suffix first.
var sizeUnits = []struct {
	suffix string
	bytes  float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	t, unit := strings.TrimSpace(string(text)), 1.0
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(t, u.suffix); ok {
			t, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(t, 64)
	if err != nil || !(v >= 0) || v*unit >= math.MaxInt64 {
		return fmt.Errorf("%q is not a size such as 512MiB", text)
	}
	*s = size(v * unit)
	return nil
}

// duration is a time.Duration written as "30m".
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 30m", text)
	}
	*d = duration(v)
	return nil
}
