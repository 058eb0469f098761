"""A data set of one's own: where it is from, what was found, how it is written."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mmfusion.datasets.annotation import load_annotation, write_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.conversion import ConversionReport, clear_temporaries
from mmfusion.datasets.custom.sequences import Timed
from mmfusion.datasets.folds import FOLD_FILE, assign_folds
from mmfusion.datasets.splits import (
    TEST_FRACTION,
    VAL_FRACTION,
    SplitItem,
    Splits,
    assign_splits,
)
from mmfusion.layouts.landmarks import NOTHING_SAID, LandmarkOptions
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.schema import shown

ANN_FILE = "annotation.json"
SPLITS = ("train", "val", "test")
CACHES = "skeleton"
VIDEOS = "videos"


@dataclass(frozen=True)
class CustomSource:
    """A folder of clips, and what its user says about it.

    Attributes:
        folder: of the clips: with ``clips.csv``, or a folder for each class; or an npz
            of skeleton sequences.
        out: folder of the annotation to be.
        clips: the list of clips, where it is not ``folder/clips.csv``.
        hands: folder of landmarks, named as the videos.
        options: said about the landmarks.
        with_labels: False for clips that are to be predicted only.
        name: of the data set; None takes the folder's.
        split_by: ``field:NAME`` or ``mod:NAME:N:R``, of an npz of sequences.
        val_fraction, test_fraction, seed: of splits that are not given.
        folds: how many to make in place of one test split; None makes none.
        drop_faulty: leave out clips whose files are faulty.
    """

    folder: Path
    out: Path
    clips: Path | None = None
    hands: Path | None = None
    options: LandmarkOptions = NOTHING_SAID
    with_labels: bool = True
    name: str | None = None
    split_by: str | None = None
    val_fraction: float = VAL_FRACTION
    test_fraction: float = TEST_FRACTION
    seed: int = 0
    folds: int | None = None
    drop_faulty: bool = False

    @property
    def is_npz(self) -> bool:
        """Tell whether it is one file of skeleton sequences."""
        return self.folder.suffix == ".npz" and not self.folder.is_dir()

    @property
    def title(self) -> str:
        """Name of the data set."""
        if self.name is None and self.is_npz:
            return self.folder.stem
        return self.name or os.path.basename(os.path.abspath(self.folder)) or "custom"


@dataclass
class CustomData:
    """An annotation to be, and what was found on the way.

    Attributes:
        source: folder and options that it is from.
        report: metainfo, records, faults and notes.
        videos: file, by its place to be, relative to ``source.out``.
        landmarks: of a sequence, by its cache to be, relative to ``source.out``.
        folds: the split of each record in each fold; empty without folds, with which a
            record's own split is the name of the fold that tests it.
    """

    source: CustomSource
    report: ConversionReport
    videos: dict[str, Path] = field(default_factory=dict)
    landmarks: dict[str, "Readable"] = field(default_factory=dict)
    folds: list[list[str]] = field(default_factory=list)

    @property
    def ann_files(self) -> list[str]:
        """Names of the annotations: one, or one for each fold."""
        if not self.folds:
            return [ANN_FILE]
        return [FOLD_FILE.format(number) for number in range(len(self.folds))]

    def divide(self, items: Sequence[SplitItem]) -> Splits:
        """Splits of the clips, those that the records name; fills in ``folds``.

        Raises:
            InputError: see :func:`assign_splits` and :func:`assign_folds`.
        """
        source = self.source
        if source.folds is None:
            splits = assign_splits(
                items,
                val_fraction=source.val_fraction,
                test_fraction=source.test_fraction,
                seed=source.seed,
            )
            if any(item.fold is not None for item in items):
                splits.notes.append("the column fold is not read without --folds")
            return splits
        found = assign_folds(
            items, source.folds, val_fraction=source.val_fraction, seed=source.seed
        )
        self.folds = [splits.names for splits in found]
        tested = [column.index("test") for column in zip(*self.folds, strict=True)]
        counts = [
            f"fold {number}: {', '.join(f'{names.count(n)} {n}' for n in SPLITS)}"
            for number, names in enumerate(self.folds)
        ]
        notes = dict.fromkeys(note for splits in found for note in splits.notes)
        rule = f"{len(found)} folds {found[0].rule}"
        return Splits([f"fold{number}" for number in tested], rule, [*counts, *notes])

    @property
    def obstacle(self) -> str:
        """Reason not to write it, with the remedy; "" where there is none."""
        if self.report.faults:
            return "mend the faulty files, or go on without their clips: --drop-faulty"
        return "" if self.report.records else "there is no clip"


class Readable(Protocol):
    """Landmarks of a sequence, read when its cache is written.

    Attributes:
        group: of the records.
    """

    @property
    def group(self) -> str: ...

    def read(self, options: LandmarkOptions) -> Timed:
        """The landmarks, with the moment of each row."""
        ...


def write(data: CustomData, *, overwrite: bool = False) -> None:
    """Write the caches, then the annotations, then ``prepare.log``.

    Args:
        data: of :func:`gather`, without an obstacle.
        overwrite: replace the annotation of another data set.

    Raises:
        AnnotationError: there is one, and it is not to be replaced.
    """
    for name in data.ann_files:
        _check_replaced(data.source.out / name, data.report, overwrite)
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
    for name, path in data.videos.items():
        _place(path, data.source.out / name)
    records = data.report.records
    own = [str(record["split"]) for record in records]
    for name, splits in zip(data.ann_files, data.folds or [own], strict=True):
        pairs = zip(records, splits, strict=True)
        records = [{**record, "split": split} for record, split in pairs]
        write_annotation(data.source.out / name, data.report.metainfo, records)
    text = f"in a config: {config_hint(data)}\n{data.report.text(every=True)}\n"
    write_atomic(data.source.out / "prepare.log", text.encode())


def config_hint(data: CustomData) -> str:
    """Keyword arguments of a config's dataset that read this annotation."""
    return f"data_root={str(data.source.out)!r}, ann_file={data.ann_files[0]!r}"


def one_class_note(classes: Sequence[str]) -> list[str]:
    """A warning where there is nothing to tell apart."""
    if len(classes) != 1:
        return []
    return [
        f"warning: all clips are of one class, {shown(classes[0])}: a model learns"
        " nothing from them; expected two classes at least"
    ]


def _place(video: Path, target: Path) -> None:
    """Make a video be in the data set, too: a second name, or elsewhere a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and _is_same(video, target):
        return
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(video.resolve(), temporary)
    except OSError:  # another file system, or one without such links
        shutil.copy2(video, temporary)
    os.replace(temporary, target)


def _is_same(first: Path, second: Path) -> bool:
    one, other = first.stat(), second.stat()
    copied = (one.st_size, one.st_mtime) == (other.st_size, other.st_mtime)
    return os.path.samestat(one, other) or copied


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
