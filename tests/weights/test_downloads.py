"""Downloads from servers that are slow, hang, lie, or send us elsewhere."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from mmfusion.utils.errors import CheckpointError
from mmfusion.weights.files import fetch

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Does what the path says; keeps the headers that it got."""

    seen: list = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.seen.append(dict(self.headers))
        kind = self.path.split("?")[0].strip("/")
        if kind == "hang":
            self.server.over.wait(5)
            return
        if kind.startswith("to-"):
            self.send_response(302)
            to = {"to-itself": "/to-itself", "to-other": self.server.other + "/ok"}
            self.send_header("Location", to.get(kind, "/ok"))
            self.end_headers()
            return
        if kind == "refused":
            self.send_error(403, "no: " + self.path)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if kind == "drip":
            for byte in CONTENT[:60]:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        elif kind == "cut":
            self.wfile.write(CONTENT[:1000])
        elif kind == "stall":
            self.wfile.write(CONTENT[:1000])
            self.wfile.flush()
            self.server.over.wait(5)
        elif kind == "other":
            self.wfile.write(CONTENT[::-1])
        else:
            self.wfile.write(CONTENT)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Address of a server, whose ``/to-other`` leads to a second one."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(Handler, "seen", [])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    for one in servers:
        one.over = threading.Event()
        one.other = f"http://127.0.0.1:{servers[1].server_port}"
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{servers[0].server_port}"
    for one in servers:
        one.over.set()
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("hang", "time limit"),
        ("stall", "time limit"),
        ("drip", "only .* bytes came in"),
        ("cut", "1000 of 10240 bytes"),
        ("other", "has sha256"),
        ("refused", "HTTP Error 403"),
        ("to-itself", "redirect"),
    ],
)
def test_a_download_that_fails_says_why_soon_and_no_secret(
    server, tmp_path, kind, match
):
    began = time.monotonic()
    with pytest.raises(CheckpointError, match=match) as caught:
        fetch(
            f"http://me:pa55word@{server}/{kind}?token=s3cret",
            sha256=SHA256,
            timeout=0.4,
        )
    assert time.monotonic() - began < 1.4
    text = str(caught.value)
    assert f"http://***@{server}/{kind}?***" in text
    assert "pa55word" not in text and "s3cret" not in text and "\n" not in text
    assert caught.value.__cause__ is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["ok", "to-here", "to-other"])
def test_a_password_goes_to_its_server_only(server, kind):
    path = fetch(f"http://me:p%40ss@{server}/{kind}?token=t", sha256=SHA256)
    assert path.read_bytes() == CONTENT
    first, *others = Handler.seen
    assert first["Authorization"] == "Basic bWU6cEBzcw=="  # me:p@ss
    assert all("Authorization" not in headers for headers in others)


def test_what_has_no_checksum_is_refused_without_its_secrets(server):
    with pytest.raises(CheckpointError, match="needs its sha256") as caught:
        fetch(f"https://me:pa55word@{server}/ok?sig=s3cret")
    assert "pa55word" not in str(caught.value) and "s3cret" not in str(caught.value)
    assert Handler.seen == []


def test_wrong_time_limits_are_named(server):
    with pytest.raises(CheckpointError, match="timeout is 0"):
        fetch(f"http://{server}/ok", sha256=SHA256, timeout=0)
