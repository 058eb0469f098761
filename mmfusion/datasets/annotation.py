"""The annotation file, version 1: one JSON for every stream, read and written here.

    {"metainfo": {"version": 1, "dataset": "h2o", "classes": {"action": [...]}},
     "data_list": [{"id": "s1/h1/0#16", "start_sec": 0.0, "end_sec": 2.07, ...}]}

A file named ``.jsonl`` holds ``{"metainfo": {...}}`` in its first line and one record
in each further line. What every key means is said in the tables below, which the checks
and the error messages are made from.
"""

import difflib
import json
import math
import os
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mmfusion.utils.paths import unsafe_reason, write_atomic

VERSION = 1
_MAX_COUNT = 2**31
_MAX_SECONDS = 1e7  # 115 days: a larger number is a unit mistake
_FRAME_SPEC = re.compile(r"0?\d{0,2}d?")


class AnnotationError(ValueError):
    """An annotation is wrong; the text names file, record and key, and what to do."""


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (_is_int(value) and abs(value) < 2**53) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _is_count(value: Any) -> bool:
    return _is_int(value) and 0 <= value < _MAX_COUNT


def _is_positive(value: Any) -> bool:
    return _is_count(value) and value > 0


def _is_seconds(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= _MAX_SECONDS


def _is_rate(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1e5


def _is_name(value: Any) -> bool:
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


def _is_skeleton(value: Any) -> bool:
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
        _is_name(task)
        and isinstance(names, list)
        and len(names) > 0
        and all(isinstance(name, str) for name in names)
        for task, names in value.items()
    )


class _Field(NamedTuple):
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
    "id": _Field(_is_name, "a printable string, unique in the file", None, True, False),
    "group": _Field(_is_name, "the sequence's name, a printable string"),
    "split": _Field(_is_name, "a split's name, such as 'train'"),
    "video": _Field(_is_path, _PATH),
    "frame_dir": _Field(_is_path, _PATH),
    "filename_tmpl": _Field(
        is_frame_template, "a file name with one integer field, such as '{:06d}.jpg'"
    ),
    "start_index": _Field(
        _is_count, f"the number of the first file, {_COUNT}", 0, False, False
    ),
    "total_frames": _Field(_is_positive, "the number of frames, an integer >= 1"),
    "start_sec": _Field(_is_seconds, _SECONDS, None, True, False),
    "end_sec": _Field(
        _is_seconds,
        f"{_SECONDS} after start_sec, or null for the whole rest",
        None,
        True,
    ),
    "start_frame": _Field(_is_count, _COUNT),
    "end_frame": _Field(_is_count, f"the last frame, included, {_COUNT}"),
    "index_fps": _Field(_is_rate, "frames per second of the frame numbers, > 0"),
    "frame_ids": _Field(_is_frame_ids, "a list of rising frame numbers, at least one"),
    "skeleton": _Field(_is_skeleton, f'{{"file": {_PATH}}}, and no other key'),
    "label": _Field(_is_dict, "{task: class number from 0}", None, True, False),
    "text": _Field(_is_text, "{name: string}"),
    "camera": _Field(_is_camera, "numbers fx, fy, cx, cy, width and height"),
    "extra": _Field(_is_dict, "a dict of anything more", None),
}

METAINFO_FIELDS = {
    "version": _Field(lambda value: value == VERSION, f"{VERSION}", None, True, False),
    "dataset": _Field(
        _is_name, "the dataset's name, a printable string", "", True, False
    ),
    "classes": _Field(
        _is_classes, "{task: [class names]}, no list empty", None, True, False
    ),
    "skeleton": _Field(_is_dict, "layout, hands, unit and frame of the skeletons"),
    "question_source": _Field(_is_name, "where the questions are from"),
    "extra": _Field(_is_dict, "a dict of anything more"),
}

STREAM_KEYS = ("video", "frame_dir", "skeleton", "text")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _check_keys(found: Mapping, fields: Mapping[str, _Field], where: str) -> dict:
    """``found`` with its keys and values checked and defaults filled in."""
    if not isinstance(found, dict):
        raise AnnotationError(
            f"{where} is {_show(found)}; expected an object with keys {list(fields)}"
        )
    for key in found:
        if key not in fields:
            near = difflib.get_close_matches(str(key), list(fields), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {list(fields)}."
            raise AnnotationError(
                f"{where} has the unknown key {_show(key)}; {hint} What no reader here"
                " knows belongs under 'extra'"
            )
    checked = {}
    for key, field in fields.items():
        if key not in found:
            if field.required:
                raise AnnotationError(
                    f"{where} lacks the key {key!r}; expected {field.expected}"
                )
            checked[key] = field.default
            continue
        value = found[key]
        if not (value is None and field.nullable) and not field.check(value):
            raise AnnotationError(
                f"{where}: {key} is {_show(value)}; expected {field.expected}"
            )
        checked[key] = value
    return checked


def _check_label(label: Mapping, classes: Mapping[str, Sequence], where: str) -> None:
    for task, number in label.items():
        if task not in classes:
            raise AnnotationError(
                f"{where}: label has the task {_show(task)}; expected one of"
                f" {sorted(classes)}, the tasks of metainfo.classes"
            )
        count = len(classes[task])
        if not _is_int(number) or not 0 <= number < count:
            raise AnnotationError(
                f"{where}: label.{task} is {_show(number)}; expected an integer in"
                f" 0..{count - 1}, as metainfo.classes lists {count}. Labels count from"
                " 0: subtract 1 if these count from 1"
            )


def _check_extent(record: Mapping, where: str) -> None:
    """A clip has at least one stream, and in it at least one frame."""
    if all(record[key] is None for key in STREAM_KEYS):
        raise AnnotationError(
            f"{where} has no stream; expected at least one of {STREAM_KEYS} not null"
        )
    start, end = record["start_sec"], record["end_sec"]
    if end is not None and end <= start:
        raise AnnotationError(
            f"{where}: end_sec is {end} and start_sec {start}; expected end_sec after"
            " start_sec: the clip has zero frames or is reversed"
        )
    first, last = record["start_frame"], record["end_frame"]
    if first is not None and last is not None and last < first:
        raise AnnotationError(
            f"{where}: end_frame is {last} and start_frame {first}; expected end_frame"
            " >= start_frame (it is included): the clip has zero frames or is reversed"
        )
    if record["frame_dir"] is not None:
        for key in ("index_fps", "filename_tmpl"):
            if record[key] is None:
                raise AnnotationError(
                    f"{where}: {key} is missing; expected"
                    f" {RECORD_FIELDS[key].expected}, as there is a frame_dir"
                )


def check_metainfo(metainfo: Any, source: str) -> dict:
    """``metainfo`` checked, with every key of METAINFO_FIELDS."""
    return _check_keys(metainfo, METAINFO_FIELDS, f"{source}: metainfo")


def check_records(
    records: Sequence[Mapping],
    metainfo: Mapping,
    source: str,
    *,
    places: Sequence[str] | None = None,
) -> list[dict]:
    """Records checked, each with every key of RECORD_FIELDS.

    Args:
        records: as in ``data_list``.
        metainfo: its ``classes`` are what labels must fit.
        source: name of the file, for errors.
        places: name of each record's place, as ``"line 3"``; by default its number.

    Raises:
        AnnotationError: something is wrong with a record.
    """
    checked, seen = [], {}
    for number, record in enumerate(records):
        place = places[number] if places is not None else f"record {number}"
        where = f"{source}: {place}"
        if isinstance(record, dict) and _is_name(record.get("id")):
            where += f" (id {record['id']!r})"
        item = _check_keys(record, RECORD_FIELDS, where)
        _check_label(item["label"], metainfo["classes"], where)
        _check_extent(item, where)
        if item["id"] in seen:
            raise AnnotationError(
                f"{where}: the id was used in {seen[item['id']]}; expected unique ids:"
                " they name predictions and seed the randomness of a sample"
            )
        seen[item["id"]] = place
        checked.append(item)
    return checked


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def parse_json(data: bytes, where: str) -> Any:
    """Parse UTF-8 JSON, with or without a byte order mark.

    Raises:
        AnnotationError: it is not JSON; the text says where.
    """
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise AnnotationError(
            f"{where} is not valid JSON: {reason}; write it again, or give its format"
            " by ann_format"
        ) from None


def read_bytes(path: str) -> bytes:
    """The whole annotation file.

    Raises:
        AnnotationError: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise AnnotationError(
            f"annotation file {path!r} cannot be read: {error}; run the dataset's"
            " tools/data/<dataset>/prepare.py to make it"
        ) from None


def load_annotation(path: str) -> tuple[dict, list[dict]]:
    """Read and check an annotation file.

    Args:
        path: ``.json``, or ``.jsonl`` with one record a line.

    Returns:
        metainfo with every key of METAINFO_FIELDS; records with every key of
        RECORD_FIELDS, keys that the file leaves out set to their defaults.

    Raises:
        AnnotationError: names file, record and key, what came, what was expected.
    """
    data = read_bytes(path)
    if path.endswith(".jsonl"):
        return _load_lines(data, path)
    content = parse_json(data, path)
    if not isinstance(content, dict) or set(content) != {"metainfo", "data_list"}:
        came = list(content) if isinstance(content, dict) else type(content).__name__
        raise AnnotationError(
            f"{path} holds {_show(came)}; expected an object with the keys 'metainfo'"
            " and 'data_list'"
        )
    if not isinstance(content["data_list"], list):
        raise AnnotationError(
            f"{path}: data_list is {_show(content['data_list'])}; expected a list"
        )
    metainfo = check_metainfo(content["metainfo"], path)
    return metainfo, check_records(content["data_list"], metainfo, path)


def _load_lines(data: bytes, path: str) -> tuple[dict, list[dict]]:
    head: Any = None
    records, places = [], []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        value = parse_json(line, f"{path}: line {number}")
        if head is None:
            head = value
            continue
        records.append(value)
        places.append(f"line {number}")
    if not isinstance(head, dict) or set(head) != {"metainfo"}:
        raise AnnotationError(
            f'{path}: the first line is {_show(head)}; expected {{"metainfo": ...}}'
        )
    metainfo = check_metainfo(head["metainfo"], path)
    return metainfo, check_records(records, metainfo, path, places=places)


def write_annotation(
    path: str | os.PathLike, metainfo: Mapping, records: Sequence[Mapping]
) -> None:
    """Check an annotation and write it so that it is there whole or not at all.

    Args:
        path: ``.json``, or ``.jsonl``; its folder is made.
        metainfo: keys of METAINFO_FIELDS.
        records: keys of RECORD_FIELDS; keys may be left out where they have a default.

    Raises:
        AnnotationError: a record would not be readable.
    """
    path = os.fspath(path)
    check_records(records, check_metainfo(dict(metainfo), path), path)

    def dump(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    lines = [dump(record) for record in records]
    if path.endswith(".jsonl"):
        text = "\n".join([dump({"metainfo": metainfo}), *lines])
    else:
        body = ",\n".join(lines)
        text = f'{{"metainfo": {dump(metainfo)},\n"data_list": [\n{body}\n]}}'
    write_atomic(path, f"{text}\n".encode())
