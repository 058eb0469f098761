"""Compile mamba-ssm and causal-conv1d for one GPU, as far as gpu.py calls them.

    python tools/benchmarks/gpu_build.py WHEELS SCRATCH --log build.log [--to DIR]

WHEELS has their source packages; they are installed into SCRATCH/site. Where WHEELS has
a wheel that ``--to`` made for the same GPU, Python and PyTorch, that one is installed.
Kernels are the packages' own; what is left out raises an error that says so:
architectures but one, debugging information, complex A, constant B and C, causal-conv1d
of another width than 4, with sequence indices, gradients of final states, deterministic
sums, and weights of another dtype than float32 or x's. With --to wheels are made
for where there is no GPU. Exit codes: 0 done, 1 failed.
"""

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

PACKAGES = ("mamba_ssm", "causal_conv1d")
JOBS = 8  # of each; none has more files
SLOW_FLAGS = ("-lineinfo", "--ptxas-options=-v")
MARK = "    # HACK: The compiler flag"  # behind the architectures, before their use
ONLY = r"""
#define ONLY(VALUE, COND, CONST_NAME, ...)                                     \
    [&] {                                                                      \
        TORCH_CHECK((COND) == VALUE, #COND, " is left out of this build");     \
        static constexpr bool CONST_NAME = VALUE;                              \
        return __VA_ARGS__();                                                  \
    }()
"""
# replaces a macro of causal_conv1d.cpp
WEIGHTS = r"""
#undef DISPATCH_WTYPE_FLOAT_AND_HALF_AND_BF16
#define DISPATCH_WTYPE_FLOAT_AND_HALF_AND_BF16(WTYPE, NAME, ...)               \
    if (WTYPE == at::ScalarType::Float) {                                      \
        using weight_t = float;                                                \
        __VA_ARGS__();                                                         \
    } else {                                                                   \
        TORCH_CHECK(WTYPE == c10::CppTypeToScalarType<input_t>::value,         \
                    "this dtype of weights is left out of this build");        \
        using weight_t = input_t;                                              \
        __VA_ARGS__();                                                         \
    }

"""
# ... and one of selective_scan.cpp
RATES = r"""
#undef DISPATCH_WTYPE_FLOAT_AND_COMPLEX
#define DISPATCH_WTYPE_FLOAT_AND_COMPLEX(WTYPE, NAME, ...)                     \
    {                                                                          \
        TORCH_CHECK(WTYPE == at::ScalarType::Float,                            \
                    "complex A is left out of this build");                    \
        using weight_t = float;                                                \
        __VA_ARGS__();                                                         \
    }

"""
FIXED = dict(
    kHasSeqIdx="false", kHasDfinalStates="false", kDeterministic="false",
    kIsVariableB="true", kIsVariableC="true",
)  # fmt: skip
INSTANCE = re.compile(r"^template void \w+<(.+), (.+)>\(.*\n?", re.MULTILINE)
OTHER_WIDTH = re.compile(r"\w+_launch<\d+, [23], input_t, weight_t>\(params, stream\);")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--to", type=Path, help="leave wheels here instead")
    parser.add_argument("--arch", help="such as 90 (default: the GPU's)")
    parser.add_argument("--jobs", type=int, default=JOBS, help="of each package")
    return parser.parse_args()


# ---- sources


def replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"the sources have {old!r} {text.count(old)} times")
    return text.replace(old, new)


def cut_setup(setup: str, arch: str) -> str:
    """A setup.py whose extensions are built for one architecture, such as "90"."""
    flags = ["-gencode", f"arch=compute_{arch},code=sm_{arch}"]
    setup = replaced(
        setup, MARK, f"    if not HIP_BUILD:\n        cc_flag = {flags}\n{MARK}"
    )
    for name in SLOW_FLAGS:
        setup = setup.replace(f'"{name}",', "")
    return setup


def cut_kernels(source: str) -> str:
    """A .cu or .cuh without what no part of gpu.py launches."""
    for name, value in FIXED.items():
        pattern = rf"BOOL_SWITCH\(([^,]+), {name},"
        source = re.sub(pattern, rf"ONLY({value}, \1, {name},", source)
    return OTHER_WIDTH.sub(
        'TORCH_CHECK(false, "this width is left out of this build");', source
    )


def cut_mamba_ssm(folder: Path) -> None:
    csrc, setup = folder / "csrc" / "selective_scan", folder / "setup.py"
    edit(csrc / "static_switch.h", lambda text: text + ONLY)
    for name in ("fwd", "bwd"):
        edit(csrc / f"selective_scan_{name}_kernel.cuh", cut_kernels)
    for file in csrc.glob("selective_scan_fwd_*.cu"):
        edit(file, lambda text: re.sub(r"template void .*complex_t>.*\n?", "", text))
    edit(
        csrc / "selective_scan.cpp",
        lambda text: text.replace("template<", RATES + "template<", 1),
    )
    edit(setup, lambda text: re.sub(r' *"csrc/.*_complex\.cu",\n', "", text))


def cut_causal_conv1d(folder: Path) -> None:
    """Its backward becomes a file for each dtype of x, which cores share."""
    csrc, setup = folder / "csrc", folder / "setup.py"
    edit(csrc / "static_switch.h", lambda text: text + ONLY)
    edit(
        csrc / "causal_conv1d.cpp",
        lambda text: text.replace("template<", WEIGHTS + "template<", 1),
    )

    def of(inputs: tuple[str, ...], text: str) -> str:
        def kept(found: re.Match) -> str:
            x, weight = found.groups()
            return found[0] if x in inputs and weight in ("float", x) else ""

        return INSTANCE.sub(kept, cut_kernels(text))

    types = dict(fp32="float", fp16="at::Half", bf16="at::BFloat16")
    for name in ("fwd", "update"):
        edit(csrc / f"causal_conv1d_{name}.cu", lambda x: of((*types.values(),), x))
    whole = (csrc / "causal_conv1d_bwd.cu").read_text()
    for name, x in types.items():
        (csrc / f"causal_conv1d_bwd_{name}.cu").write_text(of((x,), whole))
    files = "".join(f'"csrc/causal_conv1d_bwd_{x}.cu", ' for x in types)
    edit(setup, lambda text: replaced(text, '"csrc/causal_conv1d_bwd.cu",', files))


def edit(file: Path, change) -> None:
    old = file.read_text()
    new = change(old)
    if new == old:
        raise ValueError(f"nothing to change in {file}: the sources are others")
    file.write_text(new)


CUT = dict(mamba_ssm=cut_mamba_ssm, causal_conv1d=cut_causal_conv1d)

# ---- building


def start(name: str, args: argparse.Namespace, local: str, log) -> subprocess.Popen:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    options = ["--no-index", "--no-deps", "--verbose"]
    into = ["--no-compile", "--target", str(args.scratch / "site")]
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    made = sorted(args.wheels.glob(f"{name}-*+{local}-{python}-*.whl"))
    if made and args.to is None:
        command = [*pip, "install", *options, *into, str(made[-1])]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    [archive] = args.wheels.glob(f"{name}-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(args.scratch / "source", filter="data")
    folder = args.scratch / "source" / archive.name.removesuffix(".tar.gz")
    CUT[name](folder)
    edit(folder / "setup.py", lambda text: cut_setup(text, args.arch))
    prefix = "MAMBA" if name == "mamba_ssm" else "CAUSAL_CONV1D"
    environment = os.environ | {
        f"{prefix}_FORCE_BUILD": "TRUE",
        f"{prefix}_LOCAL_VERSION": local,
        "MAMBA_KEEP_CUDA_BUILD": "TRUE",
        "MAX_JOBS": str(args.jobs),
        "NVCC_THREADS": "1",
        "CPATH": os.pathsep.join(filter(None, [os.environ.get("CPATH"), *headers()])),
    }
    if args.to is None:
        command = [*pip, "install", *into]
    else:
        command = [*pip, "wheel", "--wheel-dir", str(args.to)]
    command += [*options, "--no-build-isolation", str(folder)]
    return subprocess.Popen(
        command, env=environment, stdout=log, stderr=subprocess.STDOUT
    )


def headers() -> list[str]:
    """Those that PyTorch's own CUDA packages bring: a toolkit may lack some."""
    folders = Path(sysconfig.get_path("purelib"), "nvidia").glob("cu*/include")
    return [str(folder) for folder in folders]


def main() -> int:
    args = parse_args()
    import torch

    if args.arch is None:
        args.arch = "".join(map(str, torch.cuda.get_device_capability()))
    torch_version = ".".join(torch.__version__.split("+")[0].split(".")[:2])
    local = f"sm{args.arch}torch{torch_version}"
    with args.log.open("w") as log:
        running = [start(name, args, local, log) for name in PACKAGES]
        codes = [process.wait() for process in running]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
