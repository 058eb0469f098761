#!/usr/bin/env bash
# See usage below, or: bash tools/benchmarks/gpu.sh --help
set -euo pipefail

usage() {
    cat <<'EOT'
What a GPU has to say about mmfusion, in eight minutes, without a network:

    bash tools/benchmarks/gpu_wheels.sh                  # before, where pip works
    bash tools/benchmarks/gpu.sh [--out DIR]             # on the GPU machine
    bash tools/benchmarks/gpu.sh --device cpu            # every part at toy size

It uses the PyTorch that is there (2.11 or newer, Python 3.11 or 3.12), installs what is
missing from the folder of wheels into a scratch folder, compiles mamba-ssm and
causal-conv1d meanwhile (or installs wheels of them made for this GPU, see
gpu_wheels.sh --build), and measures part by part: tools/benchmarks/gpu.py says what.
results.json and results.md in the output folder are written after every measurement.

    --wheels DIR      default build/gpu_wheels
    --out DIR         default work_dirs/benchmarks/gpu
    --device cpu      no GPU: is everything in order?
    --budget SECONDS  for everything (default 470)
    --parts NAME...   only these (last option)
EOT
}

WHEELS=build/gpu_wheels
OUT=work_dirs/benchmarks/gpu
DEVICE=cuda
BUDGET=470
PARTS=()
while [ $# -gt 0 ]; do
    case $1 in
    --wheels | --out | --device | --budget)
        [ $# -ge 2 ] || { echo "error: $1 needs a value" >&2; exit 2; }
        case $1 in
        --wheels) WHEELS=$2 ;;
        --out) OUT=$2 ;;
        --device) DEVICE=$2 ;;
        --budget) BUDGET=$2 ;;
        esac
        shift
        ;;
    --parts) shift && PARTS=(--parts "$@") && break ;;
    -h | --help) usage && exit 0 ;;
    *) echo "error: unknown option $1" >&2 && usage >&2 && exit 2 ;;
    esac
    shift
done
case $DEVICE in
cpu | cuda) ;;
*) echo "error: --device is '$DEVICE', expected cpu or cuda" >&2 && exit 2 ;;
esac
case $BUDGET in
'' | *[!0-9]*) echo "error: --budget is '$BUDGET', expected seconds" >&2 && exit 2 ;;
esac

START=$(date +%s)
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PYTHON=$(command -v python3)
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

# the shell scripts of tools/ call "python", which an image may lack
mkdir -p "$SCRATCH/bin" "$SCRATCH/site"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$PYTHON" >"$SCRATCH/bin/python"
chmod +x "$SCRATCH/bin/python"
export PATH="$SCRATCH/bin:$PATH"

# into a folder of its own: the environment that is there stays as it is
NEEDED="mmengine mmcv mmaction decord av pydantic"
FIND='import sys, importlib.util as u; sys.exit(None in map(u.find_spec, sys.argv[1:]))'
# shellcheck disable=SC2086  # its words are the arguments
if ! "$PYTHON" -c "$FIND" $NEEDED; then # found, not imported: that takes seconds
    shopt -s nullglob
    wheels=()
    for wheel in "$WHEELS"/*.whl; do # gpu_build.py installs those two where they fit
        case $wheel in */mamba_ssm-* | */causal_conv1d-*) ;; *) wheels+=("$wheel") ;; esac
    done
    [ ${#wheels[@]} -gt 0 ] || {
        echo "error: MMEngine and the like are missing, and there are no wheels in" \
            "$WHEELS: run tools/benchmarks/gpu_wheels.sh where pip works" >&2
        exit 2
    }
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
        --no-compile --target "$SCRATCH/site" "${wheels[@]}"
fi
export PYTHONPATH="$SCRATCH/site:$REPO${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1

status=0
"$PYTHON" "$REPO/tools/benchmarks/gpu.py" --wheels "$WHEELS" --out "$OUT" \
    --device "$DEVICE" --budget "$BUDGET" --start "$START" --scratch "$SCRATCH" \
    ${PARTS[@]+"${PARTS[@]}"} || status=$?
exit "$status"
