#!/usr/bin/env bash
# Train in several processes of one machine, on GPUs or (gloo) on a CPU:
#
#   bash tools/dist_train.sh CONFIG NUM_PROCESSES [options of tools/train.py]
#
# Environment: PORT (29500), and for several machines NNODES, NODE_RANK, MASTER_ADDR.
# SIGTERM, SIGINT, SIGHUP, SIGUSR1 or SIGUSR2 saves the step in all processes and ends
# with 0 (or the exit_code of GracefulStopHook); the same command continues.
set -euo pipefail

# shellcheck source=tools/_launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
expect "CONFIG NUM_PROCESSES" "$@"
dist "$2" train.py "$1" "${@:3}"
