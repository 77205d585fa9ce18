#!/bin/sh
# Runs the YCSB workloads A to F with go-ycsb's TiKV driver, raw and transactional, against a playground of its own, and
# raw once more against one of API version 2, which the driver's transactions do not speak. Every value read is checked.
# Environment: SCREE (binary), YCSB (go-ycsb binary), RECORDS, OPERATIONS, THREADS, PORT_OFFSET.
set -eu
cd "$(dirname "$0")"
: "${SCREE:=../../bin/scree}" "${YCSB:=../../bin/go-ycsb}"
: "${RECORDS:=2000}" "${OPERATIONS:=4000}" "${THREADS:=8}" "${PORT_OFFSET:=9000}"
files=$(go list -m -f '{{.Dir}}' github.com/pingcap/go-ycsb)/workloads

dir=$(mktemp -d)
scree=
stop() {
	[ -z "$scree" ] || kill "$scree" 2>/dev/null || true
	wait
}
trap 'stop; rm -rf "$dir"' EXIT

# start API runs a playground of an API version in place of the one before.
start() {
	stop
	api=$1
	: >"$dir/scree.out"
	"$SCREE" playground --data-dir "$dir/data$api" --api-version "$api" --port-offset "$PORT_OFFSET" >"$dir/scree.out" 2>&1 &
	scree=$!
	until grep -q '^ready in' "$dir/scree.out"; do
		kill -0 $scree || { cat "$dir/scree.out"; exit 1; }
		sleep 0.1
	done
}

# ycsb STEP TYPE WORKLOAD loads or runs one workload. A wrong value ends the program; failures of operations are counted,
# and allowed only where two transactions may meet on a key.
ycsb() {
	echo "== V$api $2 $3 $1"
	"$YCSB" "$1" tikv -P "$files/workload$3" -p tikv.pd="127.0.0.1:$((2379 + PORT_OFFSET))" -p tikv.type="$2" -p tikv.apiversion="V$api" \
		-p recordcount="$RECORDS" -p operationcount="$OPERATIONS" -p threadcount="$THREADS" \
		-p keyprefix="$2-$3-" -p dataintegrity=true -p fieldlengthdistribution=constant >"$dir/ycsb.out" 2>&1 || {
		cat "$dir/ycsb.out"
		exit 1
	}
	sed -n '/^Run finished/,$p' "$dir/ycsb.out" | grep -E '^[A-Z_]+ +- '
	allowed='^(UPDATE|READ_MODIFY_WRITE|TOTAL)_ERROR'
	[ "$2" = txn ] || allowed='^$'
	if grep -E '^[A-Z_]+_ERROR' "$dir/ycsb.out" | grep -Ev "$allowed"; then
		cat "$dir/ycsb.out"
		exit 1
	fi
}

# workloads TYPE loads and runs all of them.
workloads() {
	for workload in a b c d e f; do
		ycsb load "$1" $workload
		ycsb run "$1" $workload
	done
}

start 1
workloads raw
workloads txn
start 2
workloads raw
