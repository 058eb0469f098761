"""TinyEgo's kitchen in the published layout of EPIC-KITCHENS-100.

Official file names and columns, an MP4 per film under its participant, and beside them
what mmfusion reads in its own formats: `questions/<source>_<split>.jsonl` and a small
`tokenizer/` for them, hands in `skeleton/`, boxes of hands and object in `boxes/`.
`EPIC_100_test_labelled.csv`, which EPIC-KITCHENS keeps to itself, has the labels of the
test split.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.layouts.epic_kitchens import read_classes, read_segments
from mmfusion.questions.records import SOURCES, write_questions
from mmfusion.tinyego.tokenizer import train_tokenizer
from mmfusion.utils.paths import write_atomic

from .actions import Action
from .encode import write_video
from .kitchen import (
    ACTIONS,
    CLUES,
    FPS,
    NOUNS,
    UNSEEN,
    VERBS,
    noun_number,
    plan_films,
    verb_number,
)
from .kitchen_ceilings import TAU_A, kitchen_ceilings
from .kitchen_film import BOX_NAMES, Film, make_film
from .kitchen_questions import questions_about, wordings
from .plan import SequencePlan, WorldConfig
from .recording import ActedClip

_TIMES = (
    *("narration_id", "participant_id", "video_id", "narration_timestamp"),
    *("start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
)
_LABELS = (
    *("narration", "verb", "verb_class", "noun", "noun_class"),
    *("all_nouns", "all_noun_classes"),
)
_SEGMENT_FILES = {
    "train": "EPIC_100_train.csv",
    "val": "EPIC_100_validation.csv",
    "test": "EPIC_100_test_labelled.csv",
}
_QUESTION_SPLITS = {"train": "train", "val": "validation"}
# further words of the narrators for one class, as in the published csv
_VERB_INSTANCES = {
    "grab": ("grab", "pick-up", "get"),
    "place": ("place", "put-down", "leave"),
    "open": ("open", "unscrew"),
    "close": ("close", "screw-on"),
    "pour": ("pour", "pour-out"),
    "press": ("press", "push-down"),
}
_VERB_CATEGORIES = ("retrieve", "leave", "access", "block", "merge", "manipulate")
_TAIL_SHARE = 0.2  # tail classes: the smallest ones that hold so much of train


class KitchenWorld:
    """The kitchen (kitchen.py), with its films and its ceilings."""

    default = WorldConfig(num_train=480, num_val=240, num_test=24, height=64)
    actions: Sequence[Action] = ACTIONS

    def plan(self, config: WorldConfig) -> list[SequencePlan]:
        return plan_films(config)

    def film(self, config: WorldConfig, plan: SequencePlan) -> Film:
        return make_film(config, plan)

    def bounds(
        self, config: WorldConfig, contents: Sequence[tuple[int, bool]], where: str
    ) -> dict[str, Any]:
        """Ceilings for the labels of one split, see kitchen_ceilings.py."""
        return kitchen_ceilings(contents)


class EK100Layout:
    """Writes and reads back TinyEgo as EPIC-KITCHENS-100."""

    name = "ek100"
    world = KitchenWorld()

    def sequence_path(self, config: WorldConfig, plan: SequencePlan) -> Path:
        """The MP4 of one film, under the root."""
        participant = _participant(plan.subject)
        return Path("videos", participant, "videos", f"{_video_id(plan)}.MP4")

    def write_sequence(
        self, root: Path, path: Path, config: WorldConfig, recording: Film
    ) -> None:
        """Write hands and boxes beside the film, then the film to ``path``."""
        video_id = _video_id(recording.plan)
        frame = np.arange(len(recording.images))
        # the published frame number that lies in the middle of each of our frames
        step = _index_fps(video_id) / FPS
        numbers = np.floor((frame + 0.5) * step).astype(np.int64)
        _write_npz(
            root / f"skeleton/{video_id}.npz",
            keypoint=np.round(recording.joints, 6).astype(np.float32),
            valid=recording.valid,
            frame_id=numbers,
            fps=np.float64(_index_fps(video_id)),
            sequence=np.str_(video_id),
        )
        _write_npz(
            root / f"boxes/{video_id}.npz",
            boxes=np.round(recording.boxes, 5).astype(np.float32),
            valid=recording.boxes_valid,
            frame_id=frame.astype(np.int64),
            fps=np.float64(FPS),
            sequence=np.str_(video_id),
            names=np.array(BOX_NAMES),
        )
        write_video(path, recording.images, FPS)

    def write_index(
        self,
        root: Path,
        config: WorldConfig,
        sequences: Sequence[tuple[SequencePlan, Sequence[ActedClip]]],
    ) -> None:
        """Write the csv files and the questions."""
        rows = {
            split: [
                row
                for plan, segments in sequences
                if plan.split == split
                for row in _rows(config, plan, segments)
            ]
            for split in _SEGMENT_FILES
        }
        for split, name in _SEGMENT_FILES.items():
            shown = [row for row, _ in rows[split]]
            _write_csv(root / name, (*_TIMES, *_LABELS), shown)
        hidden = [row[: len(_TIMES)] for row, _ in rows["test"]]
        _write_csv(root / "EPIC_100_test_timestamps.csv", _TIMES, hidden)
        _write_classes(root)
        _write_subsets(root, [action for _, action in rows["train"]])
        _write_videos(root, config, sequences)
        for split, name in _QUESTION_SPLITS.items():
            clips = [(row[0], action) for row, action in rows[split]]
            for source in SOURCES:
                seed = (config.seed, 0 if split == "train" else 1)
                questions = questions_about(clips, source, seed)
                write_questions(root / f"questions/{source}_{name}.jsonl", questions)
        train_tokenizer(root / "tokenizer", wordings())

    def read_contents(self, root: Path, split: str) -> list[tuple[int, bool]]:
        """Of every clip its action, and whether it can be seen coming."""
        segments = read_segments(root / _SEGMENT_FILES[split], read_classes(root))
        return [
            (len(NOUNS) * (one.verb or 0) + (one.noun or 0), one.start_sec > TAU_A)
            for one in segments
        ]


def _participant(subject: int) -> str:
    return f"P{subject:02d}"


def _video_id(plan: SequencePlan) -> str:
    """P01_07 as in EPIC-KITCHENS-55, or P01_107 as in its extension."""
    return f"{_participant(plan.subject)}_{plan.take:02d}"


def _index_fps(video_id: str) -> int:
    """Published frame numbers count at 60 a second, in the extension at 50."""
    return 50 if len(video_id.split("_")[1]) == 3 else 60


def _rows(
    config: WorldConfig, plan: SequencePlan, segments: Sequence[ActedClip]
) -> Iterator[tuple[tuple, Action]]:
    """The fifteen columns of every segment of a film, with its action."""
    rng = np.random.default_rng([config.seed, 203, plan.subject, plan.take])
    video_id = _video_id(plan)
    rate = _index_fps(video_id)
    for number, segment in enumerate(segments):
        start, stop = segment.start / FPS, (segment.end + 1) / FPS
        spoken = start + float(rng.uniform(0, stop - start))
        # some narrations have no time of their own, here as there
        narrated = "" if rng.random() < 0.01 else _timestamp(spoken, 3)
        verb = segment.action.verb.name
        said = str(rng.choice(_VERB_INSTANCES[verb]))
        noun = segment.action.noun
        key, noun_class = _noun_key(noun), noun_number(segment.action)
        yield (
            (
                *(f"{video_id}_{number}", _participant(plan.subject), video_id),
                *(narrated, _timestamp(start, 2), _timestamp(stop, 2)),
                max(1, segment.start * rate // FPS),
                (segment.end + 1) * rate // FPS,
                *(f"{said.replace('-', ' ')} {noun}", said),
                *(verb_number(segment.action), key, noun_class),
                *(str([key]), str([noun_class])),
            ),
            segment.action,
        )


def _timestamp(seconds: float, decimals: int) -> str:
    """HH:MM:SS with decimals."""
    unit = 10**decimals
    units = math.floor(seconds * unit + 1e-6)
    minutes, rest = divmod(units, 60 * unit)
    whole, part = divmod(rest, unit)
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}:{whole:02d}"
    return f"{clock}.{part:0{decimals}d}"


def _noun_key(noun: str) -> str:
    """As published: the head first, ``juice:orange`` for orange juice."""
    return ":".join(reversed(noun.split()))


def _write_classes(root: Path) -> None:
    head = ("id", "key", "instances", "category")
    verbs = [
        (number, verb.name, str(list(_VERB_INSTANCES[verb.name])), category)
        for number, (verb, category) in enumerate(
            zip(VERBS, _VERB_CATEGORIES, strict=True)
        )
    ]
    _write_csv(root / "EPIC_100_verb_classes.csv", head, verbs)
    nouns = [
        (number, _noun_key(noun), str([_noun_key(noun)]), f"{CLUES[number % 2]} food")
        for number, noun in enumerate(NOUNS)
    ]
    _write_csv(root / "EPIC_100_noun_classes.csv", head, nouns)


def _write_subsets(root: Path, trained: Sequence[Action]) -> None:
    """Tail classes and participants whom training never shows."""
    for task, classes in (
        ("verb", _tail([verb_number(action) for action in trained], len(VERBS))),
        ("noun", _tail([noun_number(action) for action in trained], len(NOUNS))),
    ):
        name = f"EPIC_100_tail_{task}s.csv"
        _write_csv(root / name, (task,), [(number,) for number in classes])
    for split, name in (("val", "validation"), ("test", "test")):
        people = [(_participant(subject),) for subject in UNSEEN[split]]
        file = f"EPIC_100_unseen_participant_ids_{name}.csv"
        _write_csv(root / file, ("participant_id",), people)


def _tail(labels: Sequence[int], count: int) -> list[int]:
    """The smallest classes that together hold at most a fifth of the labels."""
    members = Counter(labels)
    held, found = 0, []
    for number in sorted(range(count), key=lambda one: (members[one], one)):
        held += members[number]
        if held > _TAIL_SHARE * len(labels):
            break
        found.append(number)
    return sorted(found)


def _write_videos(
    root: Path,
    config: WorldConfig,
    sequences: Sequence[tuple[SequencePlan, Sequence[ActedClip]]],
) -> None:
    rows = []
    for plan, _ in sequences:
        video_id = _video_id(plan)
        with np.load(root / f"boxes/{video_id}.npz", allow_pickle=False) as file:
            seconds = len(file["frame_id"]) / FPS
        rows.append((video_id, seconds, float(FPS), f"{config.width}x{config.height}"))
    head = ("video_id", "duration", "fps", "resolution")
    _write_csv(root / "EPIC_100_video_info.csv", head, rows)


def _write_csv(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_atomic(str(path), text.getvalue().encode())


def _write_npz(path: Path, **arrays: np.ndarray | np.generic) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(str(path), buffer.getvalue())
