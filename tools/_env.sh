# Sourced by quickstart.sh and run_tests.sh: a Python environment with what they need.
#
# An active virtualenv or conda environment is used; else .venv is made in the
# repository. What is installed is remembered by a stamp in the environment.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ENV_LOG="$REPO/.venv-setup.log"

say() { printf '%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# quietly LABEL COMMAND...: its output goes to a log, which is shown if it fails
quietly() {
    local label=$1 start=$SECONDS child status=0
    shift
    : >"$ENV_LOG"
    "$@" >"$ENV_LOG" 2>&1 &
    child=$!
    trap 'kill "$child" 2>/dev/null; exit 130' INT TERM
    if [ -t 1 ]; then
        while kill -0 "$child" 2>/dev/null; do
            printf '\r%s ... %d s' "$label" $((SECONDS - start))
            sleep 1
        done
        printf '\r'
    fi
    wait "$child" || status=$?
    trap - INT TERM
    if [ "$status" -ne 0 ]; then
        tail -n 30 "$ENV_LOG" >&2
        fail "$label failed with exit code $status (the end of $ENV_LOG is above)"
    fi
    printf '%s: %d s\n' "$label" $((SECONDS - start))
    rm -f "$ENV_LOG"
}

# numpy needs 3.11 or newer; on 3.13 MMEngine 0.10.7 warns of what Python deprecated
is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
        >/dev/null 2>&1
}

find_python() {
    local name
    for name in python3.11 python3.12 python3 python; do
        if is_supported "$name"; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11 or 3.12 on PATH; install one, or activate an environment"
}

# sets PYTHON
use_environment() {
    local prefix=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
    if [ -n "$prefix" ]; then
        PYTHON="$prefix/bin/python"
        is_supported "$PYTHON" || fail "the active environment $prefix has no Python" \
            "3.11 or 3.12; deactivate it, and .venv is made instead"
        say "Environment: $prefix (the active one)"
        return
    fi
    PYTHON="$REPO/.venv/bin/python"
    if ! is_supported "$PYTHON" || ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        local base
        base=$(find_python)
        quietly "Making .venv with $("$base" --version)" \
            "$base" -m venv --clear "$REPO/.venv"
    fi
    say "Environment: $REPO/.venv"
}

# install_requirements NAME...: requirements/NAME.txt and mmfusion itself
install_requirements() {
    local name files=() stamp wanted
    for name in "$@"; do files+=("$REPO/requirements/$name.txt"); done
    stamp="$("$PYTHON" -c 'import sys; print(sys.prefix)')/.mmfusion-$(IFS=-; echo "$*")"
    wanted=$(
        { printf '%s\n' "$REPO"; "$PYTHON" --version; cat "${files[@]}" "$REPO/setup.cfg"; } |
            "$PYTHON" -c 'import hashlib, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
    )
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        say "Packages: installed before"
        return
    fi
    local pip=("$PYTHON" -m pip install --quiet --disable-pip-version-check --no-input)
    local torch
    torch=$(sed -n 's/^\(torch==[^ #]*\).*/\1/p' "$REPO/requirements/runtime.txt")
    # torch first and named exactly: an open range would take gigabytes of CUDA
    quietly "Installing $torch" "${pip[@]}" "$torch"
    quietly "Installing requirements ($*)" "${pip[@]}" "${files[@]/#/--requirement=}"
    quietly "Installing mmfusion" "${pip[@]}" --no-deps --editable "$REPO"
    quietly "Checking that it imports" "$PYTHON" -c 'import cv2, decord, av, mmfusion'
    printf '%s\n' "$wanted" >"$stamp"
}
