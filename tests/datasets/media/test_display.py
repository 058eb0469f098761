"""Whatever a container says of how its pictures are shown is obeyed, or refused."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from mmfusion.datasets.media.container_crop import read_crop
from mmfusion.datasets.media.display import orientation, pixel_aspect
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_encoding import EncodeSettings
from mmfusion.datasets.media.video_io import open_video
from mmfusion.datasets.media.video_preparation import Job, process
from mmfusion.utils.errors import MediaError, VideoDecodeError
from tests.video_files import (
    add_clean_aperture,
    number_of,
    picture,
    set_matrix,
    write_video,
)

# a, b, c, d of x' = a x + c y, y' = b x + d y, and what that does to a picture
ORIENTATIONS: dict[str, tuple[tuple[int, int, int, int], Callable]] = {
    "as stored": ((1, 0, 0, 1), lambda image: image),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "upside down": ((1, 0, 0, -1), np.flipud),
    "180": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "90 clockwise": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "90 against": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "transposed": ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    "the other diagonal": ((0, -1, -1, 0), lambda i: np.rot90(i, 2).swapaxes(0, 1)),
}


def plain(path: Path, number: int) -> np.ndarray:
    """A frame (h, w, 3) as it is stored."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return frames[number].to_ndarray(format="rgb24")


def prepared(path: Path) -> tuple[Path, dict]:
    """Output of ``prepare.py``, of good quality, and its record."""
    out = path.with_name("prepared.mp4")
    settings = EncodeSettings(short_side=96, crf=2, preset="ultrafast")
    return out, process(Job(path.name, str(path), str(out)), settings)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_eight_orientations(tmp_path, name):
    (a, b, c, d), turn = ORIENTATIONS[name]
    path = write_video(tmp_path / "a.mp4", 3)
    set_matrix(path, [a, b, 0, c, d, 0, 0, 0, 1])
    expected = turn(plain(path, 2))
    (frame,) = open_video(path).frames_at_index([2])
    np.testing.assert_array_equal(frame, expected)
    out, record = prepared(path)
    assert (record["display"] == "") == (name == "as stored")
    (after,) = open_video(out).frames_at_index([2])
    assert after.shape == expected.shape and not str(read_index(out).display)
    assert np.abs(after.astype(int) - expected).mean() < 3


def test_decord_is_refused_where_it_turns_wrongly(tmp_path):
    path = set_matrix(write_video(tmp_path / "a.mp4"), [-1, 0, 0, 0, 1, 0, 0, 0, 1])
    with pytest.raises(VideoDecodeError, match=r"a\.mp4.* decord.*not what a full"):
        open_video(path, "decord").frames_at_index([3])


def test_slanted_and_empty_matrices(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3)
    set_matrix(path, [0.7, 0.7, 0, -0.7, 0.7, 0, 0, 0, 1])
    with pytest.raises(VideoDecodeError, match="no multiple of 90"):
        open_video(path)
    assert orientation(np.zeros(9, np.int32)) == (False, (False, False))
    set_matrix(path, [0] * 9)
    assert number_of(open_video(path).frames_at_index([2])[0]) == 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("aspect", "shape"),
    [((2, 1), (96, 256)), ((1, 2), (192, 128)), ((99, 100), (96, 128))],
)
def test_pixels_become_square(tmp_path, suffix, aspect, shape):
    path = write_video(tmp_path / f"a.{suffix}", 3, aspect=Fraction(*aspect))
    (frame,) = open_video(path).frames_at_index([2])
    assert frame.shape[:2] == shape == read_index(path).size
    height, width = shape
    expected = cv2.resize(plain(path, 2), (width, height))
    np.testing.assert_array_equal(frame, expected)
    (same,) = open_video(path, "decord").frames_at_index([2])
    np.testing.assert_array_equal(same, expected)
    out, _ = prepared(path)
    assert read_index(out).size == (
        96 * height // 96 * 96 // min(shape),
        96 * width // min(shape),
    )


def test_a_pixel_aspect_that_is_none():
    assert [pixel_aspect(value) for value in (None, Fraction(0), Fraction(-1))] == [
        1
    ] * 3


def test_borders_that_the_container_hides(tmp_path):
    crop = (8, 16, 20, 4)  # top, bottom, left, right
    path = add_clean_aperture(write_video(tmp_path / "a.mp4", 3), crop)
    expected = plain(path, 2)[8:80, 20:124]
    np.testing.assert_array_equal(open_video(path).frames_at_index([2])[0], expected)
    out, record = prepared(path)
    assert record["display"] == "cut by 8, 16, 20, 4"
    after = open_video(out).frames_at_index([2])[0]
    assert after.shape == (72, 104, 3)
    assert np.abs(after.astype(int) - expected).mean() < 3


def element(name: int, content: bytes) -> bytes:
    """An element of a Matroska file."""
    size = len(content)
    assert size < 127
    return (
        name.to_bytes((name.bit_length() + 7) // 8, "big")
        + bytes([0x80 | size])
        + content
    )


def test_borders_in_matroska(tmp_path):
    sound = element(0xAE, element(0x83, b"\2"))
    crops = element(0x54BB, b"\x08") + element(0x54AA, b"\0\x10")
    crops += element(0x54CC, b"\x14") + element(0x54DD, b"\4")
    tracks = [
        element(0xAE, element(0x83, b"\1") + element(0xE0, inner))
        for inner in (b"", crops)
    ]
    content = element(0x1654AE6B, sound + b"".join(tracks))
    path = tmp_path / "a.mkv"
    path.write_bytes(element(0x1A45DFA3, b"") + element(0x18538067, content))

    def crop(order: int, size: tuple[int, int] = (96, 128)) -> tuple[int, ...]:
        return read_crop(str(path), "matroska,webm", track=0, order=order, size=size)

    assert crop(1) == (8, 16, 20, 4)
    assert crop(0) == crop(1, (20, 128)) == (0, 0, 0, 0)  # none; more than there is
    while data := path.read_bytes():  # broken off anywhere
        path.write_bytes(data[:-1])
        assert min(crop(1)) >= 0


def two_streams(path: Path, dispositions: list[Disposition], counts: list[int]) -> Path:
    """A file with two videos: the first bright, the second with numbered pictures."""
    with av.open(str(path), "w") as output:
        streams = []
        for disposition in dispositions:
            cover = disposition == Disposition.attached_pic
            stream = output.add_stream("mjpeg" if cover else "libx264", rate=10)
            stream.width, stream.height = 128, 96
            stream.pix_fmt = "yuvj420p" if cover else "yuv420p"
            stream.disposition = disposition
            streams.append(stream)
        for place, (stream, count) in enumerate(zip(streams, counts, strict=True)):
            for number in range(count):
                image = (
                    picture(number) if place else np.full((96, 128, 3), 250, np.uint8)
                )
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cover_picture_is_not_the_film(tmp_path, suffix):
    kinds = [Disposition.attached_pic, Disposition.default]
    path = two_streams(tmp_path / f"a.{suffix}", kinds, [1, 12])
    reader = open_video(path)
    assert reader.num_frames == 12
    assert number_of(reader.frames_at_index([7])[0]) == 7
    out, _ = prepared(path)
    assert number_of(open_video(out).frames_at_index([7])[0]) == 7


def test_of_two_videos_the_default_one(tmp_path):
    kinds = [Disposition(0), Disposition.default]
    path = two_streams(tmp_path / "a.mkv", kinds, [12, 12])
    assert number_of(open_video(path).frames_at_index([7])[0]) == 7
    with pytest.raises(VideoDecodeError):  # never a frame of the other
        assert number_of(open_video(path, "decord").frames_at_index([7])[0]) != 7
        raise VideoDecodeError(str(path), "decord", "read the right one")


@pytest.mark.parametrize(("delay", "lead"), [(0, 0), (5, 0), (100, 1.0)])
def test_time_counts_from_sound_that_begins_clearly_earlier(tmp_path, delay, lead):
    path = write_video(
        tmp_path / "a.mkv", stamps=[delay + 10 * n for n in range(12)], with_sound=True
    )
    reader = open_video(path)
    assert reader.times[0] == pytest.approx(lead, abs=2e-3)
    frames = reader.frames_at(np.array([0.0, lead + 0.35, lead + 1.15]))
    assert [number_of(frame) for frame in frames] == [0, 3, 11]
    out, _ = prepared(path)
    assert read_index(out).times[:2] == pytest.approx([0, lead + 0.1], abs=2e-3)


def test_stamps_below_zero(tmp_path):
    path = write_video(tmp_path / "a.ts", stamps=[10 * n - 50 for n in range(12)])
    reader = open_video(path)
    assert reader.times[0] == 0
    assert number_of(reader.frames_at(np.array([0.75]))[0]) == 7


def renamed(path: Path, *names: tuple[bytes, bytes]) -> Path:
    data = path.read_bytes()
    for before, after in names:
        assert before in data
        data = data.replace(before, after)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("tag", "reason"),
    [(b"zzzz", "codec is unknown.*ffmpeg -i"), (b"dvh1", "Dolby Vision")],
)
def test_streams_refused_by_name(tmp_path, tag, reason):
    path = renamed(write_video(tmp_path / "a.mp4", 3), (b"avc1", tag))
    for backend in ("auto", "decord"):
        with pytest.raises(MediaError, match=rf"a\.mp4.* with pyav.*{reason}"):
            open_video(path, backend)


def test_pq_is_refused_by_name(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3, transfer=16)
    with pytest.raises(VideoDecodeError, match="HDR"):
        open_video(path)


@pytest.mark.parametrize("suffix", ["h264", "m2v"])
def test_raw_streams_are_refused_with_the_remedy(tmp_path, suffix):
    codec = {"h264": "libx264", "m2v": "mpeg2video"}[suffix]
    path = write_video(tmp_path / f"a.{suffix}", codec=codec, rate=25)
    with pytest.raises(VideoDecodeError, match="no times.*-framerate"):
        open_video(path)


@pytest.mark.parametrize(
    "kind", ["interlaced", "full range", "BT.709", "10 bit", "alpha"]
)
def test_what_decoding_obeys(tmp_path, kind):
    """Woven fields, ranges, matrices, depths; alpha is left out: as FFmpeg converts."""
    codec, suffix, given = {
        "interlaced": ("libx264", "mp4", {"options": {"flags": "+ilme+ildct"}}),
        "full range": ("libx264", "mp4", {"colour_range": 2}),
        "BT.709": ("libx264", "mp4", {"matrix": 1}),
        "10 bit": ("libx264", "mp4", {"pix_fmt": "yuv420p10le"}),
        "alpha": ("qtrle", "mov", {"pix_fmt": "argb"}),
    }[kind]
    path = write_video(tmp_path / f"a.{suffix}", 6, codec=codec, **given)
    (frame,) = open_video(path).frames_at_index([4])
    np.testing.assert_array_equal(frame, plain(path, 4))
    assert abs(int(frame[48, 64, 0]) - int(picture(4)[48, 64, 0])) < 12
