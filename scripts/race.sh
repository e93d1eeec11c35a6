#!/usr/bin/env bash
# Runs the tests of every package that starts a goroutine, or whose tests do, under the race detector: race.sh [-list]
# Short mode, SQLite and the embedded broker: the engines are separate processes, in which it sees nothing.
set -euo pipefail
. "$(dirname "$0")/engine.sh"
cd "$root"

starts='^[[:space:]]*(defer )?go (func|[A-Za-z_])|\.Go\(|[^A-Za-z]go func\('
modules=$(find . -name go.mod -not -path '*/node_modules/*' -not -path './.cache/*' -exec dirname {} \; | sort)

# packages MODULE prints the folders of a module's packages, from its own folder.
packages() {
  local nested=() other
  for other in $modules; do
    if [ "$other" != "$1" ]; then nested+=(-path "$other" -prune -o); fi
  done
  find "$1" -name node_modules -prune -o -name testdata -prune -o -name '.?*' -prune -o "${nested[@]}" \
    -name '*.go' -exec grep -lE "$starts" {} + | xargs -r -n1 dirname | sort -u |
    while read -r folder; do
      # Without tests there is nothing to run.
      if compgen -G "$folder/*_test.go" >/dev/null; then realpath --relative-to="$1" "$folder" | sed 's|^|./|'; fi
    done
}

# The tests of whole processes build their programs themselves, without the detector.
outside='^\./(test/(conformance|crash|docs|e2e|story)|scripts/.*)(/|$)'

failed=0
for module in $modules; do
  list=$(packages "$module" | if [ "$module" = . ]; then grep -vE "$outside"; else cat; fi || true)
  [ -n "$list" ] || continue
  if [ "${1:-}" = -list ]; then
    sed "s|^|$module |" <<<"$list"
    continue
  fi
  # shellcheck disable=SC2086
  (cd "$module" && CGO_ENABLED=1 go test -race -short -count=1 -timeout 30m ${GO_TEST_FLAGS:-} $list) || failed=1
done
exit "$failed"
