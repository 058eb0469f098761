"""Settle on a GPU what a CPU cannot: right, how fast, how much memory. See gpu.sh.

Each part is a process of its own with a time limit, and writes results.json and
results.md after every measurement, so that a part that fails, hangs or is cut off takes
nothing with it:

    chip      the machine; bandwidth of a copy, bf16 products, exponentials
    parity    every backend on the device against the reference; all GPU tests
    training  TinyEgo by train.py --amp; dist_train.sh, stopped and continued, bitwise
    mamba_ssm the GPU tests again, of mamba-ssm's kernels
    models    training steps of VideoMamba-Tiny, Middle and MambaVL ViT-B, their peaks
    scans     triton against mamba-ssm and against two launches with flips
    plans     triton's scan, cut into programs in several ways
    compile   VideoMamba-Tiny's training step with torch.compile and without

mamba-ssm and causal-conv1d are installed or compiled from the beginning, beside the
first parts. Three parts wait for them; those that do not fill the time.
Exit codes: 0 all parts done, 1 one failed, 2 wrong command.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_report import Results
from rich.console import Console

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Part:
    """A step of the run.

    Attributes:
        name: of the part. limit: seconds. waits: for the compiled kernels.
    """

    name: str
    limit: int
    waits: bool = False


PARTS = (
    Part("chip", 40),
    Part("parity", 150),
    Part("training", 120),
    Part("models", 125, waits=True),
    Part("scans", 80, waits=True),
    Part("plans", 110),
    Part("mamba_ssm", 75, waits=True),
    Part("compile", 110),
)
BUILD_LIMIT = 300  # seconds from the start, after which it goes without
RESERVE = {"models": 100, "scans": 70}  # seconds that earlier parts leave them
END = 3  # seconds for the last words


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--wheels", type=Path, default=ROOT / "build" / "gpu_wheels")
    add("--out", type=Path, default=ROOT / "work_dirs" / "benchmarks" / "gpu")
    add("--device", choices=("cuda", "cpu"), default="cuda")
    add("--budget", type=float, default=470.0, help="seconds for everything")
    add("--start", type=float, help="when it began, in seconds since 1970")
    add("--scratch", type=Path, required=True, help="a folder for whatever is made")
    names = [part.name for part in PARTS]
    add("--parts", nargs="+", choices=names, default=names)
    add("--run", choices=names, help=argparse.SUPPRESS)
    add("--deadline", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.start = args.start or time.time()
    return args


class Build:
    """mamba-ssm and causal-conv1d, compiled in the background."""

    def __init__(self, args: argparse.Namespace, results: Results) -> None:
        self.results = results
        self.deadline = args.start + min(BUILD_LIMIT, 0.65 * args.budget)
        self.process: subprocess.Popen | None = None
        self.began = time.time()
        if args.device == "cpu":
            self._note("skipped", "there is no GPU to compile for")
            return
        if not any(part.waits for part in PARTS if part.name in args.parts):
            return
        command = [sys.executable, str(HERE / "gpu_build.py"), str(args.wheels)]
        command += [str(args.scratch), "--log", str(args.out / "build.log")]
        self.process = subprocess.Popen(
            command, start_new_session=True, stdin=subprocess.DEVNULL
        )
        if any(args.wheels.glob("mamba_ssm-*.whl")):  # seconds, if it fits
            end = time.time() + 25
            while self.process is not None and time.time() < end:
                self.poll()
                time.sleep(0.2)

    def poll(self) -> None:
        """Note the end of the build, once it has come."""
        if self.process is None or self.process.poll() is None:
            return
        done = self.process.returncode == 0
        self.process = None
        self._note("done" if done else "failed", "see build.log")

    def wait(self) -> None:
        while self.process is not None and time.time() < self.deadline:
            self.poll()
            time.sleep(0.5)
        self.stop()

    def stop(self) -> None:
        self.poll()
        if self.process is not None:
            end_group(self.process)
            self.process = None
            self._note("cut off", f"after {time.time() - self.began:.0f} s")

    def _note(self, state: str, why: str) -> None:
        seconds = round(time.time() - self.began, 1)
        self.results.update("build", dict(state=state, why=why, seconds=seconds))


def end_group(process: subprocess.Popen) -> None:
    """End a process and all that it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=3)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def limit_of(part: Part, args: argparse.Namespace, results: Results) -> float:
    """Seconds that a part may take, which leaves time to the important ones after."""
    left = args.start + args.budget - END - time.time()
    done = results.read()
    later = [x for x in RESERVE if x in args.parts and x not in done and x != part.name]
    reserve = sum(RESERVE[name] for name in later)
    most = part.limit * (1 if args.device == "cuda" else 4)  # a CPU takes its time
    return min(most, left - reserve * min(1.0, args.budget / 470))


def run_part(part: Part, args: argparse.Namespace, results: Results) -> bool:
    """In a process of its own; whether it ended well."""
    limit, began = limit_of(part, args, results), time.time()
    if limit < 5:
        results.update(part.name, dict(state="left out: no time left"))
        return False
    command = [sys.executable, str(HERE / "gpu.py"), "--run", part.name]
    command += ["--wheels", str(args.wheels), "--out", str(args.out)]
    command += ["--device", args.device, "--scratch", str(args.scratch)]
    command += ["--deadline", str(began + limit)]
    process = subprocess.Popen(
        command, start_new_session=True, stdin=subprocess.DEVNULL
    )
    try:
        code = process.wait(timeout=limit)
        state = "done" if code == 0 else f"failed with exit code {code}"
    except subprocess.TimeoutExpired:
        code, state = -1, f"cut off after {limit:.0f} s"
    finally:
        end_group(process)  # its children too
    seconds = round(time.time() - began, 1)
    results.update(part.name, dict(state=state, seconds=seconds))
    return code == 0


def run_all(args: argparse.Namespace, console: Console) -> int:
    results = Results(args.out, fresh=True)
    build = Build(args, results)
    good = True
    todo = [part for part in PARTS if part.name in args.parts]
    try:
        while todo:
            part = todo[0]
            build.poll()
            if part.waits and build.process is not None:
                idle = [x for x in todo if not x.waits]
                if idle:
                    part = idle[0]
                else:
                    build.wait()
            todo.remove(part)
            at = time.time() - args.start
            console.print(f"[{at:.0f} s] {part.name}", markup=False)
            good &= run_part(part, args, results)
    finally:
        build.stop()
    results.update("total", dict(seconds=round(time.time() - args.start, 1)))
    console.print((args.out / "results.md").read_text(), markup=False)
    return 0 if good else 1


def run_here(args: argparse.Namespace) -> int:
    """The process of one part."""
    import gpu_parts
    import measure
    from gpu_time import Options

    results: Any = Results(args.out)
    if "chip" not in results.read():
        results.update("chip", dict(machine=measure.machine()))
    options = Options(
        args.device, args.out, args.scratch, args.deadline or time.time() + 60
    )
    return int(gpu_parts.RUN[args.run](options, results) or 0)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.run:
        return run_here(args)
    args.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=140)
    code = run_all(args, console)
    summary = json.loads((args.out / "results.json").read_text())
    states = {k: v.get("state", "") for k, v in summary.items() if "state" in v}
    console.print(states, markup=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
