# Sourced by dist_*.sh and slurm_*.sh: start train.py or test.py in several processes.

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="${TOOLS}/..${PYTHONPATH:+:${PYTHONPATH}}"

# dist NUM_PROCESSES TOOL ARGUMENTS...: on this machine, or on NNODES machines
dist() {
    # several processes of many threads each would fight for the cores
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
    exec python -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$1" \
        "${TOOLS}/$2" --launcher pytorch "${@:3}"
}

# slurm PARTITION JOB_NAME TOOL ARGUMENTS...: GPUS processes, a GPU each
slurm() {
    local per_node=${GPUS_PER_NODE:-8}
    export MASTER_PORT=${MASTER_PORT:-$((12000 + RANDOM % 20000))}
    # shellcheck disable=SC2086 # SRUN_ARGS holds several arguments
    exec srun -p "$1" \
        --job-name="$2" \
        --gres="gpu:${per_node}" \
        --ntasks="${GPUS:-8}" \
        --ntasks-per-node="${per_node}" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        python -u "${TOOLS}/$3" --launcher slurm "${@:4}"
}
