"""Hostile paths open nothing outside the root; files appear whole."""

import errno
import os
import socket
import stat
import time
from pathlib import Path

import pytest

from mmfusion.utils.errors import WriteError
from mmfusion.utils.paths import (
    NotAFileError,
    UnsafePathError,
    resolve_inside,
    unsafe_reason,
    write_atomic,
)

HOSTILE = [
    "",
    None,
    3,
    b"a.mp4",
    "..",
    "../a.mp4",
    "a/../../b.mp4",
    "a/..",
    "./../a",
    "a//../b",
    "..\\a.mp4",
    "a\\..\\..\\b",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "\\\\server\\share",
    "C:\\a.mp4",
    "c:a.mp4",
    "http://host/a.mp4",
    "HTTP://host/a.mp4",
    "https://host/a.mp4",
    "rtmp://host/a",
    "ftp://host/a",
    "s3://bucket/a",
    "file:a.mp4",
    "file:///etc/passwd",
    "FILE:a.mp4",
    "concat:a.mp4|b.mp4",
    "Concat:a.mp4",
    "concatf:list",
    "pipe:0",
    "pipe:",
    "data:video/mp4;base64,AAAA",
    "crypto:a",
    "cache:a",
    "subfile,,start,0,end,9,,:../a",
    "tcp:1.2.3.4",
    "unix:/a",
    "async:file:a",
    "a\0.mp4",
    "\0",
    "a.mp4\n",
    "a\r.mp4",
    "a\x7f",
    "a\x1b[2J",
    "x" * 256,
    "a/" + "x" * 300 + "/b",
    "a/" * 3000 + "b",
    "é" * 200,
    "\ud800.mp4",
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: repr(path)[:24])
def test_hostile_path_is_refused(tmp_path: Path, path: object) -> None:
    with pytest.raises(UnsafePathError, match=r"video of record 'a' is .*; expected"):
        resolve_inside(str(tmp_path), path, what="video of record 'a'")


@pytest.mark.parametrize(
    "path", ["a.mp4", "P01/videos/P01_11.MP4", "a b/ü.mp4", "x/00:10.mp4", "a..b/c"]
)
def test_plain_path_is_resolved(tmp_path: Path, path: str) -> None:
    assert unsafe_reason(path) is None
    assert resolve_inside(str(tmp_path), path) == str(tmp_path.resolve() / path)


def test_link_out_is_refused_unless_named(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "root-of-others"
    root.mkdir()
    outside.mkdir()
    (outside / "a.mp4").write_bytes(b"x")
    (root / "link").symlink_to(outside)
    (root / "inner").symlink_to(root)
    with pytest.raises(UnsafePathError, match="link leads out"):
        resolve_inside(str(root), "link/a.mp4")
    found = resolve_inside(str(root), "link/a.mp4", link_roots=[str(outside)])
    assert found == str(outside / "a.mp4")
    assert resolve_inside(str(root), "inner/b") == str(root / "b")


def test_root_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "real")
    assert resolve_inside(str(tmp_path / "data"), "a") == str(tmp_path / "real" / "a")


def test_write_atomic_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_atomic(str(path), b"one")
    write_atomic(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["a.json"]


def test_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomic(str(path), b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("link", [False, True], ids=["itself", "link"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_stays(tmp_path: Path, kind: str, link: bool) -> None:
    path = tmp_path / "out"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        try:  # as /dev/null, but ours
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    target = path
    if link:
        target = tmp_path / "link"
        target.symlink_to(path)
    before = os.lstat(target)
    with pytest.raises(NotAFileError, match=f"{target.name}' is a .* a file"):
        write_atomic(target, b"new")
    assert os.lstat(target) == before
    assert len(list(tmp_path.iterdir())) == 1 + link


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_has_the_rights_that_a_plain_one_would_have(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_data_is_synced_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), fsync(fd)))
    monkeypatch.setattr(
        os, "replace", lambda a, b: (calls.append("rename"), replace(a, b))
    )
    write_atomic(str(tmp_path / "a"), b"x")
    assert calls == ["sync", "rename", "sync"]


@pytest.mark.parametrize("kind", ["bytes", "function"])
def test_a_full_disk_is_told_with_the_size_of_all(kind, tmp_path, full_disk):
    full_disk(100)

    def write(file):
        for _ in range(30):
            file.write(b"0123456789")

    data = b"x" * 300 if kind == "bytes" else write
    with pytest.raises(WriteError, match=r"to write .*a\.npz: it needs 300 bytes and"):
        write_atomic(tmp_path / "a.npz", data)
    assert WriteError("x").exit_code == 1
    assert os.listdir(tmp_path) == []


def test_another_failure_of_the_disk_names_the_file(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=r"cannot write .*a\.json: Input/output error"):
        write_atomic(tmp_path / "a.json", b"x")


@pytest.mark.parametrize(
    ("host", "age", "stays"),
    [("elsewhere", 3600, True), ("elsewhere", 90000, False), ("", 90000, False)],
)
def test_what_another_host_left_goes_after_a_day(host, age, stays, tmp_path):
    host = host or socket.gethostname()  # a process of ours that has another's id
    temp = tmp_path / f".a.pth.{host}.1.abcd1234.tmp"
    temp.touch()
    os.utime(temp, (time.time() - age,) * 2)
    mine = tmp_path / ".notes.1.tmp"  # of another program
    mine.touch()
    os.utime(mine, (0, 0))
    write_atomic(tmp_path / "b", b"x")
    assert temp.exists() == stays and mine.exists()


def test_a_relative_path_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (b"one", b"two"):
        write_atomic("folder/file", content)
    assert Path("folder/file").read_bytes() == b"two"
    assert [path.name for path in Path("folder").iterdir()] == ["file"]
