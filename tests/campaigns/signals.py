"""Signals at any moment: a complete checkpoint of the current step, and exit code 0.

Each trial sends one of SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 to a run: to the
command, to its whole process group, or twice within a second as launchers that pass it
on do. It hits the first step, a step, a validation or a save. The run must end with 0
and a checkpoint of the step that it was in, and the same command must finish with the
state of a run that nobody stopped, to the last bit. Every fourth trial is a run of two
processes under tools/dist_train.sh, where the group gets the signal as well.

    python -m tests.campaigns.signals --number 40
"""

import functools
import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

from mmfusion.weights.files import load_checked
from tests.campaigns.campaign import main
from tests.campaigns.forked_runs import PAUSE, Job, dist_train, train
from tests.engine.toy_runs import differences

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
PLACES = ("train 1\n", "train", "val", "save")  # the first: the very first step
WAYS = ("command", "group", "twice")
LAST = "epoch_3.pth"


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Stop one run by a signal, look at what it left, and continue it."""
    start = dist_train if number % 4 == 3 else train
    name = str(random.choice(SIGNALS))
    place = PLACES[number // 4 % len(PLACES)]
    way = str(random.choice(WAYS))
    work = folder / "work"
    job = start(work)
    try:
        told = place.strip()
        count = 1 if place.endswith("\n") else int(random.integers(1, 8))
        arrived = job.wait_for(told, count)
        time.sleep(float(random.uniform(0, 2 * PAUSE)))
        send(job, getattr(signal, name), way)
        code = job.wait()
        job.wait_until_alone()
    finally:
        job.kill()
    assert code == 0, f"{name} at {told} ({way}): exit code {code}\n{job.text()}"
    if not arrived or (work / "finished.json").exists():
        return "complete before the signal"
    assert "Traceback" not in job.text(), job.text()
    assert newest(work) == steps(job), f"{name} at {told} ({way})\n{job.text()}"
    again = start(work)
    assert again.wait() == 0, again.text()
    assert differences(reference(start is dist_train) / LAST, work / LAST) == []
    return f"{'2 processes' if start is dist_train else '1 process'}, {told}"


def send(job: Job, signum: int, way: str) -> None:
    """Send a signal as a person, a batch system or a launcher does."""
    if way == "command" or job.poll() is not None:
        job.send_signal(signum)
        return
    os.killpg(job.pid, signum)  # a zombie that nobody waits for takes it, too
    if way == "twice":
        time.sleep(0.05)
        job.send_signal(signum)


def steps(job: Job) -> int:
    """Number of the last step that was begun."""
    begun = [int(told.split()[1]) for told in job.places if told.startswith("train")]
    return max(begun)


def newest(work: Path) -> int:
    """Step of the newest checkpoint; every checkpoint of the folder is complete."""
    found = [load_checked(path)["meta"] for path in work.glob("*_*.pth")]
    assert found, "no checkpoint"
    assert not list(work.glob(".*.tmp")), "half a file was left"
    return max(meta["iter"] for meta in found)


@functools.cache
def reference(two: bool) -> Path:
    """Folder of a run that nobody stops, made once for each process of a campaign."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-whole-")) / "work"
    job = (dist_train if two else train)(folder)
    assert job.wait() == 0, job.text()
    return folder


if __name__ == "__main__":
    main(trial, __doc__, 40)
