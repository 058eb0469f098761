"""Timings that can be trusted on a shared machine: interleaved, paired, quiet.

Every round runs each variant once, A B C A B C ..., so that what slows the machine down
for a while slows all of them. Ratios are formed round by round. Before a sample the
other processes' share of the machine is looked at, and waited for to fall.
"""

import argparse
import json
import multiprocessing
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mmfusion.utils.commands import command_parser, positive
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_json

ROOT = Path(__file__).resolve().parents[2]
QUIET = 0.04  # share of the machine that others may use
SAMPLE = 0.1  # seconds
_LOOK = 0.05  # seconds over which others are watched

Variants = Mapping[str, Callable[[], object]]


def bench_parser(
    doc: str | None, name: str, folder: Path = ROOT / "mmfusion" / "ops"
) -> argparse.ArgumentParser:
    """Parser with the options of every benchmark.

    Args:
        doc: of its tool. name: of its results. folder: of the README of its tables.
    """
    parser = command_parser(doc)
    add = parser.add_argument
    add("--batch", type=positive, default=1)
    add("--threads", type=positive, help="PyTorch's number if left")
    add("--rounds", type=positive, default=7, help="samples of each road")
    add("--wait", type=float, default=5.0, help="seconds for a quiet machine, a sample")
    add("--out", type=Path, default=Path(f"work_dirs/benchmarks/{name}.json"))
    add("--quick", action="store_true", help="tiny sizes, into another file")
    add(
        "--report",
        type=Path,
        nargs="?",
        const=folder,
        metavar="FOLDER",
        help="write the tables of --out into FOLDER/README.md, time nothing",
    )
    return parser


def make_quick(args: argparse.Namespace) -> None:
    """Take few samples, without waiting, into another file."""
    args.rounds, args.wait = 2, 0.0
    args.out = args.out.with_stem(f"{args.out.stem}_quick")


def load_results(path: Path) -> dict[str, Any]:
    """Results that are there, or none; with the machine of now."""
    found = _read_results(path) if path.is_file() else {"points": {}}
    return {**found, "machine": machine()}


def report(
    write: Callable[[dict[str, Any], Path], None], path: Path, folder: Path
) -> None:
    """Write the tables of the results in a file into the README of a folder.

    Raises:
        InputError: the file has no results, or those of another version.
    """
    results = _read_results(path)
    try:
        write(results, folder)
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds results of another version of this tool"
            f" ({type(error).__name__}: {error}); measure into another file (--out)"
        ) from error


def _read_results(path: Path) -> dict[str, Any]:
    found = read_json(path, error_type=InputError)
    if not isinstance(found, dict) or not isinstance(found.get("points"), dict):
        raise InputError(f"{path} holds no results: expected an object with points")
    return found


class Watch:
    """Share of the machine that other processes used since the watch was started."""

    def __init__(self) -> None:
        self._start = self._now()

    def others(self) -> float | None:
        """Share of all cores, 0 to 1; None where /proc/stat does not tell."""
        if self._start is None:
            return None
        now = self._now()
        busy, own, total = (b - a for a, b in zip(self._start, now, strict=True))
        return max(0.0, (busy - own) / total) if total else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        try:
            fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        except OSError:
            return None
        ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
        idle = ticks[3] + ticks[4]
        own = time.process_time()
        return sum(ticks) - idle, own, sum(ticks)


def interleave(
    variants: Variants,
    *,
    rounds: int,
    limit: float,
    wait: float = 5.0,
    sample: float = SAMPLE,
    sync: Callable[[], None] = lambda: None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Time variants in turn.

    Args:
        variants: name -> one call. rounds: samples of each.
        limit: seconds that one call may take; a slower one is timed once, by the call
            that warms it up.
        wait: seconds for the machine to become quiet; then a sample is taken anyway.
        sample: seconds; shorter calls are repeated.
        sync: waits for the device. tick: called after each sample.

    Returns:
        For each name: ``seconds`` (a call, one entry a round), ``calls`` in a sample,
        ``noisy`` samples, in which others used more than ``QUIET`` of the machine.
    """
    results: dict[str, dict[str, Any]] = {}
    for name, call in variants.items():
        once = _time(call, 1, sync)  # builds, caches, pages
        if once < limit:
            once = _time(call, 1, sync)
        calls = max(1, int(sample / once))
        seconds = [once] if once > limit else []
        results[name] = dict(seconds=seconds, calls=calls, noisy=0)
        tick()
    for _ in range(rounds):
        for name, call in variants.items():
            result = results[name]
            if result["seconds"] and result["seconds"][0] > limit:
                continue
            _wait_for_quiet(wait)
            watch = Watch()
            result["seconds"].append(_time(call, result["calls"], sync))
            result["noisy"] += (watch.others() or 0.0) > QUIET
            tick()
    return results


def _time(call: Callable[[], object], calls: int, sync: Callable[[], None]) -> float:
    sync()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    sync()
    return (time.perf_counter() - start) / calls


def _wait_for_quiet(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        watch = Watch()
        time.sleep(_LOOK)
        if (watch.others() or 0.0) <= QUIET:
            return


def median(result: Mapping[str, Any]) -> float:
    """Seconds of a call."""
    return statistics.median(result["seconds"])


def ratio(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> tuple[float, ...]:
    """slow / fast, pair by pair: median, least, greatest.

    A variant with fewer samples than the other is divided by the other's median.
    """
    pairs = slow["seconds"], fast["seconds"]
    if len(pairs[0]) != len(pairs[1]):
        pairs = [median(slow)], [median(fast)]
    ratios = sorted(a / b for a, b in zip(*pairs, strict=True))
    return statistics.median(ratios), ratios[0], ratios[-1]


def show(
    title: str,
    timed: Mapping[str, Mapping[str, Any]],
    floors: Mapping[str, float],
    console: Console,
) -> None:
    """Print each road of a point, against the first one and its floor, if any."""
    table = Table("road", "ms", "n", "noisy", "times the first", title=title)
    table.add_column("floor in ms (times)")
    first = next(iter(timed.values()), {})
    for name, result in timed.items():
        middle, low, high = ratio(result, first)
        floor = floors.get(name)
        table.add_row(
            name,
            f"{median(result) * 1e3:.4g}",
            str(len(result["seconds"])),
            str(result["noisy"]),
            f"{middle:.3g} ({low:.3g} to {high:.3g})",
            f"{floor * 1e3:.3g} ({median(result) / floor:.2f})" if floor else "-",
        )
    console.print(table)


def peak_memory(call: Callable[[], object]) -> int:
    """Bytes by which resident memory rises while ``call`` runs.

    For a process that has done nothing else of that size: memory that an earlier call
    left in the heap would not be seen.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    result = call()
    peak = _status("VmHWM")
    del result
    return max(0, peak - before)


def _status(key: str) -> int:
    [size] = re.findall(
        rf"^{key}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.M
    )
    return int(size) * 1024


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a module's function, called in a process that has done nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def machine() -> dict[str, Any]:
    """Facts of the machine and the software that a reader must know."""
    known = Path("/proc/cpuinfo")
    text = known.read_text() if known.is_file() else ""
    name = re.search(r"model name\s*: (.*)", text)
    import torch  # takes seconds, which who writes tables alone does not wait for

    facts = dict(
        cpu=name[1] if name else platform.processor() or platform.machine(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
        date=time.strftime("%Y-%m-%d"),
    )
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def describe(facts: Mapping[str, Any]) -> str:
    """One line."""
    gpu = f", {facts['gpu']}" if "gpu" in facts else ""
    return (
        f"{facts['cpu']}, {facts['threads']} threads on {facts['cores']} cores{gpu};"
        f" torch {facts['torch']}, Python {facts['python']}; {facts['date']}"
    )


def floor_rates(isa: str, threads: int) -> dict[str, float] | None:
    """Rates that ``floor.cpp`` measures here, in 1e9 a second; None without a compiler.

    Args:
        isa: a name of ``mmfusion.ops.cpu.build.supported_isas()``.
    """
    from mmfusion.ops.cpu.build import compiler_flags, find_compilers

    compilers = find_compilers()
    if not compilers:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "floor")
        flags = [x for x in compiler_flags(isa) if x not in ("-shared", "-fPIC")]
        source = Path(__file__).with_name("floor.cpp")
        command = [*compilers[0], *flags, str(source), "-o", str(program)]
        subprocess.run(command, check=True, capture_output=True)
        done = subprocess.run(
            [program, str(threads)], check=True, capture_output=True, text=True
        )
    return json.loads(done.stdout)


def save_json(path: Path, content: Any) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())


def write_section(path: Path, name: str, text: str) -> None:
    """Replace what stands between the two comments of that name in a Markdown file.

    Raises:
        ValueError: the file has no such section.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = path.read_text()
    if old.count(begin) != 1 or old.count(end) != 1:
        raise InputError(f"{path} needs one line {begin} and one line {end}")
    head, rest = old.split(begin)
    tail = rest.split(end)[1]
    path.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
