"""Every format of lists and annotations that is read, as a small right file.

A format knows how to write itself, and gives what its reader makes of a file as plain
values by row, so that a campaign sees which rows a damage has changed.
"""

import copy
import json
import math
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.join_questions import read_recognisers
from mmfusion.datasets.media.video_encoding import EncodeSettings
from mmfusion.datasets.media.video_preparation import MANIFEST, OutputFolder
from mmfusion.evaluation.challenge import check_submission, read_submission
from mmfusion.evaluation.predictions import load_predictions
from mmfusion.layouts import epic_kitchens as epic
from mmfusion.layouts import h2o, hand_object_boxes, oakink2, video_lists
from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.records import load_questions
from mmfusion.questions.writers.base import Answer
from mmfusion.utils.text_files import read_names
from tests.layouts.test_hand_object_boxes import FRAMES

Rows = dict[str, Any]  # what a reader gave, by row
ASKED = ["what", 1]


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        file: its name. read: gives the rows, as plain values.
        tree: content of JSON, JSON Lines (a list) or a pickle; None for a table.
        table: rows of a table, the first of them its head; None for a tree.
        separator: of a table. numbers: columns of plain numbers.
        takes_mark: a byte order mark does no harm.
        beside: writes the files that the reader needs, too.
        binary: makes the bytes where it is neither text nor JSON.
    """

    file: str
    read: Callable[[Path], Rows]
    tree: Any = None
    table: tuple[tuple[str, ...], ...] | None = None
    separator: str = ","
    numbers: frozenset[int] = frozenset()
    takes_mark: bool = True
    beside: Callable[[Path], None] | None = None
    binary: Callable[[Any, Path], bytes] | None = None

    @property
    def is_lines(self) -> bool:
        return self.file.endswith(".jsonl")


def plain(value: Any) -> Any:
    """Any value of a reader as nested plain values, arrays as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {k: v for k, v in asdict(value).items() if k != "place"}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def check_sound(value: Any) -> None:
    """Refuse numbers that nothing downstream can hold."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            check_sound(one)
    elif isinstance(value, float):
        assert math.isfinite(value), f"{value} was taken as data"
    elif isinstance(value, int):
        assert -(2**63) <= value < 2**63, f"{value} was taken as data"


def _by_id(records: list[dict]) -> Rows:
    for record in records:
        start, end = record["start_sec"], record["end_sec"]
        assert start >= 0 and (end is None or end > start), (start, end)
    return {record["id"]: plain(record) for record in records}


def _annotation(path: Path) -> Rows:
    metainfo, records = load_annotation(str(path))
    for record in records:
        for task, label in record["label"].items():
            assert 0 <= label < len(metainfo["classes"][task])
    return _by_id(records)


def _mmaction(kind: str, **options: Any) -> Callable[[Path], Rows]:
    def read(path: Path) -> Rows:
        dataset = MultiModalDataset(
            str(path),
            [],
            data_root=str(path.parent),
            ann_format=f"mmaction_{kind}",
            test_mode=True,
            **options,
        )
        records = [dataset.get_record(index) for index in range(len(dataset))]
        count = sum(len(names) for names in dataset.metainfo["classes"].values())
        assert count <= len(records), f"{count} classes of {len(records)} clips"
        return _by_id(records)

    return read


def _videos(layout: str) -> Callable[[Path], Rows]:
    def read(path: Path) -> Rows:
        rows = video_lists.read_rows(path, layout)
        video_lists.check_unique(rows)
        names = video_lists.class_names(rows, None)
        numbers = video_lists.class_numbers(rows, names, "the list")
        known = video_lists.LAYOUTS[layout]
        records = [
            video_lists.make_record(
                row, "train", number, prefix="v", video_name=known.video_name
            )
            for row, number in zip(rows, numbers, strict=True)
        ]
        # the number of a class may change where another row names a new one
        return _by_id([{**one, "label": {}} for one in records])

    return read


def _segments(path: Path) -> Rows:
    classes = epic.read_classes(path.parent)
    found = epic.read_segments(path, classes)
    for one in found:
        assert 0 <= one.start_sec <= one.stop_sec < 1e8
    return {one.narration_id: plain(one) for one in found}


def _write_classes(folder: Path) -> None:
    for form in (VERBS, NOUNS):
        (folder / form.file).write_bytes(right_bytes(form, folder))


def _epic_classes(path: Path) -> Rows:
    for form in (VERBS, NOUNS):
        file = path.parent / form.file
        if not file.is_file():
            file.write_bytes(right_bytes(form, path.parent))
    classes = epic.read_classes(path.parent)
    table = classes.verb if path.name == epic.VERB_FILE else classes.noun
    return {str(number): plain(one) for number, one in enumerate(table)}


def _epic_actions(path: Path) -> Rows:
    pairs = epic.read_actions(path, epic.read_classes(path.parent))
    return {str(number): list(pair) for number, pair in enumerate(pairs)}


def _durations(path: Path) -> Rows:
    return dict(epic.read_durations(path))


def _unseen(path: Path) -> Rows:
    return {name: name for name in epic.read_unseen(path.parent, "val")}


def _tails(path: Path) -> Rows:
    tails = epic.read_classes(path.parent).tail_verbs
    assert all(0 <= number < 3 for number in tails)
    return {str(number): number for number in tails}


def _h2o(path: Path) -> Rows:
    return {str(clip.row): plain(clip) for clip in h2o.read_action_file(path)}


def _intrinsics(path: Path) -> Rows:
    return dict(h2o.read_intrinsics(path))


def _oakink_split(path: Path) -> Rows:
    return {name: name for name in oakink2.read_split(path.parent, "train")}


def _program(path: Path) -> Rows:
    folder = path.parent / "program_info"
    folder.mkdir(exist_ok=True)
    inner = folder / path.name
    inner.write_bytes(path.read_bytes())
    found = oakink2.read_program(path.parent, "a/b")
    assert all(0 <= one.start < one.end < 2**31 for one in found)
    # the place in the file is the primitive's number
    rows = {str((one.left, one.right)): plain(one) for one in found}
    return {key: {**row, "number": 0} for key, row in rows.items()}


def _targets(path: Path) -> Rows:
    return dict(oakink2.read_task_targets(path.parent))


def _oakink_pickle(path: Path) -> Rows:
    anno = oakink2.read_annotation_pickle(path)
    return {"camera": oakink2.egocentric_camera(anno, None)}


def _view(path: Path) -> Rows:
    return plain(oakink2.read_view(path))


def _questions(path: Path) -> Rows:
    return {name: plain(one) for name, one in load_questions(path).items()}


def _recogniser(path: Path) -> Rows:
    (found,) = read_recognisers([path.with_name(path.name.removesuffix(".meta.json"))])
    return found


def _predictions(path: Path) -> Rows:
    found = load_predictions(path)
    rows = {}
    for place, name in enumerate(found.ids):
        score = {task: values[place].tolist() for task, values in found.score.items()}
        # a task that one clip alone has is "no label" for the others
        gt = {t: int(v[place]) for t, v in found.gt.items() if v[place] != -1}
        rows[name] = {"score": score, "gt": gt}
    return rows


def _submission(path: Path) -> Rows:
    content = read_submission(path)
    results = content.get("results")
    ids = results if isinstance(results, dict) else ()
    sizes = {"num_verbs": 2, "num_nouns": 2, "num_actions": 2}
    check_submission(content, ids, source=path, **sizes)
    scores = {name: plain(results[name]) for name in results}
    for entry in scores.values():  # a score may be a whole number of any size
        for task in entry:
            entry[task] = {key: float(value) for key, value in entry[task].items()}
    return scores


def _boxes(path: Path) -> Rows:
    found = hand_object_boxes.read_box_csv(path)
    rows = {}
    for video, content in found.items():
        assert ((content.boxes >= 0) & (content.boxes <= 1)).all()
        for t, o in np.argwhere(content.valid).tolist():
            key = f"{video} {content.frame_id[t]} {content.names[o]}"
            rows[key] = content.boxes[t, o].tolist()
    return rows


def _detections(path: Path) -> Rows:
    content = hand_object_boxes.read_detections(path)
    assert ((content.boxes >= 0) & (content.boxes <= 1)).all()
    assert (np.diff(content.frame_id) > 0).all() and content.frame_id.dtype.kind == "i"
    frames = zip(content.frame_id, content.boxes, strict=True)
    return {str(frame): boxes.tolist() for frame, boxes in frames}


def _cache(path: Path) -> Rows:
    with AnswerCache(path) as cache:
        assert len(cache) >= 0
        found = cache.get(ASKED)
        if found is not None:
            counts = found.tokens_in, found.tokens_out
            assert isinstance(found.text, str) and {type(n) for n in counts} == {int}
        return {"answer": plain(found)}


def _cache_bytes(tree: Any, folder: Path) -> bytes:
    path = folder / "right.sqlite"
    with AnswerCache(path) as cache:
        cache.put(ASKED, Answer("yes", 1, 2), identity="x", prompt_sha256=None)
    columns = "text = ?, tokens_in = ?, tokens_out = ?, fault = ?"
    with (
        closing(sqlite3.connect(path)) as file,
        suppress(sqlite3.Error, OverflowError, UnicodeError),  # it does not take it
        file,
    ):
        file.execute(f"UPDATE answers SET {columns}", tuple(tree))
    data = path.read_bytes()
    path.unlink()
    return data


def _names(path: Path) -> Rows:
    return {str(number): name for number, name in enumerate(read_names(path))}


def _class_file(path: Path) -> Rows:
    names = video_lists.read_class_names(path)
    return {str(number): name for number, name in enumerate(names)}


def _manifest(path: Path) -> Rows:
    folder = OutputFolder(path.parent, EncodeSettings())
    folder.close()
    return plain(folder.records)


def _npz_bytes(tree: Any, folder: Path) -> bytes:
    path = folder / "right.npz"
    arrays = {name: np.asarray(value) for name, value in tree.items()}
    np.savez(path, **arrays)
    data = path.read_bytes()
    path.unlink()
    return data


def _pickle_bytes(tree: Any, folder: Path) -> bytes:
    return pickle.dumps(tree)


def right_bytes(form: Format, folder: Path) -> bytes:
    """The file as it should be."""
    if form.binary is not None:
        return form.binary(form.tree, folder)
    if form.table is not None:
        lines = [form.separator.join(row) for row in form.table]
        return ("\n".join(lines) + "\n").encode()
    if form.is_lines:
        return "".join(json.dumps(one) + "\n" for one in form.tree).encode()
    return (json.dumps(form.tree, indent=1) + "\n").encode()


def _videos_and_labels(file: str, read: Callable[[Path], Rows]) -> Format:
    """Six videos in a list, each with its label."""
    table = tuple((f"some/{n}.mp4", str(n % 3)) for n in range(6))
    return Format(file, read, table=table, separator=" ", numbers=frozenset({1}))


_RECORDS = [
    {
        "id": f"s{n}",
        "group": "s",
        "split": "train",
        "frame_dir": f"s/{n}",
        "filename_tmpl": "{:06d}.jpg",
        "start_index": 0,
        "total_frames": 9,
        "frame_ids": [1, 3, 8],
        "start_sec": 0.0,
        "end_sec": 0.3 + n,
        "start_frame": 0,
        "end_frame": 8,
        "index_fps": 30.0,
        "skeleton": {"file": f"s{n}.npz"},
        "label": {"action": n % 3},
        "text": {"narration": "pour milk"},
        "camera": dict.fromkeys(("fx", "fy", "cx", "cy", "width", "height"), 9.5),
        "extra": {"a": [1, {"b": 2.5}]},
    }
    for n in range(5)
]
_METAINFO = {
    "version": 1,
    "dataset": "toy",
    "classes": {"action": ["grab", "pour", "open"]},
    "skeleton": {"layout": "openpose21"},
}
_POSES = [
    {
        "frame_dir": f"c{n}",
        "label": n,
        "total_frames": 3,
        "keypoint": [[[[0.5] * 2]] * 3],
    }
    for n in range(4)
]
_QUESTIONS = [
    {
        "narration_id": f"P01_01_{n}",
        "source": "ground_truth",
        "verb_question": "What happens to the <mask>?",
        "verb_answer": "take",
        "noun_question": "What does one <mask>?",
        "noun_answer": None,
        "model": "template-1",
        "prompt_sha256": None,
    }
    for n in range(4)
]
_ENTRY = {
    "verb": {"0": 0.5, "1": 0.25},
    "noun": {"0": 1.0, "1": 0.0},
    "action": {"0,1": 0.5, "1,1": 1},
}
_SUBMISSION = {
    "version": "0.2",
    "challenge": "action_recognition",
    "sls_pt": 1,
    "sls_tl": 3,
    "sls_td": 3,
    "results": {f"P01_101_{n}": copy.deepcopy(_ENTRY) for n in range(3)},
}
_CAMERA = {"egocentric": {0: [[9.0, 0, 1], [0, 9.0, 1], [0, 0, 1]]}}
_POSE = {"egocentric": {0: [[1.0, 0, 0, 0]] * 4}}
_EPIC_HEAD = (
    *("narration_id", "participant_id", "video_id", "narration_timestamp"),
    *("start_timestamp", "stop_timestamp", "start_frame", "stop_frame", "narration"),
    *("verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes"),
)
VERBS = Format(
    epic.VERB_FILE,
    _epic_classes,
    table=(
        ("id", "key", "instances", "category"),
        *((f"{n}", f"do{n}", f"['do{n}']", "any") for n in range(3)),
    ),
    numbers=frozenset({0}),
)
NOUNS = Format(
    epic.NOUN_FILE,
    _epic_classes,
    table=(
        ("id", "key", "instances", "category"),
        *((f"{n}", f"thing{n}", f"['thing{n}']", "any") for n in range(3)),
    ),
    numbers=frozenset({0}),
)
_H2O_FRAMES = ("start_act", "end_act", "start_frame", "end_frame")
FORMATS = (
    Format("a.json", _annotation, {"metainfo": _METAINFO, "data_list": _RECORDS}),
    Format("a.jsonl", _annotation, [{"metainfo": _METAINFO}, *_RECORDS]),
    _videos_and_labels("list.txt", _mmaction("video")),
    Format(
        "frames.txt",
        _mmaction("rawframe"),
        table=tuple((f"some/{n}", "30", str(n % 3)) for n in range(6)),
        separator=" ",
        numbers=frozenset({1, 2}),
    ),
    Format("text.json", _mmaction("video_text"), {f"{n}.mp4": ["a"] for n in range(4)}),
    Format(
        "pose.pkl",
        _mmaction("pose", split="train"),
        {"split": {"train": [f"c{n}" for n in range(4)]}, "annotations": _POSES},
        binary=_pickle_bytes,
    ),
    _videos_and_labels("videos.csv", _videos("path_label")),
    Format(
        "ssv2.json",
        _videos("ssv2"),
        [
            {"id": f"{n}", "template": "Hold [something]", "placeholders": ["cup"]}
            for n in range(5)
        ],
    ),
    Format(
        "kinetics.csv",
        _videos("kinetics"),
        table=(
            ("label", "youtube_id", "time_start", "time_end", "split"),
            *((f"run {n}", f"abc{n}", "10", "20", "train") for n in range(5)),
        ),
        numbers=frozenset({2, 3}),
    ),
    Format("names.txt", _names, table=tuple((f"name {n}",) for n in range(5))),
    Format("labels.json", _class_file, {f"Hold {n}": f"{n}" for n in range(5)}),
    Format(
        epic.SEGMENT_FILES["train"],
        _segments,
        table=(
            _EPIC_HEAD,
            *(
                (
                    *(f"P01_01_{n}", "P01", "P01_01", "", "00:00:01.5", "00:00:03.25"),
                    *("90", "195", "do it", "do1", "1", "thing0", "0", "['x']", "[0]"),
                )
                for n in range(5)
            ),
        ),
        numbers=frozenset({6, 7, 10, 12}),
        beside=_write_classes,
    ),
    Format(
        "rulstm.csv",
        _segments,
        table=tuple(
            (f"P01_01_{n}", "P01_01", "30", "90", "1", "2", "7") for n in range(5)
        ),
        numbers=frozenset({2, 3, 4, 5, 6}),
        beside=_write_classes,
    ),
    VERBS,
    NOUNS,
    Format(
        "actions.csv",
        _epic_actions,
        table=(("id", "verb", "noun"), *((f"{n}", f"{n}", "1") for n in range(3))),
        numbers=frozenset({0, 1, 2}),
        beside=_write_classes,
    ),
    Format(
        epic.VIDEO_FILE,
        _durations,
        table=(
            ("video_id", "duration", "fps"),
            *((f"P01_0{n}", "10.5", "50") for n in range(4)),
        ),
        numbers=frozenset({1}),
    ),
    Format(
        epic.UNSEEN_FILES["val"],
        _unseen,
        table=(("participant_id",), ("P01",), ("P02",)),
    ),
    Format(
        epic.TAIL_FILES["verb"],
        _tails,
        table=(("verb",), ("0",), ("2",)),
        numbers=frozenset({0}),
        beside=_write_classes,
    ),
    Format(
        "action_train.txt",
        _h2o,
        table=(
            ("id", "path", "action_label", *_H2O_FRAMES),
            *((f"{n}", "subject1/h1/0", "3", "0", "9", "0", "40") for n in range(5)),
        ),
        separator=" ",
        numbers=frozenset({0, 2, 3, 4, 5, 6}),
    ),
    Format(
        "cam_intrinsics.txt",
        _intrinsics,
        table=tuple((f"{n}.5",) for n in (636, 636, 635, 366, 1280, 720)),
    ),
    Format(
        "train.txt",
        _oakink_split,
        table=tuple((f"scene_01__A00{n}/seq__9e{n}",) for n in range(4)),
    ),
    Format(
        "a++b.json",
        _program,
        {
            f"(({n}, {n + 9}), None)": {"primitive": "pour", "obj_list": []}
            for n in range(4)
        },
    ),
    Format("task_target.json", _targets, {f"a/{n}": "Open it." for n in range(4)}),
    Format(
        "a++b.pkl",
        _oakink_pickle,
        {
            "cam_def": {"123": "egocentric"},
            "frame_id_list": [0, 4],
            "cam_intr": _CAMERA,
            "cam_extr": _POSE,
        },
        binary=_pickle_bytes,
    ),
    Format(
        "view.json",
        _view,
        {
            "sequence": "a/b",
            "frame_dir": "data/x",
            "suffix": ".jpg",
            "frame_ids": [0, 4, 8],
            "num_missing": 0,
            "camera": {"fx": 1.5},
        },
    ),
    Format("questions.jsonl", _questions, _QUESTIONS),
    Format(
        "q.jsonl.meta.json",
        _recogniser,
        {
            "recogniser": "toy",
            "accuracy": {
                "num_labelled": 3,
                "verb": 50.5,
                "noun": 25.0,
                "action": 0.0,
            },
            "source": "predicted",
        },
    ),
    Format(
        "predictions.json",
        _predictions,
        {
            "metainfo": {"classes": {"action": ["a", "b"]}},
            "predictions": [
                {"id": f"s{n}", "gt": {"action": 1}, "score": {"action": [0.5, 0.25]}}
                for n in range(4)
            ],
        },
    ),
    Format(
        "predictions.npz",
        _predictions,
        {
            "id": ["a", "b"],
            "gt_action": [0, 1],
            "score_action": [[0.5, 0.25], [1.0, 0.0]],
            "metainfo": "{}",
        },
        binary=_npz_bytes,
    ),
    Format("test.json", _submission, _SUBMISSION, takes_mark=False),
    Format(
        "boxes.csv",
        _boxes,
        table=(
            hand_object_boxes.CSV_COLUMNS,
            *(
                ("P01_01", f"{n}", "left hand", "0.1", "0.2", "0.5", "0.5")
                for n in range(5)
            ),
        ),
        numbers=frozenset({1, 3, 4, 5, 6}),
    ),
    Format("P01_101.pkl", _detections, FRAMES, binary=_pickle_bytes),
    Format("cache.sqlite", _cache, ["yes", 1, 2, None], binary=_cache_bytes),
    Format(
        MANIFEST,
        _manifest,
        [
            {
                "name": f"{n}.mp4",
                "bytes": 9,
                "mtime_ns": 9,
                "error": None,
                "outputs": [{"file": "a.mp4", "bytes": 9, "sha256": "0" * 64}],
            }
            for n in range(3)
        ],
    ),
)
