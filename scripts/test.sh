#!/usr/bin/env bash
# The whole test run, as continuous integration does it: real PostgreSQL, Apache Kafka,
# Chromium and Node clients, every Go module of the repository, and none of it optional.
#
# BELFRY_TEST_POSTGRES, BELFRY_TEST_KAFKA, BELFRY_TEST_CHROMIUM, BELFRY_TEST_NODE, BELFRY_TEST_PYTHON and
# BELFRY_TEST_PROMETHEUS may name parts that already run or exist. GO_TEST_FLAGS is given to every "go test".
set -euo pipefail
. "$(dirname "$0")/engine.sh"
cd "$root"

# Every run has engines of its own, so two runs in one clone do not disturb each other.
run=$root/.cache/run-$$
export BELFRY_TEST_PRIVATE=$run/private

# sweep DIR stops the engines that a run started, its tests' private ones too.
sweep() {
  local engine
  for engine in "$1"/postgres "$1"/private/postgres-*; do
    [ ! -d "$engine" ] || scripts/postgres.sh stop "$engine" || true
  done
  for engine in "$1"/kafka "$1"/private/kafka-*; do
    [ ! -d "$engine" ] || scripts/kafka.sh stop "$engine" || true
  done
  rm -rf "$1"
}
trap 'sweep "$run"' EXIT
trap 'exit 130' INT TERM HUP

# A run that was killed outright could not sweep: the next one does it.
for old in .cache/run-*; do
  if [ -d "$old" ] && ! our_process "${old##*-}" test.sh; then sweep "$root/$old"; fi
done
mkdir -p "$run"

step() { printf '\n== %s\n' "$*"; }

# What needs no engine comes first: it fails soonest.
step "gofmt"
scripts/gofmt.sh

modules=$(find . -name go.mod -not -path '*/node_modules/*' -not -path './.cache/*' -exec dirname {} \; | sort)

step "go vet"
for module in $modules; do
  echo "$module"
  (cd "$module" && go vet ./...)
done

step "engines"
if [ -z "${BELFRY_TEST_POSTGRES:-}" ]; then
  BELFRY_TEST_POSTGRES=$(scripts/postgres.sh start "$run/postgres")
fi
echo "PostgreSQL   ${BELFRY_TEST_POSTGRES##*@}"
if [ -z "${BELFRY_TEST_KAFKA:-}" ]; then
  BELFRY_TEST_KAFKA=$(scripts/kafka.sh start "$run/kafka")
fi
echo "Apache Kafka $BELFRY_TEST_KAFKA"
BELFRY_TEST_CHROMIUM=$(scripts/tools.sh chromium)
echo "Chromium     $BELFRY_TEST_CHROMIUM"
BELFRY_TEST_NODE=$(scripts/tools.sh node)
echo "Node clients $BELFRY_TEST_NODE"
BELFRY_TEST_PYTHON=$(scripts/tools.sh python)
echo "Python       $BELFRY_TEST_PYTHON"
BELFRY_TEST_PROMETHEUS=$(scripts/tools.sh prometheus)
echo "Prometheus   $BELFRY_TEST_PROMETHEUS"
BELFRY_TEST_ALERTMANAGER=$(scripts/tools.sh alertmanager)
echo "Alertmanager $BELFRY_TEST_ALERTMANAGER"
echo "kcat         $(scripts/tools.sh kcat)"
echo "jq           $(scripts/tools.sh jq)"
echo "sqlite3      $(scripts/tools.sh sqlite3)"
# What the pages looked like is kept, for people.
BELFRY_TEST_SCREENSHOTS=${BELFRY_TEST_SCREENSHOTS:-$root/build/screenshots}
mkdir -p "$BELFRY_TEST_SCREENSHOTS"
echo "screenshots  ${BELFRY_TEST_SCREENSHOTS#"$root/"}"
export BELFRY_TEST_POSTGRES BELFRY_TEST_KAFKA BELFRY_TEST_CHROMIUM BELFRY_TEST_NODE BELFRY_TEST_PYTHON BELFRY_TEST_PROMETHEUS
export BELFRY_TEST_ALERTMANAGER BELFRY_TEST_SCREENSHOTS BELFRY_TEST_ALL=1

step "go test"
summary=$run/summary
go build -o "$summary" ./test/engines/summary
failed=0
for module in $modules; do
  # -count=1: an answer from the test cache says nothing about the engines of this run.
  # shellcheck disable=SC2086
  (cd "$module" && go test -json -count=1 -timeout 30m ${GO_TEST_FLAGS:-} ./...) || echo "$module" >>"$run/failed"
done | "$summary" || failed=1
if [ -e "$run/failed" ]; then
  say "failed in: $(tr '\n' ' ' <"$run/failed")"
  failed=1
fi
exit "$failed"
