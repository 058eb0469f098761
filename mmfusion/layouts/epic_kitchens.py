"""EPIC-KITCHENS-100's csv files (Damen et al., IJCV 2022), read as they are.

Segments come in three forms, told apart by their first row: the official train and
validation files (15 columns), the official test file (the first 8 of them), and
RULSTM's lists (no header: id, video, first frame, last frame, verb, noun, action;
frames counted at 30 a second). Time is in seconds; published frame numbers count at 60
a second for videos ``PXX_YY`` and at 50 for ``PXX_1YY``, whatever the video's own rate.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmfusion.layouts.clip_extent import outside_video
from mmfusion.layouts.csv_rows import read_columns, read_rows
from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.schema import shown

LABEL_COLUMNS = ("narration", "verb", "verb_class", "noun", "noun_class")
TIME_COLUMNS = (
    *("narration_id", "participant_id", "video_id"),
    *("start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
)
SEGMENT_FILES = {
    "train": "EPIC_100_train.csv",
    "val": "EPIC_100_validation.csv",
    "test": "EPIC_100_test_timestamps.csv",
}
VERB_FILE, NOUN_FILE = "EPIC_100_verb_classes.csv", "EPIC_100_noun_classes.csv"
VIDEO_FILE = "EPIC_100_video_info.csv"
TAIL_FILES = {"verb": "EPIC_100_tail_verbs.csv", "noun": "EPIC_100_tail_nouns.csv"}
UNSEEN_FILES = {
    "val": "EPIC_100_unseen_participant_ids_validation.csv",
    "test": "EPIC_100_unseen_participant_ids_test.csv",
}
LIST_FPS = 30.0  # of RULSTM's lists
_LIST_COLUMNS = 7
_ENDS = ("start", "stop")
_VIDEO = re.compile(r"(P[0-9]{2})_([0-9]{2,3})")
_CLOCK = re.compile(r"([0-9]{1,3}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)")
_PARTICIPANT = re.compile(r"P[0-9]{2}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,20})?")
_COUNT = re.compile(r"[0-9]{1,9}")
_WORD = re.compile(r"[^\W_]")


def natural(name: str) -> str:
    """The name as English writes it: ``board:chopping`` is a chopping board.

    >>> natural("machine:sous:vide"), natural("put-down"), natural("water_bottle")
    ('sous vide machine', 'put down', 'water bottle')
    """
    head, *modifiers = name.split(":")
    return re.sub(r"[-_\s]+", " ", " ".join([*modifiers, head])).strip()


@dataclass(frozen=True)
class EpicSegment:
    """One annotated action.

    Attributes:
        narration_id: its key.
        participant, video: such as P01 and P01_11.
        start_sec, stop_sec: seconds from the start of the video.
        start_frame, stop_frame: as the file gives them.
        narration: what the participant said, or None.
        verb_name, noun_name: the words for them (``pick-up``), or None.
        verb, noun: classes, None in the test file.
        action: RULSTM's number of the pair, or None.
        place: ``file:line``, for errors.
    """

    narration_id: str
    participant: str
    video: str
    start_sec: float
    stop_sec: float
    start_frame: int
    stop_frame: int
    narration: str | None
    verb_name: str | None
    noun_name: str | None
    verb: int | None
    noun: int | None
    action: int | None
    place: str


@dataclass(frozen=True)
class WordClass:
    """One class of verbs or nouns.

    Attributes:
        key: its name as the dataset writes it, such as ``board:chopping``.
        instances: all names that annotators used for it, the key the first.
        category: coarser group, or None.
    """

    key: str
    instances: tuple[str, ...]
    category: str | None = None


@dataclass(frozen=True)
class EpicClasses:
    """Classes and subsets, the classes in the order of their numbers.

    Attributes:
        verb, noun: the rows of the class files.
        tail_verbs, tail_nouns: numbers of the tail classes; empty without the files.
    """

    verb: tuple[WordClass, ...]
    noun: tuple[WordClass, ...]
    tail_verbs: tuple[int, ...] = ()
    tail_nouns: tuple[int, ...] = ()

    def names(self, pairs: Sequence[tuple[int, int]]) -> dict[str, list[str]]:
        """Names as one says them, for ``metainfo.classes``."""
        verbs = [natural(one.key) for one in self.verb]
        nouns = [natural(one.key) for one in self.noun]
        names = {"verb": verbs, "noun": nouns}
        if pairs:
            names["action"] = [f"{verbs[verb]} {nouns[noun]}" for verb, noun in pairs]
        return names


def index_fps(video: str) -> float:
    """Frames a second of the published numbers and of the published images."""
    return 50.0 if len(video.split("_")[-1]) == 3 else 60.0


def read_segments(
    path: Path, classes: EpicClasses, *, list_fps: float = LIST_FPS
) -> list[EpicSegment]:
    """Read a file of segments, official or RULSTM's.

    Args:
        path: the csv.
        classes: what its classes must fit.
        list_fps: frames a second of a list without time stamps.

    Raises:
        AnnotationError: names file, line and value: a class that is not in the class
            file, an id that comes twice, a segment that is empty or runs backwards...
    """
    rows = read_rows(path)
    if not rows:
        raise AnnotationError(f"{path}: the file is empty; expected segments")
    if "narration_id" in rows[0][1]:
        labelled = "verb_class" in rows[0][1]
        needed = (*TIME_COLUMNS, *(LABEL_COLUMNS if labelled else ()))
        found = [_official(row, at, classes) for at, row in read_columns(path, needed)]
        _check_names(path, found, classes)
    elif len(rows[0][1]) == _LIST_COLUMNS:
        found = [_listed(row, place, classes, list_fps) for place, row in rows]
    else:
        raise AnnotationError(
            f"{rows[0][0]}: {shown(rows[0][1])} is neither the header of an official"
            f" file nor a row of RULSTM's list, which has {_LIST_COLUMNS} columns"
        )
    seen: dict[str, str] = {}
    for segment in found:
        first = seen.setdefault(segment.narration_id, segment.place)
        if first is not segment.place:
            raise AnnotationError(
                f"{segment.place}: narration_id {segment.narration_id!r} comes twice;"
                f" the first is at {first}"
            )
    return found


def _check_names(
    path: Path, segments: Sequence[EpicSegment], classes: EpicClasses
) -> None:
    """Refuse the class files of another dataset, or the two swapped.

    A slip of the pen is in the real files; that most names are of another class is not.
    """
    for task in ("verb", "noun"):
        table: tuple[WordClass, ...] = getattr(classes, task)
        rows = [(getattr(s, f"{task}_name"), getattr(s, task)) for s in segments]
        strange = [
            (name, number)
            for name, number in rows
            if name is not None and name not in table[number].instances
        ]
        if len(strange) > len(segments) / 2:
            name, number = strange[0]
            raise AnnotationError(
                f"{path}: {len(strange)} of {len(segments)} {task}s are no names of"
                f" their class: {name!r} has {task}_class {number}, which is"
                f" {table[number].key!r}; take the class files that belong to it"
            )


def _official(row: Mapping[str, str], at: str, classes: EpicClasses) -> EpicSegment:
    name, participant, video = _names(row["narration_id"], row["video_id"], at)
    if row["participant_id"] != participant:
        raise AnnotationError(
            f"{at}: participant_id is {shown(row['participant_id'])}; expected"
            f" {participant!r}, as video_id is {video!r}"
        )
    start, stop = (_seconds(row, f"{one}_timestamp", at) for one in _ENDS)
    frames = [_number(row[f"{one}_frame"], f"{one}_frame", at) for one in _ENDS]
    _check_span(start, stop, "timestamp", at)
    _check_span(frames[0], frames[1], "frame", at)
    labelled = "verb_class" in row
    return EpicSegment(
        narration_id=name,
        participant=participant,
        video=video,
        start_sec=start,
        stop_sec=stop,
        start_frame=frames[0],
        stop_frame=frames[1],
        narration=row["narration"] if labelled else None,
        verb_name=_name(row["verb"], "verb", at) if labelled else None,
        noun_name=_name(row["noun"], "noun", at) if labelled else None,
        verb=_class(row["verb_class"], "verb", classes, at) if labelled else None,
        noun=_class(row["noun_class"], "noun", classes, at) if labelled else None,
        action=None,
        place=at,
    )


def _listed(
    row: Sequence[str], at: str, classes: EpicClasses, fps: float
) -> EpicSegment:
    if len(row) != _LIST_COLUMNS:
        raise AnnotationError(
            f"{at}: {len(row)} columns; expected {_LIST_COLUMNS}: id, video, first"
            " frame, last frame, verb, noun, action"
        )
    name, participant, video = _names(row[0], row[1], at)
    first, last = (
        _number(text, f"{end}_frame", at)
        for text, end in zip(row[2:4], _ENDS, strict=True)
    )
    _check_span(first, last, "frame", at)
    return EpicSegment(
        narration_id=name,
        participant=participant,
        video=video,
        start_sec=first / fps,
        stop_sec=last / fps,
        start_frame=first,
        stop_frame=last,
        narration=None,
        verb_name=None,
        noun_name=None,
        verb=_class(row[4], "verb", classes, at),
        noun=_class(row[5], "noun", classes, at),
        action=_number(row[6], "action", at),
        place=at,
    )


def _names(narration: str, video: str, at: str) -> tuple[str, str, str]:
    """Checked narration id, participant and video; ids are compared whole."""
    match = _VIDEO.fullmatch(video)
    if match is None:
        raise AnnotationError(
            f"{at}: video_id is {shown(video)}; expected one such as P01_11 or P01_101"
        )
    own, _, number = narration.rpartition("_")
    if own != video or not _COUNT.fullmatch(number):
        raise AnnotationError(
            f"{at}: narration_id is {shown(narration)}; expected {video}_<number>, as"
            f" video_id is {video!r}"
        )
    return narration, match[1], video


def _name(text: str, task: str, at: str) -> str:
    if _WORD.search(text) is None:
        raise AnnotationError(f"{at}: {task} is {shown(text)}; expected a name")
    return text


def _seconds(row: Mapping[str, str], column: str, at: str) -> float:
    """Seconds of ``HH:MM:SS.ss``; the fraction may have any number of digits."""
    match = _CLOCK.fullmatch(row[column])
    if match is None or int(match[2]) > 59 or float(match[3]) >= 60:
        raise AnnotationError(
            f"{at}: {column} is {shown(row[column])}; expected HH:MM:SS.ss"
        )
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


def _number(text: str, column: str, at: str) -> int:
    if not _COUNT.fullmatch(text):
        raise AnnotationError(
            f"{at}: {column} is {shown(text)}; expected a whole number from 0"
        )
    return int(text)


def _check_span(start: float, stop: float, unit: str, at: str) -> None:
    if stop < start or (unit == "timestamp" and stop == start):
        raise AnnotationError(
            f"{at}: stop_{unit} is {stop:g} and start_{unit} {start:g}; expected a"
            " segment that ends after it starts"
        )


def _class(text: str, task: str, classes: EpicClasses, at: str) -> int:
    count = len(classes.verb if task == "verb" else classes.noun)
    if not _COUNT.fullmatch(text) or int(text) >= count:
        file = VERB_FILE if task == "verb" else NOUN_FILE
        raise AnnotationError(
            f"{at}: {task}_class is {shown(text)}, a class that {file} does not have;"
            f" expected 0..{count - 1}"
        )
    return int(text)


def read_classes(folder: Path) -> EpicClasses:
    """Read the class files of a folder, and the tail files where they are.

    Raises:
        AnnotationError: ids that do not count up from 0, or a tail class unknown.
    """
    verb, noun = (_read_class_file(folder / file) for file in (VERB_FILE, NOUN_FILE))
    tails = {
        task: _read_tail(folder / file, task, len(table))
        for (task, file), table in zip(TAIL_FILES.items(), (verb, noun), strict=True)
    }
    return EpicClasses(verb, noun, tails["verb"], tails["noun"])


def _read_class_file(path: Path) -> tuple[WordClass, ...]:
    found: list[WordClass] = []
    for place, row in read_columns(path, ("id", "key", "instances")):
        if row["id"] != str(len(found)):
            raise AnnotationError(
                f"{place}: id is {shown(row['id'])}; expected {len(found)}: classes"
                " count up from 0"
            )
        if not row["key"].strip() or not row["key"].isprintable():
            raise AnnotationError(
                f"{place}: key is {shown(row['key'])}; expected a printable name"
            )
        names = dict.fromkeys((row["key"], *_instances(row["instances"], place)))
        found.append(WordClass(row["key"], tuple(names), row.get("category") or None))
    if not found:
        raise AnnotationError(f"{path}: it has no class")
    return tuple(found)


def _instances(text: str, at: str) -> list[str]:
    """The names in a cell such as ``['take', 'pick-up']``."""
    try:
        names = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        names = None
    if not isinstance(names, list) or not all(
        isinstance(name, str) and _WORD.search(name) for name in names
    ):
        raise AnnotationError(
            f"{at}: instances is {shown(text)}; expected a list of names, as"
            " ['take', 'pick-up']"
        )
    return names


def _read_tail(path: Path, task: str, count: int) -> tuple[int, ...]:
    if not path.is_file():
        return ()
    found = []
    for place, row in read_columns(path, (task,)):
        number = _number(row[task], task, place)
        if number >= count:
            raise AnnotationError(
                f"{place}: {task} is {number}; expected 0..{count - 1}, a class"
            )
        found.append(number)
    return tuple(found)


def read_unseen(folder: Path, split: str) -> tuple[str, ...]:
    """Participants of a split whom training never shows; empty without the file."""
    file = UNSEEN_FILES.get(split)
    if file is None or not (folder / file).is_file():
        return ()
    rows = read_columns(folder / file, ("participant_id",))
    for place, row in rows:
        if not _PARTICIPANT.fullmatch(row["participant_id"]):
            raise AnnotationError(
                f"{place}: participant_id is {shown(row['participant_id'])}; expected"
                " one such as P01"
            )
    return tuple(row["participant_id"] for _, row in rows)


def read_durations(path: Path) -> dict[str, float]:
    """Seconds of every video, from the official file of videos."""
    return _video_column(path, "duration", "seconds, as 12.5")


def read_rates(path: Path) -> dict[str, float]:
    """Frames a second of every video itself, from the official file of videos."""
    return _video_column(path, "fps", "frames a second, as 59.94")


def _video_column(path: Path, column: str, expected: str) -> dict[str, float]:
    """A column of positive numbers, by video."""
    found = {}
    for place, row in read_columns(path, ("video_id", column)):
        text = row[column]
        value = float(text) if _SECONDS.fullmatch(text) else 0.0
        if not value:
            raise AnnotationError(
                f"{place}: {column} is {shown(text)}; expected {expected}"
            )
        if row["video_id"] in found:
            raise AnnotationError(f"{place}: video_id {row['video_id']!r} comes twice")
        found[row["video_id"]] = value
    return found


def check_durations(
    segments: Iterable[EpicSegment], durations: Mapping[str, float]
) -> None:
    """Refuse segments that do not lie within their videos.

    Raises:
        AnnotationError: names the segment, its line, and the video.
    """
    for one in segments:
        seconds = durations.get(one.video)
        if seconds is None:
            raise AnnotationError(
                f"{one.place}: the video {one.video!r} is not in {VIDEO_FILE}"
            )
        if outside_video(one.start_sec, one.stop_sec, seconds) is not None:
            raise AnnotationError(
                f"{one.place}: {one.narration_id!r} stops at {one.stop_sec:g} s, but"
                f" the video {one.video!r} is shorter than its csv says: it has"
                f" {seconds:g} s; download it again"
            )


def action_pairs(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The action vocabulary in AVION's and RULSTM's order.

    An action's number is the rank of the text ``verb:noun`` among the pairs that occur:
    3,806 in the training and validation files together.
    """
    return sorted(set(pairs), key=lambda pair: f"{pair[0]}:{pair[1]}")


def read_actions(path: Path, classes: EpicClasses) -> list[tuple[int, int]]:
    """Read the pairs of an action file (id, verb, noun), such as RULSTM's.

    Raises:
        AnnotationError: ids that do not count up from 0, a class unknown, a pair twice.
    """
    pairs: dict[tuple[int, int], str] = {}
    for place, row in read_columns(path, ("id", "verb", "noun")):
        if row["id"] != str(len(pairs)):
            raise AnnotationError(
                f"{place}: id is {shown(row['id'])}; expected {len(pairs)}: actions"
                " count up from 0, and no pair comes twice"
            )
        verb = _class(row["verb"], "verb", classes, place)
        noun = _class(row["noun"], "noun", classes, place)
        if (verb, noun) in pairs:
            raise AnnotationError(
                f"{place}: verb {verb} with noun {noun} comes twice; the first is at"
                f" {pairs[verb, noun]}"
            )
        pairs[verb, noun] = place
    return list(pairs)


def check_action_numbers(
    segments: Sequence[EpicSegment], pairs: Sequence[tuple[int, int]]
) -> None:
    """Refuse a list that numbers its actions otherwise than the vocabulary does."""
    for one in segments:
        if one.action is None or not pairs:
            continue
        known = pairs[one.action] if one.action < len(pairs) else None
        if known != (one.verb, one.noun):
            raise AnnotationError(
                f"{one.place}: action {one.action} is verb {one.verb} with noun"
                f" {one.noun} here, but {known} in the vocabulary of {len(pairs)}"
                " actions; take the vocabulary that belongs to the list"
            )
