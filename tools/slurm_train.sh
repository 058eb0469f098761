#!/usr/bin/env bash
# Train under slurm:
#
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
#
# Environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, MASTER_PORT.
# A preempted job saves its step on SIGTERM; submitted again, it continues.
set -euo pipefail

PARTITION=$1
JOB_NAME=$2
CONFIG=$3
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
TOOLS=$(cd "$(dirname "$0")" && pwd)

export MASTER_PORT=${MASTER_PORT:-$((12000 + RANDOM % 20000))}
export PYTHONPATH="${TOOLS}/..${PYTHONPATH:+:${PYTHONPATH}}"

# shellcheck disable=SC2086 # SRUN_ARGS holds several arguments
exec srun -p "${PARTITION}" \
    --job-name="${JOB_NAME}" \
    --gres="gpu:${GPUS_PER_NODE}" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE}" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "${TOOLS}/train.py" "${CONFIG}" --launcher slurm "${@:4}"
