# Sourced by dist_*.sh and slurm_*.sh: start train.py or test.py in several processes.

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="${TOOLS}/..${PYTHONPATH:+:${PYTHONPATH}}"

fail() {
    printf 'error: %s (--help shows how)\n' "$*" >&2
    exit 2
}

# expect NAMES ARGUMENTS...: the help at the top of the script, or an error if too few
expect() {
    local names count
    read -ra names <<<"$1"
    shift
    case ${1:-} in
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;;
    esac
    count=${#names[@]}
    [ $# -ge "$count" ] || fail "expected ${names[*]}, got $# of $count arguments"
}

# number NAME VALUE
number() {
    case $2 in
    '' | *[!0-9]* | 0) fail "$1 is '$2', expected a number of 1 or more" ;;
    esac
}

# dist NUM_PROCESSES TOOL ARGUMENTS...: on this machine, or on NNODES machines
dist() {
    number NUM_PROCESSES "$1"
    # several processes of many threads each would fight for the cores
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
    exec python "${TOOLS}/launch.py" "$@"
}

# slurm PARTITION JOB_NAME TOOL ARGUMENTS...: GPUS processes, a GPU each
slurm() {
    local per_node=${GPUS_PER_NODE:-8}
    number GPUS_PER_NODE "$per_node"
    number GPUS "${GPUS:-8}"
    command -v srun >/dev/null || fail "there is no srun here: slurm is not installed"
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
