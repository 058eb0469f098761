"""The part of gpu.py that times scans.

Inputs rotate over several sets, so that no cache holds them. A scan is timed twice: as
Python launches it, and replayed from a CUDA graph, which is the GPU's own time.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from gpu_report import Results
from gpu_time import Options, graph_of, missing_here, scan_of, time_in_turn
from torch import Tensor

from mmfusion.ops import ScanInputs, bidirectional_scan, selective_scan
from mmfusion.ops.backends import missing_reason

FIELDS = ("u", "delta", "A", "B", "C", "D", "delta_bias")
ROTATE = 150e6  # bytes of inputs that no L2 holds


def scans(options: Options, results: Results) -> int:
    """One direction and both, by every road, at every length."""
    points = [(1569, 384), (4096, 384), (16384, 384), (1024, 384), (8192, 384)]
    points += [(1569, 192), (4096, 192)]
    if not options.on_gpu:
        points = [(33, 16)]
    stored: dict[str, Any] = {}
    results.update("scans", dict(missing=missing_here(options)))
    for length, channels in points:
        for part, roads in (("both directions", BOTH), ("one direction", ONE)):
            for mode in ("forward", "forward + backward"):
                if options.left() < 4:
                    return 1
                key = f"{part} l{length} d{channels} {mode}"
                stored[key] = scan_point(part, roads, length, channels, mode, options)
                results.update("scans", dict(points=stored))
    return 0


def most_off(values: Sequence[Tensor], truth: Sequence[Tensor]) -> float:
    """Of y, and of the gradients where they lie as the truth's, by their maxima."""
    same = [x.shape for x in values] == [x.shape for x in truth]
    pairs = zip(values, truth, strict=True) if same else [(values[0], truth[0])]
    return max(
        float((x.float() - y.float()).abs().max() / y.float().abs().max())
        for x, y in pairs
    )


Inputs = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]  # one, two, z


def scan_point(
    part: str, roads: dict, length: int, channels: int, mode: str, options: Options
) -> dict[str, Any]:
    batch, states = (8, 16) if options.on_gpu else (2, 4)
    two = part == "both directions"
    tokens = batch * length
    inputs = tokens * (channels * (4 * (1 + two) + 2) + 4 * states * (1 + two))
    count = min(8, max(1, math.ceil(ROTATE / inputs))) if options.on_gpu else 1
    sets = [
        scan_inputs(seed, batch, length, channels, states, options)
        for seed in range(count)
    ]
    timed: dict[str, dict[str, Any]] = {}
    graphs: dict[str, Callable[[], object]] = {}
    eager: dict[str, Callable[[], object]] = {}
    failed: dict[str, str] = {}
    truth = None
    for name, (make, needed) in roads.items():
        if options.on_gpu and needed and missing_reason(needed) is not None:
            continue
        try:
            calls = [make(one, mode != "forward", options) for one in sets]
            value = calls[0]()
            values = value if isinstance(value, tuple) else (value,)
            truth = values if truth is None else truth
            timed[name] = dict(error=most_off(values, truth))
            eager[name] = graphs[name] = partial(_all, calls)
            try:
                graphs[name] = graph_of(eager[name], options)
            except Exception as error:  # its time is then that of its launches
                failed[name] = f"no graph: {type(error).__name__}: {error}"[:300]
        except Exception as error:  # a road that fails is named, the others go on
            failed[name] = f"{type(error).__name__}: {error}"[:300]
            for found in (timed, eager, graphs):
                found.pop(name, None)
    rounds = 15 if options.on_gpu else 3
    for kind, calls in (("ms", graphs), ("eager_ms", eager)):
        measured = time_in_turn(calls, options, rounds=rounds, seconds=1.5)
        for name, values in measured.items():
            timed[name][kind] = values["ms"] / count
            timed[name][f"{kind}_spread"] = [
                values["low"] / count, values["high"] / count, values["n"]
            ]  # fmt: skip
    passes = 1 if mode == "forward" else 2
    element = tokens * channels * (1 + two) * states
    moved = least_bytes(tokens, channels, states, two, mode)
    return dict(
        part=part, length=length, channels=channels, mode=mode, timed=timed,
        failed=failed, against=AGAINST[part], bytes=moved, exps=element * passes,
        sets=count,
    )  # fmt: skip


def least_bytes(tokens: int, channels: int, states: int, two: bool, mode: str) -> float:
    """bf16: u, delta, B, C of each direction and z in, y out; with a backward, all in
    again with dy, and their gradients out."""
    inputs = (1 + two) * (2 * channels + 2 * states) + channels
    total = inputs + channels
    if mode != "forward":
        total += inputs + channels + inputs
    return 2.0 * tokens * total


def scan_inputs(
    seed: int, batch: int, length: int, channels: int, states: int, options: Options
) -> Inputs:
    """Two directions and their gate, u, delta, B, C and z in bfloat16."""
    generator = torch.Generator(options.device).manual_seed(seed)

    def draw(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
        values = torch.randn(*shape, generator=generator, device=options.device)
        return values.to(dtype)

    tokens, full = (batch, length), torch.float32
    rates = torch.arange(1.0, states + 1, device=options.device).repeat(channels, 1)

    def direction() -> dict[str, Tensor]:
        """Numbers like a layer's: delta from 0.001 to 0.1 for most tokens."""
        return dict(
            u=draw(*tokens, channels),
            delta=0.5 * draw(*tokens, channels),
            A=-rates * (0.2 * draw(channels, states, dtype=full)).exp(),
            B=draw(*tokens, states),
            C=draw(*tokens, states),
            D=draw(channels, dtype=full),
            delta_bias=draw(channels, dtype=full) - 4.6,
        )

    return direction(), direction(), draw(*tokens, channels)


def _all(calls: list[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _call(
    function: Callable[..., Tensor], tensors: list[Tensor], grad: bool
) -> Callable[[], object]:
    """Forward, or forward and every gradient; the first result is y."""
    leaves = [x.detach().requires_grad_(grad) for x in tensors]
    if not grad:

        def forward() -> Tensor:
            with torch.no_grad():
                return function(*leaves)

        return forward
    with torch.no_grad():
        upstream = torch.ones_like(function(*leaves))

    def both() -> tuple[Tensor, ...]:
        y = function(*leaves)
        return y.detach(), *torch.autograd.grad(y, leaves, upstream)

    return both


def ours(
    inputs: Inputs, grad: bool, options: Options, *, backend: str, two: bool,
    flips: bool = False, full_delta: bool = False,
) -> Callable[[], object]:  # fmt: skip
    """Our backends, (b, l, d)."""
    backend = backend if options.on_gpu else "torch"
    first, second, z = inputs
    tensors = [first[k] for k in FIELDS] + ([second[k] for k in FIELDS] if two else [])
    if full_delta:  # as a layer under autocast gives it
        tensors = [x.float() if i % 7 == 1 else x for i, x in enumerate(tensors)]

    def one(x: tuple[Tensor, ...], z: Tensor) -> Tensor:
        u, delta, A, B, C, D, bias = x
        return selective_scan(
            u, delta, A, B, C, D, z, bias, delta_softplus=True, backend=backend
        )

    def run(*leaves: Tensor) -> Tensor:
        z = leaves[-1]
        if not two:
            return one(leaves[:7], z)
        if not flips:
            pair = ScanInputs(*leaves[:7]), ScanInputs(*leaves[7:14])
            return bidirectional_scan(*pair, z, delta_softplus=True, backend=backend)
        u, delta, A, B, C, D, bias = leaves[7:14]
        turned = u.flip(1), delta.flip(1), A, B.flip(1), C.flip(1), D, bias
        return one(leaves[:7], z) + one(turned, z.flip(1)).flip(1)

    return _call(run, [*tensors, z], grad)


def theirs(
    inputs: Inputs, grad: bool, options: Options, *, two: bool
) -> Callable[[], object]:
    """mamba-ssm's kernel in its layout, (b, d, l); flips of x, z and y as VideoMamba.

    delta, B and C of the second direction come from the flipped x there, so they are
    taken in the order of the scan and not flipped here.
    """
    scan = scan_of(options)

    def turned(name: str, x: Tensor, back: bool) -> Tensor:
        if name not in ("u", "delta", "B", "C"):
            return x
        x = x.flip(1) if back and name != "u" else x
        return x.transpose(1, 2).contiguous()

    first, second, z = inputs
    tensors = [turned(k, first[k], False) for k in FIELDS]
    if two:
        tensors += [turned(k, second[k], True) for k in FIELDS]

    def run(*leaves: Tensor) -> Tensor:
        u, delta, A, B, C, D, bias = leaves[:7]
        z = leaves[-1]
        y = scan(u, delta, A, B, C, D, z, bias)
        if two:
            u, delta, A, B, C, D, bias = leaves[7:14]
            y = y + scan(u.flip(-1), delta, A, B, C, D, z.flip(-1), bias).flip(-1)
        return y

    call = _call(run, [*tensors, z.transpose(1, 2).contiguous()], grad)

    def in_our_layout() -> object:
        values = call()
        if isinstance(values, tuple):
            return values[0].transpose(1, 2), *values[1:]
        return values.transpose(1, 2)  # type: ignore[attr-defined]

    return in_our_layout


AGAINST = {
    "one direction": "mamba-ssm's kernel",
    "both directions": "mamba-ssm's kernel, two launches and flips",
}
# name -> how a call is made of a set of inputs, and the backend that it needs
ONE: dict[str, tuple[Callable, str]] = {
    "triton": (partial(ours, backend="triton", two=False), "triton"),
    AGAINST["one direction"]: (partial(theirs, two=False), "mamba_ssm"),
}
BOTH: dict[str, tuple[Callable, str]] = {
    "triton, one launch": (partial(ours, backend="triton", two=True), "triton"),
    "triton, one launch, float32 delta": (
        partial(ours, backend="triton", two=True, full_delta=True), "triton",
    ),
    "triton, two launches and flips": (
        partial(ours, backend="triton", two=True, flips=True), "triton",
    ),
    AGAINST["both directions"]: (partial(theirs, two=True), "mamba_ssm"),
    "mamba_ssm, our adapter": (
        partial(ours, backend="mamba_ssm", two=True), "mamba_ssm",
    ),
}  # fmt: skip
