#!/usr/bin/env bash
# Fails, and names them, when Go files are not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
untidy=$(find . -name '*.go' -not -path '*/node_modules/*' -not -path './.cache/*' -exec gofmt -l {} +)
if [ -n "$untidy" ]; then
  printf 'not formatted (run gofmt -w):\n%s\n' "$untidy" >&2
  exit 1
fi
