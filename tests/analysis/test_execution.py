import os
import signal
import sys

import pytest

from mmfusion.analysis import execution


def test_output_goes_to_the_log_and_the_code_comes_back(tmp_path):
    seen = []
    command = [sys.executable, "-c", "print('hello'); raise SystemExit(7)"]
    code = execution.run_logged(command, tmp_path / "log", seen.append, poll=0.05)
    assert code == 7
    assert "hello" in (tmp_path / "log").read_text()
    assert "hello" in "".join(seen)


STOPPED = """
import sys, time, signal
def end(*_):
    print("child saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("child started", flush=True)
time.sleep(30)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_child_save_and_ends_us(tmp_path, number):
    log = tmp_path / "log"

    def signal_us(text):
        if "child started" in text:
            os.kill(os.getpid(), number)

    command = [sys.executable, "-c", STOPPED]
    with (
        execution.stopped_by_signals() as stop,
        pytest.raises(execution.RunFailed, match="the same command") as failure,
    ):
        execution.run_logged(command, log, signal_us, stop=stop, poll=0.05)
    assert failure.value.exit_code == 128 + number
    assert log.read_text().endswith("child saved\n")
