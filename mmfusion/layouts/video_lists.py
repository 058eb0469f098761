"""The usual lists of Something-Something and Kinetics, read by plain functions.

| layout | a row | the video of a row |
|---|---|---|
| ``path_label`` | ``path label`` or ``path,label``; the label may lack | the path |
| ``ssv2`` | ``{"id": "78687", "template": "Holding [something]", ...}`` of one JSON list | ``78687.webm`` |
| ``kinetics`` | ``label,youtube_id,time_start,time_end,split``, with a header | ``<id>_000010_000020.mp4`` |

The first is VideoMamba's ``train.csv`` and also what MMAction2, SlowFast and VideoMAE
write; a path may hold the separator, as the label is what comes after the last one.
"""  # noqa: E501

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmfusion.layouts.class_numbers import names_of_numbers
from mmfusion.layouts.csv_rows import read_columns
from mmfusion.utils.errors import AnnotationError, InputError
from mmfusion.utils.paths import unsafe_reason
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_json, read_lines, read_names

TASK = "action"


@dataclass(frozen=True)
class ListLayout:
    """Places of a data set's files, relative to its root; ``{split}`` is replaced.

    Attributes:
        lists: the list of each split; several may stand in one file.
        video_name: name of a video, made of the fields of its row.
        prefix: folder of the videos.
        class_file: names of the classes, or None.
    """

    lists: Mapping[str, str]
    video_name: str
    prefix: str = ""
    class_file: str | None = None


LAYOUTS = {
    "path_label": ListLayout(
        {split: f"{split}.csv" for split in ("train", "val", "test")}, "{path}"
    ),
    "ssv2": ListLayout(
        {
            "train": "labels/train.json",
            "val": "labels/validation.json",
            "test": "labels/test.json",
        },
        "{id}.webm",
        "20bn-something-something-v2",
        "labels/labels.json",
    ),
    "kinetics": ListLayout(
        {split: f"annotations/{split}.csv" for split in ("train", "val", "test")},
        "{youtube_id}_{time_start:06d}_{time_end:06d}.mp4",
        "{split}",
    ),
}
_LABEL = re.compile(r"-?[0-9]{1,18}")
_ENDING = re.compile(r"([,;\t ])\s*-?[0-9]+$")
_WHOLE_SECONDS = re.compile(r"[0-9]{1,7}(\.0*)?")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_KINETICS_COLUMNS = ("youtube_id", "time_start", "time_end")


@dataclass(frozen=True)
class VideoRow:
    """One clip of a list.

    Attributes:
        name: its id.
        label: number or name of its class, None where it is hidden.
        fields: parts that a video's name may be made of, and for Something-Something
            the entry's own ``template``, ``label`` and ``placeholders``.
        split: as the row says, or None.
        place: file and line, for errors.
    """

    name: str
    label: int | str | None
    fields: Mapping[str, Any]
    split: str | None
    place: str


def read_rows(path: Path, layout: str, separator: str | None = None) -> list[VideoRow]:
    """The rows of a list, in the order of the file.

    Args:
        path: the list. layout: one of LAYOUTS.
        separator: of ``path_label``; None takes the comma, tab or blank that the first
            line has before its label.

    Raises:
        AnnotationError: names file and line (of a JSON list, the entry), what came and
            what was expected.
    """
    if layout == "ssv2":
        return _read_ssv2(path)
    if layout == "kinetics":
        return _read_kinetics(path)
    return _read_path_label(path, separator)


def _read_path_label(path: Path, separator: str | None) -> list[VideoRow]:
    rows = []
    for number, line in read_lines(path):
        if separator is None:
            ending = _ENDING.search(line)
            separator = ending[1] if ending else " "
        place = f"{path}:{number}"
        video, found, label = line.rpartition(separator)
        video, label = video.strip(), label.strip()
        if not found:
            video, label = label, ""
        another = not found and _ENDING.search(line)
        if not video or another or (label and not _LABEL.fullmatch(label)):
            raise AnnotationError(
                f"{place} is {line[:120]!r}, which is read as the path {video[:80]!r}"
                f" and the label {label[:40]!r} with the separator {separator!r};"
                " expected 'path label' with a whole number: set separator to the"
                " delimiter of the list, ' ', ',' or a tab"
            )
        rows.append(
            VideoRow(video, int(label) if label else None, {"path": video}, None, place)
        )
    return rows


def _read_ssv2(path: Path) -> list[VideoRow]:
    content = read_json(path)
    if not isinstance(content, list):
        raise AnnotationError(
            f"{path} holds a {type(content).__name__}; expected a list of objects with"
            " 'id' and 'template'"
        )
    rows = []
    for number, entry in enumerate(content):
        place = f"{path}: entry {number}"
        if not isinstance(entry, dict) or type(entry.get("id")) not in (str, int):
            raise AnnotationError(
                f"{place} is {shown(entry)}; expected an object with 'id', a string"
            )
        template = entry.get("template")
        if template is not None and not isinstance(template, str):
            raise AnnotationError(
                f"{place} (id {entry['id']!r:.40}): template is {shown(template)};"
                " expected text such as 'Holding [something]'"
            )
        things = entry.get("placeholders") or []
        if not isinstance(things, list) or not all(isinstance(t, str) for t in things):
            raise AnnotationError(
                f"{place} (id {entry['id']!r:.40}): placeholders is {shown(things)};"
                " expected a list of texts"
            )
        label = None if template is None else plain_template(template)
        name = str(entry["id"])
        rows.append(VideoRow(name, label, {**entry, "id": name}, None, place))
    return rows


def plain_template(template: str) -> str:
    """The class of a template: ``Holding [something]`` -> ``Holding something``."""
    return _BRACKETS.sub(r"\1", template)


def _read_kinetics(path: Path) -> list[VideoRow]:
    rows = []
    for place, row in read_columns(path, _KINETICS_COLUMNS, "Kinetics"):
        times = {}
        for key in ("time_start", "time_end"):
            text = row[key].strip()
            if not _WHOLE_SECONDS.fullmatch(text):
                raise AnnotationError(
                    f"{place}: {key} is {shown(row[key])}; expected whole seconds"
                )
            times[key] = int(float(text))
        video = row["youtube_id"].strip()
        if not video:
            raise AnnotationError(f"{place} has no youtube_id")
        label = row.get("label", "").strip().strip('"') or None
        fields = {"youtube_id": video, "label": label or "", **times}
        name = LAYOUTS["kinetics"].video_name.format(**fields).removesuffix(".mp4")
        rows.append(VideoRow(name, label, fields, row.get("split") or None, place))
    return rows


def rows_of_split(rows: Sequence[VideoRow], split: str, source: str) -> list[VideoRow]:
    """Rows of one split; all where the list does not tell several splits apart.

    Raises:
        AnnotationError: the list has several splits, and not this one.
    """
    splits = Counter(row.split for row in rows)
    kept = [row for row in rows if len(splits) < 2 or row.split == split]
    if rows and not kept:
        raise AnnotationError(
            f"{source} has no row of the split {split!r}; expected one of"
            f" {shown(dict(splits))}"
        )
    return kept


def make_record(
    row: VideoRow, split: str, number: int | None, *, prefix: str, video_name: str
) -> dict[str, Any]:
    """The annotation record of a row, whose clip is a whole video.

    ``number`` is that of its class, None where it is hidden; ``prefix`` and
    ``video_name`` are explained at :class:`ListLayout`.

    Raises:
        InputError: ``video_name`` asks for a field that the rows do not have.
        AnnotationError: the video's name is no relative path.
    """
    try:
        name = video_name.format(**row.fields)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise InputError(
            f"video_name is {video_name!r}, which fails with {error!r}; expected a name"
            f" made of {sorted(row.fields)}"
        ) from None
    reason = unsafe_reason(name)
    if reason is not None:
        raise AnnotationError(
            f"{row.place}: the video is {shown(name)}: {reason}; expected a path"
            " relative to the folder of videos"
        )
    record = {
        "id": row.name,
        "group": row.name,
        "split": split,
        "video": (Path(prefix.format(split=split)) / name).as_posix(),
        "start_sec": 0.0,
        "end_sec": None,
        "label": {} if number is None else {TASK: number},
    }
    if row.fields.get("template"):  # Something-Something: what questions are made from
        things = row.fields.get("placeholders") or [None]
        spoken = row.fields.get("label") or row.label
        record["text"] = {
            "narration": str(spoken),
            "noun": things[0] and str(things[0]),
        }
    return record


def class_names(rows: Iterable[VideoRow], count: int | None) -> list[str]:
    """Names of the classes where no file has them.

    The list's own names in alphabetical order where it has names, which is right for a
    list that has them all; else the numbers, ``count`` of them or one for each label.

    Raises:
        AnnotationError: there is no count, and the labels leave a gap.
    """
    found = {row.label: row.place for row in rows if row.label is not None}
    named = sorted(label for label in found if isinstance(label, str))
    if named:
        return named
    labels = [(label, place) for label, place in found.items() if type(label) is int]
    remedy = "say how many by --num-classes, or name them by --class-file"
    return names_of_numbers(labels, count, remedy)


def check_unique(rows: Iterable[VideoRow]) -> None:
    """Refuse a video that stands in the lists twice."""
    seen: dict[str, str] = {}
    for row in rows:
        if row.name in seen:
            raise AnnotationError(
                f"{row.place}: {row.name!r} stands in {seen[row.name]} too; expected"
                " each video once"
            )
        seen[row.name] = row.place


def read_class_names(path: Path) -> list[str]:
    """Names of the classes in the order of their numbers.

    A ``.json`` file is Something-Something's ``{template: "number"}``; any other has
    a name in each line.

    Raises:
        AnnotationError: numbers that are not 0, 1, 2..., or a name that comes twice.
    """
    if path.suffix != ".json":
        names = read_names(path)
    else:
        content = read_json(path)
        if not isinstance(content, dict):
            raise AnnotationError(
                f"{path} holds {shown(content)}; expected an object"
                ' {"Holding something": "12"}'
            )
        for name, number in content.items():
            if type(number) not in (str, int) or not _LABEL.fullmatch(str(number)):
                raise AnnotationError(
                    f"{path}: the number of {shown(name)} is {shown(number)}; expected"
                    ' a whole one, such as "12"'
                )
        pairs = sorted((int(number), name) for name, number in content.items())
        if [number for number, _ in pairs] != list(range(len(pairs))):
            raise AnnotationError(
                f"{path}: the {len(pairs)} classes have the numbers"
                f" {[number for number, _ in pairs][:8]}...; expected 0 to"
                f" {len(pairs) - 1}, each once"
            )
        names = [plain_template(name) for _, name in pairs]
    if len(set(names)) != len(names) or not names:
        twice = next((name for name in names if names.count(name) > 1), None)
        raise AnnotationError(
            f"{path} has {len(names)} names and {twice!r} twice; expected each once"
        )
    return names


def class_numbers(
    rows: Sequence[VideoRow], names: Sequence[str], source: str
) -> list[int | None]:
    """The number of each row's class, None where its label is hidden.

    Raises:
        AnnotationError: a label that is not among ``names``, which ``source`` has.
    """
    number_of = {name: number for number, name in enumerate(names)}
    numbers: list[int | None] = []
    for row in rows:
        label = row.label
        if isinstance(label, str):
            if label not in number_of:
                raise AnnotationError(
                    f"{row.place}: the label is {label!r}; expected one of the"
                    f" {len(names)} classes of {source}"
                )
            label = number_of[label]
        if label is not None and not 0 <= label < len(names):
            raise AnnotationError(
                f"{row.place}: the label is {label}; expected 0..{len(names) - 1}, for"
                f" the {len(names)} classes of {source}. Labels count from 0"
            )
        numbers.append(label)
    return numbers
