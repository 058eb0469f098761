#!/usr/bin/env bash
# Train under slurm:
#
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
#
# Environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, MASTER_PORT.
# A preempted job saves its step on SIGTERM, or on the signal that
# SRUN_ARGS=--signal=USR1@120 sends before the time limit; submitted again, it continues.
set -euo pipefail

# shellcheck source=tools/_launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
expect "PARTITION JOB_NAME CONFIG" "$@"
slurm "$1" "$2" train.py "${@:3}"
