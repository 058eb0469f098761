"""Small frames, made once and kept beside the data."""

import os
import socket

import numpy as np
import pytest

from mmfusion.datasets.media import small_frames
from mmfusion.datasets.media.video_io import open_video
from mmfusion.datasets.transforms import DecodeVideo
from tests.video_files import write_video

TIMES = np.array([[0.0, 0.25, 0.3]])


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "a.mp4")


def read(video, **options):
    results = dict(
        times=dict(video=TIMES),
        video_path=str(video),
        path_roots=(str(video.parent),),
    )
    return DecodeVideo(scale=(16, 12), **options)(results)


def files(video):
    return sorted((video.parent / small_frames.FOLDER).glob("*.npy"))


def test_kept_frames_are_those_that_decoding_gives(video):
    plain, first, second = read(video), read(video, keep=True), read(video, keep=True)
    assert len(files(video)) == 1
    assert np.load(files(video)[0]).shape == (12, 12, 16, 3)
    for found in (first, second):
        np.testing.assert_array_equal(found["imgs"], plain["imgs"])
        assert found["img_shape"] == (12, 16)


def test_the_second_reading_decodes_nothing(video, monkeypatch):
    before = read(video, keep=True)
    reader = type(open_video(video))
    monkeypatch.delattr(reader, "stream")
    monkeypatch.delattr(reader, "_read")
    np.testing.assert_array_equal(read(video, keep=True)["imgs"], before["imgs"])


def test_a_changed_video_and_a_damaged_file_are_made_anew(video):
    read(video, keep=True)
    write_video(video, 14)
    read(video, keep=True)
    assert len(files(video)) == 2
    for file in files(video):
        file.write_bytes(b"damaged")
    np.testing.assert_array_equal(read(video, keep=True)["imgs"], read(video)["imgs"])
    assert any(np.load(f).shape[0] == 14 for f in files(video) if f.stat().st_size > 9)


@pytest.mark.parametrize("limit", ["MOST_VIDEO_BYTES", "MOST_BYTES"])
def test_a_long_video_or_a_full_folder_is_decoded(video, monkeypatch, limit):
    monkeypatch.setattr(small_frames, limit, -1)
    assert len(read(video, keep=True)["imgs"]) == 3
    assert not files(video)


def test_a_folder_that_cannot_be_written_is_no_error(video):
    (video.parent / small_frames.FOLDER).write_text("a file is in the way")
    np.testing.assert_array_equal(read(video, keep=True)["imgs"], read(video)["imgs"])


def test_a_video_of_nobody_leaves_no_files(video):
    results = dict(times=dict(video=TIMES), video_path=str(video), path_roots=None)
    assert len(DecodeVideo(scale=(16, 12), keep=True)(results)["imgs"]) == 3
    assert not files(video)


SIZES = [(0, 4), 64, "64", (64.5, 4), (float("nan"), 4), (1 << 20, 4)]


@pytest.mark.parametrize(
    "options", [dict(keep=True), *(dict(scale=size) for size in SIZES)]
)
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match="expected \\(width, height\\)"):
        DecodeVideo(**options)


def test_what_a_killed_process_left_is_swept(video, monkeypatch):
    monkeypatch.setattr(small_frames._kept, "_swept", set())
    folder = video.parent / small_frames.FOLDER
    folder.mkdir()
    left = folder / f".a.npy.{socket.gethostname()}.{2**22 + 1}.x.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    read(video, keep=True)
    assert [path.suffix for path in folder.iterdir()] == [".npy"]


def test_a_video_that_was_deleted_meanwhile_is_not_kept(video):
    reader = open_video(video)
    video.unlink()
    assert small_frames.kept_small(reader, (16, 12), str(video.parent)) is None
