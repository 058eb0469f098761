"""Clips of one's own data: a ``clips.csv``, or a folder for each class.

    video,label,start,end,split,subject,hands,scene,fold,val_of
    anna/01.mp4,wave,0.5,2.25,train,anna,,,,
    ben/07.mp4,point,,,test,ben,,,,

One row is one clip. Only ``video`` and ``label`` are needed; a row whose ``hands``
names a file of landmarks needs no ``video``. ``start`` and ``end`` are seconds in it.
Comma, semicolon and tab separate columns; with a semicolon, 0,5 is a number.
"""

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmfusion.layouts.csv_rows import read_rows
from mmfusion.utils.errors import AnnotationError, InputError, MissingDataError
from mmfusion.utils.paths import unsafe_reason
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_lines

CLIP_LIST = "clips.csv"
COLUMNS = (
    *("video", "label", "start", "end", "split", "subject", "hands"),
    *("scene", "fold", "val_of"),
)
SPLITS = ("train", "val", "test")
_A_FRAME = "_keypoints.json"
_SEPARATORS = ",;\t"
_FOLD = re.compile(r"[0-9]{1,4}")
_FOLDS = re.compile(r"[0-9]{1,4}( [0-9]{1,4})*")
_SECONDS = re.compile(r"[0-9]{1,7}(\.[0-9]{0,9})?")


@dataclass(frozen=True)
class ClipRow:
    """One clip, as a row or a file says it; None where nothing is said.

    Attributes:
        place: ``file:line``, or the path of the file.
        video: relative to the folder. hands: file of landmarks, likewise.
        start, end: seconds in the video.
        scene: where it was filmed; clips of one scene stay in one split.
        fold: number of the fold that tests it. val_of: those that validate on it.
    """

    place: str
    video: str | None = None
    label: str | None = None
    start: float | None = None
    end: float | None = None
    split: str | None = None
    subject: str | None = None
    hands: str | None = None
    scene: str | None = None
    fold: int | None = None
    val_of: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ClipList:
    """The rows, and the columns that nothing reads."""

    rows: list[ClipRow]
    unread: list[str]


def read_clip_list(path: Path) -> ClipList:
    """The rows of a ``clips.csv``.

    Raises:
        AnnotationError: names file and line, what came and what was expected.
    """
    try:
        _, head = next(iter(read_lines(path)), (1, ""))
        separator = max(_SEPARATORS, key=head.count)
        found = read_rows(path, separator)
    except AnnotationError as error:
        if "is not UTF-8" not in str(error):
            raise
        raise AnnotationError(
            f"{error}: save the table as 'CSV UTF-8', or write it again by iconv -f"
            " windows-1252 -t utf-8"
        ) from None
    if len(found) < 2:
        what = "has a header only" if found else "is empty"
        raise AnnotationError(f"{path} {what}; expected a header and a clip in a row")
    (place, names), *rows = found
    rows = [(where, cells) for where, cells in rows if any(map(str.strip, cells))]
    names = [name.strip().lower() for name in names]
    unread = _check_header(place, names)
    return ClipList([_row(p, cells, names, separator) for p, cells in rows], unread)


def _check_header(place: str, names: Sequence[str]) -> list[str]:
    """Columns that nothing reads; one that looks like a slip is refused."""
    for name in names:
        if names.count(name) > 1:
            raise AnnotationError(f"{place}: the column {name!r} is there twice")
        near = difflib.get_close_matches(name, COLUMNS, n=1)
        if name not in COLUMNS and near and near[0] not in names:
            raise AnnotationError(
                f"{place}: the header has {name!r}; did you mean {near[0]!r}? Columns"
                f" are {', '.join(COLUMNS)}"
            )
    if not {"video", "hands"} & {*names}:
        raise AnnotationError(
            f"{place}: the header is {shown(names)}; expected a column 'video', or"
            f" 'hands' for landmarks alone. Columns are {', '.join(COLUMNS)}"
        )
    return [name for name in names if name not in COLUMNS]


def _row(
    place: str, cells: Sequence[str], names: Sequence[str], separator: str
) -> ClipRow:
    if len(cells) != len(names):
        raise AnnotationError(
            f"{place}: {len(cells)} columns; expected {len(names)}, as the header has:"
            " text with the separator in it stands in quotes"
        )
    text = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    times = {}
    for key in ("start", "end"):
        value = text.get(key, "")
        if separator != ",":
            value = value.replace(",", ".")
        if value and not _SECONDS.fullmatch(value):
            raise AnnotationError(
                f"{place}: {key} is {shown(text[key])}; expected seconds in the video,"
                " such as 2.5"
            )
        times[key] = float(value) if value else None
    start, end = times["start"], times["end"]
    if end is not None and end <= (start or 0.0):
        raise AnnotationError(
            f"{place}: end is {end:g} and start {start or 0.0:g}; expected the end"
            " after the start"
        )
    keys = ("video", "label", "split", "subject", "hands", "scene")
    words = {key: text.get(key) or None for key in keys}
    folds = {key: text.get(key, "") for key in ("fold", "val_of")}
    for key, form in (("fold", _FOLD), ("val_of", _FOLDS)):
        if folds[key] and not form.fullmatch(folds[key]):
            more = " or several, with blanks between" if key == "val_of" else ""
            raise AnnotationError(
                f"{place}: {key} is {shown(text[key])}; expected the number of a fold,"
                f" such as 0{more}"
            )
    row = ClipRow(
        place,
        **words,  # type: ignore[arg-type]
        **times,  # type: ignore[arg-type]
        fold=int(folds["fold"]) if folds["fold"] else None,
        val_of=tuple(map(int, folds["val_of"].split())) if "val_of" in text else None,
    )
    _check_words(row)
    return row


def _check_words(row: ClipRow) -> None:
    """Refuse what a row says of its files, its split, or who is in it."""
    if row.video is None and row.hands is None:
        raise AnnotationError(f"{row.place}: no video; expected one, or hands")
    for key, path in (("video", row.video), ("hands", row.hands)):
        reason = None if path is None else unsafe_reason(path)
        if reason is not None:
            raise AnnotationError(
                f"{row.place}: {key} is {shown(path)}: {reason}; expected a path"
                " relative to the folder, inside it"
            )
    if row.split is not None and row.split not in SPLITS:
        near = difflib.get_close_matches(row.split.lower(), SPLITS, n=1, cutoff=0.5)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise AnnotationError(
            f"{row.place}: split is {row.split!r}; expected one of {SPLITS}, or nothing"
            f" in the whole column{hint}"
        )
    for key in ("label", "subject", "scene"):
        word = getattr(row, key)
        if word is not None and not word.isprintable():
            raise AnnotationError(
                f"{row.place}: {key} is {shown(word)}; expected a name in one line"
            )


def check_rows(rows: Iterable[ClipRow], with_labels: bool) -> None:
    """Refuse a clip that is there twice and, with labels, one that has none.

    Raises:
        AnnotationError: names the row.
    """
    seen: dict[tuple[object, ...], str] = {}
    for row in rows:
        clip = (row.video or row.hands, row.start or 0.0, row.end)
        if clip in seen:
            raise AnnotationError(
                f"{row.place}: the same clip of {clip[0]!r} stands in {seen[clip]};"
                " expected each once"
            )
        seen[clip] = row.place
        if with_labels and row.label is None:
            raise AnnotationError(
                f"{row.place}: no label; expected the name of a class, or --no-labels"
                " for clips that are to be predicted only"
            )


def list_clip_folders(
    folder: Path,
    videos: Iterable[str],
    landmarks: Iterable[str],
    *,
    with_labels: bool = True,
    leave_out: Iterable[Path] = (),
) -> ClipList:
    """A clip for each video below a folder for each class; without any, each landmarks.

    Where the folders are ``train``, ``val`` and ``test``, the classes lie in them.

    Args:
        folder: of the classes.
        videos, landmarks: suffixes of the files, in lower case.
        with_labels: False takes every file below the folder, without a label.
        leave_out: folders and files that are no clips.

    Raises:
        MissingDataError: there is no such folder, or no such file in it.
        AnnotationError: a file lies beside the folders, a name is no plain path.
    """
    if not folder.is_dir():
        raise MissingDataError(f"{folder} is no folder")
    files = _files_below(folder, {os.path.realpath(path) for path in leave_out})
    key, kinds = "video", {*videos}
    if not any(path.suffix.lower() in kinds for path in files):
        key, kinds = "hands", {*landmarks}
    found = [path for path in files if path.suffix.lower() in kinds]
    if key == "hands":  # OpenPose has a file a frame, and a folder a video
        found = [p.parent if p.name.endswith(_A_FRAME) else p for p in found]
        found = [*dict.fromkeys(found)]
    if not found:
        raise MissingDataError(
            f"{folder} has neither {CLIP_LIST} nor a video in it; expected a folder for"
            f" each class with videos ({', '.join(sorted(videos))}) or landmarks"
        )
    names = [path.relative_to(folder).as_posix() for path in found]
    for name in names:
        reason = unsafe_reason(name)
        if reason is not None:
            raise AnnotationError(
                f"{str(folder / name)!r}: {reason}; expected a plain name: rename it"
            )
    has_splits = all(n.count("/") > 1 and n.split("/")[0] in SPLITS for n in names)
    rows = []
    for name in names:
        *parts, _ = name.split("/")
        split = parts.pop(0) if has_splits else None
        if with_labels and not parts:
            raise AnnotationError(
                f"{str(folder / name)!r} lies in no class's folder; expected"
                f" FOLDER/CLASS/FILE, a {CLIP_LIST}, or --no-labels for clips that are"
                " to be predicted only"
            )
        label = parts[0] if with_labels else None
        paths = (name, None) if key == "video" else (None, name)
        rows.append(ClipRow(name, paths[0], label, split=split, hands=paths[1]))
    return ClipList(rows, [])


def _files_below(folder: Path, skipped: set[str]) -> list[Path]:
    """Files below a folder in the order of their names; hidden ones are left out.

    Links to folders are followed, each folder once: a link may lead back up.
    """
    found, seen = [], {*skipped}
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        kept = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(place, name))
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept
        paths = [Path(place, name) for name in names if not name.startswith(".")]
        found += [path for path in paths if os.path.realpath(path) not in skipped]
    return sorted(found)


def classes_of(rows: Iterable[ClipRow]) -> list[str]:
    """Class names in alphabetical order.

    Raises:
        InputError: two names differ in capitals or blanks only.
    """
    places = {row.label: row.place for row in rows if row.label is not None}
    alike: dict[str, str] = {}
    for name in sorted(places):
        key = " ".join(name.casefold().split())
        if key in alike:
            raise InputError(
                f"{places[name]}: the label {name!r} is also written {alike[key]!r};"
                " expected one way, as each name is a class"
            )
        alike[key] = name
    return sorted(places)
