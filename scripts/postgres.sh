#!/usr/bin/env bash
# Runs a private PostgreSQL cluster for the tests.
#
#   postgres.sh start [DIR]   prints its URL; starts it first when it does not run
#   postgres.sh kill  [DIR]   SIGKILL, as a crash does; "start" recovers it on the same port
#   postgres.sh stop  [DIR]   stops it and deletes DIR
#
# DIR is .cache/postgres by default. As root the server runs as an unprivileged user, and
# where that user cannot reach DIR (a clone below /root) the data is kept in /tmp.
set -euo pipefail
. "$(dirname "$0")/engine.sh"

command=${1:-}
dir=${2:-$root/.cache/postgres}

bin() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1)
  found=${found:-$(command -v initdb || true)}
  [ -z "$found" ] || dirname "$found"
}

# as_server runs a command as the user that owns the data.
as_server() (
  cd /
  if [ "$(id -u)" = 0 ]; then exec runuser -u "$(server_user)" -- "$@"; else exec "$@"; fi
)

server_user() { if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi; }

# The postmaster leads a session of its own; its children are in it. pg_ctl and the server
# itself take a dead process that was not reaped for a live one, hence the look at "Z".
postmaster() { head -1 "$data/postmaster.pid" 2>/dev/null || true; }
running() { our_process "$(postmaster)" "$data"; }
ended() {
  cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' |
    awk -v session="$1" '$4 == session && $1 != "Z" { alive = 1 } END { exit alive }'
}

# create makes the cluster. C is the collation that Belfry demands of a database.
create() {
  mkdir -p "$dir"
  data=$dir/data
  mkdir -p "$data"
  if [ "$(id -u)" = 0 ]; then
    chown "$(server_user)" "$data"
    if ! as_server test -w "$data"; then
      rmdir "$data"
      data=$(mktemp -d /tmp/belfry-postgres.XXXXXX)
      chown "$(server_user)" "$data"
    fi
  fi
  chmod 700 "$data"
  local password
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  echo "$password" >"$dir/password"
  chmod 600 "$dir/password"
  # The server's user may not be able to read DIR, so initdb gets a copy of its own.
  local copy
  copy=$(mktemp)
  cp "$dir/password" "$copy"
  if [ "$(id -u)" = 0 ]; then chown "$(server_user)" "$copy"; fi
  as_server "$bin/initdb" -D "$data" --locale=C --encoding=UTF8 --username=belfry \
    --auth=scram-sha-256 --pwfile="$copy" >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; rm -f "$copy"; die "initdb failed"; }
  rm -f "$copy"
  as_server tee -a "$data/postgresql.conf" >/dev/null <<'CONF'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = on
synchronous_commit = on
logging_collector = off
CONF
  echo "$data" >"$dir/where"
}

launch() {
  as_server "$bin/pg_ctl" -D "$data" -s -w -t 30 -o "-p $port" -l "$data/server.log" start \
    >/dev/null 2>"$dir/pg_ctl.log" </dev/null
}

start() {
  bin=$(bin)
  if [ -z "$bin" ]; then
    debian_package postgresql "PostgreSQL (initdb)"
    bin=$(bin)
    [ -n "$bin" ] || die "the package postgresql brought no initdb"
  fi
  if [ -s "$dir/where" ]; then data=$(cat "$dir/where"); else create; fi
  if ! running; then
    port=$(cat "$dir/port" 2>/dev/null || free_port)
    echo "$port" >"$dir/port"
    # After a crash the children hold the shared memory until they notice; only then is the
    # lock file of the dead postmaster nobody's.
    local dead
    dead=$(postmaster)
    if [ -n "$dead" ]; then
      wait_until 30 ended "$dead" || die "the processes of the killed PostgreSQL (session $dead) do not end"
      rm -f "$data/postmaster.pid"
    fi
    wait_until 30 launch || { tail -n 20 "$data/server.log" "$dir/pg_ctl.log" >&2; die "PostgreSQL did not start on port $port"; }
  fi
  port=$(cat "$dir/port")
  url="postgres://belfry:$(cat "$dir/password")@127.0.0.1:$port"
  if [ ! -e "$dir/created" ]; then
    "$bin/psql" -q -c 'CREATE DATABASE belfry' "$url/postgres" >&2
    touch "$dir/created"
  fi
  echo "$url/belfry?sslmode=disable"
}

stop() {
  [ -s "$dir/where" ] || return 0
  data=$(cat "$dir/where")
  bin=$(bin)
  if running; then as_server "$bin/pg_ctl" -D "$data" -s -m immediate -w stop >&2; fi
  rm -rf "$data" "$dir"
}

crash() {
  data=$(cat "$dir/where")
  running || die "no PostgreSQL runs in $dir"
  local pid
  pid=$(postmaster)
  kill -KILL "$pid"
  wait_until 10 ended "$pid"
}

case $command in
  start) start ;;
  stop) stop ;;
  kill) crash ;;
  *) die "expected start, kill or stop, and a directory" ;;
esac
