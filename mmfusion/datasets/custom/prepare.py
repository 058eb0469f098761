"""From a folder of one's own clips to an annotation and skeleton caches.

Everything is read and checked first; then the caches are written, and the annotation
last, so that an interrupted or refused run leaves no annotation that names half of it.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.datasets.annotation import load_annotation, write_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.conversion import (
    ConversionReport,
    clear_temporaries,
    data_root_of,
    in_brackets,
    link_roots_of,
    relative_to,
)
from mmfusion.datasets.custom.sequences import (
    Timed,
    VideoFacts,
    open_video_facts,
    read_timed,
)
from mmfusion.datasets.splits import (
    TEST_FRACTION,
    VAL_FRACTION,
    SplitItem,
    Splits,
    assign_splits,
)
from mmfusion.layouts.clip_extent import outside_video
from mmfusion.layouts.clip_list import (
    CLIP_LIST,
    VIDEO_SUFFIXES,
    ClipList,
    ClipRow,
    check_rows,
    classes_of,
    list_clip_folders,
    read_clip_list,
)
from mmfusion.layouts.landmarks import (
    LANDMARK_SUFFIXES,
    NOTHING_SAID,
    LandmarkOptions,
    find_landmarks,
)
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import (
    AnnotationError,
    InputError,
    MediaError,
    MMFusionError,
)
from mmfusion.utils.paths import write_atomic

ANN_FILE = "annotation.json"
CACHES = "skeleton"
_SHOWN = 5


@dataclass(frozen=True)
class CustomSource:
    """A folder of clips, and what its user says about it.

    Attributes:
        folder: of the clips: with ``clips.csv``, or a folder for each class.
        out: folder of the annotation to be.
        clips: the list of clips, where it is not ``folder/clips.csv``.
        hands: folder of landmarks, named as the videos.
        options: said about the landmarks.
        with_labels: False for clips that are to be predicted only.
        name: of the data set; None takes the folder's.
        val_fraction, test_fraction, seed: of splits that are not given.
        drop_faulty: leave out clips whose files are faulty.
    """

    folder: Path
    out: Path
    clips: Path | None = None
    hands: Path | None = None
    options: LandmarkOptions = NOTHING_SAID
    with_labels: bool = True
    name: str | None = None
    val_fraction: float = VAL_FRACTION
    test_fraction: float = TEST_FRACTION
    seed: int = 0
    drop_faulty: bool = False

    @property
    def title(self) -> str:
        """Name of the data set."""
        return self.name or os.path.basename(os.path.abspath(self.folder)) or "custom"


@dataclass
class CustomData:
    """An annotation to be, and what was found on the way.

    Attributes:
        source: folder and options that it is from.
        report: metainfo, records, faults and notes.
        data_root: folder that the records' paths count from.
        link_roots: folders outside data_root to which links lead.
        landmarks: file, by the cache that it is written to, relative to ``source.out``.
    """

    source: CustomSource
    report: ConversionReport
    data_root: Path
    link_roots: list[str] = field(default_factory=list)
    landmarks: dict[str, "LandmarkFile"] = field(default_factory=dict)

    @property
    def ann_file(self) -> str:
        """The annotation, relative to data_root."""
        return relative_to(self.data_root, self.source.out / ANN_FILE)

    @property
    def obstacle(self) -> str:
        """Reason not to write it, with the remedy; "" where there is none."""
        if self.report.faults:
            return "mend the faulty files, or go on without their clips: --drop-faulty"
        return "" if self.report.records else "there is no clip"


@dataclass(frozen=True)
class LandmarkFile:
    """A file of landmarks, to be read again when its cache is written.

    Attributes:
        path: of it. video: whose landmarks they are. group: of the records.
    """

    path: Path
    video: VideoFacts | None
    group: str

    def read(self, options: LandmarkOptions) -> Timed:
        """The landmarks, with the moment of each row."""
        return read_timed(self.path, self.video, options)


def prepare(source: CustomSource, *, overwrite: bool = False) -> CustomData:
    """Read a folder of clips and write ``annotation.json`` and skeleton caches.

    Args:
        source: the folder, where to write, and what is said about it.
        overwrite: replace the annotation of another data set in ``source.out``.

    Raises:
        MMFusionError: a file or a row is wrong; nothing is written then.
    """
    data = gather(source)
    if data.obstacle:
        faults = data.report.faults
        more = f" ({len(faults)} such)" if len(faults) > 1 else ""
        what = f"{faults[0]}{more}" if faults else str(source.folder)
        raise AnnotationError(f"{what}: {data.obstacle}")
    write(data, overwrite=overwrite)
    return data


def gather(source: CustomSource) -> CustomData:
    """Read and check a folder of clips; nothing is written.

    Raises:
        MMFusionError: a row is wrong, or splits cannot be made. Files that cannot be
            read are collected in the report.
    """
    found = _list_clips(source)
    with_video = any(row.video is not None for row in found.rows)
    folder = source.folder if with_video else source.out
    data = CustomData(source, ConversionReport({}), data_root_of(folder, source.out))
    scan = _Scan(data)
    kept = [row for row in found.rows if scan.take(row)]
    report = data.report
    if source.drop_faulty:
        report.faults.clear()
    classes = classes_of(kept)
    report.metainfo |= {
        "version": 1,
        "dataset": source.title,
        "classes": {"action": classes} if classes else {},
    }
    if source.hands is not None and kept and scan.skeleton is None:
        raise InputError(
            f"--hands: {source.hands} has no landmarks of the {len(kept)} clips, such"
            f" as {Path(_group(kept[0])).with_suffix('.npz')}; expected files named as"
            " the videos"
        )
    if scan.skeleton is not None:
        report.metainfo["skeleton"] = scan.skeleton
        report.count_hands(scan.masks)
    splits = _split(kept, source) if kept else Splits([], "no clip")
    for row, split in zip(kept, splits.names, strict=True):
        report.records.append(scan.record(row, split, classes))
    data.link_roots = link_roots_of(data.data_root, scan.folders)
    report.notes += _notes(splits, found.unread, scan)
    return data


def _list_clips(source: CustomSource) -> ClipList:
    """The list's rows, else the videos in the folders, else the landmarks in them."""
    path = source.clips or source.folder / CLIP_LIST
    if source.clips is not None or path.is_file():
        found = read_clip_list(path)
    else:
        apart = [source.out / name for name in (CACHES, ANN_FILE)]
        apart += [] if source.hands is None else [source.hands]
        found = list_clip_folders(
            source.folder,
            VIDEO_SUFFIXES,
            LANDMARK_SUFFIXES,
            with_labels=source.with_labels,
            leave_out=apart,
        )
    rows = found.rows
    if not source.with_labels:
        rows = [dataclasses.replace(row, label=None, split=None) for row in rows]
    check_rows(rows, source.with_labels)
    return ClipList(rows, found.unread)


def _group(row: ClipRow) -> str:
    """Name of the sequence that a clip is part of: its video, or its landmarks."""
    return str(row.video or row.hands)


def _split(rows: Sequence[ClipRow], source: CustomSource) -> Splits:
    if not source.with_labels:
        rule = "all in test: clips without labels can be predicted only"
        return Splits(["test"] * len(rows), rule)
    items = [
        SplitItem(row.place, row.label, _group(row), row.subject, row.split)
        for row in rows
    ]
    return assign_splits(
        items,
        val_fraction=source.val_fraction,
        test_fraction=source.test_fraction,
        seed=source.seed,
    )


@dataclass(frozen=True)
class _Cached:
    """A cache to be: its file relative to ``out``, its rate, its length in seconds."""

    file: str
    fps: float
    duration: float


class _Scan:
    """The files of all rows, each opened once."""

    def __init__(self, data: CustomData) -> None:
        self.data, self.source = data, data.source
        self.skeleton: dict[str, Any] | None = None
        self.masks: list[np.ndarray] = []
        self.folders: set[Path] = set()  # of the videos, links resolved
        self.rates: Counter[str] = Counter()
        self.without_hands: list[str] = []
        self._videos: dict[str, VideoFacts | str] = {}
        self._timed: dict[str, _Cached | str | None] = {}
        self._hands_of: dict[str, tuple[str | None, str]] = {}

    def take(self, row: ClipRow) -> bool:
        """Open what a row names; False, with a fault in the report, if it is wrong."""
        reason = self._fault(row)
        if reason is None:
            return True
        name = _group(row)
        place = "" if row.place == name else f"{row.place}: "
        self.data.report.faults.append(f"{place}{reason}")
        self.data.report.dropped.append((name, "faulty file"))
        return False

    def _fault(self, row: ClipRow) -> str | None:
        video = None
        if row.video is not None:
            found = self._video(row.video)
            if isinstance(found, str):
                return found
            video = found
            fault = outside_video(row.start or 0.0, row.end, video.duration)
            if fault is not None:
                return f"{fault} ({row.video})"
        first, place = self._hands_of.setdefault(_group(row), (row.hands, row.place))
        if first != row.hands:
            return (
                f"hands is {row.hands!r}, and {first!r} in {place}; expected one file"
                f" for all clips of {_group(row)!r}"
            )
        timed = self._landmarks(row, video)
        if isinstance(timed, str):
            return timed
        if timed is not None and video is None:
            fault = outside_video(row.start or 0.0, row.end, timed.duration)
            if fault is not None:
                return f"{fault} ({row.hands})".replace("its video", "its file")
        return None

    def _video(self, name: str) -> VideoFacts | str:
        if name not in self._videos:
            path = self.source.folder / name
            try:
                self._videos[name] = facts = open_video_facts(path)
                self.folders.add(path.resolve().parent)
                self.rates[f"{facts.fps:.4g}"] += 1
            except MediaError as error:
                self._videos[name] = str(error)
        return self._videos[name]

    def _landmark_path(self, row: ClipRow) -> Path | None:
        """The file of landmarks: named, or found by the video's name."""
        if row.hands is not None:
            return (self.source.hands or self.source.folder) / row.hands
        video = Path(str(row.video))
        if self.source.hands is None:
            return find_landmarks(self.source.folder / video)
        # the videos may have been named from a folder further down
        for first in range(len(video.parts)):
            found = find_landmarks(self.source.hands.joinpath(*video.parts[first:]))
            if found is not None:
                return found
        return None

    def _landmarks(
        self, row: ClipRow, video: VideoFacts | None
    ) -> _Cached | str | None:
        """Cache, its rate and its seconds; a reason; None where there are no hands."""
        group = _group(row)
        if group not in self._timed:
            path = self._landmark_path(row)
            if path is None:
                self.without_hands.append(group)
                self._timed[group] = None
            else:
                file = LandmarkFile(path, video, group)
                try:
                    self._timed[group] = self._measure(file)
                except MMFusionError as error:
                    self._timed[group] = str(error)
        return self._timed[group]

    def _measure(self, file: LandmarkFile) -> _Cached:
        timed = file.read(self.source.options)
        skeleton = timed.landmarks.skeleton
        if self.skeleton is None:
            self.skeleton = skeleton
        elif self.skeleton != skeleton:
            raise AnnotationError(
                f"{file.path} has skeletons {skeleton}; expected {self.skeleton}, as"
                " the files before: one annotation has one kind"
            )
        self.masks.append(timed.landmarks.valid)
        cache = f"{CACHES}/{file.group}.npz"
        self.data.landmarks[cache] = file
        return _Cached(cache, timed.fps, timed.duration)

    def record(self, row: ClipRow, split: str, classes: Sequence[str]) -> dict:
        """The annotation's record of a clip."""
        group = _group(row)
        record: dict[str, Any] = {}
        video, timed = self._videos.get(group), self._timed[group]
        assert not isinstance(video, str) and not isinstance(timed, str)
        duration, fps = 0.0, 0.0
        if video is not None:
            path = relative_to(self.data.data_root, self.source.folder / group)
            record["video"] = path
            duration, fps = video.duration, video.fps
        if timed is not None:
            path = relative_to(self.data.data_root, self.source.out / timed.file)
            record["skeleton"] = {"file": path}
            duration, fps = duration or timed.duration, timed.fps
        start, end = row.start or 0.0, row.end or duration
        first = int(start * fps + 1e-3)
        subject = {} if row.subject is None else {"extra": {"subject": row.subject}}
        is_part = row.start is not None or row.end is not None
        return {
            "id": f"{group}#{start:g}-{end:g}" if is_part else group,
            "group": group,
            "split": split,
            **record,
            "start_sec": start,
            "end_sec": end,
            "duration_sec": duration,
            "start_frame": first,
            "end_frame": max(first, round(min(end, duration) * fps) - 1),
            "index_fps": fps,
            "label": {} if row.label is None else {"action": classes.index(row.label)},
            **subject,
        }


def _notes(splits: Splits, unread: Sequence[str], scan: _Scan) -> list[str]:
    notes = [f"splits: {splits.rule}", *splits.notes]
    if scan.rates:
        rates = [f"{count} x {rate}" for rate, count in sorted(scan.rates.items())]
        notes.append(f"videos by frames a second: {', '.join(rates)}")
    if scan.skeleton is not None and scan.without_hands:
        names = in_brackets(scan.without_hands, _SHOWN)
        notes.append(f"videos without landmarks: {len(scan.without_hands)}{names}")
    if unread:
        notes.append(f"columns that nothing reads: {', '.join(unread)}")
    return notes


def write(data: CustomData, *, overwrite: bool = False) -> None:
    """Write the caches, then ``annotation.json``, then ``prepare.log``.

    Args:
        data: of :func:`gather`, without an obstacle.
        overwrite: replace the annotation of another data set.

    Raises:
        AnnotationError: there is one, and it is not to be replaced.
    """
    ann_file = data.source.out / ANN_FILE
    _check_replaced(ann_file, data.report, overwrite)
    kind = SkeletonKind.of(data.report.metainfo.get("skeleton"))
    used = {record["group"] for record in data.report.records}
    for cache, file in data.landmarks.items():
        if file.group not in used:
            continue
        timed = file.read(data.source.options)
        path = data.source.out / cache
        clear_temporaries(path.parent)
        write_skeleton_cache(
            path,
            keypoint=timed.landmarks.keypoint,
            valid=timed.landmarks.valid,
            frame_id=timed.frame_id,
            fps=timed.fps,
            sequence=file.group,
            kind=kind,
        )
    write_annotation(ann_file, data.report.metainfo, data.report.records)
    text = f"in a config: {config_hint(data)}\n{data.report.text(every=True)}\n"
    write_atomic(data.source.out / "prepare.log", text.encode())


def config_hint(data: CustomData) -> str:
    """Keyword arguments of a config's dataset that read this annotation."""
    hint = f"data_root={str(data.data_root)!r}, ann_file={data.ann_file!r}"
    return hint + (f", link_roots={data.link_roots}" if data.link_roots else "")


def _check_replaced(path: Path, report: ConversionReport, overwrite: bool) -> None:
    if not path.is_file():
        return
    metainfo, records = load_annotation(str(path))
    name = report.metainfo["dataset"]
    if metainfo["dataset"] != name and not overwrite:
        raise AnnotationError(
            f"{path} is the annotation of {metainfo['dataset']!r}; expected none, or"
            f" one of {name!r}: name another --out, or replace it by --overwrite"
        )
    report.notes.append(f"replaced: an annotation of {len(records)} clips")
