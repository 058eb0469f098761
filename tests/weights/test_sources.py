import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import fetch, unwrap


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server of one folder; (folder, address, requests it got)."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
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
    with pytest.raises(CheckpointError, match="invalid hash value"):
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
