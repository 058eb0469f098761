"""Weight files: fetched, and read without running anything."""

import hashlib
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from collections import OrderedDict
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file

from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights.files import (
    check_digest,
    fetch,
    load_checked,
    peek_meta,
    tensor_bytes,
    unwrap,
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


@pytest.fixture(params=["a.pth", "a.safetensors"])
def ours(request, tmp_path):
    """A file of ours of either kind."""
    path = tmp_path / request.param
    if path.suffix == ".pth":
        save_atomic({"meta": {"epoch": 1}, "w": torch.arange(50.0)}, path)
    else:
        path.write_bytes(tensor_bytes({"w": torch.arange(50.0)}))
    return path


def test_a_flipped_bit_anywhere_is_seen_before_anything_is_believed(ours):
    good = ours.read_bytes()
    for place in range(0, len(good), 3):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 8
        ours.write_bytes(flipped)
        with pytest.raises(CheckpointError, match=f"{ours.name} is damaged"):
            check_digest(ours)


def test_cut_and_stretched_files_are_refused(ours):
    good = ours.read_bytes()
    for place in range(0, len(good), 13):
        for damaged in (good[:place], good[:place] + b"x" + good[place:]):
            ours.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=str(ours)):
                load_checked(ours)


def test_the_digest_goes_with_the_file_and_anyone_can_check_it(ours, tmp_path):
    moved = ours.rename(tmp_path / f"best{ours.suffix}")
    assert check_digest(moved) and "w" in load_checked(moved, own=True)
    data = moved.read_bytes()
    before, tag, rest = data.partition(
        b"sha256 of this file with zeros for these digits: "
    )
    zeroed = before + tag + b"0" * 64 + rest[64:]
    assert rest[:64].decode() == hashlib.sha256(zeroed).hexdigest()


def test_files_of_others_need_no_digest(tmp_path):
    torch.save({"meta": {"resumable": True}, "w": torch.ones(2)}, tmp_path / "a.pth")
    save_file({"w": torch.ones(2)}, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        assert not check_digest(tmp_path / name)
        assert torch.equal(load_checked(tmp_path / name)["w"], torch.ones(2))
        with pytest.raises(CheckpointError, match="has no digest"):
            load_checked(tmp_path / name, own=True)
    assert peek_meta(tmp_path / "a.pth") is None


def test_a_zip_that_claims_more_bytes_than_it_has_is_refused(tmp_path):
    """torch hands out what it never read where only the directory says so."""
    path = tmp_path / "a.pth"
    torch.save({"w": torch.arange(50.0)}, path)
    with zipfile.ZipFile(path) as archive:
        record = next(info for info in archive.infolist() if info.file_size == 200)
    data = bytearray(path.read_bytes())
    entry = data.rindex(record.filename.encode()) - 46  # in the directory
    data[entry + 24 : entry + 26] = (456).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="of 456 bytes has 200"):
        load_checked(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile says so, and writes it
def test_two_records_of_one_name_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"w": torch.ones(3)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/data/0", bytes(12))
    with pytest.raises(CheckpointError, match="two records have one name"):
        load_checked(path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server of one folder; (folder, address, requests it got)."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder, requests = tmp_path / "www", []
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            requests.append(self.path)

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}", requests
    httpd.shutdown()
    httpd.server_close()


def test_a_download_is_checked_and_kept(server):
    folder, address, requests = server
    (folder / "x.pth").write_bytes(b"weights")
    digits = hashlib.sha256(b"weights").hexdigest()
    path = fetch(f"{address}/x.pth", sha256=digits)
    assert path.read_bytes() == b"weights"
    assert fetch(f"{address}/x.pth#sha256={digits.upper()}") == path
    assert len(requests) == 1


def test_another_file_is_refused_and_not_kept(server):
    folder, address, _ = server
    (folder / "x.pth").write_bytes(b"other")
    digits = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(CheckpointError, match="has sha256"):
        fetch(f"{address}/x.pth", sha256=digits)
    (folder / "x.pth").write_bytes(b"weights")
    assert fetch(f"{address}/x.pth", sha256=digits).read_bytes() == b"weights"


def test_what_cannot_be_fetched_says_what_to_do(server):
    _, address, _ = server
    with pytest.raises(CheckpointError, match="404.*or give its path"):
        fetch(f"{address}/none.pth", sha256="0" * 64)
    with pytest.raises(CheckpointError, match="needs its sha256"):
        fetch(f"{address}/none.pth")


def test_local_files_may_have_a_checksum(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"weights")
    digits = hashlib.sha256(b"weights").hexdigest()
    assert fetch(str(path), sha256=digits) == path
    with pytest.raises(CheckpointError, match="another file, or damaged"):
        fetch(f"{path}#sha256={'0' * 64}")
    with pytest.raises(CheckpointError, match="64 hexadecimal"):
        fetch(str(path), sha256="b40f3e")


def test_the_hub_offline_names_the_command(monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="hf download OpenGVLab/VideoMamba x.pth"):
        fetch("hf://OpenGVLab/VideoMamba/x.pth")
    with pytest.raises(CheckpointError, match="not of the form"):
        fetch("hf://OpenGVLab/VideoMamba")


def test_a_file_in_the_hubs_cache_is_taken(monkeypatch, tmp_path):
    """The cache's own layout: refs name a commit, snapshots hold its files."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--OpenGVLab--VideoMamba"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "x.pth").write_bytes(b"weights")
    assert fetch("hf://OpenGVLab/VideoMamba/x.pth").read_bytes() == b"weights"


def test_containers_are_opened():
    weight = torch.zeros(1)
    inner = {"module.a": weight, "module.b": weight}
    assert set(unwrap({"state_dict": inner, "epoch": 3}, "x")) == {"a", "b"}
    assert set(unwrap({"a": weight, "step": 3}, "x")) == {"a"}
    with pytest.raises(CheckpointError, match="x holds no tensors"):
        unwrap({"epoch": 3}, "x")


def test_no_unsafe_loading_anywhere_in_the_tree():
    """Only reviewed files may read pickles; nothing may evaluate text."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    pattern = (
        r"weights_only=False|pickle\.load|allow_pickle=True|yaml\.load\(|"
        r"trust_remote_code=True|[^._a-z]eval\(|[^._a-z]exec\("
    )
    command = ["grep", "-rnE", pattern, "--include=*.py", "mmfusion", "tools"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
    # the second reads what the process that it has forked itself sends
    reviewed = ("mmfusion/utils/safe_pickle.py:", "mmfusion/datasets/clip_process.py:")
    assert [line for line in found.splitlines() if not line.startswith(reviewed)] == []
    assert sys.version_info >= (3, 10)
