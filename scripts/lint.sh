#!/usr/bin/env bash
# Reads the code without running it, as continuous integration does; lint.sh STEP... runs some of its steps alone:
#
#   style     golangci-lint with .golangci.yml, in every module
#   house     the rules of scripts/measure.sh -check
#   vulns     known vulnerabilities that the code of every module can reach, from a database of files
#   secrets   credentials in the repository's history
#
# The programs are built into .cache/tools by scripts/tools.sh, at versions that it names.
set -euo pipefail
. "$(dirname "$0")/engine.sh"
cd "$root"

# The rules that scripts/measure.sh checks.
house_rules=shadow,parallel,ternary,rows,parameters

modules=$(find . -name go.mod -not -path '*/node_modules/*' -not -path './.cache/*' -exec dirname {} \; | sort)

style() {
  local lint module failed=0
  lint=$(scripts/tools.sh golangci-lint)
  for module in $modules; do
    echo "$module"
    (cd "$module" && "$lint" run --config "$root/.golangci.yml" ./...) || failed=1
  done
  return "$failed"
}

house() { scripts/measure.sh -check "$house_rules"; }

# vulns fails for what is reached in a dependency. What is reached in the standard library is the toolchain's: it is
# printed with the version that mends it, for a build is made with the Go that is installed.
vulns() {
  local check database jq module failed=0
  check=$(scripts/tools.sh govulncheck)
  database=$(scripts/tools.sh vulndb)
  jq=$(scripts/tools.sh jq)
  for module in $modules; do
    echo "$module"
    (cd "$module" && "$check" -db "$database" -format json ./...) >"$scratch/findings"
    "$jq" -r 'select(.finding) | .finding | select(.trace[0].function) |
      "\(.trace[0].module) \(.osv) in \(.trace[0].package), mended in \(.fixed_version // "no version yet")"' \
      "$scratch/findings" | sort -u >"$scratch/reached"
    if grep -v '^stdlib ' "$scratch/reached"; then failed=1; fi
    sed -n 's/^stdlib /standard library: /p' "$scratch/reached" >>"$scratch/toolchain"
  done
  sort -u "$scratch/toolchain"
  return "$failed"
}

# secrets reads the history; of an export without one, the files.
secrets() {
  local from=dir
  if git rev-parse --git-dir >/dev/null 2>&1; then from=git; fi
  "$(scripts/tools.sh gitleaks)" "$from" --no-banner --no-color --redact --verbose --config .gitleaks.toml .
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

failed=()
for step in "${@:-style house vulns secrets}"; do
  # The default is one word for each step, too.
  for name in $step; do
    case $name in
      style | house | vulns | secrets) ;;
      *) die "there is no step $name: style, house, vulns or secrets" ;;
    esac
    printf '\n== lint: %s\n' "$name"
    # A step in a condition would run on after its first error.
    set +e
    (set -e; "$name")
    status=$?
    set -e
    [ "$status" = 0 ] || failed+=("$name")
  done
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
