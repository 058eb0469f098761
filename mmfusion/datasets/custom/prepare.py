"""From a folder of one's own clips to an annotation and skeleton caches.

Everything is read and checked first; then the caches are written, and the annotation
last, so that an interrupted or refused run leaves no annotation that names half of it.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from mmfusion.datasets.conversion import ConversionReport, in_brackets
from mmfusion.datasets.custom.data import (
    ANN_FILE,
    CACHES,
    CustomData,
    CustomSource,
    one_class_note,
    write,
)
from mmfusion.datasets.custom.scan import Scan, group_of
from mmfusion.datasets.custom.sequence_npz import gather_sequences
from mmfusion.datasets.media.video_files import VIDEO_SUFFIXES
from mmfusion.datasets.splits import SplitItem, Splits
from mmfusion.layouts.clip_list import (
    CLIP_LIST,
    ClipList,
    ClipRow,
    check_rows,
    classes_of,
    list_clip_folders,
    read_clip_list,
)
from mmfusion.layouts.landmarks import LANDMARK_SUFFIXES
from mmfusion.utils.errors import AnnotationError, InputError

_SHOWN = 5


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


def gather(source: CustomSource, clips: ClipList | None = None) -> CustomData:
    """Read and check a folder of clips; nothing is written.

    Args:
        source: the folder, and what is said about it.
        clips: the list, where the caller has it; None reads the folder's.

    Raises:
        MMFusionError: a row is wrong, or splits cannot be made. Files that cannot be
            read are collected in the report.
    """
    if source.is_npz:
        return gather_sequences(source)
    if source.split_by is not None:
        raise InputError(
            "--split-by is for an npz of sequences; give the column split of clips.csv"
        )
    found = _checked(source, clips or _list_clips(source))
    data = CustomData(source, ConversionReport({}))
    scan = Scan(data)
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
    if (
        source.hands is not None
        and kept
        and scan.skeleton is None
        and not report.faults
    ):
        raise InputError(
            f"--hands: {source.hands} has no landmarks of the {len(kept)} clips;"
            " expected files named as the videos, such as"
            f" {Path(group_of(kept[0])).with_suffix('.npz')}"
        )
    if scan.skeleton is not None and not scan.tally.sees_any:
        raise InputError(
            f"no hand is seen in any frame of the {len(scan.tally.masks)} files of"
            f" landmarks, such as {scan.first_landmarks}; expected one at least: look"
            " at how they were made, or move them away to use the videos alone"
        )
    if scan.skeleton is not None:
        report.metainfo["skeleton"] = scan.skeleton
        report.count_hands(scan.tally.masks)
    if report.faults or not kept:
        return data
    splits = _split(kept, data)
    for row, split in zip(kept, splits.names, strict=True):
        report.records.append(scan.record(row, split, classes))
    report.notes += one_class_note(classes)
    report.notes += _subjects(kept, splits) + _notes(splits, found.unread, scan)
    return data


def _list_clips(source: CustomSource) -> ClipList:
    """The list's rows, else the videos in the folders, else the landmarks in them."""
    path = source.clips or source.folder / CLIP_LIST
    if source.clips is not None or path.is_file():
        found = read_clip_list(path)
    else:
        inside = os.path.realpath(source.out) != os.path.realpath(source.folder)
        apart = [source.out] if inside else []
        apart += [source.out / name for name in (CACHES, ANN_FILE)]
        apart += [] if source.hands is None else [source.hands]
        found = list_clip_folders(
            source.folder,
            VIDEO_SUFFIXES,
            LANDMARK_SUFFIXES,
            with_labels=source.with_labels,
            leave_out=apart,
        )
    return found


def _checked(source: CustomSource, found: ClipList) -> ClipList:
    """The rows, with labels or without; see :func:`check_rows`."""
    rows = found.rows
    if not source.with_labels:
        rows = [dataclasses.replace(row, label=None, split=None) for row in rows]
    check_rows(rows, source.with_labels)
    return ClipList(rows, found.unread)


def _split(rows: Sequence[ClipRow], data: CustomData) -> Splits:
    if not data.source.with_labels:
        rule = "all in test: clips without labels can be predicted only"
        return Splits(["test"] * len(rows), rule)
    return data.divide(
        [
            SplitItem(
                row.place,
                row.label,
                group_of(row),
                row.subject,
                row.split,
                row.scene,
                row.fold,
                row.val_of,
            )
            for row in rows
        ]
    )


def _subjects(rows: Sequence[ClipRow], splits: Splits) -> list[str]:
    """A line on who is in which split."""
    who: dict[str, set[str]] = {}
    for row, split in zip(rows, splits.names, strict=True):
        if row.subject is not None:
            who.setdefault(split, set()).add(row.subject)
    parts = [
        f"{split} {len(names)}{in_brackets(sorted(names), _SHOWN)}"
        for split, names in who.items()
    ]
    return [f"subjects: {', '.join(parts)}"] if parts else []


def _notes(splits: Splits, unread: Sequence[str], scan: Scan) -> list[str]:
    notes = [f"splits: {splits.rule}", *splits.notes]
    if scan.rates:
        rates = [f"{count} x {rate}" for rate, count in sorted(scan.rates.items())]
        notes.append(f"videos by frames a second: {', '.join(rates)}")
    if scan.data.videos:
        size = sum(path.stat().st_size for path in scan.data.videos.values())
        notes.append(
            f"videos to link into the data set (copied where it lies on another disk):"
            f" {len(scan.data.videos)}, {size / 1e6:.1f} MB"
        )
    notes += scan.tally.lines(_SHOWN)
    if scan.skeleton is not None and scan.without_hands:
        names = in_brackets(scan.without_hands, _SHOWN)
        notes.append(f"videos without landmarks: {len(scan.without_hands)}{names}")
    if scan.skeleton is None:
        notes.append(
            "no landmarks: no skeleton stream; tools/data/hands/extract.py finds hands"
        )
    if unread:
        notes.append(f"columns that nothing reads: {', '.join(unread)}")
    return notes
