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

# name -> what differs from Tuning(); the first is what the others are checked against
PLANS: dict[str, dict[str, int]] = {
    "as it is": {},
    "1 token read ahead": dict(ahead=1),
    "8 tokens read ahead": dict(ahead=8),
    "blocks of 2": dict(block=2),
    "16 channels": dict(channels=16),
    "16 channels, 3072 programs": dict(channels=16, programs=3072),
    "16 channels, blocks of 2, 128 registers": dict(
        channels=16, block=2, registers=128
    ),
    "1056 programs": dict(programs=1056),
    "1536 programs": dict(programs=1536),
    "4224 programs": dict(programs=4224),
}
LENGTHS = (16384, 1569)
MODES = ("forward", "forward + backward")


def plans(options: Options, results: Results) -> int:
    """Milliseconds of each plan; the kernels are compiled in processes side by side."""
    stored: dict[str, Any] = {}
    began = time.time()
    if options.on_gpu:
        compile_all(options)
        results.update("plans", dict(compiled_s=round(time.time() - began, 1)))
    for length in LENGTHS if options.on_gpu else (33,):
        for mode in MODES:
            if options.left() < 5:
                return 1
            stored[f"l{length} {mode}"] = plan_point(length, mode, options)
            results.update("plans", dict(points=stored))
    return 0


def compile_all(options: Options) -> None:
    """Every plan's kernels into Triton's cache; what is late is compiled when used."""
    changes = [x for x in PLANS.values() if set(x) - {"programs"} or not x]
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
        for length in LENGTHS:
            scan_call(length, "forward", options)()  # it saves no states
            scan_call(length, "forward + backward", options)()
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


def scan_call(length: int, mode: str, options: Options) -> Callable[[], object]:
    sizes = (8, length, 384, 16) if options.on_gpu else (2, length, 16, 4)
    inputs = scan_inputs(0, *sizes, options)
    return ours(inputs, mode != "forward", options, backend="triton", two=True)


def plan_point(length: int, mode: str, options: Options) -> dict[str, Any]:
    call = scan_call(length, mode, options)
    graphs: dict[str, Callable[[], object]] = {}
    off: dict[str, float] = {}
    failed: dict[str, str] = {}
    expected = None
    for name, change in PLANS.items():
        if options.left() < 4:
            failed[name] = "no time left"
            continue
        try:
            with tuned(change) if options.on_gpu else tuned({}):
                values = call()
                values = values if isinstance(values, tuple) else (values,)
                expected = values if expected is None else expected
                off[name] = most_off(values, expected)
                graphs[name] = graph_of(call, options)
        except Exception as error:  # a plan that fails is named, the others go on
            failed[name] = f"{type(error).__name__}: {error}"[:300]
    timed = time_in_turn(graphs, options, rounds=15, seconds=2.5)
    for name, values in timed.items():
        values["error"] = off[name]
    return dict(length=length, mode=mode, timed=timed, failed=failed)
