"""Indices of videos, kept in memory and, of long files, on the disk."""

from dataclasses import fields

import numpy as np
import pytest

from mmfusion.datasets.media import index_cache, kept_files
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_index import make_index
from mmfusion.datasets.media.video_io import open_video
from tests.video_files import number_of, set_rotation, write_video


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Folder of the indices; each video counts as a long one."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(index_cache, "LONG_FRAMES", 2)
    monkeypatch.setattr(index_cache._kept, "_told", set())
    index_cache.memory.clear()
    return tmp_path / "cache" / index_cache.FOLDER


@pytest.fixture
def told(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(kept_files, "print_log", lambda line, *_: lines.append(line))
    return lines


def again(path):
    """As another process reads it."""
    index_cache.memory.clear()
    return read_index(path)


def assert_same(found, expected):
    for field in fields(expected):
        own, other = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(own, other)
        assert type(own) is type(other)


@pytest.mark.parametrize("kind", ["plain", "turned", "variable", "without stamps"])
def test_a_kept_index_is_the_one_that_reading_gives(tmp_path, folder, kind, told):
    stamps = [0, 10, 20, 90, 100, 200] if kind == "variable" else None
    suffix = {"variable": "mkv", "without stamps": "avi"}.get(kind, "mp4")
    path = write_video(tmp_path / f"a.{suffix}", stamps=stamps)
    if kind == "turned":
        set_rotation(path, 90)
    read_index(path)
    assert len(list(folder.iterdir())) == 1
    assert_same(again(path), make_index(str(path)))
    assert not told


def test_the_second_process_reads_no_packets(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4")
    read_index(path)
    monkeypatch.delattr(index_cache, "make_index")
    assert len(again(path).times) == 12
    assert number_of(open_video(path).frames_at_index([7])[0]) == 7


@pytest.mark.parametrize("damage", ["cut", "a bit", "other arrays", "no npz"])
def test_a_damaged_file_is_made_anew_and_told(tmp_path, folder, told, damage):
    path = write_video(tmp_path / "a.mp4")
    read_index(path)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "a bit":
        content[content.index(b"coded_size") - 30] ^= 1
        file.write_bytes(content)
    elif damage == "other arrays":
        np.savez(file, times=np.zeros(3))
    else:
        file.write_bytes(b"damaged")
    assert_same(again(path), make_index(str(path)))
    assert [line.startswith(f"the index of {path} is made anew") for line in told] == [
        True
    ]
    again(path)
    assert len(told) == 1  # it was mended


def test_a_changed_video_is_read_anew(tmp_path, folder):
    path = write_video(tmp_path / "a.mp4")
    read_index(path)
    write_video(path, 14)
    assert len(again(path).times) == 14 and len(list(folder.iterdir())) == 2


def test_a_short_video_leaves_no_file(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(index_cache, "LONG_FRAMES", 13)
    path = write_video(tmp_path / "a.mp4")
    read_index(path)
    assert not folder.exists()
    monkeypatch.setattr(index_cache, "LONG_BYTES", path.stat().st_size)
    again(path)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("kind", ["read-only", "full", "no home"])
def test_without_a_folder_indices_are_made(tmp_path, folder, monkeypatch, told, kind):
    if kind == "read-only":
        monkeypatch.setenv("MMFUSION_CACHE", "/proc/mmfusion")
    elif kind == "full":
        monkeypatch.setattr(index_cache, "MOST_BYTES", -1)
    else:
        monkeypatch.delenv("MMFUSION_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr("pathlib.Path.expanduser", no_home)
    for name in ("a.mp4", "b.mp4"):
        assert len(read_index(write_video(tmp_path / name)).times) == 12
    assert not folder.exists()
    assert len(told) == (kind != "no home")  # once


def no_home(path):
    raise RuntimeError("Could not determine home directory.")


def test_memory_holds_a_number_of_bytes(tmp_path, folder, monkeypatch):
    paths = [write_video(tmp_path / f"{name}.mp4") for name in "abc"]
    size = index_cache._size(read_index(paths[0]))
    assert size > 12 * 3 * 8
    index_cache.memory.clear()
    monkeypatch.setattr(index_cache, "MOST_MEMORY", 2 * size)
    first = read_index(paths[0])
    for path in (paths[1], paths[0], paths[2]):
        read_index(path)  # b was not asked for for longest
    assert read_index(paths[0]) is first
    monkeypatch.delattr(index_cache, "_read_kept")
    with pytest.raises(NameError):
        read_index(paths[1])


def test_an_index_larger_than_the_memory_is_given_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(index_cache, "MOST_MEMORY", 1)
    path = write_video(tmp_path / "a.mp4")
    assert read_index(path) is read_index(path)


def test_arrays_of_an_index_are_shared_and_cannot_be_changed(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    for index in (read_index(path), again(path)):
        with pytest.raises(ValueError, match="read-only"):
            index.times[0] = 1
