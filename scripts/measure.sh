#!/usr/bin/env bash
# Prints the measures of the house, as a Markdown table: measure.sh
# Lists what breaks its rules, and fails when something does: measure.sh -check shadow,parallel [-under FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./scripts/measure "$@"
