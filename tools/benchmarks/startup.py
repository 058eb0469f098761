"""Seconds until mmfusion does something: an import, the first steps, the first label.

    python tools/benchmarks/startup.py
    python tools/benchmarks/startup.py --data data/tinyego --model RUN --video clip.mp4
    python tools/benchmarks/startup.py --against OTHER   # another checkout, in pairs

Each sample is a process of its own, which is ended once it has come so far: ``import
mmfusion``; ``import torch`` and MMEngine's runner, under which no training can be;
steps 1 and 20 of tools/train.py CONFIG; and, with --model, the first label of an
Inferencer. Prints medians of --rounds samples: seconds, and seconds of CPU of the
process itself, which depend less on what else the machine does.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from measure import ROOT, describe, machine, markdown_table

from mmfusion.utils.commands import command_parser, errors_in_one_line, positive
from mmfusion.utils.errors import InputError

CONFIG = "configs/demo/skeleton_mamba_nano_tinyego.py"
LABEL = """
import sys
from mmfusion.apis import Inferencer
infer = Inferencer(sys.argv[1])
infer(sys.argv[2])
"""
DONE = "print('done', flush=True)"


class Start(NamedTuple):
    """A command, and the lines of its output that are waited for."""

    arguments: list[str]  # of Python
    marks: dict[str, str]  # name -> pattern, in the order in which they come


class Sample(NamedTuple):
    """Seconds from the start of a process to a line, and its CPU until then."""

    wall: float
    cpu: float


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--config", default=CONFIG, help="what is trained; relative to a checkout")
    add("--data", type=Path, help="its data_root; that of the config if left")
    add("--model", type=Path, help="a run, for the first label")
    add("--video", type=Path, help="the video that gets it")
    add("--against", type=Path, help="another checkout, timed in turn with this one")
    add("--rounds", type=positive, default=5)
    args = parser.parse_args(argv)
    if (args.model is None) != (args.video is None):
        raise InputError("--model and --video go together; expected both or neither")
    return args


def starts(args: argparse.Namespace, folder: Path) -> list[Start]:
    """Everything that is timed; ``folder`` is free for a run."""
    runner = "import torch, mmengine.runner"
    found = [
        Start(["-c", f"import mmfusion; {DONE}"], {"import mmfusion": "done"}),
        Start(["-c", f"import mmfusion, {runner[7:]}; {DONE}"], {runner: "done"}),
    ]
    options = ["default_hooks.logger.interval=1", "log_level=INFO"]
    if args.data is not None:
        root = args.data.resolve()
        options += [
            f"{x}_dataloader.dataset.data_root={root}" for x in ("train", "val")
        ]
    train = ["tools/train.py", args.config, "--work-dir", str(folder)]
    steps = {f"train.py, step {n}": rf"\[1\]\[ *{n}/" for n in (1, 20)}
    found.append(Start([*train, "--cfg-options", *options], steps))
    if args.model is not None:
        files = [str(path.resolve()) for path in (args.model, args.video)]
        found.append(
            Start(["-c", LABEL + DONE, *files], {"Inferencer, first label": "^done"})
        )
    return found


def sample(start: Start, checkout: Path) -> dict[str, Sample]:
    """Run a command until its last mark; a sample of each.

    Raises:
        InputError: it ended before, with the end of what it said.
    """
    environment = dict(os.environ, PYTHONPATH=str(checkout), PYTHONUNBUFFERED="1")
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *start.arguments],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    found: dict[str, Sample] = {}
    said: list[str] = []
    try:
        for name in marked(start.marks, process.stdout, said):
            found[name] = Sample(time.perf_counter() - begin, cpu_of(process.pid))
        if len(found) < len(start.marks):
            raise InputError(f"{start.arguments[:3]} ended:\n{''.join(said[-8:])}")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
    return found


def marked(
    marks: dict[str, str], lines: Iterator[str], said: list[str]
) -> Iterator[str]:
    """Each mark as its line comes; ends after the last, ``said`` gets all lines."""
    waiting = dict(marks)
    for line in lines:
        said.append(line)
        for name in [x for x, pattern in waiting.items() if re.search(pattern, line)]:
            del waiting[name]
            yield name
        if not waiting:
            return


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, without its children's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(args: argparse.Namespace) -> dict[str, dict[str, list[Sample]]]:
    """Samples of each name, by checkout, in turn."""
    checkouts = {"this": ROOT}
    if args.against is not None:
        checkouts["other"] = args.against.resolve()
    found: dict[str, dict[str, list[Sample]]] = {}
    for _ in range(args.rounds):
        for place in range(len(starts(args, ROOT))):
            for name, checkout in checkouts.items():
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    start = starts(args, Path(folder, "run"))[place]
                    for mark, taken in sample(start, checkout).items():
                        found.setdefault(mark, {}).setdefault(name, []).append(taken)
    return found


def table(found: dict[str, dict[str, list[Sample]]]) -> str:
    """Medians, and the other checkout's ratio, pair by pair."""
    header = ["until", "s", "s of CPU", "n"]
    two = any("other" in taken for taken in found.values())
    header += ["other: s", "s of CPU", "CPU, times this"] if two else []
    rows = []
    for mark, taken in found.items():
        own = taken["this"]
        row = [mark, *_medians(own), str(len(own))]
        if two:
            pairs = zip(taken["other"], own, strict=True)
            ratio = statistics.median(other.cpu / this.cpu for other, this in pairs)
            row += [*_medians(taken["other"]), f"{ratio:.2f}"]
        rows.append(row)
    return markdown_table(header, rows)


def _medians(samples: Sequence[Sample]) -> list[str]:
    columns = zip(*samples, strict=True)
    return [f"{statistics.median(column):.2f}" for column in columns]


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    found = measure(args)
    print(describe(machine()))
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
