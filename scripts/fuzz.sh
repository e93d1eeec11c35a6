#!/usr/bin/env bash
# Fuzzes every Fuzz function of every Go module for a while: fuzz.sh [TIME], 20s by default.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
time=${1:-20s}
count=0
while IFS=: read -r file name; do
  echo "== $name in ${file%/*} for $time"
  (cd "$root/${file%/*}" && go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" .)
  count=$((count + 1))
done < <(grep -rHoE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*' . | sed 's/func //' | sort)
[ "$count" -gt 0 ] || { echo "found no Fuzz function" >&2; exit 1; }
echo "$count fuzz targets held for $time each"
