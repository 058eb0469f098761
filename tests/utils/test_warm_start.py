"""A forked command has arguments, output, exit handlers and exit code of its own."""

import multiprocessing
import sys
import time

import pytest
import torch

from mmfusion.utils.warm_start import WarmCommand, can_start

SCRIPT = """
import atexit, os, sys, helper
atexit.register(print, "handled")
print(sys.argv[1:], __name__, helper.NAME, os.getsid(0) == os.getpid(), flush=True)
print("to stderr", file=sys.stderr)
raise SystemExit(int(sys.argv[1]))
"""


@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(),
    reason="this system cannot fork",
)
def test_a_forked_command_is_like_one_that_was_started(tmp_path):
    (tmp_path / "helper.py").write_text("NAME = 'beside it'")
    script = tmp_path / "tool.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), "7", "--b"]
    assert can_start(command) and not can_start([sys.executable, "-c", "pass"])
    log = tmp_path / "log"
    with log.open("ab") as out:
        child = WarmCommand(command, out, [])
        while child.poll() is None:
            time.sleep(0.01)
    assert child.returncode == 7
    text = log.read_text()
    assert "['7', '--b'] __main__ beside it True" in text
    assert "to stderr" in text and text.endswith("handled\n")


def test_nothing_is_forked_beside_a_gpu(monkeypatch):
    """MMEngine asks CUDA for devices when imported: no fork could use them then."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert not can_start([sys.executable, "tool.py"])
