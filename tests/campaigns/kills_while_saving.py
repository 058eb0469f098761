"""SIGKILL at any moment of saving: nothing that was saved is lost, and no file is half.

Each trial trains the toy config, which saves after every step, and kills it while it
saves: half of the trials at one call (a write, half of one, an fsync, a rename, a
deletion), half by the clock. The folder must then have the newest checkpoint that was
ever complete, and no damaged file under the name of a checkpoint; and the same command
must finish with the state, the best weights and the files of a run that nobody killed,
to the last bit.

    python -m tests.campaigns.kills_while_saving --number 200 --jobs 2
"""

import atexit
import functools
import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine.runner.runner
import numpy as np
import torch

from mmfusion.engine.runner import fusion_runner
from mmfusion.engine.runner.work_dir import best_meta, find_checkpoints, read_finished
from mmfusion.utils import paths
from mmfusion.weights.files import load_checked
from tests.campaigns.campaign import main
from tests.campaigns.forked_runs import Job
from tests.engine.toy_runs import differences, run_toy

OPTIONS = {
    "train_dataloader.dataset.size": 12,
    "val_dataloader.dataset.size": 4,
    "train_cfg.max_epochs": 2,
    "default_hooks.checkpoint.iter_interval": 1,
}
LAST = "epoch_2.pth"
# what a save does, as far as a kill can come between
CALLS = ("write", "fsync", "chmod", "replace", "unlink", "mkstemp")


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Kill one run while it saves, look at what it left, and continue it."""
    whole, counts = uninterrupted()
    work = folder / "run"
    if number % 2:
        call = CALLS[number // 2 % len(CALLS)]
        at = int(random.integers(1, counts[call] + 1))
        ways = ["before", "after", *(["half"] if call == "write" else [])]
        when = str(random.choice(ways))
        outcome = f"{when} {call}"
        job = start(work, Kill(call, at, when))
    else:
        outcome = "by the clock"
        job = start(work)
        job.wait_for("saving", int(random.integers(1, counts["saving"] + 1)))
        time.sleep(float(random.uniform(0, 0.02)))
        job.send_signal(signal.SIGKILL)
    code = job.wait()
    assert code in (-signal.SIGKILL, 0), job.text()
    if code == 0:  # a run may do some calls less, as the deletion of a stale file
        outcome = "too late"
    check_left(work, [int(told.split()[1]) for told in job.places if "saved" in told])
    again = start(work)
    assert again.wait() == 0, f"{outcome}: {again.text()}"
    check_end(work, whole)
    return outcome


def check_left(work: Path, said: list[int]) -> None:
    """Hold that all that was said to be saved is there, whole."""
    found = find_checkpoints(work)
    assert not found.broken and not found.foreign, found
    kept = [meta["iter"] for _, meta in found.good]
    assert max(kept, default=0) >= max(said, default=0), (kept, said)
    for path, meta in found.good:
        assert load_checked(path, own=True)["meta"] == meta
    if best_meta(work / "best.pth"):
        load_checked(work / "best.pth", own=True)
    read_finished(work)


def check_end(work: Path, whole: Path) -> None:
    """Hold that a run ended as the one that nobody killed."""
    assert differences(whole / LAST, work / LAST) == []
    best = [load_checked(path / "best.pth") for path in (whole, work)]
    assert best[0]["meta"]["best"] == best[1]["meta"]["best"]
    for name, value in best[0]["state_dict"].items():
        assert torch.equal(value, best[1]["state_dict"][name]), name
    assert files_of(work) == files_of(whole)
    assert read_finished(work) == read_finished(whole)


def files_of(folder: Path) -> list[str]:
    """Names of the files in a work folder; a start adds a folder of logs."""
    return sorted(path.name for path in folder.iterdir() if path.is_file())


class Kill:
    """Ends the own process at the n-th of one kind of call.

    Args:
        call: one of ``CALLS``.
        at: which of them, from 1.
        when: ``before``, ``after`` or ``half``, which of a write only is another.
    """

    def __init__(self, call: str, at: int, when: str) -> None:
        self.call, self.at, self.when = call, at, when

    def __call__(self, call: str, count: int, half: Callable, whole: Callable) -> Any:
        hit = (call, count) == (self.call, self.at)
        if hit and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if hit and self.when == "half":
            half()
            os.kill(os.getpid(), signal.SIGKILL)
        done = whole()
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def start(work: Path, kill: Kill | None = None, counts: Path | None = None) -> Job:
    """The command in a forked child, which tells when it saves and has saved."""

    def target(places: int) -> int:
        seen = watch(kill, places)
        run_toy(work, OPTIONS)
        if counts is not None:
            counts.write_text(json.dumps(seen))
        return 0

    return Job(target, work.with_suffix(".txt"))


def watch(kill: Kill | None, places: int) -> Counter[str]:
    """Count the calls of this process, and hand each to ``kill``."""
    counts: Counter[str] = Counter()

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            whole = functools.partial(real, *args, **options)
            if kill is None:
                return whole()
            half = functools.partial(write_half, real, *args)
            return kill(name, counts[name], half, whole)

        setattr(owner, name, call)

    wrap(paths._ErrorKeepingFile, "write")
    for name in CALLS[1:-1]:
        wrap(os, name)
    wrap(paths.tempfile, "mkstemp")
    save = fusion_runner.save_atomic

    def tell(checkpoint: dict, path: Path) -> None:
        counts["saving"] += 1
        os.write(places, b"saving\n")
        save(checkpoint, path)
        if path.name != "best.pth":
            os.write(places, f"saved {checkpoint['meta']['iter']}\n".encode())

    fusion_runner.save_atomic = tell
    mmengine.runner.runner.collect_env = dict  # it asks the compilers: seconds
    return counts


def write_half(write: Callable, guard: Any, data: bytes) -> None:
    """Let half of what was to be written reach the disk."""
    write(guard, bytes(data)[: len(data) // 2])
    guard.file.flush()


@functools.cache
def uninterrupted() -> tuple[Path, dict[str, int]]:
    """Folder of a run that nobody killed, and how often it did each call."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    job = start(folder / "run", counts=folder / "counts")
    assert job.wait() == 0, job.text()
    return folder / "run", json.loads((folder / "counts").read_text())


if __name__ == "__main__":
    main(trial, __doc__, 200)
