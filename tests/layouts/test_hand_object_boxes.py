"""Published detections, as bytes, and boxes in csv files."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from mmfusion.layouts.hand_object_boxes import (
    CSV_COLUMNS,
    parse_message,
    read_box_csv,
    read_detections,
)
from mmfusion.utils.errors import BoxError
from tests.ek100_files import write_csv


def _field(number: int, value: int | float | bytes) -> bytes:
    """One field of a protobuf message; small numbers only."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        low = [value & 0x7F | 0x80, value >> 7] if value > 127 else [value]
        return bytes([number << 3, *low])
    return bytes([number << 3 | 2, len(value)]) + value


def _box(*corners: float) -> bytes:
    # zeros are left out, as protobuf does
    return b"".join(_field(i, c) for i, c in enumerate(corners, 1) if c)


def _hand(side: int, score: float, *corners: float) -> bytes:
    own = [_field(1, _box(*corners)), _field(2, score), _field(3, 3)]
    return b"".join([*own, *([_field(5, side)] if side else [])])


def _frame(number: int, *parts: bytes, video: bytes = b"P01_101") -> bytes:
    return _field(1, video) + _field(2, number) + b"".join(parts)


FRAMES = [
    _frame(
        1,
        _field(3, _hand(0, 0.9, 0.0, 0.5, 0.25, 1.0)),
        _field(3, _hand(0, 0.6, 0.5, 0.5, 0.75, 1.0)),
        _field(3, _hand(1, 0.3, 0.5, 0.5, 0.75, 1.0)),
        _field(4, _field(1, _box(0.25, 0.25, 0.5, 0.5)) + _field(2, 0.75)),
    ),
    _frame(2),
    _frame(300, _field(3, _hand(1, 0.95, 0.5, 0.5, 1.5, 1.0))),
]


def _write(folder: Path, frames: object, name: str = "P01_101.pkl") -> Path:
    (folder / name).write_bytes(pickle.dumps(frames))
    return folder / name


def test_the_best_box_of_each_place_is_taken(tmp_path: Path) -> None:
    found = read_detections(_write(tmp_path, FRAMES))
    assert found.names == ("left hand", "right hand", "object", "object 2")
    assert found.sequence == "P01_101" and found.fps == 50.0
    assert found.frame_id.tolist() == [0, 1, 299]
    assert found.valid.tolist() == [
        [True, False, True, False],
        [False] * 4,
        [False, True, False, False],
    ]
    np.testing.assert_allclose(found.boxes[0, 0], [0, 0.5, 0.25, 1])
    np.testing.assert_allclose(found.boxes[2, 1], [0.5, 0.5, 1, 1])  # cut at the border


def test_thresholds_are_the_users(tmp_path: Path) -> None:
    path = _write(tmp_path, FRAMES)
    assert read_detections(path, hand_threshold=0.2).valid[0, 1]
    assert not read_detections(path, object_threshold=0.8).valid[:, 2].any()
    with pytest.raises(BoxError, match="no box is above the thresholds"):
        read_detections(path, hand_threshold=1, object_threshold=1)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({"a": 1}, "expected a list of bytes"),
        (["text"], "expected a list of bytes"),
        ([FRAMES[0][:-1]], "frame 0 of the list: the message is cut"),
        ([b"\x0f"], "wire type 7"),
        ([_field(3, _hand(2, 0.9, 0, 0, 1.0, 1.0))], "side of a hand is 2"),
        ([_frame(1, video=b"P01_102")], "frame 0 is of the video 'P01_102'"),
        ([b"\xff" * 12], "more than 64 bits"),
        (
            [_frame(1, _field(3, _hand(1, 0.9, 0.0, 0.0, 456.0, 256.0)))],
            "a box is .*fractions",
        ),
        (
            [_frame(1, _field(3, _hand(1, 0.9, np.nan, 0.0, 1.0, 1.0)))],
            "0 of the list: a b",
        ),
        ([FRAMES[0], FRAMES[0]], "P01_101.pkl.*comes twice"),
    ],
)
def test_other_files_are_refused(frames: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(BoxError, match=message):
        read_detections(_write(tmp_path, frames))


def test_a_pickle_that_would_run_is_refused(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "run",))

    with pytest.raises(BoxError):
        read_detections(_write(tmp_path, [Bad()]))
    assert not (tmp_path / "run").exists()


def test_any_bytes_are_parsed_or_refused() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(FRAMES[0])
        data[rng.integers(len(data))] = rng.integers(256)
        try:
            parse_message(bytes(data))
        except ValueError:
            continue


def test_a_csv_file_gives_a_cache_per_video(tmp_path: Path) -> None:
    rows = [
        ["P01_01", 0, "left hand", 0, 0, 0.5, 0.5],
        ["P01_01", 3, "knife", 0.25, 0, 0.5, 1],
        ["P01_101", 7, "right hand", 0, 0, 1, 1],
    ]
    write_csv(tmp_path / "boxes.csv", [CSV_COLUMNS, *rows])
    found = read_box_csv(tmp_path / "boxes.csv")
    assert found["P01_01"].names == ("left hand", "right hand", "knife")
    assert (found["P01_01"].fps, found["P01_101"].fps) == (60.0, 50.0)
    assert found["P01_01"].frame_id.tolist() == [0, 3]
    rows[1][3] = 250
    write_csv(tmp_path / "boxes.csv", [CSV_COLUMNS, *rows])
    with pytest.raises(BoxError, match=r"boxes.csv:3.*expected corners in 0..1"):
        read_box_csv(tmp_path / "boxes.csv")
    rows[1][3] = "\uff11"  # a digit that float() takes
    write_csv(tmp_path / "boxes.csv", [CSV_COLUMNS, *rows])
    with pytest.raises(BoxError, match=r"boxes.csv:3.*a corner is"):
        read_box_csv(tmp_path / "boxes.csv")
    write_csv(tmp_path / "boxes.csv", [["a", "b"]])
    with pytest.raises(BoxError, match=r"boxes.csv:1.*the header is not video_id,"):
        read_box_csv(tmp_path / "boxes.csv")
