"""Python tools started from a process that has imported what they need.

Importing takes a nano model on small data longer than an epoch does. A server imports
once and is forked for every command, which then runs as it would by itself: with its
own arguments, output, session, exit handlers and exit code.
"""

import atexit
import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import BinaryIO


def can_start(command: Sequence[str]) -> bool:
    """Tell whether a command is a Python file for this very interpreter.

    Not beside a GPU: importing MMEngine asks the driver for devices, after which no
    fork of the server could use them.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    is_script = command[0] == sys.executable and command[1].endswith(".py")
    return forks and is_script and not _has_accelerator()


def _has_accelerator() -> bool:
    import torch

    return torch.accelerator.is_available()


class WarmCommand:
    """A command that runs in a fork of the server; :class:`subprocess.Popen` in part.

    Args:
        command: the interpreter, a Python file, and its arguments.
        out: file that takes its output.
        imported: modules that the server imports when it starts, with the first
            command of this process.
    """

    def __init__(
        self, command: Sequence[str], out: BinaryIO, imported: Sequence[str]
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*imported])
        self._process: BaseProcess = context.Process(
            target=_run, args=(list(command[1:]), out.name)
        )
        self._process.start()

    def poll(self) -> int | None:
        """Exit code, that of a signal below 0; None while it runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    @property
    def returncode(self) -> int | None:
        """The same as :meth:`poll`."""
        return self.poll()


def _run(arguments: list[str], log: str) -> None:
    """Run a Python file as the interpreter would, its output at the end of a file."""
    os.setsid()  # a terminal's Ctrl-C reaches it once, through its parent
    with open(log, "ab") as out, open(os.devnull, "rb") as nothing:
        for stream, file in enumerate((nothing, out, out)):
            os.dup2(file.fileno(), stream)
    sys.argv = arguments
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        # workers of loaders end there; multiprocessing would wait for them
        atexit._run_exitfuncs()
