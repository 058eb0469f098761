#!/usr/bin/env bash
# Install what tests need and run the suite, the linter, the formatter and mypy:
#
#   bash tools/run_tests.sh [options of pytest]
#
# An active environment is used; else .venv is made in the repository.
set -euo pipefail

case ${1:-} in
-h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0" && exit 0 ;;
esac

# shellcheck source=tools/_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"
cd "$REPO"
use_environment
install_requirements runtime tests optional

status=0
say "ruff"
"$PYTHON" -m ruff check --quiet . || status=$?
"$PYTHON" -m ruff format --check --quiet . || status=$?
# beside the tests: it has one thread, and takes minutes where nothing is cached
types=$(mktemp)
"$PYTHON" -m mypy >"$types" 2>&1 &
mypy=$!
trap 'kill "$mypy" 2>/dev/null || true; rm -f "$types"' EXIT
# a process for each core, each with one thread: tests are small
export OMP_NUM_THREADS=1
"$PYTHON" -m pytest --numprocesses="${MMFUSION_TEST_PROCESSES:-auto}" "$@" || status=$?
say "mypy"
wait "$mypy" || status=$?
cat "$types"
exit "$status"
