#!/bin/sh
# Runs JuiceFS, unmodified, with a playground of three stores as its metadata engine, the file system's keys cut into several
# regions. What was written is read back and compared after every step, through two mounts at once where the machine has
# FUSE, and again after the cluster was killed.
# Environment: SCREE (binary), JUICEFS (binary), PORT_OFFSET.
set -eu
cd "$(dirname "$0")"
: "${SCREE:=../../bin/scree}" "${JUICEFS:=../../bin/juicefs}" "${PORT_OFFSET:=9200}"
tree=../../storage # a hundred files to store

dir=$(mktemp -d)
export myjfs="tikv://127.0.0.1:$((2379 + PORT_OFFSET))/myjfs" # sync reads the engine of jfs://myjfs from here

# start runs the playground on the test's data directory until it is ready.
start() {
	: >"$dir/scree.out"
	"$SCREE" playground --data-dir "$dir/data" --stores 3 --port-offset "$PORT_OFFSET" >"$dir/scree.out" 2>&1 &
	scree=$!
	until grep -q '^ready in' "$dir/scree.out"; do
		kill -0 $scree || { cat "$dir/scree.out"; exit 1; }
		sleep 0.1
	done
}

finish() {
	for m in "$dir/one" "$dir/two"; do
		if mountpoint -q "$m"; then "$JUICEFS" umount --no-agent --force "$m" || true; fi
	done
	kill $scree 2>/dev/null || true
	wait $scree 2>/dev/null || true
	rm -rf "$dir"
}

# jfs runs a command of JuiceFS and shows what it printed if it fails.
jfs() {
	command=$1
	shift
	echo "== juicefs $command"
	"$JUICEFS" "$command" --no-agent "$@" >"$dir/out" 2>&1 || {
		cat "$dir/out"
		exit 1
	}
	if grep -E '<(ERROR|FATAL)>' "$dir/out"; then exit 1; fi
}

same() { diff -r "$1" "$2" || { echo "$2 differs from $1"; exit 1; }; }

# says fails unless the last command printed a pattern.
says() { grep -q "$1" "$dir/out" || { cat "$dir/out"; echo "expected: $1"; exit 1; }; }

# commands uses what needs no mount.
commands() {
	jfs format --storage file --bucket "$dir/objects/" --trash-days 0 "$myjfs" vol
	for at in 'A\x02' 'A\x40' 'A\x80' C K; do # inodes by their low byte, counters, slices
		"$SCREE" ctl split "myjfs\xfd$at" --pd "127.0.0.1:$((2379 + PORT_OFFSET))" >/dev/null
	done
	jfs config "$myjfs" --trash-days 1 --yes
	jfs status "$myjfs"
	says '"TrashDays": 1'
	jfs config "$myjfs" --trash-days 0 --yes
	jfs sync --dirs "$tree/" jfs://myjfs/tree/
	jfs sync --dirs jfs://myjfs/tree/ "$dir/back/"
	same "$tree" "$dir/back"
	jfs mdtest "$myjfs" mdtest --threads 8 --dirs 4 --depth 2 --files 12
	jfs quota set "$myjfs" --path /tree --inodes 100000
	jfs quota check "$myjfs" --path /tree
	jfs gc "$myjfs" --delete
	jfs fsck "$myjfs"
}

# copies dumps the metadata and loads it into a second volume, whose dump has to be the same but for counters, which sessions
# of the first may hold back, and the times of the root.
copies() {
	jfs dump "$myjfs" "$dir/first.json"
	jfs load "${myjfs}2" "$dir/first.json"
	jfs dump "${myjfs}2" "$dir/second.json"
	jfs status "${myjfs}2"
	for f in first second; do sed -E '/"(used|next)[A-Z][A-Za-z]+":/d' "$dir/$f.json" >"$dir/$f"; done
	same "$dir/first" "$dir/second"
}

mounts() {
	for m in one two; do
		mkdir -p "$dir/$m"
		jfs mount --no-usage-report --background --log "$dir/$m.log" --cache-dir "$dir/cache-$m" \
			--attr-cache 0 --entry-cache 0 --dir-entry-cache 0 "$myjfs" "$dir/$m"
	done
}

# files does what programs do with files on one mount, and looks at the other.
files() {
	one=$dir/one two=$dir/two
	same "$tree" "$two/tree"
	cp -R "$tree" "$one/copy"
	same "$tree" "$two/copy"
	mv "$one/copy/mvcc" "$one/moved"
	same "$tree/mvcc" "$two/moved"
	echo first >"$one/a"
	ln "$one/a" "$one/b"
	ln -s a "$two/c"
	echo second >>"$two/b"
	[ "$(cat "$one/c")" = "first
second" ]
	truncate -s 1G "$one/sparse"
	printf end | dd of="$two/sparse" bs=1 seek=1073741821 conv=notrunc 2>/dev/null
	[ "$(tail -c 3 "$one/sparse")" = end ]
	counted
	rm -rf "$two/copy" "$two/sparse"
	[ ! -e "$one/copy" ]
	jfs info "$one/tree"
	jfs clone "$one/tree" "$one/cloned"
	same "$tree" "$two/cloned"
	jfs rmr "$one/cloned"
	[ ! -e "$two/cloned" ]
}

# counted has two processes on each mount add to the same file under a lock: none of the additions may be lost.
counted() {
	echo 0 >"$dir/one/count"
	pids=
	for m in one two one two; do
		(
			for _ in 1 2 3 4 5 6 7 8 9 10; do
				flock "$dir/$m/lock" sh -c "echo \$((\$(cat '$dir/$m/count') + 1)) >'$dir/$m/count.new' && mv '$dir/$m/count.new' '$dir/$m/count'"
			done
		) &
		pids="$pids $!"
	done
	for p in $pids; do wait "$p"; done
	[ "$(cat "$dir/two/count")" = 40 ]
}

start
trap finish EXIT
commands
copies
if [ -c /dev/fuse ]; then
	mounts
	files
	for m in one two; do jfs umount "$dir/$m"; done
	until jfs status "$myjfs" >/dev/null && grep -q '"Sessions": \[\]' "$dir/out"; do sleep 0.1; done # unmounting goes on in the background
else
	echo "== no /dev/fuse: mounts are left out"
fi
echo "== kill -9, start"
kill -9 $scree
wait $scree || true
start
rm -rf "$dir/back"
jfs sync --dirs jfs://myjfs/tree/ "$dir/back/"
same "$tree" "$dir/back"
jfs fsck "$myjfs"
jfs status "$myjfs"
jfs destroy --yes "$myjfs" "$(sed -n 's/.*"UUID": "\(.*\)".*/\1/p' "$dir/out")"
if "$JUICEFS" status --no-agent "$myjfs" >"$dir/out" 2>&1; then
	echo "the volume is still there"
	exit 1
fi
says 'database is not formatted'
echo "== done"
