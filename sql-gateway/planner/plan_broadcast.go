package planner

import (
	"strconv"
	"strings"
)

// broadcastLimits bound the build sides of joins that run on the stores: what a plan expects of them, and what a run lets
// them have.
type broadcastLimits struct {
	rows  int // 0: no joins on the stores
	bytes int64
}

// Variables of broadcastLimits, and their defaults.
const (
	varBroadcast      = "tidb_opt_broadcast_join"
	varBroadcastRows  = "tidb_broadcast_join_threshold_count"
	varBroadcastBytes = "tidb_broadcast_join_threshold_size"

	// BroadcastRows and BroadcastBytes bound a build side on the stores. Encoded, it stays well below the size that a store's
	// requests may have.
	BroadcastRows  = 1 << 20
	BroadcastBytes = 32 << 20
)

func broadcastLimitsOf(vars Vars) broadcastLimits {
	l := broadcastLimits{BroadcastRows, BroadcastBytes}
	if vars == nil {
		return l
	}
	if text, ok := vars.SysVar(varBroadcastRows, false); ok {
		if n, err := strconv.Atoi(text); err == nil {
			l.rows = n
		}
	}
	if text, ok := vars.SysVar(varBroadcastBytes, false); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			l.bytes = n
		}
	}
	if text, ok := vars.SysVar(varBroadcast, false); ok && (text == "0" || strings.EqualFold(text, "OFF")) {
		l.rows = 0
	}
	return l
}

// broadcastScan is the number of rows of a scan below which a join on the stores is not worth waiting for its build side.
const broadcastScan = 4096

// broadcast makes a hash join an operator of the reader on its probe side, if there is one: the stores join what they read
// with the rows of the build side, which are gathered first and go to all of them. What stands above the join can follow it
// to the stores. It gives nil where a build side is expected to be too large, where that would cost more (broadcastPays), or
// where rows of the build side are put out for what they did not meet.
func (b *builder) broadcast(j *physJoin, n *joinNode) physical {
	l, r := b.estimate(n.left).rows, b.estimate(n.right).rows
	probe, probeRows, build := j.left, l, r
	if j.buildLeft {
		probe, probeRows, build = j.right, r, l
	}
	reader := pushTarget(probe)
	switch {
	case reader == nil || reader.order != nil || reader.scan.rows < broadcastScan:
		return nil
	case !broadcastPays(probeRows, build, j.rows, b.reduced):
		return nil
	case j.lookup != nil || j.buildLeft && j.kind != joinInner || build > float64(b.broadcasts.rows):
		return nil
	case !b.pushable(j.leftKeys) || !b.pushable(j.rightKeys) || !b.pushable(j.other) || !b.pushable(j.inEq):
		return nil
	}
	j.broadcast = true
	b.filterKeys(j, n)
	if j.buildLeft {
		j.left, j.right, j.leftKeys, j.rightKeys = j.right, j.left, j.rightKeys, j.leftKeys
		j.buildLeft = false
	}
	outputs := joinColumns(j, n.mark)
	j.left = reader.child
	j.cols = joinColumns(j, n.mark)
	reader.child, reader.rows = j, j.rows
	reader.cols = outputs[:0]
	for _, c := range outputs {
		if n.needed[c] {
			reader.cols = append(reader.cols, c)
		}
	}
	if len(reader.cols) == 0 {
		reader.cols = outputs[:1]
	}
	return reader
}

// joins are those in a reader's pushed plan, the one above first.
func (p *physReader) joins() []*physJoin { return joinsOf(p.child) }

func joinsOf(pushed physical) (list []*physJoin) {
	for p := pushed; len(p.inputs()) > 0; p = p.inputs()[0] {
		if j, ok := p.(*physJoin); ok {
			list = append(list, j)
		}
	}
	return list
}
