#!/usr/bin/env bash
# Walks over every page of the dashboard in Chromium, keeps their pictures in build/pages, and moves the focus through
# them:
#
#   pages.sh             compare with the accepted pictures
#   pages.sh -update     accept the pages as they are
#   pages.sh -only NAME,NAME [-update]    these pages only, such as account-alerts
set -euo pipefail
. "$(dirname "$0")/engine.sh"
cd "$root"
BELFRY_TEST_CHROMIUM=$(scripts/tools.sh chromium)
BELFRY_TEST_NODE=$(scripts/tools.sh node)
export BELFRY_TEST_CHROMIUM BELFRY_TEST_NODE BELFRY_TEST_ALL=1
go test -count=1 -timeout 30m ./test/pages -run '^(TestEveryPage|TestTheFocusOfEveryPage)$' -args "$@"
