#!/usr/bin/env bash
# Finds the programs that the tests drive, installs what is missing, and prints where they are:
#
#   tools.sh chromium   path of the browser
#   tools.sh kcat       path of the Kafka client
#   tools.sh jq         path of jq, which the documents use
#   tools.sh sqlite3    path of the shell of SQLite, which the documents use
#   tools.sh node       path of test/conformance/node, its packages installed
#   tools.sh python     path of a Python with the packages of test/conformance/verify/python
#
# BELFRY_TEST_CHROMIUM, BELFRY_TEST_NODE and BELFRY_TEST_PYTHON, when set, are believed.
set -euo pipefail
. "$(dirname "$0")/engine.sh"

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

case ${1:-} in
  chromium | kcat | jq | sqlite3 | node | python) "$1" ;;
  *) die "expected chromium, kcat, jq, sqlite3, node or python" ;;
esac
