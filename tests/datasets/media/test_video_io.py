import pickle
import subprocess
import sys

import numpy as np
import pytest

from mmfusion.datasets.media import video_io
from mmfusion.datasets.media.video_io import open_video
from mmfusion.utils.errors import VideoDecodeError
from tests.video_files import number_of, set_rotation, write_video

BACKENDS = ("decord", "pyav")
# two groups of pictures; the second keyframe has leading frames where it is open
OPEN_GOP = {"x264-params": "keyint=8:min-keyint=8:open-gop=1:bframes=2:scenecut=0"}


@pytest.mark.parametrize(
    ("seconds", "frame"),
    [
        (-0.0009, 0),
        (0.2989, 2),
        (0.2991, 3),  # a rounding error of a container before frame 3
        (0.3, 3),
        (0.3989, 3),
        (1.2, 11),  # the end
        (1.2 + 0.499, 11),
    ],
)
def test_a_frame_is_shown_from_its_time_to_the_next(tmp_path, seconds, frame):
    reader = open_video(write_video(tmp_path / "a.mp4"))
    assert reader.index_at(np.array([seconds])).tolist() == [frame]


@pytest.mark.parametrize("seconds", [-0.0011, 1.2 + 0.501])
def test_a_time_just_outside_is_refused(tmp_path, seconds):
    reader = open_video(write_video(tmp_path / "a.mp4"))
    with pytest.raises(VideoDecodeError, match=r"expected 0 to 1.200 s"):
        reader.index_at(np.array([seconds]))


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
def test_frames_by_index_and_time(tmp_path, backend):
    reader = open_video(write_video(tmp_path / "a.mp4"), backend)
    assert (reader.num_frames, reader.width, reader.height) == (12, 128, 96)
    assert reader.fps == pytest.approx(10)
    assert reader.duration == pytest.approx(1.2)
    frames = reader.frames_at_index([7, 0, 7, 11])
    assert [number_of(frame) for frame in frames] == [7, 0, 7, 11]
    assert all(f.dtype == np.uint8 and f.shape == (96, 128, 3) for f in frames)
    frames = reader.frames_at(np.array([0.05, 0.1, 0.38, 1.15]))
    assert [number_of(frame) for frame in frames] == [0, 1, 3, 11]


def test_repeated_frames_have_their_own_memory(tmp_path):
    first, second = open_video(write_video(tmp_path / "a.mp4")).frames_at_index([3, 3])
    first[:] = 0
    assert number_of(second) == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_variable_rate_goes_by_time_stamps(tmp_path, backend):
    path = write_video(tmp_path / "a.mkv", stamps=[0, 10, 20, 90, 100, 200])
    reader = open_video(path, backend)
    times = np.array([0.15, 0.5, 0.95, 1.5, 2.05])
    assert [number_of(frame) for frame in reader.frames_at(times)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("angle", [90, 180, 270])
@pytest.mark.parametrize("backend", BACKENDS)
def test_rotation_flags_are_honoured(tmp_path, backend, angle):
    path = set_rotation(write_video(tmp_path / "a.mp4"), angle)
    reader = open_video(path, backend)
    frame = reader.frames_at_index([2])[0]
    assert frame.shape == (reader.height, reader.width, 3)
    assert frame.shape == ((96, 128, 3) if angle == 180 else (128, 96, 3))
    # the white corner, top left as stored, turns clockwise
    row, column = {90: (0, -1), 180: (-1, -1), 270: (-1, 0)}[angle]
    assert frame[row, column].min() > 200


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
def test_open_groups_of_pictures(tmp_path, backend):
    path = write_video(tmp_path / "a.mp4", num_frames=40, options=OPEN_GOP)
    for index in ([9], [17, 30], [0, 8, 39]):
        frames = open_video(path, backend).frames_at_index(index)
        assert [number_of(frame) for frame in frames] == index


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("b_frames", ["0", "2"])
@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv"])
def test_mpeg4_frames_without_stamps_of_their_own(tmp_path, suffix, b_frames, backend):
    # one group of pictures: only then does decord 0.6 skip (and lose) frames in AVI
    path = tmp_path / f"a.{suffix}"
    options = {"bf": b_frames, "g": "100", "b": "4000000", "qmax": "2"}
    write_video(path, num_frames=40, codec="mpeg4", options=options)
    for index in ([39], [0, 13, 26, 39], [5, 38, 39]) * 5:
        frames = open_video(path, backend).frames_at_index(index)
        assert [number_of(frame) for frame in frames] == index


def test_decord_skips_only_where_the_file_states_stamps(tmp_path, monkeypatch):
    def skips(self, *_):
        raise AssertionError("decord was told to skip")

    decord = video_io._import_decord()
    for name in ("get_batch", "seek", "seek_accurate", "skip_frames"):
        monkeypatch.setattr(decord.VideoReader, name, skips)
    path = write_video(tmp_path / "a.avi", codec="mpeg4", options={"bf": "2"})
    assert number_of(open_video(path, "decord").frames_at_index([11])[0]) == 11


def test_a_frame_that_decord_would_substitute_is_an_error(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4")
    decord = video_io._import_decord()

    def limit(*_):
        raise decord.DECORDLimitReachedError("more than 0 duplicate frames")

    monkeypatch.setattr(decord.VideoReader, "get_batch", limit)
    with pytest.raises(VideoDecodeError, match="more than 0 duplicate"):
        open_video(path, "decord").frames_at_index([5])
    assert number_of(open_video(path).frames_at_index([5])[0]) == 5


@pytest.mark.parametrize("size", [(64, 48), (126, 94)], ids=str)
def test_backends_give_the_same_pixels(tmp_path, size):
    path = write_video(tmp_path / "a.mp4", size=size)
    one, two = (open_video(path, name).frames_at_index(range(12)) for name in BACKENDS)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("content", [b"", b"not a video\n" * 99], ids=["empty", "text"])
def test_not_a_video(tmp_path, backend, content):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoDecodeError, match=r"broken\.mp4"):
        open_video(path, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_truncated_video_never_gives_frames_it_lacks(tmp_path, backend):
    path = write_video(tmp_path / "a.mkv", num_frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoDecodeError):
        open_video(path, backend).frames_at(np.array([0.1, 3.9]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_damaged_bytes_give_all_frames_or_the_error(tmp_path, backend):
    data = write_video(tmp_path / "a.mp4", num_frames=24).read_bytes()
    rng = np.random.default_rng(0)
    for case in range(20):
        damaged = bytearray(data)
        start = rng.integers(len(data) - 40)
        damaged[start : start + 40] = rng.bytes(40)
        path = tmp_path / f"{case}.mp4"
        path.write_bytes(damaged)
        try:
            frames = open_video(path, backend).frames_at(np.linspace(0, 2.3, 5))
        except VideoDecodeError as error:
            assert path.name in str(error)
        else:
            assert len(frames) == 5 and len({f.shape for f in frames}) == 1


@pytest.mark.parametrize(
    "path",
    ["http://host/a.mp4", "concat:a.mp4|b.mp4", "pipe:0", "file:///a.mp4", "a\0.mp4"],
)
def test_only_local_files(path):
    with pytest.raises(VideoDecodeError, match="expected a local path"):
        open_video(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(VideoDecodeError, match="does not exist"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(VideoDecodeError, match="regular file"):
        open_video(tmp_path)


def test_playlist_cannot_open_other_files(tmp_path):
    write_video(tmp_path / "secret.mp4")
    text = "ffconcat version 1.0\nfile secret.mp4\n"
    (tmp_path / "a.mp4").write_text(text)
    with pytest.raises(VideoDecodeError):
        open_video(tmp_path / "a.mp4")


def test_zero_frames_and_outside_times(tmp_path):
    write_video(tmp_path / "a.mp4", num_frames=1)
    reader = open_video(tmp_path / "a.mp4")
    assert reader.num_frames == 1
    with pytest.raises(ValueError, match="one or more"):
        reader.frames_at(np.array([]))
    with pytest.raises(VideoDecodeError, match="frames 1 to 1 asked"):
        reader.frames_at_index([1])
    with pytest.raises(VideoDecodeError, match="asks for"):
        reader.frames_at(np.array([np.nan]))


def test_size_caps_come_before_decoding(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setattr(video_io, "MAX_CLIP_BYTES", 1000)
    for backend in BACKENDS:
        with pytest.raises(VideoDecodeError, match="limit"):
            open_video(path, backend).frames_at_index([0])


def test_auto_needs_no_decord(tmp_path, monkeypatch):
    def no_decord():
        raise ImportError("no decord here")

    monkeypatch.setattr(video_io, "_import_decord", no_decord)
    path = write_video(tmp_path / "a.mp4")
    assert number_of(open_video(path).frames_at_index([5])[0]) == 5
    with pytest.raises(ImportError):
        open_video(path, "decord")


def test_auto_reads_what_decord_cannot(tmp_path):
    # decord 0.6 fails on narrow frames turned by 90 degrees
    path = set_rotation(write_video(tmp_path / "a.mp4", size=(64, 48)), 90)
    with pytest.raises(VideoDecodeError, match="decord"):
        open_video(path, "decord").frames_at_index([3])
    assert number_of(open_video(path, "auto").frames_at_index([3])[0]) == 3


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("b_frames", ["0", "2"])
def test_no_table_of_keyframes(tmp_path, backend, b_frames):
    # every frame then passes for a keyframe, and decord gives wrong ones after a seek
    path = write_video(tmp_path / "a.mp4", 40, options={"g": "10", "bf": b_frames})
    path.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    reader = open_video(path, backend)
    for number in range(0, 40, 3):
        try:
            (frame,) = reader.frames_at_index([number])
        except VideoDecodeError as error:
            assert backend == "decord" and "'pyav'" in str(error)
        else:
            assert number_of(frame) == number


def test_an_error_of_decord_names_the_other_backend(tmp_path):
    reader = open_video(write_video(tmp_path / "a.mp4"), "decord")
    assert str(reader.broken("lost")).endswith("lost; try backend 'pyav'")


def test_unknown_backend():
    with pytest.raises(ValueError, match="backend: got 'ffmpeg'"):
        open_video("a.mp4", "ffmpeg")


def test_error_survives_pickling():
    error = pickle.loads(pickle.dumps(VideoDecodeError("a.mp4", "pyav", "no frames")))
    assert isinstance(error, VideoDecodeError) and "no frames" in str(error)


@pytest.mark.slow  # a process of its own imports everything
def test_decoders_are_silent_on_stderr(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    code = (
        "from mmfusion.datasets.media.video_io import open_video\n"
        f"try: open_video({str(tmp_path / 'a.mp4')!r}).frames_at_index([0])\n"
        "except ValueError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
