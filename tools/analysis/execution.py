"""Do the runs of a table: commands in child processes, their output in log files."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments import Run

from mmfusion.engine.work_dir import read_finished

LOG = "table.log"
_EPOCH = re.compile(r"Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]")

# (command, log file, called with the text that the log gained) -> exit code
RunCommand = Callable[[list[str], Path, Callable[[str], None]], int]


class RunFailed(Exception):
    """A command of a run ended with an error.

    Args:
        message: what to show, the end of its log included.
        code: its exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def execute(
    run: Run, run_command: RunCommand, on_progress: Callable[[float], None]
) -> bool:
    """Do what is left of a run.

    Args:
        run: the run.
        run_command: starts a command; :func:`run_logged`, or a stand-in in tests.
        on_progress: called with the share of training that is done, 0 to 1.

    Returns:
        Whether there was anything to do.

    Raises:
        RunFailed: a command failed, or ended before its work was complete.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    log, busy = run.folder / LOG, False

    def watch(text: str) -> None:
        for epoch, step, steps in _EPOCH.findall(text)[-1:]:
            done = int(epoch) - 1 + int(step) / int(steps)
            on_progress(min(done / run.experiment.max_epochs, 1.0))

    for command in run.commands():
        busy = True
        code = run_command(command, log, watch)
        if code != 0:
            raise RunFailed(_failure(command, log, code), code)
        if read_finished(run.folder) is None:
            raise RunFailed(
                f"{run.folder}: training was stopped before its end; the same command "
                "continues it",
                143,
            )
    if not run.predictions.is_file():
        raise RunFailed(f"{run.predictions} was not written; see {log}", 1)
    return busy


def run_logged(
    command: list[str], log: Path, on_text: Callable[[str], None], poll: float = 0.3
) -> int:
    """Run a command with its output in a file; a signal to us reaches it too.

    Returns:
        Its exit code. Interrupted, it waits for the child, which saves and exits.
    """
    with log.open("ab") as out, log.open("rb") as text:
        out.write(f"$ {' '.join(command)}\n".encode())
        out.flush()
        text.seek(0, 2)
        child = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # a terminal's Ctrl-C reaches it once, through us: twice would kill it
            start_new_session=True,
        )
        with _forwarded_signals(child):
            while child.poll() is None:
                time.sleep(poll)
                on_text(text.read().decode(errors="replace"))
        return child.returncode


@contextmanager
def _forwarded_signals(child: subprocess.Popen) -> Iterator[None]:
    """A signal ends the child softly, and then us with the usual code."""
    received: list[int] = []

    def forward(number: int, frame: Any) -> None:
        received.append(number)
        child.send_signal(signal.SIGTERM)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise RunFailed("stopped; the same command continues", 128 + received[0])


def _failure(command: list[str], log: Path, code: int, lines: int = 25) -> str:
    tail = log.read_text(errors="replace").splitlines()[-lines:]
    shown = "\n".join(f"  {line}" for line in tail)
    return (
        f"{' '.join(command)}\nended with exit code {code}. The end of {log}:\n{shown}"
    )
