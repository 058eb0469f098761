"""An annotation of skeleton sequences that lie in one npz."""

from dataclasses import dataclass

import numpy as np

from mmfusion.datasets.conversion import ConversionReport
from mmfusion.datasets.custom.data import (
    CACHES,
    CustomData,
    CustomSource,
    one_class_note,
)
from mmfusion.datasets.custom.sequences import Timed
from mmfusion.datasets.custom.tally import LandmarkTally
from mmfusion.datasets.splits import SplitItem
from mmfusion.layouts.frame_arrays import as_fps, as_names
from mmfusion.layouts.landmarks import LandmarkOptions, Landmarks
from mmfusion.layouts.sequence_arrays import Sequences, read_sequences, splits_of
from mmfusion.utils.errors import InputError


@dataclass(frozen=True)
class SequenceRows:
    """One sequence of the file."""

    group: str
    landmarks: Landmarks
    rows: slice
    fps: float

    def read(self, options: LandmarkOptions) -> Timed:
        """Its landmarks; the options were applied to the whole file."""
        found = self.landmarks
        keypoint, valid = found.keypoint[self.rows], found.valid[self.rows]
        own = Landmarks(found.kind, found.skeleton, keypoint, valid)
        return Timed(own, np.arange(len(keypoint)), self.fps)


def gather_sequences(source: CustomSource) -> CustomData:
    """Read and check an npz of sequences; see ``layouts/sequence_arrays.py``.

    Without ``split_by`` the arrays ``split`` and ``subject`` count, where it has them.

    Raises:
        MMFusionError: an array is wrong, nothing tells the rate, or splits fail.
    """
    path, options = source.folder, source.options
    if options.fps is None:
        raise InputError(f"{path} does not say its frame rate; expected --fps")
    fps = as_fps(options.fps)
    found = read_sequences(path, options)
    metainfo = {
        "version": 1,
        "dataset": source.title,
        "classes": {"action": found.classes},
        "skeleton": found.landmarks.skeleton,
    }
    report = ConversionReport(metainfo)
    data = CustomData(source, report)
    splits = data.divide(_items(found, source))
    for number, split in enumerate(splits.names):
        group, length = _group(source, number), int(found.length[number])
        cache = f"{CACHES}/{number:05d}.npz"
        rows = slice(int(found.start[number]), int(found.start[number]) + length)
        data.landmarks[cache] = SequenceRows(group, found.landmarks, rows, fps)
        report.records.append(
            {
                "id": group,
                "group": group,
                "split": split,
                "start_sec": 0.0,
                "end_sec": length / fps,
                "start_frame": 0,
                "end_frame": length - 1,
                "index_fps": fps,
                "skeleton": {"file": cache},
                "label": {"action": int(found.label[number])},
            }
        )
    tally = LandmarkTally()
    tally.add(found.landmarks, fps)
    report.count_hands(tally.masks)
    report.notes += one_class_note(found.classes)
    report.notes += [f"splits: {splits.rule}", *splits.notes, *tally.lines(0)]
    return data


def _group(source: CustomSource, number: int) -> str:
    return f"{source.title}/{number:05d}"


def _items(found: Sequences, source: CustomSource) -> list[SplitItem]:
    count = len(found.start)
    subjects: list[str] | list[None] = [None] * count
    splits: list[str] | list[None] = [None] * count
    if source.split_by is not None:
        splits = splits_of(found, source.split_by)
    elif "split" in found.fields and source.folds is None:
        splits = splits_of(found, "field:split")
    if "subject" in found.fields:
        subjects = as_names(found.fields["subject"], "subject")
    return [
        SplitItem(
            f"{source.folder}: sequence {number}",
            int(found.label[number]),
            _group(source, number),
            subjects[number],
            splits[number],
        )
        for number in range(count)
    ]
