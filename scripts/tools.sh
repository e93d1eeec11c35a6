#!/usr/bin/env bash
# Finds the programs that the tests drive, installs what is missing, and prints where they are:
#
#   tools.sh chromium   path of the browser
#   tools.sh kcat       path of the Kafka client
#   tools.sh jq         path of jq, which the documents use
#   tools.sh sqlite3    path of the shell of SQLite, which the documents use
#   tools.sh prometheus path of Prometheus
#   tools.sh alertmanager path of Alertmanager
#   tools.sh node       path of test/conformance/node, its packages installed
#   tools.sh python     path of a Python with the packages of test/conformance/verify/python
#
#   tools.sh golangci-lint, govulncheck, gitleaks    path of the program
#   tools.sh vulndb                                  URL of the vulnerability database, as files
#
# BELFRY_TEST_CHROMIUM, BELFRY_TEST_NODE, BELFRY_TEST_PYTHON and BELFRY_TEST_PROMETHEUS, when set, are used as they are.
# Go programs are built by "go install" at the versions below, into .cache/tools.
set -euo pipefail
. "$(dirname "$0")/engine.sh"

golangci_lint_version=v2.15.0
govulncheck_version=v1.9.0
gitleaks_version=v8.30.1
# The database is that of this version: raise it to look for newer vulnerabilities.
vulndb_version=v0.0.0-20261105234957-e22db6528018

# program NAME... prints the path of the first of them that exists.
program() {
  local name
  for name in "$@"; do type -P "$name" && return; done
  return 1
}

chromium() {
  if [ -n "${BELFRY_TEST_CHROMIUM:-}" ]; then echo "$BELFRY_TEST_CHROMIUM"; return; fi
  program chromium chromium-browser google-chrome && return
  debian_package chromium "the browser Chromium"
  program chromium
}

kcat() {
  program kcat kafkacat && return
  debian_package kcat "the Kafka client kcat"
  program kcat
}

jq() {
  program jq && return
  debian_package jq "jq"
  program jq
}

sqlite3() {
  program sqlite3 && return
  debian_package sqlite3 "the shell of SQLite"
  program sqlite3
}

# debian_program PACKAGE prints the path of the program of a package. The package would start a service; the program
# alone is taken out of it.
debian_program() {
  program "$1" && return
  local folder=$root/.cache/tools/$1 fresh
  if [ ! -x "$folder/usr/bin/$1" ]; then
    program apt-get >/dev/null || die "$1 is missing: install it and run this again"
    say "downloading $1 with apt-get"
    mkdir -p "$root/.cache/tools"
    fresh=$(mktemp -d "$folder.XXXXXX")
    (cd "$fresh" && { apt-get -qq download "$1" || { apt-get -qq update && apt-get -qq download "$1"; }; } &&
      dpkg -x "$1"_*.deb . && rm "$1"_*.deb) >&2 || { rm -rf "$fresh"; die "apt-get could not download $1"; }
    mv -T "$fresh" "$folder" 2>/dev/null || rm -rf "$fresh"
  fi
  echo "$folder/usr/bin/$1"
}

prometheus() {
  if [ -n "${BELFRY_TEST_PROMETHEUS:-}" ]; then echo "$BELFRY_TEST_PROMETHEUS"; return; fi
  debian_program prometheus
}

alertmanager() {
  if [ -n "${BELFRY_TEST_ALERTMANAGER:-}" ]; then echo "$BELFRY_TEST_ALERTMANAGER"; return; fi
  debian_program prometheus-alertmanager
}

node() {
  if [ -n "${BELFRY_TEST_NODE:-}" ]; then echo "$BELFRY_TEST_NODE"; return; fi
  local folder=$root/test/conformance/node
  program npm >/dev/null || die "Node with npm is missing: install version 20 or newer"
  # The lock file these packages came from lies beside them: when equal, nothing is to do.
  if [ ! -e "$folder/node_modules/.installed" ] || ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed"; then
    say "installing the packages of test/conformance/node"
    npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error >&2
    cp "$folder/package-lock.json" "$folder/node_modules/.installed"
  fi
  echo "$folder"
}

python() {
  if [ -n "${BELFRY_TEST_PYTHON:-}" ]; then echo "$BELFRY_TEST_PYTHON"; return; fi
  local folder=$root/.cache/python wanted=$root/test/conformance/verify/python/requirements.txt
  program python3 >/dev/null || debian_package python3 "Python 3"
  # The list these packages came from lies beside them: when equal, nothing is to do.
  if [ ! -x "$folder/bin/python" ] || ! cmp -s "$wanted" "$folder/.installed"; then
    say "installing the packages of test/conformance/verify/python"
    rm -rf "$folder"
    if ! python3 -m venv "$folder" >&2; then
      rm -rf "$folder"
      debian_package python3-venv "Python's venv"
      python3 -m venv "$folder" >&2
    fi
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" >&2
    cp "$wanted" "$folder/.installed"
  fi
  echo "$folder/bin/python"
}

# go_program NAME PACKAGE VERSION builds a Go program and prints its path. The folder carries the version, so that
# another version is never taken for it.
go_program() {
  local folder=$root/.cache/tools/$1-$3
  if [ ! -x "$folder/$1" ]; then
    say "building $1 $3"
    # Outside of the module, and for this machine: the caller's settings are for what it builds itself.
    (cd / && env -u GOFLAGS -u GOOS -u GOARCH GOBIN="$folder" go install "$2@$3") >&2 ||
      die "$1 $3 could not be built"
  fi
  echo "$folder/$1"
}

golangci-lint() { go_program golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci_lint_version"; }
govulncheck() { go_program govulncheck golang.org/x/vuln/cmd/govulncheck "$govulncheck_version"; }
gitleaks() { go_program gitleaks github.com/zricethezav/gitleaks/v8 "$gitleaks_version"; }

# vulndb makes the database that govulncheck reads from the reports in the Go project's module, so that a check needs
# no network and says the same on every machine.
vulndb() {
  local folder=$root/.cache/tools/vulndb-$vulndb_version
  if [ ! -d "$folder" ]; then
    local indexdb reports fresh
    indexdb=$(go_program indexdb golang.org/x/vulndb/cmd/indexdb "$vulndb_version")
    reports=$(cd / && go mod download -json "golang.org/x/vulndb@$vulndb_version" | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
    [ -d "$reports/data/osv" ] || die "the module golang.org/x/vulndb has no reports in data/osv"
    fresh=$(mktemp -d "$folder.XXXXXX")
    "$indexdb" -vulns "$reports/data/osv" -out "$fresh" >&2 || { rm -rf "$fresh"; die "indexdb failed"; }
    mv -T "$fresh" "$folder" 2>/dev/null || rm -rf "$fresh"
  fi
  echo "file://$folder"
}

case ${1:-} in
  chromium | kcat | jq | sqlite3 | prometheus | alertmanager | node | python | golangci-lint | govulncheck | gitleaks | vulndb) "$1" ;;
  *) die "expected a program: ${0##*/} is called as its first lines say" ;;
esac
