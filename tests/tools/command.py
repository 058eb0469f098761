"""A tool's ``main``, called in this process as its command line would."""

import contextlib
import io
import multiprocessing
import os
import runpy
import signal
import sys
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

TOOLS = Path(__file__).resolve().parents[2] / "tools"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def module_of(tool):
    """All names of ``tools/<tool>.py``."""
    return runpy.run_path(str(TOOLS / f"{tool}.py"))


def main_of(tool):
    """The function ``main`` of ``tools/<tool>.py``."""
    return module_of(tool)["main"]


def run_tool(tool, *arguments, **environment):
    """``python tools/<tool>.py ARGUMENTS``, without the start of a process."""
    path = str(TOOLS / f"{tool}.py")
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        with (
            mock.patch.object(sys, "argv", [path, *map(str, arguments)]),
            mock.patch.object(sys, "path", [str(Path(path).parent), *sys.path]),
            mock.patch.dict(os.environ, environment),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            runpy.run_path(path, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):  # as Python does
            err.write(code)
            code = 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.modules.pop("_shared", None)  # each folder of tools has its own
    return CompletedProcess([path, *arguments], code, out.getvalue(), err.getvalue())


def start_tool(log, tool, *arguments, **environment):
    """:func:`run_tool` in a process of its own, which may be killed.

    It is forked, so that nothing is imported again; its output is in ``log`` then.
    """

    def run():
        done = run_tool(tool, *arguments, **environment)
        log.write_text(done.stdout + done.stderr)
        os._exit(done.returncode)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process
