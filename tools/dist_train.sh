#!/usr/bin/env bash
# Train in several processes of one machine, on GPUs or (gloo) on a CPU:
#
#   bash tools/dist_train.sh CONFIG NUM_PROCESSES [options of tools/train.py]
#
# Environment: PORT (29500), and for several machines NNODES, NODE_RANK, MASTER_ADDR.
set -euo pipefail

CONFIG=$1
NUM_PROCESSES=$2
TOOLS=$(cd "$(dirname "$0")" && pwd)

# several processes of many threads each would fight for the cores
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
export PYTHONPATH="${TOOLS}/..${PYTHONPATH:+:${PYTHONPATH}}"

exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="${NUM_PROCESSES}" \
    "${TOOLS}/train.py" "${CONFIG}" --launcher pytorch "${@:3}"
