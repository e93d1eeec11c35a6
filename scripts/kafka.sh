#!/usr/bin/env bash
# Runs a private Apache Kafka node (KRaft, broker and controller in one) for the tests.
#
#   kafka.sh install        fetches the jars
#   kafka.sh start [DIR]    prints its address; starts it first when it does not run
#   kafka.sh kill  [DIR]    SIGKILL, as a crash does; "start" recovers it on the same port
#   kafka.sh stop  [DIR]    stops it and deletes DIR
#
# DIR is .cache/kafka by default. The jars are kept outside the repository, in
# $XDG_CACHE_HOME/belfry (~/.cache/belfry), or in BELFRY_KAFKA_JARS.
set -euo pipefail
. "$(dirname "$0")/engine.sh"

command=${1:-}
dir=${2:-$root/.cache/kafka}
pom=$root/scripts/kafka/pom.xml
# The name carries the pom's digest, so that another version never meets old jars.
jars=${BELFRY_KAFKA_JARS:-${XDG_CACHE_HOME:-${HOME:-$root/.cache}/.cache}/belfry/kafka-$(cksum <"$pom" | cut -d' ' -f1)}

install() {
  command -v java >/dev/null || die "Java is missing: install version 17 or newer (on Debian: apt-get install openjdk-17-jre-headless)"
  [ ! -e "$jars/complete" ] || return 0
  command -v mvn >/dev/null || die "Maven is missing: install it (on Debian: apt-get install maven), or name a directory with Kafka's jars in BELFRY_KAFKA_JARS"
  say "fetching Apache Kafka with Maven into $jars"
  mkdir -p "$(dirname "$jars")"
  local fresh
  fresh=$(mktemp -d "$jars.XXXXXX")
  mvn -q -B -Dstyle.color=never -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fresh" >&2 ||
    { rm -rf "$fresh"; die "Maven could not fetch Kafka"; }
  touch "$fresh/complete"
  # Two runs may fetch at once: the first one's directory stays.
  mv -T "$fresh" "$jars" 2>/dev/null || rm -rf "$fresh"
}

configure() {
  local port controller
  port=$(free_port)
  controller=$port
  while [ "$controller" = "$port" ]; do controller=$(free_port); done
  mkdir -p "$dir"
  echo "127.0.0.1:$port" >"$dir/address"
  cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/log
auto.create.topics.enable=false
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A killed broker may register again only after its old session ended.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
log.flush.interval.messages=1
CONF
  cat >"$dir/log4j2.properties" <<'CONF'
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = stdout
CONF
}

kafka() { java -Dlog4j2.configurationFile="$dir/log4j2.properties" -cp "$jars/*" "$@"; }

pid() { cat "$dir/pid" 2>/dev/null || true; }
running() { our_process "$(pid)" "$dir/server.properties"; }
gone() { ! running; }

# answers asks for the topics, as a client does: an open port is not yet a working broker.
answers() { running && "$dir/topics" "$(cat "$dir/address")" >/dev/null 2>&1; }
# ended is not "not running": for a moment after its start the process still is this shell.
ended() { [ -z "$(tr -d '\0' 2>/dev/null <"/proc/$(pid)/cmdline")" ]; }
settled() { answers || ended; }

start() {
  install
  [ -s "$dir/server.properties" ] || configure
  if [ ! -x "$dir/topics" ]; then (cd "$root" && go build -o "$dir/topics" ./test/engines/topics); fi
  if [ ! -e "$dir/log/meta.properties" ]; then
    kafka kafka.tools.StorageTool format --standalone -t "$(kafka kafka.tools.StorageTool random-uuid)" \
      -c "$dir/server.properties" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; die "Kafka could not format $dir/log"; }
  fi
  if ! running; then
    # A session of its own: a Ctrl-C in the terminal must not race with the orderly stop.
    setsid java -Xms128m -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$dir/log4j2.properties" \
      -cp "$jars/*" kafka.Kafka "$dir/server.properties" >>"$dir/server.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
  fi
  wait_until 90 settled || true
  answers || { tail -n 40 "$dir/server.log" >&2; die "Kafka does not answer on $(cat "$dir/address")"; }
  cat "$dir/address"
}

stop() {
  if running; then kill -KILL "$(pid)"; fi
  wait_until 10 gone || die "Kafka (pid $(pid)) does not end"
  rm -rf "$dir"
}

crash() {
  running || die "no Kafka runs in $dir"
  kill -KILL "$(pid)"
  wait_until 10 gone
}

case $command in
  install) install ;;
  start) start ;;
  stop) stop ;;
  kill) crash ;;
  *) die "expected install, start, kill or stop, and a directory" ;;
esac
