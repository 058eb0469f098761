"""Time the scans against what a user would take instead, and draw it.

    python tools/benchmarks/scan.py             # minutes; continues where it stopped
    python tools/benchmarks/scan.py --quick     # some minutes: does it run at all
    python tools/benchmarks/scan.py --parts scan --lengths 256 1024 1569 --batch 8
    python tools/benchmarks/scan.py --report              # into mmfusion/ops/README.md

A rival that is not installed is left out, with the reason; all of them, ggml by the
libraries in pywhispercpp's wheel (MMFUSION_GGML names the folder of another build):

    pip install transformers mambapy && pip install --no-deps pywhispercpp

Every road is proved right first, on the same numbers in float64; one that is wrong is
named and left out. Then samples are interleaved (measure.py) and ratios are formed pair
by pair. Results are kept in --out point by point: what is there is not measured again.
Whether a call takes over --skip seconds is told by the next shorter length in --out.
Exit codes: 0 done, 1 a backend of mmfusion is wrong, 2 wrong command.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from measure import (
    SAMPLE,
    Variants,
    bench_parser,
    describe,
    floor_rates,
    in_fresh_process,
    interleave,
    load_results,
    machine,
    make_quick,
    median,
    peak_memory,
    report,
    save_json,
    show,
)
from rich.console import Console
from rich.progress import Progress
from rivals import (
    Inputs,
    Road,
    errors,
    forward,
    forward_backward,
    make_inputs,
    roads,
    truth_of,
    versions,
)
from scan_report import floor_seconds, write_report
from torch import Tensor

from mmfusion.ops import ScanInputs, bidirectional_scan, causal_conv1d, selective_scan
from mmfusion.ops.backends import missing_reason
from mmfusion.ops.cpu import library
from mmfusion.utils.commands import errors_in_one_line, positive

LENGTHS = (64, 256, 1024, 1569, 4096, 16384)
MODES = ("forward", "forward + backward")
TOLERANCES = (1e-5, 1e-4)  # y and gradients against float64; rivals have ten times


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = bench_parser(__doc__, "scan")
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    add("--lengths", nargs="+", type=positive, default=LENGTHS, help="tokens")
    add("--channels", type=positive, default=384, help="384 is VideoMamba-Tiny's")
    add("--states", type=positive, default=16)
    add("--device", default="cpu", help="cpu or cuda")
    add("--limit", type=float, default=1.5, help="seconds; slower calls are timed once")
    add("--skip", type=float, default=6.0, help="seconds; slower calls are left out")
    args = parser.parse_args(argv)
    if args.quick:
        if args.lengths == LENGTHS:
            args.lengths = (33, 70)
        args.channels, args.states = 24, 4
        make_quick(args)
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no CUDA device here")
    return args


class Bench:
    """Runs points that the results do not have yet."""

    def __init__(self, args: argparse.Namespace, progress: Progress) -> None:
        self.args = args
        self.progress = progress
        self.results = load_results(args.out)

    def save(self) -> None:
        save_json(self.args.out, self.results)

    def key(self, part: str, length: int, mode: str) -> str:
        args = self.args
        shape = f"b{args.batch} l{length} d{args.channels} n{args.states}"
        return f"{args.device} {part} {shape} {mode}"

    def facts(self, part: str, length: int, mode: str) -> dict[str, Any]:
        """Facts that every point bears beside its figures."""
        names = ("device", "batch", "channels", "states")
        sizes = {name: vars(self.args)[name] for name in names}
        return dict(sizes, part=part, length=length, mode=mode)

    def point(self, part: str, length: int, mode: str, variants: Variants) -> None:
        """Time variants in turn and keep the samples."""
        key = self.key(part, length, mode)
        if key in self.results["points"] or not variants:
            return
        task = self.progress.add_task(key, total=len(variants) * (1 + self.args.rounds))
        timed = interleave(
            variants,
            rounds=self.args.rounds,
            limit=self.args.limit,
            wait=self.args.wait,
            sample=0.0 if self.args.quick else SAMPLE,
            sync=torch.cuda.synchronize if self.args.device == "cuda" else lambda: None,
            tick=lambda: self.progress.advance(task),
        )
        self.progress.remove_task(task)
        facts = self.facts(part, length, mode)
        self.results["points"][key] = dict(facts, timed=timed)
        self.save()

    def slow(self, part: str, length: int, mode: str, name: str) -> bool:
        """Tell by the next shorter length whether a road would take too long."""
        shorter = [
            point
            for point in self.results["points"].values()
            if (point["part"], point["mode"]) == (part, mode)
            and point["length"] < length
            and point["batch"] == self.args.batch
            and point["channels"] == self.args.channels
        ]
        if not shorter:
            return False
        last = max(shorter, key=lambda point: point["length"])
        if name not in last["timed"]:
            return True
        seconds = median(last["timed"][name])
        return seconds * length / last["length"] > self.args.skip

    def chosen(self, found: Sequence[Road], length: int, mode: str) -> list[Road]:
        """Roads that have this mode and do not take too long."""
        return [
            road
            for road in found
            if (road.backward or mode == MODES[0])
            and not self.slow("scan", length, mode, road.name)
        ]


def scan(bench: Bench, found: Sequence[Road]) -> None:
    """One direction, every road, at every length."""
    for length in sorted(bench.args.lengths):
        inputs = _inputs(bench.args, length)
        right = right_roads(found, inputs, backward=False)
        for mode in MODES:
            chosen = bench.chosen(right, length, mode)
            bench.point("scan", length, mode, variants_of(chosen, inputs, mode))


def variants_of(found: Sequence[Road], inputs: Inputs, mode: str) -> Variants:
    variants = {}
    for road in found:
        leaves = road.prepare(inputs)
        if mode == "forward":
            variants[road.name] = partial(forward, road, leaves)
        else:
            grad = road.transposed("y", torch.ones_like(inputs["u"])).contiguous()
            variants[road.name] = partial(forward_backward, road, leaves, grad)
    return variants


def bidirectional(bench: Bench, found: Sequence[Road]) -> None:
    """Both directions in one call against two calls with flips."""
    names = [road.name for road in found if road.name in ("cpu", "torch", "triton")]
    for length in bench.args.lengths:
        one, two = _inputs(bench.args, length, 0), _inputs(bench.args, length, 1)
        calls: dict[str, tuple[Callable[..., Tensor], list[Tensor]]] = {}
        z = one.pop("z")
        two.pop("z")
        tensors = [*one.values(), *two.values(), z]
        for name in names:
            calls[f"{name}, one call"] = (partial(_both, name), tensors)
            calls[f"{name}, two calls and flips"] = (partial(_flips, name), tensors)
        if bench.args.device == "cuda" and missing_reason("mamba_ssm") is None:
            calls["mamba-ssm's kernel, two calls and flips"] = (
                partial(_flips, "mamba_ssm"),
                tensors,
            )
        time_calls(bench, "bidirectional", length, calls)


def _both(backend: str, *tensors: Tensor) -> Tensor:
    one, two, z = ScanInputs(*tensors[:7]), ScanInputs(*tensors[7:14]), tensors[14]
    return bidirectional_scan(one, two, z, True, backend)


def _flips(backend: str, *tensors: Tensor) -> Tensor:
    one, two, z = ScanInputs(*tensors[:7]), ScanInputs(*tensors[7:14]), tensors[14]
    y = _one(backend, one, z)
    u, delta, A, B, C, D, delta_bias = two
    turned = (u.flip(1), delta.flip(1), A, B.flip(1), C.flip(1), D, delta_bias)
    return y + _one(backend, ScanInputs(*turned), z.flip(1)).flip(1)


def _one(backend: str, x: ScanInputs, z: Tensor) -> Tensor:
    return selective_scan(**x._asdict(), z=z, delta_softplus=True, backend=backend)


def conv(bench: Bench, found: Sequence[Road]) -> None:
    """The causal convolution with SiLU against PyTorch's, in either layout."""
    names = [road.name for road in found if road.name in ("cpu", "triton")]
    for length in bench.args.lengths:
        inputs = _inputs(bench.args, length)
        weight = 0.5 * torch.randn(bench.args.channels, 4, device=bench.args.device)
        tensors = [inputs["u"], weight, inputs["D"]]
        turned = [inputs["u"].transpose(1, 2).contiguous(), weight, inputs["D"]]
        calls = {
            name: (partial(causal_conv1d, activation="silu", backend=name), tensors)
            for name in names
        }
        calls["F.conv1d, (b, l, d)"] = (_conv_channel_last, tensors)
        calls["F.conv1d, (b, d, l)"] = (_conv_channel_first, turned)
        time_calls(bench, "conv", length, calls)


def _conv_channel_first(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    y = F.conv1d(x, weight.unsqueeze(1), bias, padding=3, groups=x.shape[1])
    return F.silu(y[..., : x.shape[-1]])


def _conv_channel_last(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return _conv_channel_first(x.transpose(1, 2), weight, bias).transpose(1, 2)


def mixer(bench: Bench, found: Sequence[Road]) -> None:
    """A whole Mamba layer in one direction against Hugging Face's, the same weights."""
    try:
        from transformers import MambaConfig
        from transformers.models.mamba.modeling_mamba import MambaMixer as Theirs
    except ImportError:
        return
    from mmfusion.models.layers import MambaMixer

    width, states = bench.args.channels // 2, bench.args.states
    ours = MambaMixer(width, d_state=states).to(bench.args.device)
    config = MambaConfig(
        hidden_size=width, state_size=states, time_step_rank=ours.dt_rank
    )
    theirs = Theirs(config, layer_idx=0).to(bench.args.device)
    theirs.load_state_dict(ours.state_dict())
    for length in bench.args.lengths:
        x = torch.randn(bench.args.batch, length, width, device=bench.args.device)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
        for mode in MODES:
            name = "Hugging Face's MambaMixer"
            variants = {"MambaMixer": _layer_call(ours, x, mode)}
            if not bench.slow("mixer", length, mode, name):
                variants[name] = _layer_call(theirs, x, mode)
            bench.point("mixer", length, mode, variants)


def _layer_call(layer: torch.nn.Module, x: Tensor, mode: str) -> Callable[[], object]:
    parameters = list(layer.parameters())

    def run() -> object:
        with torch.set_grad_enabled(mode != "forward"):
            y = layer(x)
        return y if mode == "forward" else torch.autograd.grad(y.sum(), parameters)

    return run


def time_calls(
    bench: Bench,
    part: str,
    length: int,
    calls: dict[str, tuple[Callable[..., Tensor], list[Tensor]]],
) -> None:
    """Time functions of tensors in both modes, after a look at their agreement."""
    first: Tensor | None = None
    for name, (call, tensors) in calls.items():
        with torch.no_grad():
            y = call(*tensors)
        if first is None:
            first = y
        elif y.shape != first.shape:
            y = y.transpose(1, 2)
        error = float((y - first).abs().max() / first.abs().max())
        if error > TOLERANCES[1]:
            raise SystemExit(f"{part}: {name} is off by {error:.1e} at l={length}")
    for mode in MODES:
        variants = {
            name: partial(_run_call, call, tensors, mode)
            for name, (call, tensors) in calls.items()
            if not bench.slow(part, length, mode, name)
        }
        bench.point(part, length, mode, variants)


def _run_call(call: Callable[..., Tensor], tensors: list[Tensor], mode: str) -> object:
    if mode == "forward":
        with torch.no_grad():
            return call(*tensors)
    leaves = [x.detach().requires_grad_() for x in tensors]
    y = call(*leaves)
    return torch.autograd.grad(y, leaves, torch.ones_like(y))


def memory(bench: Bench, found: Sequence[Road]) -> None:
    """Peak memory of one call in a process of its own, for every road."""
    for length in bench.args.lengths:
        for mode in MODES:
            point = bench.results["points"].setdefault(
                bench.key("memory", length, mode),
                dict(bench.facts("memory", length, mode), peaks={}),
            )
            for road in bench.chosen(found, length, mode):
                if road.name not in point["peaks"]:
                    point["peaks"][road.name] = in_fresh_process(
                        peak_of, bench.args, road.name, mode, length
                    )
                    bench.save()


def peak_of(
    args: argparse.Namespace, name: str, mode: str, length: int
) -> dict[str, int]:
    """In a fresh process: bytes that a call takes, its results among them."""
    [road] = [road for road in roads(args.device)[0] if road.name == name]
    for once in (make_inputs(3, channels=16), _inputs(args, length)):
        leaves = road.prepare({k: x.to(args.device) for k, x in once.items()})
        grad = road.transposed("y", torch.ones_like(once["u"])).contiguous()
        call = partial(forward, road, leaves)
        if mode != MODES[0]:
            call = partial(forward_backward, road, leaves, grad)
        if once["u"].shape[1] == 3:
            call()  # what is loaded and built once is not the call's
    del once
    inputs = sum(x.nbytes for x in leaves.values())
    results = leaves["u"].nbytes + (inputs + grad.nbytes) * (mode != MODES[0])
    if args.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        extra = torch.cuda.max_memory_allocated() - before
    else:
        extra = peak_memory(call)
    return dict(extra=extra, inputs_and_outputs=inputs + results)


PARTS: dict[str, Callable[[Bench, Sequence[Road]], None]] = {
    "scan": scan,
    "bidirectional": bidirectional,
    "conv": conv,
    "mixer": mixer,
    "memory": memory,
}


def _inputs(args: argparse.Namespace, length: int, seed: int = 0) -> Inputs:
    return make_inputs(
        length,
        batch=args.batch,
        channels=args.channels,
        states=args.states,
        seed=seed,
        device=args.device,
    )


def right_roads(found: Sequence[Road], inputs: Inputs, *, backward: bool) -> list[Road]:
    """Those within the tolerances.

    Raises:
        SystemExit: one of mmfusion's own is not.
    """
    truth = truth_of(inputs, backward=backward)
    right = []
    for road in found:
        factor = 1 if road.ours else 10
        off = errors(road, inputs, truth)
        wrong = {
            name: error
            for name, error in off.items()
            if not error <= factor * TOLERANCES[name != "y"]
        }
        if not wrong:
            right.append(road)
            continue
        text = ", ".join(f"{name} by {error:.1e}" for name, error in wrong.items())
        length = inputs["u"].shape[1]
        message = f"{road.name} is off at l={length}: {text} of the maximum"
        if road.ours:
            raise SystemExit(message)
        print(f"left out: {message}", file=sys.stderr)
    return right


def show_points(results: dict[str, Any], keys: Sequence[str], console: Console) -> None:
    for key in keys:
        point = results["points"].get(key, {})
        if "timed" in point:
            floor = floor_seconds(point, results.get("floor"))
            floors = dict.fromkeys(point["timed"], floor) if floor else {}
            show(key, point["timed"], floors, console)


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.report:
        report(write_report, args.out, args.report)
        return 0
    console = Console()
    console.print(describe(machine()))
    found, absent = roads(args.device)
    for name, reason in absent.items():
        console.print(f"{name} is not measured: {reason}", markup=False)
    found = right_roads(
        found, make_inputs(100, channels=24, device=args.device), backward=True
    )
    console.print(
        "right on 100 tokens, y and gradients: "
        + ", ".join(x.name + " (y)" * (not x.backward) for x in found)
    )
    with Progress(console=console, transient=True) as progress:
        bench = Bench(args, progress)
        bench.results["versions"] = versions(args.device)
        on_cpu = args.device == "cpu" and "cpu" not in absent
        if on_cpu and "floor" not in bench.results:
            bench.results["floor"] = floor_rates(
                library.instruction_set(), torch.get_num_threads()
            )
        before = set(bench.results["points"])
        for part in args.parts:
            PARTS[part](bench, found)
        bench.save()
    new = [key for key in bench.results["points"] if key not in before]
    show_points(bench.results, new, console)
    console.print(f"{len(new)} new points, {len(before)} from before: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
