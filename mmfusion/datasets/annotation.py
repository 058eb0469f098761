"""The annotation file, version 1: one JSON for every stream, read and written here.

    {"metainfo": {"version": 1, "dataset": "h2o", "classes": {"action": [...]}},
     "data_list": [{"id": "s1/h1/0#16", "start_sec": 0.0, "end_sec": 2.07, ...}]}

A file named ``.jsonl`` holds ``{"metainfo": {...}}`` in its first line and one record
in each further line. What every key may hold is said in ``annotation_schema.py``, from
which the checks and the error messages are made.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmfusion.datasets.annotation_schema import METAINFO, RECORD
from mmfusion.utils.errors import AnnotationError, InputError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import parse_json, read_json, read_raw_lines


def _check_label(label: Mapping, classes: Mapping[str, Sequence]) -> None:
    for task, number in label.items():
        if task not in classes:
            raise InputError(
                f"label has the task {shown(task)}; expected one of {sorted(classes)},"
                " the tasks of metainfo.classes"
            )
        count = len(classes[task])
        if type(number) is not int or not 0 <= number < count:
            raise InputError(
                f"label.{task} is {shown(number)}; expected an integer in"
                f" 0..{count - 1}, as metainfo.classes lists {count}. Labels count from"
                " 0: subtract 1 if these count from 1"
            )


def check_metainfo(metainfo: Any, source: str) -> dict:
    """``metainfo`` checked, with every key of ``Metainfo``."""
    try:
        return METAINFO.completed(metainfo)
    except ValueError as error:
        raise AnnotationError(f"{source}: metainfo: {error}") from None


def check_records(
    records: Sequence[Mapping],
    metainfo: Mapping,
    source: str,
    *,
    places: Sequence[str] | None = None,
) -> list[dict]:
    """Records checked, each with every key of ``Record``.

    Labels must fit the ``classes`` of ``metainfo``. Errors name ``source``, the file,
    and the record's place in it, as ``"line 3"``; by default its number.

    Raises:
        AnnotationError: something is wrong with a record.
    """
    checked: list[dict] = []
    seen: dict[str, str] = {}
    for number, record in enumerate(records):
        place = places[number] if places is not None else f"record {number}"
        try:
            item = RECORD.completed(record)
            _check_label(item["label"], metainfo["classes"])
            if item["id"] in seen:
                raise InputError(
                    f"the id was used in {seen[item['id']]}; expected unique ids: they"
                    " name predictions and seed the randomness of a sample"
                )
        except ValueError as error:
            name = record.get("id") if isinstance(record, Mapping) else None
            known = f" (id {shown(name)})" if isinstance(name, str) else ""
            raise AnnotationError(f"{source}: {place}{known}: {error}") from None
        seen[item["id"]] = place
        checked.append(item)
    return checked


def load_annotation(path: str, split: str | None = None) -> tuple[dict, list[dict]]:
    """Read and check an annotation file.

    Args:
        path: ``.json``, or ``.jsonl`` with one record a line.
        split: the records to check and to give; None for all.

    Returns:
        metainfo with every key of ``Metainfo``; records with every key of
        ``Record``, keys that the file leaves out set to their defaults.

    Raises:
        AnnotationError: names file, record and key, what came, what was expected.
    """
    places = None
    if path.endswith(".jsonl"):
        lines = [
            (number, parse_json(line, f"{path}: line {number}"))
            for number, line in read_raw_lines(path)
        ]
        (_, head), *rest = lines or [(1, None)]
        if not isinstance(head, dict) or set(head) != {"metainfo"}:
            raise AnnotationError(
                f'{path}: the first line is {shown(head)}; expected {{"metainfo": ...}}'
            )
        content = {**head, "data_list": [record for _, record in rest]}
        places = [f"line {number}" for number, _ in rest]
    else:
        content = read_json(path)
    if not isinstance(content, dict) or set(content) != {"metainfo", "data_list"}:
        came = list(content) if isinstance(content, dict) else type(content).__name__
        raise AnnotationError(
            f"{path} holds {shown(came)}; expected an object with the keys 'metainfo'"
            " and 'data_list'"
        )
    records = content["data_list"]
    if not isinstance(records, list):
        raise AnnotationError(f"{path}: data_list is {shown(records)}; expected a list")
    metainfo = check_metainfo(content["metainfo"], path)
    if split is not None:
        numbers = _of_split(records, split, path)
        places = [places[n] if places else f"record {n}" for n in numbers]
        records = [records[number] for number in numbers]
    return metainfo, check_records(records, metainfo, path, places=places)


def _of_split(records: Sequence[Any], split: str, path: str) -> list[int]:
    """Places of the records of a split, and of whatever is no record."""
    splits = [
        item.get("split") if isinstance(item, dict) else split for item in records
    ]
    kept = [number for number, name in enumerate(splits) if name == split]
    if not kept:
        # of a file that no one has checked yet: a split may be anything
        sizes = Counter(name if isinstance(name, str) else None for name in splits)
        raise InputError(
            f"split {split!r} selects none of the {len(records)} records of {path};"
            f" expected one of these splits (with their sizes): {shown(dict(sizes))}"
        )
    return kept


def write_annotation(
    path: str | os.PathLike, metainfo: Mapping, records: Sequence[Mapping]
) -> None:
    """Check an annotation and write it so that it is there whole or not at all.

    ``path`` is ``.json`` or ``.jsonl``; its folder is made. Keys that have a default
    may be left out.

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
