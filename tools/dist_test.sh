#!/usr/bin/env bash
# Test in several processes of one machine, on GPUs or (gloo) on a CPU:
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT NUM_PROCESSES [options of tools/test.py]
#
# Environment: PORT (29500), and for several machines NNODES, NODE_RANK, MASTER_ADDR.
set -euo pipefail

# shellcheck source=tools/_launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
expect "CONFIG CHECKPOINT NUM_PROCESSES" "$@"
dist "$3" test.py "$1" "$2" "${@:4}"
