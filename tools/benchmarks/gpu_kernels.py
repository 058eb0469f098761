"""Compile the Triton kernels for GPUs that are not here: registers, spills, memory.

    python tools/benchmarks/gpu_kernels.py --arch 90
    python tools/benchmarks/gpu_kernels.py --report   # all, into mmfusion/ops/README.md

Triton brings NVIDIA's assembler, so no GPU is needed: a training step of one layer is
called on a CPU, and each launch is replaced by its compilation. Exit code 1: a kernel
of the forward spills.
"""

import contextlib
import dataclasses
import io
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from measure import markdown_table, write_section
from rich.console import Console
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from mmfusion.ops.backends import ConvCall, ScanCall, ScanInputs
from mmfusion.ops.triton.backend import BACKEND
from mmfusion.utils.commands import command_parser, errors_in_one_line

README = Path(__file__).resolve().parents[2] / "mmfusion" / "ops" / "README.md"
SECTION = "triton kernels"
FORWARD = ("conv_forward", "merge_directions", "scan_forward")
FORWARD += ("segment_ends", "join_segments")


@dataclass(frozen=True)
class Compiled:
    """Costs of a kernel, as the assembler tells them.

    Attributes:
        kernel: name. arch: 90 for sm_90. registers: of a thread. spilled: bytes of a
            thread that are stored to local memory. shared: bytes of a program.
        warps: of a program.
    """

    kernel: str
    arch: int
    registers: int
    spilled: int
    shared: int
    warps: int
    ptx: str = dataclasses.field(repr=False, default="")


class _NoGpu:
    """Answers that Triton asks of a driver before it compiles."""

    def __init__(self, arch: int) -> None:
        self.arch = arch

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.arch, 32)

    def get_current_device(self) -> int:  # Triton keeps kernels by device
        return self.arch

    def get_current_stream(self, device: int) -> int:
        return 0


@contextlib.contextmanager
def compiling_for(arch: int) -> Iterator[list[Compiled]]:
    """Compile, instead of launching; gives what has been compiled so far."""
    found: list[Compiled] = []
    launch: Any = JITFunction.run

    def compile_only(self: JITFunction, *args: Any, **options: Any) -> Any:
        log = io.StringIO()
        with contextlib.redirect_stdout(log):
            kernel = launch(self, *args, **options | dict(warmup=True))
        if log.getvalue():  # not known yet
            found.append(_said(kernel, arch, log.getvalue()))
        return kernel

    before = driver._active  # its reset would look for a GPU
    driver.set_active(_NoGpu(arch))
    with (
        tempfile.TemporaryDirectory() as cache,
        knobs.cache.scope(),
        knobs.nvidia.scope(),
    ):
        knobs.cache.dir, knobs.nvidia.dump_ptxas_log = cache, True
        JITFunction.run = compile_only  # type: ignore[method-assign]
        try:
            yield found
        finally:
            JITFunction.run = launch  # type: ignore[method-assign]
            driver._active = before


def _said(kernel: Any, arch: int, log: str) -> Compiled:
    """A kernel from the lines of ``ptxas -v``."""

    def number(pattern: str) -> int:
        return int(re.search(pattern, log)[1])  # type: ignore[index]

    return Compiled(
        kernel.metadata.name,
        arch,
        number(r"Used (\d+) registers"),
        number(r"(\d+) bytes spill stores"),
        kernel.metadata.shared,
        kernel.metadata.num_warps,
        kernel.asm["ptx"],
    )


@dataclass(frozen=True)
class Layer:
    """Sizes of a layer whose two directions are compiled; VideoMamba-Tiny's.

    Of two clips: of one, Triton makes kernels of their own.
    """

    batch: int = 2
    length: int = 1569
    channels: int = 384
    states: int = 16
    rank: int = 12
    width: int = 4


def training_step(layer: Layer, dtype: torch.dtype) -> None:
    """Scan and convolution of a layer, forward and backward, as it launches them."""
    rows, d, n = (layer.batch, layer.length), layer.channels, layer.states
    gated = torch.zeros(*rows, 2 * d, dtype=dtype)  # of in_proj
    x, z = gated.requires_grad_().split(d, dim=-1)
    told = torch.zeros(*rows, layer.rank + 2 * n, dtype=dtype)  # of x_proj
    _, B, C = told.requires_grad_().split([layer.rank, n, n], dim=-1)
    A, of_channels = torch.zeros(d, n).requires_grad_(), torch.zeros(d).requires_grad_()
    weight = torch.zeros(d, layer.width).requires_grad_()
    directions = []
    for reverse in (False, True):
        u = BACKEND.conv(ConvCall(x, weight, of_channels, True, reverse))
        delta = torch.zeros(*rows, d, dtype=dtype).requires_grad_()
        directions.append(ScanInputs(u, delta, A, B, C, of_channels, of_channels))
    call = ScanCall(tuple(directions), (False, True), z, delta_softplus=True)
    BACKEND.scan(call)[0].float().sum().backward()


def compile_layer(
    arch: int, layer: Layer | None = None, dtype: torch.dtype = torch.bfloat16
) -> list[Compiled]:
    """Every kernel of a training step, in the order of its launches."""
    with compiling_for(arch) as found:
        training_step(layer or Layer(), dtype)
    return found


def table_of(kernels: Sequence[Compiled]) -> str:
    """A row a kernel, three columns a GPU; the most of those that share a name."""
    found: dict[str, dict[int, list[Compiled]]] = {}
    for one in kernels:
        found.setdefault(one.kernel, {}).setdefault(one.arch, []).append(one)
    archs = sorted({one.arch for one in kernels})
    header = ["kernel", "warps", *(f"sm_{arch}" for arch in archs)]
    rows = []
    for name, by_arch in found.items():
        warps = {str(one.warps) for ones in by_arch.values() for one in ones}
        cells = [
            " / ".join(
                str(max(getattr(one, key) for one in by_arch[arch]))
                for key in ("registers", "spilled", "shared")
            )
            for arch in archs
        ]
        rows.append([f"`{name}`", ", ".join(sorted(warps)), *cells])
    return markdown_table(header, rows)


def report(kernels: Sequence[Compiled]) -> str:
    """The section of the README."""
    said = (
        f"Triton {triton.__version__}, both directions of VideoMamba-Tiny's layer in"
        " bfloat16; registers of a thread / bytes of a thread that spill / bytes of"
        " shared memory of a program:"
    )
    return f"{said}\n\n{table_of(kernels)}"


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    parser.add_argument(
        "--arch", type=int, nargs="+", default=[80, 90, 100], help="such as 90"
    )
    parser.add_argument("--report", action="store_true", help="write the README's part")
    args = parser.parse_args(argv)
    kernels = [one for arch in args.arch for one in compile_layer(arch)]
    Console().print(table_of(kernels), markup=False, soft_wrap=True)
    if args.report:
        write_section(README, SECTION, report(kernels))
    return int(any(one.spilled for one in kernels if one.kernel in FORWARD))


if __name__ == "__main__":
    sys.exit(main())
