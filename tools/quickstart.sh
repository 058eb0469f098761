#!/usr/bin/env bash
# See usage below, or: bash tools/quickstart.sh --help
set -euo pipefail

usage() {
    cat <<'EOF'
The whole of mmfusion in one command, on a CPU in some minutes:

    bash tools/quickstart.sh [--all] [--seeds N] [--work-root DIR]

It makes an environment (.venv here, or the active one), installs, generates TinyEgo,
trains RGB-only, skeleton-only and Average fusion, tests them, prints the table, and
writes a test clip as a video with the hands drawn and the best five classes beside it.
Run again, it does nothing twice; cut off, it continues.

    --all            all six models of the paper's table
    --seeds N        seeds 0 to N-1 (default 1)
    --work-root DIR  runs, table and clip (default work_dirs/quickstart)
    --data DIR       the generated data (default data/tinyego)
EOF
}

SEEDS=1
WORK_ROOT=work_dirs/quickstart
DATA=data/tinyego
METHODS=(video_mamba skeleton_mamba cls_mix_average)

value() { [ $# -ge 2 ] || { echo "error: $1 needs a value" >&2; exit 2; }; }
while [ $# -gt 0 ]; do
    case $1 in
    --all) METHODS+=(cls_mix_naive cls_mix_weighted cls_mix_context) ;;
    --seeds) value "$@" && SEEDS=$2 && shift ;;
    --work-root) value "$@" && WORK_ROOT=$2 && shift ;;
    --data) value "$@" && DATA=$2 && shift ;;
    -h | --help) usage && exit 0 ;;
    *) echo "error: unknown option $1" >&2 && usage >&2 && exit 2 ;;
    esac
    shift
done
case $SEEDS in
'' | *[!0-9]* | 0) echo "error: --seeds is '$SEEDS', expected 1 or more" >&2 && exit 2 ;;
esac

# shellcheck source=tools/_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"
cd "$REPO"
START=$SECONDS

say "[1/4] Environment"
use_environment
install_requirements runtime

say "[2/4] Data: TinyEgo in H2O's layout"
"$PYTHON" tools/data/tinyego/generate.py --layout h2o --out "$DATA"
if [ ! "$DATA/mmfusion/annotation.json" -nt "$DATA/manifest.json" ]; then
    quietly "Annotation and skeleton caches" \
        "$PYTHON" tools/data/h2o/prepare.py --root "$DATA"
fi

say "[3/4] Training, testing, table: ${METHODS[*]}"
configs=()
for method in "${METHODS[@]}"; do
    configs+=("configs/demo/${method}_nano_tinyego.py")
done
options=()
[ "$DATA" = data/tinyego ] || options=(--data "$DATA")
# the models are small and use one thread each
JOBS=$("$PYTHON" -c 'import os; print(min(os.cpu_count() or 1, 6))')
"$PYTHON" tools/analysis/table.py "${configs[@]}" --seeds "$SEEDS" --jobs "$JOBS" \
    --work-root "$WORK_ROOT" ${options[@]+"${options[@]}"}

say "[4/4] One test clip with its hands and the best five classes"
best="$WORK_ROOT/cls_mix_average_nano_tinyego/seed0"
"$PYTHON" tools/infer.py --model "$best" --test-clip 0 --out "$WORK_ROOT/clip" --fps 6 \
    ${options[@]+"${options[@]}"}
say "Done in $((SECONDS - START)) s."
