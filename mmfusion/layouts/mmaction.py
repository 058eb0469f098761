"""MMAction2's annotation files, read as they are.

| ann_format | MMAction2's class | a line, or an entry |
|---|---|---|
| mmaction_video | VideoDataset | ``path label`` |
| mmaction_rawframe | RawframeDataset | ``folder [offset] num_frames label`` |
| mmaction_pose | PoseDataset | pickle: keypoint (m, t, j, c), label, ... |
| mmaction_video_text | VideoTextDataset | ``{path: [texts]}`` |

Paths count from data_root, as with its ``data_prefix``. A list of videos says no times:
a record is then the whole video, start_sec 0 and end_sec None. Lists name no classes:
their names are the numbers, or the lines of ``label_map``.

In-memory skeletons, in ``skeleton_data`` of a record whose skeleton file is null, have
the arrays of a skeleton cache, persons in the place of hands: ``keypoint`` (t, m, j, 3)
float32, the third 0 for a plane skeleton; ``valid`` (t, m, j) bool, False where the
score is 0; ``frame_id`` (t,) int64; ``fps`` float; ``sequence`` str (the record's
group). What the joints are the file does not say: ``ann_options.skeleton`` becomes the
metainfo's ``skeleton`` (layout, hands, unit, frame).
"""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from mmfusion.layouts.class_numbers import names_of_numbers
from mmfusion.layouts.mmaction_pose import read_pose
from mmfusion.utils.errors import AnnotationError, InputError
from mmfusion.utils.schema import check_keys
from mmfusion.utils.text_files import read_json, read_lines, read_names

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_COMMON_OPTIONS = ("label_map", "skeleton")


def read_mmaction(
    path: str,
    ann_format: str,
    *,
    split: str | None,
    num_classes: Mapping[str, int],
    options: Mapping,
) -> tuple[dict, list[dict], list[str]]:
    """Read one of MMAction2's four formats.

    Args:
        path: the annotation file.
        ann_format: a name of the table above.
        split: only pose annotations have splits; None for the others.
        num_classes: ``{task: count}``, at most one task; empty takes the task
            ``action`` and a class for each label, which must leave no gap.
        options: keyword arguments of the format's reader; for all of them
            ``label_map``, a text file of class names, and ``skeleton``, see above.

    Returns:
        metainfo and records, not yet checked; places of the records in the file.

    Raises:
        AnnotationError: names the file, the line or entry, and what was expected.
    """
    if ann_format not in READERS:
        raise InputError(
            f"ann_format is {ann_format!r}; expected 'mmfusion' or one of"
            f" {sorted(READERS)}"
        )
    if len(num_classes) > 1:
        raise InputError(
            f"num_classes has the tasks {sorted(num_classes)}; expected one, as"
            f" {ann_format} has one label for a clip"
        )
    reader = READERS[ann_format]
    known = set(inspect.signature(reader).parameters) - {"path"}
    own = known - {"split"}
    check_keys("ann_options", options, own | {*_COMMON_OPTIONS})
    common = {key: options.get(key) for key in _COMMON_OPTIONS}
    options = {key: options[key] for key in options if key not in _COMMON_OPTIONS}
    if "split" in known:
        options["split"] = split
    elif split is not None:
        raise InputError(
            f"split is {split!r}; expected None for ann_format {ann_format!r}, which"
            " has one file for each split"
        )
    records = reader(path, **options)
    for record in records:
        record["split"] = split
    task, count = next(iter(num_classes.items()), ("action", None))
    names = _class_names(path, records, count, common["label_map"])
    places = [record.pop("place") for record in records]
    for record, place in zip(records, places, strict=True):
        label = record.pop("label")
        _check_range(label, len(names), f"{path}: {place}")
        record["label"] = {} if label is None else {task: label}
    _make_ids_unique(records)
    metainfo = {
        "version": 1,
        "dataset": ann_format,
        "classes": {task: names} if names else {},
        "skeleton": common["skeleton"] or {"frame": "unknown"},
    }
    return metainfo, records, places


def _class_names(
    path: str, records: Sequence[Mapping], count: int | None, label_map: str | None
) -> list[str]:
    """Names from the label map, or numbers."""
    if label_map is not None:
        names = read_names(label_map)
        if count is not None and len(names) != count:
            raise InputError(
                f"label_map {label_map!r} has {len(names)} names and num_classes says"
                f" {count}; expected the same for {path}"
            )
        return names
    labels = [
        (record["label"], f"{path}: {record['place']}")
        for record in records
        if record["label"] is not None
    ]
    remedy = "say in num_classes how many, or name them in ann_options.label_map"
    return names_of_numbers(labels, count, remedy)


def _check_range(label: int | None, count: int, where: str) -> None:
    if label is not None and not 0 <= label < count:
        raise AnnotationError(
            f"{where}: the label is {label}; expected 0..{count - 1}, for {count}"
            " classes. Labels count from 0: subtract 1 if these count from 1"
        )


def _make_ids_unique(records: Sequence[dict]) -> None:
    """A file may stand in several lines: the second gets ``#2`` after its id."""
    seen: Counter[str] = Counter()
    for record in records:
        name = record["id"]
        seen[name] += 1
        if seen[name] > 1:
            record["id"] = f"{name}#{seen[name]}"


def _integer(text: str, name: str, where: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise AnnotationError(
            f"{where}: {name} is {text[:80]!r}; expected an integer. Does the path have"
            " a blank, or does the list use another delimiter?"
        )
    return int(text)


def read_video(path: str, *, delimiter: str = " ") -> list[dict]:
    """VideoDataset: ``path label`` in each line, or ``path`` alone."""
    records = []
    for number, line in read_lines(path):
        place = f"line {number}"
        parts = line.split(delimiter)
        other = re.search(r"[\s,;]-?[0-9]+$", line) if len(parts) == 1 else None
        if len(parts) > 2 or other:
            raise AnnotationError(
                f"{path}: {place} is {line[:120]!r}, {len(parts)} parts by the"
                f" delimiter {delimiter!r}; expected 'path label' with one between"
                " them. Set ann_options.delimiter to what separates them, as '\\t'."
                " Several labels for a clip are not supported"
            )
        label = None
        if len(parts) == 2:
            label = _integer(parts[1], "the label", f"{path}: {place}")
        records.append(
            {
                "id": parts[0],
                "video": parts[0],
                "start_sec": 0.0,
                "end_sec": None,
                "label": label,
                "place": place,
            }
        )
    return records


def read_rawframe(
    path: str,
    *,
    with_offset: bool = False,
    filename_tmpl: str = "img_{:05}.jpg",
    start_index: int = 1,
    index_fps: float = 30.0,
) -> list[dict]:
    """RawframeDataset: ``folder [offset] num_frames [label]`` in each line.

    Args:
        path: the list.
        with_offset: each line has the offset of the clip's first frame.
        filename_tmpl: name of a frame's file.
        start_index: number of the first file.
        index_fps: frames per second; the list does not say.
    """
    num_heads = 3 if with_offset else 2
    form = "folder offset num_frames" if with_offset else "folder num_frames"
    records = []
    for number, line in read_lines(path):
        place = f"line {number}"
        where = f"{path}: {place}"
        parts = line.split()
        if len(parts) not in (num_heads, num_heads + 1):
            raise AnnotationError(
                f"{where} is {line[:120]!r}, {len(parts)} parts; expected '{form}"
                f" label' (with_offset={with_offset}). Several labels for a clip are"
                " not supported"
            )
        offset = _integer(parts[1], "the offset", where) if with_offset else 0
        count = _integer(parts[num_heads - 1], "the number of frames", where)
        if offset < 0 or count < 1:
            raise AnnotationError(
                f"{where}: the clip has {count} frames from frame {offset} on; expected"
                " at least one frame, from 0 or later"
            )
        label = None
        if len(parts) > num_heads:
            label = _integer(parts[-1], "the label", where)
        records.append(
            {
                "id": f"{parts[0]}@{offset}" if with_offset else parts[0],
                "group": parts[0],
                "frame_dir": parts[0],
                "filename_tmpl": filename_tmpl,
                "start_index": start_index,
                "total_frames": None if with_offset else count,
                "start_frame": offset,
                "end_frame": offset + count - 1,
                "start_sec": offset / index_fps,
                "end_sec": (offset + count) / index_fps,
                "index_fps": index_fps,
                "label": label,
                "place": place,
            }
        )
    return records


def read_video_text(path: str) -> list[dict]:
    """VideoTextDataset: ``{path: [texts]}``; one record for each pair."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise AnnotationError(
            f"{path} holds a {type(content).__name__}; expected {{path: [texts]}}"
        )
    records = []
    for video, texts in content.items():
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            raise AnnotationError(
                f"{path}: the texts of {video[:120]!r} are {texts!r:.120}; expected a"
                " list of strings"
            )
        records += [
            {
                "id": video,
                "group": video,
                "video": video,
                "start_sec": 0.0,
                "end_sec": None,
                "text": {"text": text},
                "label": None,
                "place": f"entry {video[:120]!r}",
            }
            for text in texts
        ]
    return records


READERS: dict[str, Callable[..., list[dict]]] = {
    "mmaction_video": read_video,
    "mmaction_rawframe": read_rawframe,
    "mmaction_pose": read_pose,
    "mmaction_video_text": read_video_text,
}
