// Package tests holds what looks at the whole project: its import floors here, and processes and clusters in the
// packages below.
package tests

import (
	"go/build"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/scree-db/scree/"

// floors is the table of docs/architecture.md: a package imports only from floors below its own. The gateway stands
// apart: see gatewayMay.
var floors = []struct {
	floor    int
	packages []string
}{
	{0, []string{"codec/*"}},
	{1, []string{"storage", "executor/expr", "executor/agg", "executor/spill"}},
	{2, []string{"executor", "executor/dagjson", "storage/engine"}},
	{3, []string{"storage/mvcc", "storage/storagetest", "raftstore/raftlog"}},
	{4, []string{"storage/txn", "storage/raw", "storage/columnar", "raftstore"}},
	{5, []string{"coprocessor", "raftstore/*"}},
	{6, []string{
		"server/kvservice", "server/flight", "server/transport", "server/deadlock", "server/garbage", "server/pd", "server/pdclient",
		"server/resolvedts", "server/status", "server/zaplog",
	}},
	{7, []string{"server/node"}},
}

// gatewayMay are the packages outside sql-gateway that it may import.
var gatewayMay = []string{"codec/*", "executor", "executor/*"}

// reserved maps a library to the only part of the project that may import it.
var reserved = map[string]string{
	"github.com/cockroachdb/pebble/v2":   "storage/engine",
	"go.etcd.io/raft/v3":                 "raftstore",
	"github.com/pingcap/tidb/pkg/parser": "sql-gateway",
	"go.etcd.io/etcd/server/v3":          "server/pd",
	"github.com/pingcap/go-tpc":          "sql-gateway/tpch",
}

// mayShare are imports of a reserved library that anyone may have: the file system that engines are opened on.
var mayShare = map[string]bool{"github.com/cockroachdb/pebble/v2/vfs": true}

// sameFloor are the imports inside one floor that the table's packages need: a package and its parts.
func sameFloor(from, to string) bool {
	return strings.HasPrefix(from, "codec/") && strings.HasPrefix(to, "codec/") ||
		from == "executor/agg" && to == "executor/expr" ||
		strings.HasPrefix(from, "server/") && (to == "server/transport" || to == "server/zaplog") ||
		from == "server/kvservice" && strings.HasPrefix(to, "server/")
}

func TestImportFloors(t *testing.T) {
	eachPackage(t, func(pkg string, imports []string) {
		for _, imp := range imports {
			to, ours := strings.CutPrefix(imp, module)
			if ours {
				require.Truef(t, allowed(pkg, to), "%s must not import %s", pkg, to)
			}
		}
	})
}

func TestReservedLibraries(t *testing.T) {
	eachPackage(t, func(pkg string, imports []string) {
		for _, imp := range imports {
			for lib, home := range reserved {
				if mayShare[imp] || imp != lib && !strings.HasPrefix(imp, lib+"/") {
					continue
				}
				require.Truef(t, pkg == home || strings.HasPrefix(pkg, home+"/"), "%s imports %s, which only %s may", pkg, imp, home)
			}
		}
	})
}

// eachPackage calls f with each package of the main module, outside tests/ and tools/, and its non-test imports.
func eachPackage(t *testing.T, f func(pkg string, imports []string)) {
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		pkg, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		pkg = filepath.ToSlash(pkg)
		if name := d.Name(); pkg != "." && (strings.HasPrefix(name, ".") || name == "testdata" || pkg == "tests" || pkg == "tools") {
			return fs.SkipDir
		}
		p, err := build.ImportDir(path, 0)
		if err != nil {
			return nil // no Go files here
		}
		seen++
		f(pkg, p.Imports)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, seen, 20, "the walk must find the packages")
}

func allowed(from, to string) bool {
	switch {
	case strings.HasPrefix(from, "cmd/"):
		return true
	case strings.HasPrefix(from, "sql-gateway/"):
		return strings.HasPrefix(to, "sql-gateway/") || matchAny(gatewayMay, to)
	}
	a, b := floorOf(from), floorOf(to)
	if from == "server/node" && strings.HasPrefix(to, "sql-gateway/kvclient") {
		return true // node hands its stores to the gateway's client
	}
	return a >= 0 && b >= 0 && (b < a || sameFloor(from, to))
}

func floorOf(pkg string) int {
	for _, f := range floors {
		if matchAny(f.packages, pkg) {
			return f.floor
		}
	}
	return -1
}

func matchAny(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if p == pkg {
			return true
		}
		if dir, ok := strings.CutSuffix(p, "/*"); ok && strings.HasPrefix(pkg, dir+"/") {
			return true
		}
	}
	return false
}
