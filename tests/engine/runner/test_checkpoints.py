"""Checkpoints of runs: plain, and written whole or not at all."""

import errno
import os

import numpy as np
import pytest
import torch

from mmfusion.engine.runner.checkpoints import save_atomic, to_plain
from mmfusion.utils.errors import CheckpointError, SaveError


def test_numpy_becomes_plain():
    plain = to_plain({"a": np.float32(0.5), "b": np.arange(2)})
    assert plain["a"] == 0.5 and torch.equal(plain["b"], torch.arange(2))


def test_an_object_is_named_by_its_path(tmp_path):
    with pytest.raises(CheckpointError, match=r"checkpoint\['a'\]\[1\] is a .*object"):
        save_atomic({"a": [1, object()]}, tmp_path / "a.pth")
    assert os.listdir(tmp_path) == []


def test_full_disk_leaves_the_old_file_and_says_how_much(tmp_path, full_disk):
    path = tmp_path / "a.pth"
    save_atomic({"w": torch.zeros(3)}, path)
    before = path.read_bytes()

    full_disk(0)
    with pytest.raises(
        SaveError, match="needs [0-9]+ bytes and [0-9]+ are free"
    ) as said:
        save_atomic({"w": torch.zeros(1000)}, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.pth"]
    assert said.value.exit_code == 1  # 3 is a checkpoint that cannot be read
    full_disk(None)
    save_atomic({"w": torch.zeros(1000)}, path)
    assert f"needs {path.stat().st_size} bytes" in str(said.value)


def test_failed_rename_leaves_no_temporary(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CheckpointError, match=r"cannot write .*broken"):
        save_atomic({}, tmp_path / "a.pth")
    assert os.listdir(tmp_path) == []
