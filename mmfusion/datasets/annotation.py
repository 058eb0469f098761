"""The annotation file, version 1: one JSON for every stream, read and written here.

    {"metainfo": {"version": 1, "dataset": "h2o", "classes": {"action": [...]}},
     "data_list": [{"id": "s1/h1/0#16", "start_sec": 0.0, "end_sec": 2.07, ...}]}

A file named ``.jsonl`` holds ``{"metainfo": {...}}`` in its first line and one record
in each further line. What every key may hold is said in ``annotation_schema.py``, from
which the checks and the error messages are made.
"""

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmfusion.datasets.annotation_schema import (
    METAINFO_FIELDS,
    RECORD_FIELDS,
    Field,
    is_integer,
    is_name,
)
from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import parse_json, read_bytes

STREAM_KEYS = ("video", "frame_dir", "skeleton", "text")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _check_keys(found: Mapping, fields: Mapping[str, Field], where: str) -> dict:
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
        if not is_integer(number) or not 0 <= number < count:
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
    checked: list[dict] = []
    seen: dict[str, str] = {}
    for number, record in enumerate(records):
        place = places[number] if places is not None else f"record {number}"
        where = f"{source}: {place}"
        if isinstance(record, dict) and is_name(record.get("id")):
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
