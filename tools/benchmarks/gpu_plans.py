"""The part of gpu.py that cuts the Triton scan in several ways: which is the fastest?

Both directions in one launch, as VideoMamba's layers scan; replayed from CUDA graphs.
``Tuning`` of mmfusion/ops/triton/plan.py says what is cut.
"""

import dataclasses
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from gpu_report import Results
from gpu_scans import most_off, ours, scan_inputs
from gpu_time import Options, graph_of, time_in_turn
from torch import Tensor

from mmfusion.ops import causal_conv1d

# name -> what differs from Tuning(); the first is what the others are checked against
PLANS: dict[str, dict[str, int]] = {
    "as it is": {},
    "2 tokens read ahead": dict(ahead=2),
    "forward: 4 tokens read ahead": dict(forward_ahead=4),
    "forward: 4 tokens read ahead, any registers": dict(
        forward_ahead=4, forward_registers=0
    ),
    "1056 programs": dict(programs=1056),
    "1584 programs": dict(programs=1584),
    "3168 programs": dict(programs=3168),
    "segments at any batch": dict(enough=10**6),
    "chunks of 32": dict(chunk=32),
    "forward: any registers": dict(forward_registers=0),
    "forward: any registers, 1584 programs": dict(forward_registers=0, programs=1584),
    "backward: 168 registers": dict(backward_registers=168),
    "blocks of 2": dict(block=2),
    "blocks of 2, backward: 128 registers": dict(block=2, backward_registers=128),
}
# batch, length
POINTS = ((8, 1569), (8, 16384), (32, 1569), (8, 1024), (1, 1569))
CONVOLUTIONS: dict[str, dict[str, int]] = {
    "as it is": {},
    "16 tokens": dict(conv_tokens=16),
    "16 tokens, 128 channels": dict(conv_tokens=16, conv_channels=128),
    "8 tokens, 128 channels": dict(conv_tokens=8, conv_channels=128),
    "16 tokens, 32 channels": dict(conv_tokens=16, conv_channels=32),
}
MODES = ("forward", "forward + backward")


def plans(options: Options, results: Results) -> int:
    """Milliseconds of each plan; the kernels are compiled in processes side by side."""
    stored: dict[str, Any] = {}
    began = time.time()
    if options.on_gpu:
        compile_all(options)
        results.update("plans", dict(compiled_s=round(time.time() - began, 1)))
    for batch, length in POINTS if options.on_gpu else ((2, 33),):
        for mode in MODES:
            for what, plans, make in (
                ("scan", PLANS, scan_call),
                ("convolution", CONVOLUTIONS, conv_call),
            ):
                if options.left() < 5:
                    return 1
                if what == "convolution" and (batch, length) != POINTS[2]:
                    continue
                call = make(batch, length, mode, options)
                key = f"{what} b{batch} l{length} {mode}"
                stored[key] = plan_point(call, plans, options)
                stored[key] |= dict(
                    length=length, mode=f"{what}, batch {batch}, {mode}"
                )
                results.update("plans", dict(points=stored))
    kernels = {}
    for batch, length in POINTS if options.on_gpu else ():
        call = scan_call(batch, length, MODES[1], options)
        kernels[f"a scan, batch {batch}, {length} tokens"] = kernels_of_call(call)
        results.update("plans", dict(kernels=kernels))
    return 0


def kernels_of_call(call: Callable[[], object], count: int = 14) -> list[tuple]:
    """Its kernels that take most: name, ms a call, launches a call."""
    from torch.profiler import ProfilerActivity

    call()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(5):
            call()
        torch.cuda.synchronize()
    events = profiler.key_averages()
    rows = [(x.key, x.self_device_time_total / 5e3, x.count / 5) for x in events]
    return sorted(rows, key=lambda row: -row[1])[:count]


def compile_all(options: Options) -> None:
    """Every plan's kernels into Triton's cache; what is late is compiled when used."""
    changes = [x for x in PLANS.values() if set(x) - {"programs"} or not x]
    changes += [x for x in CONVOLUTIONS.values() if x]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=compile_one, args=(change, options), daemon=True)
        for change in changes
    ]
    for worker in workers:
        worker.start()
    end = time.time() + 0.6 * options.left()
    for worker in workers:
        worker.join(timeout=max(0.0, end - time.time()))
        if worker.is_alive():
            worker.kill()


def compile_one(change: Mapping[str, int], options: Options) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    with tuned(change):
        for batch, length in POINTS:
            make = (
                conv_call if any(x.startswith("conv_") for x in change) else scan_call
            )
            for mode in MODES:  # the forward alone saves no states
                make(batch, length, mode, options)()
                if not change:
                    conv_call(batch, length, mode, options)()
    if options.on_gpu:
        torch.cuda.synchronize()


@contextmanager
def tuned(change: Mapping[str, int]) -> Iterator[None]:
    """Inside, Triton's launches are cut this way."""
    from mmfusion.ops.triton import plan

    usual = plan.TUNING
    plan.TUNING = dataclasses.replace(usual, **change)
    try:
        yield
    finally:
        plan.TUNING = usual


def scan_call(
    batch: int, length: int, mode: str, options: Options
) -> Callable[[], object]:
    sizes = (batch, length, 384, 16) if options.on_gpu else (2, length, 16, 4)
    inputs = scan_inputs(0, *sizes, options)
    return ours(inputs, mode != "forward", options, backend="triton", two=True)


def conv_call(
    batch: int, length: int, mode: str, options: Options
) -> Callable[[], object]:
    """The convolution of one direction, on x as half of a projection."""
    channels = 384 if options.on_gpu else 16
    whole = torch.randn(batch, length, 2 * channels, device=options.device)
    x = whole.bfloat16()[..., :channels].requires_grad_(mode != "forward")
    weight, bias = (
        torch.randn(channels, n, device=options.device).requires_grad_(x.requires_grad)
        for n in (4, 1)
    )
    backend = "triton" if options.on_gpu else "torch"

    def call() -> tuple[Tensor, ...]:
        y = causal_conv1d(x, weight, bias.flatten(), "silu", backend=backend)
        if mode == "forward":
            return (y,)
        leaves = x, weight, bias
        return y.detach(), *torch.autograd.grad(y, leaves, torch.ones_like(y))

    return call


def plan_point(
    call: Callable[[], object], plans: Mapping[str, dict[str, int]], options: Options
) -> dict[str, Any]:
    graphs: dict[str, Callable[[], object]] = {}
    off: dict[str, float] = {}
    failed: dict[str, str] = {}
    expected = None
    for name, change in plans.items():
        if options.left() < 4:
            failed[name] = "no time left"
            continue
        try:
            with tuned(change) if options.on_gpu else tuned({}):
                found = call()
                outputs = found if isinstance(found, tuple) else (found,)
                expected = outputs if expected is None else expected
                off[name] = most_off(outputs, expected)
                graphs[name] = graph_of(call, options)
        except Exception as error:  # a plan that fails is named, the others go on
            failed[name] = f"{type(error).__name__}: {error}"[:300]
    timed = time_in_turn(graphs, options, rounds=15, seconds=1.5)
    for name, values in timed.items():
        values["error"] = off[name]
    return dict(timed=timed, failed=failed)
