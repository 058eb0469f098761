"""Windows of a video, decoded in one pass, are the frames that seeking gives."""

import gc

import numpy as np
import pytest

from mmfusion.datasets.media.array_video import ArrayVideo
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.sequential_video import SequentialVideo, open_for_windows
from mmfusion.datasets.media.video_index import decode_all
from mmfusion.datasets.media.video_io import open_video
from mmfusion.utils.errors import InputError
from tests.video_files import number_of, write_video

WINDOWS = [(start, start + 1.0) for start in np.arange(0, 5, 0.5)]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """56 frames at 10 a second; only the first is a keyframe."""
    folder = tmp_path_factory.mktemp("video")
    return write_video(folder / "a.mp4", 56, options={"g": "600", "bf": "2"})


def times(start, end):
    return start + (end - start) * (np.arange(4) + 0.5) / 4


def test_overlapping_windows_are_decoded_once_and_equal_what_seeking_gives(video):
    reader, plain = open_for_windows(video, WINDOWS), open_video(video)
    assert isinstance(reader, SequentialVideo)
    for window in WINDOWS:
        ours, expected = (x.frames_at(times(*window)) for x in (reader, plain))
        assert all(np.array_equal(*pair) for pair in zip(ours, expected, strict=True))
        assert len(reader._kept) <= 11  # no more than a window
    assert reader._position == int(times(*WINDOWS[-1])[-1] * 10)  # once, in order


def test_an_earlier_window_begins_anew(video):
    reader = SequentialVideo(read_index(video))
    shown = [
        number_of(*reader.frames_at_index([number])) for number in (30, 5, 5, 31, 30)
    ]
    assert shown == [30, 5, 5, 31, 30]


def test_few_windows_far_apart_are_sought(tmp_path):
    path = write_video(tmp_path / "a.mp4", 56, options={"g": "5"})
    far = open_for_windows(path, [(0, 0.5), (5, 5.5)])
    assert not isinstance(far, SequentialVideo)
    near = open_for_windows(path, [(x, x + 1.0) for x in np.arange(0, 5, 0.2)])
    assert isinstance(near, SequentialVideo)


def test_what_can_be_read_of_a_damaged_video_is_read(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 40, options={"g": "10", "bf": "0"})
    index = read_index(path)
    content = bytearray(path.read_bytes())
    content[index.positions[20] : index.positions[21]] = bytes(
        int(index.positions[21] - index.positions[20])
    )
    path.write_bytes(content)
    reader, plain = SequentialVideo(read_index(path)), open_video(path)
    for number in (5, 15, 35):
        (ours,), (expected,) = (x.frames_at_index([number]) for x in (reader, plain))
        assert np.array_equal(ours, expected)


def test_an_array_is_a_video():
    frames = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 4, 5, 3), np.uint8
    )
    video = ArrayVideo(frames, fps=2)
    assert video.duration == 3 and video.fps == 2
    first, second = video.frames_at(np.array([1.1, 1.1]))
    assert first[0, 0, 0] == second[0, 0, 0] == 2
    first[:] = 9
    assert second[0, 0, 0] == 2 and frames[2, 0, 0, 0] == 2


@pytest.mark.parametrize(
    ("frames", "fps", "match"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), 10, "array of float32"),
        (np.zeros((4, 4, 3), np.uint8), 10, r"expected\s+uint8 \(t, h, w, 3\)"),
        (np.zeros((2, 3, 4, 4), np.uint8), 10, r"\(2, 3, 4, 4\)"),
        (np.zeros((0, 4, 4, 3), np.uint8), 10, "expected one frame or more"),
        (np.zeros((2, 4, 4, 3), np.uint8), 0, "fps of video 'array' is 0"),
        (np.zeros((2, 4, 4, 3), np.uint8), float("nan"), "is nan"),
    ],
    ids=["float", "no-time", "channels-first", "empty", "no-rate", "nan"],
)
def test_what_is_no_array_of_frames_is_told(frames, fps, match):
    with pytest.raises(InputError, match=match):
        ArrayVideo(frames, fps)


def test_frames_leave_memory_without_a_search_for_rings(video):
    """A ring keeps a frame until Python looks for rings: hundreds of frames."""
    gc.collect()
    gc.disable()
    try:
        frames = sum(1 for _ in decode_all(read_index(video)))
        kinds = [type(item).__name__ for item in gc.get_objects()]
    finally:
        gc.enable()
    assert frames == 56 and kinds.count("SideDataContainer") <= 2
