"""Time a whole VideoMamba, inference and training step, against the loop over tokens.

    python tools/benchmarks/model.py                   # Tiny, 8 x 224 x 224, one clip
    python tools/benchmarks/model.py --batch 8 --roads cpu "cpu, bf16"
    python tools/benchmarks/model.py --tune            # allocator and denormals
    python tools/benchmarks/model.py --arch small --batch 8 --with-cp  # less memory
    python tools/benchmarks/model.py --quick           # a nano model: does it run
    python tools/benchmarks/model.py --report          # into mmfusion/ops/README.md

MMFUSION_CPU_ISA=avx2 (and, for PyTorch's own products, MKL_ENABLE_INSTRUCTIONS=AVX2
ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2) tells what a CPU without AVX-512 would
have; such points stand beside the others.

The same weights and clips for every road; logits are compared first. A training step
is forward, cross-entropy on the CLS token, backward and AdamW (fused). Samples are
interleaved and ratios are formed pair by pair (measure.py); a step that takes over
--limit seconds is timed once. Results are kept in --out: what is there is not measured
again.
Exit codes: 0 done, 1 a road gives other logits, 2 wrong command.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from measure import (
    SAMPLE,
    bench_parser,
    describe,
    floor_rates,
    in_fresh_process,
    interleave,
    load_results,
    machine,
    make_quick,
    markdown_table,
    median,
    peak_memory,
    ratio,
    report,
    save_json,
    show,
    write_section,
)
from rich.console import Console
from rich.progress import Progress
from scan_report import floor_seconds
from torch import Tensor, nn

from mmfusion.models import VideoMamba
from mmfusion.ops import available_backends, scan_backend
from mmfusion.ops.cpu import library
from mmfusion.utils.allocator import tune_cpu_allocator
from mmfusion.utils.commands import errors_in_one_line, positive
from mmfusion.utils.faster_dtype import faster_dtype

MODES = ("inference", "training step")
ROADS = ("cpu", "cpu, bf16", "torch", "reference")  # backend, autocast
CLASSES = 400
TOLERANCE = {"bf16": 0.1, "": 1e-4}  # of the largest logit
SECTION = "model benchmark"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = bench_parser(__doc__, "model")
    add = parser.add_argument
    add("--arch", default="tiny", help="of VideoMamba")
    add("--frames", type=positive, default=8)
    add("--size", type=positive, default=224, help="pixels")
    add("--modes", nargs="+", choices=MODES, default=MODES)
    add("--roads", nargs="+", choices=ROADS, help="all, bf16 only where it is faster")
    add("--tune", action="store_true", help="keep freed memory, flush denormals to 0")
    add("--with-cp", action="store_true", help="recompute blocks in the backward")
    add("--limit", type=float, default=2.0, help="seconds; slower steps are timed once")
    add("--no-memory", action="store_true", help="leave the peaks out")
    args = parser.parse_args(argv)
    if args.roads is None and not args.report:
        bf16 = faster_dtype("cpu")
        args.roads = [x for x in ROADS if bf16.bfloat16 or not x.endswith("bf16")]
        sys.stderr.write(f"--amp would take {bf16.name}: {bf16.reason}\n")
    if args.quick:
        args.arch, args.frames, args.size = "nano", 2, 32
        make_quick(args)
    return args


class Classifier(nn.Module):
    """VideoMamba and a linear head on its CLS token."""

    def __init__(
        self, arch: str, frames: int, size: int, *, with_cp: bool = False
    ) -> None:
        super().__init__()
        self.backbone = VideoMamba(
            arch, num_frames=frames, img_size=size, with_cp=with_cp
        )
        self.head = nn.Linear(self.backbone.embed_dims, CLASSES)

    def forward(self, clips: Tensor) -> Tensor:
        """(b, 3, t, h, w) -> logits (b, CLASSES)."""
        return self.head(self.backbone(clips).cls)


class Work:
    """The model, its optimizer and its clips; what a step is by each road."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.model = Classifier(args.arch, args.frames, args.size, with_cp=args.with_cp)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)
        shape = (args.batch, 3, args.frames, args.size, args.size)
        self.clips = torch.randn(shape)
        self.target = torch.arange(args.batch) % CLASSES

    def logits(self, road: str) -> Tensor:
        backend, _, dtype = road.partition(", ")
        with ExitStack() as stack:
            stack.enter_context(scan_backend(backend))
            if dtype:
                stack.enter_context(torch.autocast("cpu", torch.bfloat16))
            return self.model(self.clips)

    def inference(self, road: str) -> Tensor:
        with torch.no_grad():
            return self.logits(road)

    def training_step(self, road: str) -> None:
        loss = F.cross_entropy(self.logits(road).float(), self.target)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def call(self, road: str, mode: str) -> Callable[[], object]:
        run = self.inference if mode == "inference" else self.training_step
        return partial(run, road)


def right_roads(work: Work, wanted: Sequence[str]) -> dict[str, float]:
    """Each road's largest difference from ``torch``'s logits, of their maximum.

    Raises:
        SystemExit: one is over its tolerance.
    """
    expected = work.inference("torch")
    found = {}
    for road in wanted:
        if road.split(",")[0] not in available_backends():
            continue
        off = (work.inference(road).float() - expected).abs().max()
        found[road] = float(off / expected.abs().max())
        if not found[road] <= TOLERANCE[road.partition(", ")[2]]:
            raise SystemExit(
                f"{road}: logits are off by {found[road]:.1e} of their max"
            )
    return found


def matmul_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """Multiply-adds a second of a large product, by the faster of the libraries."""
    x = torch.randn(size, size).to(dtype)
    roads = [lambda: x @ x]
    if dtype == torch.float32 and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        by_onednn = torch.ops.mkldnn._linear_pointwise
        roads.append(lambda: by_onednn(x, x, None, "none", [], None))
    seconds = []
    for road in roads * 6:
        start = time.perf_counter()
        road()
        seconds.append(time.perf_counter() - start)
    return size**3 / min(seconds)


def floor_of(
    model: Classifier, args: argparse.Namespace, rates: dict[str, float], matmul: float
) -> dict[str, float]:
    """Least seconds of both modes, with its parts, at the rates measured here.

    Products at the rate of a large one (three times in training); scans as in
    scan_report; bytes of convolutions, norms and sums at the rate of copies, AdamW's
    at that of main memory.
    """
    backbone = model.backbone
    tokens = args.batch * (backbone.pos_embed.shape[1] - 1) * args.frames + args.batch
    products = [x for x in backbone.layers.modules() if isinstance(x, nn.Linear)]
    macs = sum(x.weight.numel() for x in products)
    patches = backbone.patch_embed.proj.weight.numel() * tokens
    mixer = backbone.layers[0].mixer
    point = dict(
        part="scan",
        device="cpu",
        batch=args.batch,
        length=tokens // args.batch,
        channels=mixer.d_inner,
        states=mixer.d_state,
    )
    depth = backbone.depth
    floor = {}
    for mode, passes, scan_mode in (
        ("inference", 1, "forward"),
        ("training step", 3, "forward + backward"),
    ):
        scan = floor_seconds(dict(point, mode=scan_mode), rates)
        streams = (4 * mixer.d_inner + 4 * backbone.embed_dims) * tokens * depth
        moved = 4 * streams * (1 if passes == 1 else 2.5) / rates["copy_10mb_gb"] * 1e-9
        if passes == 3:  # AdamW reads and writes: p, g, m, v; p, m, v
            parameters = sum(p.numel() for p in model.parameters())
            moved += 7 * 4 * parameters / rates["copy_512mb_gb"] * 1e-9
        product = passes * (macs * tokens + patches) / matmul
        floor[f"{mode}: products"] = product
        floor[f"{mode}: scans"] = 2 * depth * scan
        floor[f"{mode}: bytes"] = moved
        floor[mode] = product + 2 * depth * scan + moved
    return floor


def measure_all(args: argparse.Namespace, console: Console) -> None:
    results = load_results(args.out)
    work = Work(args)
    off = right_roads(work, args.roads)
    said = ", ".join(f"{road} {error:.1e}" for road, error in off.items())
    console.print(f"logits against torch's: {said}")
    names = ("arch", "frames", "size", "batch", "tune", "with_cp")
    shape = {name: vars(args)[name] for name in names} | dict(isa=forced_isa())
    with Progress(console=console, transient=True) as progress:
        for mode in args.modes:
            key = key_of(args, mode)
            point = results["points"].setdefault(
                key, dict(shape, mode=mode, timed={}, peaks={}, off=off)
            )
            missing = [road for road in off if road not in point["timed"]]
            task = progress.add_task(key, total=len(missing) * (1 + args.rounds))
            point["timed"] |= interleave(
                {road: work.call(road, mode) for road in missing},
                rounds=args.rounds,
                limit=args.limit,
                wait=args.wait,
                sample=0.0 if args.quick else SAMPLE,
                tick=lambda task=task: progress.advance(task),
            )
            point["floor"] = floors(work, args, results)
            save_json(args.out, results)
            floors_ = {x: floor_for(point, x) for x in off} if point["floor"] else {}
            show(key, point["timed"], floors_, console)
        if not args.no_memory:
            add_peaks(args, results, progress, list(off))
            save_json(args.out, results)


def floors(
    work: Work, args: argparse.Namespace, results: dict[str, Any]
) -> dict[str, dict[str, float]] | None:
    """The floor with float32 and with bfloat16 products; None without a compiler."""
    if args.quick or "cpu" not in available_backends():
        return None
    isa = library.instruction_set()
    rates = results.setdefault("rates", {}).setdefault(isa, {})
    if not rates:
        rates.update(floor_rates(isa, torch.get_num_threads()))
    dtypes = [torch.float32]
    if any(road.endswith("bf16") for road in args.roads):  # minutes, where it is slow
        dtypes.append(torch.bfloat16)
    for dtype in dtypes:
        if str(dtype) not in rates:
            rates[str(dtype)] = matmul_rate(dtype)
    return {str(x): floor_of(work.model, args, rates, rates[str(x)]) for x in dtypes}


def key_of(args: argparse.Namespace, mode: str) -> str:
    """Name of a point in the results."""
    words = [f"{args.arch} {args.frames}x{args.size} b{args.batch} {mode}"]
    return " ".join([*words, *said(dict(vars(args), isa=forced_isa()))])


def said(point: dict[str, Any]) -> list[str]:
    """Words for what a point has beside its mode."""
    words = {"tuned": point["tune"], "with_cp": point["with_cp"], point["isa"]: True}
    return [word for word, holds in words.items() if word and holds]


def forced_isa() -> str:
    """The instruction set that the environment asks for; empty for the best one."""
    return os.environ.get("MMFUSION_CPU_ISA", "")


def add_peaks(
    args: argparse.Namespace, results: dict[str, Any], progress: Progress, roads_: list
) -> None:
    for mode in args.modes:
        peaks = results["points"][key_of(args, mode)]["peaks"]
        for road in progress.track(roads_, description=f"memory, {mode}"):
            if road not in peaks:
                peaks[road] = in_fresh_process(peak_of, args, road, mode)


def peak_of(args: argparse.Namespace, road: str, mode: str) -> dict[str, int]:
    """In a fresh process: bytes of one step beyond the model and its clips.

    ``saved`` is what autograd keeps from the forward for the backward, each storage
    once; the peak has the gradients and AdamW's moments beside it.
    """
    tune(args)
    work = Work(args)
    own = {
        x.untyped_storage().data_ptr() for x in [*work.model.parameters(), work.clips]
    }
    saved: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        peak = peak_memory(work.call(road, mode))
    return dict(peak=peak, saved=sum(saved.values()))


def tune(args: argparse.Namespace) -> None:
    if args.tune:
        tune_cpu_allocator()
        torch.set_flush_denormal(True)


def floor_for(point: dict[str, Any], road: str) -> float:
    dtype = "torch.bfloat16" if road.endswith("bf16") else "torch.float32"
    return point["floor"][dtype][point["mode"]]


def write_report(results: dict[str, Any], folder: Path) -> None:
    """Fill the section of the folder's README."""
    rows = []
    for point in results["points"].values():
        for road, timed in point["timed"].items():
            against = "-"
            if "reference" in point["timed"]:
                against = f"{ratio(point['timed']['reference'], timed)[0]:.3g}"
            floor = "-"
            spent = median(timed) * 1e3
            if point["floor"]:
                least = floor_for(point, road)
                floor = f"{least * 1e3:.0f} ({spent / least / 1e3:.2f})"
            rows.append(
                [
                    f"{point['arch']}, {point['frames']} x {point['size']}",
                    str(point["batch"]),
                    ", ".join([point["mode"], *said(point)]),
                    road,
                    f"{spent:.0f}",
                    f"{spent / point['batch']:.0f}",
                    str(len(timed["seconds"])),
                    against,
                    floor,
                    memory_cell(point["peaks"].get(road)),
                ]
            )
    header = "model, batch, step, road, ms, ms a clip, n, times faster than the loop"
    header += ", floor in ms (times), peak MB (times what is saved)"
    text = (
        f"{describe(results['machine'])}\n\n{markdown_table(header.split(', '), rows)}"
    )
    write_section(folder / "README.md", SECTION, text)


def memory_cell(found: dict[str, int] | None) -> str:
    """The peak in MB, and in brackets its multiple of what a backward needs."""
    if found is None:
        return "-"
    times = f" ({found['peak'] / found['saved']:.2f})" if found["saved"] else ""
    return f"{found['peak'] / 1e6:.0f}{times}"


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.report:
        report(write_report, args.out, args.report)
        return 0
    tune(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    console = Console()
    console.print(describe(machine()))
    measure_all(args, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
