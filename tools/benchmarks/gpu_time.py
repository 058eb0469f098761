"""Clock of gpu.py: CUDA events, calls in turn, and the chip's own rates.

Times are medians of samples by CUDA events, in turn (A B C A B C ...) after a warm-up.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from published import Kernels, stand_in_kernels, stock_kernels, stock_scan
from torch import Tensor

from mmfusion.ops.backends import missing_reason


@dataclass(frozen=True)
class Options:
    """Place of a part: its device, folders and deadline."""

    device: str
    out: Path
    scratch: Path
    deadline: float

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    def left(self) -> float:
        return self.deadline - time.time()


# ---- time


def milliseconds(call: Callable[[], object], options: Options) -> float:
    """Of one call, by the device's clock."""
    if not options.on_gpu:
        start = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - start)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in "12")
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def time_in_turn(
    variants: Mapping[str, Callable[[], object]],
    options: Options,
    *,
    rounds: int,
    seconds: float,
) -> dict[str, dict[str, Any]]:
    """Median, least and greatest ms of each variant, warmed up.

    Args:
        rounds: samples of each. seconds: for all of them; then there are fewer.
    """
    for call in variants.values():
        for _ in range(2):
            call()
    samples: dict[str, list[float]] = {name: [] for name in variants}
    end = time.time() + seconds
    for number in range(rounds):
        if number >= 3 and time.time() > end:
            break
        for name, call in variants.items():
            samples[name].append(milliseconds(call, options))
    return {
        name: dict(ms=statistics.median(x), low=min(x), high=max(x), n=len(x))
        for name, x in samples.items()
    }


def graph_of(call: Callable[[], object], options: Options) -> Callable[[], object]:
    """A call that replays what ``call`` launches; ``call`` itself on a CPU."""
    if not options.on_gpu:
        return call
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


# ---- the chip


def chip_rates(options: Options) -> dict[str, float]:
    """GB/s of a copy (read and written), bf16 TFLOP/s, G exponentials/s."""
    size, side = (2**29, 8192) if options.on_gpu else (2**22, 256)
    source = torch.randn(size // 4, device=options.device)
    target = torch.empty_like(source)
    a, b = (
        torch.randn(side, side, device=options.device, dtype=torch.bfloat16)
        for _ in "12"
    )
    calls: dict[str, Callable[[], object]] = dict(
        copy=lambda: target.copy_(source), matmul=lambda: a @ b
    )
    count = 1.0
    if options.on_gpu:
        calls["exp"], count = exponentials()
    else:
        calls["exp"], count = lambda: torch.exp2(source), float(source.numel())
    timed = time_in_turn(calls, options, rounds=20, seconds=10)
    return dict(
        copy_gb=2 * size / timed["copy"]["ms"] / 1e6,
        matmul_tflops=2 * side**3 / timed["matmul"]["ms"] / 1e9,
        exp_g=count / timed["exp"]["ms"] / 1e6,
    )


def exponentials() -> tuple[Callable[[], object], float]:
    """A launch that does nothing else, and how many it computes."""
    from gpu_kernel import BLOCK, PROGRAMS, STEPS, many_exponentials

    out = torch.zeros(PROGRAMS * BLOCK, device="cuda")

    def call() -> None:
        many_exponentials[(PROGRAMS,)](out, STEPS=STEPS, BLOCK=BLOCK, num_warps=4)

    return call, float(PROGRAMS * BLOCK * STEPS)


# ---- what is there


def kernels_of(options: Options) -> Kernels:
    return stock_kernels() if options.on_gpu else stand_in_kernels()


def scan_of(options: Options) -> Callable[..., Tensor]:
    return stock_scan() if options.on_gpu else stand_in_kernels().scan


def missing_here(options: Options) -> dict[str, str | None]:
    """Reason that a road of the GPU is not there, by road."""
    return {name: missing_reason(name) for name in ("triton", "mamba_ssm")}
