"""Table of the scan backends: which run here, why the others do not, what mends it.

    python -m mmfusion.ops            # the table
    python -m mmfusion.ops --check    # and compare each backend with the reference

``--check`` runs forward and backward of a small scan in each direction and in both and
ends with status 1 where a backend is wrong.

Environment variables that decide what runs:

    MMFUSION_SCAN_BACKEND   the backend to use, in place of auto
    MMFUSION_CPU_ISA        the instruction set of cpu: avx512, avx2, sse2, neon
    MMFUSION_CACHE          where cpu keeps what it builds; else ~/.cache/mmfusion
    CXX                     the C++ compiler that builds it, tried before c++
    TRITON_INTERPRET=1      triton's kernels on a CPU, slowly
"""

import argparse
import os
import sys
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from mmfusion.ops import (
    ScanInputs,
    backends,
    bidirectional_scan,
    selective_scan_with_state,
)
from mmfusion.utils.errors import InputError

LIMITS = (1e-5, 1e-4)  # of outputs and of gradients, relative to the maximum


def describe(name: str) -> str:
    """Describe a backend that runs here in a few words."""
    if name == "cpu":
        from mmfusion.ops.cpu import build, library

        compilers = build.find_compilers()
        compiler = " ".join(compilers[0]) if compilers else "none (prebuilt or cached)"
        return (
            f"C++, instruction set {library.instruction_set()},"
            f" {library.num_threads()} threads, compiler {compiler}"
        )
    if name == "triton":
        import triton

        return f"GPU kernels, triton {triton.__version__}"
    if name == "mamba_ssm":
        from importlib.metadata import version

        return f"CUDA kernels of mamba-ssm {version('mamba-ssm')}"
    if name == "torch":
        return f"plain PyTorch {torch.__version__}, any device; exports"
    return "step by step, any device; the truth"


def run(name: str, device: str, dtype: torch.dtype, both: bool) -> list[list[Tensor]]:
    """Outputs and gradients of both directions at once, or the reverse: (2, 70, 12)."""
    generator = torch.Generator().manual_seed(0)

    def leaf(x: Tensor) -> Tensor:
        return x.to(device, dtype).requires_grad_()

    def draw(*shape: int) -> Tensor:
        return leaf(torch.randn(*shape, generator=generator))

    def inputs() -> ScanInputs:
        A = leaf(-torch.rand(12, 8, generator=generator) * 8)
        tokens, states = (2, 70, 12), (2, 70, 8)
        u, delta, B, C = draw(*tokens), draw(*tokens), draw(*states), draw(*states)
        return ScanInputs(u, delta, A, B, C, draw(12), draw(12))

    one, other, z = inputs(), inputs(), draw(2, 70, 12)
    leaves: list[Any] = [*one, *other, z] if both else [*one, z]
    if both:
        y = bidirectional_scan(one, other, z, delta_softplus=True, backend=name)
    else:
        y, _ = selective_scan_with_state(one, None, z, True, reverse=True, backend=name)
    weights = torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape)
    grads = torch.autograd.grad(y, leaves, weights.to(y.dtype))
    return [[y.detach()], list(grads)]


def check(name: str) -> tuple[bool, str]:
    """Compare a backend with the reference: whether it is equal, and by how much."""
    worst, served = [0.0, 0.0], []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for both in (True, False):
            try:
                ours = run(name, device, torch.float32, both)
            except InputError:  # it refuses this call
                continue
            served.append(device)
            truth = run("reference", device, torch.float64, both)
            for kind in range(2):
                for one, other in zip(ours[kind], truth[kind], strict=True):
                    error = (one.double() - other).abs().max() / other.abs().max()
                    worst[kind] = max(worst[kind], error.nan_to_num(torch.inf).item())
    if not served:
        return False, "serves neither of the two calls"
    right = all(error <= limit for error, limit in zip(worst, LIMITS, strict=True))
    return right, (
        f"{'equal' if right else 'WRONG'} on {', '.join(dict.fromkeys(served))}:"
        f" outputs {worst[0]:.0e}, gradients {worst[1]:.0e}"
    )


def main(argv: list[str] | None = None) -> int:
    """Print the table; 1 where a check fails, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m mmfusion.ops",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--check", action="store_true", help="compare with the reference"
    )
    args = parser.parse_args(argv)
    table = Table("backend", "here", "what it is, or why not and what mends it")
    if args.check:
        table.add_column("against the reference, relative to the maximum")
    all_right = True
    for name in backends.backend_names():
        reason = backends.missing_reason(name)
        row = [name, "yes" if reason is None else "no"]
        row.append(escape(describe(name) if reason is None else reason))
        if args.check and reason is None:
            right, text = check(name)
            all_right = all_right and right
            row.append(text)
        table.add_row(*row)
    console = Console()
    console.print(table)
    kinds = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    for kind in kinds:
        console.print(f"auto takes {chosen(kind)} for tensors on {kind}")
    named = os.environ.get(backends.ENVIRONMENT)
    if named:
        console.print(f"but {backends.ENVIRONMENT}={named} is set and goes before auto")
    return 0 if all_right else 1


def chosen(device_type: str) -> str:
    """Backend that ``auto`` takes for an ordinary call on such a device."""
    names = backends.order(device_type)
    return next(name for name in names if backends.missing_reason(name) is None)


if __name__ == "__main__":
    sys.exit(main())
