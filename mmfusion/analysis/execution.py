"""Runs of a table: commands in child processes, their output in log files."""

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mmfusion.analysis.experiments import Run
from mmfusion.engine.runner.work_dir import read_finished
from mmfusion.utils.errors import MMFusionError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_json
from mmfusion.utils.warm_start import WarmCommand, can_start

LOG = "table.log"
SECONDS = "seconds.json"  # that the commands of a run took, by the tool's name
_EPOCH = re.compile(r"Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]")
# what train.py and test.py import, and what they load on the way
_IMPORTED = [
    "mmfusion.engine",
    "mmfusion.models",
    "mmfusion.datasets",
    "mmfusion.evaluation",
    "mmfusion.engine.launch.start",
    "mmfusion.engine.hooks.graceful_stop_hook",
    "mmfusion.engine.runner.distributed",
    "mmaction.datasets.transforms",
    "mmaction.models",
    "mmaction.evaluation",
    "mmfusion.hands",
    "mmfusion.visualization",
    "torch._dynamo",
    "torch.utils.cpp_extension",
    "setuptools",
    "distutils.dir_util",
    "matplotlib.pyplot",
]
_TRAINING = 0.95  # share of a run's time; a bar only needs a guess

# (command, log file, called with the text that the log gained) -> exit code
RunCommand = Callable[[list[str], Path, Callable[[str], None]], int]
# (run, share of it that is done, seconds at the end or None if it had been complete)
Tell = Callable[[Run, float, float | None], None]


class RunFailed(MMFusionError):
    """A command of a run ended with an error; its exit code is the command's."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Stop:
    """Request that the runs end: their commands save and exit."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal: int | None = None

    def failure(self) -> RunFailed:
        """Error that a stopped run raises."""
        code = 1 if self.signal is None else 128 + self.signal
        return RunFailed("stopped; the same command continues", code)


def run_all(
    runs: Sequence[Run],
    run_command: RunCommand,
    tell: Tell,
    *,
    jobs: int = 1,
    stop: Stop | None = None,
) -> None:
    """Do what is left of all runs, ``jobs`` at a time, each after its stage 1.

    Args:
        runs: in an order in which each follows what it needs.
        run_command: starts a command; :func:`run_logged`, or a stand-in in tests.
        tell: is told of progress, from several threads.
        jobs: runs at a time.
        stop: set when one fails, so that the others save and end.

    Raises:
        RunFailed: the first failure.
    """
    stop = stop or Stop()
    planning = threading.Lock()  # reading a config is not for two threads at once
    waiting, done = list(runs), set[tuple[str, int, int | None]]()
    active: dict[Future, Run] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(jobs) as pool:
        while active or (waiting and failure is None):
            for run in [run for run in waiting if run.needs() <= done]:
                if failure is None and len(active) < jobs:
                    waiting.remove(run)
                    job = pool.submit(execute, run, run_command, tell, planning)
                    active[job] = run
            for future in wait(active, return_when=FIRST_COMPLETED).done:
                run = active.pop(future)
                done.add(run.key)
                if future.exception() is not None and failure is None:
                    failure = future.exception()
                    stop.event.set()
    if failure is not None:
        raise failure


def execute(
    run: Run, run_command: RunCommand, tell: Tell, planning: threading.Lock
) -> None:
    """Do what is left of a run.

    Args:
        run: the run.
        run_command: see :func:`run_all`.
        tell: is told the share that is done: 0 first, 1 at the end.
        planning: held while configs are read.

    Raises:
        RunFailed: a command failed, or ended before its work was complete.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    log, start, busy = run.folder / LOG, time.monotonic(), False

    def on_text(text: str) -> None:
        for epoch, step, steps in _EPOCH.findall(text)[-1:]:
            done = (int(epoch) - 1 + int(step) / int(steps)) / run.experiment.max_epochs
            tell(run, min(done, 1.0) * _TRAINING, None)

    tell(run, 0.0, None)
    commands = run.commands()
    while True:
        with planning:
            command = next(commands, None)
        if command is None:
            break
        busy, began = True, time.monotonic()
        try:
            code = run_command(command, log, on_text)
        finally:
            _add_seconds(run, Path(command[1]).stem, time.monotonic() - began)
        if code != 0:
            raise RunFailed(failure_text(command, log, code), code)
        if read_finished(run.folder) is None:
            raise RunFailed(
                f"{run.folder}: training was stopped before its end; the same command "
                "continues it",
                143,
            )
    if not run.predictions.is_file():
        raise RunFailed(f"{run.predictions} was not written; see {log}", 1)
    tell(run, 1.0, time.monotonic() - start if busy else None)


def _add_seconds(run: Run, tool: str, seconds: float) -> None:
    spent = seconds_of(run)
    spent[tool] = round(spent.get(tool, 0.0) + seconds, 1)
    write_atomic(run.folder / SECONDS, json.dumps(spent).encode())


def seconds_of(run: Run) -> dict[str, float]:
    """Seconds that the commands of a run took so far, by ``train`` and ``test``.

    A run of another version says nothing: the dict is empty then.
    """
    path = run.folder / SECONDS
    found = read_json(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise RunFailed(f"{path} is no object of seconds; delete it", 1)
    return {str(tool): float(seconds) for tool, seconds in found.items()}


def run_logged(
    command: list[str],
    log: Path,
    on_text: Callable[[str], None],
    *,
    stop: Stop | None = None,
    poll: float = 0.3,
) -> int:
    """Run a command with its output in a file.

    Returns:
        Its exit code.

    Raises:
        RunFailed: ``stop`` was set; the child has saved and ended before.
    """
    stop, told = stop or Stop(), False
    with log.open("ab") as out, log.open("rb") as text:
        out.write(f"$ {' '.join(command)}\n".encode())
        out.flush()
        text.seek(0, 2)
        child = _start(command, out)
        while child.poll() is None:
            time.sleep(poll)
            on_text(text.read().decode(errors="replace"))
            if stop.event.is_set() and not told:
                child.terminate()
                told = True
    if stop.event.is_set():
        raise stop.failure()
    return child.returncode or 0


def _start(command: list[str], out: BinaryIO) -> subprocess.Popen | WarmCommand:
    if can_start(command):
        return WarmCommand(command, out, _IMPORTED)
    return subprocess.Popen(
        command,
        stdout=out,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        # a terminal's Ctrl-C reaches it once, through us: twice would kill it
        start_new_session=True,
    )


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Stop that Ctrl-C, SIGTERM or a closed terminal sets instead of ending us."""
    stop = Stop()

    def note(number: int, frame: Any) -> None:
        stop.signal = number
        stop.event.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def failure_text(command: list[str], log: Path, code: int, lines: int = 25) -> str:
    """The command, its exit code and the end of its log."""
    tail = log.read_text(errors="replace").splitlines()[-lines:]
    shown = "\n".join(f"  {line}" for line in tail)
    return (
        f"{' '.join(command)}\nended with exit code {code}. The end of {log}:\n{shown}"
    )
