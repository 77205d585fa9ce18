package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scree.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// configureWith runs the playground command's configuration with flags.
func configureWith(t *testing.T, file string, flags ...string) (config, error) {
	t.Helper()
	cmd := newPlayground()
	require.NoError(t, cmd.ParseFlags(flags))
	return configure(cmd, file)
}

// Defaults, file and flags, the later over the earlier.
func TestConfigOrder(t *testing.T) {
	c, err := configureWith(t, "")
	require.NoError(t, err)
	require.Equal(t, defaultConfig(), c)

	file := writeConfig(t, `
stores = 3
port-offset = 100
[raft]
region-split-size = "1GiB"
region-max-size = 2147483648
[pd]
max-store-down-time = "1h"
`)
	c, err = configureWith(t, file, "--port-offset", "200", "--log-level", "debug")
	require.NoError(t, err)
	require.Equal(t, 3, c.Stores)
	require.Equal(t, 200, c.PortOffset)
	require.Equal(t, "debug", c.Log.Level)
	require.EqualValues(t, 1<<30, c.Raft.RegionSplitSize)
	require.EqualValues(t, 2<<30, c.Raft.RegionMaxSize)
	require.Equal(t, time.Hour, time.Duration(c.PD.MaxStoreDownTime))
}

// What is wrong is named by its key.
func TestConfigRefusals(t *testing.T) {
	for text, names := range map[string]string{
		`storse = 3`:                                 "unknown key storse",
		"[raft]\nspeed = 1":                          "unknown key raft.speed",
		`stores = 0`:                                 "stores = 0 is out of range [1, 16]",
		`stores = "many"`:                            "stores",
		`port-offset = 60000`:                        "port-offset",
		`data-dir = ""`:                              "data-dir",
		"[log]\nlevel = \"loud\"":                    "log.level",
		"[raft]\nregion-max-size = \"1MB\"":          "raft.region-max-size",
		"[coprocessor]\nmemory-limit = \"-1GiB\"":    "is not a size",
		"[pd]\nmax-store-down-time = \"soon\"":       "is not a duration",
		"[pd]\nmax-replicas = 100":                   "pd.max-replicas",
		"[storage]\nblock-cache = \"1e300GiB\"":      "is not a size",
		"[storage]\nblock-cache = \"NaN\"":           "is not a size",
		"[storage]\napi-version = 3":                 "storage.api-version = 3 is out of range [1, 2]",
		"[storage]\nttl-check-poll-interval = \"0\"": "storage.ttl-check-poll-interval",
		"[storage]\ngc-cpu-percent = 0":              "storage.gc-cpu-percent",
		"[pd]\nkeyspaces = [\"a b\"]":                "pd.keyspaces",
		"[coprocessor]\nconcurrency = -1":            "coprocessor.concurrency",
		"[pd]\nendpoints = [\"localhost\"]":          "pd.endpoints",
		"[pd]\nmax-store-down-time = \"1s\"":         "pd.max-store-down-time",
		"[storage]\nblock-cache = \"12 parsecs\"":    "is not a size",
		"[coprocessor]\nmemory-limit = \"12 KiB\"":   "coprocessor.memory-limit",
	} {
		_, err := configureWith(t, writeConfig(t, text))
		require.ErrorContains(t, err, names, text)
	}
	_, err := configureWith(t, filepath.Join(t.TempDir(), "none.toml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// The template says the truth: with every line in force it is the default configuration.
func TestConfigTemplate(t *testing.T) {
	text, err := os.ReadFile("../../etc/scree.toml")
	require.NoError(t, err)
	var uncommented []byte
	for line := range bytes.Lines(text) {
		if len(line) > 1 && line[0] == '#' && line[1] != ' ' {
			line = line[1:]
		}
		uncommented = append(uncommented, line...)
	}
	c, err := loadConfig(writeConfig(t, string(uncommented)), config{})
	require.NoError(t, err)
	require.Equal(t, defaultConfig(), c)
}

func TestAPIVersion(t *testing.T) {
	for text, want := range map[string]kvrpcpb.APIVersion{
		"":                  kvrpcpb.APIVersion_V1,
		"enable-ttl = true": kvrpcpb.APIVersion_V1TTL,
		"api-version = 2":   kvrpcpb.APIVersion_V2,
	} {
		c, err := configureWith(t, writeConfig(t, "[storage]\n"+text))
		require.NoError(t, err)
		require.Equal(t, want, c.Storage.api(), text)
	}
}

func TestParseLoad(t *testing.T) {
	spec, err := parseLoad("tpch:0.01")
	require.NoError(t, err)
	require.InDelta(t, 0.01, float64(spec.scale), 1e-9)
	spec, err = parseLoad("")
	require.NoError(t, err)
	require.Nil(t, spec)
	for _, bad := range []string{"tpch", "tpch:", "tpch:-1", "tpch:x", "tpcc:1"} {
		_, err := parseLoad(bad)
		require.ErrorContains(t, err, "data set "+bad)
	}
}
