"""Checkpoint files: plain, atomic, and read without running anything."""

import errno
import os
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mmfusion.utils.errors import CheckpointError
from mmfusion.weights.files import (
    load_checked,
    peek_meta,
    save_atomic,
    state_dict_difference,
    to_plain,
)


class Gadget:
    """Runs a command when it is unpickled without care."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


class Evaluated(Gadget):
    """Python code instead of a command."""

    def __reduce__(self):
        return eval, (f"open({self.target!r}, 'w')",)


def test_what_is_saved_is_loaded(tmp_path):
    value = {
        "meta": {"epoch": 3, "best": None, "name": "a"},
        "state_dict": OrderedDict(w=torch.arange(3.0)),
        "list": [1, (2.5, True), b"x"],
    }
    save_atomic(value, tmp_path / "a.pth")
    loaded = load_checked(tmp_path / "a.pth")
    assert torch.equal(loaded["state_dict"]["w"], torch.arange(3.0))
    assert loaded["list"] == value["list"] and loaded["meta"] == value["meta"]
    assert peek_meta(tmp_path / "a.pth") == value["meta"]
    assert os.listdir(tmp_path) == ["a.pth"]


def test_numpy_becomes_plain():
    plain = to_plain({"a": np.float32(0.5), "b": np.arange(2)})
    assert plain["a"] == 0.5 and torch.equal(plain["b"], torch.arange(2))


def test_an_object_is_named_by_its_path(tmp_path):
    with pytest.raises(CheckpointError, match=r"checkpoint\['a'\]\[1\] is a .*Gadget"):
        save_atomic({"a": [1, Gadget("x")]}, tmp_path / "a.pth")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("make", [Gadget, Evaluated], ids=["system", "eval"])
@pytest.mark.parametrize("way", ["torch", "pickle"])
def test_malicious_file_is_refused_and_nothing_runs(tmp_path, make, way):
    target, path = tmp_path / "ran", tmp_path / "evil.pth"
    payload = {"state_dict": {"w": torch.zeros(1)}, "meta": make(target)}
    if way == "torch":
        torch.save(payload, path)
    else:
        path.write_bytes(pickle.dumps(payload))
    with pytest.raises(CheckpointError, match="evil.pth is (refused|damaged)") as error:
        load_checked(path)
    with pytest.raises(CheckpointError):
        peek_meta(path)
    assert not target.exists()
    assert "nothing in it was run" in str(error.value) or way == "pickle"
    assert "False" not in str(error.value)  # torch's advice to read it without safety


def test_safetensors_are_read(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    assert torch.equal(load_checked(tmp_path / "w.safetensors")["w"], torch.ones(2))


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_damaged_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x02" + bytes(99))
    with pytest.raises(CheckpointError, match=name):
        load_checked(tmp_path / name)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checked(tmp_path / ("no" + name))
    with pytest.raises(CheckpointError, match="is not a file"):
        load_checked(tmp_path)


def test_mutated_checkpoints_are_never_loaded_as_something_else(tmp_path):
    """100 truncations and 100 flipped bytes: an error, or the very same content."""
    path = tmp_path / "a.pth"
    value = {"meta": {"epoch": 1}, "w": torch.arange(500.0)}
    save_atomic(value, path)
    good = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for trial in range(200):
        place = int(generator.integers(len(good)))
        flipped = good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :]
        path.write_bytes(good[:place] if trial % 2 else flipped)
        try:
            loaded = load_checked(path)
        except CheckpointError:
            refused += 1
            continue
        assert torch.equal(loaded["w"], value["w"]) and loaded["meta"] == value["meta"]
    assert refused >= 150


def test_full_disk_leaves_the_old_file_and_says_how_much(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    save_atomic({"w": torch.zeros(3)}, path)
    before = path.read_bytes()

    class FullDisk:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

    real = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *args: FullDisk(real(*args)))
    with pytest.raises(CheckpointError, match="needs 4000 bytes and [0-9]+ are free"):
        save_atomic({"w": torch.zeros(1000)}, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.pth"]


def test_failed_rename_leaves_no_temporary(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CheckpointError, match=r"cannot write .*broken"):
        save_atomic({}, tmp_path / "a.pth")
    assert os.listdir(tmp_path) == []


def test_difference_of_keys_and_shapes_is_short():
    own = {f"w{index}": torch.zeros(2) for index in range(30)}
    given = {"w0": torch.zeros(3), "w1": torch.zeros(2), "x": torch.zeros(1)}
    text = state_dict_difference(own, given)
    assert "w0: file (3,), model (2,)" in text
    assert "28 missing in the file" in text and "... and 20 more" in text
    assert "1 not in the model" in text and len(text.splitlines()) < 20
    assert state_dict_difference(own, own) == ""


def test_no_unsafe_loading_anywhere_in_the_tree():
    """Only reviewed files may read pickles; nothing may evaluate text."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    pattern = (
        r"weights_only=False|pickle\.load|allow_pickle=True|yaml\.load\(|"
        r"trust_remote_code=True|[^._a-z]eval\(|[^._a-z]exec\("
    )
    command = ["grep", "-rnE", pattern, "--include=*.py", "mmfusion", "tools"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
    assert [line for line in found.splitlines() if "safe_pickle.py" not in line] == []
    assert sys.version_info >= (3, 10)
