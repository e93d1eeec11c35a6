#!/usr/bin/env bash
# Runs short rows of all benchmarks and keeps their tables in build/bench. Nothing is asserted about time: it fails when
# a benchmark does not run, or refuses or loses something.
set -euo pipefail
. "$(dirname "$0")/engine.sh"
cd "$root"
out=$root/build/bench
mkdir -p "$out"

step() { printf '\n== %s\n' "$*"; }

step "bench/audit"
go run ./bench/audit -events 5000 -resident 5000 -spread 2000 -accounts 50 -requests 20 -limit 10s | tee "$out/audit.md"
step "bench/notify"
go run ./bench/notify -alerts 600 -rate 50 -seconds 3 | tee "$out/notify.md"
step "bench/slo"
go run ./bench/slo -lines 200000 | tee "$out/slo.md"
step "bench/soak"
go run ./bench/soak -minutes 3 -interval 5s | tee "$out/soak.md"

step "functions"
: >"$out/functions.txt"
modules=$(find . -name go.mod -not -path '*/node_modules/*' -not -path './.cache/*' -exec dirname {} \; | sort)
for module in $modules; do
  # Only packages that have some: the others would be built for nothing.
  files=$(cd "$module" && git grep -lE '^func Benchmark' -- '*_test.go' || true)
  packages=$(cd "$module" && echo "$files" | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
  [ -n "$packages" ] || continue
  # Nested modules are among the files of the outer one.
  packages=$(cd "$module" && for p in $packages; do if [ "$(cd "$p" && go env GOMOD)" = "$PWD/go.mod" ]; then echo "$p"; fi; done)
  # shellcheck disable=SC2086
  (cd "$module" && go test -run '^$' -bench . -benchtime 1x $packages) | tee -a "$out/functions.txt"
done
echo "the tables are in build/bench"
