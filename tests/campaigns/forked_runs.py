"""Runs of the toy config in forked processes: tools/train.py without its start.

A forked child is a session of its own, as a batch system starts a job, and tells where
it stands: ``train 3`` before step 3, ``val 1`` before a batch of a validation, ``save``
before a file is written. Each place lasts for some milliseconds, so that a signal hits.
"""

import functools
import gc
import importlib.util
import itertools
import os
import signal
import socket
import sys
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine.runner.runner
import torch
import torch._dynamo
from mmengine.hooks import Hook

from mmfusion.engine import FusionRunner
from mmfusion.engine.runner import fusion_runner
from tests.engine.toy_runs import CONFIG

ROOT = Path(__file__).resolve().parents[2]
PAUSE = 0.004  # seconds at each place
TWO_RANKS = {  # no batch of one, which has no batch norm
    "train_dataloader.batch_size": 2,
    "train_dataloader.dataset.size": 24,
    "val_dataloader.batch_size": 2,
}
_count = itertools.count()


class Job:
    """One forked command: its places so far, its output, its end.

    Args:
        target: runs in the child, and gives its exit code; it is given the file
            descriptor to write places to.
        output: file for stdout and stderr.
    """

    def __init__(self, target: Callable[[int], int], output: Path) -> None:
        self.output = output
        self.places: list[str] = []
        self.code: int | None = None
        self._pipe, theirs = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            os.setsid()
            _run_and_exit(lambda: target(theirs), output)
        os.close(theirs)
        os.set_blocking(self._pipe, False)

    def read_places(self) -> list[str]:
        """All places that were told so far."""
        try:
            while text := os.read(self._pipe, 65536):
                self.places += text.decode().split("\n")[:-1]
        except BlockingIOError:
            pass
        return self.places

    def wait_for(self, place: str, number: int = 1, seconds: float = 60) -> bool:
        """Wait for the n-th place that begins so; False if the job ended before."""
        end = time.monotonic() + seconds
        while sum(told.startswith(place) for told in self.read_places()) < number:
            assert time.monotonic() < end, f"{place}: not reached; {self.text()}"
            if self.poll() is not None:
                return False
            time.sleep(0.001)
        return True

    def poll(self) -> int | None:
        """Exit code as ``subprocess`` has it; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def send_signal(self, signum: int) -> None:
        """Send a signal to the command's own process."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end; the exit code."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(f"no end in {seconds} s: {self.text()}")
            time.sleep(0.003)
        self.read_places()
        assert self.code is not None
        return self.code

    def kill(self) -> None:
        """End whatever is left of the job, by the ids of its session."""
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        """Processes of the job's session that still live."""
        return [pid for pid, session in _sessions() if session == self.pid]

    def wait_until_alone(self, seconds: float = 10) -> None:
        """Hold that no process of the job is left, soon after its end."""
        end = time.monotonic() + seconds
        while left := self.left():
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(f"processes {left} were left behind")
            time.sleep(0.02)

    def text(self) -> str:
        """The end of its output."""
        return self.output.read_text()[-3000:] if self.output.exists() else ""


def _sessions() -> list[tuple[int, int]]:
    """(process, its session) of all that live; zombies do not."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found.append((int(entry.name), int(fields[3])))
    return found


def train(
    work_dir: Path, options: dict[str, Any] | None = None, config: Path = CONFIG
) -> Job:
    """``python tools/train.py CONFIG --work-dir WORK_DIR``."""
    return Job(
        lambda places: _train(work_dir, options or {}, "none", places, config),
        work_dir.with_suffix(".txt"),
    )


def dist_train(
    work_dir: Path, ranks: int = 2, options: dict[str, Any] | None = None
) -> Job:
    """``bash tools/dist_train.sh CONFIG RANKS``; the ranks tell ``rank R PID``, too."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    options = {**TWO_RANKS, **(options or {})}
    output = work_dir.with_suffix(".txt")

    def launch(places: int) -> int:
        os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        os.environ["PORT"] = str(port)
        tool = _load("launch")

        def start_one(command: list[str], env: dict, preexec_fn: Callable) -> Any:
            os.environ.update(env)
            target = functools.partial(_train, work_dir, options, "pytorch", places)
            return Rank(places, preexec_fn, target, output)

        tool.subprocess = types.SimpleNamespace(Popen=start_one)
        sys.argv = ["launch.py", str(ranks), "train.py"]
        return tool.main()

    return Job(launch, output)


class Rank:
    """A forked rank, to the launcher what ``subprocess.Popen`` is."""

    def __init__(
        self, places: int, prepare: Callable, target: Callable, output: Path
    ) -> None:
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            prepare()
            os.write(places, f"rank {os.environ['RANK']} {os.getpid()}\n".encode())
            _run_and_exit(target, output)

    poll = Job.poll
    send_signal = Job.send_signal


def _run_and_exit(target: Callable[[], int], output: Path) -> None:
    """Be the child: never returns."""
    code = 1
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout, sys.stderr = (open(n, "w", 1, closefd=False) for n in (1, 2))  # noqa: SIM115
        gc.freeze()  # a decoder among the parent's garbage would wait for its threads
        torch.set_num_threads(1)
        code = target()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _train(
    work_dir: Path, options: dict, launcher: str, places: int, config: Path = CONFIG
) -> int:
    """``main`` of tools/train.py, with a hook that is no part of the config."""
    settings = {"experiment_name": f"run{os.getpid()}-{next(_count)}", **options}
    sys.argv = ["train.py", str(config), "--work-dir", str(work_dir)]
    sys.argv += ["--launcher", launcher, "--cfg-options"]
    sys.argv += [f"{key}={value}" for key, value in settings.items()]
    teller = Teller(places)
    build = FusionRunner.from_cfg.__func__  # type: ignore[attr-defined]
    write = fusion_runner.save_atomic

    def from_cfg(cls: type, cfg: Any) -> Any:
        runner = build(cls, cfg)
        runner.register_hook(teller)
        return runner

    def save(*arguments: Any) -> Any:
        teller.tell("save")
        return write(*arguments)

    # it asks the compilers for their versions: seconds
    mmengine.runner.runner.collect_env = dict
    FusionRunner.from_cfg = classmethod(from_cfg)  # type: ignore[assignment]
    fusion_runner.save_atomic = save
    os.chdir(ROOT)
    return _load("train").main()


class Teller(Hook):
    """Tells places, and stays there for a moment."""

    priority = "VERY_HIGH"

    def __init__(self, places: int) -> None:
        self.places = places

    def tell(self, place: str) -> None:
        """Write one line; only the first rank does."""
        if int(os.environ.get("RANK", 0)) == 0:
            os.write(self.places, f"{place}\n".encode())
        time.sleep(PAUSE)

    def before_train(self, runner: Any) -> None:
        self.tell("begin")

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        self.tell(f"train {runner.iter + 1}")

    def before_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        self.tell(f"val {runner.epoch}")
