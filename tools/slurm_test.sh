#!/usr/bin/env bash
# Test under slurm:
#
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [tools/test.py options]
#
# Environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, MASTER_PORT.
set -euo pipefail

# shellcheck source=tools/_launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
expect "PARTITION JOB_NAME CONFIG CHECKPOINT" "$@"
slurm "$1" "$2" test.py "${@:3}"
