"""``tools/launch.py``: signals, exit codes and failures of several processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAUNCH = Path(__file__).resolve().parents[2] / "tools/launch.py"
# leaves with the code in CODE at SIGTERM; does what RANK_<n> says; else waits
TOOL = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(int(os.environ.get("CODE", 0))))
if os.environ.get("STUBBORN") == os.environ["RANK"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[-1] + os.environ["RANK"], "w").write(str(os.getpid()))
exec(os.environ.get("RANK_" + os.environ["RANK"], "time.sleep(60)"))
"""


class Launched:
    """The launcher over a small tool, two processes of which have started."""

    def __init__(self, folder, **env):
        tool = folder / "tool.py"
        tool.write_text(TOOL)
        code = (
            f"import runpy, sys; sys.argv = ['x', '2', {str(tool)!r}, {str(folder)!r}"
            f" + '/pid']; m = runpy.run_path({str(LAUNCH)!r}); "
            "m['wait'].__globals__['PATIENCE'] = ((0.2, 15), (0.4, 9)); "
            "sys.exit(m['main']())"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **env},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pids = [self._pid(folder / f"pid{rank}") for rank in range(2)]

    def _pid(self, path):
        end = time.monotonic() + 20
        while not (path.exists() and path.read_text()):
            assert time.monotonic() < end
            time.sleep(0.005)
        return int(path.read_text())

    def end(self):
        """Exit code and stderr; nothing is left."""
        _, text = self.process.communicate(timeout=20)
        for pid in self.pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        return self.process.returncode, text


@pytest.mark.parametrize("code", [0, 143])
def test_a_stop_goes_to_all_and_has_their_exit_code(tmp_path, code):
    launched = Launched(tmp_path, CODE=str(code))
    launched.process.send_signal(signal.SIGTERM)
    assert launched.end() == (code, "")


def test_a_killed_process_is_named_and_the_others_are_ended(tmp_path):
    launched = Launched(tmp_path, STUBBORN="0", RANK_1="os.kill(os.getpid(), 9)")
    code, text = launched.end()
    assert code == 128 + signal.SIGKILL
    assert text == (
        "error: process 1 was ended by SIGKILL: most likely the machine was out of"
        " memory; dmesg says\n"
    )


def test_a_failed_process_is_named_with_its_code(tmp_path):
    code, text = Launched(tmp_path, RANK_0="sys.exit(3)").end()
    assert (code, text) == (
        3,
        "error: process 0 ended with exit code 3; its message is above\n",
    )


def test_what_all_processes_refuse_is_told_once(tmp_path):
    code = (
        "import pathlib, time; from mmfusion.utils.commands import command_parser,"
        " say_once; parser = command_parser(None); say_once('error: the same\\n');"
        f" said = pathlib.Path({str(tmp_path)!r}); say_once('error: of {{0}}\\n');"
        " (said / 'said{0}').touch(); all(time.sleep(0.01) or"
        " len([*said.glob('said*')]) < 2 for _ in range(2000));"  # for the other one
        " parser.parse_args(['--no'])"
    )
    ranks = {f"RANK_{rank}": code.format(rank) for rank in range(2)}
    found, text = Launched(tmp_path, PYTHONPATH=str(LAUNCH.parents[1]), **ranks).end()
    lines = text.splitlines()
    assert found == 2 and lines.count("error: the same") == 1
    assert {"error: of 0", "error: of 1"} < set(lines)
    assert len([line for line in lines if "unrecognized arguments" in line]) == 1
    assert lines[-1].startswith("error: process ") and "exit code 2" in lines[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of a parent's death")
def test_processes_do_not_outlive_the_launcher(tmp_path):
    launched = Launched(tmp_path)
    launched.process.kill()
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in launched.pids):
        assert time.monotonic() < end
        time.sleep(0.01)
    launched.end()
