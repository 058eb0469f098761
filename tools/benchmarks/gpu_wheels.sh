#!/usr/bin/env bash
# See usage below, or: bash tools/benchmarks/gpu_wheels.sh --help
set -euo pipefail

usage() {
    cat <<'EOT'
What tools/benchmarks/gpu.sh needs on a GPU machine without a network, in one folder:

    bash tools/benchmarks/gpu_wheels.sh [--out DIR] [--build ARCH]

Wheels for Python 3.11 and 3.12 on Linux x86-64 of the packages that a PyTorch image
lacks, and the sources of mamba-ssm and causal-conv1d, which are compiled over there.
Versions are those of requirements/. SHA256SUMS lists what there is; 60 MB at most.

    --out DIR      default build/gpu_wheels
    --python PATH  its pip downloads (default: python3)
    --build ARCH   compile wheels of mamba-ssm and causal-conv1d too, such as 90 for an
                   H100; PATH is then of the GPU machine's Python and PyTorch, and has
                   setuptools, wheel and ninja; nvcc is needed, a GPU is not
EOT
}

OUT=build/gpu_wheels
PYTHON=python3
BUILD=
LIMIT_MB=60
while [ $# -gt 0 ]; do
    case $1 in
    --out | --python | --build)
        [ $# -ge 2 ] || { echo "error: $1 needs a value" >&2; exit 2; }
        case $1 in
        --out) OUT=$2 ;;
        --python) PYTHON=$2 ;;
        --build) BUILD=$2 ;;
        esac
        shift
        ;;
    -h | --help) usage && exit 0 ;;
    *) echo "error: unknown option $1" >&2 && usage >&2 && exit 2 ;;
    esac
    shift
done

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# pinned NAME: the line NAME==VERSION of requirements/
pinned() {
    sed -n "s/^\($1==[^ #;]*\).*/\1/p" "$REPO"/requirements/*.txt | head -n 1
}

# pure Python or for any Python 3; then what has a wheel for each Python
ANY=(mmengine mmcv-lite mmaction2 importlib_metadata decord pydantic)
# needs of those, as far as an image with PyTorch and transformers lacks them
ANY_UNPINNED=(addict yapf termcolor platformdirs zipp lazy-importer annotated-types
    typing-inspection)
EACH=(av)
SOURCES=(causal-conv1d mamba-ssm)

mkdir -p "$OUT"
rm -f "$OUT"/*.whl "$OUT"/*.tar.gz "$OUT"/SHA256SUMS
pip=("$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$OUT")

# wheels PYTHON_VERSION REQUIREMENT...
wheels() {
    local version=$1 platforms=() n
    shift
    for n in 34 31 28 27 24 17 12 5; do platforms+=(--platform "manylinux_2_${n}_x86_64"); done
    for n in 2014 2010 1; do platforms+=(--platform "manylinux${n}_x86_64"); done
    "${pip[@]}" --only-binary=:all: --implementation cp --python-version "$version" \
        "${platforms[@]}" "$@"
}

any=("${ANY_UNPINNED[@]}")
for name in "${ANY[@]}"; do any+=("$(pinned "$name")"); done
wheels 3.12 "${any[@]}"
core=$(unzip -p "$OUT"/pydantic-*.whl '*/METADATA' |
    sed -n 's/^Requires-Dist: \(pydantic-core==[^ ;]*\).*/\1/p')
for version in 3.11 3.12; do
    for name in "${EACH[@]}"; do wheels "$version" "$(pinned "$name")"; done
    wheels "$version" "$core"
done
# pip runs setup.py for name and version: it wants these packages, and a torch to import
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$PYTHON" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    setuptools wheel packaging
mkdir -p "$scratch/stub/torch/utils"
cat >"$scratch/stub/torch/__init__.py" <<'EOT'
__version__ = "2.11.0"
class version: hip, cuda = None, "13.0"
EOT
touch "$scratch/stub/torch/utils/__init__.py"
echo "BuildExtension = CUDAExtension = CppExtension = CUDA_HOME = HIP_HOME = None" \
    >"$scratch/stub/torch/utils/cpp_extension.py"
pip[0]=$scratch/venv/bin/python
for name in "${SOURCES[@]}"; do
    PYTHONPATH=$scratch/stub MAMBA_SKIP_CUDA_BUILD=TRUE \
        CAUSAL_CONV1D_SKIP_CUDA_BUILD=TRUE \
        "${pip[@]}" --no-binary=:all: --no-build-isolation "$(pinned "$name")"
done

if [ -n "$BUILD" ]; then
    "$PYTHON" "$REPO/tools/benchmarks/gpu_build.py" "$OUT" "$scratch/build" \
        --log "$OUT/build.log" --to "$OUT" --arch "$BUILD" --jobs "$(nproc)"
fi

(cd "$OUT" && sha256sum -- *.whl *.tar.gz >SHA256SUMS && ls -l -- *.whl *.tar.gz)
bytes=$(cat "$OUT"/* | wc -c)
awk -v b="$bytes" -v out="$OUT" 'BEGIN { printf "%s: %.1f MB\n", out, b / 1e6 }'
if [ "$bytes" -gt $((LIMIT_MB * 1000000)) ]; then
    echo "error: more than $LIMIT_MB MB" >&2
    exit 1
fi
