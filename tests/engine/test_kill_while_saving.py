"""SIGKILL at any moment of saving leaves the old checkpoint or the new one, whole."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch

from mmfusion.engine.runner import checkpoints as checkpoint
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.weights import load_checked

FORK = multiprocessing.get_context("fork")
SIZE = 1_000_000  # floats; some 10 ms to write


def save_for_ever(path, pipe):
    version = 0
    while True:
        version += 1
        save_atomic({"meta": {"version": version}, "w": torch.full((SIZE,), 1.0)}, path)
        pipe.send(version)


def newest_said(pipe):
    """The last version whose save was completed, as the child said."""
    said = 0
    try:
        while pipe.poll():
            said = pipe.recv()
    except EOFError:
        pass
    return said


def temps(folder):
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


def test_twenty_kills_leave_no_broken_checkpoint(tmp_path):
    path = tmp_path / "epoch_1.pth"
    generator = random.Random(0)
    midway = 0
    for kill in range(500):
        if kill >= 20 and midway:
            break
        ours, theirs = FORK.Pipe()
        child = FORK.Process(target=save_for_ever, args=(path, theirs), daemon=True)
        child.start()
        theirs.close()
        assert ours.poll(20)
        time.sleep(generator.uniform(0, 0.04))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        loaded = load_checked(path)
        said = newest_said(ours)
        assert loaded["meta"]["version"] in (said, said + 1)
        assert bool((loaded["w"] == 1).all())
        midway += bool(temps(tmp_path))
    save_atomic({"meta": {}}, path)
    assert temps(tmp_path) == []
    assert midway > 0  # some kills did hit the writing itself


@pytest.mark.parametrize("point", ["opened", "half-written", "synced", "renamed"])
def test_kill_at_a_point(tmp_path, monkeypatch, point):
    path = tmp_path / "epoch_1.pth"
    save_atomic({"meta": {"version": 1}}, path)

    def die(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    def write_half(obj, file):
        file.write(b"half of it")
        file.flush()
        die()

    def rename_and_die(source, target, real=os.replace):
        real(source, target)
        die()

    def child():
        if point == "opened":
            checkpoint.torch.save = die
        elif point == "half-written":
            checkpoint.torch.save = write_half
        elif point == "synced":
            os.replace = die
        else:
            os.replace = rename_and_die
        save_atomic({"meta": {"version": 2}}, path)

    process = FORK.Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    version = load_checked(path)["meta"]["version"]
    assert version == (2 if point == "renamed" else 1)
    save_atomic({"meta": {"version": 3}}, path)
    assert os.listdir(tmp_path) == ["epoch_1.pth"]


def test_content_and_name_reach_the_disk_in_order(tmp_path, monkeypatch):
    """Order of the system calls, which a power cut would show and a kill cannot."""
    calls = []

    def record(name):
        real = getattr(os, name)

        def call(*args):
            kind = "folder" if os.path.isdir(f"/proc/self/fd/{args[0]}") else "file"
            calls.append(name if name == "replace" else f"{name} {kind}")
            return real(*args)

        monkeypatch.setattr(os, name, call)

    record("fsync")
    record("replace")
    save_atomic({"meta": {}}, tmp_path / "a.pth")
    assert calls == ["fsync file", "replace", "fsync folder"]
