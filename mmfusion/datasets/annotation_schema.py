"""What every key of an annotation file may hold, in code and in words."""

import math
import re
import string
from collections.abc import Callable
from typing import Any, NamedTuple

from mmfusion.utils.paths import unsafe_reason

VERSION = 1
_MAX_COUNT = 2**31
_MAX_SECONDS = 1e7  # 115 days: a larger number is a unit mistake
_FRAME_SPEC = re.compile(r"0?\d{0,2}d?")


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (is_integer(value) and abs(value) < 2**53) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _is_count(value: Any) -> bool:
    return is_integer(value) and 0 <= value < _MAX_COUNT


def _is_positive(value: Any) -> bool:
    return _is_count(value) and value > 0


def _is_seconds(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= _MAX_SECONDS


def _is_rate(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1e5


def is_name(value: Any) -> bool:
    """Fit for logs and tables; isprintable is False for half a surrogate pair, too."""
    return isinstance(value, str) and 0 < len(value) <= 1024 and value.isprintable()


def _is_path(value: Any) -> bool:
    return unsafe_reason(value) is None


def is_frame_template(value: Any) -> bool:
    """Whether ``value`` is a plain file name with one integer in it.

    ``str.format`` can reach into objects (``{0.__class__}``), so only a bare field with
    an integer format passes.
    """
    if not _is_path(value) or "/" in value:
        return False
    try:
        fields = [
            part[1:]
            for part in string.Formatter().parse(value)
            if part[1:][0] is not None
        ]
    except ValueError:
        return False
    return len(fields) == 1 and (
        fields[0][0] in ("", "0")
        and _FRAME_SPEC.fullmatch(fields[0][1] or "") is not None
        and fields[0][2] is None
    )


def _is_file(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"file"}
        and (value["file"] is None or _is_path(value["file"]))
    )


def _is_camera(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"fx", "fy", "cx", "cy", "width", "height"}
        and all(_is_number(number) for number in value.values())
        and all(value[key] > 0 for key in ("fx", "fy", "width", "height"))
    )


def _is_frame_ids(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(_is_count(number) for number in value)
        and all(a < b for a, b in zip(value, value[1:], strict=False))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and (text is None or isinstance(text, str))
        for key, text in value.items()
    )


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_classes(value: Any) -> bool:
    return isinstance(value, dict) and all(
        is_name(task)
        and isinstance(names, list)
        and len(names) > 0
        and all(isinstance(name, str) for name in names)
        for task, names in value.items()
    )


class Field(NamedTuple):
    """One key: what it may hold, in code and in words, and what stands in for it."""

    check: Callable[[Any], bool]
    expected: str
    default: Any = None  # of a key that is left out
    required: bool = False
    nullable: bool = True


_COUNT = f"an integer in 0..{_MAX_COUNT - 1}"
_SECONDS = "seconds >= 0"
_PATH = "a relative path inside data_root, with '/' and without '..'"

RECORD_FIELDS = {
    "id": Field(is_name, "a printable string, unique in the file", None, True, False),
    "group": Field(is_name, "the sequence's name, a printable string"),
    "split": Field(is_name, "a split's name, such as 'train'"),
    "video": Field(_is_path, _PATH),
    "frame_dir": Field(_is_path, _PATH),
    "filename_tmpl": Field(
        is_frame_template, "a file name with one integer field, such as '{:06d}.jpg'"
    ),
    "start_index": Field(
        _is_count, f"the number of the first file, {_COUNT}", 0, False, False
    ),
    "total_frames": Field(_is_positive, "the number of frames, an integer >= 1"),
    "start_sec": Field(_is_seconds, _SECONDS, None, True, False),
    "end_sec": Field(
        _is_seconds,
        f"{_SECONDS} after start_sec, or null for the whole rest",
        None,
        True,
    ),
    "start_frame": Field(_is_count, _COUNT),
    "end_frame": Field(_is_count, f"the last frame, included, {_COUNT}"),
    "index_fps": Field(_is_rate, "frames per second of the frame numbers, > 0"),
    "frame_ids": Field(_is_frame_ids, "a list of rising frame numbers, at least one"),
    "skeleton": Field(_is_file, f'{{"file": {_PATH}}}, and no other key'),
    "boxes": Field(_is_file, f'{{"file": {_PATH}}}, and no other key'),
    "label": Field(_is_dict, "{task: class number from 0}", None, True, False),
    "text": Field(_is_text, "{name: string}"),
    "camera": Field(_is_camera, "numbers fx, fy, cx, cy, width and height"),
    "extra": Field(_is_dict, "a dict of anything more", None),
}

METAINFO_FIELDS = {
    "version": Field(
        lambda value: is_integer(value) and value == VERSION,
        f"{VERSION}",
        None,
        True,
        False,
    ),
    "dataset": Field(
        is_name, "the dataset's name, a printable string", "", True, False
    ),
    "classes": Field(
        _is_classes, "{task: [class names]}, no list empty", None, True, False
    ),
    "skeleton": Field(_is_dict, "layout, hands, unit and frame of the skeletons"),
    "question_source": Field(is_name, "where the questions are from"),
    "extra": Field(_is_dict, "a dict of anything more"),
}
