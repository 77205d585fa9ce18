package main

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory sets the Go runtime's soft memory limit and returns it. The environment's GOMEMLIMIT goes first, then the
// configured limit, then 70 % of what the container or the machine has; the rest is for the page cache.
func limitMemory(configured size) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return debug.SetMemoryLimit(-1)
	}
	limit := int64(configured)
	if limit == 0 {
		limit = availableMemory() / 10 * 7
	}
	if limit <= 0 {
		return math.MaxInt64
	}
	debug.SetMemoryLimit(limit)
	return limit
}

// availableMemory is the container's limit or the machine's memory, whichever is less; 0 if neither can be read.
func availableMemory() int64 {
	least := int64(0)
	for _, v := range []int64{cgroupLimit(), machineMemory()} {
		if v > 0 && (least == 0 || v < least) {
			least = v
		}
	}
	return least
}

func cgroupLimit() int64 {
	b, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return 0 // not in a container of this kind
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0 // "max"
	}
	return v
}

func machineMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0 // not Linux
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
