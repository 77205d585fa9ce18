#!/usr/bin/env bash
# Makes testdata/tpch/sf0.01 anew: a throwaway MariaDB on loopback gets the rows and answers the 22 queries.
# Needs mariadb-server (Debian: apt-get install mariadb-server). Usage, from the repository's root:
#   tests/tpch/reference/reference.sh [SCALE]
set -euo pipefail
scale=${1:-0.01}
port=${PORT:-33306}
dir=$(mktemp -d)
user=$(id -un)
mariadb-install-db --no-defaults --datadir="$dir/data" --user="$user" --auth-root-authentication-method=normal >"$dir/install.log"
mariadbd --no-defaults --user="$user" --datadir="$dir/data" --socket="$dir/s.sock" --port="$port" \
	--bind-address=127.0.0.1 --local-infile=1 --innodb-buffer-pool-size=2G >"$dir/log" 2>&1 &
server=$!
trap 'kill "$server"; wait "$server" || true; rm -rf "$dir"' EXIT
until mariadb-admin --no-defaults -S "$dir/s.sock" -u root ping >/dev/null 2>&1; do
	kill -0 "$server"
	sleep 0.2
done
mkdir -p "testdata/tpch/sf$scale"
go run ./tests/tpch/reference -dsn "root@tcp(127.0.0.1:$port)/" -scale "$scale" -out "testdata/tpch/sf$scale"
